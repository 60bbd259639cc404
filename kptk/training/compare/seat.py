"""The data of one seed as one arm's network takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from kptk.comparing.config import ArmConfig, ComparisonConfig
from kptk.data import ArraySource, Source
from kptk.parts import Joined
from kptk.plugins import Plugins
from kptk.runfolder import RunFolder
from kptk.training.assemble import backbone_behind, build_preprocessor
from kptk.training.compare.other import open_other
from kptk.training.compare.table import Table
from kptk.training.experiment import Draw
from kptk.training.prepared import load_preprocessor
from kptk.training.preprocessor import Preprocessor
from kptk.training.saving import load_model


class Seat:
    """The rows of one seed, prepared as an arm's preprocessor does it; what is fitted is fitted on the pool alone.

    Args:
        config: the comparison.
        arm: whose preprocessor and backbone.
        table: the data.
        seed: of the draw.
    """

    def __init__(self, config: ComparisonConfig, arm: ArmConfig, table: Table, seed: int) -> None:
        self.config = config
        self.arm = arm
        self.table = table
        self.seed = seed
        drawn = table.draw(config, seed, config.labels[0])
        self.pool: Source = self._rows(drawn.pool, drawn.pool_y if arm.sees_labels else None)
        self.fitted: Preprocessor | None = self._fit()
        self._prepared: dict[str, Any] = {}

    def _fit(self) -> Preprocessor | None:
        part = self.arm.preprocessor
        if part is None or part.offer is None or not part.offer.spec.fits:
            return None
        if self.arm.origin:
            kept: Preprocessor = load_preprocessor(RunFolder(self.arm.origin), Plugins())
            return kept
        views = self.arm.run_config(self.config.data).views if self.arm.objective else 1
        made: Preprocessor = build_preprocessor(part, views, self.seed)
        made.fit(self._learned_from())
        return made

    def _learned_from(self) -> Source:
        """The rows that a preprocessor learns from: of texts also the other ones that arms pre-train on.

        A vocabulary serves every arm alike, and a text of words that it does not know would be cut to letters.
        """
        if not self.config.source or self.table.inputs != "text":
            return self.pool
        return Joined([open_other(self.config, Plugins(), self.pool), self.pool])

    def _rows(self, x: Any, y: Any = None) -> ArraySource:
        names = self.table.class_names if y is not None else ()
        source = ArraySource(x, y, inputs=self.table.inputs, class_names=names, name="pool")
        for name, value in self.table.traits.items():
            setattr(source, name, value)
        return source

    def draw(self, labels_per_class: int) -> Draw:
        """The draw of a cell, prepared.

        Args:
            labels_per_class: labelled rows of each class, 0 for all.
        """
        data = self.table.draw(self.config, self.seed, labels_per_class)
        if self.fitted is None:
            return data
        prepare = self.fitted.prepare
        if not self._prepared:  # the same for every number of labels
            self._prepared = {
                "pool": prepare(data.pool),
                "validation": (prepare(data.validation[0]), data.validation[1]),
                "test": (prepare(data.test[0]), data.test[1]),
            }
        return replace(data, x=prepare(data.x), **self._prepared)

    def copy(self) -> Preprocessor:
        """The fitted preprocessor again, for a model of its own."""
        assert self.fitted is not None
        made: Preprocessor = type(self.fitted).from_config(self.fitted.get_config())
        return made

    def preprocessor(self) -> Preprocessor:
        """What prepares rows inside a classifier; its first random view is the augmentation of scratch."""
        if self.fitted is not None:
            return self.copy()
        made: Preprocessor = build_preprocessor(self.arm.preprocessor, 1, 0)
        return made

    def backbone(self) -> keras.Model:
        """A backbone with fresh weights, or that of the finished run which the arm is."""
        if self.arm.origin:
            loaded: keras.Model = load_model(RunFolder(self.arm.origin).backbone, compile=False)
            return loaded
        layer = self.preprocessor()
        shape = tuple(self.pool.row_shape)
        if self.fitted is not None:
            shape = tuple(self.fitted.prepared_shape(shape))
        made: keras.Model = backbone_behind(self.arm.backbone, layer, shape)
        return made

    def raw_features(self, x: Any) -> Any:
        """What prepared rows say without any network, as vectors.

        Args:
            x: prepared rows.
        """
        assert self.fitted is not None
        return self.fitted.raw_features(self._rows(self._prepared["pool"]), self._rows(x))
