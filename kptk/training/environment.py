"""What a run was made with: versions, plugins, machine and data, for `environment.json`."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib import metadata
from typing import Any

from kptk import __version__
from kptk.config import RunConfig
from kptk.data import Source
from kptk.finetuning import FineTuneConfig
from kptk.training import backend

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "scikit-learn")


def describe(config: RunConfig | FineTuneConfig, source: Source, fingerprint: str, command: str) -> dict[str, Any]:
    """Collect everything that a result may depend on.

    Args:
        config: the resolved configuration.
        source: the training data.
        fingerprint: of its content.
        command: the command line that repeats the run.
    """
    plugins = {}
    for section, part in config.sections():
        if part.offer:
            plugins[section] = {
                "id": part.id,
                "distribution": part.offer.label,
                "target": part.offer.spec.target,
            }
    return {
        **versions(),
        "plugins": plugins,
        "seed": config.train.values["seed"],
        "command": command,
        "data": {
            "description": source.describe(),
            "rows": len(source),
            "row_shape": list(source.row_shape),
            "fingerprint": fingerprint,
            "skipped": [{"path": bad.path, "reason": bad.reason} for bad in source.skipped],
        },
    }


def versions() -> dict[str, Any]:
    """Versions, backend and machine."""
    return {
        "kptk": __version__,
        "python": platform.python_version(),
        "backend": backend.coming_name(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "platform": platform.platform(),
        "processors": os.cpu_count(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
