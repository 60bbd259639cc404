"""Imports the module of a tracker in a process of its own: ``python -m kptk.testing.tracker_report MODULE PACKAGE...``.

Prints a JSON list of the packages that this imported.
"""

from __future__ import annotations

import importlib
import json
import sys

if __name__ == "__main__":
    importlib.import_module(sys.argv[1])
    print(json.dumps([name for name in sys.argv[2:] if name in sys.modules]))
