"""A good objective, and others that each break one rule."""

from __future__ import annotations

import time

import keras
from keras import ops

from kptk.training.pretrainer import Pretrainer
from kptk.training.tensors import unit_length

register = keras.saving.register_keras_serializable(package="kptk_wrong")


@register
class Good(Pretrainer):
    """Alignment and uniformity.

    Args:
        backbone: the network.
        views: two views.
        scale: scale of the loss.
    """

    def __init__(self, backbone, views=None, *, scale=1.0, **kwargs):
        super().__init__(backbone, views, **kwargs)
        self.scale = scale
        self.projector = keras.layers.Dense(8)
        self.projector.build((None, self.feature_dim))

    def forward_views(self, views, training):
        return {"embeddings": unit_length(ops.cast(self.projector(self.encode_views(views, training)), "float32"))}

    def objective_loss(self, outputs, labels):
        z0, z1 = ops.split(outputs["embeddings"], 2, axis=0)
        near = ops.mean(ops.sum(ops.square(z0 - z1), axis=-1))
        spread = ops.mean(ops.exp(4 * (ops.matmul(z0, ops.transpose(z1)) - 1)))
        return self.scale * (near + ops.log(spread))

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@register
class ForgetsConfig(Good):
    __doc__ = Good.__doc__

    def get_config(self):
        config = super().get_config()
        del config["scale"]
        return config


class Unregistered(Good):
    __doc__ = Good.__doc__


@keras.saving.register_keras_serializable(package="kptk_somebody_else")
class OtherPackage(Good):
    __doc__ = Good.__doc__


@register
class LateWeights(Good):
    __doc__ = Good.__doc__

    def __init__(self, backbone, views=None, *, scale=1.0, **kwargs):
        super().__init__(backbone, views, scale=scale, **kwargs)
        self.late = keras.layers.Dense(8)

    def forward_views(self, views, training):
        return {"embeddings": self.late(super().forward_views(views, training)["embeddings"])}


@register
class NotJittable(Good):
    __doc__ = Good.__doc__

    def objective_loss(self, outputs, labels):
        return super().objective_loss(outputs, labels) * float(ops.convert_to_numpy(outputs["embeddings"])[0, 0])


@register
class HalfPrecision(Good):
    __doc__ = Good.__doc__

    def objective_loss(self, outputs, labels):
        return ops.cast(super().objective_loss(outputs, labels), self.compute_dtype)


@register
class EvenBatches(Good):
    __doc__ = Good.__doc__

    def objective_loss(self, outputs, labels):
        pairs = ops.reshape(outputs["embeddings"], (4, -1, 8))
        return super().objective_loss({"embeddings": ops.reshape(pairs, (-1, 8))}, labels)


@register
class InfiniteLoss(Good):
    __doc__ = Good.__doc__

    def objective_loss(self, outputs, labels):
        return super().objective_loss(outputs, labels) - ops.log(0.0 * ops.sum(outputs["embeddings"]))


@register
class DeadWeight(Good):
    __doc__ = Good.__doc__

    def __init__(self, backbone, views=None, *, scale=1.0, **kwargs):
        super().__init__(backbone, views, scale=scale, **kwargs)
        self.unused = keras.layers.Dense(2)
        self.unused.build((None, 2))


@register
class NeverLearns(Good):
    __doc__ = Good.__doc__

    def objective_loss(self, outputs, labels):
        loss = super().objective_loss(outputs, labels)
        return ops.stop_gradient(loss) + 0.0 * loss


@register
class Unseeded(Good):
    __doc__ = Good.__doc__

    def objective_loss(self, outputs, labels):
        return super().objective_loss(outputs, labels) + (time.perf_counter_ns() % 1009) / 1009


@register
class TakesAnything(Good):
    __doc__ = Good.__doc__

    def __init__(self, backbone, views=None, *, scale=1.0, **kwargs):
        kwargs.pop("no_such_option", None)
        super().__init__(backbone, views, scale=scale, **kwargs)


@register
class Undocumented(Good):
    """Says nothing of its options."""


class Abstract(Pretrainer):
    """Lacks both methods."""


def not_a_class(backbone, views=None, *, scale=1.0):
    """Return a good objective."""
    return Good(backbone, views, scale=scale)
