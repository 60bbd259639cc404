"""MMD: features whose distribution is the same in both domains, by a kernel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_finetune.domain import DomainStrategy, reversal_strength


def squared_distances(features: Tensor) -> Tensor:
    """Squared distance of every two rows, shape ``(batch, batch)``.

    Args:
        features: shape ``(batch, dim)``.
    """
    norms = ops.sum(ops.square(features), axis=-1, keepdims=True)
    return ops.maximum(norms + ops.transpose(norms) - 2.0 * ops.matmul(features, ops.transpose(features)), 0.0)


def squared_mmd(features: Tensor, of_target: Tensor, gamma: Tensor) -> Tensor:
    """Biased estimate of the squared maximum mean discrepancy with the kernel ``exp(-gamma ||x - y||^2)``.

        mean k(s, s') - 2 mean k(s, t) + mean k(t, t')

    Args:
        features: shape ``(batch, dim)``.
        of_target: 1 for a row of the target domain, 0 for one of the source, shape ``(batch,)``.
        gamma: above 0.

    Returns:
        A scalar.

    References:
        Gretton et al. 2012, equation 5, https://jmlr.org/papers/v13/gretton12a.html
    """
    kernel = ops.exp(-gamma * squared_distances(features))
    of_source = 1.0 - of_target
    share = of_source / ops.maximum(ops.sum(of_source), 1.0) - of_target / ops.maximum(ops.sum(of_target), 1.0)
    return ops.sum(ops.expand_dims(share, 0) * ops.expand_dims(share, 1) * kernel)


@keras.saving.register_keras_serializable(package="kptk_finetune")
class Mmd(DomainStrategy):
    """The task's loss in the source domain, and the maximum mean discrepancy of the two domains' features.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: a task whose labels can be missing, such as classification.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        target: unlabelled rows of the target domain: a path or the name of a data set, an array, or a `Source`.
        weight: of the discrepancy, at least 0.
        gamma: of the kernel; 0 for one over the mean squared distance of the batch, which has no gradient.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if there is no target, or the task has no labels by row.

    References:
        Long et al. 2015, https://arxiv.org/abs/1502.02791 (one kernel here, several there)
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        target: Any = "",
        weight: float = 1.0,
        gamma: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, target=target, weight=weight, **kwargs)
        self.gamma = gamma

    def domain_loss(self, features: Tensor, of_target: Tensor, progress: Tensor) -> Tensor:
        """`squared_mmd`, which sets in as DANN's reversal does: at once, it would draw all features into one point."""
        gamma = self.gamma
        if not gamma:
            gamma = 1.0 / ops.maximum(ops.mean(squared_distances(ops.stop_gradient(features))), 1e-6)
        return reversal_strength(progress) * squared_mmd(features, of_target, gamma)

    def get_config(self) -> dict[str, Any]:
        """Return every argument but the target's rows."""
        return {**super().get_config(), "gamma": self.gamma}
