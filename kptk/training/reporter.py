"""`Reporter`: how a run speaks. The command line draws a progress bar, a notebook gets lines, a test gets silence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Advance = Callable[[int, str], None]
"""Called with how much is done in all, and a note to show beside it."""


class Reporter:
    """Says nothing. Subclass it to show what a run does."""

    def line(self, text: str = "") -> None:
        """Say one line (or several).

        Args:
            text: what to say.
        """

    @contextlib.contextmanager
    def progress(self, what: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Show progress with the time that is left.

        Args:
            what: what is being done.
            total: how much there is to do.
            done: how much of it was done before.

        Yields:
            A function to call with how much is done in all and a note.
        """
        del what, total, done
        yield lambda done, note: None


class LineReporter(Reporter):
    """Prints lines to the standard output, for Python callers."""

    def line(self, text: str = "") -> None:
        """Print one line."""
        print(text, flush=True)
