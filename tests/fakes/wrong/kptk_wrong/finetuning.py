"""A good task and a good strategy, and others that each break one rule."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from kptk.training.phases import Phase
from kptk.training.strategy import Strategy
from kptk.training.task import Task

register = keras.saving.register_keras_serializable(package="kptk_wrong")


@register
class GoodTask(Task):
    """Nearest to classification.

    Args:
        class_names: names.
        row_shape: shape of a row.
    """

    metric = "accuracy"

    def build(self, input_shape):
        self.head = keras.layers.Dense(len(self.class_names), dtype="float32")
        self.head.build(input_shape)
        self.built = True

    def call(self, features, training=False):
        return self.head(ops.cast(features, "float32"))

    def known(self, labels):
        return ops.reshape(labels, (-1,)) >= 0

    def row_loss(self, labels, outputs):
        labels = ops.maximum(ops.cast(ops.reshape(labels, (-1,)), "int32"), 0)
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)

    def activate(self, outputs):
        return ops.softmax(outputs)

    def targets(self, source):
        return self.class_numbers(source)

    def score(self, labels, predictions):
        return {"accuracy": float((predictions.argmax(axis=-1) == labels).mean())}

    def columns(self, predictions):
        return {"prediction": np.array(self.class_names)[predictions.argmax(axis=-1)]}


@register
class CountsMissing(GoodTask):
    def loss(self, labels, outputs, weights=None):
        return ops.mean(self.row_loss(labels, outputs))


@register
class ShortColumns(GoodTask):
    def columns(self, predictions):
        return {"prediction": predictions.argmax(axis=-1)[:-1]}


@register
class OtherMetric(GoodTask):
    def score(self, labels, predictions):
        return {"error": 1 - super().score(labels, predictions)["accuracy"]}


@register
class TurnsNames(GoodTask):
    def get_config(self):
        return {**super().get_config(), "class_names": list(self.class_names)[::-1]}


@register
class DeafTask(GoodTask):
    def row_loss(self, labels, outputs):
        return 1.0 + 0.0 * super().row_loss(labels, outputs)


@register
class GoodWay(Strategy):
    """The head alone.

    Args:
        backbone: the network.
        task: the head.
        preprocessor: prepares inputs.
        augment: random views.
    """

    def __init__(self, backbone, task, preprocessor=None, *, augment=False, **kwargs):
        super().__init__(backbone, task, preprocessor, augment=augment, **kwargs)

    def phases(self):
        return (Phase(name="head", weights=self.head_weights()),)


@register
class Thaws(GoodWay):
    def freeze(self, phase):
        super().freeze(phase)
        for variable in self.tunable:
            variable.trainable = True


@register
class Idle(GoodWay):
    def learning_rate(self, phase, peak, steps):
        return 0.0
