"""Reader of pairs of texts: one to read and one to write, or two to compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kptk.errors import InputError
from kptk.reading import is_test_row, table_rows
from kptk_text_tasks.bad_rows import BadRows
from kptk_text_tasks.example_rows import ExampleRows
from kptk_text_tasks.named_columns import column

SOURCE = ("source", "src", "input", "text")
TARGET = ("target", "tgt", "output", "summary", "translation")


@dataclass(slots=True)
class _Found:
    texts: list[str] = field(default_factory=list)
    targets: list[str | None] = field(default_factory=list)


def text_pairs(
    path: str,
    *,
    source: str = "",
    target: str = "",
    encoding: str = "utf-8",
    on_bad_input: str = "error",
) -> ExampleRows:
    """Open texts, each with the text that is to be written of it.

    A column split that says train or test keeps the test rows apart, as `holdout`. Without targets, texts to write for.

    Args:
        path: a ``.tsv``, ``.csv``, ``.jsonl``, ``.ndjson`` (each also packed as ``.gz`` or ``.xz``) or ``.parquet`` file.
        source: name of the column of texts to read; by default source, src, input or text.
        target: name of the column of texts to write; by default target, tgt, output, summary or translation; ``-`` for none.
        encoding: of the file, unless a byte order mark says otherwise.
        on_bad_input: ``"error"`` refuses rows with an empty text, ``"skip"`` leaves them out and lists them.

    Returns:
        A text a row, with the other as target.

    Raises:
        InputError: if the file cannot be read, or a text is empty.
    """
    file = Path(path)
    bad = BadRows(on_bad_input)
    parts = {False: _Found(), True: _Found()}
    names: tuple[str, str] | None = None
    for number, row in table_rows(file, encoding):
        names = names or (
            column(path, list(row), source, "source", SOURCE),
            column(path, list(row), target, "target", TARGET, needed=False),
        )
        where = f"{path}, row {number:,}"
        text, wanted = row.get(names[0]), row.get(names[1]) if names[1] else None
        if not isinstance(text, str) or not text.strip():
            bad.add(where, f"column '{names[0]}' must be a text that is not empty. Received: {text!r:.60}")
        elif names[1] and (not isinstance(wanted, str) or not wanted.strip()):
            bad.add(
                where, f"its target, column '{names[1]}', must be a text that is not empty. Received: {wanted!r:.60}"
            )
        else:
            part = parts[is_test_row(row, where)]
            part.texts.append(text.strip())
            part.targets.append(wanted.strip() if isinstance(wanted, str) else None)
    if parts[True].texts and not parts[False].texts:
        raise InputError(f"{file.name}: every row is marked as a test row, so there is nothing to learn from.")
    test = parts[True]
    holdout = ExampleRows(test.texts, test.targets, name=f"{file.name} test part", what="texts") if test.texts else None
    train = parts[False]
    return ExampleRows(train.texts, train.targets, name=file.name, what="texts", skipped=bad.found, holdout=holdout)
