"""Sections of a report about origins: data, weights, commands, configuration, references."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from kptk import runfolder
from kptk.training.health import effective_rank, feature_spread
from kptk.training.probes import knn_accuracy
from kptk.training.report.html import Html, command, details, facts, join, table, tag

if TYPE_CHECKING:
    from kptk.training.report.page import Page

MOST_LISTED = 100


def data(page: Page) -> Html:
    """What was read and what was left out.

    Args:
        page: the run.
    """
    source, probe = page.run.source, page.run.probe_source
    per_epoch = len(source) // page.batch_size * page.batch_size
    rows = facts(
        (
            ("Training data", source.describe()),
            (
                "Rows",
                f"{len(source):,}; {per_epoch:,} in each epoch (whole batches of {page.batch_size:,})",
            ),
            ("Shape of a row", " x ".join(map(str, source.row_shape))),
            ("Labels", _labels(page)),
            ("Fingerprint", page.environment.get("data", {}).get("fingerprint", "")),
            (
                "Separate labelled data",
                probe.describe() if probe is not None else "none; add -o probe.data=PATH|NAME",
            ),
            ("Left out", f"{len(source.skipped):,}" if source.skipped else "nothing"),
        )
    )
    return join((rows, _left_out(page) if source.skipped else None))


def _labels(page: Page) -> str:
    if page.run.source.labels is None:
        return "none"
    return "used by the objective" if page.run.labels else "known, not used in training"


def _left_out(page: Page) -> Html:
    skipped = page.run.source.skipped
    shown = skipped[:MOST_LISTED]
    which = f": the first {len(shown):,} of {len(skipped):,}" if len(shown) < len(skipped) else ""
    listed = table(f"Inputs that were left out{which}", ("Input", "Why"), [(bad.path, bad.reason) for bad in shown])
    return tag(
        "details",
        tag("summary", f"Inputs that were left out ({len(skipped):,})"),
        listed,
        open=len(skipped) <= 5,
    )


def weights(page: Page) -> Html:
    """The files of the run and what is in them.

    Args:
        page: the run.
    """
    model = page.run.model
    backbone, whole = _count(model.backbone), _count(model)
    rows = [
        (
            runfolder.BACKBONE,
            "the backbone, for everything that follows",
            *backbone,
            _size(page, runfolder.BACKBONE),
        ),
        (
            runfolder.PRETRAINER,
            "backbone, views and the objective's own layers",
            *whole,
            _size(page, runfolder.PRETRAINER),
        ),
    ]
    columns = ("File", "Holds", "Trainable", "Other numbers", "Size")
    checksum = page.summary["backbone_checksum"]
    origin = f"All weights started at random, seed {page.seed}; nothing was loaded from elsewhere."
    return join(
        (
            tag("p", origin, " Checksum of the backbone's weights: ", tag("code", checksum), "."),
            table(f"Written to {page.folder.path}", columns, rows),
        )
    )


def _count(model: Any) -> tuple[str, str]:
    trainable = int(sum(np.prod(v.shape) for v in model.trainable_weights))
    return f"{trainable:,}", f"{int(sum(np.prod(v.shape) for v in model.weights)) - trainable:,}"


def _size(page: Page, name: str) -> str:
    path = page.folder.path / name
    return f"{path.stat().st_size / 2**20:,.1f} MB" if path.exists() else "not there"


def commands(page: Page) -> Html:
    """What to type to repeat and to judge the run.

    Args:
        page: the run.
    """
    run = shlex.quote(str(page.folder.path))
    labelled = _labelled_data(page)
    judge = f"kptk evaluate {run} --data {shlex.quote(labelled) if labelled else 'LABELLED_DATA'}"
    return join(
        (
            tag("p", "Repeat the run (add --out for another folder):"),
            command(page.environment.get("command", "")),
            tag("p", "Judge it beside a random encoder and the raw inputs; the figures then stand in this report:"),
            command(judge),
            tag("p", "Write this report again, with a second map and what the features look at:"),
            command(f"kptk report {run}"),
            tag("p", "Features of any data, for your own tools:"),
            command(f"kptk embed {run} --data DATA --out features.npz"),
        )
    )


def _labelled_data(page: Page) -> str:
    """Data with labels that the run already knows of."""
    config = page.run.config
    wanted = str(config.probe.values["data"] or "")
    if wanted and wanted != "holdout":
        return wanted
    if page.run.source.labels is not None:
        return str(config.data.values["path"] or config.data.id)
    return ""


def configuration(page: Page) -> Html:
    """The complete configuration.

    Args:
        page: the run.
    """
    path = page.folder.path / runfolder.CONFIG
    text = path.read_text(encoding="utf-8")
    again = tag(
        "p",
        "Every option, with what it means. Train from it: ",
        tag("code", f"kptk train --config {shlex.quote(str(path))}"),
    )
    return join((again, details(runfolder.CONFIG, tag("pre", tag("code", text), tabindex="0"))))


def environment(page: Page) -> Html:
    """Versions, plugins and machine.

    Args:
        page: the run.
    """
    found = page.environment
    versions = ", ".join(f"{name} {version}" for name, version in found.get("packages", {}).items())
    used = found.get("plugins", {})
    heads = ["Part", "Name", "Distribution", "Target"]
    if not any(use.get("target") for use in used.values()):  # a comparison keeps none
        heads.pop()
    plugins = [
        (part, *(use.get(key, "") for key in ("id", "distribution", "target")[: len(heads) - 1]))
        for part, use in used.items()
    ]
    listed = facts(
        (
            ("kptk", str(found.get("kptk", ""))),
            ("Python", str(found.get("python", ""))),
            ("Keras backend", str(found.get("backend", ""))),
            ("Packages", versions),
            ("Machine", f"{found.get('platform', '')}, {found.get('processors', '?')} processors"),
            ("Seed", str(found.get("seed", ""))),
        )
    )
    return join((listed, table("Parts and who offers them", heads, plugins)))


def references(page: Page) -> Html:
    """The papers behind the parts and the measures.

    Args:
        page: the run.
    """
    users: dict[str, list[str]] = {}
    for name, part in page.run.config.sections():
        for address in part.offer.spec.references if part.offer else ():
            users.setdefault(address, []).append(f"{name} {part.id}")
    measures: list[tuple[str, Any]] = [("feature spread", feature_spread), ("effective rank (RankMe)", effective_rank)]
    if page.run.probe_source is not None:
        measures.append(("kNN vote", knn_accuracy))
    for name, measure in measures:
        for address in _addresses(measure.__doc__ or ""):
            users.setdefault(address, []).append(name)
    items = [tag("li", link(address), ": ", ", ".join(names)) for address, names in users.items()]
    return tag("ul", *items, class_="plain")


def _addresses(docstring: str) -> list[str]:
    """The addresses under the heading of references."""
    words = docstring.partition("References:")[2].split()
    return [word.rstrip(",.") for word in words if word.startswith("https://")]


def link(address: str) -> Html:
    """An address to click on, if it is one of the web.

    Args:
        address: of a paper.
    """
    if address.startswith(("https://", "http://")):
        return tag("a", address, href=address, rel="noreferrer")
    return tag("span", address)
