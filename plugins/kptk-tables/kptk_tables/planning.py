"""From what was learned of the columns and the user's options to a `Layout`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kptk.columns import CATEGORY, DATE, FLAG, NUMBER, TEXT, Column
from kptk.errors import InputError
from kptk_tables import scaling
from kptk_tables.dates import PARTS
from kptk_tables.encoding import NOTHING, digits_of
from kptk_tables.imputation import filler
from kptk_tables.layout import BITS, ONE_HOT, Fitted, Group, Layout
from kptk_tables.learning import SAMPLE, Learned, Names, Numbers

MISSING_NAME, OTHER_NAME = "(missing)", "(other)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The options of a table preprocessor that decide about its features; see `kptk_tables.table.Table`."""

    scaling: str
    low: float
    high: float
    categories: str
    max_categories: int
    buckets: int
    unknown: str
    missing: str
    missing_category: str
    indicators: bool


def plan(columns: Sequence[Column], learned: Learned, choices: Choices) -> Layout:
    """Lay out a table.

    Args:
        columns: the columns of the data.
        learned: what was learned of them.
        choices: the options.

    Raises:
        InputError: if no column gives a feature, or one has a missing cell that the policy refuses.
    """
    used = [_fitted(column, learned, choices) for column in columns if column.kind != TEXT]
    used = [column for column in used if column.width]
    if not used:
        raise InputError(
            "no column of the table can be used: there are only texts or empty columns. Say what they are: "
            "-o data.types=COLUMN:category"
        )
    made = Layout(columns=used)
    numbers = _scaled(made, learned, choices)
    made.knots = [scaling.knots(number.sample).tolist() for number in numbers] if _by_knots(choices) else []
    affine = _affine(numbers, choices)
    made.centre, made.scale = affine["centre"], affine["scale"]
    _lay_out(made, numbers, learned, choices)
    return made


def _by_knots(choices: Choices) -> bool:
    return choices.scaling in ("quantile", "uniform")


def _fitted(column: Column, learned: Learned, choices: Choices) -> Fitted:
    if column.kind == CATEGORY:
        return _category(column.name, learned[column.name], choices)
    fitted = Fitted(name=column.name, kind=column.kind, refuse_missing=choices.missing == "error")
    if column.kind == DATE:
        spans = {part: learned[f"{column.name}:{part}"] for part in PARTS}
        fitted.parts = [part for part, numbers in spans.items() if numbers.highest > numbers.lowest]
    elif fitted.refuse_missing and learned[column.name].missing:
        raise InputError(
            f"column '{column.name}' has {learned[column.name].missing:,} missing cells, which `missing='error'` refuses."
        )
    return fitted


def _category(name: str, names: Names, choices: Choices) -> Fitted:
    own = choices.missing_category == "own" and names.missing > 0
    if choices.categories == "hashed":
        code = choices.buckets if own else NOTHING
        return Fitted(name=name, kind=CATEGORY, buckets=choices.buckets, missing=code)
    common = [value for value, _ in names.counts.most_common(choices.max_categories)]
    # Sorted, as scikit-learn does; for binary digits by first appearance, as category_encoders does.
    kept = [v for v in names.counts if v in set(common)] if choices.categories == "binary" else sorted(common)
    made = Fitted(name=name, kind=CATEGORY, values=kept)
    if own:
        made.missing = len(made.values)
        made.values.append(MISSING_NAME)
    if choices.unknown == "other":
        made.unknown = len(made.values)
        made.values.append(OTHER_NAME)
    elif choices.unknown == "error":
        made.unknown = None
        if len(names.counts) > len(common):
            raise InputError(
                f"column '{name}' has {len(names.counts):,} categories, more than `max_categories` "
                f"({choices.max_categories}), and `unknown='error'` refuses the rare ones."
            )
    return made


