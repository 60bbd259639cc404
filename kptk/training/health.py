"""Health of a run: are the features alive, is the loss below chance, and what to say about it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.training import backend
from kptk.training.features import pooled
from kptk.training.gradient_norm import GradientNorm

COLLAPSED_SPREAD = 0.05
"""Below this share of an evenly spread representation, features count as collapsed."""
COLLAPSED_RANK = 1.5
LEARNED_SHARE = 0.01
"""The loss must fall by this share of its first value before a run counts as learning."""
MAX_ROWS = 512
GRADIENT_ROWS = 64
"""Rows of the one step, thrown away, whose gradient is measured after each epoch: few, so that it costs next to nothing."""


def feature_spread(features: NDArray[np.floating[Any]]) -> float:
    """Standard deviation of unit-length features, times √dim: 1 when they fill the sphere, 0 when all are the same.

    Args:
        features: shape ``(rows, dim)``.

    References:
        https://arxiv.org/abs/2011.10566, section 4.1
    """
    features = features.astype(np.float64)  # a diverging run has features whose squares overflow float32
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(length, 1e-12)
    return float(unit.std(axis=0).mean() * math.sqrt(features.shape[1]))


def effective_rank(features: NDArray[np.floating[Any]]) -> float:
    """RankMe: the exponential of the entropy of the singular values, from 1 to ``min(rows, dim)``.

    Args:
        features: shape ``(rows, dim)``.

    References:
        https://arxiv.org/abs/2210.02885, equation 1
    """
    return entropy_rank(np.linalg.svd(features.astype(np.float64), compute_uv=False))


def entropy_rank(values: NDArray[np.floating[Any]]) -> float:
    """The exponential of the entropy of singular values.

    Args:
        values: singular values, shape ``(count,)``, each at least 0.
    """
    total = values.sum()
    if not np.isfinite(total) or total <= 0:
        return 0.0
    share = values / total + 1e-7
    return float(np.exp(-(share * np.log(share)).sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a run, for people and programs.

    Args:
        status: ``"healthy"``, ``"collapsed"``, ``"not learning"`` or ``"diverged"``.
        sentence: what happened and what to do.
    """

    status: str
    sentence: str

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return self.status == "healthy"


def judge(
    *,
    first_loss: float,
    losses: Sequence[float],
    chance: float | None,
    spread: float | None = None,
    rank: float | None = None,
    moved: bool = True,
    loss_measures_learning: bool = True,
    collapsed_spread: float = COLLAPSED_SPREAD,
) -> Verdict:
    """Judge a run by its losses and the health of its features.

    Args:
        first_loss: loss of the first step.
        losses: mean loss of each epoch.
        chance: loss of a model that has learned nothing, if the objective has such a number.
        spread: `feature_spread` at the end, if known.
        rank: `effective_rank` at the end, if known.
        moved: whether training changed any weight of the backbone.
        loss_measures_learning: whether a loss that does not fall means that nothing is learned.
        collapsed_spread: below this spread features count as collapsed.

    Returns:
        The verdict.
    """
    last = losses[-1] if losses else first_loss
    against = f", chance is {chance:.3f}" if chance is not None else ""
    if not math.isfinite(last) or (spread is not None and not math.isfinite(spread)):
        what = f"the loss became {last}"
        if math.isfinite(last):
            what = f"the features are not finite numbers, whatever the loss says ({last:.3f}{against})"
        return Verdict(
            status="diverged",
            sentence=f"The run diverged: {what}. Use a smaller learning rate "
            "(-o train.learning_rate=) or limit the gradient (-o train.clip_norm=1).",
        )
    if spread is not None and rank is not None and (spread < collapsed_spread or rank < COLLAPSED_RANK):
        return Verdict(
            status="collapsed",
            sentence=f"The features collapsed: they are nearly the same for every input (spread {spread:.3f} of 1, "
            f"effective rank {rank:.1f}), whatever the loss says ({last:.3f}{against}). Use a smaller learning "
            "rate, a larger batch or stronger views.",
        )
    if not moved:
        return Verdict(
            status="not learning",
            sentence=f"The model is not learning: training changed no weight of the backbone (loss {last:.3f}{against}). "
            "Raise the learning rate.",
        )
    features = f"; features are alive (spread {spread:.2f}, effective rank {rank:.1f})" if spread is not None else ""
    if not loss_measures_learning:
        return Verdict(
            status="healthy",
            sentence=f"The model is training: its weights moved and the loss is finite{features}. The loss went from "
            f"{first_loss:.3f} to {last:.3f}{against}, which does not measure learning with this objective: what it is "
            "compared with moves too. kptk evaluate tells what was learned.",
        )
    fell = (first_loss - last) / max(abs(first_loss), 1e-12)
    if not fell > LEARNED_SHARE:
        return Verdict(
            status="not learning",
            sentence=f"The model is not learning: the loss went from {first_loss:.3f} to {last:.3f}{against}. Raise the "
            "learning rate or train longer; look at the views (kptk views) for ones that share nothing.",
        )
    return Verdict(
        status="healthy",
        sentence=f"The model is learning: the loss fell from {first_loss:.3f} to {last:.3f}{against}{features}.",
    )


