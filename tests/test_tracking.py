"""Trackers of runs: named by command line, file and Python alike, asked for their packages early, never the end of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import kptk
from kptk import Option, TrackerSpec
from kptk.cli.main import cli
from kptk.config import resolve
from kptk.errors import RunError, UsageError
from kptk.finetuning import FineTuneConfig, read, resolve_finetune
from kptk.request import Request, Setting, from_run, from_toml, tracker_names
from kptk.runfolder import RunFolder
from kptk.spellings import to_command, to_python, to_toml
from kptk.testing import temporary_plugins
from kptk.training.reporter import Reporter
from kptk.training.tracker import Tracker
from kptk.training.tracking import Tracking

QUICK = {
    "backbone.units": 8,
    "objective.hidden_dim": 8,
    "data.limit": 64,
    "train.deterministic": False,
    "probe.data": "",
}


class Kept(Tracker):
    """Keeps what it is told in a file of JSON lines, and fails where it is asked to."""

    def __init__(self, *, fails: str = "") -> None:
        self.fails = fails

    def begin(self, config, folder) -> None:
        self.path = folder / "told.jsonl"
        self._tell("begin", config)

    def log(self, step, metrics) -> None:
        self._tell("log", {"step": step, **metrics})

    def end(self, summary, files) -> None:
        self._tell("end", {"status": summary["status"], "files": sorted(path.name for path in files)})

    def _tell(self, what: str, said) -> None:
        if what == self.fails:
            raise OSError(f"no {what} today")
        with self.path.open("a") as file:
            file.write(json.dumps([what, said]) + "\n")


SPEC = TrackerSpec(
    name="kept",
    target=f"{__name__}:Kept",
    summary="Keeps everything.",
    options=(Option(name="fails", type=str, default="", help="Where."),),
)
ABSENT = TrackerSpec(
    name="absent",
    target="kptk_absent.nowhere:Nothing",
    summary="Needs what nobody has.",
    needs=("kptk_absent_package",),
    install="kptk-absent[all]",
)


@pytest.fixture(scope="module")
def plugins():
    with temporary_plugins(SPEC, ABSENT) as found:
        yield found


def told(folder: Path) -> list:
    return [json.loads(line) for line in (folder / "trackers/kept/told.jsonl").read_text().splitlines()]


def test_the_three_spellings_say_the_same(plugins, tmp_path) -> None:
    request = Request(
        recipe="contrastive",
        names=tracker_names(["temporary/kept"]),
        settings=(Setting("trackers.kept.fails", "log", text=True),),
    )
    config = resolve(plugins, request)
    assert config.trackers["trackers.kept"].values == {"fails": "log"}
    (tmp_path / "run.toml").write_text(to_toml(config))
    assert "[trackers.kept]" in to_toml(config)
    assert resolve(plugins, from_toml(tmp_path / "run.toml")) == config
    assert resolve(plugins, from_run(tmp_path / "run.toml")).trackers == {}
    assert "--tracker temporary/kept -o trackers.kept.fails=log" in to_command(plugins, config)
    assert "trackers=['temporary/kept'], options={'trackers.kept.fails': 'log'}" in to_python(plugins, config)
    (tmp_path / "short.toml").write_text('recipe = "contrastive"\n[trackers.kept]\n')
    assert resolve(plugins, from_toml(tmp_path / "short.toml")).trackers["trackers.kept"].values == {"fails": ""}
    (tmp_path / "wrong.toml").write_text('[trackers]\nkept = "yes"\n')
    with pytest.raises(UsageError, match=r"Write \[trackers\.kept\]"):
        from_toml(tmp_path / "wrong.toml")


def test_nobody_tracks_by_default(plugins) -> None:
    assert resolve(plugins, Request(recipe="contrastive")).trackers == {}


def test_a_missing_package_is_named_with_the_line_that_installs_it(plugins) -> None:
    done = CliRunner().invoke(cli, ["train", "--plugin", "contrastive", "--tracker", "absent"])
    assert done.exit_code == 2
    assert "needs kptk_absent_package, which is not installed" in done.stderr
    assert "python -m pip install 'kptk-absent[all]'" in done.stderr
    listed = CliRunner().invoke(cli, ["list", "trackers", "--json"]).stdout
    assert {offer["name"] for offer in json.loads(listed)} >= {"kept", "absent"}


def test_an_unknown_tracker_is_refused(plugins) -> None:
    with pytest.raises(UsageError, match=r"no tracker called 'kepd'\. Did you mean 'kept'"):
        resolve(plugins, Request(recipe="contrastive", names=tracker_names(["kepd"])))


def test_an_option_that_a_tracker_refuses_ends_nothing_half_way(plugins) -> None:
    pytest.importorskip("mlflow")
    config = resolve(
        plugins,
        Request(
            recipe="contrastive",
            names=tracker_names(["mlflow"]),
            settings=(Setting("trackers.mlflow.store", "https://tracking.example"),),
        ),
    )
    with pytest.raises(UsageError, match="must be a local folder"):
        Tracking(config.trackers, Reporter())
    with pytest.raises(UsageError, match="Name the tracker as well: --tracker mlflow"):
        resolve(plugins, Request(recipe="contrastive", settings=(Setting("trackers.mlflow.store", "x"),)))


def test_trackers_are_not_imported_unless_named() -> None:
    script = (
        "import sys; from kptk.config import resolve; from kptk.plugins import Plugins; from kptk.request import Request\n"
        "import kptk.training.tracking; resolve(Plugins(), Request(recipe='contrastive'))\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('tensorboard', 'mlflow', 'wandb', 'keras')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Said(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str = "") -> None:
        self.lines.append(text)


@pytest.mark.parametrize("fails", ["begin", "log", "end"])
def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(plugins, tmp_path, fails) -> None:
    said = Said()
    names = tracker_names(["kept"])
    config = resolve(
        plugins, Request(recipe="contrastive", names=names, settings=(Setting("trackers.kept.fails", fails),))
    )
    tracking = Tracking(config.trackers, said)
    with tracking.of(config, RunFolder(tmp_path)):
        tracking.log({"step": 3, "epoch": 1, "loss": None, "seconds": 0.5})
        tracking.log({"step": 6, "epoch": 2, "loss": float("inf"), "seconds": 0.5})
        tracking.end({"status": "healthy"})
    warnings = [line for line in said.lines if "failed and is left out" in line]
    assert len(warnings) == 1
    assert f"no {fails} today" in warnings[0]


def test_what_ends_early_is_told_as_interrupted(plugins, tmp_path) -> None:
    config = resolve(plugins, Request(recipe="contrastive", names=tracker_names(["kept"])))
    tracking = Tracking(config.trackers, Reporter())

    def run() -> None:
        with tracking.of(config, RunFolder(tmp_path)):
            tracking.log({"step": 3, "epoch": 1, "loss": 2.0, "nan": None})
            raise RunError("interrupted after step 3")

    with pytest.raises(RunError, match="interrupted"):
        run()
    assert [what for what, _ in told(tmp_path)] == ["begin", "log", "end"]
    assert told(tmp_path)[1][1] == {"step": 3, "epoch": 1.0, "loss": 2.0}
    assert told(tmp_path)[2][1] == {"status": "interrupted", "files": []}


def test_a_run_and_a_fine_tuning_tell_their_epochs_and_their_end(plugins, tmp_path) -> None:
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.finetune import FineTune

    out = tmp_path / "run"
    made = kptk.train(
        "contrastive", out=out, epochs=2, batch_size=32, trackers=["kept"], options=QUICK, reporter=Reporter()
    )
    begin, *logs, end = told(out)
    assert begin[1]["objective"]["name"] == "contrastive/contrastive"
    assert "trackers.kept" not in begin[1]
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(what, row["step"], row["loss"]) for what, row in logs] == [("log", 2, losses[0]), ("log", 4, losses[1])]
    assert end == ["end", {"status": made.summary["status"], "files": ["config.toml", "report.html", "summary.json"]}]

    request = Request(
        recipe=str(out),
        names={"task": "classification", "strategy": "feature_extraction"} | tracker_names(["kept"]),
        data="mnist10k",
        settings=(Setting("data.limit", 60), Setting("train.epochs", 1)),
    )
    config = resolve_finetune(plugins, request)
    tuned = tmp_path / "tuned"
    FineTune(config, plugins, Reporter()).start(tuned)
    assert [what for what, _ in told(tuned)] == ["begin", "log", "end"]
    again = resolve_finetune(plugins, read(tuned / "config.toml"))
    assert isinstance(again, FineTuneConfig)
    assert again.trackers == config.trackers
