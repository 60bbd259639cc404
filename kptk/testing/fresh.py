"""Fresh Python processes that see the same plugins as this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

TIMEOUT = 300


def run_module(module: str, *arguments: str) -> Any:
    """Run ``python -m module`` in a fresh process and return the JSON document that it prints.

    Args:
        module: full name of a module of this package.
        *arguments: its command line.

    Raises:
        AssertionError: if the process fails; with what it wrote on its error stream.
    """
    # Everything that can be imported here can be imported there, also what a test put on the path.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=TIMEOUT,
    )
    if done.returncode:
        raise AssertionError(f"python -m {module} {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])
