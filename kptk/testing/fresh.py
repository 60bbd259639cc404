"""Fresh Python processes that see the same plugins as this one."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TIMEOUT = 300
_servers: dict[tuple[tuple[str, str], ...], subprocess.Popen[str]] = {}


def run_module(module: str, *arguments: str) -> Any:
    """Run ``python -m module`` in a fresh process, without Keras in it, and return the JSON document that it prints.

    Args:
        module: full name of a module of this package.
        *arguments: its command line.

    Raises:
        AssertionError: if the process fails; with what it wrote on its error stream.
    """
    return _document(_cold(module, arguments, _path(), None, TIMEOUT))


def run_warm_module(module: str, *arguments: str) -> Any:
    """Like `run_module`, but Keras is imported already, if this system can: seconds less.

    Args:
        module: full name of a module of this package.
        *arguments: its command line.

    Raises:
        AssertionError: if the process fails; with what it wrote on its error stream.
    """
    return _document(run_warm(module, *arguments))


def run_warm(
    module: str, *arguments: str, cwd: str | os.PathLike[str] | None = None, timeout: float = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` in a fresh process in which only Keras is imported already.

    A process that has done nothing else is kept and forks for each call. Where that is not safe (other systems than Linux), the
    process is an ordinary one. Nothing can be learned from it about what a command imports, and no signal can be sent to it.

    Args:
        module: full name of a module.
        *arguments: its command line.
        cwd: folder to run in; None for this process' own.
        timeout: seconds after which it is killed.

    Returns:
        Exit code and both outputs.

    Raises:
        subprocess.TimeoutExpired: if it took too long.

    Example:
        >>> run_warm("kptk", "--version").returncode
        0
    """
    if not sys.platform.startswith("linux"):
        return _cold(module, arguments, _path(), cwd, timeout)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        request = {
            "module": module,
            "arguments": [str(argument) for argument in arguments],
            "environment": dict(os.environ) | {"PYTHONPATH": os.pathsep.join(_path())},
            "folder": str(Path(cwd or ".").resolve()),
            "path": _path(),
            "stdout": str(out),
            "stderr": str(err),
            "timeout": timeout,
        }
        code = _ask(request)
        said = [file.read_text(encoding="utf-8") if file.exists() else "" for file in (out, err)]
    if code is None:
        raise subprocess.TimeoutExpired([module, *arguments], timeout, *said)
    return subprocess.CompletedProcess([module, *arguments], code, *said)


def _path() -> list[str]:
    # Everything that can be imported here can be imported there, also what a test put on the path.
    return [entry or str(Path.cwd()) for entry in sys.path]


def _cold(
    module: str, arguments: tuple[str, ...], path: list[str], cwd: str | os.PathLike[str] | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        cwd=cwd,
        timeout=timeout,
    )


def _ask(request: dict[str, Any]) -> int | None:
    """Send a request to the server for the variables that Keras and its backend read when they are imported."""
    key = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(("KERAS", "TF_", "OMP_", "JAX", "XLA"))))
    server = _servers.get(key)
    if server is None or server.poll() is not None:
        server = _servers[key] = subprocess.Popen(
            [sys.executable, "-m", "kptk.testing.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(_path())},
        )
        atexit.register(_stop, server)
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    if not answer:
        raise RuntimeError("The process that starts others has ended; run the tests again.")
    code: int | None = json.loads(answer)
    return code


def _stop(server: subprocess.Popen[str]) -> None:
    server.kill()
    server.wait()
    for stream in (server.stdin, server.stdout):
        if stream is not None:
            stream.close()


def _document(done: subprocess.CompletedProcess[str]) -> Any:
    if done.returncode:
        raise AssertionError(f"python -m {' '.join(map(str, done.args))} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])
