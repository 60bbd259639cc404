"""Imports the module of a command in a process of its own: ``python -m kptk.testing.command_report MODULE``.

Prints a JSON list of the heavy packages that this imported.
"""

from __future__ import annotations

import importlib
import json
import sys

from kptk.discovery import HEAVY

if __name__ == "__main__":
    importlib.import_module(sys.argv[1])
    print(json.dumps([name for name in HEAVY if name in sys.modules]))
