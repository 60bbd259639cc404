"""How a comparison runs: processes, failures, kills, resumption, locks. A fake worker trains nothing, so no Keras."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kptk import registry
from kptk.errors import InputError, RunError, UsageError
from kptk.training import compare as module
from kptk.training.compare import compare, resume, runner
from kptk.training.compare.folder import ComparisonFolder
from kptk.training.reporter import Reporter

FAKES = Path(__file__).parent / "fakes/worker"
CELLS = (2 * 2 + 5 * 2) * 2  # (ways of contrastive, and of scratch with controls) x labels, for each of two seeds


class Listener(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str = "") -> None:
        self.lines.append(text)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runner, "WORKER", "fake_worker")
    monkeypatch.setenv("PYTHONPATH", str(FAKES) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log.txt"))
    return tmp_path / "log.txt"


@pytest.fixture
def data(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.integers(0, 256, (300, 8, 8, 1)).astype("uint8"), y=np.arange(300) % 3)
    return str(tmp_path / "d.npz")


def run(data: str, out: Path, reporter: Reporter | None = None, **more):
    given = {"objectives": "contrastive", "labels_per_class": (1, 5), "seeds": 2, "budget": "70steps"} | more
    options = {"compare.batch_size": 32, **given.pop("options", {})}
    return compare(data=data, out=out, reporter=reporter or Reporter(), options=options, **given)


def logged(log: Path, word: str) -> list[str]:
    return [line for line in log.read_text().splitlines() if line.startswith(word)] if log.exists() else []


def test_every_group_has_a_process_and_every_cell_is_kept(data: str, tmp_path: Path, log: Path) -> None:
    said = Listener()
    found = run(data, tmp_path / "out", said)
    assert sorted(logged(log, "start")) == [
        f"start {arm} {seed} 70" for arm in ("contrastive", "scratch") for seed in (0, 1)
    ]
    grid = ComparisonFolder(tmp_path / "out").grid()
    assert len(grid.cells) == len(logged(log, "cell")) == CELLS
    assert found.summary["status"] == "done" and not found.failures
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {
        *("comparison.toml", "environment.json", "cells.jsonl", "summary.json", "failures.json"),
        *("label-efficiency.png", "logs", "weights", ".lock"),
    }
    assert not list((tmp_path / "out/weights").iterdir())  # kept only while they are needed
    assert "a library that prints" in (tmp_path / "out/logs/1-contrastive-0.txt").read_text()
    # Ten points in both seeds, so sure that the test rows alone leave something open.
    assert "contrastive" in found.verdicts[0]
    row = next(row for row in found.summary["against_baseline"] if row["labels_per_class"] == 5)
    assert row["mean"] == pytest.approx(0.1)
    assert json.loads((tmp_path / "out/summary.json").read_text()) == found.summary


def test_a_finished_comparison_repeats_nothing(data: str, tmp_path: Path, log: Path) -> None:
    first = run(data, tmp_path / "out")
    log.unlink()
    assert resume(tmp_path / "out").summary == first.summary
    assert compare(out=tmp_path / "out", reporter=Reporter()).summary == first.summary
    assert not log.exists()


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ("contrastive-1", "the loss is not a number"),
        ("kill-contrastive-1", "killed by SIGKILL, most likely for want of memory"),
    ],
)
def test_one_failure_leaves_the_rest(
    data: str, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, failing: str, said: str
) -> None:
    monkeypatch.setenv("FAKE_FAIL", failing)
    listener = Listener()
    found = run(data, tmp_path / "out", listener)
    (failure,) = found.failures
    assert failure["arms"] == ["contrastive"] and failure["seed"] == 1 and said in failure["error"]
    assert Path(failure["log"]).exists()
    assert any(line.startswith("FAILED contrastive, seed 1") for line in listener.lines)
    assert found.summary["status"] == "incomplete"
    assert found.summary["cells"] == CELLS - 2  # its cells at five labels
    assert (tmp_path / "out/weights/1-contrastive-1.npz").exists()  # not taught again
    assert registry.read(tmp_path / "out").status == "incomplete"

    monkeypatch.delenv("FAKE_FAIL")
    log.unlink()
    again = resume(tmp_path / "out")
    assert again.summary["status"] == "done"
    assert logged(log, "cell") == ["cell contrastive/frozen 5 1", "cell contrastive/lp-ft 5 1"]


def test_nothing_at_all_is_an_error(data: str, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WORKER", "no_such_module")
    with pytest.raises(RunError, match=r"every one of 4 groups failed .* exit code 1 \(log: "):
        run(data, tmp_path / "out")
    assert "No module named no_such_module" in (tmp_path / "out/logs/1-contrastive-0.txt").read_text()


# Tests that run behind `nohup` or `&` inherit that Ctrl-C is ignored.
SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from kptk.training.compare import runner
runner.WORKER = "fake_worker"
from kptk.cli.main import cli
cli(sys.argv[1:])
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, "compare", *words]


def alive(pattern: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if pattern in words and "fake_worker" in words:
            found.append(entry.name)
    return found


def begin(data: str, out: Path, *more: str) -> subprocess.Popen[str]:
    words = ["--objectives", "contrastive", "--data", data, "--labels-per-class", "1,5", "--seeds", "2"]
    words += ["--budget", "70steps", "--batch-size", "32", "--out", str(out), *more]
    return subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, lines: int) -> None:
    for _ in range(600):
        if path.exists() and len(path.read_text().splitlines()) >= lines:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never had {lines} lines")


@pytest.mark.parametrize("lines", [1, 6])
def test_killed_and_gone_on_with(
    data: str, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """kill -9 of the command itself: its processes end too, finished cells stay, and none of them is made again."""
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    out = tmp_path / "out"
    process = begin(data, out)
    wait_for(out / "cells.jsonl", lines)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    for _ in range(100):
        if not alive(str(out)):
            break
        time.sleep(0.05)
    assert not alive(str(out))
    before = (out / "cells.jsonl").read_text()
    cells = [json.loads(line) for line in before.splitlines()]
    assert lines <= len(cells) < CELLS
    assert not (out / "summary.json").exists()
    assert registry.read(out).status == "unfinished"

    monkeypatch.setenv("FAKE_SECONDS", "0")
    log.unlink()
    done = subprocess.run(command(str(out), "--json"), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["status"] == "done" and summary["cells"] == CELLS
    assert (out / "cells.jsonl").read_text().startswith(before)
    made = {tuple(line.split()[1:]) for line in logged(log, "cell")}
    kept = {(cell["arm"], str(cell["labels_per_class"]), str(cell["seed"])) for cell in cells}
    assert not made & kept and len(made) == CELLS - len(kept)


def test_ctrl_c_stops_everything_and_keeps_what_is_done(data: str, tmp_path: Path, log: Path, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "3")
    process = begin(data, tmp_path / "out", "--jobs", "2")
    wait_for(tmp_path / "out/cells.jsonl", 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"kptk compare {tmp_path / 'out'}" in errors
    assert not alive(str(tmp_path / "out"))


def test_two_at_once_in_one_folder_are_refused(data: str, tmp_path: Path, log: Path, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.5")
    process = begin(data, tmp_path / "out")
    wait_for(tmp_path / "out/cells.jsonl", 1)
    with pytest.raises(UsageError, match="another kptk compare is at work"):
        resume(tmp_path / "out")
    process.kill()
    process.communicate()


def test_jobs_run_side_by_side_and_give_the_same(data: str, tmp_path: Path, log: Path, monkeypatch) -> None:
    one = run(data, tmp_path / "one")
    monkeypatch.setenv("FAKE_SECONDS", "0.1")
    two = run(data, tmp_path / "two", jobs=4)
    for key in ("accuracy", "against_baseline", "verdicts", "cells"):
        assert one.summary[key] == two.summary[key]


def test_a_budget_of_time_is_measured_once_and_kept(data: str, tmp_path: Path, log: Path) -> None:
    said = Listener()
    found = run(data, tmp_path / "out", said, budget="10seconds")
    assert json.loads((tmp_path / "out/steps.json").read_text()) == {"1-contrastive": 100, "2-scratch": 1000}
    assert {row["arm"]: row["steps"] for row in found.summary["costs"]} == {"contrastive": 100, "scratch": 1000}
    assert "contrastive: 100 steps of 100.0 ms in 10 seconds" in said.lines
    log.unlink()
    resume(tmp_path / "out")
    assert not log.exists()


def test_changed_data_or_backend_cannot_go_on(data: str, tmp_path: Path, log: Path, monkeypatch) -> None:
    run(data, tmp_path / "out")
    monkeypatch.setattr(module.environment, "versions", lambda: {"backend": "jax"})
    with pytest.raises(InputError, match="begun with the backend tensorflow, this is jax"):
        resume(tmp_path / "out")
    with np.load(data) as arrays:
        np.savez(data, x=arrays["x"], y=np.roll(arrays["y"], 1))
    with pytest.raises(InputError, match="changed since the comparison was begun"):
        resume(tmp_path / "out")


def test_folders_in_the_way_are_refused(data: str, tmp_path: Path, log: Path) -> None:
    run(data, tmp_path / "out")
    with pytest.raises(UsageError, match=r"already holds a comparison\. Go on with it: kptk compare"):
        run(data, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").touch()
    with pytest.raises(UsageError, match="not an empty folder"):
        run(data, tmp_path / "mine")
    with pytest.raises(InputError, match="is not the folder of a comparison"):
        resume(tmp_path / "mine")
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["notes"]


def test_the_command_line_says_what_it_found(data: str, tmp_path: Path, log: Path) -> None:
    process = begin(data, tmp_path / "out")
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "contrastive\t" in stdout
    assert "Accuracy on 90 test rows, seeds 0 to 1" in stdout
    assert "Figure: " in stdout
    again = subprocess.run(command(str(tmp_path / "out"), "--seeds", "3"), capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "Leave out: --seeds" in again.stderr
    bad = subprocess.run(command("--objectives", "contrastive"), capture_output=True, text=True, check=False)
    assert bad.returncode == 2 and "no data was named" in bad.stderr


def test_runs_lists_comparisons(data: str, tmp_path: Path, log: Path) -> None:
    run(data, tmp_path / "runs/mine")
    (record,) = registry.scan(tmp_path / "runs")
    assert (record.name, record.kind, record.status) == ("mine", "compare", "done")
    assert record.what == "contrastive, scratch"
