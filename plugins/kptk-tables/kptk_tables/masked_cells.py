"""Masked cells: some cells of a row are hidden, and the others have to tell them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.types import Tensor
from kptk_tables.cells import cell_losses, chance, table_of
from kptk_tables.corruption import choose_cells


def masked_loss(losses: Tensor, hidden: Tensor) -> Tensor:
    """The mean error of the hidden cells.

    Args:
        losses: of each cell, shape ``(batch, columns)``.
        hidden: 1 where a cell was hidden, of the same shape.
    """
    return ops.sum(losses * hidden) / ops.maximum(ops.sum(hidden), 1.0)


@keras.saving.register_keras_serializable(package="kptk_tables")
class MaskedCells(Pretrainer):
    """Predicts hidden cells: numbers by squared error on their scale, names by cross-entropy.

    Every feature of a hidden cell is replaced by a learned number, as BERT's mask token is learned.

    Args:
        backbone: any `keras.Model` from rows to features.
        views: the fitted preprocessor ``tables/table`` with a clean first view.
        amount: share of the columns of a row that are hidden, at least one.
        hidden_dim: width of the decoder's hidden layer.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import kptk
        >>> result = kptk.train("masked_cells", epochs=1)  # doctest: +SKIP

    References:
        BERT, https://arxiv.org/abs/1810.04805, for cells; VIME, https://proceedings.neurips.cc/paper/2020/hash/7d97667a3e056acab9aaf653807b4a03-Abstract.html
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        amount: float = 0.3,
        hidden_dim: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.table = table_of(views, "masked_cells")
        self.amount = amount
        self.hidden_dim = hidden_dim
        self.seed_generator = keras.random.SeedGenerator()
        features = len(self.table.known.owners)
        self.decoder = mlp((hidden_dim, features), self.feature_dim, batch_norm=False, name="decoder")
        self.mask = self.add_weight(shape=(features,), initializer="random_normal", name="mask")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Hide some cells of the only view and predict all of them."""
        known = self.table.known
        targets = ops.cast(views[0], "float32")
        hidden = choose_cells(ops.shape(targets)[0], len(known.columns), self.amount, self.seed_generator)
        covered = ops.take(hidden, ops.convert_to_tensor(known.owners, dtype="int32"), axis=1)
        inputs = ops.where(covered, ops.cast(self.mask, "float32"), targets)
        raw = self.decoder(self.encode(inputs, training=training), training=training)
        return {"raw": ops.cast(raw, "float32"), "targets": targets, "hidden": ops.cast(hidden, "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """Apply `masked_loss` to the errors of the cells."""
        del labels
        known = self.table.known
        losses = cell_losses(outputs["raw"], outputs["targets"], known.groups, len(known.columns))
        return masked_loss(losses, outputs["hidden"])

    def chance_loss(self, batch_size: int) -> float:
        """The error of predicting each column's marginal distribution."""
        del batch_size
        return chance(self.table)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "amount": self.amount, "hidden_dim": self.hidden_dim}
