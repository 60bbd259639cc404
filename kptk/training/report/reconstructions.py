"""Section of a report with the images that the objective itself makes: what was hidden and what was made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kptk.training import pictures
from kptk.training.report.html import Html, join, tag

if TYPE_CHECKING:
    from kptk.training.report.page import Page

EXAMPLES = 8
SIDE = 128


def reconstructions(page: Page) -> Html | None:
    """A few examples as the objective's `pictures` draws them, None if it draws nothing.

    Args:
        page: the run.
    """
    model = page.run.model
    if not page.pictures:
        return None
    source = page.run.probe_source or page.run.source
    count = min(len(source), EXAMPLES)
    rows = np.sort(np.random.default_rng([page.seed, 23]).choice(len(source), size=count, replace=False))
    batch = source.read(rows)
    plain = batch if model.views is None else model.views.plain(batch)
    drawn = model.pictures((keras.ops.convert_to_tensor(plain),) * page.run.config.views)
    if not drawn:
        return None
    named = {name: pictures.to_pixels(np.asarray(keras.ops.convert_to_numpy(row))) for name, row in drawn.items()}
    cards = [
        tag("li", *(_tile(pixels[index], name, int(row)) for name, pixels in named.items()))
        for index, row in enumerate(rows)
    ]
    kind = "the separate labelled data, not trained on" if page.run.probe_source is not None else "the training data"
    note = f"{count} rows of {kind}, drawn with seed {page.seed}, without augmentation; after the last step."
    return join((tag("p", note), tag("ul", *cards, class_=f"views of{len(named)}")))


def _tile(pixels: Any, name: str, row: int) -> Html:
    image = pictures.picture(pixels, SIDE)
    shown = tag("img", src=pictures.data_uri(image), alt=f"row {row:,}, {name}", width=image.width, height=image.height)
    return tag("figure", shown, tag("figcaption", name))
