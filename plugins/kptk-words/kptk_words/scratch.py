"""Arrays that are too large for memory, in temporary files that nobody has to clean up."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import RunError


def on_disk(parts: Iterable[NDArray[Any]], dtype: Any, what: str) -> NDArray[Any]:
    """Write arrays one behind the other into a temporary file and map it into memory.

    Args:
        parts: the arrays; they are flattened.
        dtype: type of the numbers.
        what: for the message if the disk is full.

    Returns:
        One axis; empty if there was nothing. The file goes when the array goes.

    Raises:
        RunError: if it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix="kptk-words-")
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(np.ascontiguousarray(part, dtype).tobytes())
            size = file.tell()
    except OSError as error:
        raise RunError(f"could not write {what} to {tempfile.gettempdir()}: {error.strerror or error}") from error
    path = Path(name)
    if not size:
        path.unlink()
        return np.zeros(0, dtype)
    mapped = np.memmap(path, dtype, "r")
    try:
        path.unlink()  # what is mapped stays readable
    except PermissionError:  # Windows
        weakref.finalize(mapped, path.unlink, missing_ok=True)
    return mapped
