"""One page about several runs: their figures beside each other and their curves in one chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kptk import runfolder
from kptk.request import read_toml
from kptk.runfolder import RunFolder
from kptk.settings import PROTOCOLS
from kptk.training.evaluation_file import read
from kptk.training.plan import duration
from kptk.training.report.document import Document, Sections, make_sections, render_document
from kptk.training.report.evaluations import figure, in_order, label
from kptk.training.report.html import Html, command, join, number, percent, table, tag
from kptk.training.report.lines import Chart, Point, Series, draw_lines
from kptk.training.report.parts import KNOWN, words
from kptk.training.reporter import Reporter

CURVES = ("loss", "knn_accuracy", "feature_spread", "effective_rank", "gradient_norm")
SHARES = ("accuracy", "knn_accuracy", "macro_f1", "val_accuracy", "val_macro_f1")


@dataclass(frozen=True)
class One:
    """A run on such a page.

    Args:
        path: its folder.
        name: what to call it: the end of its path that tells it from the others.
    """

    path: Path
    name: str

    @cached_property
    def folder(self) -> RunFolder:
        """The folder."""
        return RunFolder(self.path)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """What was logged at the end of each epoch."""
        return self.folder.metrics()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Its figures; empty if it did not end."""
        return self.folder.read_json(runfolder.SUMMARY)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its configuration, as a table."""
        return dict(read_toml(self.path / runfolder.CONFIG))

    @property
    def kind(self) -> str:
        """What it is."""
        return "fine-tuning" if self.folder.finetuned else "pre-training"


@dataclass(frozen=True)
class SeveralPage:
    """Several runs.

    Args:
        runs: the runs.
    """

    runs: Sequence[One]


def named(paths: Sequence[Path]) -> list[str]:
    """Short names that tell paths apart.

    Args:
        paths: folders.

    Example:
        >>> named([Path("runs/a/x"), Path("runs/b/x")]), named([Path("runs/a"), Path("runs/b")])
        (['a/x', 'b/x'], ['a', 'b'])
    """
    parts = [path.resolve().parts for path in paths]
    most = max(map(len, parts))
    for count in range(1, most + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(set(parts)):
            break
    return [name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names, 1)]


def scores(page: SeveralPage) -> Html:
    """The figures at the end of each run.

    Args:
        page: the runs.
    """
    rows = []
    for one in page.runs:
        summary = one.summary
        tests = {key: value for key, value in (summary.get("test") or {}).items() if key != "loss"}
        found = ", ".join(f"{words(k)} {percent(v) if k in SHARES else number(v)}" for k, v in tests.items())
        rows.append(
            (
                one.name,
                one.kind,
                str(summary.get("status", "did not end")),
                number(summary["loss"]) if summary.get("loss") is not None else "–",
                percent(summary["knn_accuracy"]) if summary.get("knn_accuracy") is not None else "–",
                number(summary["effective_rank"], 1) if summary.get("effective_rank") is not None else "–",
                found or "–",
                duration(summary["seconds"]) if summary.get("seconds") else "–",
            )
        )
    heads = ("Run", "Kind", "Status", "Loss", "kNN accuracy", "Effective rank", "On test rows", "Training time")
    note = "Losses of different objectives are on different scales: compare what was measured on labelled rows."
    verdicts = [
        tag("li", tag("strong", f"{one.name}: "), one.summary["verdict"])
        for one in page.runs
        if one.summary.get("verdict")
    ]
    listed = tag("ul", *verdicts, class_="plain") if verdicts else None
    return join((table("At the end of each run", heads, rows), tag("p", note, class_="note"), listed))


def evaluations(page: SeveralPage) -> Html | None:
    """What `kptk evaluate` found of the runs, for each data set that any of them was judged on.

    Args:
        page: the runs.
    """
    kept = {one.name: read(one.folder) for one in page.runs}
    blocks: list[Html] = []
    for data in dict.fromkeys(data for found in kept.values() for data in found):
        columns: dict[str, dict[str, str]] = {}
        rows_of: dict[str, set[tuple[Any, ...]]] = {}
        order: dict[tuple[str, str], None] = {}
        for name, found in kept.items():
            for result in in_order(found.get(data, {}).get("results", [])):
                shown = name if result["encoder"] == "run" else f"{name}, random"
                shown = "raw inputs" if result["encoder"] == "raw" else shown
                columns.setdefault(shown, {})[label(result)] = figure(result)
                order.setdefault((result["protocol"], label(result)))
                rows_of.setdefault(label(result), set()).add((result["train"], result["test"], result["seed"]))
        columns = dict(
            sorted(columns.items(), key=lambda item: (item[0] == "raw inputs", item[0].endswith(", random")))
        )
        listed = sorted(order, key=lambda pair: PROTOCOLS.index(pair[0]) if pair[0] in PROTOCOLS else len(PROTOCOLS))
        rows = [(what, *(by.get(what, "–") for by in columns.values())) for _, what in listed]
        blocks.append(table(f"On {data}; 95 % intervals in brackets", ("Figure", *columns), rows))
        uneven = [what for what, used in rows_of.items() if len(used) > 1]
        if uneven:
            said = f"Not measured on the same rows, so not to be compared: {', '.join(uneven)}."
            blocks.append(tag("p", said, class_="warning"))
    return join(blocks) if blocks else None


def curves(page: SeveralPage) -> Html | None:
    """Every figure that at least one run logged, over the epochs, a line a run; each kind of run by itself.

    Args:
        page: the runs.
    """
    kinds = list(dict.fromkeys(one.kind for one in page.runs))
    blocks = []
    for kind in kinds:
        figures = _curves([(index, one) for index, one in enumerate(page.runs) if one.kind == kind])
        if figures:
            heading = tag("h3", kind.capitalize(), class_="next") if len(kinds) > 1 else None
            blocks += [heading, tag("div", *figures, class_="charts")]
    return join(blocks) if blocks else None


def _curves(runs: Sequence[tuple[int, One]]) -> list[Html]:
    keys = list(CURVES)
    keys += [k for _, one in runs for record in one.records for k in record if k not in KNOWN and k != "stage"]
    figures = []
    for key in dict.fromkeys(keys):
        factor = 100 if key in SHARES else 1
        series = []
        for index, one in runs:
            points = [Point(x=r["epoch"], y=factor * r[key]) for r in one.records if r.get(key) is not None]
            if points:
                series.append(Series(name=one.name, points=points, colour=index))
        if not series:
            continue
        title = words(key.removeprefix("val_")) + (", validation rows" if key.startswith("val_") else "")
        chart = Chart(
            title=title + (", %" if factor == 100 else ""),
            series=series,
            x_name="epoch",
            places=_epochs(max(point.x for one in series for point in one.points)),
            show=_short,
            small=True,
        )
        figures.append(tag("figure", tag("h3", chart.title), draw_lines(chart)))
    return figures


def _epochs(last: float) -> list[tuple[float, str]]:
    from kptk.training.report.charts import ticks

    return [(e, f"{e:,.0f}") for e in ticks(1, max(last, 2), 6, whole=True) if 1 <= e <= max(last, 1)] or [(1.0, "1")]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def differences(page: SeveralPage) -> Html | None:
    """The options in which the runs differ.

    Args:
        page: the runs.
    """
    blocks = []
    for kind in dict.fromkeys(one.kind for one in page.runs):
        runs = [one for one in page.runs if one.kind == kind]
        if len(runs) > 1:
            blocks.append(_differences(runs, kind))
    return join(blocks) if blocks else None


def _differences(runs: Sequence[One], kind: str) -> Html:
    flat = [_flat(one.config) for one in runs]
    keys = [
        key for key in dict.fromkeys(k for table_of in flat for k in table_of) if len({_text(f, key) for f in flat}) > 1
    ]
    if not keys:
        return tag("p", f"The configurations are the same ({kind}).", class_="note")
    rows = [(key, *(_text(f, key) for f in flat)) for key in keys]
    return table(f"Options that differ ({kind})", ("Option", *(one.name for one in runs)), rows)


def _flat(table_of: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table_of.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def _text(flat: dict[str, Any], key: str) -> str:
    return str(flat[key]) if key in flat else "–"


def commands(page: SeveralPage) -> Html:
    """What repeats each run.

    Args:
        page: the runs.
    """
    parts: list[Html] = []
    for one in page.runs:
        again = one.folder.read_json(runfolder.ENVIRONMENT).get("command")
        if again:
            parts += [tag("p", f"{one.name}:"), command(again)]
    return join(parts)


SECTIONS: Sections = (
    ("scores", "Figures", scores),
    ("evaluation", "Evaluation", evaluations),
    ("curves", "Curves", curves),
    ("differences", "What differs", differences),
    ("commands", "Repeat", commands),
)


def render_several(paths: Sequence[Path], reporter: Reporter) -> str:
    """The whole page.

    Args:
        paths: run folders.
        reporter: hears what could not be made.
    """
    runs = [One(path, name) for path, name in zip(paths, named(paths), strict=True)]
    page = SeveralPage(runs)
    return render_document(
        Document(
            title=f"{len(runs)} runs",
            kind="Runs beside each other",
            heading=f"{len(runs)} runs",
            parts=", ".join(one.name for one in runs),
            path="",
            banner=None,
            sections=make_sections(page, SECTIONS, reporter),
        )
    )
