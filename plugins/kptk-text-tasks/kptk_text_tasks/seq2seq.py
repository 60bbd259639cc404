"""Sequence to sequence: a text from a text."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kptk.data import Source
from kptk.errors import InputError
from kptk.training.examples import objects
from kptk.types import Tensor
from kptk_text_tasks.chrf import chrf
from kptk_text_tasks.example_rows import ModelRows
from kptk_text_tasks.pair_rows import pair_rows
from kptk_text_tasks.samplers import build_sampler
from kptk_text_tasks.token_losses import NO_TOKEN, counts, figures, token_losses, token_mean
from kptk_text_tasks.translator import TargetCounter, Translator
from kptk_text_tasks.writes_tokens import WritesTokens

Array = NDArray[Any]


def wanted_tokens(ids: Tensor) -> Tensor:
    """Tokens of a target as the loss takes them: `NO_TOKEN` instead of padding.

    Args:
        ids: token numbers, 0 for padding.
    """
    ids = ops.cast(ids, "int32")
    return ops.where(ops.equal(ids, 0), ops.full_like(ids, NO_TOKEN), ids)


@keras.saving.register_keras_serializable(package="kptk_text_tasks")
class Seq2Seq(WritesTokens):
    """Every token of the target from the text and the tokens of the target before it (teacher forcing).

    The strategy ``encoder_decoder`` brings the decoder. The head is the backbone's own table of tokens with a bias for each.

    Args:
        class_names: must be empty.
        row_shape: shape of a row of token numbers.
        target_length: tokens of a target with its start token, at least 3; longer ones are cut and counted.
        label_smoothing: weight of the uniform distribution in the target, 0 <= label_smoothing < 1.
        sampler: how predictions are written: ``"greedy"`` or ``"beam"``.
        beams: texts that ``"beam"`` keeps, at least 1.
        **kwargs: passed to `keras.layers.Layer`.

    References:
        https://arxiv.org/abs/1409.3215; https://arxiv.org/abs/1706.03762; https://arxiv.org/abs/1907.12461
    """

    form = "text_pairs"
    features = "target"
    metric = "token_accuracy"
    rows_at_once = 32
    decoding = ("sampler", "beams")

    def __init__(
        self,
        *,
        class_names: tuple[str, ...] = (),
        row_shape: tuple[int, ...] = (),
        target_length: int = 32,
        label_smoothing: float = 0.0,
        sampler: str = "greedy",
        beams: int = 4,
        **kwargs: Any,
    ) -> None:
        del class_names
        super().__init__(row_shape=row_shape, **kwargs)
        self.target_length = target_length
        self.label_smoothing = label_smoothing
        self.sampler = sampler
        self.beams = beams

    def row_loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Mean over the tokens of each target."""
        targets = wanted_tokens(labels)
        number = ops.maximum(ops.sum(ops.cast(targets >= 0, "float32"), axis=-1), 1.0)
        return ops.sum(token_losses(targets, outputs, self.label_smoothing), axis=-1) / number

    def loss(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean over the tokens of the batch."""
        targets = wanted_tokens(labels)
        return token_mean(targets, token_losses(targets, outputs, self.label_smoothing), weights)

    def known(self, labels: Tensor) -> Tensor:
        """Rows with a target."""
        return ops.any(labels > 0, axis=-1)

    def backbone_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The strategy parts the two texts of a row."""
        del shape
        return ()

    def examples(self, source: Source, preprocessor: Any) -> ModelRows:
        """Rows of a text and its target."""
        return pair_rows(source, preprocessor, self.target_length, self.name)

    def targets(self, source: Source) -> Array:
        """Token numbers of the targets, 0 for padding, shape ``(rows, target_length)``.

        Raises:
            InputError: if there are none.
        """
        if source.targets is None or source.targets.ndim != 2:
            raise InputError(
                f"{source.describe()}: seq2seq needs a text to write for each text: a table with columns source and target, or "
                "-o data.source=COLUMN -o data.target=COLUMN"
            )
        return np.asarray(source.targets)

    def check_labels(self, labels: Array) -> None:
        """Refuse what is no array of token numbers."""
        if labels.ndim != 2 or labels.shape[1] != self.target_length or labels.dtype.kind not in "iu":
            raise InputError(
                f"seq2seq takes texts as targets, or token numbers of shape (rows, {self.target_length}). Received: shape "
                f"{labels.shape}, dtype {labels.dtype}."
            )

    def judge(self, model: Any) -> keras.Model:
        """Counts losses and tokens, each token behind the right ones before it."""
        return TargetCounter(model)

    def predictor(self, model: Any) -> keras.Model:
        """Writes texts by a sampler of KerasHub."""
        return Translator(model, build_sampler(self.sampler, beams=self.beams))

    def score(self, labels: Array, predictions: Array) -> dict[str, float]:
        """Accuracy of the next token, perplexity and mean loss, each token behind the right ones before it.

        Args:
            labels: token numbers of the targets.
            predictions: logarithms of probabilities, or what `kptk_text_tasks.token_losses.counts` made of them.
        """
        if predictions.ndim == 3:
            predictions = ops.convert_to_numpy(counts(wanted_tokens(labels), predictions))
        return figures(predictions)

    def details(self, labels: Array, predictions: Array, source: Source) -> dict[str, float]:
        """Exact match and chrF of what the model writes by itself, in the form in which the tokeniser writes texts."""
        notes = source.notes(np.arange(len(source)))
        pairs = [
            (note.written(np.asarray(label)), note.written(row))
            for note, label, row in zip(notes, labels, predictions, strict=True)
            if note is not None and label.any()
        ]
        if not pairs:
            return {}
        exact = [np.array_equal(truth, guess) for (_, truth), (_, guess) in pairs]
        return {
            "exact_match": float(np.mean(exact)),
            "chrf": chrf([truth for (truth, _), _ in pairs], [guess for _, (guess, _) in pairs]),
        }

    def columns(self, predictions: Array) -> dict[str, Array]:
        """Token numbers, for rows that are no texts."""
        chosen = predictions.argmax(axis=-1) if predictions.ndim == 3 else predictions
        return {"tokens": objects(chosen.tolist())}

    def table(self, predictions: Array, source: Source) -> dict[str, Array]:
        """The text, what was written of it, and its tokens."""
        notes = source.notes(np.arange(len(source)))
        if not notes or notes[0] is None:
            return self.columns(predictions)
        made = [note.written(row) for note, row in zip(notes, predictions, strict=True)]
        return {
            "source": objects([note.text for note in notes]),
            "prediction": objects([text for text, _ in made]),
            "tokens": np.array([len(ids) for _, ids in made]),
        }

    def example_labels(self, inputs: Array, classes: Array) -> Array | None:
        """The targets in the rows of the conformance kit."""
        del classes
        return np.asarray(inputs[:, -self.target_length :])

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        names = ("target_length", "label_smoothing", *self.decoding)
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
