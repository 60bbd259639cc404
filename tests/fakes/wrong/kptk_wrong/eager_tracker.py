"""A tracker whose module imports what it needs."""

import sqlite3

from kptk_wrong.trackers import GoodTracker


class Eager(GoodTracker):
    """Imports at the top.

    Args:
        separator: between the figures.
    """

    library = sqlite3
