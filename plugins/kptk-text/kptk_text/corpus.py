"""Can a corpus give what pre-training is to read? Asked before Keras is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kptk.data import Source
from kptk.errors import InputError
from kptk_text.sentences import sentences

PAIRED = ("next", "order")
AT_ONCE = 64


def refuse_corpus(source: Source, options: Mapping[str, Any]) -> None:
    """Raise if pairs of segments are wanted of texts that have none.

    Args:
        source: raw texts.
        options: of the preprocessor.

    Raises:
        InputError: if no text has two sentences; or false pairs are wanted, for which there must be another text.

    Example:
        >>> from kptk.data import ArraySource
        >>> source = ArraySource(np.array(["turn on the light", "stop"], dtype=object), inputs="text")
        >>> refuse_corpus(source, {"examples": "windows"})
        >>> refuse_corpus(source, {"examples": "next"})
        Traceback (most recent call last):
        ...
        kptk.errors.InputError: array: 2 rows of one value, no labels: no text has two sentences, so ...
    """
    if options.get("examples") not in PAIRED:
        return
    if options["examples"] == "next" and len(source) < 2:
        raise no_other_text(source)
    for start in range(0, len(source), AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, len(source)))
        if any(len(sentences(str(text))) > 1 for text in source.read(rows)):
            return
    raise no_pairs(source)


def no_pairs(source: Source) -> InputError:
    """The error for texts of one sentence each.

    Args:
        source: raw texts.
    """
    return InputError(
        f"{source.describe()}: no text has two sentences, so there are no pairs to make. Give whole documents as rows "
        "(-o data.unit=file or paragraph; -o data.rows=article; of a comparison's other data -o source.unit=...), or use "
        "an objective without pairs, such as mlm with -o preprocessor.examples=windows."
    )


def no_other_text(source: Source) -> InputError:
    """The error for a corpus of one text.

    Args:
        source: raw texts.
    """
    return InputError(
        f"{source.describe()}: next-sentence prediction takes its false pairs from other texts, and there is only one. "
        "Give more texts (-o data.unit=paragraph), or predict the order: -o preprocessor.examples=order"
    )
