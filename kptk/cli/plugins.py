"""`kptk plugins`: list, check, install, uninstall and write plugins. Only `check --full` imports Keras."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib import metadata
from typing import Any

import click

from kptk import discovery
from kptk.cli.output import print_json, print_table
from kptk.discovery import Loaded, Problem
from kptk.errors import PluginError, RunError, UsageError, did_you_mean
from kptk.plugins import Plugins
from kptk.spec import PLURALS


@click.group()
def plugins() -> None:
    """List, check, install, uninstall and write plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(as_json: bool) -> None:
    """List the installed plugins, what they offer, and what is wrong with them."""
    registry = Plugins()
    rows = [_describe(loaded) for loaded in registry.loaded]
    if as_json:
        problems = [_problem_table(problem) for problem in registry.problems]
        print_json({"plugins": rows, "problems": problems})
        return
    if not rows and not registry.problems:
        click.echo("No plugin is installed. Install some: kptk plugins install kptk-vision kptk-contrastive")
        return
    cells = [[row["name"], row["distribution"], row["status"], _offered(row["offers"])] for row in rows]
    print_table("", ["plugin", "distribution", "status", "offers"], cells)
    for problem in registry.problems:
        click.echo(problem.sentence, err=True)


def _describe(loaded: Loaded) -> dict[str, Any]:
    offers: dict[str, list[str]] = {}
    for offer in loaded.offers:
        offers.setdefault(PLURALS[offer.spec.kind], []).append(offer.spec.name)
    lost = {problem.lost for problem in loaded.problems}
    status = "broken" if "all" in lost else "partly broken" if "some" in lost else "ok"
    return {
        "name": loaded.found.name,
        "distribution": loaded.found.label,
        "module": loaded.found.value,
        "status": status,
        "milliseconds": round(loaded.milliseconds, 1),
        "heavy_imports": list(loaded.heavy),
        "offers": offers,
    }


def _offered(offers: dict[str, list[str]]) -> str:
    return "; ".join(f"{plural}: {', '.join(names)}" for plural, names in offers.items())


def _problem_table(problem: Problem) -> dict[str, str]:
    return {name: str(getattr(problem, name)) for name in problem.__slots__}


