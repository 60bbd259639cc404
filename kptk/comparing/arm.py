"""From the table of one arm of a comparison to its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kptk import errors, runfolder
from kptk.comparing.config import ARM_KEYS, OWN, SCRATCH, SOURCE, UNUSED, WAYS, ArmConfig, parse_ways
from kptk.config import Part, RunConfig, find_option, resolve
from kptk.finetuning import usual_preprocessor
from kptk.plugins import Plugins
from kptk.request import Request, Setting, from_run
from kptk.spec import Option


def is_run(name: str) -> bool:
    """Whether a name is the folder of a run.

    Args:
        name: what stood where an objective is expected.
    """
    return (Path(name).expanduser() / runfolder.CONFIG).is_file()


@dataclass(frozen=True, slots=True)
class ArmBuilder:
    """From the table of one arm to its parts.

    Args:
        plugins: the registry.
        settings: the user's options of parts.
        data: the labelled data, a path or a name.
        inputs: its kind of input.
        backbone: the network that an arm gets unless its table names one; empty for its recipe's.
        base: settings that hold for every arm.
        ways: how arms use labels, with commas.
    """

    plugins: Plugins
    settings: tuple[Setting, ...]
    data: str
    inputs: str
    backbone: str
    base: list[Setting]
    ways: str

    def build(self, name: str, table: Mapping[str, Any]) -> tuple[ArmConfig, RunConfig]:
        """Resolve an arm.

        Args:
            name: its name.
            table: see `ARM_KEYS`.

        Returns:
            The arm, and the configuration of a run that it was made of.
        """
        unknown = [key for key in table if key not in ARM_KEYS]
        if unknown:
            raise errors.unknown_option(f"arm {name}", unknown[0], ARM_KEYS)
        objective = str(table.get("objective", ""))
        origin = Path(objective).expanduser().resolve() if is_run(objective) else None
        said = self._said(objective, table, origin)
        config = resolve(self.plugins, said)
        own = [Setting(key, value) for key, value in table.get("settings", {}).items()]
        config = resolve(self.plugins, said.with_settings([*own, *self._mine(name, config)]))
        train = {key: value for key, value in config.train.values.items() if key not in UNUSED}
        arm = ArmConfig(
            name=name,
            objective=None if origin or objective == SCRATCH else config.objective,
            backbone=config.backbone,
            preprocessor=config.preprocessor,
            train=Part(None, train),
            origin=str(origin or ""),
            pretrain=() if origin or objective == SCRATCH else tuple(table.get("pretrain", (OWN,))),
            share=float(table.get("share", 1.0)),
            ways=self._ways(table),
        )
        return arm, config

    def _ways(self, table: Mapping[str, Any]) -> tuple[str, ...]:
        """How the arm uses labels; a strategy must exist."""
        ways = tuple(table["ways"]) if "ways" in table else parse_ways(self.ways)
        return tuple(way if way in WAYS else self.plugins.find("strategy", way).id for way in ways)

    def _said(self, objective: str, table: Mapping[str, Any], origin: Path | None) -> Request:
        """What a configuration of this arm grows from."""
        if origin:
            _ = runfolder.RunFolder.open(origin).backbone  # an unfinished run, or a fine-tuning, says so
            run = from_run(origin / runfolder.CONFIG)
            kept = tuple(setting for setting in run.settings if not setting.key.startswith("data."))
            names = {key: value for key, value in run.names.items() if key != "data"}
            return replace(run, names=names, data=self.data, settings=(*kept, *self.base))
        names = {part: str(table[part]) for part in ("backbone", "preprocessor") if part in table}
        if self.backbone and "backbone" not in names:
            names["backbone"] = self.backbone
        recipe = self._neutral() if objective == SCRATCH else self._recipe(objective)
        if not recipe:
            names["objective"] = self.plugins.find("objective", objective).id
            usual = usual_preprocessor(self.plugins, self.inputs)
            names.setdefault("preprocessor", usual.id if usual else "")
        return Request(recipe=recipe, names=names, data=self.data, settings=tuple(self.base))

    def _recipe(self, objective: str) -> str:
        """The recipe that goes with an objective, empty if there is none."""
        short = objective.rpartition("/")[2]
        recipes = self.plugins.offers("recipe")
        if any(short in (offer.spec.name, *offer.spec.aliases) for offer in recipes):
            return self.plugins.find("recipe", objective, "--objectives").id
        offer = self.plugins.find("objective", objective, "--objectives")
        own = [recipe for recipe in recipes if recipe.spec.objective in (offer.id, offer.spec.name)]
        return own[0].id if own else ""

    def _neutral(self) -> str:
        """A recipe to take preprocessor and backbone of arms without objective from: one without special wishes."""
        usual = usual_preprocessor(self.plugins, self.inputs)
        recipes = [
            recipe
            for recipe in self.plugins.offers("recipe")
            if usual and recipe.spec.preprocessor in (usual.id, usual.spec.name) and recipe.spec.objective
        ]
        for recipe in recipes:
            if not self.plugins.find("objective", recipe.spec.objective).spec.suggests:
                return recipe.id
        raise errors.UsageError(
            f"no installed recipe works on {self.inputs}, so there is nothing to train from scratch with. "
            "See: kptk list recipes"
        )

    def _mine(self, name: str, config: RunConfig) -> list[Setting]:
        """The user's settings that hold for this arm."""
        mine = []
        for setting in self.settings:
            if setting.key.startswith(f"{SOURCE}."):
                continue
            arm, colon, key = setting.key.rpartition(":")
            if (colon and arm == name) or (not colon and _has(config, key)):
                mine.append(replace(setting, key=key))
        return mine


def available(config: RunConfig) -> dict[str, tuple[Option, ...]]:
    """The options of each section of a configuration.

    Args:
        config: the configuration.
    """
    from kptk.spellings import options_of

    return {name: options_of(name, part.offer) for name, part in config.sections() if name != "probe"}


def _has(config: RunConfig, key: str) -> bool:
    section, dot, name = key.rpartition(".")
    options = available(config)
    sections = [options.get(section, ())] if dot else list(options.values())
    return any(option.name == name for part in sections for option in part)


def refuse_unknown(setting: Setting, parts: Mapping[str, RunConfig]) -> None:
    """Raise if no arm takes a setting of the user's.

    Args:
        setting: as it was written.
        parts: what each arm was made of.

    Raises:
        UsageError: with what there is instead.
    """
    arm, colon, key = setting.key.rpartition(":")
    if colon and arm not in parts:
        raise errors.UsageError(
            f"no arm '{arm}' in -o {setting.key}; the arms are: {', '.join(parts)}. {errors.did_you_mean(arm, parts)}"
        )
    name = key.rpartition(".")[2]
    if key.partition(".")[0] in ("train", name) and name in UNUSED:
        raise errors.UsageError(
            f"'{name}' is no option of an arm: --budget says how long arms train, --seeds how often, all of them in float32."
        )
    if key in ("train.batch_size", "batch_size"):
        raise errors.UsageError("the batch size is the same for every arm. Say: --batch-size N")
    configs = [parts[arm]] if colon else list(parts.values())
    if not any(_has(config, key) for config in configs):
        config = configs[0]
        find_option(key, available(config), {section: part.offer for section, part in config.sections()})
