"""Model files in the place of a backbone's name: ``--backbone my_model.keras``."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kptk.discovery import Offer
from kptk.errors import InputError
from kptk.plugins import Plugins

OPTION = "path"
"""The option of a backbone that loads files."""


def locate(plugins: Plugins, name: str) -> tuple[Offer, Path] | None:
    """Find the backbone that loads the file which a name means.

    Args:
        plugins: the registry.
        name: what was written as the backbone's name.

    Returns:
        The offer and the absolute path, or None if the name is no path.

    Raises:
        InputError: if it is a path that does not exist, or not one of a model file.
    """
    path = Path(name).expanduser()
    written = path.suffix or "\\" in name or name.startswith((".", "/", "~")) or name.endswith("/")
    if not name or not (written or path.is_file()):
        return None
    readers = [offer for offer in plugins.offers("backbone") if readable(path, offer.spec.reads)]
    if not readers:
        kinds = sorted({kind for offer in plugins.offers("backbone") for kind in offer.spec.reads})
        raise InputError(
            f"{name} is not a model file that can be a backbone. Readable: {', '.join(kinds) or 'none'}. "
            "Save a whole model, not only its weights: model.save('NAME.keras')"
        )
    return readers[0], existing(name, readers[0].spec.reads)


def readable(path: Path, kinds: tuple[str, ...]) -> bool:
    """Whether a path is of the kinds that a backbone reads.

    Args:
        path: of a file, or of a folder with a ``config.json``.
        kinds: ``reads`` of a backbone's spec: suffixes, and ``"folder"``.
    """
    named = any(path.name.lower().endswith(kind) for kind in kinds if kind != "folder")
    return named or ("folder" in kinds and (path / "config.json").is_file())


def existing(name: str, kinds: tuple[str, ...] = ()) -> Path:
    """The absolute path of a file.

    Args:
        name: what was written.
        kinds: what is read; with ``"folder"`` among it, a folder with a ``config.json`` will do.

    Raises:
        InputError: if there is no such file.
    """
    path = Path(name).expanduser()
    if "folder" in kinds and (path / "config.json").is_file():
        return path.resolve()
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputError(f"no model file at {name}: {what}. Save a model with model.save('NAME.keras')")
    return path.resolve()


def read_config(path: Path) -> Any:
    """Read the configuration inside a ``.keras`` file, which is a zip archive.

    Args:
        path: the file.

    Raises:
        InputError: if it is missing or is something else.
    """
    if not path.exists():
        raise InputError(f"no model file at {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise InputError(f"{path} is not a .keras file: {error}") from None


def objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a saved configuration: whatever has a class name.

    Args:
        config: from `read_config`.
    """
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from objects(value)