@plugins.command()
@click.argument("name", required=False, default="")
@click.option("--full", is_flag=True, help="Run the conformance checks of kptk.testing as well (imports Keras).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(name: str, full: bool, as_json: bool) -> None:
    """Examine plugins: do they load, how fast, what do they import, what do they offer.

    NAME is one plugin; all of them without it. Exit code 3 if a plugin has lost something it should offer.
    """
    registry = Plugins()
    chosen = [loaded for loaded in registry.loaded if not name or loaded.found.name == name]
    problems = [problem for problem in registry.problems if not name or problem.plugin == name]
    if name and not chosen and not problems:
        known = [loaded.found.name for loaded in registry.loaded]
        raise UsageError(f"no plugin called '{name}' is installed. {did_you_mean(name, known)} See: kptk plugins list")
    results = [_describe(loaded) for loaded in chosen]
    conformance = _conformance([row["name"] for row in results if row["status"] == "ok"]) if full else {}
    if as_json:
        found = [_problem_table(problem) for problem in problems]
        print_json({"plugins": results, "problems": found, "conformance": conformance})
    else:
        for row in results:
            heavy = f", imports {', '.join(row['heavy_imports'])}" if row["heavy_imports"] else ""
            click.echo(f"{row['name']} ({row['distribution']}): {row['status']}, {row['milliseconds']} ms{heavy}")
            for plural, names in row["offers"].items():
                click.echo(f"  kptk_{plural}: {', '.join(names)}")
        for plugin, checks in conformance.items():
            _print_conformance(plugin, checks)
        for problem in problems:
            click.echo(problem.sentence, err=True)
    failed = [f"{p}/{c['check']}" for p, checks in conformance.items() for c in checks if c["status"] == "failed"]
    if failed:
        raise PluginError(f"{len(failed)} conformance checks failed: {', '.join(failed[:5])}")
    broken = [problem for problem in problems if problem.lost != "nothing"]
    if broken:
        raise PluginError(f"{len(broken)} problems found; {discovery.STRICT_ENV}=1 shows the whole traceback.")


def _conformance(names: list[str]) -> dict[str, list[dict[str, str]]]:
    from kptk.training import backend

    backend.import_keras()
    from kptk.testing import run_checks

    return {
        name: [{"check": r.id, "status": r.status, "message": r.message} for r in run_checks(name)] for name in names
    }


def _print_conformance(plugin: str, checks: list[dict[str, str]]) -> None:
    counts = {status: sum(c["status"] == status for c in checks) for status in ("passed", "failed", "skipped")}
    click.echo(f"{plugin}: {len(checks)} checks ran: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    for entry in checks:
        if entry["status"] != "passed":
            click.echo(f"  {entry['status']}: {entry['check']}: {entry['message']}")


@plugins.command()
@click.argument("packages", nargs=-1, required=True)
@click.option("-U", "--upgrade", is_flag=True, help="Upgrade to the newest version.")
def install(packages: tuple[str, ...], upgrade: bool) -> None:
    """Install plugin PACKAGES into this environment with pip, and check what is new."""
    before = {(found.name, found.version) for found in discovery.find()[0]}
    _pip(["install", *(["--upgrade"] if upgrade else []), *packages])
    new = [found.name for found in discovery.find()[0] if (found.name, found.version) not in before]
    if not new:
        click.echo("Installed, but no new plugin appeared: the packages have no entry point in the group 'kptk'.")
        return
    # A fresh process: this one may hold older modules of the same packages.
    for name in new:
        done = subprocess.run([sys.executable, "-m", "kptk", "plugins", "check", name], check=False)
        if done.returncode:
            raise PluginError(
                f"plugin '{name}' was installed and has problems. Remove it: kptk plugins uninstall {name}"
            )


@plugins.command()
@click.argument("names", nargs=-1, required=True)
def uninstall(names: tuple[str, ...]) -> None:
    """Uninstall plugins, by plugin or package NAME. A broken plugin can be removed too: none is loaded."""
    owners: dict[str, list[str]] = {}
    # Straight from the metadata: also what KPTK_PLUGINS hides and the second package with a taken name can go.
    for entry_point in metadata.entry_points(group=discovery.GROUP):
        if entry_point.dist is not None:
            owners.setdefault(entry_point.name, []).append(entry_point.dist.name)
    packages = {package for own in owners.values() for package in own}
    chosen = []
    for name in names:
        if name not in packages and name not in owners:
            hint = did_you_mean(name, {*owners, *packages})
            raise UsageError(f"no plugin called '{name}' is installed. {hint} See: kptk plugins list")
        own = [name] if name in packages else owners[name]
        if len(own) > 1:
            raise UsageError(f"'{name}' is the plugin of {len(own)} packages: {', '.join(own)}. Say which package.")
        chosen += own
    _pip(["uninstall", "--yes", *chosen])


def _pip(arguments: list[str]) -> None:
    if importlib.util.find_spec("pip") is None:
        tail = " ".join(word for word in arguments[1:] if word != "--yes")
        raise UsageError(
            f"this environment has no pip. With uv: uv pip {arguments[0]} --python {sys.executable} {tail}"
        )
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], check=False)
    if done.returncode:
        raise RunError(f"pip {arguments[0]} failed with exit code {done.returncode}; its message is above.")


@plugins.command()
@click.argument("name")
@click.option("--directory", default="", help="Where to write it. Default: kptk-NAME")
def new(name: str, directory: str) -> None:
    """Write a new plugin package called kptk-NAME that installs, passes the checks and trains."""
    from kptk.scaffold import write_plugin

    taken = {found.name for found in discovery.find()[0]}
    if name in taken:
        raise UsageError(f"a plugin called '{name}' is installed. Choose another name.")
    folder = write_plugin(name, directory)
    click.echo(
        f"Wrote {folder}. Next:\n"
        f"  pip install -e {folder}\n"
        f"  kptk plugins check {name} --full\n"
        f"  kptk train --plugin {name}\n"
        f"Its objective is in {folder}/kptk_{name}/{name}.py; the guide is docs/writing-a-plugin.md."
    )
