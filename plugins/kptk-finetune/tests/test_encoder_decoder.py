"""The decoder on a pre-trained encoder: what it is built of, what trains when, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import kptk
from kptk.errors import UsageError
from kptk.training import backend

pytestmark = pytest.mark.backends


def masks(x: np.ndarray) -> np.ndarray:
    return (x[..., 0] > 100).astype("int32")


def test_trains_the_decoder_then_everything_but_what_it_does_not_use(backbone, rows) -> None:
    keras = backend.import_keras()
    keras.utils.set_random_seed(0)
    x, _ = rows
    model = kptk.finetune("encoder_decoder", backbone, task="segmentation", class_names=("dark", "bright"), filters=4)
    assert model.network.output_shape == (None, 8, 8, 4)
    copies = []

    def copy() -> None:
        backend.sync_state(watch.model)
        copies.append(
            {v.path: np.array(keras.ops.convert_to_numpy(v.value)) for v in model.variables if "seed" not in v.path}
        )

    watch = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: copy(), on_train_end=lambda logs: copy())
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(x, masks(x), epochs=6, batch_size=16, verbose=0, callbacks=[watch])
    moved = [{path for path in a if not np.array_equal(a[path], b[path])} for a, b in (copies[:2], copies[2:])]
    encoder = {
        "low/kernel",
        "low/bias",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "high/kernel",
        "high/bias",
    }
    assert not moved[0] & encoder and any("decoder0_2" in path for path in moved[0])
    assert encoder - {"low/bias"} <= moved[1]
    assert not any(path.startswith("top/") for path in moved[0] | moved[1])  # not on the way to the map
    assert history.history["loss"][-1] < history.history["loss"][0]
    predictions = keras.ops.convert_to_numpy(model.predictions(x))
    assert predictions.shape == (48, 8, 8, 2)


def test_refuses_what_does_not_fit(backbone) -> None:
    keras = backend.import_keras()
    with pytest.raises(UsageError, match="tasks that take a map"):
        kptk.finetune("encoder_decoder", backbone, num_classes=3)
    with pytest.raises(UsageError, match="needs a backbone that returns a map"):
        kptk.finetune("weight", backbone, task="segmentation", class_names=("a", "b"))
    with pytest.raises(UsageError, match="must be off"):
        kptk.finetune("encoder_decoder", backbone, task="segmentation", class_names=("a", "b"), augment=True)
    flat = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    with pytest.raises(UsageError, match=r"maps of several sizes|functional backbone"):
        kptk.finetune("encoder_decoder", flat, task="segmentation", class_names=("a", "b"))
