"""Two networks in one model whose weights have the same paths train as two whose paths differ."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

from kptk.training.pretrainer import Pretrainer
from kptk.training.tensors import unit_length

ROWS = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")


def network(width: int, layer: str, name: str) -> keras.Model:
    inputs = keras.Input((width,))
    return keras.Model(inputs, keras.layers.Dense(3, activation="tanh", name=layer)(inputs), name=name)


@keras.saving.register_keras_serializable(package="tests")
class Towards(Pretrainer):
    """Two networks behind the backbone must give what a fixed rule says."""

    def __init__(self, backbone, layers: tuple[str, str]) -> None:
        super().__init__(backbone)
        self.behind = [network(3, layer, f"behind_{layer}") for layer in layers]  # PyTorch does not look into lists

    def forward_views(self, views, training):
        first, second = self.behind
        return {"out": second(first(self.encode(views[0], training))), "wanted": unit_length(views[0][:, :3])}

    def objective_loss(self, outputs, labels):
        del labels
        return ops.mean(ops.square(outputs["out"] - outputs["wanted"]))

    def chance_loss(self, batch_size):
        return 1.0


def losses(*layers: str) -> tuple[set[str], list[float]]:
    rng = np.random.default_rng(1)
    model = Towards(network(4, "dense", "backbone"), layers)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape).astype("float32"))
    model.compile(optimizer=keras.optimizers.SGD(0.2))
    found = model.fit(ROWS, batch_size=32, epochs=8, verbose=0, shuffle=False).history["loss"]
    return {weight.path for weight in model.trainable_weights}, found


def test_same_paths_train_as_different_ones() -> None:
    same, colliding = losses("same", "same")
    different, apart = losses("same", "other")
    assert (len(same), len(different)) == (4, 6)  # else this would try nothing
    np.testing.assert_allclose(colliding, apart, rtol=1e-5)
    assert apart[-1] < apart[0]