def _scaled(made: Layout, learned: Learned, choices: Choices) -> list[Numbers]:
    """Find the numbers that are scaled: those of the table, the days of dates and the codes of ordinal encoding."""
    numbers, start = [], 0
    for column in made.columns:
        if column.kind == NUMBER:
            numbers.append(learned[column.name])
            made.scaled.append(start)
        elif column.kind == DATE and "days" in column.parts:
            numbers.append(learned[f"{column.name}:days"])
            made.scaled.append(start + column.parts.index("days"))
        elif column.kind == CATEGORY and choices.categories == "ordinal":
            numbers.append(_numbers_of_codes(column, learned[column.name]))
            made.scaled.append(start)
        start += column.width
    made.fillers = [filler(number.sample, choices.missing) for number in numbers]
    return numbers


def _numbers_of_codes(column: Fitted, names: Names) -> Numbers:
    """The codes of a category as numbers, each as often as its name, or as often in proportion where there are many rows."""
    share = min(1.0, SAMPLE / max(sum(names.counts.values()), 1))
    times = {code: names.counts.get(value, 0) for code, value in enumerate(column.values)}
    if column.missing >= 0:
        times[column.missing] = names.missing
    values = np.repeat(np.array(list(times), np.float64), [int(np.ceil(share * count)) for count in times.values()])
    made = Numbers()
    made.update(values, np.ones(len(values), dtype=bool))
    return made


def _affine(numbers: Sequence[Numbers], choices: Choices) -> scaling.Affine:
    def column(attribute: str) -> Any:
        return np.array([getattr(number, attribute) for number in numbers], dtype=np.float64)

    match choices.scaling:
        case "standard":
            return scaling.standard(column("mean"), column("variance"))
        case "minmax":
            return scaling.minmax(column("lowest"), column("highest"), choices.low, choices.high)
        case "maxabs":
            return scaling.maxabs(column("lowest"), column("highest"))
        case "robust":
            quartiles = [np.array([number.quantile(level) for number in numbers]) for level in (0.25, 0.5, 0.75)]
            return scaling.robust(*quartiles)
    return scaling.none(len(numbers))


def _lay_out(made: Layout, numbers: Sequence[Numbers], learned: Learned, choices: Choices) -> None:
    """Name the features, block by block."""
    owner = made.slots
    names = [made.columns[owner[place]].name for place in made.scaled]
    made.groups += [Group(column=owner[p], kind=NUMBER, names=[n]) for p, n in zip(made.scaled, names, strict=True)]
    if choices.indicators:
        made.marked = [index for index, number in enumerate(numbers) if number.missing]
        made.groups += [
            Group(column=owner[made.scaled[index]], kind=BITS, names=[f"{names[index]} missing"])
            for index in made.marked
        ]
    codes: list[Group] = []
    flags: list[Group] = []
    cycles: list[Group] = []
    start = 0
    for place, column in enumerate(made.columns):
        if column.kind == FLAG:
            made.flags.append(start)
            made.flag_fillers.append(filler(learned[column.name].sample, "most_frequent"))
            flags.append(Group(column=place, kind=BITS, names=[column.name]))
        elif column.kind == DATE:
            for offset, part in enumerate(column.parts):
                if part != "days":
                    made.cycles.append((start + offset, part))
                    both = [f"{column.name} {part} sin", f"{column.name} {part} cos"]
                    cycles.append(Group(column=place, kind=NUMBER, names=both))
        elif column.kind == CATEGORY and choices.categories != "ordinal":
            made.codes.append((start, column.count))
            codes.append(_code_group(place, column, choices))
        start += column.width
    made.groups += [*flags, *cycles, *codes]


def _code_group(place: int, column: Fitted, choices: Choices) -> Group:
    if choices.categories == "binary":
        names = [f"{column.name} digit {digit}" for digit in range(digits_of(column.count), 0, -1)]
        return Group(column=place, kind=BITS, names=names)
    if column.buckets:
        names = [f"{column.name} bucket {number}" for number in range(column.buckets)]
        names += [f"{column.name}={MISSING_NAME}"] if column.missing >= 0 else []
    else:
        names = [f"{column.name}={value}" for value in column.values]
    return Group(column=place, kind=ONE_HOT, names=names)
