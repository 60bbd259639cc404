"""The share of a run that is waited for data: seen with slow rows, nothing with fast ones."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from kptk.data import ArraySource
from kptk.training import backend

keras = backend.import_keras()

from kptk.training.feeding import steady
from kptk.training.stream import batches
from kptk.training.waiting import WaitClock, waiting_share, waiting_words

pytestmark = pytest.mark.backends


class Slow(ArraySource):
    def read(self, rows):
        time.sleep(0.15)
        return super().read(rows)


class LazyStep(keras.callbacks.Callback):
    """A step that takes its time."""

    # Before the clock notes that the step is over: backends read the next batch sooner or later after that.
    def on_train_batch_end(self, batch, logs=None) -> None:
        time.sleep(0.05)


def waited(kind: type[ArraySource], *callbacks) -> tuple[float, float]:
    """Seconds waited, and seconds of the epoch, of 12 steps after the first one has compiled everything."""
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=lambda y, p: keras.ops.mean(keras.ops.square(p), axis=-1))
    source = kind(np.zeros((128, 4), "float32"), targets=np.zeros((128, 1), "float32"))
    clock = WaitClock(0, 4)
    began, spent, seconds = 0.0, 0.0, 0.0

    class Epochs(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            nonlocal began
            began = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None) -> None:
            nonlocal spent, seconds
            if epoch:
                spent += clock.waited
                seconds += time.perf_counter() - began

    stream = batches(source, 32, 0, 0, 16, targets=source.targets)
    model.fit(
        steady(clock.watched(stream)),
        steps_per_epoch=4,
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, clock, Epochs()],
    )
    return spent, seconds


def test_slow_rows_are_waited_for_and_fast_ones_are_not() -> None:
    spent, seconds = waited(Slow)
    assert spent > 0.4 * seconds
    # On a crowded machine the thread that reads ahead may come too late for once.
    shares = (spent / seconds for spent, seconds in (waited(ArraySource, LazyStep()) for _ in range(4)))
    assert any(share < 0.3 for share in shares)


def test_the_share_of_a_log() -> None:
    assert waiting_share([]) is None
    assert waiting_share([{"seconds": 4.0}]) is None  # of a kptk that did not measure it
    assert waiting_share([{"seconds": 4.0, "waited": 1.0}, {"seconds": 4.0, "waited": 3.0}]) == 0.5
    assert "data.cache" in waiting_words(0.5)
    assert waiting_words(0.01) == "1 % of the time was spent waiting for data."
    assert waiting_words(None) == ""


def test_a_run_says_it_and_keeps_it(tmp_path) -> None:
    import kptk
    from kptk.training.reporter import Reporter

    said: list[str] = []

    class Kept(Reporter):
        def line(self, text: str) -> None:
            said.append(text)

    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).integers(0, 256, (64, 8, 8)).astype("uint8"))
    options = {"backbone.units": 8, "train.epochs": 2, "train.batch_size": 32}
    run = kptk.train(
        "contrastive",
        data=str(tmp_path / "x.npz"),
        backbone="example_cnn",
        out=tmp_path / "run",
        options=options,
        reporter=Kept(),
    )
    assert any("of the time was spent waiting for data" in line for line in said)
    assert 0 <= run.summary["waiting_for_data"] <= 1
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert all(0 <= record["waited"] <= record["seconds"] for record in records)
