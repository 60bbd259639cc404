"""`kptk plan`: what would pre-training cost here, and what should be run?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from kptk.cli.output import ConsoleReporter, print_json, print_table
from kptk.errors import bad_value

MEMORY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(MB|GB|M|G)\s*$", re.IGNORECASE)


@click.command()
@click.option("--data", metavar="PATH|NAME", required=True, help="The data that is to be pre-trained on.")
@click.option(
    "--objectives", metavar="A,B,...", default="contrastive", show_default=True, help="Candidates; with commas."
)
@click.option("--backbones", metavar="A,B,...", default="", help="Candidates; default: each recipe's own.")
@click.option("--time", "time_", metavar="AMOUNT", default="30m", show_default=True, help="How long a run may take.")
@click.option(
    "--memory", metavar="AMOUNT", default="", help="How much it may take, 8GB; default: most of what is free."
)
@click.option(
    "--epochs", metavar="N", type=click.IntRange(1), default=None, help="Passes that are enough; default: the recipe's."
)
@click.option(
    "--batch-sizes", metavar="N,N", default="64,128,256", show_default=True, help="Examples a step, two or more."
)
@click.option("--no-growth", is_flag=True, help="Do not measure how cost grows with image size, width and depth.")
@click.option("--limit", metavar="N", default=None, help="Use only N examples.")
@click.option(
    "-o", "--option", "options", multiple=True, metavar="[PART.]NAME=VALUE", help="Set any option; repeatable."
)
@click.option("--out", metavar="FILE", default="", help="Write the recommended configuration there.")
@click.option("--quiet", is_flag=True, help="Print the recommended configuration only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; everything else goes to stderr.")
def plan(**flags: Any) -> None:
    """Measure what pre-training costs on this machine with this data, and recommend a configuration.

    kptk plan --data mnist10k --objectives contrastive,byol --backbones example_cnn,resnet18 --time 30m --memory 8GB
    """
    from kptk.request import Setting, parse_setting
    from kptk.training.planning import plan as measure

    settings = [parse_setting(text) for text in flags["options"]]
    if flags["limit"] is not None:
        settings.append(Setting("data.limit", flags["limit"], text=True))
    out = Path(flags["out"]) if flags["out"] else None
    if out is not None and out.exists():
        raise bad_value("out", "a file that does not exist yet", str(out))
    reporter = ConsoleReporter(quiet=flags["quiet"], to_stderr=flags["as_json"])
    found = measure(
        flags["data"],
        _words(flags["objectives"]),
        _words(flags["backbones"]),
        seconds=parse_time(flags["time_"]),
        memory_mb=parse_memory(flags["memory"]) if flags["memory"] else 0.0,
        epochs=flags["epochs"] or 0,
        batch_sizes=_numbers(flags["batch_sizes"]),
        options=settings,
        growth=not flags["no_growth"],
        reporter=reporter,
    )
    if out is not None and found.choice is not None:
        out.write_text(found.to_toml(), encoding="utf-8")
    if flags["as_json"]:
        print_json(found.to_dict())
        return
    if not flags["quiet"]:
        _print_rows(found.rows)
    for note in found.notes:
        click.echo(note, err=True)
    if found.choice is None:
        return
    if not flags["quiet"]:
        click.echo(f"Recommended: {found.choice.reason}")
    if out is not None:
        click.echo(f"Run it: kptk train --config {out}")
    else:
        click.echo(found.to_toml().rstrip())


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from kptk.training.duration import duration

    heads = [
        *(
            "objective",
            "backbone",
            "parameters",
            "GFLOPs",
            "batch",
            "MB",
            "ms/step",
            "samples/s",
            "epochs",
            "time",
            "grows with",
        ),
    ]
    cells = [
        [
            row["objective"],
            row["backbone"],
            f"{row['parameters']:,}",
            f"{row['gflops']:.3g}",
            str(row["batch_size"]),
            f"{row['peak_mb']:,.0f}",
            f"{row['step_ms']:,.0f}",
            f"{row['samples_per_second']:,.0f}",
            str(row["epochs"]),
            duration(row["seconds"]),
            ", ".join(f"{name.rpartition('.')[2]}^{power:g}" for name, power in row["growth"].items()),
        ]
        for row in rows
    ]
    print_table("Costs on this machine; GFLOPs of one example's forward pass", heads, cells)


def parse_time(text: str) -> float:
    """Read ``"30m"``, ``"2h"`` or ``"90s"`` as seconds.

    Args:
        text: what the user wrote.
    """
    from kptk.budget import Budget
    from kptk.errors import UsageError

    try:
        budget = Budget.parse(text)
    except UsageError:
        budget = None
    if budget is None or budget.unit != "seconds":
        raise bad_value("time", "an amount such as 90s, 30m or 2h", text)
    return budget.amount


def parse_memory(text: str) -> float:
    """Read ``"8GB"`` or ``"500MB"`` as MB.

    Args:
        text: what the user wrote.
    """
    match = MEMORY.match(text)
    if not match or float(match[1]) <= 0:
        raise bad_value("memory", "an amount such as 8GB or 500MB", text)
    return float(match[1]) * (1024 if match[2].upper().startswith("G") else 1)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> tuple[int, ...]:
    words = _words(text)
    if len(set(words)) < 2 or not all(word.isdigit() and int(word) > 0 for word in words):
        raise bad_value("batch-sizes", "two or more numbers of at least 1, such as 64,128", text)
    return tuple(map(int, words))
