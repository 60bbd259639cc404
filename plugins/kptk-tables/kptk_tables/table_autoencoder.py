"""A denoising autoencoder of tables: from a corrupted row to the clean one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kptk.training.preprocessor import Preprocessor
from kptk.training.pretrainer import Pretrainer, mlp
from kptk.types import Tensor
from kptk_tables.cells import cell_losses, chance, table_of


@keras.saving.register_keras_serializable(package="kptk_tables")
class TableAutoencoder(Pretrainer):
    """Encodes a row some of whose cells come from other rows ("swap noise") and restores every cell.

    The corruption is the preprocessor's: `preprocessor.corruption` says how many columns, 0 makes a plain autoencoder.

    Args:
        backbone: any `keras.Model` from rows to features.
        views: the fitted preprocessor ``tables/table`` with a clean first view and a corrupted second one.
        hidden_dim: width of the decoder's hidden layer.
        **kwargs: passed to `keras.Model`.

    Example:
        >>> import kptk
        >>> result = kptk.train("table_autoencoder", epochs=1)  # doctest: +SKIP

    References:
        Extracting and composing robust features with denoising autoencoders, https://doi.org/10.1145/1390156.1390294
    """

    def __init__(
        self,
        backbone: keras.Model,
        views: Preprocessor | None = None,
        *,
        hidden_dim: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.table = table_of(views, "table_autoencoder")
        self.hidden_dim = hidden_dim
        features = len(self.table.known.owners)
        self.decoder = mlp((hidden_dim, features), self.feature_dim, batch_norm=False, name="decoder")

    def forward_views(self, views: tuple[Tensor, ...], training: bool) -> dict[str, Tensor]:
        """Restore the first view from the second."""
        raw = self.decoder(self.encode(views[1], training=training), training=training)
        return {"raw": ops.cast(raw, "float32"), "targets": ops.cast(views[0], "float32")}

    def objective_loss(self, outputs: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        """The mean error of all cells."""
        del labels
        known = self.table.known
        return ops.mean(cell_losses(outputs["raw"], outputs["targets"], known.groups, len(known.columns)))

    def chance_loss(self, batch_size: int) -> float:
        """The error of predicting each column's marginal distribution."""
        del batch_size
        return chance(self.table)

    def get_config(self) -> dict[str, Any]:
        """Return every argument."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}
