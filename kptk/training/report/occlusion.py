"""Section of a report: which parts of an image its features or its prediction hang on, by covering them one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.training import pictures
from kptk.training.features import in_batches, pooled
from kptk.training.report.html import Html, join, tag

if TYPE_CHECKING:
    from kptk.training.report.page import Page
    from kptk.training.report.tuned import TunedPage

Array = NDArray[Any]
EXAMPLES = 8
GRID = 7
SIDE = 128
BATCH = 256


def covered(image: Array, grid: int = GRID) -> Array:
    """An image with each cell of a grid covered in turn by the image's mean colour.

    Args:
        image: shape ``(height, width, channels)``.
        grid: cells a side, at most as many as pixels.

    Returns:
        Shape ``(rows * columns, height, width, channels)``.
    """
    rows, columns = (np.array_split(np.arange(size), min(grid, size)) for size in image.shape[:2])
    copies = np.repeat(image[None], len(rows) * len(columns), axis=0)
    mean = image.mean(axis=(0, 1))
    for place, (row, column) in enumerate((r, c) for r in rows for c in columns):
        copies[place, row[0] : row[-1] + 1, column[0] : column[-1] + 1] = mean
    return copies


def importance(score: Callable[[Array], Array], image: Array, grid: int = GRID) -> Array:
    """How far a score falls when each cell is covered.

    Args:
        score: from images ``(batch, height, width, channels)`` to one number each, higher for more like the image.
        image: shape ``(height, width, channels)``.
        grid: cells a side.

    Returns:
        Shape ``(rows, columns)``.
    """
    rows, columns = (min(grid, size) for size in image.shape[:2])
    whole, parts = score(image[None])[0], score(covered(image, grid))
    return np.asarray(whole - parts, dtype=np.float64).reshape(rows, columns)


def overlay(image: Array, found: Array) -> Array:
    """The image in grey below the importance of its parts: yellow where it matters, blue where covering even helps.

    Args:
        image: of 0..1, shape ``(height, width, channels)``.
        found: shape ``(rows, columns)``.

    Returns:
        Bytes, shape ``(height, width, 3)``.
    """
    from PIL import Image

    height, width = image.shape[:2]
    scale = max(float(np.abs(found).max()), 1e-12)
    heat = Image.fromarray((found / scale).astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    share = np.asarray(heat)[..., None]
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1) * 0.75
    colour = np.where(share > 0, np.array([1.0, 0.78, 0.1]), np.array([0.25, 0.5, 1.0]))
    mixed = grey + np.abs(share) * 0.75 * (colour - grey)
    return np.rint(255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def encoder(page: Page) -> Html | None:
    """Where the features of a few rows look.

    Args:
        page: a pre-training run.
    """
    if not page.thorough or not page.pictures or not page.sample.finite:
        return None
    backbone, views = page.run.model.backbone, page.run.model.views
    indices, images = examples(page, views)

    def features(rows: Array) -> Array:
        return in_batches(
            lambda batch: keras.ops.convert_to_numpy(pooled(backbone(batch, training=False))),
            rows,
            min(BATCH, len(rows)),
        )

    def likeness(to: Array) -> Callable[[Array], Array]:
        return lambda rows: _unit(features(rows)) @ to

    found = [importance(likeness(_unit(features(image[None]))[0]), image) for image in images]
    words = [f"the cosine falls by up to {np.max(one):.2f}" for one in found]
    note = (
        f"Each of {GRID} x {GRID} cells of an image is covered by its mean colour. Yellow: the features change most when this "
        "cell is covered; drawn on the scale of each image."
    )
    return cards(page, indices, images, found, words, note)


def classifier(page: TunedPage) -> Html | None:
    """Where the prediction of a few rows looks.

    Args:
        page: a fine-tuning whose predictions are probabilities of classes.
    """
    if not page.thorough or not page.pictures or not page.classes:
        return None
    model = page.run.model
    indices, images = examples(page, model.preprocessor)

    def probabilities(rows: Array) -> Array:
        def one(batch: Array) -> Array:
            features = model.encode(model.task.degrade(keras.ops.convert_to_tensor(batch), False), False)
            return np.asarray(keras.ops.convert_to_numpy(model.task.activate(model.task(features, training=False))))

        return in_batches(one, rows, min(BATCH, len(rows)))

    found, words = [], []
    for image in images:
        before = probabilities(image[None])[0]
        chosen = int(before.argmax())
        one = importance(lambda rows, chosen=chosen: probabilities(rows)[:, chosen], image)  # type: ignore[misc]
        found.append(one)
        words.append(f"{page.classes[chosen]} at {before[chosen]:.2f}, falls by up to {max(float(one.max()), 0.0):.2f}")
    note = (
        f"Each of {GRID} x {GRID} cells of an image is covered by its mean colour. Yellow: the probability of the predicted "
        "class falls most when this cell is covered; blue: it rises; drawn on the scale of each image."
    )
    return cards(page, indices, images, found, words, note)


def examples(page: Page, preprocessor: Any) -> tuple[list[int], Array]:
    """A few rows of the sample, as the backbone takes them.

    Args:
        page: a run or a fine-tuning.
        preprocessor: prepares raw rows, or None.

    Returns:
        Their places in the sample, and the images.
    """
    from kptk.training.report.rows import queries

    indices = queries(page.sample.labels, len(page.sample.rows), EXAMPLES, page.seed + 1)
    batch = page.sample.source.read(np.array(indices))
    plain = batch if preprocessor is None else keras.ops.convert_to_numpy(preprocessor.plain(batch))
    return indices, np.asarray(plain, dtype=np.float32)


def _unit(features: Array) -> Array:
    exact = features.astype(np.float64)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)


def cards(page: Page, indices: list[int], images: Array, found: list[Array], words: list[str], note: str) -> Html:
    """Each image beside what was found about its parts.

    Args:
        page: a run or a fine-tuning.
        indices: places of the images in the sample.
        images: shape ``(count, height, width, channels)``.
        found: a grid for each image, higher for what matters more.
        words: what to say below each.
        note: what is drawn.
    """
    items = []
    unit = pictures.in_unit_range(images)
    for index, image, heat, said in zip(indices, images, found, words, strict=True):
        row = f"row {page.sample.rows[index]:,}"
        name = page.sample.class_name(index)
        scaled = np.clip(image, 0, 1) if unit else (image - image.min()) / max(float(np.ptp(image)), 1e-12)
        tiles = (
            _tile(pictures.to_pixels(scaled[None])[0], f"{row}, the image", name or row),
            _tile(overlay(scaled, heat), f"{row}, {said}", said),
        )
        items.append(tag("li", *tiles))
    return join((tag("p", note), tag("ul", *items, class_="views of2")))


def _tile(pixels: Any, alt: str, caption: str) -> Html:
    image = pictures.picture(pixels, SIDE)
    shown = tag("img", src=pictures.data_uri(image), alt=alt, width=image.width, height=image.height)
    return tag("figure", shown, tag("figcaption", caption))
