"""What the sections of a fine-tuning's report look at: its model, its rows and its predictions on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kptk.data import Source, Subset
from kptk.training.choice import Scorer
from kptk.training.features import extract_with
from kptk.training.labelled import Part, Split
from kptk.training.phases import Featuriser
from kptk.training.pictures import is_picture
from kptk.training.report.page import Page
from kptk.training.report.rows import FEWEST_ROWS, MOST_ROWS, NUMBERS, Sample, excerpts
from kptk.training.reporter import Reporter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kptk.finetuning import FineTuneConfig

MOST_PREDICTED = 5000


@dataclass(frozen=True)
class Tuned:
    """A finished fine-tuning.

    Args:
        model: the fine-tuned model, with its best weights.
        config: its configuration.
        source: the labelled data.
        split: its parts.
        reporter: how it speaks.
    """

    model: Any
    config: FineTuneConfig
    source: Source
    split: Split
    reporter: Reporter

    labels = True
    probe_source = None

    @property
    def train(self) -> dict[str, Any]:
        """Options of the training loop."""
        return dict(self.config.train.values)


@dataclass(frozen=True)
class TunedPage(Page):
    """A finished fine-tuning, as its report sees it.

    Args:
        run: the fine-tuning, a `Tuned`.
        folder: its folder.
        summary: its figures, as in `summary.json`.
        thorough: whether to take the time for what `kptk report` shows beyond the report at the end of a run.
    """

    run: Any

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes among which each prediction chooses one; empty for another kind of task."""
        names = tuple(self.run.model.task.class_names)
        part = self.judged[0]
        labels = part.labels
        single = labels is not None and np.ndim(labels) == 1 and np.asarray(labels).dtype.kind in "iu"
        return names if single and len(names) > 1 and self.probabilities is not None else ()

    @cached_property
    def judged(self) -> tuple[Part, str]:
        """The rows that predictions are shown of, and what to call them: the test part, or else the validation rows."""
        split: Split = self.run.split
        if split.test is not None:
            part, name = split.test, "the data set's own test part, which nothing was chosen by"
        elif split.validation is not None:
            part, name = split.validation, "the validation rows, by which the epoch was chosen"
        else:
            part, name = split.train, "the rows that were learned from"
        if len(part) <= MOST_PREDICTED:
            return part, f"all {len(part):,} rows of {name}"
        rows = np.sort(np.random.default_rng([self.seed, 61]).choice(len(part), MOST_PREDICTED, replace=False))
        some = Subset(part.source, rows, f"{MOST_PREDICTED:,} drawn with seed {self.seed}")
        labels = None if part.labels is None else part.labels[rows]
        return Part(source=some, labels=labels), f"{MOST_PREDICTED:,} of {len(part):,} rows of {name}"

    @cached_property
    def probabilities(self) -> NDArray[Any] | None:
        """Predictions for the judged rows, shape ``(rows, classes)``; None for a task of another kind."""
        names = self.run.model.task.class_names
        if not names:
            return None  # not to write texts for thousands of rows
        predicted = Scorer(self.run.model).predict(self.judged[0].source)
        return predicted if predicted.ndim == 2 and predicted.shape[1] == len(names) else None

    @cached_property
    def sample(self) -> Sample:
        """Judged rows with the features that the head gets."""
        part, name = self.judged
        affordable = NUMBERS // max(int(np.prod(part.source.row_shape)), 1)
        count = min(len(part), int(np.clip(affordable, FEWEST_ROWS, MOST_ROWS)))
        rows = np.sort(np.random.default_rng([self.seed, 13]).choice(len(part), size=count, replace=False))
        some = Subset(part.source, rows, f"{count:,} drawn with seed {self.seed}")
        featuriser = Featuriser(self.run.model)
        features = np.asarray(extract_with(featuriser.predict_on_batch, some, batch_size=min(count, 256)), "float32")
        drawn = name if count == len(part) else f"{count:,} rows, drawn with seed {self.seed}, of {name}"
        return Sample(
            source=some,
            rows=rows,
            features=features if features.ndim == 2 else features.mean(axis=tuple(range(1, features.ndim - 1))),
            separate=True,
            protocol=drawn,
            texts=excerpts(part.source, rows),
        )

    @property
    def pictures(self) -> bool:
        """Whether rows can be drawn."""
        return is_picture(self.run.source.inputs, self.run.source.row_shape)
