"""A broken plugin harms nothing but itself, and is always shown."""

from __future__ import annotations

import json
import sys

import pytest

from kptk.errors import PluginError, UsageError
from kptk.plugins import Plugins

EVERY = (
    *(
        "kptk-good",
        "kptk-bad",
        "kptk-exits",
        "kptk-hookfails",
        "kptk-misspelt",
        "kptk-heavy",
        "kptk-wrongtype",
    ),
    *("kptk-clash", "kptk-zgood-again"),
)


def problem_of(plugins: Plugins, name: str) -> str:
    return " | ".join(p.message for p in plugins.problems if p.plugin == name)


def names(plugins: Plugins, kind: str) -> set[str]:
    return {offer.id for offer in plugins.offers(kind)}


def test_broken_plugins_are_kept_apart_from_working_ones(fakes) -> None:
    fakes(*EVERY)
    plugins = Plugins()
    assert {"good/good_net", "hookfails/kept_net", "heavy/heavy_net", "vision/resnet18"} <= names(plugins, "backbone")
    assert "contrastive/contrastive" in names(plugins, "objective")
    assert "hookfails/first" not in names(plugins, "objective")
    assert "No module named 'a_module_that_nobody_has'" in problem_of(plugins, "bad")
    assert "SystemExit" in problem_of(plugins, "exits")
    assert "the hook gave up" in problem_of(plugins, "hookfails")
    assert "unknown hook 'kptk_objektives'. Did you mean 'kptk_objectives'?" in problem_of(plugins, "misspelt")
    assert "kptk-good 0.1" in problem_of(plugins, "good")
    wrong = problem_of(plugins, "wrongtype")
    assert "expected a ObjectiveSpec, got BackboneSpec" in wrong
    assert "'Bad-Name' is not a lower-case identifier" in wrong
    assert "'twice' is offered twice" in wrong
    assert names(plugins, "objective") >= {"wrongtype/twice"}


def test_a_problem_says_where_in_the_plugins_own_code_and_whom_to_tell(fakes) -> None:
    site = fakes("kptk-bad")
    plugins = Plugins()
    problem = next(p for p in plugins.problems if p.plugin == "bad")
    assert problem.where == f"{site}/kptk_bad/plugin.py:1"
    assert problem.label == "kptk-bad 0.1"
    with pytest.raises(PluginError) as caught:
        plugins.refuse_broken("bad")
    assert "https://example.org/kptk-bad/issues" in str(caught.value)
    assert caught.value.exit_code == 3


def test_strict_mode_shows_the_whole_traceback(fakes, monkeypatch) -> None:
    fakes("kptk-bad")
    monkeypatch.setenv("KPTK_PLUGINS_STRICT", "1")
    with pytest.raises(ModuleNotFoundError):
        _ = Plugins().loaded


def test_order_does_not_depend_on_the_file_system(fakes) -> None:
    fakes("kptk-good", "kptk-heavy")
    found = [loaded.found.name for loaded in Plugins().loaded]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("contrastive", ["contrastive"]),
        ("contrastive,vision", ["contrastive", "vision"]),
        ("-good,-adversarial", None),
        ("", []),
    ],
)
def test_environment_chooses_plugins_before_anything_is_imported(fakes, monkeypatch, setting, wanted) -> None:
    fakes("kptk-good")
    everything = [loaded.found.name for loaded in Plugins().loaded]
    wanted = [name for name in everything if name not in ("good", "adversarial")] if wanted is None else wanted
    sys.modules.pop("kptk_good", None), sys.modules.pop("kptk_good.plugin", None)
    monkeypatch.setenv("KPTK_PLUGINS", setting)
    assert [loaded.found.name for loaded in Plugins().loaded] == wanted
    if "good" not in wanted:
        assert "kptk_good" not in sys.modules


def test_clash_names_both_plugins(fakes) -> None:
    fakes("kptk-clash")
    with pytest.raises(UsageError) as caught:
        Plugins().find("objective", "contrastive")
    assert str(caught.value) == (
        "'contrastive' is offered by 2 plugins:\n"
        "  clash/contrastive  (kptk-clash 0.1)\n"
        "  contrastive/contrastive  (kptk-contrastive 0.1.0)\n"
        "Say which, e.g. --objective clash/contrastive"
    )
    assert Plugins().find("objective", "contrastive/contrastive").plugin == "contrastive"
    assert Plugins().find("objective", "simclr").plugin == "contrastive"  # the alias stays unique


def test_unknown_name_gets_a_suggestion(fakes) -> None:
    fakes("kptk-good")
    with pytest.raises(UsageError) as caught:
        Plugins().find("objective", "contrastve")
    assert str(caught.value) == "no objective called 'contrastve'. Did you mean 'contrastive'?"


