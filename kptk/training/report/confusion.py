"""Sections of a fine-tuning's report: which classes are taken for which, and what such rows look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kptk.training import pictures
from kptk.training.report.html import Html, join, percent, table, tag
from kptk.training.report.rows import excerpts

if TYPE_CHECKING:
    from kptk.training.report.tuned import TunedPage

MOST_CLASSES = 24
PAIRS, EACH = 6, 8
THUMBNAIL = 56


def matrix(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How often each class was predicted for each class.

    Args:
        labels: true classes, shape ``(rows,)``; rows without a label (below 0) are left out.
        predicted: predicted classes.
        classes: number of classes.

    Returns:
        Counts, a row for each true class and a column for each prediction.
    """
    from sklearn.metrics import confusion_matrix

    known = labels >= 0
    return np.asarray(confusion_matrix(labels[known], predicted[known], labels=np.arange(classes)))


def confusions(counts: NDArray[np.int64], most: int) -> list[tuple[int, int, int]]:
    """The pairs of classes that are confused most often: true class, prediction, how often.

    Args:
        counts: from `matrix`.
        most: pairs at most.
    """
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(index) // len(counts), int(index) % len(counts)) for index in order]
    return [(true, guess, int(wrong[true, guess])) for true, guess in pairs if wrong[true, guess] > 0]


def confusion_matrix(page: TunedPage) -> Html | None:
    """The table of all classes against all predictions.

    Args:
        page: the fine-tuning.
    """
    if not page.classes:
        return None
    labels, guesses = _guesses(page)
    counts = matrix(labels, guesses, len(page.classes))
    right = int(np.trace(counts))
    total = int(counts.sum())
    words = f"On {page.judged[1]}: {right:,} of {total:,} right ({percent(right / max(total, 1))})."
    shown = np.arange(len(page.classes))
    if len(shown) > MOST_CLASSES:
        errors = (counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)).argsort(kind="stable")[::-1]
        shown = np.sort(errors[:MOST_CLASSES])
        words += f" The {MOST_CLASSES} of {len(page.classes)} classes with the most errors are shown."
    body = [_row(page.classes, counts, int(true), shown) for true in shown]
    corner = tag("th", "true ↓ predicted →", scope="col", class_="corner")
    head = tag(
        "tr",
        corner,
        *(tag("th", page.classes[n], scope="col") for n in shown),
        tag("th", "recall", scope="col", class_="sum"),
    )
    foot = tag(
        "tr",
        tag("th", "precision", scope="row"),
        *(tag("td", _share(counts[n, n], counts[:, n].sum()), class_="sum") for n in shown),
        tag("td", ""),
    )
    drawn = tag(
        "table",
        tag("caption", "Rows of each true class by the class that was predicted"),
        tag("thead", head),
        tag("tbody", *body),
        tag("tfoot", foot),
        class_="confusion",
    )
    return join(
        (
            tag("p", words),
            tag("div", drawn, class_="scroll", tabindex="0", role="region", aria_label="Confusion matrix"),
        )
    )


def _row(classes: tuple[str, ...], counts: NDArray[np.int64], true: int, shown: NDArray[Any]) -> Html:
    total = int(counts[true].sum())
    cells = []
    for guess in shown:
        count = int(counts[true, guess])
        share = count / max(total, 1)
        state = "right" if guess == true else "wrong" if count else "none"
        style = f"--share:{share:.3f}"
        full = " full" if share > 0.5 else ""
        cells.append(tag("td", f"{count:,}" if count else "·", class_=f"{state}{full}", style=style if count else None))
    recall = tag("td", _share(counts[true, true], total), class_="sum")
    return tag("tr", tag("th", classes[true], scope="row"), *cells, recall)


def _share(part: Any, whole: Any) -> str:
    return f"{100 * int(part) / int(whole):.0f} %" if whole else "–"


def worst(page: TunedPage) -> Html | None:
    """The pairs of classes that are confused most often, with the rows of which the model was surest.

    Args:
        page: the fine-tuning.
    """
    if not page.classes:
        return None
    labels, guesses = _guesses(page)
    pairs = confusions(matrix(labels, guesses, len(page.classes)), PAIRS)
    if not pairs:
        return tag("p", f"Every row of {page.judged[1]} was predicted right.")
    assert page.probabilities is not None
    cards = []
    for true, guess, count in pairs:
        rows = np.flatnonzero((labels == true) & (guesses == guess))
        sure = page.probabilities[rows, guess]
        rows = rows[np.argsort(-sure, kind="stable")][:EACH]
        heading = tag(
            "h3",
            f"{page.classes[true]} taken for {page.classes[guess]}",
            tag("small", f" {count:,} row{'s' * (count > 1)}"),
        )
        tiles = [_tile(page, int(row), float(page.probabilities[row, guess])) for row in rows]
        cards.append(tag("li", heading, tag("div", *tiles, class_="tiles")))
    note = f"Of {page.judged[1]}; those that the model was surest of come first, with the probability that it gave."
    return join((tag("p", note), tag("ul", *cards, class_="confusions")))


def _tile(page: TunedPage, row: int, probability: float) -> Html:
    source = page.judged[0].source
    image = None
    if page.pictures:
        drawn = pictures.picture(pictures.to_pixels(source.read(np.array([row])))[0], THUMBNAIL)
        image = tag(
            "img",
            src=pictures.data_uri(drawn, small=True),
            alt=f"row {row:,}, probability {probability:.2f}",
            width=drawn.width,
            height=drawn.height,
        )
    text = "".join(excerpts(source, np.array([row])))
    words = f"{probability:.2f}" if image else f"row {row:,}: {probability:.2f} {text}"
    return tag("figure", image, tag("figcaption", words))


def per_class(page: TunedPage) -> Html | None:
    """Precision, recall and F1 of each class.

    Args:
        page: the fine-tuning.
    """
    from sklearn.metrics import precision_recall_fscore_support

    if not page.classes:
        return None
    labels, guesses = _guesses(page)
    known = labels >= 0
    figures = precision_recall_fscore_support(
        labels[known], guesses[known], labels=np.arange(len(page.classes)), zero_division=0.0
    )
    rows = [
        (name, *(percent(float(column[n])) for column in figures[:3]), f"{int(figures[3][n]):,}")
        for n, name in enumerate(page.classes)
    ]
    return table(f"On {page.judged[1]}", ("Class", "Precision", "Recall", "F1", "Rows"), rows)


def _guesses(page: TunedPage) -> tuple[NDArray[Any], NDArray[Any]]:
    assert page.probabilities is not None and page.judged[0].labels is not None
    return np.asarray(page.judged[0].labels).astype(int), page.probabilities.argmax(axis=1)
