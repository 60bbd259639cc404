"""`kptk data`: looks at data before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kptk.cli.options import SPLIT_HELP
from kptk.cli.output import ConsoleReporter, print_json, print_table
from kptk.cli.views import views
from kptk.errors import RunError, UsageError
from kptk.parts import part_of
from kptk.plugins import Plugins
from kptk.request import parse_setting

SIGNS = {"pass": "✓ pass", "warn": "! warnings", "fail": "✗ fail"}


@click.group()
def data() -> None:
    """Look at data: check it, see some rows, see the views, compare preparations of a table."""


data.add_command(views, "views")


def reader_options(command: Any) -> Any:
    """Add the flags that say how data is read.

    Args:
        command: the function of a click command.
    """
    flags = [
        click.option("--inputs", metavar="KIND", default="", help="image, table or text, where several readers fit."),
        click.option(
            "-o",
            "--option",
            "options",
            multiple=True,
            metavar="NAME=VALUE",
            help="Option of the reader, such as label=income; repeatable.",
        ),
    ]
    for flag in reversed(flags):
        command = flag(command)
    return command


def parsed(options: tuple[str, ...]) -> dict[str, str]:
    """Options of a reader as they were written, with or without ``data.`` before the name.

    Args:
        options: ``NAME=VALUE`` each.

    Raises:
        UsageError: if one is of another part.
    """
    found = {}
    for text in options:
        setting = parse_setting(text)
        section, _, name = setting.key.rpartition(".")
        if section not in ("", "data"):
            raise UsageError(f"-o takes options of the data here. Received: '{text}'.")
        found[name] = str(setting.value)
    return found


@data.command()
@click.argument("path", metavar="PATH|NAME")
@click.option(
    "--test", metavar="PATH|NAME", default="", help="Data for tests, to look for leakage. Default: its own part."
)
@click.option("--split", metavar="NAME", default="", help=SPLIT_HELP)
@click.option("--limit", default=50_000, show_default=True, help="Rows to look at, drawn at random; 0 for all.")
@click.option("--html", metavar="FILE", default="", help="Write a page with pictures.")
@reader_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    path: str, test: str, split: str, limit: int, html: str, inputs: str, options: tuple[str, ...], as_json: bool
) -> None:
    """Look for what spoils training: broken files, duplicates, leakage, missing cells, uneven classes.

    Exit code 0: pass, or warnings only. 1: something has to be mended. 2: the data cannot be opened.
    """
    from kptk.datacheck.check import check as look
    from kptk.datacheck.findings import FAIL

    if html and not Path(html).absolute().parent.is_dir():
        raise UsageError(f"no folder {Path(html).absolute().parent} to write {Path(html).name} to. Make it first.")
    report = look(Plugins(), path, test=test, inputs=inputs, part=split, limit=limit, options=parsed(options))
    if html:
        from kptk.datacheck.page import render

        try:
            Path(html).write_text(render(report), encoding="utf-8", errors="replace")
        except OSError as error:
            raise RunError(f"could not write {html}: {error.strerror or error}") from error
    if as_json:
        print_json(report.to_dict())
    else:
        _say(report, html)
    if report.status == FAIL:
        raise SystemExit(1)


def _say(report: Any, html: str) -> None:
    from kptk.datacheck.page import described

    click.echo(report.data)
    if report.looked < report.rows:
        click.echo(f"{report.looked:,} of {report.rows:,} rows looked at, drawn at random (--limit)")
    print_table(
        "Facts",
        ["fact", "value"],
        [[str(k), f"{v:,}" if isinstance(v, int) else str(v)] for k, v in report.facts.items()],
    )
    if report.classes:
        total = sum(report.classes.values()) or 1
        rows = [
            [name, f"{count:,}", f"{100 * count / total:.1f} %"] for name, count in list(report.classes.items())[:40]
        ]
        print_table("Classes", ["class", "rows", "share"], rows)
    if report.columns:
        heads = ["column", "kind", "missing", "different", "cells"]
        rows = [
            [about["name"], about["kind"], f"{about['missing']:,}", f"{about.get('distinct', 0):,}", described(about)]
            for about in report.columns
        ]
        print_table("Columns", heads, rows)
    for found in sorted(report.findings, key=lambda found: found.level):
        click.echo(f"{'mend' if found.level == 'fail' else 'look'}: {found.subject}: {found.sentence}")
    if html:
        click.echo(f"Page: {html}")
    click.echo(SIGNS[report.status])


@data.command()
@click.argument("path", metavar="PATH|NAME")
@click.option("--split", metavar="NAME", default="", help=SPLIT_HELP)
@click.option("--count", type=click.IntRange(1, 100), default=8, show_default=True, help="Rows to show.")
@click.option("--seed", default=0, show_default=True, help="Of the draw.")
@click.option("--out", metavar="FILE", default="sample.png", show_default=True, help="The picture, of images only.")
@reader_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sample(
    path: str, split: str, count: int, seed: int, out: str, inputs: str, options: tuple[str, ...], as_json: bool
) -> None:
    """Show some rows, drawn at random: cells of a table, texts, or a picture of images."""
    import numpy as np

    from kptk.datacheck.check import open_data

    source = part_of(open_data(Plugins(), path, inputs, parsed(options)), split)
    rows = np.sort(np.random.default_rng(seed).choice(len(source), min(count, len(source)), replace=False))
    batch = source.read(rows)
    labels = [
        "" if source.labels is None or source.labels[r] < 0 else source.class_names[source.labels[r]] for r in rows
    ]
    reporter = ConsoleReporter(to_stderr=as_json)
    reporter.line(source.describe())
    if source.inputs == "image":
        _picture(Path(out), batch, rows, labels, source)
        reporter.line(f"Wrote {out}: {len(rows)} images")
        return
    names = [column.name for column in source.columns] or [source.inputs]
    cells = batch if batch.ndim == 2 else batch.reshape(len(batch), -1)
    shown = [[_cell(cell) for cell in row] for row in cells.tolist()]
    if as_json:
        print_json(
            [
                {"row": int(number), "label": label or None, **dict(zip(names, row, strict=False))}
                for number, label, row in zip(rows, labels, shown, strict=True)
            ]
        )
        return
    table = [[str(number), label, *row] for number, label, row in zip(rows, labels, shown, strict=True)]
    print_table("Rows", ["row", "label", *names], table)


def _cell(cell: Any) -> str:
    if cell is None or cell != cell:  # noqa: PLR0124  # NaN is not itself
        return ""
    text = f"{cell:g}" if isinstance(cell, float) else str(cell)
    return text if len(text) <= 80 else text[:77] + "..."


def _picture(out: Path, batch: Any, rows: Any, labels: list[str], source: Any) -> None:
    from kptk.datacheck.images import name, pixels
    from kptk.training.pictures import grid

    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end with .png. Received: {out}.")
    heads = [(name(source, int(row)), label) for row, label in zip(rows, labels, strict=True)]
    try:
        grid("Some rows", source.describe(), ["image"], heads, [[image] for image in pixels(batch)]).save(out, "PNG")
    except OSError as error:
        raise RunError(f"could not write {out}: {error.strerror or error}") from error


@data.command("compare-preprocessing")
@click.argument("path", metavar="TABLE")
@click.option("--label", metavar="COLUMN", default="", help="Column to predict; a named set has its own.")
@click.option("--seeds", type=click.IntRange(2), default=3, show_default=True, help="Draws of training and test rows.")
@click.option("--limit", default=5000, show_default=True, help="Rows used at most; 0 for all.")
@click.option("--out", metavar="FILE", default="preprocessing.png", show_default=True, help="The picture, a PNG.")
@reader_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON; everything else goes to stderr.")
def compare_preprocessing(
    path: str, label: str, seeds: int, limit: int, out: str, inputs: str, options: tuple[str, ...], as_json: bool
) -> None:
    """Prepare TABLE in every way and judge each by a linear model and a small perceptron.

    Scaling (none, minmax, maxabs, standard, robust, quantile, uniform) times encoding (onehot, ordinal, binary, hashed), with the
    cost, the test score with its 95 % interval, and what planted outliers cost.
    """
    from kptk.cli.views import check_target
    from kptk.datacheck.check import open_data

    check_target(Path(out))
    plugins = Plugins()
    offer = plugins.find("preprocessor", "tables/table")
    given = parsed(options) | ({"label": label} if label else {})
    source = open_data(plugins, path, inputs or "table", given)  # refuse bad data before Keras is imported
    reporter = ConsoleReporter(to_stderr=as_json)
    reporter.line(source.describe())
    from kptk.training import backend

    backend.import_keras()
    from kptk.training.preparation import compare, count_of_ways
    from kptk.training.preparation_report import explained, plot

    with reporter.progress("Comparing", seeds * count_of_ways(source)) as advance:
        results = compare(source, offer.spec.build, seeds=seeds, limit=limit, advance=advance)
    classes = source.labels is not None
    used = min(limit or len(source), len(source))
    how = f"{used:,} rows, 70 % to learn from, seeds 0-{seeds - 1}"
    plot(results, out, f"{path}: {how}", classes=classes)
    sentences = explained(results, classes=classes)
    if as_json:
        found = {"data": source.describe(), "seeds": seeds, "rows": used, "picture": out, "explained": list(sentences)}
        print_json(found | {"results": [way.to_dict() for way in results]})
        return
    heads = [
        "scaling",
        "encoding",
        "features",
        "seconds",
        "linear",
        "perceptron",
        "linear, outliers",
        "perceptron, outliers",
    ]
    print_table(
        f"{'Accuracy in %' if classes else 'R2'} on test rows: {how}", heads, [_way(way, classes) for way in results]
    )
    for sentence in sentences:
        reporter.line(sentence)
    reporter.line(f"Intervals are over draws of one table, which share rows. Picture: {out}")


def _way(way: Any, classes: bool) -> list[str]:
    scale, digits = (100, 1) if classes else (1, 3)
    cells = [way.scaling, way.encoding, f"{way.features}", f"{sum(way.seconds) / len(way.seconds):.2f}"]
    for model in ("linear", "mlp"):
        mean, half = way.interval(model)
        cells.append(f"{scale * mean:.{digits}f} ± {scale * half:.{digits}f}")
    return cells + [f"{-scale * way.drop(model):+.{digits}f}" for model in ("linear", "mlp")]
