"""`Prepared`: data whose rows pass a fitted preprocessor as they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kptk import runfolder
from kptk.config import RunConfig
from kptk.data import Source, Subset
from kptk.errors import InputError
from kptk.plugins import Plugins
from kptk.runfolder import RunFolder
from kptk.training.assemble import build_preprocessor
from kptk.training.preprocessor import Preprocessor
from kptk.training.saving import import_plugins, packages_of


class Prepared(Source):
    """Rows of another source as the model takes them; labels, names and the test part stay.

    Args:
        source: raw rows.
        preprocessor: one that is fitted.
    """

    def __init__(self, source: Source, preprocessor: Preprocessor) -> None:
        if not preprocessor.fitted:
            raise ValueError(f"{preprocessor.name} must be fitted before it prepares rows. Call: fit(source)")
        self.raw = source
        self.preprocessor = preprocessor
        self.inputs = source.inputs
        self.row_shape = tuple(preprocessor.prepared_shape(tuple(source.row_shape)))
        self.labels = source.labels
        self.targets = source.targets
        self.class_names = source.class_names
        self.skipped = source.skipped
        self.columns = source.columns
        self.groups = source.groups

    def __len__(self) -> int:
        return len(self.raw)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Read some rows and prepare them."""
        return self.preprocessor.prepare(self.raw.read(rows))

    def fingerprint(self) -> str:
        """That of the raw rows."""
        return self.raw.fingerprint()

    def describe(self) -> str:
        """One line: the raw rows."""
        return self.raw.describe()

    def notes(self, rows: NDArray[np.int64]) -> list[Any]:
        """Those on the raw rows."""
        return self.raw.notes(rows)

    def holdout(self) -> Source | None:
        """The test part, prepared in the same way."""
        part = self.raw.holdout()
        return None if part is None else self.preprocessor.prepared(part)

    def row_name(self, row: int) -> str:
        """What the raw rows call it."""
        return self.raw.row_name(row)


def raw_part(source: Source) -> Source:
    """The raw rows behind prepared ones; other data as it is.

    Args:
        source: any data.
    """
    if isinstance(source, Subset) and raw_part(source.whole) is not source.whole:
        return Subset(raw_part(source.whole), source.rows, source.note)
    return source.raw if isinstance(source, Prepared) else source


def fitted(config: RunConfig, source: Source) -> Any:
    """The preprocessor of a run, fitted on its training rows, if it is one that learns from them.

    Args:
        config: the configuration of the run.
        source: its rows, raw.

    Returns:
        The layer, or None if there is nothing to fit.
    """
    part = config.preprocessor
    if part is None or part.offer is None or not part.offer.spec.fits:
        return None
    made = build_preprocessor(part, config.views, config.train.values["seed"])
    made.fit(source)
    return made


def training_rows(preprocessor: Preprocessor, source: Source, batch_size: int) -> Source:
    """The rows that pre-training sees, or a refusal if they do not fill a batch.

    Args:
        preprocessor: one that is fitted.
        source: raw rows.
        batch_size: rows a step.

    Raises:
        InputError: if there are fewer than a batch.
    """
    rows = preprocessor.prepared(source, training=True)
    if len(rows) < batch_size:
        raise InputError(
            f"{source.describe()}: that makes {len(rows):,} examples to train on, fewer than one batch of {batch_size:,}. "
            f"Use a smaller batch (--batch-size {max(len(rows), 2)}) or more data."
        )
    return rows


def save_preprocessor(preprocessor: Any, folder: RunFolder) -> None:
    """Write a fitted preprocessor into a run folder, with all that it learned.

    Args:
        preprocessor: one that `fits`.
        folder: the run folder.
    """
    config = keras.saving.serialize_keras_object(preprocessor)
    folder.write(runfolder.PREPROCESSOR, json.dumps(config))


def load_preprocessor(folder: RunFolder, plugins: Plugins) -> Any:
    """Load the fitted preprocessor of a run.

    Args:
        folder: the run folder.
        plugins: the registry, which says what may be imported.

    Returns:
        The layer, or None if the run has none.

    Raises:
        InputError: if the file is not what a run writes.
    """
    path = Path(folder.path) / runfolder.PREPROCESSOR
    if not path.exists():
        return None
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        import_plugins(packages_of(config), plugins)
        made = keras.saving.deserialize_keras_object(config, safe_mode=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be loaded as a preprocessor: {str(error).splitlines()[0][:300]}") from error
    if not isinstance(made, Preprocessor):
        raise InputError(f"{path} holds a {type(made).__name__}, not a preprocessor of kptk.")
    return made
