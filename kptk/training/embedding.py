"""`kptk embed`: features of any data to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kptk.data import Source
from kptk.errors import InputError, RunError, UsageError
from kptk.finetuning import read
from kptk.parts import EVERYTHING, Choice
from kptk.plugins import Plugins
from kptk.runfolder import CONFIG, RunFolder
from kptk.training.paths import finetuned_file
from kptk.training.reporter import Reporter

FORMATS = (".npz", ".parquet")


def check_target(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done.

    Args:
        path: where the features are to go.

    Raises:
        UsageError: if its format is unknown or its folder is missing.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"-o must end with .npz or .parquet. Received: {path}.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"no folder {path.absolute().parent} to write {path.name} to. Make it first.")


def embed(
    run: str | Path,
    data: str,
    out: str | Path,
    *,
    choice: Choice = EVERYTHING,
    on_bad_input: str | None = None,
    plugins: Plugins | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Compute the features of data with a run's encoder and write them.

    Args:
        run: the run folder; or that of a fine-tuning whose task makes embeddings of single inputs, or its ``.keras`` file.
        data: a path or the name of a data set.
        out: a ``.npz`` (arrays ``features``, and ``labels``, ``class_names``, ``names`` where known) or a ``.parquet``
            (columns ``row``, ``name``, ``label``, ``features``).
        choice: the rows wanted.
        on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
        plugins: the registry; a new one if None.
        reporter: shows progress.

    Returns:
        What was written: path, rows and dimensions.
    """
    from kptk.training.features import extract

    out = Path(out)
    check_target(out)
    plugins = plugins or Plugins()
    encoder, source = _opened(Path(run), plugins)(data, on_bad_input, choice)
    with (reporter or Reporter()).progress("Embedding", len(source)) as advance:
        features = extract(encoder, source, progress=lambda done: advance(done, ""))
    write = _write_npz if out.suffix == ".npz" else _write_parquet
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            write(file, features, source)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"could not write {out}: {error.strerror or error}") from error
    return {
        "path": str(out),
        "rows": len(features),
        "dimensions": int(features.shape[1]),
        "data": source.describe(),
    }


def check_run(run: str | Path, plugins: Plugins) -> bool:
    """Refuse what makes no features, by what is written about it and without Keras.

    Args:
        run: a run folder or a ``.keras`` file.
        plugins: the registry.

    Returns:
        Whether it is a fine-tuning.

    Raises:
        InputError: if it is neither, or predicts something else.
    """
    path = Path(run)
    if path.suffix == ".keras" and path.is_file():
        return finetuned_file(path, plugins)
    folder = RunFolder.open(path)
    if folder.finetuned:
        task = plugins.find("task", read(path / CONFIG).names["task"])
        if task.spec.features == "pair":
            _ = folder.model
            return True
    _ = folder.backbone  # an unfinished run, or a fine-tuning, says so
    return False


def _opened(run: Path, plugins: Plugins) -> Callable[[str, str | None, Choice], tuple[Any, Source]]:
    """What opens data: a function that returns an encoder and the rows for it."""
    if not check_run(run, plugins):
        from kptk.training.encoder import TrainedEncoder

        trained = TrainedEncoder(run, plugins)
        return lambda data, bad, choice: (
            trained.run(),
            trained.open(data, on_bad_input=bad, whole=True, choice=choice),
        )
    from kptk.training.finetuned import FineTuned

    tuned = FineTuned(run, plugins)
    embedder = tuned.model.task.embedder(tuned.model)
    if embedder is None:
        raise InputError(
            f"{run} is a fine-tuned model, which has predictions, not features. See: kptk predict {run} --data PATH -o out.csv"
        )
    return lambda data, bad, choice: (embedder, tuned.open_single(data, on_bad_input=bad, choice=choice))


def _names(source: Source) -> list[str]:
    """File names where the rows are files, row numbers otherwise."""
    return [source.row_name(row) for row in range(len(source))]


def _write_npz(file: Any, features: Any, source: Source) -> None:
    import numpy as np

    arrays = {"features": features, "names": np.array(_names(source))}
    if source.labels is not None:
        arrays |= {"labels": source.labels, "class_names": np.array(source.class_names)}
    np.savez_compressed(file, **arrays)


def _write_parquet(file: Any, features: Any, source: Source) -> None:
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "row": pa.array(np.arange(len(features))),
        "name": pa.array(_names(source)),
        "features": pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), features.shape[1]),
    }
    if source.labels is not None:
        columns["label"] = pa.array([source.class_names[label] if label >= 0 else None for label in source.labels])
    parquet.write_table(pa.table(columns), file)
