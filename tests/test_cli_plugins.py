"""`kptk plugins`: what it says, what it refuses, its exit codes, and what it never does."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from kptk import discovery
from kptk.cli import plugins as commands
from kptk.cli.main import cli


def run(*arguments: str):
    return CliRunner().invoke(cli, ["plugins", *arguments])


@pytest.fixture
def pip(monkeypatch):
    """Records pip's command lines instead of running them; its exit code can be set."""

    record = SimpleNamespace(calls=[], exit_code=0)

    def call(command, **options):
        record.calls.append(list(command))
        return subprocess.CompletedProcess(command, record.exit_code)

    monkeypatch.setattr(commands.subprocess, "run", call)
    return record


def test_list_shows_what_each_plugin_offers() -> None:
    done = run("list", "--json")
    assert done.exit_code == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)["plugins"]}
    assert rows["contrastive"]["distribution"].startswith("kptk-contrastive ")
    assert rows["contrastive"]["offers"]["objectives"] == ["contrastive"]
    assert "contrastive" in run("list").stdout


def test_check_of_one_healthy_plugin() -> None:
    done = run("check", "contrastive", "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["plugins"]
    assert (row["name"], row["status"], row["heavy_imports"]) == ("contrastive", "ok", [])
    assert row["milliseconds"] > 0
    assert "kptk_objectives" in run("check", "contrastive").stdout


def test_check_of_a_broken_one_exits_3_with_its_own_line(fakes) -> None:
    fakes("kptk-bad")
    for arguments in (["check", "bad"], ["check"]):
        done = run(*arguments)
        assert done.exit_code == 3
        assert "ModuleNotFoundError: No module named 'a_module_that_nobody_has'" in done.output
        assert "plugin.py:1" in done.output
    assert run("check", "contrastive").exit_code == 0


def test_heavy_imports_are_shown_and_are_only_a_warning(fakes) -> None:
    folder = fakes("kptk-heavy")
    # A fresh process, since this one has NumPy already.
    command = [sys.executable, "-m", "kptk", "plugins", "check", "heavy", "--json"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    report = json.loads(done.stdout)
    assert report["plugins"][0]["heavy_imports"] == ["numpy"]
    assert report["problems"][0]["lost"] == "nothing"
    assert done.returncode == 0


def test_unknown_plugin_gets_a_suggestion() -> None:
    done = run("check", "contrastve")
    assert done.exit_code == 2
    assert "Did you mean 'contrastive'?" in done.output


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("install", ["kptk-some"]), ("uninstall", ["contrastive"])],
)
def test_failure_of_pip_is_one_sentence_and_exit_code_1(pip, command, arguments) -> None:
    pip.exit_code = 1
    done = run(command, *arguments)
    assert done.exit_code == 1
    assert f"pip {command} failed" in done.output
    assert "Traceback" not in done.output


def test_install_passes_the_packages_to_this_pythons_pip(pip) -> None:
    done = run("install", "--upgrade", "kptk-some", "./kptk-other")
    assert pip.calls == [[sys.executable, "-m", "pip", "install", "--upgrade", "kptk-some", "./kptk-other"]]
    assert done.exit_code == 0
    assert "no new plugin" in done.output


def test_install_checks_what_is_new_in_a_fresh_process(pip, monkeypatch) -> None:
    find, seen = discovery.find, []

    def grows():
        seen.append(1)
        found, problems = find()
        return ([item for item in found if item.name != "contrastive"] if len(seen) == 1 else found), problems

    monkeypatch.setattr(discovery, "find", grows)
    assert run("install", "kptk-contrastive").exit_code == 0
    assert pip.calls[-1] == [sys.executable, "-m", "kptk", "plugins", "check", "contrastive"]


@pytest.mark.parametrize("name", ["contrastive", "kptk-contrastive"])
def test_uninstall_takes_the_plugins_or_the_distributions_name(pip, name) -> None:
    assert run("uninstall", name).exit_code == 0
    assert pip.calls == [[sys.executable, "-m", "pip", "uninstall", "--yes", "kptk-contrastive"]]


def test_uninstall_touches_nothing_but_plugins(pip) -> None:
    for name in ("numpy", "contrastve"):
        assert run("uninstall", name).exit_code == 2
    assert not pip.calls


def test_uninstall_of_a_shared_name_asks_which_package(fakes, pip) -> None:
    fakes("kptk-good", "kptk-zgood-again")
    done = run("uninstall", "good")
    assert done.exit_code == 2
    assert "kptk-good" in done.output
    assert "kptk-zgood-again" in done.output
    assert run("uninstall", "kptk-zgood-again").exit_code == 0
    assert pip.calls == [[sys.executable, "-m", "pip", "uninstall", "--yes", "kptk-zgood-again"]]


def test_uninstall_of_a_plugin_that_the_environment_hides(pip, monkeypatch) -> None:
    monkeypatch.setenv("KPTK_PLUGINS", "-contrastive")
    assert run("uninstall", "contrastive").exit_code == 0
    assert pip.calls[0][-1] == "kptk-contrastive"


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_without_pip_the_line_for_uv_is_shown(pip, monkeypatch, command) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pip" else find_spec(name, *a))
    done = run(command, "kptk-contrastive")
    assert f"uv pip {command} --python {sys.executable} kptk-contrastive" in done.output
    assert done.exit_code != 0
    assert not pip.calls


@pytest.mark.parametrize("name", ["Align", "1st", "kptk-x", "", "a b", "../x"])
def test_new_refuses_a_bad_name_and_writes_nothing(tmp_path, monkeypatch, name) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("new", name)
    assert done.exit_code == 2
    assert "lower-case identifier" in done.output
    assert not list(tmp_path.iterdir())


def test_new_refuses_an_existing_folder_and_an_installed_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kptk-mine").mkdir()
    done = run("new", "mine")
    assert done.exit_code == 2
    assert "exists" in done.output
    assert not list((tmp_path / "kptk-mine").iterdir())
    done = run("new", "contrastive")
    assert done.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["kptk-mine"]


def test_new_writes_and_says_what_is_next(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("new", "mine", "--directory", "deep/folder")
    assert done.exit_code == 0, done.output
    for line in ("kptk plugins check mine --full", "kptk train --plugin mine"):
        assert line in done.output
    assert (tmp_path / "deep" / "folder" / "kptk_mine" / "plugin.py").is_file()
    assert not [path.name for path in (tmp_path / "deep").iterdir() if path.name != "folder"]
