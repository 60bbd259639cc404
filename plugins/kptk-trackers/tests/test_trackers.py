"""What the trackers write is read back by the tools' own readers."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kptk.errors import UsageError

CONFIG = {
    "objective": {"name": "contrastive/contrastive", "temperature": 0.1},
    "train": {"epochs": 2, "warm|up": "a\nb"},
}
EPOCHS = ((10, {"loss": 2.5, "epoch": 1.0}), (20, {"loss": 1.25, "epoch": 2.0}))
SUMMARY = {"status": "healthy", "verdict": "It learned.", "steps": 20, "loss": 1.25, "knn_accuracy": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a tracker in that of a run called ``digits``."""
    folder = tmp_path / "digits" / "trackers" / "tool"
    folder.mkdir(parents=True)
    (tmp_path / "digits" / "summary.json").write_text("{}")
    return folder


def record(tracker, folder: Path, *, interrupted: bool = False) -> None:
    tracker.begin(CONFIG, folder)
    for step, metrics in EPOCHS[: 1 if interrupted else 2]:
        tracker.log(step, metrics)
    if interrupted:
        tracker.end({"status": "interrupted"}, [])
    else:
        tracker.end(SUMMARY, [folder.parents[1] / "summary.json"])


def test_tensorboard_reads_scalars_and_text(folder) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from kptk_trackers.tensorboard import TensorBoard

    record(TensorBoard(), folder, interrupted=True)
    record(TensorBoard(), folder)  # resumed: the first epoch comes twice
    events = EventAccumulator(str(folder))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("loss")]
    assert losses == [(10, 2.5), (10, 2.5), (20, 1.25)]
    texts = {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}
    assert b"| objective.temperature | 0.1 |" in texts["configuration"][0].tensor_proto.string_val[0]
    assert b"a b" in texts["configuration"][0].tensor_proto.string_val[0]
    assert b"| verdict | It learned. |" in texts["result"][-1].tensor_proto.string_val[0]


def test_mlflow_has_the_run_with_params_metrics_and_files(folder, tmp_path, monkeypatch) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    from mlflow import MlflowClient

    from kptk_trackers.mlflow import MLflow

    monkeypatch.chdir(tmp_path)
    record(MLflow(experiment="letters"), folder, interrupted=True)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("letters")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["KILLED"]
    record(MLflow(experiment="letters"), folder)
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "digits")
    assert run.data.params["objective.temperature"] == "0.1"
    assert run.data.params["train.warm_up"] == "a\nb"
    assert run.data.tags["verdict"] == "It learned."
    assert {(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")} == {(10, 2.5), (20, 1.25)}
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["summary.json"]
    assert list(folder.glob("artifacts/*/artifacts/summary.json"))
    assert not (tmp_path / "mlruns").exists()


def test_mlflow_refuses_a_server() -> None:
    from kptk_trackers.mlflow import MLflow

    with pytest.raises(UsageError, match=r"`store` must be a local folder\. Received: 'https://tracking"):
        MLflow(store="https://tracking.example")


def test_wandb_writes_an_offline_run_and_nothing_else(folder, tmp_path) -> None:
    """In a process of its own: the tool leaves a service behind that ends with the process."""
    pytest.importorskip("wandb")
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);\n"
        "import test_trackers as own; from kptk_trackers.wandb import WandB\n"
        "own.record(WandB(project='letters'), Path(sys.argv[1]), interrupted=True)\n"
        "own.record(WandB(project='letters'), Path(sys.argv[1]))\n"
        "import os; assert os.environ['WANDB_MODE'] == 'offline' and os.environ['WANDB_ERROR_REPORTING'] == 'false'\n"
    )
    work = tmp_path / "here"
    work.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
        cwd=work,
        env=os.environ | {"HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert not list(work.iterdir())
    assert not [path for path in home.rglob("*") if path.is_file()]
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({path.name for path in files}) == 1  # one id
    records = [record for path in files for record in read_records(path)]
    history = [
        {item.key or ".".join(item.nested_key): item.value_json for item in found.history.item}
        for found in records
        if found.WhichOneof("record_type") == "history"
    ]
    assert [(row["_step"], row["loss"]) for row in history] == [("10", "2.5"), ("10", "2.5"), ("20", "1.25")]
    runs = [found.run for found in records if found.WhichOneof("record_type") == "run"]
    assert {(run.project, run.display_name) for run in runs} == {("letters", "digits")}
    config = {item.key: item.value_json for run in runs for item in run.config.update}
    assert config["objective.temperature"] == "0.1"
    exits = [found.exit.exit_code for found in records if found.WhichOneof("record_type") == "exit"]
    assert exits == [1, 0]
    assert list(folder.glob("wandb/offline-run-*/files/summary.json"))


def read_records(path: Path):
    """The records of a transaction log of Weights & Biases: LevelDB's log format behind a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    data, block, at, whole = path.read_bytes(), 2**15, 7, b""
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        if block - at % block < 7:  # no room for a header: the block ends in zeros
            at += block - at % block
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a full record, or the last part of one
            found = wandb_internal_pb2.Record()
            found.ParseFromString(whole)
            yield found
            whole = b""
