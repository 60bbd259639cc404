"""Planted cases: what must not be found is not, and what must be found is, by the verdict that `kptk compare` prints.

    python benchmarks/planted/planted.py chance --repeats 200     # random encoder twice, shuffled labels, and a real gain
    python benchmarks/planted/planted.py leak                     # copies of test rows: data check, evaluate, compare
    python benchmarks/planted/planted.py command                  # a whole comparison on shuffled labels

`chance` makes the cells of many comparisons with tiny networks (frozen features and a kNN vote, labels drawn anew, the better
way chosen on validation rows) and hands them to the code that writes a comparison's summary: means, paired tests, Holm,
sentences. It counts the comparisons whose verdict says that one arm beats another. Finished comparisons are kept in
results.jsonl and not repeated. The other two run the command line itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")  # many small fits: threads would only wait for each other

import numpy as np
from sklearn.datasets import load_digits

from kptk.comparing import ComparisonRequest, resolve_comparison
from kptk.plugins import Plugins
from kptk.training.compare.summary import summarise
from kptk.training.experiment import Cell, Grid, draw

TESTED, SEEDS, LABELS = 500, 5, (1, 5)
WAYS = ("frozen", "knn")
RESULTS = Path(__file__).parent / "results.jsonl"


def configuration(arms: tuple[str, ...]):
    """A comparison of encoders that are there already."""
    request = ComparisonRequest(
        objectives=("contrastive",),
        data="mnist10k",
        values={"labels_per_class": ",".join(map(str, LABELS)), "seeds": SEEDS},
    )
    config = resolve_comparison(Plugins(), request)
    one = config.arms[0]
    made = tuple(replace(one, name=name, ways=WAYS) for name in arms)
    return replace(config, arms=made, baseline=arms[-1])


class Encoders:
    """Features of all rows by tiny networks, trained on other rows or not at all."""

    def __init__(self, images: np.ndarray) -> None:
        from kptk.training import backend

        self.keras = backend.import_keras()
        import kptk

        self.images = images
        self.network = kptk.backbone("example_cnn", input_shape=images.shape[1:], units=16, filters=8)

    def of(self, weights: list[np.ndarray]) -> np.ndarray:
        self.network.set_weights(weights)
        return np.asarray(self.keras.ops.convert_to_numpy(self.network(self.images)))

    def random(self, rng: np.random.Generator) -> np.ndarray:
        """An encoder with the initial weights that Keras draws: Glorot's uniform kernels, no biases."""
        weights = []
        for value in self.network.get_weights():
            if value.ndim == 1:
                weights.append(np.zeros_like(value))
                continue
            space = int(np.prod(value.shape[:-2]))
            limit = np.sqrt(6 / (space * (value.shape[-2] + value.shape[-1])))
            weights.append(rng.uniform(-limit, limit, value.shape).astype("float32"))
        return self.of(weights)

    def trained(self, rows: np.ndarray, labels: np.ndarray, steps: int = 300) -> np.ndarray:
        """An encoder that knows the digits."""
        keras = self.keras
        keras.utils.set_random_seed(0)
        head = keras.layers.Dense(10, name="classes")
        model = keras.Model(self.network.input, head(self.network.output))
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        rng = np.random.default_rng(0)
        for _ in range(steps):
            some = rng.choice(rows, 64)
            model.train_on_batch(self.images[some], labels[some])
        return self.of(self.network.get_weights())


def cells_of(arm: str, table: np.ndarray, data) -> list[Cell]:
    """What the harness makes of an encoder: its own probe and its own vote."""
    from kptk.training.arms import probe
    from kptk.training.probes import knn_accuracy

    frozen = probe(lambda rows: table[rows], data, centre=table[data.pool].mean(axis=0))
    votes = [knn_accuracy(table[data.x], data.y, table[rows], y) for rows, y in (data.validation, data.test)]
    where = {"labels_per_class": data.labels_per_class, "seed": data.seed}
    return [
        Cell(arm=f"{arm}/frozen", validation=frozen.validation, test=frozen.test, **where),
        Cell(arm=f"{arm}/knn", validation=votes[0], test=votes[1], **where),
    ]


def comparison(arms: dict[str, object], y: np.ndarray, repeat: int) -> dict:
    """One comparison's summary; each arm gives the features for a generator of random numbers."""
    config = configuration(tuple(arms))
    config = replace(config, values={**config.values, "first_seed": SEEDS * repeat})
    rng = np.random.default_rng([7, repeat])
    order = rng.permutation(len(y))
    test, rest = order[:TESTED], order[TESTED:]
    with tempfile.TemporaryDirectory() as folder:
        grid = Grid(Path(folder) / "cells.jsonl")
        for seed in config.seeds:
            tables = {
                name: make(np.random.default_rng([seed, number])) for number, (name, make) in enumerate(arms.items())
            }
            for labels in LABELS:
                data = draw(
                    rest,
                    y[rest],
                    seed=seed,
                    labels_per_class=labels,
                    test_rows=0,
                    validation_per_class=10,
                    test=(test, y[test]),
                )
                for name, table in tables.items():
                    grid.cells += cells_of(name, table, data)
        return summarise(config, grid, TESTED)


def said_so(summary: dict) -> bool:
    """Whether the verdict in words claims a difference."""
    return any(" beats " in sentence or " falls behind " in sentence for sentence in summary["verdicts"])


