"""Adversarial perturbations of inputs, found by gradients: FGSM and PGD within the maximum norm."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from kptk.training.input_gradient import input_gradient
from kptk.types import Tensor


def project(
    perturbed: Tensor, inputs: Tensor, epsilon: float | Tensor, low: float | None, high: float | None
) -> Tensor:
    """Bring inputs back to within `epsilon` of where they began, in the maximum norm, and into their range.

    Args:
        perturbed: changed inputs.
        inputs: the inputs as they were, of the same shape.
        epsilon: largest change of any number; a tensor gives each example its own.
        low: smallest number allowed, or None.
        high: largest number allowed, or None.
    """
    near = inputs + ops.minimum(ops.maximum(perturbed - inputs, -epsilon), epsilon)
    if low is not None:
        near = ops.maximum(near, low)
    return near if high is None else ops.minimum(near, high)


def pgd(
    loss: Callable[[Tensor], Tensor],
    inputs: Tensor,
    model: keras.Model,
    *,
    epsilon: float | Tensor,
    steps: int,
    step_size: float | Tensor,
    origin: Tensor | None = None,
    seed: keras.random.SeedGenerator | None = None,
    low: float | None = 0.0,
    high: float | None = 1.0,
) -> Tensor:
    """Projected gradient ascent of a loss: each step moves every number by `step_size` along the gradient's sign.

    One step of size `epsilon` from the inputs themselves is FGSM.

    Args:
        loss: from inputs to the scalar that the perturbation is to raise.
        inputs: shape ``(batch, ...)``.
        model: owns every variable that the loss touches; none of them changes.
        epsilon: largest change of any number; a tensor gives each example its own.
        steps: gradient steps, at least 1.
        step_size: length of a step, for each number.
        origin: what the change is measured from, if `inputs` are changed already; None for `inputs`.
        seed: starts at a random place in the ball instead of at the inputs, or None.
        low: smallest number allowed, or None.
        high: largest number allowed, or None.

    Returns:
        Perturbed inputs, through which no gradient flows.

    References:
        FGSM: https://arxiv.org/abs/1412.6572, section 4; PGD: https://arxiv.org/abs/1706.06083, section 2.1.
    """
    perturbed = ops.stop_gradient(inputs)
    inputs = perturbed if origin is None else ops.stop_gradient(origin)
    if seed is not None:
        start = 2 * keras.random.uniform(ops.shape(inputs), dtype=inputs.dtype, seed=seed) - 1
        perturbed = project(inputs + epsilon * start, inputs, epsilon, low, high)
    for _ in range(steps):
        direction = ops.sign(input_gradient(loss, perturbed, model))
        perturbed = project(perturbed + step_size * direction, inputs, epsilon, low, high)
    return ops.stop_gradient(perturbed)
