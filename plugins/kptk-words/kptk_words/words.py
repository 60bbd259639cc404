"""`Words`: the preprocessor from texts to word numbers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.preprocessor import Preprocessor
from kptk.types import Tensor
from kptk_words.compaction import compact
from kptk_words.subsampling import keep_probability
from kptk_words.token_blocks import TokenBlocks, texts
from kptk_words.vocabulary import PADDING, UNKNOWN, Vocabulary, tokeniser

CONTROL_WORDS = 4096
"""How many of the most frequent words the bag-of-words control has."""


@keras.saving.register_keras_serializable(package="kptk_words")
class Words(Preprocessor):
    """Splits texts into words, numbers those of a vocabulary that it learns, and leaves out frequent ones at random.

    Args:
        min_count: a word that occurs less often in the training text is unknown.
        max_words: size of the vocabulary at most; 0 for any.
        pattern: regular expression of a word; empty to split at white space.
        lowercase: whether to write words small.
        unknown: ``"drop"`` leaves unknown words out, as word2vec does, ``"keep"`` gives them one number.
        sample: threshold of the subsampling of frequent words, a frequency; 0 for none. In training only.
        length: words of a text that are used outside pre-training; the rest is cut.
        block: words a training row: the corpus is cut into such blocks.
        views: 1.
        seed: seed of the subsampling; None draws one.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        https://arxiv.org/abs/1310.4546
    """

    kind = "text"
    fits = True

    def __init__(
        self,
        *,
        min_count: int = 5,
        max_words: int = 100_000,
        pattern: str = r"\w+",
        lowercase: bool = True,
        unknown: str = "drop",
        sample: float = 1e-3,
        length: int = 256,
        block: int = 512,
        views: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(views=views, seed=seed, **kwargs)
        if views != 1:
            raise UsageError(f"`views` must be 1 for word numbers. Received: {views}.")
        self.min_count = min_count
        self.max_words = max_words
        self.pattern = pattern
        self.lowercase = lowercase
        self.unknown = unknown
        self.sample = sample
        self.length = length
        self.block = block
        self.vocabulary: Vocabulary | None = None
        self._split = tokeniser(pattern, lowercase)
        self._keep: NDArray[np.float32] | None = None
        self._kept_share = 1.0

    @property
    def fitted(self) -> bool:
        """Whether it has a vocabulary."""
        return self.vocabulary is not None

    @property
    def vocabulary_size(self) -> int:
        """How many numbers there are, padding and unknown included."""
        return self._known().size

    @property
    def counts(self) -> NDArray[np.int64]:
        """Occurrences of each number in the training text, shape ``(vocabulary_size,)``."""
        counts = self._known().numbered_counts()
        if self.unknown == "drop":
            counts[UNKNOWN] = 0
        return counts

    def fit(self, source: Source) -> None:
        """Learn the vocabulary.

        Args:
            source: the training texts.
        """
        documents = (self._split(text) for text in texts(source))
        try:
            self.learn(Vocabulary.count(documents, min_count=self.min_count, max_words=self.max_words))
        except InputError as error:
            raise InputError(f"{source.describe()}: {error}") from None

    def learn(self, vocabulary: Vocabulary) -> None:
        """Take a vocabulary that is there already.

        Args:
            vocabulary: that.
        """
        self.vocabulary = vocabulary
        keep = keep_probability(self.counts, self.sample)
        self._keep = keep.astype(np.float32)
        # The end of a document takes a place, too, and always stays.
        ends = vocabulary.documents
        self._kept_share = float((np.sum(keep * self.counts) + ends) / max(self.counts.sum() + ends, 1))

    def _known(self) -> Vocabulary:
        if self.vocabulary is None:
            raise UsageError(f"preprocessor '{self.name}' has no vocabulary yet. Call its fit(source) first.")
        return self.vocabulary

    def encode(self, text: str) -> NDArray[np.int32]:
        """The numbers of a text's words.

        Args:
            text: any.
        """
        numbers = self._known().encode(self._split(text))
        return numbers[numbers != UNKNOWN] if self.unknown == "drop" else numbers

    def prepare(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Number the first `length` words of each text, shape ``(batch, length)``; a text without words is one unknown."""
        prepared = np.full((len(rows), self.length), PADDING, np.int32)
        for row, text in zip(prepared, rows.tolist(), strict=True):
            numbers = self.encode(str(text))[: self.length]
            row[: len(numbers)] = numbers
            if not len(numbers):
                row[0] = UNKNOWN
        return prepared

    def prepared_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Words of a prepared text."""
        del row_shape
        return (self.length,)

    def backbone_options(self) -> dict[str, Any]:
        """The size of the vocabulary."""
        return {"vocabulary": self.vocabulary_size}

    def prepared(self, source: Source, *, training: bool = False) -> Source:
        """The same texts as numbers: one row each, or, for pre-training, the whole corpus in blocks."""
        if not training:
            return super().prepared(source)
        state = hashlib.sha256(json.dumps(self.get_config()["vocabulary"]).encode()).hexdigest()
        return TokenBlocks((self.encode(text) for text in texts(source)), self.block, source, state)

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Leave out frequent words at random; what is kept moves together.

        Args:
            inputs: word numbers, shape ``(batch, words)``.

        Returns:
            One view, shape ``(batch, kept)`` with ``kept <= words``: a number of words that blocks rarely exceed.
        """
        ids = self.plain(inputs)
        if self._keep is None or not self.sample:
            return (ids,)
        draw = keras.random.uniform(ops.shape(ids), seed=self.seed_generator)
        keep = draw < ops.take(ops.convert_to_tensor(self._keep), ids, axis=0)
        words = int(ids.shape[1])
        spread = 4.0 * np.sqrt(words * self._kept_share * (1 - self._kept_share))
        return (compact(ids, keep, min(words, int(np.ceil(words * self._kept_share + spread)))),)

    def plain(self, inputs: Tensor) -> Tensor:
        """The word numbers themselves."""
        return ops.cast(inputs, "int32")

    def check(self, inputs: Any) -> None:
        """Refuse what are no word numbers."""
        if inputs.dtype.kind not in "iu" or inputs.ndim != 2:
            raise InputError(
                f"word numbers must be integers of shape (rows, words). Received: {inputs.dtype} {inputs.shape}."
            )

    def raw_features(self, train: Source, source: Source) -> NDArray[Any]:
        """Bags of the most frequent words (tf-idf, unit length): the control that needs no vectors."""
        rows = np.asarray(train.read(np.arange(len(train))))
        document_frequency = (self._bags(rows) > 0).sum(axis=0)
        weight = np.log((1 + len(rows)) / (1 + document_frequency)) + 1
        bags = np.log1p(self._bags(np.asarray(source.read(np.arange(len(source)))))) * weight
        return np.asarray(bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-12), "float32")

    def _bags(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        words = min(self.vocabulary_size, CONTROL_WORDS)
        flat = np.arange(len(rows))[:, None] * words + rows
        counted = np.bincount(flat[(rows != PADDING) & (rows < words)], minlength=len(rows) * words)
        return counted.reshape(len(rows), words).astype("float32")

    def get_config(self) -> dict[str, Any]:
        """Return every argument, and the vocabulary."""
        names = ("min_count", "max_words", "pattern", "lowercase", "unknown", "sample", "length", "block")
        known = None if self.vocabulary is None else self.vocabulary.to_config()
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, "vocabulary": known}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Words:
        """Rebuild it with its vocabulary."""
        config = dict(config)
        vocabulary = config.pop("vocabulary", None)
        made = cls(**config)
        if vocabulary is not None:
            made.learn(Vocabulary.from_config(vocabulary))
        return made
