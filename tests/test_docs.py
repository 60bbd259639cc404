"""The docs say what the code does: links, commands, options, examples, a page for each objective."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from kptk.cli.main import COMMANDS, cli
from kptk.plugins import Plugins

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("plugins/*/README.md"),
        *ROOT.glob("benchmarks/**/*.md"),
    ]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = [
        target
        for target in LINK.findall(text)
        if not target.startswith(("http://", "https://", "#", "mailto:"))
        and not (page.parent / target.partition("#")[0]).exists()
    ]
    assert not broken


def commands(group: click.Group, prefix: str = "") -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += commands(command, f"{prefix}{name} ")
        else:
            found.append((f"{prefix}{name}", command))
    return found


@pytest.mark.parametrize(("name", "command"), commands(cli), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_and_option_is_on_the_page(name: str, command: click.Command) -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    words = name.split()
    if words[0] in ("list", "show", "cite"):
        section = text.partition("## kptk list, show, cite")[2].partition("\n## ")[0]
    else:
        section = text.partition(f"## kptk {words[0]}")[2].partition("\n## ")[0]
    assert section, f"docs/cli.md has no section for kptk {words[0]}"
    assert f"kptk {name}" in text
    for parameter in command.params:
        for flag in parameter.opts if isinstance(parameter, click.Option) else ():
            assert f"`{flag}" in section or f"{flag} " in section or f"{flag}`" in section, f"{flag} of kptk {name}"


def test_the_page_names_no_flag_that_does_not_exist() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    real = {flag for _, command in commands(cli) for p in command.params for flag in p.opts} | {
        "--help",
        "-h",
    }
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text))
    assert named <= real, named - real


def test_every_first_party_objective_has_a_page() -> None:
    for offer in Plugins().offers("objective"):
        page = ROOT / "docs" / "objectives" / f"{offer.spec.name}.md"
        assert page.exists(), f"write {page}"
        text = page.read_text(encoding="utf-8")
        for option in offer.spec.options:
            assert f"`{option.name}`" in text, f"{page.name} does not mention the option {option.name}"
        for heading in ("When to use it", "What it costs", "How it fails", "References"):
            assert f"## {heading}" in text, f"{page.name} has no section '{heading}'"


def runnable() -> list:
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    pages = [page for page in pages if page.name != "writing-a-plugin.md"]  # has a test of its own
    return [
        pytest.param(page, number, code, id=f"{ids(page)}-{number}")
        for page in pages
        for number, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize(("page", "number", "code"), runnable())
def test_examples_run(page: Path, number: int, code: str, tmp_path, monkeypatch) -> None:
    """Each block runs as it stands, beside a finished run and an array called `images`."""
    import numpy as np

    from kptk.training import backend

    keras = backend.import_keras()
    import kptk

    monkeypatch.chdir(tmp_path)
    if "runs/digits" in code:
        (tmp_path / "runs/digits").mkdir(parents=True)
        kptk.backbone("example_cnn", input_shape=(28, 28, 1)).save("runs/digits/backbone.keras")
    keras.utils.set_random_seed(0)
    # Long runs are shortened to a step: an example must run, not finish.
    code = code.replace("batch_size=256, epochs=5", "batch_size=16, epochs=1, verbose=0")
    images = np.random.default_rng(0).integers(0, 256, (32, 28, 28, 1)).astype("uint8")
    exec(compile(code, f"{page.name}[{number}]", "exec"), {"images": images, "__name__": "example"})


def test_readme_has_the_promised_python_verbatim() -> None:
    wanted = """import keras, kptk
backbone = kptk.backbone("resnet18", input_shape=(28, 28, 1), stem="small")
model = kptk.objective("contrastive", backbone=backbone, temperature=0.2)
model.compile(optimizer=keras.optimizers.AdamW(1e-3))
model.fit(images, batch_size=256, epochs=5)          # plain uint8 or float arrays, tf.data, or PyDataset
backbone.save("backbone.keras")                      # plain Keras file, no kptk needed to run it
"""
    assert wanted in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_has_a_module() -> None:
    offered = {offer.spec.name for offer in Plugins().offers("command")}
    assert set(COMMANDS) | offered == {name.split()[0] for name, _ in commands(cli)}
