"""The other data of a comparison, which arms pre-train on and which is never tested."""

from __future__ import annotations

from kptk.comparing.config import OWN, ComparisonConfig
from kptk.data import ArraySource, Source
from kptk.plugins import Plugins
from kptk.training.assemble import like, open_like, refuse_rows
from kptk.training.compare.table import Table


def open_other(
    config: ComparisonConfig, plugins: Plugins, pool: Source, row_shape: tuple[int, ...] | None = None
) -> Source:
    """Open the other data, read like the comparison's own.

    Args:
        config: the comparison.
        plugins: the registry.
        pool: rows of the comparison, for their kind and form.
        row_shape: what rows must be of, None if a fitted preprocessor says whether they fit.

    Raises:
        InputError: if it cannot be used.
    """
    wanted = {**like(config.data, pool.row_shape), **config.source_options}
    return open_like(plugins, config.source, row_shape, wanted, pool.inputs)


def refuse_corpora(config: ComparisonConfig, table: Table, plugins: Plugins) -> None:
    """Raise before anything is trained if some arm can make nothing of the rows that it is to pre-train on.

    Args:
        config: the comparison.
        table: its data.
        plugins: the registry.

    Raises:
        InputError: naming the arm.
    """
    pool = _Pool(table.x, inputs=table.inputs, name=table.description)
    for arm in config.arms:
        asks = arm.objective and arm.preprocessor and arm.preprocessor.offer and arm.preprocessor.offer.spec.refuses
        for where in arm.pretrain if asks else ():
            refuse_rows(arm.preprocessor, pool if where == OWN else open_other(config, plugins, pool))


class _Pool(ArraySource):
    """The comparison's own rows, called what the data calls itself."""

    def describe(self) -> str:
        return self.name
