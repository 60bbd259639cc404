"""The registry of runs: what it finds, in whatever state, and what it refuses to touch. No Keras."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from kptk import figures, registry
from kptk.cli.main import cli
from kptk.errors import InputError, UsageError
from kptk.runfolder import RunFolder

CONFIG = """recipe = "contrastive/contrastive"
[objective]
name = "contrastive/contrastive"
temperature = {temperature}
[backbone]
name = "vision/example_cnn"
[data]
name = "vision/mnist10k"
[train]
seed = {seed}
"""


def make(root: Path, name: str, *, temperature=0.5, seed=0, fingerprint="f", age=0, **figures) -> Path:
    environment = {
        "kptk": "0.1.0",
        "backend": "tensorflow",
        "seed": seed,
        "packages": {"keras": "3.15.1"},
        "data": {"fingerprint": fingerprint},
        "platform": f"machine-{name}",
    }
    folder = RunFolder.create(root / name, CONFIG.format(temperature=temperature, seed=seed), environment)
    folder.write("metrics.jsonl", json.dumps({"epoch": 1, "loss": 3.5, "seconds": 2.0}) + "\n")
    if figures:
        folder.write("summary.json", json.dumps({"status": "healthy", "verdict": "It learned.", **figures}))
    then = time.time() - age
    os.utime(folder.path / "config.toml", (then, then))
    return folder.path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    make(root, "old", age=100, knn_accuracy=0.9, loss=2.0, test={"accuracy": 0.7})
    make(root, "deep/er/new", age=10, knn_accuracy=0.95, loss=2.5, temperature=0.2, seed=1)
    make(root, "half", age=50)
    return root


def run(*words: str, **options):
    return CliRunner().invoke(cli, ["runs", *words], **options)


def test_runs_are_found_newest_first_wherever_they_lie(root: Path) -> None:
    records = registry.scan(root)
    assert [(r.name, r.kind, r.status) for r in records] == [
        ("deep/er/new", "train", "healthy"),
        ("half", "train", "unfinished"),
        ("old", "train", "healthy"),
    ]
    assert records[0].what == "contrastive/contrastive, vision/example_cnn"
    assert records[0].data == "vision/mnist10k"


def test_what_is_no_run_is_not_listed(root: Path, tmp_path: Path) -> None:
    (root / "foreign").mkdir()
    (root / "foreign/config.toml").write_text("[tool]\nx = 1\n")  # another program's
    (root / ".building-x1").mkdir()  # a run that is just being made
    for name in ("config.toml", "environment.json", "metrics.jsonl"):
        (root / ".building-x1" / name).touch()
    (root / "link").symlink_to(root / "old")
    (root / "notes.txt").write_text("x")
    assert [record.name for record in registry.scan(root)] == ["deep/er/new", "half", "old"]
    with pytest.raises(InputError, match="foreign is not a run folder"):
        registry.find(root, str(root / "foreign"))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.toml", "[objective\n", "config.toml cannot be read"),
        ("config.toml", "x = 1\n", "config.toml names no objective"),
        ("summary.json", '{"status": "hea', "summary.json cannot be read"),
        ("summary.json", "[1, 2]", "summary.json holds no table"),
        ("environment.json", "\udcff".encode("utf-8", "surrogateescape"), "environment.json cannot be read"),
    ],
)
def test_a_broken_run_is_listed_with_what_is_wrong(root: Path, file: str, content: str | bytes, said: str) -> None:
    path = root / "old" / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    record = registry.find(root, "old")
    assert record.status == "broken"
    assert said in record.problem
    listed = run("list", "--root", str(root))
    assert listed.exit_code == 0
    assert said in listed.stderr
    assert "deep/er/new" in listed.stdout
    assert run("show", "old", "--root", str(root)).exit_code == 0


def test_odd_types_in_a_config_do_not_break_the_list(root: Path) -> None:
    (root / "old/config.toml").write_text("objective = 3\ndata = [1]\n")
    (root / "old/environment.json").write_text('{"data": 7}')
    assert run("list", "--root", str(root)).exit_code == 0
    assert run("best", "--by", "knn_accuracy", "--root", str(root)).exit_code == 0
    assert run("diff", "old", "half", "--root", str(root)).exit_code == 0


def test_a_log_that_was_cut_off_counts_up_to_there(root: Path) -> None:
    with (root / "half/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "los')
    assert registry.find(root, "half").last["epoch"] == 1


def test_names_are_paths_or_unique_ends(root: Path) -> None:
    assert registry.find(root, "new").path == root / "deep/er/new"
    assert registry.find("elsewhere", str(root / "old")).path == root / "old"
    with pytest.raises(InputError, match=r"no run 'olt' in .* Did you mean 'old'"):
        registry.find(root, "olt")
    make(root, "other/new")
    with pytest.raises(UsageError, match="'new' is the name of 2 runs"):
        registry.find(root, "new")


def test_the_best_is_the_highest_accuracy_and_the_lowest_loss(root: Path) -> None:
    records = registry.scan(root)
    assert [(r.name, v) for r, v in figures.best(records, "knn_accuracy")] == [("deep/er/new", 0.95), ("old", 0.9)]
    # The unfinished run has a last epoch, so it takes part.
    assert [r.name for r, _ in figures.best(records, "loss")] == ["old", "deep/er/new", "half"]
    assert [r.name for r, _ in figures.best(records, "loss", lowest=False)] == ["half", "deep/er/new", "old"]
    assert [r.name for r, _ in figures.best(records, "accuracy")] == ["old"]  # the end of test.accuracy
    with pytest.raises(UsageError, match="Did you mean 'knn_accuracy'"):
        figures.best(records, "knn_acuracy")


def test_which_end_of_a_metric_is_good() -> None:
    for metric in ("loss", "test.rmse", "chance_loss", "seconds", "val_mae"):
        assert figures.lower_is_better(metric)
    for metric in ("knn_accuracy", "test.accuracy", "effective_rank", "f1", "test.r2", "closs_score"):
        assert not figures.lower_is_better(metric)


def test_a_name_of_two_figures_is_refused(root: Path) -> None:
    make(root, "both", test={"accuracy": 0.1}, validation={"accuracy": 0.2})
    with pytest.raises(UsageError, match=r"can mean test\.accuracy, validation\.accuracy"):
        figures.best(registry.scan(root), "accuracy")


def test_runs_on_different_data_are_not_ranked_silently(root: Path) -> None:
    assert "different data" not in run("best", "--by", "knn_accuracy", "--root", str(root)).stderr
    make(root, "elsewhere", fingerprint="g", knn_accuracy=0.99)
    assert "different data" in run("best", "--by", "knn_accuracy", "--root", str(root)).stderr


def test_diff_shows_configuration_versions_and_results(root: Path) -> None:
    done = run("diff", "old", "new", "--root", str(root), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["configuration"] == [
        {"key": "objective.temperature", "first": 0.5, "second": 0.2},
        {"key": "train.seed", "first": 0, "second": 1},
    ]
    assert found["environment"] == [{"key": "seed", "first": 0, "second": 1}]  # the machine's name is no matter
    results = {row["key"]: (row["first"], row["second"]) for row in found["results"]}
    assert results["knn_accuracy"] == (0.9, 0.95)
    assert results["test.accuracy"] == (0.7, None)
    text = run("diff", "old", "new", "--root", str(root)).stdout
    assert "knn_accuracy\t0.9\t0.95\t+0.05" in text
    assert "The same configuration." in run("diff", "old", "half", "--root", str(root)).stdout


def test_show_says_how_to_go_on(root: Path) -> None:
    text = run("show", "half", "--root", str(root)).stdout
    assert f"kptk train --resume {root / 'half'}" in text
    shown = json.loads(run("show", "old", "--root", str(root), "--json").stdout)
    assert shown["figures"]["test.accuracy"] == 0.7
    assert shown["files"]["summary.json"] > 0


def test_rm_asks_and_deletes_whole_folders(root: Path) -> None:
    kept = run("rm", "old", "--root", str(root), input="n\n")
    assert kept.exit_code == 0 and "Kept" in kept.stdout
    assert (root / "old").exists()
    assert run("rm", "old", "--root", str(root), input="").exit_code == 1  # no answer is no yes
    assert (root / "old").exists()
    assert run("rm", "old", "new", "--yes", "--root", str(root)).exit_code == 0
    assert [record.name for record in registry.scan(root)] == ["half"]
    assert {entry.name for entry in root.iterdir()} == {"half", "deep"}


def test_rm_deletes_nothing_if_one_name_is_wrong(root: Path) -> None:
    done = run("rm", "old", "nope", "--yes", "--root", str(root))
    assert done.exit_code == 2
    assert (root / "old").exists()


def test_rm_refuses_everything_but_run_folders(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious = root / "precious"
    precious.mkdir()
    (precious / "config.toml").write_text("x = 1")
    (root / "link").symlink_to(root / "old")
    for name in (str(precious), str(root), str(root / "link"), str(root / "old/config.toml")):
        assert run("rm", name, "--yes", "--root", str(root)).exit_code == 2, name
    make(root / "old", "inner")
    done = run("rm", "old", "--yes", "--root", str(root))
    assert done.exit_code == 2 and "holds another run" in done.stderr
    monkeypatch.chdir(root / "half")
    done = run("rm", "half", "--yes", "--root", str(root))
    assert done.exit_code == 2 and "the folder you are in" in done.stderr
    assert {"precious", "link", "old", "half", "deep"} == {entry.name for entry in root.iterdir()}


def test_an_absent_or_empty_root_is_said(tmp_path: Path) -> None:
    absent = run("list", "--root", str(tmp_path / "none"))
    assert absent.exit_code == 2 and "no folder at" in absent.stderr
    empty = run("list", "--root", str(tmp_path))
    assert empty.exit_code == 0 and "No run in" in empty.stderr


def test_runs_need_no_keras(root: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from click.testing import CliRunner; from kptk.cli.main import cli\n"
        f"assert CliRunner().invoke(cli, ['runs', 'list', '--root', {str(root)!r}]).exit_code == 0\n"
        "print([name for name in ('keras', 'numpy', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
