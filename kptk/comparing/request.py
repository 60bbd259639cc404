"""From what the user said of a comparison to its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kptk import assembly, errors, settings
from kptk.budget import Budget
from kptk.comparing.arm import ArmBuilder, is_run, refuse_unknown
from kptk.comparing.config import OWN, SCRATCH, SOURCE, ArmConfig, ComparisonConfig, parse_labels, parse_rates
from kptk.config import RunConfig, locate
from kptk.plugins import Plugins
from kptk.request import Setting
from kptk.spec import ComparisonSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRequest:
    """What the user said of a comparison.

    Args:
        objectives: objectives, aliases, run folders, ``"scratch"``.
        ready: name of a ready comparison.
        data: labelled data, a path or a name.
        source: other data to pre-train on; ``"own"`` for the comparison's own rows instead.
        backbone: the network of every arm.
        strategies: strategies to use the labels with; each objective is then compared once with each.
        values: options of the comparison, texts or values.
        settings: options of the parts; a key ``"arm:section.option"`` holds for one arm.
    """

    objectives: tuple[str, ...] = ()
    ready: str = ""
    data: str = ""
    source: str = ""
    backbone: str = ""
    strategies: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()


def resolve_comparison(plugins: Plugins, request: ComparisonRequest) -> ComparisonConfig:
    """Look up every name, fill in every default and check every option and every assembly.

    Args:
        plugins: the registry.
        request: what the user said.

    Raises:
        UsageError: if a name, option or value is wrong, or parts do not fit.
        InputError: if the data does not exist.
        PluginError: if a named plugin is broken.
    """
    ready = plugins.find("comparison", request.ready, "--ready").spec if request.ready else None
    values = _values(ready, request.values)
    tables = _tables(plugins, ready, request)
    request = replace(request, source=request.source or (ready.source if ready else ""))
    if request.source == OWN:
        tables = {name: _on_own_rows(table) for name, table in tables.items()}
    data = request.data or (ready.data if ready else "")
    if not data:
        raise errors.UsageError("no data was named. Give labelled data: --data PATH|NAME")
    elsewhere = any(SOURCE in table.get("pretrain", ()) for table in tables.values())
    if elsewhere and not request.source:
        raise errors.UsageError("this comparison also pre-trains on data of another kind. Name it: --source PATH|NAME")
    said = [setting.key.rpartition(".")[2] for setting in request.settings if setting.key.startswith("data.")]
    inputs = locate(plugins, data, given=said)[0].spec.inputs
    base = [Setting("train.batch_size", values["batch_size"])]
    arms: dict[str, ArmConfig] = {}
    parts: dict[str, RunConfig] = {}
    # Arms with an objective come first: the first one's backbone is everybody's unless one was named.
    for name in sorted(tables, key=lambda name: tables[name].get("objective") == SCRATCH):
        backbone = request.backbone or (next(iter(parts.values())).backbone.id if parts else "")
        builder = ArmBuilder(plugins, request.settings, data, inputs, backbone, base, values["ways"])
        arms[name], parts[name] = builder.build(name, tables[name])
    source_options = _source_options(plugins, ready, request, inputs) if elsewhere else {}
    for setting in request.settings:
        if not setting.key.startswith(f"{SOURCE}."):
            refuse_unknown(setting, parts)
        elif not elsewhere:
            raise errors.UsageError(f"no arm pre-trains on other data (--source), so -o {setting.key} says nothing.")
    first = next(iter(parts.values()))
    for name, table in tables.items():
        if "backbone" not in table and not arms[name].origin:
            arms[name] = replace(arms[name], backbone=first.backbone)
            parts[name] = replace(parts[name], backbone=first.backbone)
        if arms[name].objective is not None:
            assembly.check(parts[name])
    baseline = ready.baseline if ready else SCRATCH
    return ComparisonConfig(
        data=first.data,
        source=request.source if elsewhere else "",
        source_options=source_options,
        advice=ready.advice if ready else "",
        arms=tuple(arms[name] for name in tables),
        baseline=baseline if baseline in arms else next(iter(tables)),
        values=values,
    )


def _on_own_rows(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arm, pre-trained on the comparison's own rows where it would be on others."""
    where = dict.fromkeys(OWN for _ in table.get("pretrain", ()))
    return {**table, "pretrain": list(where)} if "pretrain" in table else table


def _source_options(
    plugins: Plugins, ready: ComparisonSpec | None, request: ComparisonRequest, inputs: str
) -> dict[str, Any]:
    """Options of the reader of the other data: those of the ready comparison for its own, and the user's."""
    said = [setting for setting in request.settings if setting.key.startswith(f"{SOURCE}.")]
    names = [setting.key.partition(".")[2] for setting in said]
    offer, _ = locate(plugins, request.source, inputs, given=names)
    if ready and request.source == ready.source:
        said = [Setting(key, v) for key, v in ready.settings.items() if key.startswith(f"{SOURCE}.")] + said
    values = {}
    for setting in said:
        option = offer.spec.option(setting.key.partition(".")[2])
        values[option.name] = option.parse(setting.value) if setting.text else option.check(setting.value)
    return values


def _values(ready: ComparisonSpec | None, said: Mapping[str, Any]) -> dict[str, Any]:
    values = {option.name: option.default for option in settings.COMPARE}
    known = {option.name: option for option in settings.COMPARE}
    for source in (ready.settings if ready else {}, said):
        for name, value in source.items():
            if name.startswith(f"{SOURCE}."):
                continue
            if name not in known:
                raise errors.unknown_option("[compare]", name, list(known))
            option = known[name]
            text = isinstance(value, str) and option.type is not str
            values[name] = option.parse(value) if text else option.check(value)
    parse_labels(values["labels_per_class"])
    Budget.parse(values["budget"])
    for name in ("rates", "scratch_rates"):
        parse_rates(name, values[name])
    return values


def _tables(plugins: Plugins, ready: ComparisonSpec | None, request: ComparisonRequest) -> dict[str, Mapping[str, Any]]:
    """The arms as tables, by name."""
    if ready:
        if len(request.objectives) > 1:
            raise errors.UsageError(f"--ready {ready.name} takes one objective. Received: {request.objectives}.")
        objective = request.objectives[0] if request.objectives else ready.objective
        return {name: {"objective": objective, **table} for name, table in ready.arms.items()}
    if not request.objectives:
        raise errors.UsageError(
            "nothing to compare was named. Name objectives (--objectives contrastive,momentum,scratch; see: kptk list "
            "objectives) or a ready comparison (--ready NAME; see: kptk list comparisons)"
        )
    doubled = {name for name in request.objectives if request.objectives.count(name) > 1}
    if doubled:
        raise errors.UsageError(f"'{doubled.pop()}' is named twice. Each arm needs a name of its own.")
    names = {_arm_name(name): name for name in request.objectives}
    strategies = [plugins.find("strategy", name).id for name in request.strategies]
    tables: dict[str, Mapping[str, Any]] = {}
    for name, objective in names.items():
        if objective == SCRATCH or not strategies:
            tables[name] = {"objective": objective}
        for way in strategies if objective != SCRATCH else ():
            tables[f"{name}+{way.rpartition('/')[2]}"] = {"objective": objective, "ways": [way]}
    return {**tables, SCRATCH: {"objective": SCRATCH}}


def _arm_name(objective: str) -> str:
    return Path(objective).name if is_run(objective) else objective.rpartition("/")[2]
