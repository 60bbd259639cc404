"""Opens a fine-tuned model, feeds it data, scores it and writes its predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kptk import errors
from kptk.data import Source
from kptk.errors import InputError, RunError
from kptk.finetuning import read, recorded_data
from kptk.parts import EVERYTHING, Choice
from kptk.plugins import Plugins
from kptk.runfolder import CONFIG, ENVIRONMENT, RunFolder
from kptk.training.assemble import like, open_like
from kptk.training.choice import Scorer
from kptk.training.examples import grouped, makes_rows
from kptk.training.labelled import Part
from kptk.training.origin import refuse_lambda
from kptk.training.paths import check_target
from kptk.training.reporter import Reporter
from kptk.training.saving import load_model
from kptk.training.strategy import Strategy


class FineTuned:
    """A fine-tuned model with what is needed to feed it.

    Args:
        path: the folder of a fine-tuning, or a ``.keras`` file that holds a fine-tuned model.
        plugins: the registry; a new one if None.

    Raises:
        InputError: if it is neither.
    """

    def __init__(self, path: str | Path, plugins: Plugins | None = None) -> None:
        self.plugins = plugins or Plugins()
        self.path = Path(path)
        self.fingerprint = ""
        self.folder: RunFolder | None = None
        file = self.path
        if self.path.is_dir():
            folder = RunFolder.open(self.path)
            if not folder.finetuned:
                raise InputError(
                    f"{path} is a pre-training run, which predicts nothing yet. Fine-tune it: kptk finetune {path} --task NAME"
                )
            file, self.folder = folder.model, folder
            self.fingerprint = folder.read_json(ENVIRONMENT).get("data", {}).get("fingerprint", "")
        model = load_model(file, self.plugins, compile=False)
        refuse_lambda(model, file)
        if not isinstance(model, Strategy):
            raise InputError(
                f"{file} is not a fine-tuned model of kptk but a {type(model).__name__}. "
                f"Fine-tune it: kptk finetune {file} --task NAME --data PATH"
            )
        self.model: Strategy = model
        self.scorer = Scorer(self.model)

    @property
    def labels(self) -> bool:
        """Whether the task learns from labels."""
        return self.model.task.learns_from_labels

    def open(
        self, data: str, *, on_bad_input: str | None = None, whole: bool = False, choice: Choice = EVERYTHING
    ) -> Source:
        """Open data in the shape that the model takes.

        Args:
            data: a path or the name of a data set.
            on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
            whole: to predict: every row of a table, also if a column keeps some for tests.
            choice: the rows wanted; one that names a part takes no other.
        """
        shape = tuple(self.model.task.row_shape)
        wanted: dict[str, Any] = {"on_bad_input": on_bad_input}
        if len(shape) == 3:
            wanted |= {"image_size": shape[0], "channels": shape[-1]}
        if self.folder is not None:
            part = recorded_data(self.plugins, read(self.folder.path / CONFIG))
            wanted = like(part, shape) | wanted | ({"split": ""} if whole and not choice.part else {})
        task, preprocessor = self.model.task, self.model.preprocessor
        prepares = preprocessor is not None and preprocessor.fits
        kind = preprocessor.kind if preprocessor is not None and prepares else ""
        fixed = None if prepares or makes_rows(task) else shape
        found = choice.of(open_like(self.plugins, data, fixed, wanted, kind, form=task.form))
        return task.prompts(found, preprocessor) if whole else task.examples(found, preprocessor)

    def open_single(self, data: str, *, on_bad_input: str | None = None, choice: Choice = EVERYTHING) -> Source:
        """Open plain data, each row of which is one input of a task of pairs.

        Args:
            data: a path or the name of a data set.
            on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
            choice: the rows wanted; one that names a part takes no other.
        """
        shape = tuple(self.model.task.row_shape)[1:]
        wanted: dict[str, Any] = {"on_bad_input": on_bad_input} | ({} if choice.part else {"split": ""})
        if len(shape) == 3:
            wanted |= {"image_size": shape[0], "channels": shape[-1]}
        preprocessor = self.model.preprocessor
        if preprocessor is None or not preprocessor.fits:
            return choice.of(open_like(self.plugins, data, shape, wanted))
        return preprocessor.prepared(choice.of(open_like(self.plugins, data, None, wanted, preprocessor.kind)))

    def decode_with(self, options: Mapping[str, str]) -> None:
        """Change how predictions are made of the model's outputs.

        Args:
            options: options of the task as texts, such as ``{"temperature": "0.7"}``.

        Raises:
            UsageError: if the task has no such option, or it decides what was learned.
        """
        task = self.model.task
        known = {o.name: o for o in self.plugins.find("task", task.name).spec.options if o.name in task.decoding}
        for name, text in options.items():
            if name not in known:
                raise errors.unknown_option(f"predicting with {task.name}", name, list(known))
            setattr(task, name, known[name].parse(text))


def evaluate_finetuned(
    path: str | Path,
    data: str,
    *,
    part: str = "auto",
    choice: Choice = EVERYTHING,
    on_bad_input: str | None = None,
    plugins: Plugins | None = None,
) -> dict[str, Any]:
    """Score a fine-tuned model on labelled data.

    Args:
        path: the folder of a fine-tuning, or a ``.keras`` file.
        data: labelled data, a path or a name.
        part: ``"test"`` for the data set's own test part, ``"all"`` for every row that is not in it, ``"auto"`` for the
            test part if there is one.
        choice: the rows wanted; one that names a part is scored as it is.
        on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
        plugins: the registry; a new one if None.

    Returns:
        Model, data, and one entry a figure; ``"warning"`` if the model learned from these very rows.
    """
    opened = FineTuned(path, plugins)
    source = opened.open(data, on_bad_input=on_bad_input, choice=choice)
    holdout = source.holdout()
    if part == "test" and holdout is None:
        raise InputError(f"{source.describe()} has no test part of its own. Use --part all.")
    chosen = holdout if holdout is not None and part != "all" else source
    labels = opened.model.task.targets(chosen) if opened.labels else None
    if labels is not None and not opened.model.task.has_label(labels).any():
        raise InputError(f"{chosen.describe()}: every label is missing, so there is nothing to compare with.")
    chosen_part = Part(source=chosen, labels=labels)
    scores = opened.scorer.score(chosen_part, details=True)
    warning = ""
    if chosen is source and opened.fingerprint and opened.fingerprint == _fingerprint(source):
        warning = "the model learned from rows of this data, so the figures say nothing about new data"
    return {
        "model": str(path),
        "task": opened.model.task.name,
        "data": chosen.describe(),
        "results": [{"metric": key, "value": value, "rows": chosen_part.examples} for key, value in scores.items()],
        "warning": warning,
    }


def _fingerprint(source: Source) -> str:
    from kptk.training.finetune import fingerprint

    return fingerprint(source)


def predict(
    path: str | Path,
    data: str,
    out: str | Path,
    *,
    choice: Choice = EVERYTHING,
    on_bad_input: str | None = None,
    options: Mapping[str, str] | None = None,
    plugins: Plugins | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Write a fine-tuned model's predictions for some data, with class names.

    Args:
        path: the folder of a fine-tuning, or a ``.keras`` file.
        data: a path or the name of a data set.
        out: ends with ``.csv``, ``.parquet`` or ``.jsonl``.
        choice: the rows wanted.
        on_bad_input: ``"error"`` or ``"skip"``, for readers that have the option.
        options: how to make predictions of the outputs, options of the task as texts: ``{"sampler": "top_p"}``.
        plugins: the registry; a new one if None.
        reporter: shows progress.

    Returns:
        What was written: path, rows and columns.
    """
    out = Path(out)
    check_target(out)
    opened = FineTuned(path, plugins)
    opened.decode_with(options or {})
    source = opened.open(data, on_bad_input=on_bad_input, whole=True, choice=choice)
    with (reporter or Reporter()).progress("Predicting", len(source)) as advance:
        predictions = opened.scorer.predict(source, lambda done: advance(done, ""))
    # One row of the table for each of the data, also where a task feeds the model several of one.
    names = [source.row_name(int(rows[0])) for rows in grouped(source)]
    table: dict[str, Any] = {"row": np.arange(len(names)), "name": np.array(names)}
    if source.labels is not None:
        table["label"] = np.array([*source.class_names, ""])[source.labels]  # a row without a label has the number -1
    table |= opened.model.task.table(predictions, source)
    write_table(out, table)
    return {"path": str(out), "rows": len(names), "columns": list(table), "data": source.describe()}


def write_table(out: Path, table: Mapping[str, Any]) -> None:
    """Write columns to a file, whole or not at all.

    Args:
        out: ends with ``.csv``, ``.parquet`` or ``.jsonl``.
        table: arrays of one length; those of several dimensions become lists.

    Raises:
        RunError: if the disk is full or read-only.
    """
    part = out.with_name(f".{out.name}.part")
    try:
        {".csv": _csv, ".parquet": _parquet, ".jsonl": _jsonl}[out.suffix](part, table)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"could not write {out}: {error.strerror or error}") from error


def _rows(table: Mapping[str, Any]) -> Any:
    return zip(*(np.asarray(column).tolist() for column in table.values()), strict=True)


def _csv(path: Path, table: Mapping[str, Any]) -> None:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows([_cell(value) for value in row] for row in _rows(table))


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _jsonl(path: Path, table: Mapping[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in _rows(table):
            file.write(json.dumps(dict(zip(table, row, strict=True)), ensure_ascii=False) + "\n")


def _parquet(path: Path, table: Mapping[str, Any]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: pa.array(np.asarray(column).tolist()) for name, column in table.items()}
    parquet.write_table(pa.table(columns), path)
