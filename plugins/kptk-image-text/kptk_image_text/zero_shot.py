"""Zero-shot classification: a picture gets the class whose name, in a sentence, it goes best with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk.errors import UsageError

TEMPLATE = "{}"


def prompts(classes: Sequence[str], templates: Sequence[str]) -> list[list[str]]:
    """The sentences that stand for each class.

    Args:
        classes: their names; underscores become spaces.
        templates: sentences with ``{}`` where the name goes.

    Returns:
        For each class one sentence a template.

    Raises:
        UsageError: if a template has no place for the name, or there are fewer than two classes.

    Example:
        >>> prompts(["red_fox", "owl"], ["a picture of a {}"])
        [['a picture of a red fox'], ['a picture of a owl']]
    """
    if len(classes) < 2:
        raise UsageError(
            f"zero-shot classification needs at least two classes. Received: {', '.join(classes) or 'none'}."
        )
    for template in templates:
        if "{}" not in template:
            raise UsageError(f"--template must have {{}} where the name of the class goes. Received: {template!r}.")
    return [[template.replace("{}", name.replace("_", " ")) for template in templates] for name in classes]


def class_vectors(embeddings: NDArray[np.floating[Any]], classes: int) -> NDArray[np.float64]:
    """One unit vector a class: the mean of the unit vectors of its sentences.

    Args:
        embeddings: of all sentences, class after class, shape ``(classes * templates, dim)``.
        classes: how many.

    Returns:
        Shape ``(classes, dim)``.
    """
    means = embeddings.astype(np.float64).reshape(classes, -1, embeddings.shape[1]).mean(axis=1)
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12))


def accuracies(scores: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> dict[str, Any]:
    """How often the right class comes first, and among the first five, with chance and the commonest class beside it.

    A wrong class with the same score comes before the right one.

    Args:
        scores: of each picture with each class, shape ``(rows, classes)``.
        labels: the right class of each row.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    better = (scores >= own).sum(axis=1) - 1
    classes = scores.shape[1]
    counts = np.bincount(labels, minlength=classes)
    found: dict[str, Any] = {"rows": len(labels), "classes": classes, "top1": float((better == 0).mean())}
    if classes > 5:
        found |= {"top5": float((better < 5).mean()), "chance_top5": 5 / classes}
    right = [float((better[labels == label] == 0).mean()) for label in range(classes) if counts[label]]
    return found | {
        "mean_class_top1": float(np.mean(right)),
        "chance_top1": 1 / classes,
        "commonest_class": float(counts.max() / len(labels)),
    }
