"""`kptk views`: what is the model shown?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kptk import assembly
from kptk.cli.options import assembly_options, to_request
from kptk.cli.output import ConsoleReporter, print_json
from kptk.config import RunConfig, resolve
from kptk.errors import RunError, UsageError
from kptk.plugins import Plugins

COMPARED = 64
"""Examples whose views are compared, whatever the number drawn."""
MOST_PICTURES = 6
"""Pictures of views in a row: as many whole draws as fit."""


@click.command()
@assembly_options
@click.option("--count", type=click.IntRange(1, 64), default=8, show_default=True, help="Examples in the picture.")
@click.option("--out", metavar="FILE", default="views.png", show_default=True, help="The picture, a PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; everything else goes to stderr.")
def views(**flags: Any) -> None:
    """Draw what the model is shown: examples and several draws of their views.

    kptk views --plugin contrastive works with no other argument. Look at it before a long run: views of
    one example should share what matters and differ in what does not.
    """
    config = resolve(Plugins(), to_request(flags))
    assembly.check(config)
    out = Path(flags["out"])
    check_target(out)
    _check_images(config)
    from kptk.training.assemble import open_source

    source = open_source(config.data, config.train.values["seed"])  # refuse bad data before Keras is imported
    if len(source.row_shape) != 3:
        raise UsageError(_not_images(config))
    from kptk.training import backend

    backend.import_keras()
    result = _draw(config, source, out, flags["count"])
    reporter = ConsoleReporter(to_stderr=flags["as_json"])
    for line in _sentences(result):
        reporter.line(line)
    if flags["as_json"]:
        print_json(result)


def check_target(out: Path) -> None:
    """Refuse a place where the picture cannot go, before any work is done.

    Args:
        out: the file.
    """
    if out.is_dir():
        raise UsageError(
            f"--out must be a file. Received: {out}, which is a folder. Example: --out {out / 'views.png'}"
        )
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end with .png. Received: {out}.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"no folder {out.absolute().parent} to write {out.name} to. Make it first.")


def _check_images(config: RunConfig) -> None:
    assert config.data.offer is not None
    if config.data.offer.spec.inputs != "image":
        raise UsageError(_not_images(config))


def _not_images(config: RunConfig) -> str:
    assert config.data.offer is not None
    return (
        f"kptk views draws images but data {config.data.id} holds {config.data.offer.spec.inputs}, which has no "
        "picture. Look at a few rows in Python: kptk.dataset(...).read(rows)"
    )


def _draw(config: RunConfig, source: Any, out: Path, count: int) -> dict[str, Any]:
    """Make the views, write the picture and return the figures."""
    import numpy as np

    from kptk.training.pictures import grid, in_unit_range, to_pixels
    from kptk.training.report.views import compare, draw_views

    seed = config.train.values["seed"]
    size = min(len(source), max(COMPARED, count))
    rows = np.random.default_rng([seed, 19]).choice(len(source), size=size, replace=False)
    batch = source.read(rows)
    per_draw = config.views
    drawn = draw_views(config, batch, draws=max(MOST_PICTURES // per_draw, 2 if per_draw == 1 else 1))
    pictures = [view for one in drawn for view in one if view.ndim == 4]
    columns = ["original"]
    for draw in range(1, len(drawn) + 1):
        columns += [f"draw {draw}" + (f", view {view}" if per_draw > 1 else "") for view in range(1, per_draw + 1)]
    pixels = [to_pixels(batch[:count]), *(to_pixels(view[:count]) for view in pictures)]
    labels = [(f"row {row:,}", _class_name(source, row)) for row in rows[:count]]
    note = _how(config, seed)
    if not all(in_unit_range(view) for view in pictures):
        note += " Values outside of 0..1 are stretched to it."
    name = config.preprocessor.id if config.preprocessor else "no preprocessor"
    tiles = [[column[index] for column in pixels] for index in range(len(labels))]
    _write(out, grid(f"Views by {name}", note, columns[: len(pixels)], labels, tiles))
    compared = compare(drawn, batch) if drawn else None
    return {
        "path": str(out),
        "data": source.describe(),
        "preprocessor": name,
        "options": dict(config.preprocessor.values) if config.preprocessor else {},
        "examples": len(labels),
        "views": per_draw,
        "draws": len(drawn),
        "seed": seed,
        "warnings": compared.warnings if compared else [],
        "comparison": compared.to_dict() if compared else None,
    }


def _class_name(source: Any, row: int) -> str:
    return f"class {source.class_names[int(source.labels[row])]}" if source.labels is not None else ""


def _how(config: RunConfig, seed: int) -> str:
    if config.preprocessor is None:
        return f"The model is shown the inputs as they are. Data {config.data.id}, seed {seed}."
    options = ", ".join(f"{key}={value}" for key, value in config.preprocessor.values.items())
    return f"{options}. Objective {config.objective.id}, data {config.data.id}, seed {seed}."


def _write(out: Path, image: Any) -> None:
    part = out.with_name(f".{out.name}.part")
    try:
        image.save(part, "PNG", optimize=True)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"could not write {out}: {error.strerror or error}") from error


def _sentences(result: dict[str, Any]) -> list[str]:
    """What to say about the picture and about the views in it."""
    drawn = f"{result['draws']} draws of {result['views']} views" if result["draws"] else "no views"
    lines = [f"Wrote {result['path']}: {result['examples']} examples and {drawn} by {result['preprocessor']}"]
    compared = result["comparison"]
    if compared is None:
        return [*lines, "There is no preprocessor: the model is shown the inputs as they are."]
    if compared["difference"] is not None:
        difference = f"{compared['difference']:.3f}"
        line = f"Mean absolute difference between {compared['what']} of one example: {difference}"
        if compared["between"] is not None:
            line += f"; of different examples: {compared['between']:.3f}"
        lines.append(f"{line} ({compared['rows']} examples, seed {result['seed']}, on the scale of the views)")
    lines += [f"Warning: {warning}" for warning in result["warnings"]]
    return lines
