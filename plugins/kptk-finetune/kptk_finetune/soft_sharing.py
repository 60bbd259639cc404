"""Soft parameter sharing: the tasks share every kernel, and each has biases of its own."""

from __future__ import annotations

from typing import Any

import keras

from kptk.errors import UsageError
from kptk.training.phases import Phase
from kptk.training.preprocessor import Preprocessor
from kptk.training.strategy import Strategy
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_finetune.copies import BIASES, copy_of, kind_of, names_of_tasks, side_by_side


@keras.saving.register_keras_serializable(package="kptk_finetune")
class SoftSharing(Strategy):
    """Every layer computes ``h_t = f(W x + b_t)`` for task `t`: one `W` for all tasks, biases of its own for each.

    The inputs go through the network once for each task. The first task has the backbone's own biases, the others begin
    with copies of them. Offsets (``beta``) of normalisation are biases too; moving statistics belong to a task as its biases
    do. A task's loss has no gradient for another task's biases, so where a task has no label its biases stay.

    Args:
        backbone: a functional `keras.Model` from inputs to features that has biases.
        task: several tasks on the same rows, as ``several``.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        train: ``"all"``, or ``"biases"`` to keep the shared weights as they are, as BitFit does for one task.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if there is one task only, or the backbone has no biases or cannot be copied.

    References:
        Nearest published: Ben Zaken et al. 2021, https://arxiv.org/abs/2106.10199 (own biases on kept weights)
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        train: str = "all",
        **kwargs: Any,
    ) -> None:
        names = names_of_tasks(task, "soft_sharing")
        if not any(kind_of(variable) in BIASES for variable in backbone.variables):
            raise UsageError(
                f"backbone '{backbone.name}' has no biases, so its tasks would share everything. Use a backbone with biases, "
                "another strategy with the same task (hard sharing), or twin_networks."
            )
        trunks = [backbone, *(copy_of(backbone, name, _shared) for name in names[1:])]
        network = side_by_side(trunks, backbone, "soft_sharing")
        super().__init__(backbone, task, preprocessor, augment=augment, network=network, **kwargs)
        self.trunks = trunks
        self.what_trains = train  # `train` is a method of PyTorch's modules

    def biases(self, number: int) -> tuple[Any, ...]:
        """The biases of a task.

        Args:
            number: which task, from 0.
        """
        return tuple(v for v in self.trunks[number].variables if kind_of(v) in BIASES)

    def encode(self, inputs: Tensor, training: bool) -> Tensor:
        """Features of each task's own, shape ``(batch, tasks, dim)``."""
        return self.network(inputs, training=training)

    def phases(self) -> tuple[Phase, ...]:
        """Everything, or the biases and the heads, in one phase."""
        if self.what_trains == "all":
            return (Phase(name="all", weights=tuple(self.tunable), live=True),)
        inside = {id(variable) for trunk in self.trunks for variable in trunk.variables}
        heads = tuple(variable for variable in self.tunable if id(variable) not in inside)
        biases = tuple(v for number in range(len(self.trunks)) for v in self.biases(number))
        return (Phase(name="biases", weights=(*biases, *heads)),)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "train": self.what_trains}


def _shared(variable: Any) -> bool:
    """Whether the tasks have a variable in common: no biases, no moving statistics and no random state."""
    kind = kind_of(variable)
    # Not by `trainable`: an earlier fine-tuning may have left weights frozen.
    return kind not in BIASES and not kind.startswith("moving_") and not kind.startswith("seed_generator")