def test_unknown_name_lists_plugins_that_failed_and_may_have_offered_it(fakes) -> None:
    fakes("kptk-bad")
    with pytest.raises(UsageError) as caught:
        Plugins().find("objective", "nothere")
    lines = str(caught.value).splitlines()
    assert lines[0] == "no objective called 'nothere'."
    assert lines[1].startswith(
        "Plugin 'bad' (kptk-bad 0.1) could not be loaded "
        "(ModuleNotFoundError: No module named 'a_module_that_nobody_has')"
    )
    assert lines[1].endswith("it may have offered it.")


def test_naming_a_broken_plugin_is_its_fault(fakes) -> None:
    fakes("kptk-bad")
    for name in ("bad/anything", "bad"):
        with pytest.raises(PluginError, match="could not be loaded"):
            Plugins().find("objective", name) if "/" in name else Plugins().recipe(name)


def test_plugin_without_a_recipe_says_so(fakes) -> None:
    fakes("kptk-good")
    with pytest.raises(UsageError, match="offers no recipe"):
        Plugins().recipe("good")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("list",),
        ("list", "backbones", "--json"),
        ("show", "good_net"),
        ("train", "--plugin", "contrastive", "--help"),
        ("plugins", "list"),
        ("cite", "contrastive"),
    ],
)
def test_commands_work_beside_every_broken_plugin(fakes, kptk, arguments) -> None:
    fakes(*(name for name in EVERY if name != "kptk-clash"))
    done = kptk(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_plugins_list_and_check_show_what_is_broken(fakes, kptk) -> None:
    fakes("kptk-good", "kptk-bad")
    listed = json.loads(kptk("plugins", "list", "--json").stdout)
    status = {row["name"]: row["status"] for row in listed["plugins"]}
    assert {name for name, state in status.items() if state != "ok"} == {"bad"}
    assert {"contrastive", "good", "vision"} <= set(status)
    assert kptk("plugins", "check", "good").returncode == 0
    broken = kptk("plugins", "check", "bad")
    assert broken.returncode == 3
    assert "a_module_that_nobody_has" in broken.stderr
    assert kptk("plugins", "check").returncode == 3
    unknown = kptk("plugins", "check", "goood")
    assert unknown.returncode == 2
    assert "Did you mean 'good'?" in unknown.stderr
    assert kptk("train", "--plugin", "bad").returncode == 3


def test_uninstall_of_a_broken_plugin_loads_nothing(fakes, kptk) -> None:
    site = fakes("kptk-bad")
    marker = site / "loaded"
    (site / "kptk_bad" / "plugin.py").write_text(
        f"open({str(marker)!r}, 'w').close()\nimport a_module_that_nobody_has\n"
    )
    (site / "kptk_bad-0.1.dist-info" / "RECORD").write_text(
        "kptk_bad/__init__.py,,\nkptk_bad/plugin.py,,\n"
        "kptk_bad-0.1.dist-info/METADATA,,\nkptk_bad-0.1.dist-info/entry_points.txt,,\nkptk_bad-0.1.dist-info/RECORD,,\n"
    )
    (site / "kptk_bad-0.1.dist-info" / "INSTALLER").write_text("pip\n")
    done = kptk("plugins", "uninstall", "bad")
    # pip may refuse to touch a folder outside its environment; what matters is that kptk asked it and loaded nothing.
    assert "kptk-bad" in done.stdout + done.stderr
    assert not marker.exists()
    unknown = kptk("plugins", "uninstall", "badd")
    assert unknown.returncode == 2
    assert "Did you mean" in unknown.stderr


SEEN = """
import sys
from kptk.cli.main import cli
try:
    cli(sys.argv[1:], prog_name="kptk")
except SystemExit:
    pass
heavy = ("keras", "tensorflow", "jax", "torch", "numpy", "sklearn", "matplotlib", "PIL", "pyarrow")
print("HEAVY", [name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize(
    "arguments",
    [
        *(("--help",), ("--version",), ("list",), ("list", "objectives", "--json"), ("show", "contrastive")),
        *(("plugins", "list"), ("plugins", "check"), ("cite", "resnet18"), ("train", "--help")),
        ("train", "--plugin", "contrastive", "--help"),
        ("train", "--plugin", "contrastive", "--print-config"),
        # Refusals
        ("train", "--plugin", "contrastve"),
        ("train", "--plugin", "contrastive", "-o", "temprature=1"),
        ("train", "--plugin", "contrastive", "--backbone", "resnet81"),
        ("train", "--plugin", "contrastive", "--batch-size", "1"),
        ("train", "--plugin", "contrastive", "--data", "nowhere"),
        ("evaluate", "nowhere", "--data", "mnist10k"),
        ("embed", "nowhere", "--data", "mnist10k", "-o", "x.npz"),
    ],
    ids=" ".join,
)
def test_help_lists_and_refusals_import_nothing_heavy(arguments) -> None:
    import subprocess

    done = subprocess.run([sys.executable, "-c", SEEN, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stdout[-300:]
