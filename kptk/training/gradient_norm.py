"""Norm of the loss's gradient with respect to the weights, measured beside training and without a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kptk.training import backend
from kptk.types import Tensor


class GradientNorm:
    """Length of the gradient of a training step's loss over all trainable weights.

    The step is made in training mode and thrown away: no weight, moving average, queue or random state changes. It is
    compiled on its first use, so that measuring after each epoch costs little.

    Args:
        model: a `kptk.Pretrainer` or another model with `compute_loss`. What is trainable must not change any more.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile(loss="mse")
        >>> model.set_weights([np.array([[3.0]])])
        >>> GradientNorm(model)(np.ones((2, 1), "float32"), np.ones((2, 1), "float32"))
        4.0
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._squares = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend.name()](model)

    def __call__(self, x: Any, y: Any = None) -> float:
        """Measure it now.

        Args:
            x: inputs as `fit` gets them.
            y: labels, or None.

        Returns:
            The Euclidean norm; not a number if the loss or a gradient is none.
        """
        before = backend.random_state()
        try:
            return float(np.sqrt(float(self._squares(x, y))))
        finally:
            backend.set_random_state(before)


def _loss(model: keras.Model, x: Any, y: Any) -> Tensor:
    outputs = model(x, training=True)
    # The loss as outside of training: the formula is the same, and queues and centres are left alone.
    return model.compute_loss(x=x, y=y, y_pred=outputs, training=False)


Squares = Callable[[Any, Any], Any]


def _tensorflow(model: keras.Model) -> Squares:
    tf = sys.modules["tensorflow"]
    weights = [variable.value for variable in model.trainable_variables]

    @tf.function(autograph=False)
    def squares(x: Any, y: Any) -> Any:
        with keras.StatelessScope(), tf.GradientTape() as tape:
            value = _loss(model, x, y)
        gradients = [gradient for gradient in tape.gradient(value, weights) if gradient is not None]
        return tf.linalg.global_norm([tf.cast(tf.convert_to_tensor(g), tf.float32) for g in gradients]) ** 2

    return lambda x, y: squares(tf.convert_to_tensor(x), None if y is None else tf.convert_to_tensor(y))


def _jax(model: keras.Model) -> Squares:
    jax = sys.modules["jax"]
    trained = model.trainable_variables
    inside = {id(variable) for variable in trained}
    others = [variable for variable in model.variables if id(variable) not in inside]

    def scoped(values: list[Any], fixed: list[Any], x: Any, y: Any) -> Any:
        mapping = [*zip(trained, values, strict=True), *zip(others, fixed, strict=True)]
        with keras.StatelessScope(state_mapping=mapping):
            return _loss(model, x, y)

    def squares(values: list[Any], fixed: list[Any], x: Any, y: Any) -> Any:
        gradients = jax.grad(scoped)(values, fixed, x, y)
        return sum((gradient.astype("float32") ** 2).sum() for gradient in gradients)

    compiled = jax.jit(squares)
    return lambda x, y: compiled([v.value for v in trained], [v.value for v in others], x, y)


def _torch(model: keras.Model) -> Squares:
    torch = sys.modules["torch"]
    weights = [variable.value for variable in model.trainable_variables]

    def squares(x: Any, y: Any) -> Any:
        with keras.StatelessScope(), torch.enable_grad():
            gradients = torch.autograd.grad(_loss(model, x, y), weights, allow_unused=True)
        return sum(float((gradient.float() ** 2).sum()) for gradient in gradients if gradient is not None)

    return squares