def cases(encoders: Encoders, y: np.ndarray, repeats: int) -> dict[str, tuple[dict, bool, int]]:
    """The encoders of each case, whether its labels are shuffled, and how often it is repeated."""
    known = encoders.trained(np.arange(len(y)), y)
    pair = {"first": lambda rng: known, "second": encoders.random}
    return {
        "random encoder twice": ({"first": encoders.random, "second": encoders.random}, False, repeats),
        "trained and random, shuffled labels": (pair, True, repeats),
        "trained and random, true labels": (pair, False, max(repeats // 10, 1)),
    }


def chance(repeats: int) -> None:
    """Make the comparisons that are missing, the cases in turn, and print the shares."""
    digits = load_digits()
    y = digits.target.astype(np.int64)
    made = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    done = {(row["case"], row["repeat"]) for row in made}
    every = cases(Encoders((digits.images / 16).astype("float32")[..., None]), y, repeats)
    for repeat in range(repeats):
        for name, (arms, shuffled, count) in every.items():
            if repeat < count and (name, repeat) not in done:
                labels = np.random.default_rng([8, repeat]).permutation(y) if shuffled else y
                row = {"case": name, "repeat": repeat, "claims": said_so(comparison(arms, labels, repeat))}
                made.append(row)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    print(shares(made))


def shares(made: list[dict]) -> str:
    """A Markdown table of how often each case claims a difference."""
    lines = [
        "| case | comparisons | claim a difference | share | 95 % interval |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name in dict.fromkeys(row["case"] for row in made):
        claims = [row["claims"] for row in made if row["case"] == name]
        low, high = interval(sum(claims), len(claims))
        share = sum(claims) / len(claims)
        lines.append(f"| {name} | {len(claims)} | {sum(claims)} | {share:.1%} | {low:.1%} to {high:.1%} |")
    return "\n".join(lines)


def interval(found: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    from scipy import stats

    low = stats.beta.ppf(0.025, found, of - found + 1) if found else 0.0
    high = stats.beta.ppf(0.975, found + 1, of - found) if found < of else 1.0
    return float(low), float(high)


def kptk(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "kptk", *words], capture_output=True, text=True, check=False)


def digits_file(folder: Path, *, copies: int = 0, shuffle: bool = False) -> Path:
    """The digits with a test part; some of its rows are copies of rows to learn from."""
    digits = load_digits()
    x = (digits.images * 15).astype("uint8").repeat(2, 1).repeat(2, 2)[..., None]
    y = digits.target
    order = np.random.default_rng(0).permutation(len(y))
    test, train = order[:400], order[400:]
    if shuffle:
        y = np.random.default_rng(1).permutation(y)
    path = folder / "digits.npz"
    x_test, y_test = x[test].copy(), y[test].copy()
    if copies:
        x_test[:copies], y_test[:copies] = x[train[:copies]], y[train[:copies]]
    np.savez(path, x_train=x[train], y_train=y[train], x_test=x_test, y_test=y_test)
    return path


def leak(copies: int = 37) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = str(digits_file(folder, copies=copies))
        clean = folder / "clean"
        clean.mkdir()
        without = str(digits_file(clean))
        tiny = ("-o", "backbone.units=8", "-o", "objective.hidden_dim=8")
        run = str(folder / "run")
        trained = kptk(
            "train",
            "--plugin",
            "contrastive",
            "--data",
            data,
            "--epochs",
            "1",
            "--batch-size",
            "64",
            "--out",
            run,
            *tiny,
        )
        assert trained.returncode == 0, trained.stderr
        for title, words in (
            ("data check, planted", ("data", "check", data)),
            ("data check, clean", ("data", "check", without)),
            ("evaluate, planted", ("evaluate", run, "--data", data, "--protocols", "knn")),
            (
                "compare, planted",
                (
                    "compare",
                    "--objectives",
                    "contrastive",
                    "--data",
                    data,
                    "--budget",
                    "2steps",
                    "--seeds",
                    "1",
                    "--labels-per-class",
                    "1",
                    "--batch-size",
                    "64",
                    "--finetune-steps",
                    "3",
                    "--out",
                    str(folder / "compared"),
                    *tiny,
                ),
            ),
        ):
            done = kptk(*words)
            text = f"{done.stdout}\n{done.stderr}"
            lines = [
                " ".join(line.split()) for line in text.splitlines() if "cop" in line.lower() or "leak" in line.lower()
            ]
            print(f"{title}: exit {done.returncode}")
            for line in lines or ["(nothing said of copies)"]:
                print(f"    {line}")


def command(seeds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = str(digits_file(folder, shuffle=True))
        done = kptk(
            "compare",
            "--objectives",
            "contrastive,supervised",
            "--data",
            data,
            "--budget",
            "60steps",
            "--seeds",
            str(seeds),
            "--labels-per-class",
            "1,5",
            "--batch-size",
            "64",
            "--finetune-steps",
            "30",
            "--split",
            "seed",
            "--out",
            str(folder / "compared"),
            "--json",
            "--quiet",
        )
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        print("\n".join([*summary["verdicts"], *summary["guidance"]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("chance", "leak", "command"))
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="The number of unique classes is greater")
    {"chance": lambda: chance(options.repeats), "leak": leak, "command": lambda: command(options.seeds)}[options.what]()


if __name__ == "__main__":
    main()
