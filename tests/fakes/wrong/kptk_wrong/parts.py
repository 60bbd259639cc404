"""Backbones, views and data: the good ones, and others that each break one rule."""

from __future__ import annotations

import time

import keras
import numpy as np
from keras import ops

from kptk.data import ArraySource
from kptk.training.preprocessor import Preprocessor

register = keras.saving.register_keras_serializable(package="kptk_wrong")
CLASSES = ("a", "b")


def _net(inputs, layer=None):
    x = keras.layers.GlobalAveragePooling2D()(layer(inputs) if layer else inputs)
    return keras.Model(inputs, x)


def good_net(input_shape):
    """Build a network."""
    return _net(keras.Input(input_shape))


def fixed_batch(input_shape):
    """Build a network for batches of one length."""
    return _net(keras.Input(batch_shape=(3, *input_shape)))


def not_finite(input_shape):
    """Build a network whose features are NaN."""
    return _net(keras.Input(input_shape), keras.layers.Rescaling(float("nan")))


@register
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def own_layer(input_shape):
    """Build a network with a layer of the plugin."""
    return _net(keras.Input(input_shape), Twice())


def rank_three(input_shape):
    """Build a network that returns a sequence and says a vector."""
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Reshape((-1, input_shape[-1]))(inputs))


@register
class GoodViews(Preprocessor):
    """Noise.

    Args:
        stddev: of the noise.
    """

    def __init__(self, *, views=2, stddev=0.1, seed=None, **kwargs):
        super().__init__(views=views, seed=seed, **kwargs)
        self.stddev = stddev

    def call(self, inputs):
        plain = self.plain(inputs)
        noise = (keras.random.normal(ops.shape(plain), seed=self.seed_generator) for _ in range(self.views))
        return tuple(plain + self.stddev * one for one in noise)

    def plain(self, inputs):
        return ops.cast(inputs, "float32") / 255.0

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev}


@register
class OneTooMany(GoodViews):
    def call(self, inputs):
        views = super().call(inputs)
        return (*views, views[0])


@register
class WrongShape(GoodViews):
    def call(self, inputs):
        return tuple(view[:, 0] for view in super().call(inputs))


@register
class RandomPlain(GoodViews):
    def plain(self, inputs):
        plain = super().plain(inputs)
        return plain + keras.random.normal(ops.shape(plain), seed=self.seed_generator)


@register
class SameViews(GoodViews):
    def call(self, inputs):
        return (super().call(inputs)[0],) * self.views


@register
class UnseededViews(GoodViews):
    def call(self, inputs):
        return tuple(view + (time.perf_counter_ns() % 1009) / 1009 for view in super().call(inputs))


@register
class ForgetfulViews(GoodViews):
    def get_config(self):
        config = super().get_config()
        del config["stddev"]
        return config


class UnregisteredViews(GoodViews):
    pass


@register
class NumpyViews(GoodViews):
    def call(self, inputs):
        return tuple(ops.convert_to_tensor(ops.convert_to_numpy(view)) for view in super().call(inputs))


@keras.saving.register_keras_serializable(package="kptk_wrong")
class FitsUnsaid(GoodViews):
    fits = True


def _rows(count=8, labels=(0, 1), **options):
    x = np.arange(count * 48).reshape(count, 4, 4, 3).astype("uint8")
    return ArraySource(x, np.resize(labels, count), class_names=CLASSES, **options)


def good_rows():
    """Open the rows."""
    return _rows()


def not_a_source():
    """Return an array."""
    return np.zeros((8, 4, 4, 3))


def too_few():
    """Open seven rows of eight."""
    return _rows(7)


def wrong_rows():
    """Open rows whose shape is another than they say."""
    source = _rows()
    source.row_shape = (5, 5, 3)
    return source


def nameless_class():
    """Open rows of a class that has no name."""
    return _rows(labels=(0, 2))


def new_every_time():
    """Open rows that change."""
    source = _rows()
    source.fingerprint = lambda: str(time.perf_counter_ns())
    return source
