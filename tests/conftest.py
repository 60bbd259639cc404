"""Broken plugins on disk, as pip would install them, and ways to run kptk beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAKES: dict[str, dict[str, str]] = {
    # distribution: what its module does
    "kptk-good": {
        "name": "good",
        "code": """
from kptk import BackboneSpec, hookimpl

@hookimpl
def kptk_backbones():
    yield BackboneSpec(name="good_net", target="kptk_good.net:net", summary="Good.")
""",
    },
    "kptk-bad": {"name": "bad", "code": "import a_module_that_nobody_has\n"},
    "kptk-exits": {"name": "exits", "code": "raise SystemExit(5)\n"},
    "kptk-hookfails": {
        "name": "hookfails",
        "code": """
from kptk import BackboneSpec, ObjectiveSpec, hookimpl

@hookimpl
def kptk_objectives():
    yield ObjectiveSpec(name="first", target="x:y", summary="Lost with the rest of its hook.")
    raise RuntimeError("the hook gave up")

@hookimpl
def kptk_backbones():
    yield BackboneSpec(name="kept_net", target="x:y", summary="From a hook that works.")
""",
    },
    "kptk-misspelt": {
        "name": "misspelt",
        "code": """
from kptk import hookimpl

@hookimpl
def kptk_objektives():
    return []
""",
    },
    "kptk-heavy": {
        "name": "heavy",
        "code": """
import numpy
from kptk import BackboneSpec, hookimpl

@hookimpl
def kptk_backbones():
    yield BackboneSpec(name="heavy_net", target="x:y", summary="Works, but slows everything down.")
""",
    },
    "kptk-wrongtype": {
        "name": "wrongtype",
        "code": """
from kptk import BackboneSpec, ObjectiveSpec, hookimpl

@hookimpl
def kptk_objectives():
    yield BackboneSpec(name="not_an_objective", target="x:y", summary="Wrong kind.")
    yield ObjectiveSpec(name="Bad-Name", target="x:y", summary="Wrong name.")
    yield ObjectiveSpec(name="twice", target="x:y", summary="First.")
    yield ObjectiveSpec(name="twice", target="x:y", summary="Second.")
""",
    },
    "kptk-clash": {
        "name": "clash",
        "code": """
from kptk import ObjectiveSpec, RecipeSpec, hookimpl

@hookimpl
def kptk_objectives():
    yield ObjectiveSpec(name="contrastive", target="x:y", summary="The same name as another plugin's.")
""",
    },
    "kptk-zgood-again": {"name": "good", "code": "", "package": "kptk_zgood"},
}


def install(folder: Path, distribution: str) -> None:
    """Write a distribution as pip leaves it: a package and its metadata."""
    fake = FAKES[distribution]
    package = fake.get("package", f"kptk_{fake['name']}")
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").touch()
    (folder / package / "plugin.py").write_text(fake["code"])
    info = folder / f"{distribution.replace('-', '_')}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1\n"
        f"Project-URL: Issues, https://example.org/{distribution}/issues\n"
    )
    (info / "entry_points.txt").write_text(f"[kptk]\n{fake['name']} = {package}.plugin\n")
    (info / "RECORD").write_text("")


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install fakes into a folder on the path; returns a function that takes their names."""

    def add(*distributions: str) -> Path:
        for distribution in distributions:
            install(tmp_path / "site", distribution)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site") + os.pathsep + os.environ.get("PYTHONPATH", ""))
        return tmp_path / "site"

    yield add
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def run_kptk(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "kptk", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


@pytest.fixture
def kptk():
    return run_kptk
