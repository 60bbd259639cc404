"""Loads a saved Keras model that contains classes of plugins, without ever importing what a file asks for."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import keras

from kptk import modelfile
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
    config = modelfile.read_config(Path(path))
    found = list(modelfile.objects(config))
    if any(item["class_name"] == "Lambda" for item in found):
        raise InputError(
            f"{path} holds a Lambda layer: code in a file, which is not run. Replace it in the model by a Keras layer "
            "(such as Rescaling), an operation of keras.ops or a registered layer of your own, and save it again."
        )
    packages = packages_of(config)
    known = import_plugins(packages, plugins or Plugins())
    missing = [package for package in packages if package not in known]
    try:
        return keras.saving.load_model(path, safe_mode=True, compile=compile)
    except (TypeError, ValueError) as error:
        if "Custom" in missing:  # what Keras calls the package of a class that was registered without one
            raise InputError(
                f"{path} holds classes of your own ({_own_classes(found)}), which are not there now. From Python, import "
                "them first; for the command line, offer them in a plugin: docs/writing-a-plugin.md"
            ) from error
        if hub := sorted({"keras_hub", "keras_cv"} & set(missing)):  # Keras imports these itself if they are there
            name = hub[0].replace("_", "-")
            raise PluginError(f"{path} holds classes of {name}. Install it: pip install {name}") from error
        if missing:
            raise PluginError(
                f"{path} holds classes of {', '.join(missing)}, which no installed plugin provides. "
                f"Install it: kptk plugins install {missing[0].replace('_', '-')}"
            ) from error
        first = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise InputError(f"{path} cannot be loaded as a Keras model: {first}") from error


def _own_classes(found: list[dict[str, Any]]) -> str:
    return ", ".join(sorted({i["class_name"] for i in found if str(i.get("registered_name")).startswith("Custom>")}))


def packages_of(config: Any) -> list[str]:
    """The packages under which the classes of a serialised object were registered.

    Args:
        config: as Keras serialises it.
    """
    names = (str(item.get("registered_name")) for item in modelfile.objects(config))
    return sorted({name.partition(">")[0] for name in names if ">" in name})


def import_plugins(packages: list[str], plugins: Plugins) -> set[str]:
    """Import every target of the installed plugins whose package is wanted.

    Args:
        packages: import names.
        plugins: the registry.

    Returns:
        The packages found.
    """
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
