"""The three ways in which denoising autoencoders spoil their input."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
from keras import ops

from kptk.types import Tensor

Seed: TypeAlias = Any  # an integer, or a keras.random.SeedGenerator that the model owns
NOISES = ("mask", "gaussian", "salt_pepper")


def mask(x: Tensor, fraction: float, seed: Seed) -> Tensor:
    """Set places to zero, each with the same probability. At a place of an image all channels go together.

    Args:
        x: shape ``(batch, ..., channels)`` or ``(batch, numbers)``.
        fraction: probability of each place, 0 to 1.
        seed: of the draw.
    """
    return ops.where(keras.random.uniform(_places(x), seed=seed) < fraction, ops.zeros_like(x), x)


def gaussian(x: Tensor, stddev: float, seed: Seed) -> Tensor:
    """Add Gaussian noise to every number.

    Args:
        x: any shape.
        stddev: standard deviation.
        seed: of the draw.
    """
    return x + stddev * keras.random.normal(ops.shape(x), dtype=x.dtype, seed=seed)


def salt_pepper(x: Tensor, fraction: float, seed: Seed) -> Tensor:
    """Set places to 0 or to 1, by the toss of a fair coin.

    Args:
        x: shape ``(batch, ..., channels)`` or ``(batch, numbers)``, of 0..1.
        fraction: probability of each place, 0 to 1.
        seed: of the draw.
    """
    draw = keras.random.uniform(_places(x), seed=seed)
    white = ops.cast(draw < fraction / 2, x.dtype) * ops.ones_like(x)
    return ops.where(draw < fraction, white, x)


def corrupt(x: Tensor, noise: str, amount: float, seed: Seed) -> Tensor:
    """Spoil inputs in one of the ways above.

    Args:
        x: clean inputs.
        noise: one of `NOISES`.
        amount: the fraction, or the standard deviation.
        seed: of the draw; an integer for the same draw each time.

    References:
        Vincent et al., Stacked Denoising Autoencoders, JMLR 11, 2010, section 3.3
    """
    return {"mask": mask, "gaussian": gaussian, "salt_pepper": salt_pepper}[noise](x, amount, seed)


def _places(x: Tensor) -> tuple[Tensor, ...]:
    """Shape of one draw for each place: of an image or map without its channels."""
    shape = tuple(ops.shape(x))
    return (*shape[:-1], 1) if len(shape) > 2 else shape
