"""A small pre-trained backbone and easy rows."""

from __future__ import annotations

import numpy as np
import pytest

from kptk.training import backend


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(48) % 3
    x = rng.integers(0, 100, (48, 8, 8, 1)) + (y * 70)[:, None, None, None]
    return x.clip(0, 255).astype("uint8"), y


@pytest.fixture
def backbone():
    keras = backend.import_keras()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", name="low")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(6, 3, strides=2, name="high")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(5, name="top")(x)
    model = keras.Model(inputs, x, name="tiny")
    model.get_layer("norm").moving_mean.assign(np.array([0.1, -0.2, 0.3, 0.0], "float32"))
    return model
