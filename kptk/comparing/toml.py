"""Writes a comparison's configuration whole, and reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kptk import errors, settings
from kptk.comparing.config import OWN, SCRATCH, SECTIONS, UNUSED, ArmConfig, ComparisonConfig, parse_ways
from kptk.config import Part
from kptk.plugins import Plugins
from kptk.request import PARTS, read_toml
from kptk.spec import Option
from kptk.spellings import options_of


def to_toml(config: ComparisonConfig) -> str:
    """Write the whole configuration, every option with what it means.

    Args:
        config: what to write.

    Returns:
        TOML that `read_comparison` reads back to the same configuration.
    """
    import tomlkit

    document = tomlkit.document()
    document.add("baseline", tomlkit.item(config.baseline))
    if config.source:
        document.add("source", tomlkit.item(config.source))
    if config.advice:
        document.add("advice", tomlkit.item(config.advice))
    if config.source_options:
        document.add("source_options", tomlkit.item(dict(config.source_options)))
    document.add("compare", _table(None, config.values, settings.COMPARE))
    document.add("data", _table(config.data.id, config.data.values, options_of("data", config.data.offer)))
    arms = tomlkit.table(is_super_table=True)
    for arm in config.arms:
        table = tomlkit.table()
        table.add("kind", tomlkit.item("run" if arm.origin else SCRATCH if arm.scratch else "objective"))
        if arm.origin:
            table.add("origin", tomlkit.item(arm.origin))
        table.add("pretrain", tomlkit.item(list(arm.pretrain)))
        table.add("share", tomlkit.item(arm.share))
        table.add("ways", tomlkit.item(list(arm.ways)))
        for section, part in arm.sections():
            table.add(section, _table(part.id, part.values, options_of(section, part.offer)))
        arms.add(arm.name, table)
    document.add("arms", arms)
    return tomlkit.dumps(document)


def _table(name: str | None, values: Mapping[str, Any], options: tuple[Option, ...]) -> Any:
    import tomlkit

    table = tomlkit.table()
    if name:
        table.add("name", tomlkit.item(name))
    helps = {option.name: option.help for option in options}
    for key, value in values.items():
        if value is None:
            table.add(tomlkit.comment(f"{key} is not set: {helps[key]}"))
            continue
        item = tomlkit.item(value)
        if helps[key]:
            item.comment(helps[key])
        table.add(key, item)
    return table


def read_comparison(plugins: Plugins, path: str | Path) -> ComparisonConfig:
    """Read what `to_toml` wrote.

    Args:
        plugins: the registry.
        path: the file.

    Raises:
        InputError: if it is no such file.
        UsageError: if a plugin, part or option is not there any more.
    """
    table = read_toml(path)
    try:
        arms = tuple(_arm(plugins, name, content) for name, content in table["arms"].items())
        return ComparisonConfig(
            data=_part(plugins, "data", table["data"]),
            source=str(table.get("source", "")),
            source_options=dict(table.get("source_options", {})),
            advice=str(table.get("advice", "")),
            arms=arms,
            baseline=str(table["baseline"]),
            values=_checked("[compare]", settings.COMPARE, table["compare"]),
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise errors.InputError(f"{path} is not the configuration of a comparison ({error!r} is missing).") from None


def _arm(plugins: Plugins, name: str, table: Mapping[str, Any]) -> ArmConfig:
    parts = {section: _part(plugins, section, table[section]) for section in SECTIONS if section in table}
    return ArmConfig(
        name=name,
        objective=parts.get("objective"),
        backbone=parts["backbone"],
        preprocessor=parts.get("preprocessor"),
        train=parts["train"],
        origin=str(table.get("origin", "")),
        pretrain=tuple(table.get("pretrain", (OWN,))),
        share=float(table.get("share", 1.0)),
        ways=parse_ways(",".join(table["ways"])),
    )


def _part(plugins: Plugins, section: str, table: Mapping[str, Any]) -> Part:
    content = dict(table)
    name = content.pop("name", "")
    offer = plugins.find(PARTS[section], name) if name else None
    options = tuple(option for option in options_of(section, offer) if section != "train" or option.name not in UNUSED)
    return Part(offer, _checked(offer.id if offer else f"[{section}]", options, content))


def _checked(owner: str, options: tuple[Option, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    known = {option.name: option for option in options}
    for name in values:
        if name not in known:
            raise errors.unknown_option(owner, name, list(known))
    return {name: option.check(values[name]) if name in values else option.default for name, option in known.items()}
