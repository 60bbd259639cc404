"""`TextTokens`: texts to token numbers, with a vocabulary that was learned of the training texts or loaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.pieces import Pieces
from kptk.training.prepared import Prepared
from kptk.training.preprocessor import Preprocessor
from kptk.training.tokens import TokenFacts
from kptk.types import Tensor
from kptk_text.pairs import Pairs
from kptk_text.places import places
from kptk_text.token_store import TokenStore, batches_of_texts
from kptk_text.tokeniser import KINDS, facts_of, load_tokeniser, train_tokeniser
from kptk_text.windows import Sentences, Windows

EXAMPLES = ("windows", "texts", "sentences", "next", "order")
MOST_TRAINING_ROWS = 500_000
"""Texts from which a vocabulary is learned at most, drawn evenly: more change it little."""


@keras.saving.register_keras_serializable(package="kptk_text")
class TextTokens(Preprocessor):
    """Cuts texts into pieces of words and numbers them; 0 is padding.

    For inference a text is a row: ``[CLS]``, its first tokens, ``[SEP]``, padding. For pre-training the corpus is cut anew, as
    `examples` says.

    Args:
        views: how many copies of each row; any randomness, such as masks, is the objective's.
        tokenizer: ``"wordpiece"`` or ``"bpe"``, trained on the training texts; or a local folder in Hugging Face's layout, or
            of a KerasHub preset, or a run of kptk, whose vocabulary is used as it is.
        vocabulary: tokens at most, of a trained one; a small corpus may give fewer.
        length: tokens of a row, at least 8; longer texts are cut.
        lowercase: whether capital letters are made small, by a trained one.
        examples: what pre-training reads: ``"windows"`` of the whole corpus, ``"texts"`` or ``"sentences"`` one a row, or pairs
            of segments, ``"next"`` (half of them false) or ``"order"`` (half of them swapped).
        seed: decides the pairs; None for 0.
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> from kptk_text.home_intents import home_intents
        >>> layer = TextTokens(vocabulary=500, length=8)
        >>> layer.fit(home_intents())
        >>> layer.decode(layer.prepare(np.array(["Turn on the light"], dtype=object))[0])
        '[CLS] turn on the light [SEP]'

    References:
        https://arxiv.org/abs/1810.04805
    """

    fits = True
    kind = "text"

    def __init__(
        self,
        *,
        views: int = 1,
        tokenizer: str = "wordpiece",
        vocabulary: int = 8000,
        length: int = 64,
        lowercase: bool = True,
        examples: str = "windows",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(views=views, seed=seed, **kwargs)
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.length = length
        self.lowercase = lowercase
        self.examples = examples
        self._state = ""

    # What is learned ---------------------------------------------------------------------------------------------------

    @property
    def fitted(self) -> bool:
        """Whether it has a vocabulary."""
        return bool(self._state)

    def fit(self, source: Source) -> None:
        """Learn the vocabulary, or load it.

        Args:
            source: the training texts.
        """
        if self.tokenizer in KINDS:
            step = -(-len(source) // MOST_TRAINING_ROWS)
            made = train_tokeniser(
                lambda: batches_of_texts(source, step), self.tokenizer, self.vocabulary, lowercase=self.lowercase
            )
        else:
            made = load_tokeniser(self.tokenizer)
        self._learn(made.to_str())

    def _learn(self, state: str) -> None:
        self._state = state
        for name in ("tokeniser", "_facts"):
            self.__dict__.pop(name, None)

    @cached_property
    def tokeniser(self) -> Any:
        """The `tokenizers.Tokenizer`."""
        if not self._state:
            raise UsageError(f"preprocessor '{self.name}' has no vocabulary yet. Call its fit(source) first.")
        return Tokenizer.from_str(self._state)

    @property
    def tokens(self) -> TokenFacts | None:
        """What the numbers mean; None before `fit`."""
        if self._state and "_facts" not in self.__dict__:
            self.__dict__["_facts"] = facts_of(self.tokeniser)
        return self.__dict__.get("_facts")

    def decode(self, ids: Any) -> str:
        """The text of token numbers, special tokens as their names and padding left out.

        Args:
            ids: one row of numbers.
        """
        kept = [int(number) for number in np.ravel(ids) if number]
        return str(self.tokeniser.decode(kept, skip_special_tokens=False))

    def pieces(self, texts: Sequence[str] | Sequence[Sequence[str]]) -> list[Pieces]:
        """Cut texts, or lists of words, into pieces with their places, see `kptk.training.pieces`.

        Args:
            texts: texts; or lists of words, of which each gets one piece at least, ``[UNK]`` if it has none.
        """
        words = bool(len(texts)) and not isinstance(texts[0], str)
        codes = self.tokeniser.encode_batch(
            list(map(list, texts)) if words else list(texts), is_pretokenized=words, add_special_tokens=False
        )
        return [
            places(code, text, self.tokeniser.token_to_id("[UNK]")) for code, text in zip(codes, texts, strict=True)
        ]

    # What rows become --------------------------------------------------------------------------------------------------

    @property
    def pairs(self) -> bool:
        """Whether rows have a channel of segments."""
        return self.examples in ("next", "order")

    def prepared_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """``(length,)``; with pairs ``(3, length)``: tokens, segments, the answer."""
        del row_shape
        return (3, self.length) if self.pairs else (self.length,)

    def view_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """What the backbone takes: without the answer."""
        return (2, row_shape[-1]) if len(row_shape) == 2 else row_shape

    def backbone_options(self) -> dict[str, Any]:
        """The size of the vocabulary."""
        return {"vocabulary": self.tokens.vocabulary} if self.tokens else {}

    def prepare(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Number the tokens of texts.

        Args:
            rows: texts, shape ``(batch,)``.

        Returns:
            Whole numbers, shape ``(batch, *prepared_shape)``.

        Raises:
            InputError: if a row is no text.
        """
        facts = self.tokens
        texts = list(rows)
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"row {place:,} must be a text. Received: {type(text).__name__}.")
        batch = np.zeros((len(texts), *self.prepared_shape(())), dtype=np.int32)
        ids = batch[:, 0] if self.pairs else batch
        codes = self.tokeniser.encode_batch_fast(texts, add_special_tokens=False)
        assert facts is not None
        for line, code in zip(ids, codes, strict=True):
            kept = code.ids[: self.length - 2]
            line[0] = facts.start
            line[1 : len(kept) + 1] = kept
            line[len(kept) + 1] = facts.end
        return batch

    def prepared(self, source: Source, *, training: bool = False) -> Source:
        """Texts as rows of numbers; for pre-training the corpus cut as `examples` says.

        Args:
            source: texts.
            training: whether for pre-training.
        """
        if not training or self.examples == "texts":
            return Prepared(source, self)
        facts = self.tokens
        assert facts is not None, "fit it first"
        if self.examples == "windows":
            store = TokenStore(source, self.tokeniser, split=False, end=facts.end)
            return Windows(source, store, facts, self.length, self._state)
        store = TokenStore(source, self.tokeniser, split=True)
        if self.examples == "sentences":
            return Sentences(source, store, facts, self.length, self._state)
        order = self.examples == "order"
        return Pairs(source, store, facts, self.length, self._state, order=order, seed=self.seed or 0)

    def raw_features(self, train: Source, source: Source) -> NDArray[Any]:
        """TF-IDF of words and pairs of words: the control that needs no network."""
        from kptk_text.tf_idf import tf_idf

        return tf_idf(train, source, self)

    def check(self, inputs: Any) -> None:
        """Refuse arrays that are no token numbers.

        Args:
            inputs: what was passed to `fit`.

        Raises:
            InputError: if they are of another kind or shape.
        """
        shape, wanted = tuple(inputs.shape[1:]), self.prepared_shape(())
        whole = "int" in str(inputs.dtype)
        if not whole or shape != wanted:
            raise InputError(
                f"x must hold texts, or token numbers of shape {('rows', *wanted)}. Received: {inputs.dtype} of shape "
                f"{tuple(inputs.shape)}."
            )

    def call(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The rows as they are, as often as there are views."""
        return (self.plain(inputs),) * self.views

    def plain(self, inputs: Tensor) -> Tensor:
        """The rows as the backbone takes them: without the answer of a pair."""
        inputs = ops.convert_to_tensor(inputs)
        return inputs[:, :2] if len(inputs.shape) == 3 else inputs

    def get_config(self) -> dict[str, Any]:
        """Return every argument, and the vocabulary."""
        return {
            **super().get_config(),
            "tokenizer": self.tokenizer,
            "vocabulary": self.vocabulary,
            "length": self.length,
            "lowercase": self.lowercase,
            "examples": self.examples,
            "state": self._state,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextTokens:
        """Rebuild the layer with its vocabulary."""
        config = dict(config)
        state = config.pop("state", "")
        layer = cls(**config)
        layer._learn(state)
        return layer
