"""Writes a `RunConfig` as TOML, as a command line and as a Python call."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from kptk import modelfile
from kptk.config import Part, RunConfig, resolve, settings_between
from kptk.discovery import Offer
from kptk.plugins import Plugins
from kptk.request import PARTS, TRACKERS, Request, Setting, is_tracker
from kptk.settings import DATA, PROBE, TRAIN
from kptk.spec import Option

FLAGS = {
    "train.epochs": "--epochs",
    "train.batch_size": "--batch-size",
    "train.seed": "--seed",
    "data.limit": "--limit",
}


def to_toml(config: RunConfig) -> str:
    """Write the whole configuration, every option with what it means.

    Args:
        config: what to write.

    Returns:
        TOML that ``kptk train --config`` reads back to the same configuration.
    """
    return write_toml({"recipe": config.recipe} if config.recipe else {}, config.sections())


def write_toml(head: Mapping[str, str], sections: Iterable[tuple[str, Part]], train: tuple[Option, ...] = TRAIN) -> str:
    """Write sections of a configuration, every option with what it means.

    Args:
        head: what stands above the sections.
        sections: their names and contents.
        train: the core's options of the section `[train]`.

    Returns:
        TOML.
    """
    import tomlkit

    document = tomlkit.document()
    for key, text in head.items():
        document.add(key, tomlkit.item(text))
    trackers = tomlkit.table(is_super_table=True)
    for name, part in sections:
        table = tomlkit.table()
        if part.offer:
            table.add("name", tomlkit.item(part.id))
        helps = {option.name: option for option in options_of(name, part.offer, train)}
        for key, value in part.values.items():
            meaning = helps[key].help
            if value is None:
                table.add(tomlkit.comment(f"{key} is not set: {meaning}"))
                continue
            item = tomlkit.item(value)
            if meaning:
                item.comment(meaning)
            table.add(key, item)
        if is_tracker(name):
            trackers.add(name.partition(".")[2], table)
        else:
            document.add(name, table)
    if trackers:
        document.add(TRACKERS, trackers)
    return tomlkit.dumps(document)


def options_of(section: str, offer: Offer | None, train: tuple[Option, ...] = TRAIN) -> tuple[Option, ...]:
    """Every option of a section: the core's own and those of the offer.

    Args:
        section: such as ``"data"``.
        offer: who offers it, or None.
        train: the core's options of the section `[train]`.
    """
    core = {"train": train, "probe": PROBE, "data": DATA}.get(section, ())
    return (*core, *(offer.spec.options if offer else ()))


def _differences(plugins: Plugins, config: RunConfig) -> tuple[dict[str, str], str, list[Setting]]:
    """What must be said beside the recipe's name: swapped parts, data and options."""
    recipe = plugins.find("recipe", config.recipe).spec if config.recipe else None
    names = {}
    for section, part in config.sections():
        if not part.offer or section == "data":
            continue
        if getattr(part.offer.spec, "reads", ()) and part.values[modelfile.OPTION]:
            names[section] = str(part.values[modelfile.OPTION])  # the file is what was named
            continue
        usual = getattr(recipe, section, "") if recipe else ""  # no recipe has a tracker
        if not usual or plugins.find(PARTS[section], usual).id != part.id:
            names[section] = part.id
    data = config.data.values.get("path") or ""
    if not data and (not recipe or plugins.find("dataset", recipe.dataset).id != config.data.id):
        data = config.data.id
    base = resolve(plugins, Request(recipe=config.recipe, names=names, data=data))
    return names, data, settings_between(base, config)


def to_command(plugins: Plugins, config: RunConfig) -> str:
    """Write the shortest command line that makes this configuration.

    Args:
        plugins: the registry, to know what the recipe already says.
        config: what to write.
    """
    names, data, settings = _differences(plugins, config)
    words = ["kptk", "train"]
    if config.recipe:
        plugin, _, name = config.recipe.partition("/")
        words += ["--plugin", plugin if plugin == name else config.recipe]
    for section, name in names.items():
        words += ["--tracker" if is_tracker(section) else f"--{section}", name]
    if data:
        words += ["--data", data]
    for setting in settings:
        if setting.key in FLAGS:
            words += [FLAGS[setting.key], str(setting.value)]
        else:
            words += ["-o", f"{setting.key}={_word(setting.value)}"]
    return shlex.join(words)


def to_python(plugins: Plugins, config: RunConfig) -> str:
    """Write the Python call that makes this configuration.

    Args:
        plugins: the registry, to know what the recipe already says.
        config: what to write.
    """
    names, data, settings = _differences(plugins, config)
    arguments = [repr(config.recipe)] if config.recipe else []
    arguments += [f"{section}={name!r}" for section, name in names.items() if not is_tracker(section)]
    trackers = [name for section, name in names.items() if is_tracker(section)]
    arguments += [f"trackers={trackers!r}"] if trackers else []
    if data:
        arguments.append(f"data={data!r}")
    if settings:
        pairs = ", ".join(f"{setting.key!r}: {setting.value!r}" for setting in settings)
        arguments.append(f"options={{{pairs}}}")
    return f"import kptk\n\nkptk.train({', '.join(arguments)})"


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
