"""Opens the encoder of a finished run or of a saved model, and the two controls beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kptk import runfolder
from kptk.config import RunConfig, resolve
from kptk.data import Source
from kptk.errors import InputError
from kptk.finetuning import usual_preprocessor
from kptk.locating import locate_like
from kptk.parts import EVERYTHING, Choice
from kptk.plugins import Plugins, load_target
from kptk.request import from_run
from kptk.runfolder import RunFolder
from kptk.training.assemble import build_preprocessor, like, open_like, open_source
from kptk.training.backbones import reinitialised
from kptk.training.features import Encoder
from kptk.training.origin import check_backbone, refuse_lambda
from kptk.training.prepared import load_preprocessor
from kptk.training.pretrainer import Pretrainer
from kptk.training.saving import load_model
from kptk.training.strategy import Strategy


class TrainedEncoder:
    """The encoder of a run or of a saved model, with what is needed to feed and judge it.

    Args:
        path: a run folder; or a ``.keras`` file that holds a backbone or a pretrainer.
        plugins: the registry.

    Raises:
        InputError: if it is neither.
    """

    def __init__(self, path: str | Path, plugins: Plugins | None = None) -> None:
        self.plugins = plugins or Plugins()
        self.config: RunConfig | None = None
        self.fitted: Any = None
        self._views: Any = None
        if Path(path).suffix == ".keras":
            self._open_file(Path(path))
            return
        self.folder = RunFolder.open(path)
        self.config = resolve(self.plugins, from_run(self.folder.path / runfolder.CONFIG))
        self.backbone = load_model(self.folder.backbone, self.plugins, compile=False)
        described = self.folder.read_json(runfolder.ENVIRONMENT).get("data", {})
        self.row_shape = tuple(described.get("row_shape", ()))
        self.fitted = load_preprocessor(self.folder, self.plugins)

    def _open_file(self, path: Path) -> None:
        model = load_model(path, self.plugins, compile=False)
        refuse_lambda(model, path)
        if isinstance(model, Strategy):
            raise InputError(f"{path} is a fine-tuned model, which has predictions, not features.")
        self.backbone = model
        if isinstance(model, Pretrainer):
            self.backbone, self._views = model.backbone, model.views
            self.fitted = self._views if self._views is not None and self._views.fits else None
        check_backbone(self.backbone, str(path))
        self.row_shape = tuple(self.backbone.input_shape[1:])

    def preprocessor(self, views: int = 0, seed: int = 0) -> Any:
        """What prepares the rows: that of the run; for a plain model, what recipes use for images; None for nothing.

        Args:
            views: how many views it makes of each row; 0 for as many as the run's.
            seed: of the views.
        """
        own = self.fitted if self.fitted is not None else self._views
        if own is not None:
            return own if not views else type(own).from_config(own.get_config() | {"views": views, "seed": seed})
        if self.config is not None:
            return build_preprocessor(self.config.preprocessor, views or self.config.views, seed=seed)
        offer = usual_preprocessor(self.plugins, "image") if len(self.row_shape) == 3 else None
        return load_target(offer)(views=views or 1, seed=seed) if offer else None  # type: ignore[operator]

    def pretraining_rows(self) -> Source:
        """Open the rows that the run was trained on, as the encoder takes them.

        Raises:
            InputError: if they cannot be read, or a file does not say what they were.
        """
        if self.config is None:
            raise InputError("a model file does not say what it was trained on.")
        source = open_source(self.config.data, self.config.train.values["seed"])
        return source if self.fitted is None else self.fitted.prepared(source)

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

    def open(
        self,
        data: str,
        *,
        on_bad_input: str | None = None,
        options: Mapping[str, str] | None = None,
        whole: bool = False,
        choice: Choice = EVERYTHING,
    ) -> Source:
        """Open data in the shape that the encoder takes.

        Args:
            data: a path or the name of a data set.
            on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
            options: options of the reader as texts, such as ``{"label": "income"}``.
            whole: every row of a table, also if a column keeps some for tests.
            choice: the rows wanted; one that names a part takes no other.

        Raises:
            InputError: if the data cannot be used or has another shape.
        """
        inputs = ""
        wanted: dict[str, Any] = {"on_bad_input": on_bad_input}
        if self.config is not None:
            assert self.config.data.offer is not None
            inputs = self.config.data.offer.spec.inputs
            wanted = (
                like(self.config.data, self.row_shape) | wanted | ({"split": ""} if whole and not choice.part else {})
            )
        elif len(self.row_shape) == 3:
            wanted |= {"image_size": self.row_shape[0], "channels": self.row_shape[-1]}
        if options:
            offer, _ = locate_like(self.plugins, data, inputs, given=options)
            wanted |= {name: offer.spec.option(name).parse(text) for name, text in options.items()}
        if self.fitted is None:
            return choice.of(open_like(self.plugins, data, self.row_shape, wanted, inputs))
        return self.fitted.prepared(choice.of(open_like(self.plugins, data, None, wanted, inputs)))


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
