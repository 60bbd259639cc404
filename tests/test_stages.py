"""How a training is divided into stages, and what the base class does with a stage's weights."""

from __future__ import annotations

import pytest

from kptk.errors import UsageError
from kptk.training import backend

keras = backend.import_keras()

import numpy as np

import kptk
from kptk.training.stages import share


@pytest.mark.parametrize(
    ("epochs", "stages", "wanted"),
    [(10, 1, [0, 10]), (10, 3, [0, 3, 6, 10]), (3, 3, [0, 1, 2, 3]), (7, 2, [0, 3, 7])],
)
def test_epochs_are_shared_evenly(epochs: int, stages: int, wanted: list[int]) -> None:
    assert share(epochs, stages) == wanted


def test_fewer_epochs_than_stages_are_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"3 stages, .* Received: 2 in all. Use --epochs 3 or more"):
        share(2, 3)


def test_a_usual_objective_has_one_stage_and_plain_fit() -> None:
    model = kptk.objective("contrastive", backbone=kptk.backbone("example_cnn", input_shape=(8, 8, 1), units=4))
    assert model.stages == 1
    assert model.stage_weights(0) == model.trainable_weights
    optimizer = keras.optimizers.SGD(0.01)
    model.compile(optimizer=optimizer, run_eagerly=True)
    model.fit(np.zeros((8, 8, 8, 1), "uint8"), batch_size=4, verbose=0)
    assert model.optimizer is optimizer
    assert model.stage is None


def test_a_run_with_fewer_epochs_than_stages_is_refused(tmp_path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype("uint8")
    np.savez(tmp_path / "images.npz", x=images)
    options = {"depth": 4, "units": 4, "probe.data": ""}
    with pytest.raises(UsageError, match="4 stages"):
        kptk.train("layerwise", data=str(tmp_path / "images.npz"), epochs=3, batch_size=8, options=options)
