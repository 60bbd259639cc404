"""Opens the encoder of a finished run, and the two controls beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kptk import runfolder
from kptk.config import RunConfig, resolve
from kptk.data import Source
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.request import from_toml
from kptk.runfolder import RunFolder
from kptk.training.assemble import build_preprocessor, like, open_like
from kptk.training.backbones import reinitialised
from kptk.training.features import Encoder
from kptk.training.prepared import load_preprocessor
from kptk.training.saving import load_model


class TrainedEncoder:
    """The encoder of a run, with what is needed to feed and judge it.

    Args:
        path: the run folder.
        plugins: the registry.
    """

    def __init__(self, path: str | Path, plugins: Plugins | None = None) -> None:
        self.plugins = plugins or Plugins()
        self.folder = RunFolder.open(path)
        self.config: RunConfig = resolve(self.plugins, from_toml(self.folder.path / runfolder.CONFIG))
        self.backbone = load_model(self.folder.backbone, self.plugins, compile=False)
        described = self.folder.read_json(runfolder.ENVIRONMENT).get("data", {})
        self.row_shape = tuple(described.get("row_shape", ()))
        self.fitted = load_preprocessor(self.folder, self.plugins)

    def preprocessor(self) -> Any:
        """What prepares the rows: that of the run."""
        if self.fitted is not None:
            return self.fitted
        return build_preprocessor(self.config.preprocessor, self.config.views, seed=0)

    def run(self) -> Encoder:
        """The trained encoder."""
        return Encoder(self.backbone, self.preprocessor())

    def random(self, seed: int) -> Encoder:
        """The same network with fresh weights: what the architecture gives without any training.

        Weights that a pre-trained backbone was loaded with are not in it either.

        Args:
            seed: of the weights.
        """
        return Encoder(reinitialised(self.backbone, seed), self.preprocessor())

    def open(self, data: str, *, on_bad_input: str | None = None) -> Source:
        """Open data in the shape that the encoder takes.

        Args:
            data: a path or the name of a data set.
            on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.

        Raises:
            InputError: if the data cannot be used or has another shape.
        """
        assert self.config.data.offer is not None
        inputs = self.config.data.offer.spec.inputs
        wanted = like(self.config.data, self.row_shape) | {"on_bad_input": on_bad_input}
        if self.fitted is None:
            return open_like(self.plugins, data, self.row_shape, wanted, inputs)
        return self.fitted.prepared(open_like(self.plugins, data, None, wanted, inputs))


def raw_features(source: Source, batch_size: int = 1024) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The inputs themselves as features: the control that needs no network.

    Args:
        source: the rows; numbers of any kind.
        batch_size: rows read at a time.

    Returns:
        Shape ``(rows, numbers of a row)``, integers divided by 255.

    Raises:
        InputError: if the rows are not numbers.
    """
    parts = []
    for start in range(0, len(source), batch_size):
        batch = source.read(np.arange(start, min(start + batch_size, len(source))))
        if not np.issubdtype(batch.dtype, np.number):
            raise InputError(f"{source.describe()}: raw features need numbers.")
        scale = 255.0 if np.issubdtype(batch.dtype, np.integer) else 1.0
        parts.append(batch.reshape(len(batch), -1).astype(np.float32) / np.float32(scale))
    return np.concatenate(parts)
