"""Pictures of rows: pixels, thumbnails, data addresses, a sheet of tiles, and a labelled grid."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

Batch = NDArray[Any]
Pixels = NDArray[np.uint8]

TILE = 112
"""Side of a picture in a grid, in pixels; smaller images are enlarged by a whole factor."""
GAP = 8
BACKGROUND, INK, MUTED = (255, 255, 255), (29, 35, 40), (92, 102, 112)


def is_picture(inputs: str, row_shape: Sequence[int | None]) -> bool:
    """Whether rows can be drawn.

    Args:
        inputs: the kind of input.
        row_shape: shape of one row.
    """
    return inputs == "image" and len(row_shape) == 3


def in_unit_range(batch: Batch) -> bool:
    """Whether the numbers are drawn as they are: integers of 0..255 or floats of 0..1, with some tolerance.

    Args:
        batch: shape ``(count, height, width, channels)``.
    """
    if np.issubdtype(batch.dtype, np.integer) or not batch.size:
        return True
    return bool(np.nanmin(batch) >= -0.5 and np.nanmax(batch) <= 1.5)


def to_pixels(batch: Batch) -> Pixels:
    """Bytes of grey or colour: floats outside of 0..1 are stretched to it, other channels averaged to grey.

    Args:
        batch: shape ``(count, height, width, channels)``.

    Returns:
        Shape ``(count, height, width, 1 or 3)``.
    """
    if batch.shape[-1] not in (1, 3):
        batch = batch.mean(axis=-1, keepdims=True)
    if np.issubdtype(batch.dtype, np.integer):
        return np.clip(batch, 0, 255).astype(np.uint8)
    values = np.nan_to_num(batch.astype(np.float32), posinf=1.0, neginf=0.0)
    if not in_unit_range(values):
        low, high = float(values.min()), float(values.max())
        values = (values - low) / (high - low)
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def picture(pixels: Pixels, longest: int = 0) -> Image.Image:
    """One image, made smaller if need be.

    Args:
        pixels: shape ``(height, width, 1 or 3)``.
        longest: longest side of the result; 0 for no limit.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if longest and max(image.size) > longest:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return image


def data_uri(image: Image.Image, *, small: bool = False) -> str:
    """The image as the address of itself, in PNG.

    Args:
        image: the image.
        small: whether 128 colours will do.
    """
    if small and image.mode == "RGB":
        image = image.quantize(128)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def sheet(pixels: Pixels, side: int) -> tuple[Image.Image, int]:
    """Many thumbnails in one image, row after row.

    Args:
        pixels: shape ``(count, height, width, 1 or 3)``.
        side: of each square tile.

    Returns:
        The image and how many tiles a row has.
    """
    columns = math.ceil(math.sqrt(len(pixels)))
    mode = "L" if pixels.shape[-1] == 1 else "RGB"
    whole = Image.new(mode, (columns * side, math.ceil(len(pixels) / columns) * side))
    for index, row in enumerate(pixels):
        tile = picture(row, side)
        left, top = index % columns * side, index // columns * side
        whole.paste(tile, (left + (side - tile.width) // 2, top + (side - tile.height) // 2))
    return whole, columns


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    # Matplotlib brings a font with Latin, Greek and Cyrillic letters.
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), size)


def _tile(pixels: Pixels) -> Image.Image:
    image = picture(pixels, TILE).convert("RGB")
    factor = max(TILE // max(image.size), 1)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut a text that is too long for its place."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(f"{text}…", font) > width:
        text = text[:-1]
    return f"{text}…"


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a text into lines between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def grid(
    title: str,
    note: str,
    columns: Sequence[str],
    labels: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[Pixels]],
) -> Image.Image:
    """A picture of pictures with words around them.

    Args:
        title: on top.
        note: below the title, in smaller letters; broken into lines.
        columns: a heading for each column.
        labels: two lines beside each row.
        rows: the pictures of each row, each ``(height, width, 1 or 3)``; sizes may differ.
    """
    heading, small, bold = _font(20, bold=True), _font(14), _font(14, bold=True)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    beside = 16 + min(max((int(ruler.textlength(t, bold)) for pair in labels for t in pair), default=0), 200)
    width = max(2 * GAP + beside + len(columns) * (TILE + GAP), 560)
    lines = _wrapped(ruler, note, small, width - 4 * GAP)
    # The title, the note and the headings, then the pictures.
    top = 2 * GAP + 30 + 20 * len(lines) + GAP + 22
    image = Image.new("RGB", (width, top + len(rows) * (TILE + GAP) + GAP), BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.text((2 * GAP, 2 * GAP), _fitted(draw, title, heading, width - 4 * GAP), INK, heading)
    for index, line in enumerate(lines):
        draw.text((2 * GAP, 2 * GAP + 30 + 20 * index), line, MUTED, small)
    for index, column in enumerate(columns):
        draw.text(
            (2 * GAP + beside + index * (TILE + GAP), top - 22),
            _fitted(draw, column, small, TILE),
            INK,
            small,
        )
    for index, (label, row) in enumerate(zip(labels, rows, strict=True)):
        y = top + index * (TILE + GAP)
        draw.text((2 * GAP, y + TILE // 2 - 18), _fitted(draw, label[0], bold, beside - GAP), INK, bold)
        draw.text((2 * GAP, y + TILE // 2 + 2), _fitted(draw, label[1], small, beside - GAP), MUTED, small)
        for place, pixels in enumerate(row):
            tile = _tile(pixels)
            left = 2 * GAP + beside + place * (TILE + GAP)
            draw.rectangle((left - 1, y - 1, left + TILE, y + TILE), outline=(225, 228, 232))
            image.paste(tile, (left + (TILE - tile.width) // 2, y + (TILE - tile.height) // 2))
    return image
