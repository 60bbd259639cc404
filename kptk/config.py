"""`RunConfig`: what a run is, whole. The command line, a TOML file and a Python call are three spellings of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kptk import errors, modelfile, settings
from kptk.discovery import Offer
from kptk.locating import locate as locate
from kptk.locating import stand_in
from kptk.plugins import Plugins
from kptk.request import PARTS, Request, Setting, is_tracker
from kptk.spec import Option, RecipeSpec

CORE_OPTIONS = {"train": settings.TRAIN, "probe": settings.PROBE}
HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True)
class Part:
    """A section of a configuration: who offers it (None for the core's own) and every option's value."""

    offer: Offer | None
    values: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Full id of the offer, empty for the core's own sections."""
        return self.offer.id if self.offer else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """A complete, checked configuration of one pre-training run.

    Args:
        recipe: id of the recipe that it grew from, empty if none.
        objective: the objective and its options.
        backbone: the backbone and its options.
        preprocessor: what makes the views, or None.
        data: the data set or reader and its options.
        train: options of the training loop.
        probe: options of the kNN check while training.
        trackers: who else keeps the figures of the run, by section, ``"trackers.tensorboard"``; nobody by default.

    Example:
        >>> from kptk.request import Request
        >>> config = resolve(Plugins(), Request(recipe="contrastive"))
        >>> config.objective.id
        'contrastive/contrastive'
    """

    recipe: str
    objective: Part
    backbone: Part
    preprocessor: Part | None
    data: Part
    train: Part
    probe: Part
    trackers: Mapping[str, Part] = field(default_factory=dict)

    def sections(self) -> Iterator[tuple[str, Part]]:
        """Yield each section's name and content, in the order in which they are written."""
        for name in (*PARTS, "train", "probe"):
            part = getattr(self, name)
            if part is not None:
                yield name, part
        yield from self.trackers.items()

    @property
    def views(self) -> int:
        """How many views of each example a step needs."""
        assert self.objective.offer is not None
        return int(self.objective.values.get("views", self.objective.offer.spec.views))

    def to_table(self) -> dict[str, Any]:
        """Return the configuration as a nested dictionary, unset options left out."""
        table: dict[str, Any] = {"recipe": self.recipe} if self.recipe else {}
        for name, part in self.sections():
            content = {"name": part.id} if part.offer else {}
            table[name] = content | {key: v for key, v in part.values.items() if v is not None}
        return table


def resolve(plugins: Plugins, request: Request) -> RunConfig:
    """Look up every name, fill in every default and check every option.

    The order in which values win, last first: the option's own default, the recipe, what the backbone, the data set and
    the objective suggest, in this order, the configuration file, the command line.

    Args:
        plugins: the registry.
        request: what the user said.

    Returns:
        The whole configuration. Nothing of Keras has been imported.

    Raises:
        UsageError: if a name, option or value is wrong.
        InputError: if the data does not exist.
        PluginError: if a named plugin is broken.
    """
    recipe = (
        stand_in(plugins, plugins.recipe(request.recipe), request.data, request.given_data) if request.recipe else None
    )
    recipe_spec: RecipeSpec = recipe.spec if recipe else RecipeSpec(name="none")
    offers: dict[str, Offer | None] = {}
    model: Path | None = None
    for section in ("objective", "backbone", "preprocessor"):
        if section == "backbone" and (found := modelfile.locate(plugins, request.names.get(section, ""))):
            offers[section], model = found
        else:
            offers[section] = _part_offer(plugins, section, request, recipe_spec)
    offers["data"], path = _data_offer(plugins, request, recipe_spec, offers["backbone"])
    offers |= tracker_offers(plugins, request)
    available = {section: offer.spec.options if offer else () for section, offer in offers.items()} | CORE_OPTIONS
    available["data"] = (*settings.DATA, *available["data"])

    values = {section: {o.name: o.default for o in options} for section, options in available.items()}
    fill(values, available, recipe_spec.settings, only=_kept_sections(plugins, recipe_spec, offers))
    for section in ("backbone", "data", "objective"):
        if offer := offers[section]:
            fill(values, available, offer.spec.suggests, only=set(available))
    for setting in request.settings:
        section, option = find_option(setting.key, available, offers)
        values[section][option.name] = option.parse(setting.value) if setting.text else option.check(setting.value)
    if path:
        values["data"]["path"] = str(path)
    if model or values["backbone"].get(modelfile.OPTION):
        values["backbone"][modelfile.OPTION] = str(model or Path(values["backbone"][modelfile.OPTION]).absolute())

    parts = {section: Part(offers.get(section), values[section]) for section in available}
    if offers["preprocessor"] is None:
        parts.pop("preprocessor")
    return RunConfig(
        recipe=recipe.id if recipe else "",
        objective=parts["objective"],
        backbone=parts["backbone"],
        preprocessor=parts.get("preprocessor"),
        data=parts["data"],
        train=parts["train"],
        probe=parts["probe"],
        trackers={section: part for section, part in parts.items() if is_tracker(section)},
    )


def tracker_offers(plugins: Plugins, request: Request) -> dict[str, Offer | None]:
    """Look up the trackers that a request names.

    Args:
        plugins: the registry.
        request: what the user said.

    Returns:
        Who offers each, by section.
    """
    return {
        section: plugins.find("tracker", name, "--tracker")
        for section, name in request.names.items()
        if is_tracker(section)
    }


def _part_offer(plugins: Plugins, section: str, request: Request, recipe: RecipeSpec) -> Offer | None:
    name = request.names.get(section) or getattr(recipe, section)
    if name:
        return plugins.find(PARTS[section], name)
    if section == "preprocessor":
        return None
    raise errors.UsageError(
        f"no {section} was named. Name a plugin that brings a whole recipe (--plugin NAME, see: kptk list recipes) "
        f"or the part (--{section} NAME, see: kptk list {section}s)"
    )


def _data_offer(
    plugins: Plugins, request: Request, recipe: RecipeSpec, backbone: Offer | None
) -> tuple[Offer, Path | None]:
    """Find what reads the data: a named set, or the reader of a path."""
    inputs = backbone.spec.inputs if backbone else ""
    if request.data:
        return locate(plugins, request.data, inputs, given=request.given_data)
    name = request.names.get("data")
    path = next((str(s.value) for s in reversed(request.settings) if s.key == "data.path"), "")
    if path:
        offer, found = locate(plugins, path, inputs, force_path=True, given=request.given_data, any_reader=bool(name))
        return (plugins.find("dataset", name) if name else offer), found
    name = name or recipe.dataset
    if not name:
        raise errors.UsageError("no data was named. Give a folder, a file or a data set: --data PATH|NAME")
    return plugins.find("dataset", name, "--data"), None


def _kept_sections(plugins: Plugins, recipe: RecipeSpec, offers: Mapping[str, Offer | None]) -> set[str]:
    """The sections for which a recipe's settings hold: those whose part was not swapped for another."""
    kept = {"train", "probe"}
    for section, kind in PARTS.items():
        name = getattr(recipe, kind if section == "data" else section)
        offer = offers[section]
        if name and offer and plugins.find(kind, name).id == offer.id:
            kept.add(section)
    return kept


def fill(
    values: dict[str, dict[str, Any]],
    available: Mapping[str, tuple[Option, ...]],
    wanted: Mapping[str, Any],
    only: set[str],
) -> None:
    """Write a recipe's or data set's settings over the defaults; those for a part that is not there are left out.

    Args:
        values: values by section and option, changed in place.
        available: the options of each section.
        wanted: the settings.
        only: the sections for which they hold.
    """
    for key, value in wanted.items():
        section, _, name = key.partition(".")
        for option in available.get(section, ()):
            if option.name == name and section in only:
                values[section][name] = option.check(value)


def find_option(
    key: str, available: Mapping[str, tuple[Option, ...]], offers: Mapping[str, Offer | None]
) -> tuple[str, Option]:
    """Find the section and option that a dotted or bare key means.

    Args:
        key: as the user wrote it.
        available: the options of each section, the most important one first.
        offers: who offers each section.

    Returns:
        The section and its option.

    Raises:
        UsageError: if there is none, or several.
    """
    section, dot, name = key.rpartition(".")
    if dot:
        if section not in available:
            hint = errors.did_you_mean(section, available)
            if is_tracker(section):
                hint = f"Name the tracker as well: --tracker {section.partition('.')[2]}"
            raise errors.UsageError(
                f"no part called '{section}' in '{key}'; the parts are: {', '.join(available)}. {hint}"
            )
        for option in available[section]:
            if option.name == name:
                return section, option
        offer = offers.get(section)
        owner = offer.id if offer else f"[{section}]"
        raise errors.unknown_option(owner, name, [option.name for option in available[section]])
    owners = [(s, option) for s, options in available.items() for option in options if option.name == name]
    if len(owners) == 1:
        return owners[0]
    if owners:
        forms = ", ".join(f"{s}.{name}" for s, _ in owners)
        raise errors.UsageError(f"several parts have an option '{name}'. Say which: {forms}")
    known = [option.name for options in available.values() for option in options]
    main = next(iter(available))
    offer = offers.get(main)
    raise errors.UsageError(
        f"no part of this run has an option '{name}'. {errors.did_you_mean(name, known)}\n"
        f"{offer.id if offer else f'The {main}'} has: {', '.join(o.name for o in available[main])}"
    )


def settings_between(base: RunConfig, config: RunConfig) -> list[Setting]:
    """List the options in which a configuration differs from another with the same parts.

    Args:
        base: what to compare with.
        config: what to describe.
    """
    different = []
    before = dict(base.sections())
    for section, part in config.sections():
        other = before.get(section)
        for key, value in part.values.items():
            if other is None or other.values.get(key) != value:
                different.append(Setting(f"{section}.{key}", value))
    return different
