"""Deep CORAL: features whose covariance is the same in both domains."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_finetune.domain import DomainStrategy


def covariance(features: Tensor, rows: Tensor) -> Tensor:
    """Unbiased covariance of some rows.

    Args:
        features: shape ``(batch, dim)``.
        rows: 1 for a row that counts, 0 for one that does not, shape ``(batch,)``.

    Returns:
        Shape ``(dim, dim)``; zeros if fewer than two rows count.
    """
    count = ops.sum(rows)
    weights = ops.expand_dims(rows, axis=-1)
    mean = ops.sum(weights * features, axis=0) / ops.maximum(count, 1.0)
    centred = weights * (features - mean)
    return ops.matmul(ops.transpose(centred), centred) / ops.maximum(count - 1.0, 1.0)


def coral_loss(features: Tensor, of_target: Tensor) -> Tensor:
    """Squared distance of the domains' covariances, ``||C_s - C_t||_F^2 / (4 d^2)``.

    Args:
        features: shape ``(batch, dim)``.
        of_target: 1 for a row of the target domain, 0 for one of the source, shape ``(batch,)``.

    Returns:
        A scalar.

    References:
        Sun and Saenko 2016, equation 1, https://arxiv.org/abs/1607.01719
    """
    difference = covariance(features, 1.0 - of_target) - covariance(features, of_target)
    return ops.sum(ops.square(difference)) / (4.0 * int(features.shape[-1]) ** 2)


@keras.saving.register_keras_serializable(package="kptk_finetune")
class Coral(DomainStrategy):
    """The task's loss in the source domain, and the distance of the two domains' covariances of features.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: a task whose labels can be missing, such as classification.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        target: unlabelled rows of the target domain: a path or the name of a data set, an array, or a `Source`.
        weight: of the distance, at least 0. It is divided by ``4 d^2``, so it is to be large.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if there is no target, or the task has no labels by row.

    References:
        Sun and Saenko 2016, https://arxiv.org/abs/1607.01719
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        target: Any = "",
        weight: float = 100.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, target=target, weight=weight, **kwargs)

    def domain_loss(self, features: Tensor, of_target: Tensor, progress: Tensor) -> Tensor:
        """`coral_loss`."""
        del progress
        return coral_loss(features, of_target)
