"""`input_gradient`: the gradient of a loss with respect to inputs, inside a training step and on any backend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kptk.training import backend
from kptk.types import Tensor


def input_gradient(function: Callable[[Tensor], Tensor], inputs: Tensor, model: keras.Model) -> Tensor:
    """Differentiate a scalar function of inputs, and leave nothing behind.

    It works eagerly, in `call` while `fit` trains, and compiled. Whatever the function does to the model's variables
    (moving averages of batch normalisation, seeds of dropout, losses that layers add) is thrown away, no gradient is left
    on its weights, and nothing flows back through the result.

    Args:
        function: from a tensor like `inputs` to a scalar; it may run `model` or parts of it.
        inputs: where to differentiate, floats of any shape.
        model: owns every variable that the function touches.

    Returns:
        The gradient, of the shape and type of `inputs`.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> x = keras.ops.convert_to_tensor([[1.0, 2.0]])
        >>> gradient = input_gradient(lambda x: keras.ops.sum(x * x), x, model)
        >>> [float(number) for number in gradient[0]]
        [2.0, 4.0]
    """
    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend.name()]
    return ops.stop_gradient(compute(function, ops.stop_gradient(inputs), model))


def _tensorflow(function: Callable[[Tensor], Tensor], inputs: Tensor, model: keras.Model) -> Tensor:
    del model  # its variables are read as they are; the scope catches what is written
    tf = sys.modules["tensorflow"]
    with keras.StatelessScope(), tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        value = function(inputs)
    return tape.gradient(value, inputs, unconnected_gradients="zero")


def _jax(function: Callable[[Tensor], Tensor], inputs: Tensor, model: keras.Model) -> Tensor:
    # The step's own scope holds the variables' values as tracers, so they are handed on to a scope inside it. Taken as
    # constants, they keep JAX from differentiating this gradient once more with respect to the weights.
    values = [(variable, _constant(variable.value)) for variable in model.variables]

    def scoped(x: Tensor) -> Tensor:
        with keras.StatelessScope(state_mapping=values):
            return function(x)

    return sys.modules["jax"].grad(scoped)(inputs)


def _constant(value: Any) -> Any:
    return ops.stop_gradient(value) if "float" in keras.backend.standardize_dtype(value.dtype) else value


def _torch(function: Callable[[Tensor], Tensor], inputs: Tensor, model: keras.Model) -> Tensor:
    del model
    torch = sys.modules["torch"]
    # `predict` and `evaluate` switch gradients off; `grad` on a leaf touches no weight's own gradient.
    with keras.StatelessScope(), torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_(True)
        value = function(leaf)
        if not value.requires_grad:  # the function does not depend on its input
            return torch.zeros_like(leaf)
        (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient
