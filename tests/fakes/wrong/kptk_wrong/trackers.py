"""A tracker that is right, and some that are wrong in one way each."""

import contextlib
import socket
from pathlib import Path

from kptk.training.tracker import Tracker


class GoodTracker(Tracker):
    """Writes lines.

    Args:
        separator: between the figures.
    """

    def __init__(self, *, separator: str = ",") -> None:
        self.separator = separator

    def begin(self, config, folder):
        self.file = folder / "lines.txt"
        self.file.open("a").close()

    def log(self, step, metrics):
        with self.file.open("a") as file:
            file.write(self.separator.join(f"{name}={value}" for name, value in metrics.items()) + "\n")

    def end(self, summary, files):
        with self.file.open("a") as file:
            file.write(f"{summary['status']}\n")


class Strays(GoodTracker):
    """Also writes to the working folder.

    Args:
        separator: between the figures.
    """

    def log(self, step, metrics):
        Path("stray.txt").write_text("here")


class Calls(GoodTracker):
    """Tells somebody.

    Args:
        separator: between the figures.
    """

    def end(self, summary, files):
        with contextlib.suppress(OSError):  # offline is no reason to fail, it says
            socket.create_connection(("collector.example", 443), timeout=1)


class OnlyOnce(GoodTracker):
    """Takes an empty folder only.

    Args:
        separator: between the figures.
    """

    def begin(self, config, folder):
        (folder / "lines.txt").open("x").close()
        super().begin(config, folder)
