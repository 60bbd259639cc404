"""The page of a data check: everything in one file, with pictures."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import Any

import numpy as np

from kptk import __version__
from kptk.datacheck.findings import FAIL, PASS, Report
from kptk.datacheck.images import pixels
from kptk.training.pictures import data_uri, picture

WORDS = {
    "pass": ("good", "✓", "Nothing is wrong"),
    "warn": ("warn", "!", "Look at this"),
    "fail": ("bad", "✗", "Mend this"),
}
LONGEST = 96
MORE = """
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 0 0 18px; padding: 0; list-style: none; }
.tiles li { width: 112px; font-size: .78rem; color: var(--soft); overflow-wrap: anywhere; }
.tiles img { display: block; width: 96px; height: 96px; object-fit: contain; image-rendering: pixelated;
  background: var(--rule); }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
td, th { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
.bar { background: var(--c0); height: 12px; border-radius: 2px; min-width: 1px; }
svg rect { fill: var(--c0); }
"""


def render(report: Report) -> str:
    """Write the page.

    Args:
        report: what was found out.
    """
    template = resources.files("kptk").joinpath("templates/report.html").read_text(encoding="utf-8")
    style = template.partition("<style>")[2].partition("</style>")[0].replace("$$", "$")
    tone, sign, words = WORDS[report.status]
    bad = sum(finding.level == FAIL for finding in report.findings)
    counts = f"{bad} to mend, {len(report.findings) - bad} to look at"
    looked = f", {report.looked:,} of them looked at" if report.looked < report.rows else ""
    sections = [_findings(report), _facts(report), _classes(report), _columns(report), *_pictures(report)]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Data check: {escape(report.status)}</title><style>{style}{MORE}</style></head><body>
<header><p class="kind">Data check</p><h1>{escape(report.data.partition(" (")[0])}</h1>
<p class="parts">{report.rows:,} rows of {escape(report.inputs)}{looked}</p>
<div class="verdict {tone}" role="status"><span class="sign" aria-hidden="true">{sign}</span><div><strong>{words}</strong>
<p>{"No problem was found." if report.status == PASS else counts}</p></div></div></header>
<main>{"".join(sections)}</main><footer><p class="note">Written by kptk {__version__}.</p></footer></body></html>
"""


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>" if content else ""


def _findings(report: Report) -> str:
    rows = "".join(
        f"<tr><td><strong>{'mend' if found.level == FAIL else 'look'}</strong></td><td>{escape(found.subject)}</td>"
        f"<td>{escape(found.sentence)}</td></tr>"
        for found in sorted(report.findings, key=lambda found: found.level)
    )
    return _section("Findings", f"<div class='scroll'><table>{rows}</table></div>" if rows else "")


def _facts(report: Report) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(str(key))}</th><td>{escape(text)}</td></tr>"
        for key, value in report.facts.items()
        for text in [f"{value:,}" if isinstance(value, int) else str(value)]
    )
    return _section("Facts", f"<div class='scroll'><table>{rows}</table></div>")


def _classes(report: Report) -> str:
    if not report.classes:
        return ""
    most = max(report.classes.values()) or 1
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td class='number'>{count:,}</td>"
        f"<td style='width:60%'><div class='bar' style='width:{100 * count / most:.1f}%'></div></td></tr>"
        for name, count in list(report.classes.items())[:100]
    )
    return _section("Classes", f"<div class='scroll'><table>{rows}</table></div>")


def _columns(report: Report) -> str:
    if not report.columns:
        return ""
    heads = "".join(
        f"<th scope='col'>{name}</th>" for name in ("Column", "Kind", "Missing", "Different", "Cells", "Shape")
    )
    rows = "".join(
        f"<tr><th scope='row'>{escape(about['name'])}</th><td>{escape(about['kind'])}</td>"
        f"<td class='number'>{about['missing']:,}</td><td class='number'>{about.get('distinct', 0):,}</td>"
        f"<td>{escape(described(about))}</td><td>{_histogram(about)}</td></tr>"
        for about in report.columns
    )
    return _section(
        "Columns", f"<div class='scroll'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def described(about: dict[str, Any]) -> str:
    """The cells of a column in words.

    Args:
        about: one of a report's columns.
    """
    if "common" in about:
        words = ", ".join(f"{value} ({count:,})" for value, count in about["common"][:4])
        return words if len(words) < 120 else words[:117] + "..."
    if "mean" in about:
        middle = f", median {about['median']:.4g}" if "median" in about else ""
        return f"{about['lowest']:.4g} to {about['highest']:.4g}{middle}, mean {about['mean']:.4g}"
    return f"{about['lowest']} to {about['highest']}" if "lowest" in about else ""


def _histogram(about: dict[str, Any]) -> str:
    counts = about.get("histogram")
    if not counts:
        return ""
    most = max(counts) or 1
    bars = "".join(
        f"<rect x='{5 * place}' y='{30 - 30 * count / most:.1f}' width='4' height='{height:.1f}'/>"
        for place, count in enumerate(counts)
        for height in [max(30 * count / most, 0.6 if count else 0)]
    )
    low, high = about["edges"]
    label = f"Histogram from {low:.4g} to {high:.4g}"
    return (
        f"<svg width='{5 * len(counts)}' height='30' role='img' aria-label='{label}'><title>{label}</title>{bars}</svg>"
    )


def _pictures(report: Report) -> list[str]:
    sections = []
    for caption, tiles in report.pictures:
        items = "".join(
            f"<li><img src='{source}' alt='{escape(name)}'>{escape(name)}</li>"
            for name, image in tiles
            for source in [data_uri(picture(pixels(np.asarray(image)[None])[0], LONGEST))]
        )
        sections.append(_section(caption, f"<ul class='tiles'>{items}</ul>"))
    return sections
