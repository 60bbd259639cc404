"""Sentences with names and towns, and the command line in this process."""

from __future__ import annotations

import numpy as np
from click.testing import CliRunner

from kptk.cli.main import cli

NAMES = ("Anna", "Bert", "Carla", "Dora", "Emil", "Fritz")
TOWNS = ("Paris", "Berlin", "Rome", "Vienna", "Madrid", "Oslo")
VERBS = ("lives in", "moved to", "was born in")


def sentences(count: int, seed: int) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Sentences with names and towns, and their tags."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        name, town, verb = rng.choice(NAMES), rng.choice(TOWNS), rng.choice(VERBS)
        words, tags = [str(name)], ["B-PER"]
        if rng.random() < 0.5:
            words.append("Smith")
            tags.append("I-PER")
        words += str(verb).split()
        tags += ["O"] * len(str(verb).split())
        made.append(((*words, str(town), "."), (*tags, "B-LOC", "O")))
    return made


def invoke(*words: object) -> str:
    """Call the command line in this process and return what it said."""
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    return done.stdout


def refused(*words: object) -> str:
    """Call the command line and return the sentence by which it refuses."""
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 2, f"{done.exit_code} {done.output}\n{done.exception!r}"
    return done.output