def finite_weights(model: keras.Model) -> bool:
    """Whether every weight is a finite number. Features alone do not show it: TensorFlow's ReLU makes 0 of NaN.

    Args:
        model: a built model.
    """
    weights = (np.asarray(keras.ops.convert_to_numpy(weight.value)) for weight in model.weights)
    return all(bool(np.isfinite(weight.astype(np.float32)).all()) for weight in weights if weight.dtype.kind != "u")


class HealthCallback(keras.callbacks.Callback):
    """Measures feature spread, effective rank and gradient norm after each epoch and adds them to the logs.

    Works with any `kptk.Pretrainer` in plain `model.fit`. List it before callbacks that read the logs.

    Args:
        inputs: raw inputs to look at, shape ``(rows, ...)``; at most 512 are used, 64 of them for the gradient.
        labels: their labels, if the objective learns from labels.
        stop_on_collapse: whether to end training when the features have collapsed.

    Example:
        >>> import numpy as np
        >>> HealthCallback(np.zeros((600, 28, 28, 1), "uint8")).inputs.shape
        (512, 28, 28, 1)
    """

    def __init__(
        self,
        inputs: NDArray[np.generic],
        *,
        labels: NDArray[np.generic] | None = None,
        stop_on_collapse: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = inputs[:MAX_ROWS]
        self.labels = labels
        self.stop_on_collapse = stop_on_collapse
        self.gradient = True
        self._norm: GradientNorm | None = None

    def measure(self) -> dict[str, float]:
        """Compute the figures now.

        Returns:
            ``feature_spread``, ``effective_rank`` and ``gradient_norm``.
        """
        backend.sync_state(self.model)
        inputs = self.model.health_inputs(self.inputs)
        if self.model.views is not None:
            inputs = self.model.views.plain(inputs)
        features = keras.ops.convert_to_numpy(pooled(self.model.backbone(inputs, training=False)))
        features = np.asarray(features, dtype=np.float32)
        if not (np.isfinite(features).all() and finite_weights(self.model.backbone)):
            return {"feature_spread": math.nan, "effective_rank": math.nan}
        figures = {"feature_spread": feature_spread(features), "effective_rank": effective_rank(features)}
        return figures | self._gradient_norm()

    def _gradient_norm(self) -> dict[str, float]:
        if not self.gradient:
            return {}
        rows = slice(GRADIENT_ROWS)
        labels = None if self.labels is None else self.labels[rows]
        try:
            if self._norm is None or self._norm.model is not self.model:
                self._norm = GradientNorm(self.model)
            return {"gradient_norm": self._norm(self.inputs[rows], labels)}
        except Exception as error:
            # A figure beside the training must not end it, whatever an objective of a plugin does outside of `fit`.
            self.gradient = False
            warnings.warn(f"no gradient norm: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)
            return {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the figures to the epoch's logs."""
        del epoch
        figures = self.measure()
        if logs is not None:
            logs.update(figures)
        collapsed = (
            figures["feature_spread"] < self.model.collapsed_spread or figures["effective_rank"] < COLLAPSED_RANK
        )
        if self.stop_on_collapse and collapsed:
            self.model.stop_training = True
