"""Write the tables of `docs/strategies.md` and `docs/domain-adaptation.md` from the recorded results.

python benchmarks/strategies/write_docs.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks" / name) for name in ("strategies", "domain")]

import domain
import strategies

from kptk.training.experiment import Grid

NONE = "Not run to the end yet; the command is in the protocol."


def seeds_of(grid: Grid) -> str:
    return f"Seeds {min(c.seed for c in grid.cells)} to {max(c.seed for c in grid.cells)}; {len(grid.cells):,} cells."


def filled(text: str, name: str, content: str) -> str:
    """Put content between the marks of a name."""
    pattern = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
    assert pattern.search(text), f"there is no mark {name}"
    return pattern.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)


def main() -> None:
    page = ROOT / "docs" / "strategies.md"
    text = page.read_text(encoding="utf-8")
    for name in strategies.LABELS:
        grid = Grid(strategies.HERE / f"results-{name}.jsonl")
        made = strategies.table(grid, list(strategies.make_arms(name)), strategies.LABELS[name])
        rows = made.count("\n") - 1
        text = filled(text, name, f"{seeds_of(grid)}\n\n{made}" if rows else NONE)
    page.write_text(text, encoding="utf-8")
    page = ROOT / "docs" / "domain-adaptation.md"
    grid = Grid(domain.HERE / "results.jsonl")
    made = f"{seeds_of(grid)}\n\n{domain.table(grid)}" if grid.cells else NONE
    page.write_text(filled(page.read_text(encoding="utf-8"), "domain", made), encoding="utf-8")


if __name__ == "__main__":
    main()
