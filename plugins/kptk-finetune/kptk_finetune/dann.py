"""DANN: features that a classifier of domains cannot tell apart, by reversing its gradient."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.backbones import feature_dim
from kptk.training.preprocessor import Preprocessor
from kptk.training.task import Task
from kptk.types import Tensor
from kptk_finetune.domain import DomainStrategy, reversal_strength


def reversed_gradient(x: Tensor, strength: Tensor) -> Tensor:
    """The input itself, whose gradient is multiplied by ``-strength``: ``(1 + l) sg(x) - l x``.

    Args:
        x: any tensor.
        strength: `l`, at least 0.

    References:
        Ganin et al. 2016, section 4.1, https://arxiv.org/abs/1505.07818
    """
    strength = ops.cast(strength, x.dtype)
    return (1 + strength) * ops.stop_gradient(x) - strength * x


@keras.saving.register_keras_serializable(package="kptk_finetune")
class AnnealedRate(keras.optimizers.schedules.LearningRateSchedule):
    """``peak / (1 + 10 p)^0.75``, with `p` from 0 to 1 over the steps.

    Args:
        peak: the rate of the first step.
        total_steps: steps of the training.

    References:
        https://arxiv.org/abs/1505.07818, section 5.2.2
    """

    def __init__(self, peak: float, total_steps: int) -> None:
        self.peak = peak
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Any:
        """Learning rate of a step, counted from 0."""
        progress = ops.cast(step, "float32") / self.total_steps
        return self.peak / (1.0 + 10.0 * progress) ** 0.75

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {"peak": self.peak, "total_steps": self.total_steps}


@keras.saving.register_keras_serializable(package="kptk_finetune")
class Dann(DomainStrategy):
    """Domain-adversarial training: a classifier of domains on the features, behind a reversed gradient.

    The classifier learns to tell the domains apart; the backbone, which gets its gradient reversed, learns features on which
    it cannot, while the head learns the labels of the source domain.

    Args:
        backbone: any `keras.Model` from inputs to features.
        task: a task whose labels can be missing, such as classification.
        preprocessor: prepares raw inputs, or None.
        augment: whether a training step sees a random view.
        target: unlabelled rows of the target domain: a path or the name of a data set, an array, or a `Source`.
        weight: of the domain classifier's loss, at least 0. The paper has 1, with plain gradient descent; with Adam and few
            steps so much costs accuracy in the source domain.
        units: width of the domain classifier's hidden layer, at least 1.
        annealed: whether the learning rate falls as in the paper, instead of by the run's schedule.
        **kwargs: passed to `keras.Model`.

    Raises:
        UsageError: if there is no target, or the task has no labels by row.

    References:
        Ganin et al. 2016, https://arxiv.org/abs/1505.07818
    """

    def __init__(
        self,
        backbone: keras.Model,
        task: Task,
        preprocessor: Preprocessor | None = None,
        *,
        augment: bool = False,
        target: Any = "",
        weight: float = 0.1,
        units: int = 100,
        annealed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, task, preprocessor, augment=augment, target=target, weight=weight, **kwargs)
        self.units = units
        self.annealed = annealed
        self.hidden = keras.layers.Dense(units, activation="relu", dtype="float32", name="domain_hidden")
        self.hidden.build((None, feature_dim(backbone)))
        self.judge = keras.layers.Dense(1, dtype="float32", name="domain_logit")
        self.judge.build((None, units))

    def domain_logits(self, features: Tensor) -> Tensor:
        """Logit of each row's being of the target domain, shape ``(batch,)``.

        Args:
            features: shape ``(batch, dim)``.
        """
        return ops.squeeze(self.judge(self.hidden(features)), axis=-1)

    def domain_loss(self, features: Tensor, of_target: Tensor, progress: Tensor) -> Tensor:
        """Cross-entropy of the domain classifier, on features whose gradient is reversed."""
        logits = self.domain_logits(reversed_gradient(features, reversal_strength(progress)))
        return ops.mean(ops.softplus(logits) - of_target * logits)

    def learning_rate(self, phase: Any, peak: float, steps: int) -> Any:
        """The paper's schedule, if it is wished."""
        return AnnealedRate(peak, steps) if self.annealed else peak * phase.rate

    def get_config(self) -> dict[str, Any]:
        """Return every argument but the target's rows."""
        return {**super().get_config(), "units": self.units, "annealed": self.annealed}
