"""Checks of trackers: everything stays in the folder, nothing goes over a network, an interrupted record goes on."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from kptk.testing.checks import Skip
from kptk.testing.fresh import run_module

if TYPE_CHECKING:
    from kptk.testing.checks import Function, Subject

CONFIG = {
    "objective": {"name": "contrastive/contrastive", "temperature": 0.1},
    "train": {"epochs": 2, "dtype": "float32"},
}
LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


def loads_without_its_packages(subject: Subject) -> None:
    """The module of the target imports none of the packages that the tracker needs."""
    spec = subject.spec
    loaded = run_module("kptk.testing.tracker_report", spec.target.partition(":")[0], *spec.needs)
    assert not loaded, f"{spec.target} imports {', '.join(loaded)}; import inside the methods"


def says_how_to_install(subject: Subject) -> None:
    """A tracker that needs packages says what brings them."""
    spec = subject.spec
    assert bool(spec.install) == bool(spec.needs), (
        "`needs` and `install` belong together: what it needs, and what brings it"
    )


def keeps_everything_in_its_folder(subject: Subject) -> None:
    """A record is begun, logged and ended; all of it is in the folder, and the working folder is as it was."""
    with _workplace(subject) as (work, folder):
        _record(subject, folder, work)
        assert any(path.is_file() for path in folder.rglob("*")), "it wrote nothing into its folder"
        stray = sorted(path.name for path in Path.cwd().iterdir())
        assert not stray, f"it wrote outside of its folder: {', '.join(stray)}"


def stays_off_the_network(subject: Subject) -> None:
    """Nothing that it does asks for another machine."""
    with _workplace(subject) as (work, folder):
        asked: list[str] = []
        with _guard(asked):
            _record(subject, folder, work)
        assert not asked, f"it asked the network for {', '.join(sorted(set(asked)))}"


def goes_on_after_an_interruption(subject: Subject) -> None:
    """A record that was closed as interrupted can be opened again in the same folder, and an epoch may come twice."""
    with _workplace(subject) as (work, folder):
        first = subject.spec.build()
        first.begin(CONFIG, folder)
        first.log(1, {"loss": 2.0})
        first.end({"status": "interrupted"}, [])
        _record(subject, folder, work)


def _record(subject: Subject, folder: Path, work: Path) -> None:
    report = work / "run" / "summary.json"
    report.write_text("{}", encoding="utf-8")
    tracker = subject.spec.build()
    tracker.begin(CONFIG, folder)
    tracker.log(1, {"loss": 2.0, "epoch": 1.0})
    tracker.log(2, {"loss": 1.5, "epoch": 2.0})
    tracker.end({"status": "healthy", "verdict": "It learned.", "steps": 2, "loss": 1.5, "knn": None}, [report])


@contextlib.contextmanager
def _workplace(subject: Subject) -> Iterator[tuple[Path, Path]]:
    """A temporary folder with that of a run, beside an empty working folder."""
    from kptk.tracking import missing_packages

    if missing := missing_packages(subject.spec):
        raise Skip(f"not installed: {', '.join(missing)}")
    before = Path.cwd()
    # What a tool leaves running may still write while the folder is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        work = Path(name)
        folder = work / "run" / "trackers" / subject.spec.name
        folder.mkdir(parents=True)
        (work / "here").mkdir()
        os.chdir(work / "here")
        try:
            yield work, folder
        finally:
            os.chdir(before)


@contextlib.contextmanager
def _guard(asked: list[str]) -> Iterator[None]:
    """Note and refuse every name and address that is not of this machine."""
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and address[0] not in LOCAL:
            asked.append(str(address[0]))
            raise OSError("no network in this check")
        return connect(self, address)

    def guarded_lookup(host: Any, *arguments: Any, **more: Any) -> Any:
        if host not in (None, *LOCAL):
            asked.append(str(host))
            raise OSError("no network in this check")
        return lookup(host, *arguments, **more)

    with (
        mock.patch.object(socket.socket, "connect", guarded_connect),
        mock.patch.object(socket, "getaddrinfo", guarded_lookup),
    ):
        yield


CHECKS: tuple[Function, ...] = (
    loads_without_its_packages,
    says_how_to_install,
    keeps_everything_in_its_folder,
    stays_off_the_network,
    goes_on_after_an_interruption,
)
