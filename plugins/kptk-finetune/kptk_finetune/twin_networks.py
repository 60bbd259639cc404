"""Twin networks: a network for each task, held together by the distance of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import keras
from keras import ops

from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_finetune.copies import copy_of, names_of_tasks, side_by_side


def weight_distance(groups: Sequence[Sequence[Tensor]]) -> Tensor:
    """Squared distance of the networks' weights, ``sum ||W_a - W_b||^2`` over all pairs of tasks and all weights.

    Args:
        groups: the weights of each network, in one order.

    Returns:
        A scalar.

    References:
        Duong et al. 2015, section 3, https://doi.org/10.3115/v1/P15-2139
    """
    total = ops.zeros(())
    for first, second in combinations(groups, 2):
        for a, b in zip(first, second, strict=True):
            total = total + ops.sum(ops.square(ops.cast(a, "float32") - ops.cast(b, "float32")))
    return total


@keras.saving.register_keras_serializable(package="kptk_finetune")
class TwinNetworks(Strategy):
    """The second form of soft parameter sharing: a copy of the backbone for each task, and a pull between the copies.

        loss  +  strength * sum over pairs of tasks of ||W_a - W_b||^2

    With `strength` 0 the tasks are learned apart; the larger it is, the more they are as under hard sharing.

    Args:
        backbone: a functional `keras.Model` from inputs to features; it becomes the first task's network.
        task: several tasks on the same rows, as ``several``.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        strength: of the pull, at least 0.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if there is one task only, or the backbone cannot be copied.

    References:
        Duong et al. 2015, https://doi.org/10.3115/v1/P15-2139
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        strength: float = 0.001,
        **kwargs: Any,
    ) -> None:
        names = names_of_tasks(task, "twin_networks")
        trunks = [backbone, *(copy_of(backbone, name, lambda _: False) for name in names[1:])]
        network = side_by_side(trunks, backbone, "twin_networks")
        super().__init__(backbone, task, preprocessor, augment=augment, network=network, **kwargs)
        self.trunks = trunks
        self.strength = strength

    def encode(self, inputs: Tensor, training: bool) -> Tensor:
        """Features of each task's own, shape ``(batch, tasks, dim)``."""
        return self.network(inputs, training=training)

    def phases(self) -> tuple[Phase, ...]:
        """Everything in one phase."""
        return (Phase(name="all", weights=tuple(self.tunable), live=True),)

    def distance(self) -> Tensor:
        """How far the networks are apart: `weight_distance` of what trains in them."""
        return weight_distance([trunk.trainable_variables for trunk in self.trunks])

    def task_loss(self, x: Tensor, y: Tensor, y_pred: Any, sample_weight: Tensor) -> Tensor:
        """The tasks' loss and the pull."""
        return super().task_loss(x, y, y_pred, sample_weight) + self.strength * self.distance()

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "strength": self.strength}
