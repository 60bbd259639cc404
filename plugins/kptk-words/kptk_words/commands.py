"""The commands that word vectors add: ``kptk neighbours``, ``kptk analogy`` and ``kptk words``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kptk.errors import UsageError

if TYPE_CHECKING:
    from kptk_words.keyed_vectors import KeyedVectors

FORMATS = ("word2vec", "word2vec-binary", "glove")
SUFFIXES = {"word2vec": ".txt", "word2vec-binary": ".bin", "glove": ".txt"}


def _vectors(run: str) -> KeyedVectors:
    from kptk.runfolder import RunFolder

    _ = RunFolder.open(run).backbone  # refuse a wrong folder before Keras is imported
    from kptk.training import backend

    backend.import_keras()
    from kptk_words.run_vectors import run_vectors

    return run_vectors(run)


def _print(rows: list[tuple[str, float]], as_json: bool) -> None:
    if as_json:
        from kptk.cli.output import print_json

        print_json([{"word": word, "cosine": cosine} for word, cosine in rows])
        return
    for word, cosine in rows:
        click.echo(f"{cosine:6.3f}  {word}")


@click.command("neighbours")
@click.argument("run")
@click.argument("words", nargs=-1, required=True)
@click.option("--count", default=10, show_default=True, type=click.IntRange(1), help="How many of each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def neighbours(run: str, words: tuple[str, ...], count: int, as_json: bool) -> None:
    """List the words whose vectors have the largest cosine with those of WORDS."""
    vectors = _vectors(run)
    found = {word: vectors.neighbours(word, count) for word in words}
    if as_json:
        from kptk.cli.output import print_json

        print_json({word: [{"word": w, "cosine": c} for w, c in rows] for word, rows in found.items()})
        return
    for word, rows in found.items():
        if len(found) > 1:
            click.echo(f"{word}:")
        _print(rows, as_json=False)


@click.command("analogy", context_settings={"ignore_unknown_options": True})
@click.argument("run")
@click.argument("terms", nargs=-1, required=True)
@click.option("--count", default=5, show_default=True, type=click.IntRange(1), help="How many answers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def analogy(run: str, terms: tuple[str, ...], count: int, as_json: bool) -> None:
    """Answer an analogy by adding and taking away vectors: kptk analogy RUN king - man + woman."""
    plus, minus = parse(terms)
    _print(_vectors(run).analogy(plus, minus, count), as_json)


def parse(terms: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Words to add and words to take away.

    Args:
        terms: words with a ``+`` or ``-`` before each but the first.

    Raises:
        UsageError: if they are not of that form.
    """
    sides: dict[str, list[str]] = {"+": [], "-": []}
    sign = "+"
    for place, term in enumerate(terms):
        if term in sides:
            if sign and place:
                raise UsageError(
                    f"a word is missing before '{term}' in: {' '.join(terms)}. Example: king - man + woman"
                )
            sign = term
        elif not sign:
            raise UsageError(
                f"'+' or '-' is missing before '{term}' in: {' '.join(terms)}. Example: king - man + woman"
            )
        else:
            sides[sign].append(term)
            sign = ""
    if sign or not sides["+"]:
        raise UsageError(f"not a sum of words: {' '.join(terms)}. Example: king - man + woman")
    return sides["+"], sides["-"]


@click.group("words")
def words() -> None:
    """Export the word vectors of a run, or score them on word tests."""


@words.command("export")
@click.argument("run")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="word2vec", show_default=True, help="What to write."
)
@click.option("-o", "--out", metavar="FILE", default="", help="Where to; into the run folder if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def export(run: str, form: str, out: str, as_json: bool) -> None:
    """Write the word vectors of RUN in a format that gensim and others read."""
    target = Path(out) if out else Path(run) / f"{form}{SUFFIXES[form]}"
    if target.exists():
        raise UsageError(f"{target} is there already. Name another: -o FILE")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"no folder {target.absolute().parent} to write {target.name} to. Make it first.")
    vectors = _vectors(run)
    from kptk_words.formats import write

    write(vectors, target, form)
    rows, dim = vectors.vectors.shape
    if as_json:
        from kptk.cli.output import print_json

        print_json({"path": str(target), "format": form, "words": rows, "dimensions": dim})
        return
    click.echo(f"{target}: {rows:,} words of {dim} numbers, {form}")


@words.command("score")
@click.argument("run")
@click.option("--pairs", "pairs", multiple=True, metavar="FILE", help="Pairs of words with human scores; repeatable.")
@click.option("--analogies", "questions", multiple=True, metavar="FILE", help="Lines 'a b c d' of questions-words.txt.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def score(run: str, pairs: tuple[str, ...], questions: tuple[str, ...], as_json: bool) -> None:
    """Compare the word vectors of RUN with human judgements of similarity, and let them answer analogies."""
    if not pairs and not questions:
        raise UsageError("nothing to score. Give a file of pairs (--pairs FILE) or of analogies (--analogies FILE).")
    vectors = _vectors(run)
    from kptk_words.scoring import analogies, similarity

    rows: list[dict[str, Any]] = []
    for kind, files, judge in (("spearman", pairs, similarity), ("analogies", questions, analogies)):
        for file in files:
            result = judge(vectors, Path(file))
            rows.append(
                {"file": file, "kind": kind, "score": result.figure, "scored": result.scored, "asked": result.asked}
            )
    if as_json:
        from kptk.cli.output import print_json

        print_json(rows)
        return
    for row in rows:
        name = "Spearman correlation" if row["kind"] == "spearman" else "right analogies"
        click.echo(
            f"{row['file']}: {name} {row['score']:.3f} on {row['scored']:,} of {row['asked']:,} with all words known"
        )
