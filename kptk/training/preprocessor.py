"""`Preprocessor`: from a batch of raw inputs to the views that an objective learns from."""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk.data import ArraySource, Source
from kptk.errors import UsageError
from kptk.types import Tensor


class Preprocessor(keras.layers.Layer, abc.ABC):
    """Abstract layer between raw inputs and the backbone. Plugins subclass it.

    It has two ways through: `call` makes the (random) views of a training step, and `plain` prepares inputs for
    inference. Both run inside the model, in `keras.ops`, so the same code serves every backend and `model.fit` takes
    raw arrays.

    Some inputs are not numbers (texts, the cells of a table), or need something that is learned from the training rows
    (a vocabulary, a mean). A preprocessor with `fits` has a stage before the model for that: `fit` looks at the training rows
    and keeps what it learned in `get_config`, as JSON; `prepare` turns raw rows into numbers.

    Args:
        views: how many views to make of each example.
        seed: seed of the layer's random numbers; None draws one.
        **kwargs: passed to `keras.layers.Layer`.
    """

    kind: str = "image"
    """The kind of input that it takes, as in its spec; of one that `fits`, so that data is read as that kind."""

    fits: bool = False
    """Whether rows pass `prepare` before they reach the model, and `fit` must have seen the training rows before."""

    def __init__(self, *, views: int = 2, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.views = views
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True  # no weights beyond the random state

    @abc.abstractmethod
    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Make the views.

        Args:
            inputs: raw inputs, shape ``(batch, ...)``; prepared ones if it `fits`.

        Returns:
            `views` tensors as the backbone takes them.
        """

    @abc.abstractmethod
    def plain(self, inputs: Tensor) -> Tensor:
        """Prepare inputs for inference: the same scaling and size, no randomness.

        Args:
            inputs: as in `call`.
        """

    def check(self, inputs: Any) -> None:
        """Look at an array before `fit` starts and refuse what cannot be meant.

        Args:
            inputs: the array that was passed to `fit`.

        Raises:
            InputError: if its shape or range is wrong.
        """

    # Only for those that learn from the training rows -----------------------------------------------------------------

    @property
    def fitted(self) -> bool:
        """Whether it is ready: always, unless it `fits` and has not seen the training rows."""
        return not self.fits

    def fit(self, source: Source) -> None:
        """Learn what is needed of the training rows; `get_config` holds it from then on.

        Args:
            source: the training rows, raw.
        """
        del source

    def prepare(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Turn raw rows into numbers, one row into one.

        Args:
            rows: as a `Source` reads them, shape ``(batch, ...)``.

        Returns:
            Shape ``(batch, *prepared_shape)``.
        """
        return rows

    def numbers(self, rows: Any, *, training: bool = False) -> Any:
        """What a model is fed instead of raw rows; anything else as it is.

        Args:
            rows: what a user gave to `fit` or `predict`.
            training: as in `prepared`.
        """
        if not self.fits or not isinstance(rows, (np.ndarray, list, tuple)) or not len(rows):
            return rows
        array = rows if isinstance(rows, np.ndarray) else np.asarray(rows, dtype=object)
        if array.dtype.kind not in "OUS":
            return rows
        source = ArraySource(array, inputs=self.kind)
        if not self.fitted:
            raise UsageError(f"preprocessor '{self.name}' has not seen any rows yet. Call its fit(source) first.")
        if not training:
            return self.prepare(array)
        windows = self.prepared(source, training=True)
        return windows.read(np.arange(len(windows)))

    def prepared_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a prepared row, as the model gets it.

        Args:
            row_shape: shape of a raw row.
        """
        return row_shape

    def view_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of what `plain` makes of one prepared row, which is what the backbone takes.

        Args:
            row_shape: shape of a prepared row.
        """
        size = getattr(self, "size", 0)
        return (size, size, row_shape[-1]) if size and len(row_shape) == 3 else row_shape

    def backbone_options(self) -> dict[str, Any]:
        """What a backbone has to know of the prepared rows besides their shape, by the names of its options.

        ``kptk train`` sets an option of that name which is 0 or empty: so a network gets a vector for each token of a
        vocabulary, or knows which features belong to one column, that nobody knows before the rows are read.
        """
        return {}

    def prepared(self, source: Source, *, training: bool = False) -> Source:
        """The same data with prepared rows.

        Args:
            source: raw rows.
            training: whether for pre-training, where a preprocessor may cut the rows anew (such as texts into windows of
                one length); otherwise each row stays one row, with its label.
        """
        from kptk.training.prepared import Prepared

        del training
        return Prepared(source, self) if self.fits else source

    def raw_features(self, train: Source, source: Source) -> NDArray[Any]:
        """What the rows say without any network, as vectors: the control that every encoder is compared with.

        Args:
            train: prepared training rows, for controls that learn something, such as the frequency of words.
            source: prepared rows.

        Returns:
            Shape ``(rows, numbers)``.
        """
        from kptk.training.encoder import raw_features

        del train
        return raw_features(source)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, so that a saved model contains its views."""
        return {**super().get_config(), "views": self.views, "seed": self.seed}
