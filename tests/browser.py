"""A headless browser for tests, driven over WebDriver with nothing but the standard library."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "no chromium with chromedriver on this machine"
    if not (shutil.which("chromedriver") and any(map(shutil.which, BROWSERS)))
    else ""
)


class Browser:
    """One tab.

    Args:
        address: of the driver.
        width: of the window, in pixels.
        dark: whether the user prefers dark pages.
    """

    def __init__(self, address: str, *, width: int, dark: bool) -> None:
        self.address = address
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
        options: dict[str, Any] = {"args": arguments}
        if width < 600:
            metrics = {"width": width, "height": 844, "pixelRatio": 1, "touch": True}
            options["mobileEmulation"] = {"deviceMetrics": metrics}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        prefix = f"/session/{self.session}" if self.session else ""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + prefix + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        """Call Chromium's own protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, page: Path) -> None:
        """Load a file."""
        self._call("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """Run the body of a function and return what it returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def keys(self, selector: str, *keys: str) -> None:
        """Focus an element and press keys."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def errors(self) -> list[str]:
        """What the page complained of since the last call."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def close(self) -> None:
        """Close the tab."""
        self._call("DELETE", "")


@contextlib.contextmanager
def driver() -> Iterator[str]:
    """Run chromedriver for a while; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(["chromedriver", f"--port={port}", "--silent"], env=os.environ | {"HOME": "/tmp"})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{address}/status", timeout=5).close()
                break
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)
