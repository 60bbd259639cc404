"""Sections of a report about the numbers: verdict, key figures, curves and health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kptk.training.health import COLLAPSED_RANK, COLLAPSED_SPREAD, GRADIENT_ROWS, MAX_ROWS
from kptk.training.plan import duration
from kptk.training.report.charts import Curve, Level, draw, scientific
from kptk.training.report.html import Html, details, join, number, percent, table, tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from kptk.training.report.page import Page

SIGNS = {"healthy": "✓", "not learning": "!", "collapsed": "!", "diverged": "✗"}
TONES = {"healthy": "good", "not learning": "warn", "collapsed": "bad", "diverged": "bad"}
MOST_LINES = 200
"""Epochs in the table of numbers; of longer runs every n-th is listed."""


def verdict(page: Page) -> Html:
    """What became of the run: a word, a sign and a sentence, so that nothing hangs on the colour.

    Args:
        page: the run.
    """
    status = page.summary["status"]
    sign = tag("span", SIGNS.get(status, "?"), class_="sign", aria_hidden="true")
    words = tag("div", tag("strong", status.capitalize()), tag("p", page.summary["verdict"]))
    return tag("div", sign, words, class_=f"verdict {TONES.get(status, 'warn')}", role="status")


def key_figures(page: Page) -> Html:
    """The figures at the end of the run, each with what it stands for.

    Args:
        page: the run.
    """
    summary, run = page.summary, page.run
    chance = summary["chance_loss"]
    loss = f"mean of the last epoch; {number(summary['first_loss'])} at the first step"
    rows = min(len(run.source), MAX_ROWS)
    dim = run.model.feature_dim
    speed = [record["images_per_second"] for record in page.records]
    cards = [
        card(
            "Loss",
            number(summary["loss"]),
            loss + (f"; chance is {number(chance)}" if chance is not None else ""),
        ),
        card("kNN accuracy", percent(summary["knn_accuracy"]), page.probe_protocol) if _probed(page) else None,
        card(
            "Feature spread",
            number(summary["feature_spread"], 2),
            f"0 is collapsed, 1 fills the sphere; {rows:,} rows",
        ),
        card(
            "Effective rank",
            number(summary["effective_rank"], 1),
            f"of at most {min(rows, dim):,}; {rows:,} rows",
        ),
        card(
            "Training time",
            duration(summary["seconds"]),
            f"{_count(summary['epochs'], 'epoch')}, {_count(summary['steps'], 'step')} of {page.batch_size:,}"
            + (f"; {np.median(speed):,.0f} examples a second" if speed else ""),
        ),
        card(
            "Parameters",
            f"{_trainable(run.model.backbone):,}",
            f"trainable, in the backbone; features of length {dim:,}",
        ),
    ]
    return tag("dl", *cards, class_="cards")


def card(name: str, value: str, note: str) -> Html:
    """One figure with what it stands for.

    Args:
        name: what it is.
        value: the figure.
        note: how it was measured.
    """
    return tag("div", tag("dt", name), tag("dd", tag("b", value), tag("span", note)))


def _count(number_of: int, what: str) -> str:
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def _trainable(model: Any) -> int:
    return int(sum(np.prod(variable.shape) for variable in model.trainable_weights))


def _probed(page: Page) -> bool:
    return any("knn_accuracy" in record for record in page.records)


def _points(page: Page, key: str) -> list[tuple[int, float | None]]:
    return [(record["epoch"], record[key]) for record in page.records if key in record]


def _figure(curve: Curve, *caption: str) -> Html:
    broken = f"✗ not a number from epoch {curve.broken_at}" if curve.broken_at is not None else None
    heading = tag("h3", curve.title, tag("span", broken, class_="broken") if broken else None)
    return tag("figure", heading, draw(curve), tag("figcaption", *caption))


def curves(page: Page) -> Html:
    """Loss, kNN accuracy and learning rate over the epochs.

    Args:
        page: the run.
    """
    summary = page.summary
    chance = summary["chance_loss"]
    level = Level(value=chance, name="chance") if chance is not None else None
    first = summary["first_loss"]
    loss = Curve(title="Loss", points=_points(page, "loss"), show=lambda v: f"{v:.3f}", level=level, start=first)
    opened = " The open circle is the first step." if first is not None else ""
    formula = page.run.config.objective.offer.spec.chance if page.run.config.objective.offer else ""
    means = f" Chance: {formula}." if chance is not None and formula else ""
    figures = [_figure(loss, f"Mean of each epoch, {page.batch_size:,} examples a step.{opened}{means}")]
    if _probed(page):
        figures.append(_knn(page))
    figures += [
        _figure(
            Curve(title=words(key), points=_points(page, key), show=number),
            "Mean of each epoch, logged by the objective.",
        )
        for key in further(page.records)
    ]
    rate = Curve(
        title="Learning rate", points=_points(page, "learning_rate"), show=scientific, tick=scientific, floor=0.0
    )
    train = page.run.train
    schedule = f"At the end of each epoch: {train['schedule']}, {100 * train['warmup']:g} % of the steps warm up."
    figures.append(_figure(rate, schedule))
    return join((tag("div", *figures, class_="charts"), _numbers(page)))


def _knn(page: Page) -> Html:
    level = None
    if page.probe_parts is not None:
        largest = float(np.bincount(page.probe_parts[1].labels).max() / len(page.probe_parts[1]))
        level = Level(value=largest, name="largest class")
    points = _points(page, "knn_accuracy")
    curve = Curve(
        title="kNN accuracy",
        points=points,
        show=lambda v: f"{100 * v:.1f} %",
        tick=lambda v: f"{100 * v:.0f} %",
        level=level,
        ceiling=1.0,
        floor=0.0,
    )
    return _figure(curve, f"{page.probe_protocol}. Nothing was trained or chosen on these rows.")


def health(page: Page) -> Html:
    """Whether the features stay alive.

    Args:
        page: the run.
    """
    most = min(len(page.run.source), MAX_ROWS, page.run.model.feature_dim)
    spread = Curve(
        title="Feature spread",
        points=_points(page, "feature_spread"),
        show=lambda v: f"{v:.2f}",
        level=Level(value=COLLAPSED_SPREAD, name="collapsed below"),
        floor=0.0,
        ceiling=1.0,
    )
    rank = Curve(
        title="Effective rank",
        points=_points(page, "effective_rank"),
        show=lambda v: f"{v:.1f}",
        level=Level(value=COLLAPSED_RANK, name="collapsed below"),
        floor=0.0,
    )
    figures = [
        _figure(
            spread,
            "Standard deviation of unit-length features times √dim: 1 fills the sphere, 0 is one point.",
        ),
        _figure(rank, f"RankMe: how many directions the features use, of at most {most:,}."),
        *([_gradient(page)] if any("gradient_norm" in record for record in page.records) else []),
        tag(
            "div",
            tag("h3", "How to read these"),
            tag("p", f"Measured on {page.health_protocol}."),
            tag(
                "p",
                "A falling loss does not show that features are of use: they can still become the same for every input.",
            ),
            tag("p", "Spread and rank should stay well above their dashed line; a rise that levels off is usual."),
            class_="read",
        ),
    ]
    return join((_doctor(page), tag("div", *figures, class_="charts")))


def _gradient(page: Page) -> Html:
    curve = Curve(title="Gradient norm", points=_points(page, "gradient_norm"), show=lambda v: f"{v:.3g}", floor=0.0)
    rows = min(len(page.run.source), GRADIENT_ROWS)
    return _figure(curve, f"Over all trainable weights, of one step on {rows:,} training rows that is thrown away.")


def _doctor(page: Page) -> Html | None:
    """What the figures point to, with cause and remedy."""
    findings = page.summary.get("findings")
    if findings is None:
        return None
    if not findings:
        return tag("p", "The doctor found nothing wrong with the figures of the epochs.", class_="note")
    items = [
        tag("li", tag("strong", f"{f['name']}: "), f"{f['seen']}. Likely cause: {f['cause']}. Try: {f['remedy']}.")
        for f in findings
    ]
    return tag("ul", *items, class_="plain doctor")


KNOWN = {
    *("epoch", "step", "loss", "learning_rate", "seconds", "images_per_second", "waited"),
    *("knn_accuracy", "feature_spread", "effective_rank", "gradient_norm"),
}
"""Keys of the log that every run has, or that have a chart of their own."""
ACRONYMS = {"mae": "MAE", "mse": "MSE", "psnr": "PSNR", "ssim": "SSIM", "f1": "F1", "knn": "kNN", "auroc": "AUROC"}


def further(records: list[dict[str, Any]]) -> list[str]:
    """The figures that the objective itself logged, in the order of the log.

    Args:
        records: the log.
    """
    return list(dict.fromkeys(key for record in records for key in record if key not in KNOWN))


def words(key: str) -> str:
    """Name of a logged figure for people.

    Args:
        key: as in the log.

    Example:
        >>> words("psnr"), words("positive_share")
        ('PSNR', 'Positive share')
    """
    text = " ".join(ACRONYMS.get(part, part) for part in key.split("_"))
    return text if text.startswith("kNN") else text[:1].upper() + text[1:]


COLUMNS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("loss", "Loss", lambda v: number(v, 4)),
    ("knn_accuracy", "kNN accuracy", percent),
    ("feature_spread", "Feature spread", number),
    ("effective_rank", "Effective rank", lambda v: number(v, 1)),
    ("gradient_norm", "Gradient norm", lambda v: number(v) if v is None else f"{v:.3g}"),
    ("learning_rate", "Learning rate", lambda v: number(v) if v is None else f"{v:.4g}"),
    ("seconds", "Seconds", lambda v: number(v, 1)),
)


def _numbers(page: Page) -> Html:
    columns = [column for column in COLUMNS if any(column[0] in record for record in page.records)]
    columns[1:1] = [(key, words(key), number) for key in further(page.records)]
    step = -(-len(page.records) // MOST_LINES) or 1
    chosen = [r for i, r in enumerate(page.records) if i % step == 0 or i == len(page.records) - 1]
    rows = [[f"{r['epoch']:,}", *(show(r[key]) if key in r else "" for key, _, show in columns)] for r in chosen]
    every = f"every {step} epochs and the last" if step > 1 else "every epoch"
    caption = f"Figures of {every}; the whole log is metrics.jsonl"
    return details("The numbers behind the charts", table(caption, ["Epoch", *(name for _, name, _ in columns)], rows))
