"""Learning rates of fine-tuning: layer-wise factors, slanted triangle, optimisers that know both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kptk.errors import UsageError
from kptk.training.optimizer import PACKAGE, weight_decay_exclusions


def layer_rates(layers: int, factor: float) -> list[float]:
    """Factors of discriminative learning rates, lowest layer first: ``rate(l - 1) = rate(l) / factor``.

    Args:
        layers: number of layers, at least 1.
        factor: how much slower each layer below is; 1 for the same rate everywhere.

    Returns:
        One factor a layer; the last one is 1.

    Example:
        >>> layer_rates(3, 2.0)
        [0.25, 0.5, 1.0]

    References:
        Howard and Ruder 2018, https://arxiv.org/abs/1801.06146
    """
    return [factor ** -(layers - 1 - layer) for layer in range(layers)]


@keras.saving.register_keras_serializable(package=PACKAGE)
class SlantedTriangle(keras.optimizers.schedules.LearningRateSchedule):
    """A short linear rise and a long linear fall.

    Args:
        peak: the highest rate.
        total_steps: steps of the training.
        cut: fraction of the steps in which the rate rises.
        ratio: how much smaller the lowest rate is than the highest.

    References:
        Howard and Ruder 2018, equation 3, https://arxiv.org/abs/1801.06146
    """

    def __init__(self, peak: float, total_steps: int, cut: float = 0.1, ratio: float = 32.0) -> None:
        self.peak = peak
        self.total_steps = total_steps
        self.cut = cut
        self.ratio = ratio

    def __call__(self, step: Any) -> Any:
        """Learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        cut = max(int(self.total_steps * self.cut), 1)
        share = ops.where(step < cut, step / cut, 1 - (step - cut) / (cut * (1 / self.cut - 1)))
        return self.peak * (1 + ops.maximum(share, 0.0) * (self.ratio - 1)) / self.ratio

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {name: getattr(self, name) for name in ("peak", "total_steps", "cut", "ratio")}


@keras.saving.register_keras_serializable(package=PACKAGE)
class WarmupLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a line to zero: how Transformers are usually fine-tuned.

    Args:
        peak: learning rate at the end of the warm-up.
        warmup_steps: steps of the warm-up.
        total_steps: steps of the training.
    """

    def __init__(self, peak: float, warmup_steps: int, total_steps: int) -> None:
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Any:
        """Learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rising = (step + 1) / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / max(self.total_steps - self.warmup_steps, 1)
        return self.peak * ops.where(step < self.warmup_steps, rising, ops.maximum(falling, 0.0))

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {name: getattr(self, name) for name in ("peak", "warmup_steps", "total_steps")}


class _Layerwise:
    """Mixin of a Keras optimiser: a factor on the learning rate for each variable, by its path."""

    factors: dict[str, float]

    def _factor(self, variable: Any) -> float:
        # TensorFlow hands over its own variable, which has no path; Keras finds an optimiser's slots by this index.
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        return self.factors.get(self._trainable_variables[index].path, 1.0)  # type: ignore[attr-defined]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable at its own rate."""
        super().update_step(gradient, variable, learning_rate * self._factor(variable))  # type: ignore[misc]

    def _apply_weight_decay(self, variables: Any) -> None:
        decay: Any = self.weight_decay  # type: ignore[attr-defined]
        if decay is None:
            return
        for variable in variables:
            if self._use_weight_decay(variable):  # type: ignore[attr-defined]
                rate = ops.cast(self.learning_rate, variable.dtype)  # type: ignore[attr-defined]
                variable.assign(variable - variable * decay * rate * self._factor(variable))

    def get_config(self) -> dict[str, Any]:
        """Return the factors beside the optimiser's own arguments."""
        return {**super().get_config(), "factors": dict(self.factors)}  # type: ignore[misc]


@keras.saving.register_keras_serializable(package=PACKAGE)
class LayerwiseAdamW(_Layerwise, keras.optimizers.AdamW):
    """AdamW with a factor on the learning rate of each variable.

    Args:
        factors: factor by the variable's path; 1 for a variable that is not there.
        **kwargs: passed to `keras.optimizers.AdamW`.
    """

    def __init__(self, factors: Mapping[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = dict(factors or {})


@keras.saving.register_keras_serializable(package=PACKAGE)
class LayerwiseAdam(_Layerwise, keras.optimizers.Adam):
    """Adam with a factor on the learning rate of each variable.

    Args:
        factors: factor by the variable's path; 1 for a variable that is not there.
        **kwargs: passed to `keras.optimizers.Adam`.
    """

    def __init__(self, factors: Mapping[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = dict(factors or {})


@keras.saving.register_keras_serializable(package=PACKAGE)
class LayerwiseSGD(_Layerwise, keras.optimizers.SGD):
    """Gradient descent with a factor on the learning rate of each variable.

    Args:
        factors: factor by the variable's path; 1 for a variable that is not there.
        **kwargs: passed to `keras.optimizers.SGD`.
    """

    def __init__(self, factors: Mapping[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = dict(factors or {})


LAYERWISE = {
    keras.optimizers.AdamW: LayerwiseAdamW,
    keras.optimizers.Adam: LayerwiseAdam,
    keras.optimizers.SGD: LayerwiseSGD,
}


def layerwise(optimizer: keras.optimizers.Optimizer, factors: Mapping[str, float]) -> keras.optimizers.Optimizer:
    """Return an optimiser like the given one, with a factor on the learning rate of each variable.

    Args:
        optimizer: AdamW, Adam or SGD.
        factors: factor by the variable's path.

    Raises:
        UsageError: if it is of another class.
    """
    for plain, made in LAYERWISE.items():
        if isinstance(optimizer, plain) and not (
            plain is keras.optimizers.Adam and isinstance(optimizer, keras.optimizers.AdamW)
        ):
            config = optimizer.get_config()
            schedule = config.get("learning_rate")
            if isinstance(schedule, dict):
                config["learning_rate"] = keras.optimizers.schedules.deserialize(schedule)
            exclude = weight_decay_exclusions(optimizer)
            layered: Any = made(factors=factors, **{key: value for key, value in config.items() if key != "factors"})
            if exclude:
                layered.exclude_from_weight_decay(var_names=exclude)
            return layered
    raise UsageError(
        f"layer-wise learning rates need AdamW, Adam or SGD. Received: {type(optimizer).__name__}. "
        "Compile with one of these, or set decay=1."
    )
