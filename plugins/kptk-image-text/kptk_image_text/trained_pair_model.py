"""`TrainedPairModel`: a finished run on pairs, opened to compare pictures with texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk import runfolder
from kptk.config import RunConfig, resolve
from kptk.data import Source
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.request import from_toml
from kptk.runfolder import RunFolder
from kptk.training.assemble import open_like
from kptk.training.features import extract_with, in_batches
from kptk.training.health import finite_weights
from kptk.training.saving import load_model
from kptk.types import Tensor
from kptk_image_text.image_text_pretrainer import ImageTextPretrainer
from kptk_image_text.image_text_views import ImageTextViews
from kptk_image_text.itm import ImageTextMatching
from kptk_image_text.pair_sides import open_pairs
from kptk_image_text.pairs import Pairs

BATCH = 64


class TrainedPairModel:
    """The embeddings of a run that was trained with ``clip`` or ``itm``.

    Args:
        run: the run folder.
        plugins: the registry; a new one if None.

    Raises:
        InputError: if the run is not finished, diverged, or was trained on something else.
    """

    def __init__(self, run: str | Path, plugins: Plugins | None = None) -> None:
        self.plugins = plugins or Plugins()
        self.folder = RunFolder.open(run)
        _ = self.folder.backbone
        file = self.folder.path / runfolder.PRETRAINER
        model = load_model(file, self.plugins, compile=False) if file.exists() else None
        if not isinstance(model, ImageTextPretrainer) or not isinstance(model.views, ImageTextViews):
            raise InputError(
                f"{run} was not trained on images with captions. Make such a run: kptk train --plugin image_text"
            )
        if not finite_weights(model):
            raise InputError(f"weights of {run} are not finite; the run diverged, so there is nothing to judge.")
        self.model = model
        self.views = model.views
        self._sides = {side: Side(model, side) for side in ("image", "text")}

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return resolve(self.plugins, from_toml(self.folder.path / runfolder.CONFIG))

    @property
    def matches(self) -> bool:
        """Whether its own way to compare is the fused head, since the vectors were never compared alone."""
        return isinstance(self.model, ImageTextMatching) and not self.model.contrast

    def images(self, source: Source, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Unit vectors of pictures.

        Args:
            source: images.
            progress: called with the number of rows done, or None.
        """
        predict = self._sides["image"].predict_on_batch
        return np.asarray(extract_with(predict, source, batch_size=BATCH, progress=progress), dtype=np.float32)

    def texts(self, texts: list[str]) -> NDArray[np.float32]:
        """Unit vectors of texts.

        Args:
            texts: such as captions.
        """
        ids = self.views.prepare_texts(texts)
        return np.asarray(in_batches(self._sides["text"].predict_on_batch, ids, BATCH), dtype=np.float32)

    def scores(self, images: NDArray[np.float32], texts: NDArray[np.float32]) -> NDArray[np.float64]:
        """How well each picture and each text go together.

        Args:
            images: unit vectors, shape ``(N, dim)``.
            texts: unit vectors, shape ``(M, dim)``.

        Returns:
            Cosines, or the log-odds of the fused head if `matches`, shape ``(N, M)``.
        """
        if not self.matches:
            return np.asarray(images.astype(np.float64) @ texts.astype(np.float64).T)
        rows = []
        for image in images:
            logits = ops.convert_to_numpy(self.model.match(np.repeat(image[None], len(texts), axis=0), texts))
            rows.append(logits[:, 1].astype(np.float64) - logits[:, 0])
        return np.stack(rows)

    def unknown_share(self, texts: list[str]) -> float:
        """Share of the tokens of texts that the vocabulary does not have.

        Args:
            texts: such as captions.
        """
        facts = self.views.tokens
        assert facts is not None
        ids = self.views.prepare_texts(texts)
        real = ~np.isin(ids, [number for number in facts.specials if number != _unknown(self.views)])
        return float((ids[real] == _unknown(self.views)).mean()) if real.any() else 0.0

    def open_images(self, data: str, options: Mapping[str, str]) -> Source:
        """Open pictures in the shape that the run takes.

        Args:
            data: a path or the name of a data set.
            options: options of its reader, as texts.
        """
        height, _, channels = self.views.shape
        wanted: dict[str, Any] = {"image_size": height, "channels": channels, **options}
        return open_like(self.plugins, data, self.views.shape, wanted, "image")

    def open_test_pairs(self, data: str, options: str) -> tuple[Pairs, str]:
        """Open pairs to test on: the test part of data that has one.

        Args:
            data: a path or the name of a data set; empty for the run's own.
            options: options of its reader, ``"image=file,text=caption"``.

        Returns:
            The pairs, and which part of the data they are.

        Raises:
            InputError: if the data is the run's own and has no test part, or its pictures have another shape.
        """
        own = not data
        if own:
            from kptk_image_text.parts import data_of_run

            data, options = data_of_run(self.config)
        height, _, channels = self.views.shape
        if "image_size" not in options and Path(data).exists():
            options = f"{options},image_size={height},channels={channels}".strip(",")
        pairs = open_pairs(data, options)
        held = pairs.holdout()
        if own and held is None:
            raise InputError(
                f"{pairs.describe()}: the run was trained on all of it, and has no test part. Give pairs that it did not see: "
                "--data PATH"
            )
        chosen = held if isinstance(held, Pairs) else pairs
        if chosen.shape != self.views.shape:
            wanted, received = (" x ".join(map(str, shape)) for shape in (self.views.shape, chosen.shape))
            raise InputError(f"{chosen.describe()}: the run takes images of {wanted}, these are {received}.")
        return chosen, "test part" if isinstance(held, Pairs) else "all rows"


def _unknown(views: ImageTextViews) -> int:
    """The number of what is in no vocabulary: the special token behind the padding, as tokenisers of BERT's kind have it."""
    facts = views.tokens
    assert facts is not None
    return next((n for n in facts.specials if n not in (0, facts.mask, facts.start, facts.end)), -1)


class Side(keras.Model):
    """One side of the model: raw pictures, or token numbers, to unit vectors.

    Args:
        model: the trained objective.
        side: ``"image"`` or ``"text"``.
    """

    def __init__(self, model: ImageTextPretrainer, side: str) -> None:
        super().__init__(name=f"{side}_side")
        self.model = model
        assert isinstance(model.views, ImageTextViews)
        self.views = model.views
        self.side = side
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Unit vectors, shape ``(batch, dim)``."""
        if self.side == "text":
            return self.model.text_embeddings(inputs)
        return self.model.image_embeddings(self.views.image_layer.plain(inputs))
