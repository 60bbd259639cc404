"""`Frozen`: one encoder with its features on the labelled rows, which every protocol works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kptk import settings
from kptk.data import Source
from kptk.training.features import Encoder, in_batches, pooled
from kptk.training.probes import NEIGHBOURS, Features, Labels, linear_head
from kptk.training.protocols.score import Score

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the protocols can be told.

    Args:
        k: neighbours of the kNN vote.
        epsilons: largest changes of a pixel of 0..1 by the attack.
        labels_per_class: labelled rows of each class of the few-label probe.
        draws: how often those are drawn.
        corruptions: what is done to the images.
        severity: how strongly, 1 to 5.
    """

    k: int = NEIGHBOURS
    epsilons: Sequence[float] = settings.EPSILONS
    labels_per_class: Sequence[int] = settings.LABELS_PER_CLASS
    draws: int = 5
    corruptions: Sequence[str] = settings.CORRUPTIONS
    severity: int = 3


class Frozen:
    """The features of one encoder, and what several protocols need of them.

    Args:
        name: whose features: ``"run"``, ``"random"`` or ``"raw"``.
        encoder: the network behind its preprocessor; None for the inputs themselves.
        train_part: labelled rows to learn from.
        test_part: labelled rows to test on.
        train: features of the first, shape ``(rows, dim)``.
        test: features of the second.
        seed: of everything that is drawn.
        views: from raw rows to two random views as the backbone takes them; None if nothing makes them.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder | None,
        *,
        train_part: Source,
        test_part: Source,
        train: Features,
        test: Features,
        seed: int,
        views: Callable[[Array], tuple[Array, Array]] | None = None,
    ) -> None:
        assert train_part.labels is not None and test_part.labels is not None
        self.name, self.encoder, self.seed, self.views = name, encoder, seed, views
        self.train_part, self.test_part = train_part, test_part
        self.train, self.test = train, test
        self.train_labels: Labels = train_part.labels
        self.test_labels: Labels = test_part.labels

    @property
    def classes(self) -> int:
        """How many classes the labels have."""
        return len(self.train_part.class_names)

    @cached_property
    def head(self) -> Any:
        """The linear probe, fitted once."""
        return linear_head(self.train, self.train_labels, self.seed)

    @cached_property
    def victim(self) -> tuple[Any, Array, Labels]:
        """The linear probe on its network, and at most 1,000 test images of 0..1 with their classes."""
        from kptk.training.robustness import victim_of

        return victim_of(self.encoder, self.test_part, self.head, self.seed)

    def embed(self, prepared: Array) -> Features:
        """Features of rows that are as the backbone takes them.

        Args:
            prepared: shape ``(rows, ...)``.
        """
        if self.encoder is None:
            return prepared.reshape(len(prepared), -1)
        backbone = self.encoder.backbone
        size = min(256, len(prepared))
        return in_batches(lambda rows: _vectors(backbone, rows), prepared, size)

    def score(self, protocol: str, value: float, interval: tuple[float, float], **facts: Any) -> Score:
        """A score of this encoder.

        Args:
            protocol: what was done.
            value: the figure.
            interval: its 95 % interval.
            **facts: further fields of `Score`; `train` and `test` count all rows by default.
        """
        rows = {"train": len(self.train_labels), "test": len(self.test_labels)}
        return Score(
            protocol=protocol,
            encoder=self.name,
            value=value,
            low=interval[0],
            high=interval[1],
            seed=self.seed,
            **(rows | facts),
        )


def _vectors(backbone: Any, rows: Array) -> Array:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(pooled(backbone(rows, training=False))), dtype=np.float32)
