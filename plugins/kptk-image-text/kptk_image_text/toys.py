"""What the conformance kit needs to know of pictures with captions."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.data import ArraySource, Source
from kptk.testing.toys import Toy, register_toy, toy_inputs
from kptk.training.preprocessor import Preprocessor
from kptk_image_text.dual_encoder import dual_encoder
from kptk_image_text.image_text_views import ImageTextViews
from kptk_image_text.pair import pair_rows
from kptk_image_text.pairs import KIND

WORDS = ("red cat", "blue river", "green bread", "white horse")
PLACES = ("left", "right", "top", "bottom", "near", "far", "inside", "outside", "above")


def raw_rows(count: int, seed: int) -> Source:
    """Blobs of four classes, each with the name of its class and where it was seen.

    Args:
        count: how many.
        seed: decides all of them.
    """
    images, labels = toy_inputs("image", count, seed)
    rng = np.random.default_rng([seed, 5])
    captions = [f"a {WORDS[label]} {rng.choice(PLACES)} {rng.choice(PLACES)} {rng.choice(PLACES)}" for label in labels]
    return ArraySource(pair_rows(images, captions), labels, inputs=KIND, name="toy pairs")


@cache
def _fitted_config() -> str:
    import json

    layer = ImageTextViews(views=1, image="plain_images", length=10, vocabulary=100, seed=0)
    layer.fit(raw_rows(64, 0))
    return json.dumps(layer.get_config())


def views(count: int) -> Preprocessor:
    """A fitted preprocessor, with plain pictures.

    Args:
        count: views of each picture.
    """
    import json

    return ImageTextViews.from_config(json.loads(_fitted_config()) | {"views": count})


def inputs(count: int, seed: int) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Prepared pairs and their classes.

    Args:
        count: how many.
        seed: decides all of them.
    """
    rows = raw_rows(count, seed)
    assert rows.labels is not None
    return views(1).prepare(rows.read(np.arange(count))), rows.labels


def backbone(features: str) -> keras.Model:
    """The smallest dual encoder.

    Args:
        features: only vectors are there.
    """
    del features
    facts: dict[str, Any] = views(1).backbone_options()
    return dual_encoder(
        shape(0), image="mlp", image_options="units=16,depth=1", text_options="width=16,layers=1", **facts
    )


def shape(smallest: int) -> tuple[int, ...]:
    """Shape of a view.

    Args:
        smallest: there is none.
    """
    del smallest
    return views(1).view_shape(())


register_toy(
    KIND,
    Toy(inputs=inputs, backbone=backbone, views=views, shape=shape, raw=raw_rows, options=views(1).backbone_options()),
)
