"""A process that has imported Keras and no plugin, and forks: fresh processes that start in milliseconds.

``python -m kptk.testing.warm`` reads requests, a line of JSON each, from its standard input and answers each with the exit code.
It ends when its input ends. Only `kptk.testing.fresh` talks to it.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import traceback
import warnings
from typing import Any


def serve() -> None:
    """Answer requests, one after the other."""
    from kptk.training import backend

    backend.import_keras()  # what takes seconds
    for line in sys.stdin:
        request = json.loads(line)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # JAX warns of every fork; no computation has begun here, so none can hang
            child = os.fork()
        if not child:
            sys.exit(_child(request))
        print(json.dumps(_wait(child, request["timeout"])), flush=True)


def _wait(child: int, seconds: float) -> int | None:
    """The exit code of a process, minus the signal that ended it, or None if it took too long and was killed."""

    def late(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _child(request: dict[str, Any]) -> int:
    """Run a module as ``python -m`` would, with the request's place, environment, path and files."""
    for stream, name in ((sys.stdin, os.devnull), (sys.stdout, request["stdout"]), (sys.stderr, request["stderr"])):
        file = os.open(name, os.O_RDONLY if stream is sys.stdin else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream.fileno())
        os.close(file)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[:] = request["path"]
    importlib.invalidate_caches()
    sys.argv[:] = ["-", *request["arguments"]]
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        return 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    serve()
