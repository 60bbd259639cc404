"""Gradients of a plain function of tensors, for tests that compare them with a reference on any backend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.training import backend
from kptk.types import Tensor


def value_and_gradients(
    function: Callable[..., Tensor], *inputs: NDArray[np.floating[Any]]
) -> tuple[float, list[NDArray[np.floating[Any]]]]:
    """Compute a scalar function and its gradient with respect to each input.

    Args:
        function: from tensors to a scalar, in `keras.ops`.
        *inputs: arrays, taken as float32.

    Returns:
        The value, and one array for each input.
    """
    arrays = [np.asarray(array, dtype=np.float32) for array in inputs]
    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend.name()]
    return compute(function, arrays)


def _tensorflow(function: Any, arrays: list[Any]) -> tuple[float, list[Any]]:
    tf = sys.modules["tensorflow"]
    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    # The gradient of rows that were looked up comes as these rows only.
    return float(value), [tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(value, tensors)]


def _jax(function: Any, arrays: list[Any]) -> tuple[float, list[Any]]:
    jax = sys.modules["jax"]
    value, gradients = jax.value_and_grad(function, argnums=tuple(range(len(arrays))))(*arrays)
    return float(value), [np.asarray(gradient) for gradient in gradients]


def _torch(function: Any, arrays: list[Any]) -> tuple[float, list[Any]]:
    torch = sys.modules["torch"]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    value = function(*tensors)
    return float(value.detach()), [gradient.numpy() for gradient in torch.autograd.grad(value, tensors)]
