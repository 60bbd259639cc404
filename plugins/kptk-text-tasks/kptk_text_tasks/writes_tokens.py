"""`WritesTokens`: the base of tasks whose answers are tokens of the vocabulary."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kptk.data import Source
from kptk.errors import UsageError
from kptk.training.task import Task
from kptk.training.tokens import stages
from kptk.types import Tensor


@dataclass(slots=True)
class _Shared:
    """The backbone's vectors of the tokens; an object of its own, so that Keras does not take them for the task's."""

    table: Any


class WritesTokens(Task, abc.ABC):
    """Abstract task whose head is the backbone's own table of tokens with a bias for each token.

    The table is that of the backbone and not a copy: it learns from both ends.

    Args:
        row_shape: shape of a row of token numbers.
        **kwargs: passed to `kptk.training.task.Task`.

    References:
        Press and Wolf 2017, https://arxiv.org/abs/1608.05859
    """

    def __init__(self, *, row_shape: tuple[int, ...] = (), **kwargs: Any) -> None:
        super().__init__(row_shape=row_shape, **kwargs)
        self._shared: _Shared | None = None

    @classmethod
    def names_of(cls, source: Source) -> tuple[str, ...]:
        """None: a token is no class of the data."""
        del source
        return ()

    def attach(self, backbone: keras.Model) -> None:
        """Take the backbone's table of tokens."""
        self._shared = _Shared(stages(backbone).table)

    @property
    def table_of_tokens(self) -> Any:
        """The backbone's `Embedding`.

        Raises:
            UsageError: if there is none yet.
        """
        if self._shared is None:
            raise UsageError(
                f"task {self.name} belongs to a token backbone: make it by kptk.finetune(..., task={self.name!r})."
            )
        return self._shared.table

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the bias."""
        width, wanted = int(self.table_of_tokens.output_dim), input_shape[-1]
        if wanted != width:
            raise UsageError(f"task {self.name} needs vectors of the tokens' width, {width}. Received: {wanted}.")
        self.bias = self.add_weight(shape=(int(self.table_of_tokens.input_dim),), initializer="zeros", name="bias")
        self.built = True

    def get_build_config(self) -> None:
        """None: of a loaded model the strategy builds it, once it is attached to the backbone."""

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Logits of the tokens, shape ``(..., vocabulary)``."""
        del training
        features = ops.cast(features, "float32")
        if isinstance(features, keras.KerasTensor):
            return self._dense()(features)  # for export: a graph of Keras' own layers holds a copy of the table
        table = ops.cast(ops.convert_to_tensor(self.table_of_tokens.embeddings), "float32")
        return ops.matmul(features, ops.transpose(table)) + self.bias

    def _dense(self) -> keras.layers.Layer:
        table = ops.convert_to_numpy(self.table_of_tokens.embeddings).astype("float32")
        dense = keras.layers.Dense(len(table), dtype="float32", name="token_logits")
        dense.build((None, table.shape[1]))
        dense.set_weights([np.ascontiguousarray(table.T), ops.convert_to_numpy(self.bias)])
        return dense

    def activate(self, outputs: Tensor) -> Tensor:
        """Logarithms of the tokens' probabilities."""
        return ops.log_softmax(outputs, axis=-1)
