"""Writes a new plugin package from the templates."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from string import Template

from kptk import __version__
from kptk.errors import RunError, UsageError

NAME = re.compile(r"^[a-z][a-z0-9_]*$")
TAKEN = {"plugin", "any", "keras", "preprocessor", "pretrainer", "tensor"}
"""Names whose file or class would collide with another one of the package that is written."""


def write_plugin(name: str, directory: str = "") -> Path:
    """Write a package that installs, passes every check and trains.

    Args:
        name: name of the plugin, a lower-case identifier.
        directory: where to write it; ``kptk-<name>`` if empty.

    Returns:
        The folder.

    Raises:
        UsageError: if the name is not an identifier or the folder exists.
        RunError: if it cannot be written.
    """
    if not NAME.match(name):
        raise UsageError(
            "`name` must be a lower-case identifier (letters, digits, underscores, a letter first). "
            f"Received: '{name}'."
        )
    if keyword.iskeyword(name) or name in TAKEN:
        raise UsageError(
            f"`name` must not be a word of Python or of the template. Received: '{name}'. Try '{name}_method'."
        )
    target = Path(directory or f"kptk-{name.replace('_', '-')}")
    if target.exists():
        raise UsageError(f"{target} exists already. Choose another --directory, or remove it.")
    words = {
        "name": name,
        "package": f"kptk_{name}",
        "distribution": f"kptk-{name.replace('_', '-')}",
        "class_name": "".join(word.capitalize() for word in name.split("_")),
        "core": ".".join(__version__.split(".")[:2]),
        "next_core": f"{__version__.split('.')[0]}.{int(__version__.split('.')[1]) + 1}",
    }
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.absolute().parent) as building:
            for path, text in _templates():
                file = Path(building) / "package" / Template(path).substitute(words)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(Template(text).substitute(words), encoding="utf-8")
            shutil.move(str(Path(building) / "package"), target)
    except OSError as error:
        raise RunError(f"could not write {target}: {error.strerror or error}") from error
    return target


def _templates() -> list[tuple[str, str]]:
    """Paths (with placeholders) and texts; a name in the templates folder ends with ``.tmpl``."""
    root = resources.files("kptk") / "templates" / "plugin"
    found = []
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        for entry in folder.iterdir():
            path = f"{prefix}{entry.name}"
            if entry.is_dir():
                waiting.append((entry, f"{path}/"))
            elif path.endswith(".tmpl"):
                # `name__` stands for a placeholder in file names, which some file systems and tools dislike.
                path = path.removesuffix(".tmpl").replace("package__", "$${package}").replace("name__", "$${name}")
                found.append((path.replace("$$", "$"), entry.read_text(encoding="utf-8")))
    return found
