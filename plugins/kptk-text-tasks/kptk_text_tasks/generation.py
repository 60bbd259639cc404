"""Causal text generation: a language model goes on with its training, and continues texts."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError, UsageError
from kptk.training.examples import objects
from kptk.training.tokens import PADDING, sees_ahead
from kptk.types import Tensor
from kptk_text_tasks.example_rows import ModelRows
from kptk_text_tasks.samplers import build_sampler
from kptk_text_tasks.text_rows import prompt_rows, text_rows
from kptk_text_tasks.token_losses import NO_TOKEN, counts, figures, token_losses, token_mean
from kptk_text_tasks.writer import Continuer, Counter
from kptk_text_tasks.writes_tokens import WritesTokens

Array = NDArray[Any]


def next_tokens(ids: Tensor) -> Tensor:
    """The token that follows each, `NO_TOKEN` behind the last.

    Args:
        ids: token numbers, 0 for padding, shape ``(batch, length)``.

    Returns:
        The same shape.

    Example:
        >>> ops.convert_to_numpy(next_tokens(np.array([[2, 7, 3, 0]]))).tolist()
        [[7, 3, -1, -1]]
    """
    ids = ops.cast(ids, "int32")
    shifted = ops.concatenate([ids[:, 1:], ops.zeros_like(ids[:, :1])], axis=1)
    return ops.where(ops.equal(shifted, PADDING), ops.full_like(shifted, NO_TOKEN), shifted)


@keras.saving.register_keras_serializable(package="kptk_text_tasks")
class Generation(WritesTokens):
    """Every token from those before it; afterwards the continuation of a text.

    The head is the backbone's own table of tokens, as in pre-training by `causal`, with a bias for each token. A text longer
    than a row is cut into windows, none of which is a test row and a training row at once.

    Args:
        class_names: must be empty.
        row_shape: shape of a row of token numbers.
        sampler: how a token is chosen: ``"greedy"``, ``"beam"``, ``"random"``, ``"top_k"`` or ``"top_p"``.
        new_tokens: tokens of a continuation at most, at least 1; a row has room for `length` tokens with its prompt.
        temperature: the logits are divided by it, above 0.
        k: tokens from which ``"top_k"`` draws, at least 1.
        p: probability of the tokens from which ``"top_p"`` draws, 0 < p <= 1.
        beams: texts that ``"beam"`` keeps, at least 1.
        seed: of the draws.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        UsageError: if the backbone lets a token see those behind it.

    References:
        https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf;
        https://arxiv.org/abs/1904.09751
    """

    features = "sequence"
    metric = "perplexity"
    higher_is_better = False
    learns_from_labels = False
    rows_at_once = 32
    decoding = ("sampler", "new_tokens", "temperature", "k", "p", "beams", "seed")

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        sampler: str = "greedy",
        new_tokens: int = 32,
        temperature: float = 1.0,
        k: int = 20,
        p: float = 0.9,
        beams: int = 4,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        del class_names
        super().__init__(row_shape=row_shape, **kwargs)
        self.sampler = sampler
        self.new_tokens = new_tokens
        self.temperature = temperature
        self.k = k
        self.p = p
        self.beams = beams
        self.seed = seed

    def attach(self, backbone: keras.Model) -> None:
        """Take the backbone's table, unless it would see the answer."""
        super().attach(backbone)
        if sees_ahead(backbone):
            raise UsageError(
                f"task generation needs a backbone that reads from left to right. Received: '{backbone.name}', in which a token "
                "sees those behind it, so that the answer lies open. Pre-train one: kptk train --plugin causal"
            )

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Mean over the tokens of each row."""
        targets = next_tokens(labels)
        number = ops.maximum(ops.sum(ops.cast(targets >= 0, "float32"), axis=-1), 1.0)
        return ops.sum(token_losses(targets, outputs), axis=-1) / number

    def loss(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean over the tokens of the batch."""
        targets = next_tokens(labels)
        return token_mean(targets, token_losses(targets, outputs), weights)

    def input_targets(self, prepared: Tensor) -> Tensor:
        """The token numbers themselves."""
        prepared = ops.convert_to_tensor(prepared)
        return prepared[:, 0] if len(prepared.shape) == 3 else prepared

    def targets(self, source: Source) -> Array:
        """There are none: a text is its own answer."""
        raise InputError(f"{source.describe()}: generation learns from texts and takes no labels.")

    def examples(self, source: Source, preprocessor: Any) -> ModelRows:
        """Texts as rows, several where a text is longer."""
        return text_rows(source, preprocessor, self.name)

    def prompts(self, source: Source, preprocessor: Any) -> ModelRows:
        """The ends of texts, with room behind them."""
        return prompt_rows(source, preprocessor, self.new_tokens, self.name)

    def judge(self, model: Any) -> keras.Model:
        """Counts losses and tokens, so that no logits are kept."""
        return Counter(model)

    def predictor(self, model: Any) -> keras.Model:
        """Continues texts by a sampler of KerasHub."""
        k = min(self.k, int(self.table_of_tokens.input_dim))
        sampler = build_sampler(
            self.sampler, temperature=self.temperature, k=k, p=self.p, beams=self.beams, seed=self.seed
        )
        return Continuer(model, sampler)

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Perplexity, mean loss and accuracy of the next token.

        Args:
            labels: token numbers.
            predictions: logarithms of probabilities, or what `kptk_text_tasks.token_losses.counts` made of them.
        """
        if predictions.ndim == 3:
            predictions = ops.convert_to_numpy(counts(next_tokens(labels), predictions))
        return figures(predictions)

    def columns(self, predictions: Array) -> dict[str, Array]:
        """The likeliest next token at each place, for rows that are no texts."""
        chosen = predictions.argmax(axis=-1) if predictions.ndim == 3 else predictions
        return {"tokens": objects(chosen.tolist())}

    def table(self, predictions: Array, source: Source) -> dict[str, Array]:
        """Prompt, continuation, its tokens, and whether the model ended it itself."""
        notes = source.notes(np.arange(len(source)))
        if not notes or notes[0] is None:
            return self.columns(predictions)
        made = [note.continuation(row, self.new_tokens) for note, row in zip(notes, predictions, strict=True)]
        return {
            "prompt": objects([note.text for note in notes]),
            "continuation": objects([text for text, _, _ in made]),
            "tokens": np.array([count for _, count, _ in made]),
            "ended": np.array([ended for _, _, ended in made]),
        }

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.decoding}}
