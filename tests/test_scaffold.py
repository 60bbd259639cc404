"""`kptk plugins new` writes a plugin that installs, passes every check, trains and passes its own tests."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kptk.errors import UsageError
from kptk.scaffold import write_plugin


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The plugin ``my_align``, written and installed by pip into a folder of its own."""
    root = tmp_path_factory.mktemp("scaffold")
    folder = write_plugin("my_align", str(root / "kptk-my-align"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(root / "site"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join(filter(None, (str(root / "site"), os.environ.get("PYTHONPATH", ""))))
    return folder, os.environ | {"PYTHONPATH": path}


def run(installed, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        env=installed[1],
        cwd=cwd or installed[0].parent,
    )


def test_everything_a_package_needs_is_there(installed) -> None:
    folder = installed[0]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    package = {f"kptk_my_align/{name}.py" for name in ("__init__", "plugin", "my_align")}
    assert {"pyproject.toml", "README.md", "tests/test_my_align.py", *package} <= files
    for path in folder.rglob("*.*"):
        if path.is_file() and path.suffix in (".py", ".toml", ".md"):
            text = path.read_text(encoding="utf-8")
            assert "$" not in text, path
            assert "name__" not in text, path
    assert compileall.compile_dir(folder / "kptk_my_align", quiet=1)


@pytest.mark.backends
def test_it_passes_the_conformance_checks(installed) -> None:
    done = run(installed, "kptk", "plugins", "check", "my_align", "--full")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks ran" in done.stdout
    assert "0 failed" in done.stdout


def test_it_trains(installed, tmp_path) -> None:
    options = ("--epochs", "1", "--limit", "256", "-o", "train.batch_size=64", "--out", str(tmp_path / "run"))
    done = run(installed, "kptk", "train", "--plugin", "my_align", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "run" / "backbone.keras").is_file()


def test_its_own_tests_pass(installed, tmp_path) -> None:
    # The conformance part ran above already; here, that pytest finds the tests and that the formulas are right.
    options = ("-q", "-p", "no:cacheprovider", "-k", "formulas or number_of_checks")
    done = run(installed, "pytest", *options, "tests", cwd=installed[0])
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("name", ["plugin", "class", "pretrainer", "any"])
def test_names_that_would_collide_are_refused(tmp_path, name) -> None:
    with pytest.raises(UsageError, match=f"Received: '{name}'"):
        write_plugin(name, str(tmp_path / "made"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["test", "kptk", "a", "x1_y2"])
def test_other_names_give_python_that_compiles(tmp_path, name) -> None:
    folder = write_plugin(name, str(tmp_path / "made"))
    assert compileall.compile_dir(folder, quiet=1)
    assert "hookimpl" in (folder / f"kptk_{name}" / "plugin.py").read_text(encoding="utf-8")
    assert "Pretrainer" in (folder / f"kptk_{name}" / f"{name}.py").read_text(encoding="utf-8")
