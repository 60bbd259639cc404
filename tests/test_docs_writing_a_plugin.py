"""The authors' guide: its excerpts are what `kptk plugins new` writes, its examples run, its hooks are the hooks."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kptk import hookspecs
from kptk.scaffold import write_plugin
from kptk.spec import PLURALS
from kptk.testing.checks import OFFER_CHECKS

GUIDE = (Path(__file__).parents[1] / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
EXCERPTS = [block for block in BLOCKS if block.startswith("# kptk_")]
EXAMPLES = [block for block in BLOCKS if not block.startswith("# kptk_")]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """The guide's plugin, with the metadata that pip would leave beside it."""
    folder = write_plugin("my_align", str(tmp_path_factory.mktemp("guide") / "kptk-my-align"))
    info = folder / "kptk_my_align-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kptk-my-align\nVersion: 0.1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[kptk]\nmy_align = kptk_my_align.plugin\n", encoding="utf-8")
    return folder


def test_there_are_blocks_of_both_sorts() -> None:
    assert len(EXCERPTS) >= 3
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("block", EXCERPTS, ids=lambda block: block.partition("\n")[0][2:])
def test_excerpt_is_what_the_scaffold_writes(plugin, block) -> None:
    heading, _, code = block.partition("\n")
    assert code in (plugin / heading.removeprefix("# ")).read_text(encoding="utf-8")


def test_named_files_are_written(plugin) -> None:
    listed = re.findall(r"^      (\S+\.(?:py|toml))  ", GUIDE, re.MULTILINE)
    assert len(listed) == 4
    for name in listed:
        assert (plugin / name).is_file(), name


def test_examples_run_one_after_the_other(plugin, tmp_path) -> None:
    """In one fresh process, as a reader would: starting a backend takes seconds."""
    start = "from kptk.training import backend\nbackend.import_keras()\n"
    program = start + "\n".join(EXAMPLES)
    environment = os.environ | {"PYTHONPATH": str(plugin) + os.pathsep + os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_every_hook_stands_in_the_table_with_its_signature() -> None:
    for plural in PLURALS.values():
        name = f"kptk_{plural}"
        signature = str(inspect.signature(getattr(hookspecs, name))).replace("'", "")
        assert f"| `{name}{signature}` |" in GUIDE
    assert set(re.findall(r"^\| `(kptk_\w+)\(", GUIDE, re.MULTILINE)) == {f"kptk_{p}" for p in PLURALS.values()}


def test_every_group_of_checks_is_described() -> None:
    checked = {kind for kind, modules in OFFER_CHECKS.items() if len(modules) > 1 or kind == "recipe"}
    described = {"objective", "backbone", "preprocessor", "strategy", "task", "dataset", "recipe", "tracker"}
    assert checked == described
    for word in (
        "the plugin",
        "objectives",
        "backbones",
        "preprocessors",
        "strategies",
        "tasks",
        "data sets",
        "trackers",
        "recipes, comparisons",
    ):
        assert f"\n| {word} | " in GUIDE
