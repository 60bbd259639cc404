"""`ImageTextViews`: pictures through one preprocessor, captions through another, both by name."""

from __future__ import annotations

from math import prod
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.data import ArraySource, Source
from kptk.errors import InputError, UsageError
from kptk.training.api import preprocessor
from kptk.training.preprocessor import Preprocessor
from kptk.training.tokens import TokenFacts
from kptk.types import Tensor
from kptk_image_text.packing import join, pack, packed_size, shape_text, unpack
from kptk_image_text.pairs import KIND, captions_of, refuse_other_rows
from kptk_image_text.part_options import part_options, told


@keras.saving.register_keras_serializable(package="kptk_image_text")
class ImageTextViews(Preprocessor):
    """Makes views of the picture and token numbers of the caption of each pair.

    Any preprocessor of images that learns nothing from the rows will do, and any of texts with a vocabulary. A prepared row
    is bytes, those of the picture and three for each token; a view is a row of floats, the pixels and behind them the token
    numbers, as the backbone ``dual_encoder`` takes it.

    Args:
        views: how many views of each picture; the tokens are the same in all.
        image: name of the preprocessor of the pictures.
        image_options: its options, ``"crop=0.5,flip=0"``. A flip makes "left of" wrong.
        text: name of the preprocessor of the captions.
        text_options: its options, ``"lowercase=false"``; its vocabulary is learned from the captions.
        length: tokens of a caption, at least 8; longer ones are cut.
        vocabulary: tokens at most.
        seed: of the random numbers; None draws one.
        state: what a saved layer knows; not for users.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        UsageError: if a name or an option is wrong.

    Example:
        >>> import kptk, numpy as np
        >>> pairs = kptk.dataset("emoji_captions")
        >>> layer = ImageTextViews(length=8)
        >>> layer.fit(pairs)
        >>> tuple(layer(layer.prepare(pairs.read(np.arange(2))))[0].shape)
        (2, 6920)

    References:
        https://arxiv.org/abs/2103.00020, section 2.4
    """

    fits = True
    kind = KIND

    def __init__(
        self,
        *,
        views: int = 1,
        image: str = "image_views",
        image_options: str = "",
        text: str = "text_tokens",
        text_options: str = "",
        length: int = 16,
        vocabulary: int = 4000,
        seed: int | None = None,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # token numbers keep their precision under a mixed policy
        super().__init__(views=views, seed=seed, **kwargs)
        self.image, self.image_options = image, image_options
        self.text, self.text_options = text, text_options
        self.length, self.vocabulary = length, vocabulary
        self.shape: tuple[int, ...] = ()
        if state is not None:
            self.image_layer = keras.saving.deserialize_keras_object(state["image"])
            self.text_layer = keras.saving.deserialize_keras_object(state["text"])
            self.shape = tuple(state["shape"])
            return
        own = part_options("preprocessor", image, image_options, "image_options")
        self.image_layer = preprocessor(image, views=views, seed=seed, **own)
        facts = {"length": length, "vocabulary": vocabulary, "examples": "texts"}
        own = part_options("preprocessor", text, text_options, "text_options")
        self.text_layer = preprocessor(text, views=1, seed=seed, **told("preprocessor", text, own, facts))
        self._refuse_other_parts()

    def _refuse_other_parts(self) -> None:
        if self.image_layer.kind != "image" or self.image_layer.fits:
            raise UsageError(
                f"`image` must be a preprocessor of images that learns nothing from the rows, such as image_views. Received: "
                f"{self.image!r}."
            )
        if self.text_layer.kind != "text" or not self.text_layer.fits or len(self.text_layer.prepared_shape(())) != 1:
            raise UsageError(
                f"`text` must be a preprocessor that makes a row of token numbers of each text, such as text_tokens. Received: "
                f"{self.text!r}."
            )

    # What is learned ---------------------------------------------------------------------------------------------------

    @property
    def fitted(self) -> bool:
        """Whether it knows the shape of the pictures, and the captions' vocabulary."""
        return bool(self.shape) and bool(self.text_layer.fitted)

    def fit(self, source: Source) -> None:
        """Learn the vocabulary of the captions, and the shape of the pictures.

        Args:
            source: pairs.

        Raises:
            InputError: if it holds something else.
        """
        self._refuse_other_kinds(source)
        captions = np.empty(len(source), dtype=object)
        captions[:] = captions_of(source)
        self.text_layer.fit(ArraySource(captions, inputs="text", name="captions"))
        self.shape = tuple(int(side) for side in np.shape(source.read(np.arange(1))[0].image))

    @property
    def tokens(self) -> TokenFacts | None:
        """What the token numbers mean; None before `fit`."""
        found: TokenFacts | None = getattr(self.text_layer, "tokens", None)
        return found

    # What rows become --------------------------------------------------------------------------------------------------

    def prepared_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Bytes of a picture, and three for each token."""
        del row_shape
        return (packed_size(self.shape, self._tokens_of_a_row),)

    def view_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Numbers of a view of the picture, and one for each token."""
        del row_shape
        return (prod(self.image_layer.view_shape(self.shape)) + self._tokens_of_a_row,)

    @property
    def _tokens_of_a_row(self) -> int:
        return int(self.text_layer.prepared_shape(())[-1])

    def backbone_options(self) -> dict[str, Any]:
        """How a dual encoder takes a view apart, and the size of the vocabulary."""
        facts = {"image_shape": shape_text(self.image_layer.view_shape(self.shape)), "length": self._tokens_of_a_row}
        return facts | self.text_layer.backbone_options()

    def prepare(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Pictures and tokens of pairs as bytes.

        Args:
            rows: an array of `kptk_image_text.pair.Pair`.

        Raises:
            InputError: if a row is no pair, or its picture has another shape.
        """
        refuse_other_rows(rows)
        for place, row in enumerate(rows):
            if np.shape(row.image) != self.shape:
                wanted, received = (" x ".join(map(str, shape)) for shape in (self.shape, np.shape(row.image)))
                raise InputError(f"row {place:,} must have an image of {wanted}. Received: {received}.")
            if not row.caption.strip():
                raise InputError(f"row {place:,} has an empty caption. Leave it out.")
        captions = np.empty(len(rows), dtype=object)
        captions[:] = [row.caption for row in rows]
        return pack(np.stack([row.image for row in rows]), self.text_layer.prepare(captions))

    def prepare_texts(self, texts: list[str]) -> NDArray[Any]:
        """Token numbers of texts without pictures, shape ``(texts, length)``.

        Args:
            texts: such as names of classes in a sentence.
        """
        rows = np.empty(len(texts), dtype=object)
        rows[:] = texts
        return np.asarray(self.text_layer.prepare(rows))

    def prepared(self, source: Source, *, training: bool = False) -> Source:
        """The same pairs as bytes.

        Args:
            source: pairs.
            training: makes no difference.

        Raises:
            InputError: if it holds images or texts alone.
        """
        self._refuse_other_kinds(source)
        return super().prepared(source, training=training)

    @staticmethod
    def _refuse_other_kinds(source: Source) -> None:
        if source.inputs != KIND:
            side = f" Its encoder of {source.inputs}s alone lies within the run: RUN/{source.inputs}."
            raise InputError(
                f"this run takes images with captions, and {source.describe()}: that is {source.inputs}."
                + (side if source.inputs in ("image", "text") else "")
            )

    def raw_features(self, train: Source, source: Source) -> NDArray[Any]:
        """Pixels, and which tokens are in the caption: the control that needs no network."""
        del train
        assert self.tokens is not None
        parts = []
        for start in range(0, len(source), 256):
            rows = source.read(np.arange(start, min(start + 256, len(source))))
            size = prod(self.shape)
            ids = keras.ops.convert_to_numpy(unpack(keras.ops.convert_to_tensor(rows), self.shape)[1])
            bag = np.zeros((len(rows), self.tokens.vocabulary), dtype=np.float32)
            np.put_along_axis(bag, np.asarray(ids, dtype=np.int64), 1.0, axis=1)
            bag[:, list(self.tokens.specials)] = 0.0
            parts.append(np.concatenate([rows[:, :size].astype(np.float32) / 255.0, bag], axis=1))
        return np.concatenate(parts)

    def check(self, inputs: Any) -> None:
        """Refuse arrays that are no prepared pairs.

        Args:
            inputs: what was passed to `fit`.

        Raises:
            InputError: if they are of another type or shape.
        """
        wanted = self.prepared_shape(())
        if str(inputs.dtype) != "uint8" or tuple(inputs.shape[1:]) != wanted:
            raise InputError(
                f"x must hold pairs (kptk_image_text.pair.pair_rows), or bytes of shape {('rows', *wanted)} as `prepare` makes "
                f"them. Received: {inputs.dtype} of shape {tuple(inputs.shape)}."
            )

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Views of the pictures, each with the tokens of the caption."""
        pixels, ids = unpack(keras.ops.convert_to_tensor(inputs), self.shape)
        return tuple(join(view, ids) for view in self.image_layer(pixels))

    def plain(self, inputs: Tensor) -> Tensor:
        """The pictures without any randomness, and the tokens."""
        pixels, ids = unpack(keras.ops.convert_to_tensor(inputs), self.shape)
        return join(self.image_layer.plain(pixels), ids)

    def get_config(self) -> dict[str, Any]:
        """Return every argument, and both preprocessors with what they learned."""
        names = ("image", "image_options", "text", "text_options", "length", "vocabulary")
        state = {
            "image": keras.saving.serialize_keras_object(self.image_layer),
            "text": keras.saving.serialize_keras_object(self.text_layer),
            "shape": list(self.shape),
        }
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, "state": state}
