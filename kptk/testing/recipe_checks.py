"""Checks of recipes: do the parts exist, fit together and know the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kptk import assembly, settings
from kptk.config import resolve
from kptk.request import PARTS, Request, Setting

if TYPE_CHECKING:
    from kptk.plugins import Plugins
    from kptk.testing.checks import Function, Subject


def parts_fit_together(subject: Subject) -> None:
    """Every part that the recipe names is offered by an installed plugin, and the parts can work together."""
    assert subject.offer is not None
    config = resolve(subject.plugins, Request(recipe=subject.offer.id))
    assert config.objective.offer is not None
    given = tuple(Setting(f"objective.{name}", "given by the user") for name in config.objective.offer.spec.needs)
    assembly.check(resolve(subject.plugins, Request(recipe=subject.offer.id, settings=given)))


def settings_are_known(subject: Subject) -> None:
    """Every setting is an option of the part that it names, with a value that the option takes."""
    for key, value in subject.spec.settings.items():
        section, _, name = key.partition(".")
        options = {option.name: option for option in _options(subject.plugins, subject.spec, section)}
        assert name in options, (
            f"setting '{key}': {section} has no option '{name}'; it has: {', '.join(options) or 'none'}"
        )
        options[name].check(value)


def _options(plugins: Plugins, spec: object, section: str) -> tuple:  # type: ignore[type-arg]
    core = {"train": settings.TRAIN, "probe": settings.PROBE}
    if section in core:
        return core[section]
    if section not in PARTS:
        return ()
    name = getattr(spec, PARTS[section])
    own: tuple = plugins.find(PARTS[section], name).spec.options if name else ()  # type: ignore[type-arg]
    return (*settings.DATA, *own) if section == "data" else own


CHECKS: tuple[Function, ...] = (parts_fit_together, settings_are_known)
