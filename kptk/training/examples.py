"""`Examples`: what a task says where an example is more than a row with an answer."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kptk.data import Source

if TYPE_CHECKING:
    import keras

Array = NDArray[Any]


class Examples(abc.ABC):
    """Abstract: the part of `kptk.training.task.Task` that most tasks leave as it is, but for `score` and `columns`.

    A task overrides some of it where its examples are no plain rows (words with tags, a question and a text, an image with
    boxes), where one example becomes several rows of the model, where its answers are texts or lists, or where an answer takes
    more than one pass through the network.

    Attributes:
        form: the form of its examples, as in its spec.
        target_length: of a task that writes texts: tokens of one, its start token among them.
        decoding: options that only decide how predictions are made of outputs, so that they may change after the training.
        rows_at_once: rows of a step when it predicts and is scored; few where the outputs of a row are many.
        least_batch: rows of a training step at least, for a loss that compares rows with each other.
    """

    form: ClassVar[str] = ""
    target_length: int = 0
    decoding: ClassVar[tuple[str, ...]] = ()
    rows_at_once: ClassVar[int] = 256
    least_batch: int = 1

    def attach(self, backbone: keras.Model) -> None:
        """Look at the backbone before the head is built, for a head that shares something with it.

        Args:
            backbone: the pre-trained network.

        Raises:
            UsageError: if the task cannot work on it.
        """
        del backbone

    def examples(self, source: Source, preprocessor: Any) -> Source:
        """The rows that the model is fed, made of the data: prepared by the preprocessor, unless a task makes its own.

        Rows that come from one row of the data say so by `Source.groups`; what `score_rows` and `table` want to know of a row
        is in `Source.notes`.

        Args:
            source: the data, raw.
            preprocessor: prepares raw inputs, or None.

        Raises:
            InputError: if the data holds no such examples.
        """
        return preprocessor.prepared(source) if preprocessor is not None and preprocessor.fits else source

    def prompts(self, source: Source, preprocessor: Any) -> Source:
        """The rows to predict for, where they are others than those to learn from.

        Args:
            source: the data, raw.
            preprocessor: prepares raw inputs, or None.
        """
        return self.examples(source, preprocessor)

    def backbone_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of what the backbone gets of a row, which may hold more than its input; ``()`` if the strategy looks at that.

        Args:
            shape: of a row, as `plain` of the preprocessor gives it.
        """
        return shape

    def predictor(self, model: Any) -> keras.Model | None:
        """A model from rows to predictions, where that is not one pass through the network; None where it is.

        Args:
            model: the fine-tuned model, a `kptk.training.strategy.Strategy`.
        """
        del model
        return None

    def judge(self, model: Any) -> keras.Model | None:
        """A model from rows to what `score_rows` takes, where that is not the predictions; None where it is.

        Args:
            model: the fine-tuned model.
        """
        del model
        return None

    def embedder(self, model: Any) -> keras.Model | None:
        """A model from single raw inputs to vectors that may be compared by their cosine; None if the task makes none.

        It is called with an even number of rows.

        Args:
            model: the fine-tuned model.
        """
        del model
        return None

    @abc.abstractmethod
    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Figures that say how good predictions are; the task's `metric` is one of them.

        Args:
            labels: as `targets` makes them.
            predictions: what `activate` returned.
        """

    @abc.abstractmethod
    def columns(self, predictions: Array) -> dict[str, Array]:
        """The predictions as columns of a table, with names instead of numbers.

        Args:
            predictions: what `activate` returned.
        """

    def score_rows(self, labels: Array, predictions: Array, source: Source) -> dict[str, float]:
        """`score`, for a task that looks at the examples too.

        Args:
            labels: as `targets` makes them.
            predictions: what `activate`, or the model of `judge`, returned.
            source: the rows, as `examples` made them.
        """
        del source
        return self.score(labels, predictions)

    def details(self, labels: Array, predictions: Array, source: Source) -> dict[str, float]:
        """Further figures, such as one for each class, that are not worth a line in every epoch.

        Args:
            labels: as `targets` makes them.
            predictions: what `activate`, or the model of `predictor`, returned.
            source: the rows.
        """
        del labels, predictions, source
        return {}

    def table(self, predictions: Array, source: Source) -> dict[str, Array]:
        """`columns`, for a task that looks at the examples too.

        Args:
            predictions: what `activate`, or the model of `predictor`, returned.
            source: the rows, as `examples` made them.

        Returns:
            Columns with an entry for each row of the data; entries may be lists (`objects` makes such a column).
        """
        del source
        return self.columns(predictions)


def objects(values: list[Any] | tuple[Any, ...]) -> Array:
    """A column of lists, texts or other objects, which NumPy would take apart.

    Args:
        values: one for each row.

    Example:
        >>> objects([["a", "b"], ["c", "d"]]).shape
        (2,)
    """
    made = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        made[place] = value
    return made


def grouped(source: Source) -> list[Array]:
    """The rows of a source that come from each row of the data, in order.

    Args:
        source: rows as a task made them.
    """
    rows = np.arange(len(source))
    if source.groups is None:
        return [rows[place : place + 1] for place in rows]
    return np.split(rows, np.flatnonzero(np.diff(source.groups)) + 1) if len(rows) else []


def count_examples(source: Source) -> int:
    """How many rows of the data the rows of a source come from.

    Args:
        source: rows as a task made them.
    """
    return len(source) if source.groups is None else len(np.unique(source.groups))


def makes_rows(task: Examples) -> bool:
    """Whether a task makes the rows of the model itself.

    Args:
        task: the task.
    """
    return type(task).examples is not Examples.examples


def is_raw(x: Any, task: Examples) -> bool:
    """Whether rows are examples from which a task makes rows of its own.

    Args:
        x: what a user gave to `fit` or `predict`.
        task: the task.
    """
    if isinstance(x, (list, tuple)):
        return makes_rows(task) and len(x) > 0 and not hasattr(x[0], "shape")
    return makes_rows(task) and isinstance(x, np.ndarray) and x.dtype.kind in "OUS"
