"""A file of plain text."""

from __future__ import annotations

from pathlib import Path

from kptk_text.building import RowBuilder
from kptk_text.rows import TextRows
from kptk_text.scanning import scan


def text_file(
    path: str,
    *,
    unit: str = "line",
    encoding: str = "utf-8",
    duplicates: str = "keep",
    on_bad_input: str = "error",
) -> TextRows:
    r"""Open a file of plain text, read where it lies: only the places of its documents are kept in memory.

    Args:
        path: the file; ``.gz`` and ``.xz`` are unpacked to a nameless file in the temporary folder.
        unit: what a document is: ``"line"``, ``"paragraph"`` (up to an empty line) or ``"file"``.
        encoding: of the text, unless a byte order mark says otherwise.
        duplicates: ``"keep"`` counts documents that came before, ``"drop"`` leaves them out.
        on_bad_input: ``"error"`` refuses a document that is no text, ``"skip"`` leaves it out and lists it.

    Returns:
        The documents; empty ones are left out and counted.

    Raises:
        InputError: if the file is empty, binary, in another encoding, or has a line of more than 1 MB.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "poem.txt"
        >>> _ = file.write_text("Roses are red,\n\nviolets are blue.\n")
        >>> len(text_file(str(file))), text_file(str(file)).note
        (2, '1 empty left out')
    """
    builder = RowBuilder(Path(path).name, on_bad_input=on_bad_input, duplicates=duplicates)
    scan(Path(path), builder, unit=unit, encoding=encoding)
    return builder.finish()
