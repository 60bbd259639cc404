"""`kptk list`, `kptk show` and `kptk cite`: what the installed plugins offer. Keras is never imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from kptk.cli.output import print_json, print_table
from kptk.discovery import Offer
from kptk.errors import UsageError, did_you_mean
from kptk.plugins import Plugins
from kptk.spec import PLURALS, SPECS
from kptk.tracking import missing_packages

KINDS = {plural: kind for kind, plural in PLURALS.items()}


@click.command("list")
@click.argument("kind", required=False, default="")
@click.argument("pattern", required=False, default="*")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_offers(kind: str, pattern: str, as_json: bool) -> None:
    """List what is installed: objectives, backbones, preprocessors, strategies, tasks, datasets, recipes, comparisons, trackers.

    PATTERN is a shell pattern: kptk list backbones 'resnet*'
    """
    if kind and kind not in KINDS and kind not in SPECS:
        if pattern == "*" and any(letter in kind for letter in "*?["):
            kind, pattern = "", kind
        else:
            hint = did_you_mean(kind, KINDS)
            raise UsageError(f"cannot list '{kind}'; there are: {', '.join(KINDS)}. {hint}".rstrip())
    kinds = [KINDS.get(kind, kind)] if kind else list(SPECS)
    plugins = Plugins()
    offers = [offer for wanted in kinds for offer in plugins.offers(wanted, pattern)]
    if as_json:
        print_json([describe(offer) for offer in offers])
    elif offers:
        rows = [[offer.spec.kind, offer.id, offer.spec.summary, _facts(offer)] for offer in offers]
        print_table("", ["kind", "name", "what it is", "facts"], rows)
    for problem in plugins.problems:
        click.echo(problem.sentence, err=True)
    if not offers and not as_json:
        click.echo(f"No installed plugin offers any {kind or 'part'} matching '{pattern}'.", err=True)


def describe(offer: Offer) -> dict[str, Any]:
    """Everything a spec says, ready for JSON.

    Args:
        offer: what to describe.
    """
    spec = offer.spec
    fields = [name for cls in type(spec).__mro__ for name in getattr(cls, "__slots__", ())]
    plain = {name: getattr(spec, name) for name in fields if name != "options"}
    options = [
        {
            "name": option.name,
            "type": option.type.__name__,
            "default": option.default,
            "rule": option.rule,
            "help": option.help,
        }
        for option in spec.options
    ]
    head = {"kind": spec.kind, "id": offer.id, "plugin": offer.plugin, "distribution": offer.label}
    return head | {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()} | {"options": options}


def _facts(offer: Offer) -> str:
    """The facts that help to choose, in a few words."""
    spec = offer.spec
    match spec.kind:
        case "objective":
            return "; ".join(filter(None, (f"{spec.views} view{'s' if spec.views != 1 else ''}", spec.cost, spec.when)))
        case "strategy":
            return "; ".join(filter(None, (spec.cost, spec.when)))
        case "dataset":
            reads = f"reads {', '.join(spec.reads)}" if spec.reads else f"{spec.samples:,} examples, {spec.licence}"
            return f"{spec.inputs}; {reads}"
        case "recipe":
            return spec.expect
        case "comparison":
            return ", ".join(spec.arms)
        case "tracker":
            missing = missing_packages(spec)
            return f"needs: pip install '{spec.install or ' '.join(missing)}'" if missing else "ready"
        case "backbone":
            if spec.reads:
                return f"reads {', '.join(spec.reads)}"
            return f"{spec.inputs} {'patches ' if spec.patches else ''}to {spec.features}"
        case _:
            return ""


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show a part or a whole plugin: options, facts, references, where its code is.

    NAME is a part (contrastive, vision/resnet18) or a plugin (vision).
    """
    plugins = Plugins()
    offers = matching(plugins, name)
    if as_json:
        print_json([describe(offer) for offer in offers])
        return
    for offer in offers:
        _print_offer(offer)


def matching(plugins: Plugins, name: str) -> list[Offer]:
    """Find everything that a name can mean, in any kind.

    Args:
        plugins: the registry.
        name: short name, full id or plugin name.

    Raises:
        UsageError: if it means nothing.
        PluginError: if it names a broken plugin.
    """
    everything = [offer for kind in SPECS for offer in plugins.offers(kind)]
    found = [
        offer
        for offer in everything
        if name in (offer.id, offer.spec.name, offer.plugin, *offer.spec.aliases)
        or name in (f"{offer.plugin}/{alias}" for alias in offer.spec.aliases)
    ]
    if found:
        return found
    plugins.refuse_broken(name.partition("/")[0])
    known = {word for offer in everything for word in (offer.spec.name, offer.id, offer.plugin)}
    raise UsageError(f"nothing installed is called '{name}'. {did_you_mean(name, known)} See: kptk list")


def _print_offer(offer: Offer) -> None:
    spec = offer.spec
    click.echo(click.style(f"{spec.kind} {offer.id}", bold=True) + f"  ({offer.label})")
    click.echo(f"  {spec.summary}")
    for key, value in describe(offer).items():
        skip = {"kind", "id", "plugin", "distribution", "name", "summary", "options", "references", "aliases"}
        if key not in skip and value not in ("", [], {}, None, 0, False):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            click.echo(f"  {key}: {json.dumps(shown) if isinstance(shown, dict) else shown}")
    if spec.aliases:
        click.echo(f"  also called: {', '.join(spec.aliases)}")
    for option in spec.options:
        click.echo(f"  -o {option.name}={option.default}   {option.help} ({option.rule})")
    for reference in spec.references:
        click.echo(f"  reference: {reference}")
    click.echo()


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cite(names: tuple[str, ...], as_json: bool) -> None:
    """List the papers behind a run or a part, to cite what you used.

    NAMES are run folders, parts or plugins: kptk cite runs/digits resnet18
    """
    plugins = Plugins()
    entries: dict[str, list[str]] = {}
    for name in names:
        for part in _parts_of_run(name) if (Path(name) / "config.toml").exists() else [name]:
            for offer in matching(plugins, part):
                for reference in offer.spec.references:
                    entries.setdefault(reference, [])
                    if offer.id not in entries[reference]:
                        entries[reference].append(offer.id)
    if as_json:
        print_json([{"reference": reference, "used_by": users} for reference, users in entries.items()])
    elif not entries:
        click.echo(f"{', '.join(names)}: no references.")
    else:
        for reference, users in entries.items():
            click.echo(f"{reference}  ({', '.join(users)})")


def _parts_of_run(folder: str) -> list[str]:
    from kptk.request import from_toml

    request = from_toml(Path(folder) / "config.toml")
    return list(request.names.values())
