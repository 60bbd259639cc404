"""Sections of a fine-tuning's report about the numbers: what became of it, figures, curves, transfer, commands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from kptk import runfolder
from kptk.training.plan import duration
from kptk.training.protocols import interval
from kptk.training.report.charts import Curve, draw, scientific
from kptk.training.report.facts import link
from kptk.training.report.html import Html, command, details, facts, join, number, percent, table, tag
from kptk.training.report.parts import card, words

if TYPE_CHECKING:
    from kptk.training.report.tuned import TunedPage

LOGGED = ("epoch", "step", "loss", "learning_rate", "seconds", "images_per_second")
SHARES = ("accuracy", "macro_f1")


def verdict(page: TunedPage) -> Html:
    """What became of the fine-tuning, in a sentence.

    Args:
        page: the fine-tuning.
    """
    summary, task = page.summary, page.run.model.task
    if summary["status"] == "diverged":
        sentence = "The loss is not a number any more. Use a smaller learning rate: -o train.learning_rate=1e-4"
        tone, sign, word = "bad", "✗", "Diverged"
    else:
        found = summary.get("test") or summary.get("validation") or {}
        where = "test rows" if summary.get("test") else "validation rows"
        figure = found.get(task.metric)
        sentence = f"{words(task.metric)} {shown(task.metric, figure)} on the {where}." if figure is not None else ""
        rows = summary["rows"]["train"]
        sentence = f"Learned from {rows:,} rows. {sentence}"
        tone, sign, word = "good", "✓", "Done"
    mark = tag("span", sign, class_="sign", aria_hidden="true")
    return tag(
        "div", mark, tag("div", tag("strong", word), tag("p", sentence)), class_=f"verdict {tone}", role="status"
    )


def shown(key: str, value: float | None) -> str:
    """A figure of a task for people.

    Args:
        key: its name.
        value: the figure.
    """
    return percent(value) if key in SHARES else number(value, 4)


def key_figures(page: TunedPage) -> Html:
    """The figures at the end, each with its protocol.

    Args:
        page: the fine-tuning.
    """
    summary, rows = page.summary, page.summary["rows"]
    cards = []
    for name, where in (("test", "test rows, which nothing was chosen by"), ("validation", "validation rows")):
        for key, value in (summary.get(name) or {}).items():
            note = f"{rows[name]:,} {where}"
            if key == "accuracy" and _is_judged(page, name):
                low, high = _accuracy_interval(page)
                note += f"; 95 % interval [{100 * low:.1f}, {100 * high:.1f}] by resampling them"
            cards.append(card(f"{words(key)} ({name})", shown(key, value), note))
    if summary.get("best_epoch"):
        cards.append(card("Best epoch", f"{summary['best_epoch']:,}", f"of {summary['epochs']:,}, by validation rows"))
    tunes = sum(phase["trainable"] for phase in summary["phases"][-1:])
    cards.append(card("Rows learned from", f"{rows['train']:,}", f"{rows['validation']:,} more to choose the epoch by"))
    cards.append(card("Trained at the end", f"{tunes:,}", f"of {summary['phases'][-1]['of']:,} numbers"))
    cards.append(card("Training time", duration(summary["seconds"]), f"{summary['steps']:,} steps"))
    return tag("dl", *cards, class_="cards")


def _is_judged(page: TunedPage, name: str) -> bool:
    part = {"test": page.run.split.test, "validation": page.run.split.validation}[name]
    return bool(page.classes) and part is page.judged[0]


def _accuracy_interval(page: TunedPage) -> tuple[float, float]:
    assert page.probabilities is not None
    labels = np.asarray(page.judged[0].labels)
    known = labels >= 0
    return interval.of_mean(page.probabilities.argmax(axis=1)[known] == labels[known], page.seed)


def curves(page: TunedPage) -> Html | None:
    """Loss, validation figures and learning rate over the epochs, and what each phase trained.

    Args:
        page: the fine-tuning.
    """
    records = page.records
    if not records:
        return None
    keys = ["loss", *dict.fromkeys(key for record in records for key in record if key not in LOGGED)]
    figures = []
    for key in keys:
        points = [(record["epoch"], record[key]) for record in records if key in record]
        name = words(key.removeprefix("val_")) + (", validation rows" if key.startswith("val_") else "")
        share = key.removeprefix("val_") in SHARES
        curve = Curve(
            title=name,
            points=points,
            show=(lambda v: f"{100 * v:.1f} %") if share else (lambda v: f"{v:.3f}"),
            tick=(lambda v: f"{100 * v:.0f} %") if share else None,
        )
        figures.append(tag("figure", tag("h3", name), draw(curve), tag("figcaption", "At the end of each epoch.")))
    points = [(record["epoch"], record["learning_rate"]) for record in records]
    rate = Curve(title="Learning rate", points=points, show=scientific, tick=scientific, floor=0.0)
    figures.append(tag("figure", tag("h3", "Learning rate"), draw(rate), tag("figcaption", "Each phase has its own.")))
    phases = [
        (phase["phase"], f"{phase['trainable']:,} of {phase['of']:,}", f"{phase['epochs']:,}", f"{phase['steps']:,}")
        for phase in page.summary["phases"]
    ]
    listed = table("What each phase trains", ("Phase", "Numbers that train", "Epochs", "Steps"), phases)
    return join((tag("div", *figures, class_="charts"), listed))


def receipt(page: TunedPage) -> Html:
    """What was transferred from where.

    Args:
        page: the fine-tuning.
    """
    found: dict[str, Any] = page.environment.get("receipt", {})
    origin = page.environment.get("origin", {})
    rows = facts(
        (
            ("From", str(origin.get("path", page.summary["origin"]))),
            ("Checksum of its weights", str(origin.get("checksum", ""))),
            ("Loaded", f"{len(found.get('loaded', ())):,} tensors, {found.get('parameters', 0):,} numbers"),
            ("New", _names(found.get("missing", ()))),
            ("Not used", _names(found.get("unused", ()))),
            ("Never trained", _names(found.get("frozen", ()))),
            ("Checksum of the backbone now", str(page.summary["backbone_checksum"])),
        )
    )
    names = found.get("loaded", ())
    every = details(f"The {len(names):,} tensors that were loaded", tag("ul", *(tag("li", n) for n in names)))
    return join((rows, every if names else None))


def _names(names: Any) -> str:
    first = ", ".join(names[:4])
    return f"{len(names):,} tensors: {first}{', …' if len(names) > 4 else ''}" if names else "nothing"


def data(page: TunedPage) -> Html:
    """What was learned from and what it was judged by.

    Args:
        page: the fine-tuning.
    """
    run = page.run
    return facts(
        (
            ("Labelled data", run.source.describe()),
            ("Parts", str(run.split)),
            ("Shape of a row", " x ".join(map(str, run.source.row_shape)) or "a text"),
            ("Classes", ", ".join(run.model.task.class_names)),
            ("Fingerprint", str(page.environment.get("data", {}).get("fingerprint", ""))),
            ("Left out", f"{len(run.source.skipped):,}" if run.source.skipped else "nothing"),
        )
    )


def commands(page: TunedPage) -> Html:
    """What to type to repeat the fine-tuning and to use the model.

    Args:
        page: the fine-tuning.
    """
    run = shlex.quote(str(page.folder.path))
    again = page.environment.get("command") or f"kptk finetune {shlex.quote(page.summary['origin'])} --task NAME"
    return join(
        (
            tag("p", "Repeat it (with another --out):"),
            command(again),
            tag("p", "Score it on other labelled data, predict, and export it:"),
            command(f"kptk evaluate {run} --data LABELLED_DATA"),
            command(f"kptk predict {run} --data DATA -o predictions.csv"),
            command(f"kptk export {run} --format keras"),
        )
    )


def configuration(page: TunedPage) -> Html:
    """The complete configuration.

    Args:
        page: the fine-tuning.
    """
    text = (page.folder.path / runfolder.CONFIG).read_text(encoding="utf-8")
    return details(runfolder.CONFIG, tag("pre", tag("code", text), tabindex="0"))


def references(page: TunedPage) -> Html | None:
    """The papers behind the parts.

    Args:
        page: the fine-tuning.
    """
    users: dict[str, list[str]] = {}
    for name, part in page.run.config.sections():
        for address in part.offer.spec.references if part.offer else ():
            users.setdefault(address, []).append(f"{name} {part.id}")
    items = [tag("li", link(address), ": ", ", ".join(names)) for address, names in users.items()]
    return tag("ul", *items, class_="plain") if items else None
