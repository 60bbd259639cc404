"""Views of several sizes: encoded in a pass for each, in order, by backbones that can."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.errors import UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends
keras = backend.import_keras()

from keras import ops

from kptk.training.features import run_backbone
from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer

RNG = np.random.default_rng(0)


class Mean(Pretrainer):
    """The smallest objective there is: features near 1."""

    def forward_views(self, views, training):
        return {"embeddings": self.encode_views(views, training)}

    def objective_loss(self, outputs, labels):
        return ops.mean((outputs["embeddings"] - 1) ** 2)


def network(last: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    x = {"flatten": keras.layers.Flatten, "average": keras.layers.GlobalAveragePooling2D}[last]()(x)
    return keras.Model(inputs, keras.layers.Dense(5)(x))


def views(*sides: int) -> tuple:
    return tuple(ops.convert_to_tensor(RNG.random((3, side, side, 1)).astype("float32")) for side in sides)


def array(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def test_views_of_two_sizes_are_encoded_in_their_order() -> None:
    model = Mean(network("average"))
    made = views(8, 4, 8, 4)
    together = array(model.encode_views(made, training=False))
    alone = [array(model.encode(view)) for view in made]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=1e-6)


def test_another_size_than_it_was_built_for() -> None:
    backbone = network("average")
    (small,) = views(4)
    free = keras.Sequential([keras.Input((None, None, 1)), *backbone.layers[1:]])
    np.testing.assert_allclose(array(run_backbone(backbone, small, False)), array(free(small)), rtol=1e-6)


def test_a_backbone_of_one_size_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"takes inputs of 8 x 8 x 1 only. Received: views of 4 x 4 x 1.*local_size=0"):
        Mean(network("flatten")).encode_views(views(8, 4), training=False)


class Crops(Preprocessor):
    """Two views, the second at half the size."""

    def call(self, inputs):
        return inputs, inputs[:, ::2, ::2]

    def plain(self, inputs):
        return inputs


def test_trains_on_views_of_two_sizes() -> None:
    model = Mean(network("average"), Crops())
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    x = RNG.random((32, 8, 8, 1)).astype("float32")
    losses = model.fit(x, batch_size=8, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
