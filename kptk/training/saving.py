"""Loads a saved Keras model that contains classes of plugins, without ever importing what a file asks for."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from kptk.errors import InputError, PluginError
from kptk.plugins import Plugins, load_target
from kptk.spec import SPECS
from kptk.training import optimizer
from kptk.training import rates as rates  # registers the core's own optimisers


def load_model(path: str | Path, plugins: Plugins | None = None, *, compile: bool = True) -> keras.Model:
    """Load a ``.keras`` file whose classes come from installed kptk plugins.

    The file says which packages its classes were registered under. Those of *installed* plugins are imported, by the
    targets in their specs; a module name written in the file is never imported. Keras' safe mode stays on.

    Args:
        path: a ``.keras`` file.
        plugins: the registry; a new one if None.
        compile: whether to restore the optimiser too.

    Returns:
        The model.

    Raises:
        InputError: if the file is missing or is not a Keras model.
        PluginError: if it needs a plugin that is not installed.
    """
    packages = sorted(set(_packages(_config(Path(path)))))
    known = _import_plugins(packages, plugins or Plugins())
    missing = [package for package in packages if package not in known]
    try:
        return keras.saving.load_model(path, safe_mode=True, compile=compile)
    except (TypeError, ValueError) as error:
        if missing:
            raise PluginError(
                f"{path} holds classes of {', '.join(missing)}, which no installed plugin provides. "
                f"Install it: kptk plugins install {missing[0].replace('_', '-')}"
            ) from error
        first = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise InputError(f"{path} cannot be loaded as a Keras model: {first}") from error


def _config(path: Path) -> Any:
    """Read the configuration inside a ``.keras`` file, which is a zip archive."""
    if not path.exists():
        raise InputError(f"no model file at {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise InputError(f"{path} is not a .keras file: {error}") from None


def _packages(config: Any) -> Iterator[str]:
    """Yield the package of every registered name in a configuration, Keras' own left out."""
    if isinstance(config, dict):
        name = config.get("registered_name")
        if isinstance(name, str) and ">" in name:
            yield name.partition(">")[0]
        for value in config.values():
            yield from _packages(value)
    elif isinstance(config, list):
        for value in config:
            yield from _packages(value)


def _import_plugins(packages: list[str], plugins: Plugins) -> set[str]:
    """Import every target of the installed plugins whose package is wanted; return the packages found."""
    found = {optimizer.PACKAGE}
    for kind in SPECS:
        for offer in plugins.offers(kind):
            package = offer.spec.target.partition(":")[0].partition(".")[0]
            if package in packages:
                found.add(package)
                # A neighbour that cannot be imported matters only if the file needs it, and then loading says so.
                with contextlib.suppress(PluginError):
                    load_target(offer)
    return found
