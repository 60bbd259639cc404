"""One image file to one array of bytes, whatever its mode, size and orientation."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kptk import endings

SUFFIXES = frozenset(endings.IMAGES)
GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I"})
MOST_PIXELS = 100_000_000
"""More than a camera makes: a larger header is taken for a decompression bomb."""
LARGEST_OWN_SIZE = 224
MIXED_SIZE = 64
"""Side in pixels where the files have several sizes, or a large one, and the user named none."""

Pixels = NDArray[np.uint8]


class Unreadable(Exception):
    """A file that is not a usable image; the message says why."""


def open_image(content: bytes) -> Image.Image:
    """Decode a file.

    Args:
        content: its bytes.

    Returns:
        The upright image with all its pixels loaded.

    Raises:
        Unreadable: if it is not an image, is cut off, or has pixels that cannot be bytes.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Unreadable(f"too large: {image.width} x {image.height} pixels")
            if image.mode == "F":
                raise Unreadable("32-bit float pixels have no known range")
            image.load()
            return ImageOps.exif_transpose(image)
    except Unreadable:
        raise
    except Image.UnidentifiedImageError:
        raise Unreadable("not an image") from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise Unreadable(str(error) or type(error).__name__) from None


def to_array(image: Image.Image, channels: int, height: int, width: int) -> Pixels:
    """Convert to bytes of a given shape.

    Transparent pixels are laid over white; 16-bit grey becomes 8-bit; the image is scaled to cover the target and the
    middle is cut out, so nothing is stretched.

    Args:
        image: a decoded image.
        channels: 1 or 3.
        height: pixels wanted.
        width: pixels wanted.

    Returns:
        Shape ``(height, width, channels)``.
    """
    image = _eight_bit(image)
    if image.mode in ("RGBA", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[..., None] if channels == 1 else pixels


def common_shape(sizes: NDArray[np.integer], grey: bool, image_size: int, channels: int) -> tuple[int, int, int]:
    """What images of several sizes are made into, ``(height, width, channels)``.

    Args:
        sizes: heights and widths, shape ``(count, 2)``.
        grey: whether none has colour.
        image_size: side in pixels; 0 keeps their own size if they agree and are at most 224, else 64.
        channels: 1, 3, or 0 for what they have.
    """
    channels = channels or (1 if grey else 3)
    if image_size:
        return image_size, image_size, channels
    height, width = (int(side) for side in sizes[0])
    if (sizes == sizes[0]).all() and max(height, width) <= LARGEST_OWN_SIZE:
        return height, width, channels
    return MIXED_SIZE, MIXED_SIZE, channels


def _eight_bit(image: Image.Image) -> Image.Image:
    """Pillow's own conversion of 16-bit grey cuts off everything above 255."""
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image)
    return Image.fromarray((np.clip(pixels, 0, 65535) // 257).astype(np.uint8))
