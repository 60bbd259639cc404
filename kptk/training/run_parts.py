"""Networks that a run keeps beside its backbone, each in a folder that is a run of its own: ``RUN/image``, ``RUN/text``.

A backbone of several kinds of input holds a network for each. A part makes such a network usable alone: all that takes a run
(`kptk evaluate`, `finetune`, `embed`, `export`) takes the folder of a part.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kptk import runfolder
from kptk.config import resolve
from kptk.data import Source
from kptk.errors import RunError
from kptk.request import Request, Setting
from kptk.runfolder import RunFolder
from kptk.spellings import to_toml
from kptk.training import environment
from kptk.training.prepared import save_preprocessor

if TYPE_CHECKING:
    import keras

    from kptk.training.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPart:
    """A network within the backbone that is a backbone of its own.

    Args:
        backbone: the network.
        names: who offers its parts, by section: ``{"backbone": "resnet18", "data": "my_images"}``; those that are not named are
            the run's own.
        options: their options, ``{"backbone.width": 16}``.
        source: the rows that it learned from, raw.
        preprocessor: prepares them, if it is one that is fitted; otherwise None.
    """

    backbone: keras.Model
    names: Mapping[str, str]
    source: Source
    options: Mapping[str, Any] = field(default_factory=dict)
    preprocessor: Any = None


def write_parts(run: Run, folder: RunFolder) -> list[RunFolder]:
    """Write the parts of a trained run into its folder, each whole or not at all.

    Args:
        run: the run, trained.
        folder: its folder.

    Returns:
        Their folders.

    Raises:
        RunError: if the disk is full or read-only.
    """
    written = []
    for name, part in run.model.run_parts(run.config, run.raw_source).items():
        path = folder.path / name
        try:
            shutil.rmtree(path, ignore_errors=True)  # of a run that stopped while it wrote them
            made = _write(run, part, folder.path / f"part-{name}")
            made.path.rename(path)
        except (OSError, ValueError, RuntimeError) as error:
            shutil.rmtree(folder.path / f"part-{name}", ignore_errors=True)
            raise RunError(f"could not save {path}: {error}") from error
        written.append(RunFolder(path))
    return written


def _write(run: Run, part: RunPart, path: Any) -> RunFolder:
    shutil.rmtree(path, ignore_errors=True)
    own = {"objective": run.config.objective.id, "backbone": run.config.backbone.id} | dict(part.names)
    options = {f"train.{key}": value for key, value in run.train.items()} | dict(part.options)
    settings = tuple(Setting(key, value) for key, value in options.items() if value is not None)
    config = resolve(run.plugins, Request(names=own, settings=settings))
    described = environment.describe(config, part.source, part.source.fingerprint(), f"a part of {path.parent}")
    folder = RunFolder.create(path, to_toml(config), described)
    (folder.path / runfolder.METRICS).unlink()  # it was not trained by itself, so lists of runs leave it out
    part.backbone.save(folder.path / runfolder.BACKBONE)
    if part.preprocessor is not None:
        save_preprocessor(part.preprocessor, folder)
    return folder
