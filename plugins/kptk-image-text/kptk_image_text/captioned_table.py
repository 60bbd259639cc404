"""Pictures named in a column of a table, with their captions in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kptk.data import BadInput
from kptk.errors import InputError
from kptk.reading import Row, table_rows
from kptk.tablerows import column_named
from kptk_image_text.pairs import Pairs
from kptk_image_text.picture_files import pairs_of_files

TEST = ("test", "testing", "val", "valid", "validation", "dev")
SPLIT = "split"


def captioned_table(
    path: str,
    *,
    image: str = "",
    text: str = "",
    label: str = "",
    image_size: int = 0,
    channels: int = 0,
    encoding: str = "utf-8",
    on_bad_input: str = "error",
) -> Pairs:
    """Open a table in which a column holds the paths of pictures and another their captions.

    An image with several captions has a row for each. A column ``split`` that says train or test keeps the test rows apart, as
    `holdout`.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` (each also packed as ``.gz`` or ``.xz``) or ``.parquet`` file.
        image: the column with the paths of the pictures, absolute or from the table's folder.
        text: the column with the captions.
        label: a column with a class for each row; empty for none.
        image_size: side in pixels; 0 keeps the files' own size if they agree and are at most 224, else 64.
        channels: 1 for grey, 3 for colour, 0 for what the files have.
        encoding: of the table.
        on_bad_input: ``"error"`` refuses rows without a picture or a caption, ``"skip"`` leaves them out and lists them.

    Returns:
        Pairs; pictures are scaled to cover the size and cut to its middle.

    Raises:
        InputError: if the table cannot be read, lacks a column, or has a row that cannot be used.
    """
    table = Path(path)
    files: list[Path] = []
    captions: list[str] = []
    labels: list[str] = []
    test: list[bool] = []
    numbers: list[int] = []
    bad: list[BadInput] = []
    for number, row in table_rows(table, encoding):
        if not numbers and not bad:
            _refuse_columns(path, list(row), {"image": image, "text": text, **({"label": label} if label else {})})
        found = [_cell(row, column) for column in (image, text)]
        if "" in found:
            missing = ("image", "caption")[found.index("")]
            bad.append(
                BadInput(
                    f"{path}, row {number:,}",
                    f"it has no {missing}: column '{(image, text)[found.index('')]}' is empty",
                )
            )
            continue
        files.append(table.parent / found[0])
        captions.append(found[1])
        labels.append(_cell(row, label) if label else "")
        test.append(_cell(row, SPLIT).lower() in TEST)
        numbers.append(number)
    return pairs_of_files(
        table.name,
        files,
        captions,
        where=lambda row: f"{path}, row {numbers[row]:,}",
        labels=labels if label else (),
        test=test if any(test) else (),
        image_size=image_size,
        channels=channels,
        bad=bad,
        on_bad_input=on_bad_input,
    )


def _refuse_columns(path: str, names: list[str], wanted: dict[str, str]) -> None:
    for option, column in wanted.items():
        if not column:
            raise InputError(
                f"{path}: say which column holds the {'paths of the images' if option == 'image' else 'captions'}: "
                f"-o data.{option}=NAME. Its columns: {', '.join(names)}."
            )
        column_named(path, names, column, option)


def _cell(row: Row, column: str) -> str:
    value: Any = row.get(column)
    return "" if value is None else " ".join(str(value).split())
