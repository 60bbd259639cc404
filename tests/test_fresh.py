"""Fresh processes of the conformance kit: what they see of the caller, and what they do not see of each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kptk.testing.fresh import run_module, run_warm, run_warm_module

MODULE = """
import json, os, sys
seen = {name: name in sys.modules for name in ("keras", "kptk_toy_other")}
import kptk_toy_other
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "variable": os.environ.get("TOY"), "seen": seen}))
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "kptk_toy_module.py").write_text(MODULE)
    (tmp_path / "site" / "kptk_toy_other.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("TOY", "mine")
    return "kptk_toy_module"


def test_it_has_the_callers_path_place_and_variables_and_nothing_of_earlier_calls(toy: str, tmp_path: Path) -> None:
    for code in (0, 3):
        done = run_warm(toy, str(code), "b", cwd=tmp_path)
        found = json.loads(done.stdout)
        assert done.returncode == code
        assert found["arguments"] == [str(code), "b"]
        assert Path(found["folder"]).resolve() == tmp_path.resolve()
        assert found["variable"] == "mine"
        assert found["seen"] == {"keras": sys.platform.startswith("linux"), "kptk_toy_other": False}


def test_one_without_keras_is_there_too(toy: str) -> None:
    assert run_module(toy, "0")["seen"] == {"keras": False, "kptk_toy_other": False}


def test_a_failure_is_told_with_what_it_wrote(toy: str) -> None:
    with pytest.raises(AssertionError, match=r"No module named '?kptk_toy_absent"):
        run_warm_module("kptk_toy_absent")
    done = run_warm("kptk", "train", "--plugin", "contrastiv")
    assert done.returncode == 2
    assert "contrastive" in done.stderr
    assert done.stdout == ""


def test_one_that_hangs_is_killed_and_the_next_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kptk_toy_hangs.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(subprocess.TimeoutExpired):
        run_warm("kptk_toy_hangs", timeout=0.5)
    assert run_warm("kptk", "--version").returncode == 0
