"""Cutting patches out of a batch of images, each example at a place of its own, as two matrix products."""

from __future__ import annotations

from keras import ops

from kptk.types import Tensor

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Rows and columns from the centre to each neighbour, by the number of its position, in reading order."""

GREEN_MAGENTA = (-1.0, 2.0, -1.0)
"""The axis along which chromatic aberration separates colours."""


def places(draws: Tensor, patch: float, gap: float, jitter: float) -> tuple[Tensor, Tensor, Tensor]:
    """Turn uniform random numbers into a centre patch, one of its eight neighbours, and which one it is.

    The centre may lie anywhere where all eight neighbours are inside the image, so its place tells nothing.

    Args:
        draws: numbers of 0..1, shape ``(batch, 5)``.
        patch: side of a patch, as a share of the image's side.
        gap: room between two patches, as a share of the patch's side.
        jitter: largest shift of the neighbour on each axis, as a share of the patch's side.

    Returns:
        Upper left corners of the centre and of the neighbour, as shares of the image's sides, each ``(batch, 2)`` of
        row and column; and the position, integers of 0..7, shape ``(batch,)``.
    """
    position = ops.cast(ops.clip(ops.floor(8 * draws[:, 0]), 0, 7), "int32")
    offsets = ops.take(ops.convert_to_tensor(NEIGHBOURS, dtype="float32"), position, axis=0)  # (batch, 2)
    reach = patch * (1 + gap + jitter)
    centre = reach + draws[:, 1:3] * (1 - patch - 2 * reach)
    neighbour = centre + patch * (1 + gap) * offsets + patch * jitter * (2 * draws[:, 3:5] - 1)
    return centre, neighbour, position


def cut(images: Tensor, corner: Tensor, patch: float, height: int, width: int) -> Tensor:
    """Cut one square out of each image and scale it.

    Args:
        images: shape ``(batch, rows, columns, channels)``.
        corner: upper left corners as shares of the sides, row and column, shape ``(batch, 2)``.
        patch: side of the square, as a share of the image's sides.
        height: rows wanted.
        width: columns wanted.

    Returns:
        Shape ``(batch, height, width, channels)``.
    """
    _, rows, columns, channels = images.shape
    x = ops.reshape(images, (-1, rows, columns * channels))
    x = ops.matmul(_weights(corner[:, 0], patch, rows, height), x)
    x = ops.transpose(ops.reshape(x, (-1, height, columns, channels)), (0, 2, 1, 3))
    x = ops.matmul(_weights(corner[:, 1], patch, columns, width), ops.reshape(x, (-1, columns, height * channels)))
    return ops.transpose(ops.reshape(x, (-1, width, height, channels)), (0, 2, 1, 3))


def drop_colours(patches: Tensor, which: Tensor, noise: Tensor) -> Tensor:
    """Keep one channel of each patch; the others become noise of a hundredth of its deviation, around its mean.

    Args:
        patches: colour images, shape ``(batch, height, width, 3)``.
        which: numbers of 0..1 that choose the channel kept, shape ``(batch,)``.
        noise: normal numbers, of the shape of `patches`.

    Returns:
        The same shape.

    References:
        https://arxiv.org/abs/1505.05192, section 3.1, "color dropping"
    """
    kept = ops.one_hot(ops.cast(ops.clip(ops.floor(3 * which), 0, 2), "int32"), 3, dtype=patches.dtype)[:, None, None]
    channel = ops.sum(patches * kept, axis=-1, keepdims=True)
    mean = ops.mean(channel, axis=(1, 2), keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(channel - mean), axis=(1, 2), keepdims=True) + 1e-12)
    return kept * patches + (1 - kept) * (mean + 0.01 * deviation * noise)


def project_colours(patches: Tensor) -> Tensor:
    """Take the green-magenta axis out of the colours: ``B = I - a a' / a'a`` with ``a = (-1, 2, -1)``.

    Args:
        patches: colour images, shape ``(batch, height, width, 3)``.

    Returns:
        The same shape.

    References:
        https://arxiv.org/abs/1505.05192, section 3.1, "projection"
    """
    axis = ops.convert_to_tensor(GREEN_MAGENTA, dtype=patches.dtype)
    along = ops.sum(patches * axis, axis=-1, keepdims=True) / 6.0
    return patches - along * axis


def _weights(start: Tensor, share: float, source: int, target: int) -> Tensor:
    """Weights that resample a stretch of an axis with a triangle filter, rows that add up to 1.

    Args:
        start: where it begins, as a share of the axis, shape ``(batch,)``.
        share: its length, as a share of the axis.
        source: pixels of the axis.
        target: pixels wanted.

    Returns:
        Shape ``(batch, target, source)``.
    """
    step = share * source / target  # source pixels for each target pixel
    index = ops.reshape(ops.arange(target, dtype="float32"), (1, -1, 1))
    first = ops.reshape(start * source, (-1, 1, 1))
    # The centres of the wanted pixels, but never so near to the patch's edge that pixels beyond it would be mixed in.
    middle = ops.clip((index + 0.5) * step, 0.5, max(share * source - 0.5, 0.5))
    centre = first + middle - 0.5
    pixel = ops.reshape(ops.arange(source, dtype="float32"), (1, 1, -1))
    weights = ops.relu(1 - ops.abs(centre - pixel) / max(step, 1.0))
    return weights / ops.maximum(ops.sum(weights, axis=-1, keepdims=True), 1e-6)
