"""Candidates of a plan: resolved, then measured one by one in fresh processes. Imports no Keras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kptk import assembly, errors
from kptk.config import Part, RunConfig, resolve
from kptk.plugins import Plugins
from kptk.request import Request, Setting
from kptk.spellings import to_toml
from kptk.training.planning.costs import Candidate, power

WORKER = "kptk.training.planning.worker"
STEPS = 12
GROWING = ("width", "filters", "units", "depth")
"""Options of a backbone whose cost is measured at half their value, the first two that it has."""
TIMEOUT = 1800


def candidates(
    plugins: Plugins, objectives: Sequence[str], backbones: Sequence[str], data: str, settings: Sequence[Setting]
) -> tuple[list[RunConfig], list[str]]:
    """Resolve every objective on every backbone.

    Args:
        plugins: the registry.
        objectives: recipes or objectives.
        backbones: their names; empty for each recipe's own.
        data: the data, a path or a name.
        settings: options of the user's; one holds for the candidates that have it.

    Returns:
        The configurations that fit, and a sentence for each that does not.

    Raises:
        UsageError: if a name is wrong, or nothing fits.
    """
    found: list[RunConfig] = []
    misfits: list[str] = []
    unused = {setting.key for setting in settings}
    for objective in objectives:
        for backbone in backbones or ("",):
            request = Request(
                recipe=recipe_of(plugins, objective), names={"backbone": backbone} if backbone else {}, data=data
            )
            config = resolve(plugins, request)
            mine = [setting for setting in settings if _has(config, setting.key)]
            unused -= {setting.key for setting in mine}
            try:
                config = resolve(plugins, request.with_settings(mine))
                assembly.check(config)
            except errors.UsageError as error:
                misfits.append(str(error))
                continue
            found.append(config)
    if unused:
        raise errors.UsageError(f"no candidate has an option '{unused.pop()}'. See: kptk show NAME")
    if not found:
        raise errors.UsageError("no candidate fits:\n" + "\n".join(misfits))
    return found, misfits


def recipe_of(plugins: Plugins, name: str) -> str:
    """The recipe that goes with an objective.

    Args:
        plugins: the registry.
        name: of an objective or recipe.

    Raises:
        UsageError: if there is none.
    """
    short = name.rpartition("/")[2]
    recipes = plugins.offers("recipe")
    if any(short in (offer.spec.name, *offer.spec.aliases) for offer in recipes):
        return plugins.find("recipe", name, "--objectives").id
    offer = plugins.find("objective", name, "--objectives")
    own = [recipe.id for recipe in recipes if recipe.spec.objective in (offer.id, offer.spec.name)]
    if not own:
        raise errors.UsageError(f"objective {offer.id} has no recipe to plan by. See: kptk list recipes")
    return own[0]


def _has(config: RunConfig, key: str) -> bool:
    from kptk.spellings import options_of

    section, dot, name = key.rpartition(".")
    return any(
        option.name == name
        for owner, part in config.sections()
        if not dot or owner == section
        for option in options_of(owner, part.offer)
    )


def measure_candidate(config: RunConfig, batch_sizes: Sequence[int], *, growth: bool) -> Candidate:
    """Measure one candidate.

    Args:
        config: its configuration.
        batch_sizes: examples a step, several.
        growth: whether to measure how cost grows with image size, width and depth, too.

    Raises:
        RunError: if it cannot run; with its own reason.
    """
    base = _in_process(config, batch_sizes, STEPS)
    exponents = {}
    for name, smaller, factor in _variants(config, base) if growth else ():
        try:
            other = _in_process(smaller, [max(batch_sizes)], STEPS)
        except errors.RunError:
            continue  # a network that cannot be halved says nothing, and is no reason to give up
        here = next(p for p in base["points"] if p["batch_size"] == max(batch_sizes))
        exponents[name] = round(power(other["points"][0]["cpu_seconds"], here["cpu_seconds"], factor), 2)
    return Candidate(
        objective=config.objective.id,
        backbone=config.backbone.id,
        config=config,
        rows=base["rows"],
        parameters=base["parameters"],
        trained=base["trained"],
        flops=base["flops"],
        views=base["views"],
        fixed_seconds=base["fixed_seconds"],
        points=base["points"],
        growth=exponents,
    )


def _variants(config: RunConfig, base: Mapping[str, Any]) -> Iterator[tuple[str, RunConfig, float]]:
    """The candidate at half the image size, and at half of each of two options of its backbone."""
    side = base.get("side", 0)
    if config.preprocessor is not None and "size" in config.preprocessor.values and side >= 16:
        values = {**config.preprocessor.values, "size": side // 2}
        smaller = replace(config, preprocessor=Part(config.preprocessor.offer, values))
        yield "preprocessor.size", smaller, side / (side // 2)
    options = [name for name in GROWING if isinstance(config.backbone.values.get(name), int)]
    for name in options[:2]:
        value = config.backbone.values[name]
        if value >= 2:
            values = {**config.backbone.values, name: value // 2}
            yield (
                f"backbone.{name}",
                replace(config, backbone=Part(config.backbone.offer, values)),
                value / (value // 2),
            )


def _in_process(config: RunConfig, batch_sizes: Sequence[int], steps: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="kptk-plan-") as folder:
        path = Path(folder) / "config.toml"
        path.write_text(to_toml(config), encoding="utf-8")
        command = [sys.executable, "-m", WORKER, str(path), ",".join(map(str, batch_sizes)), str(steps)]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT, check=False, env=environment
            )
        except subprocess.TimeoutExpired:
            raise errors.RunError(f"{TIMEOUT // 60} minutes were not enough for {steps} steps.") from None
    lines = done.stdout.strip().splitlines()
    if not lines:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise errors.RunError(f"its process ended with exit code {done.returncode} ({last})")
    result: dict[str, Any] = json.loads(lines[-1])
    if "error" in result:
        raise errors.RunError(result["error"])
    return result
