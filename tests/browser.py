"""A headless browser for the tests of the pages, spoken to over its debugging pipe."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
WIDE, PHONE = (1280, 800), (390, 844)


def found() -> str | None:
    """Return the browser of this machine: that of MEBOLD_BROWSER, else one with a usual name."""
    named = os.environ.get("MEBOLD_BROWSER")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a headless Chromium, with what it said on its console.

    ``with Browser(WIDE) as page: page.open(path)``.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self.complaints: list[str] = []
        self._n = 0
        self._rest = b""

    def __enter__(self) -> "Browser":
        self._folder = tempfile.mkdtemp(prefix="mebold-browser-")
        there, self._write = os.pipe()
        self._read, here = os.pipe()

        def pipes():
            # The browser reads commands from 3 and writes answers to 4.
            copies = os.dup(there), os.dup(here)
            os.dup2(copies[0], 3)
            os.dup2(copies[1], 4)

        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        arguments += ["--hide-scrollbars", f"--user-data-dir={self._folder}", "--no-first-run"]
        self._process = subprocess.Popen(
            [found(), *arguments, "about:blank"],
            preexec_fn=pipes,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        os.close(here)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        width, height = self._size
        phone = {"deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, **phone)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._write)
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._read)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **parameters: object) -> dict:
        """Send a command and return its result."""
        self._n += 1
        message = {"id": self._n, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._until(lambda said: said.get("id") == self._n)["result"]

    def open(self, path: Path) -> float:
        """Load a page and return the seconds that took."""
        began = time.monotonic()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self._until(lambda said: said.get("method") == "Page.loadEventFired")
        return time.monotonic() - began

    def value(self, script: str) -> object:
        """Return the value of an expression in the page; a promise is waited for."""
        known = {"expression": script, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", **known)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what the page shows, or all of it, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _until(self, wanted) -> dict:
        ends = time.monotonic() + 60
        while True:
            message = self._message(ends)
            self._note(message)
            if "error" in message:
                raise AssertionError(message["error"])
            if wanted(message):
                return message

    def _note(self, message: dict) -> None:
        """Keep errors, warnings and requests that leave the machine."""
        method, said = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"].get("exception")))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
            self.complaints.append(str(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            url = said["request"]["url"]
            if not url.startswith(("file:", "data:", "about:", "blob:")):
                self.complaints.append(f"network: {url}")

    def _message(self, ends: float) -> dict:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0, ends - time.monotonic()))
            if not ready:
                raise AssertionError("the browser did not answer within a minute")
            self._rest += os.read(self._read, 1 << 20)
        one, _, self._rest = self._rest.partition(b"\0")
        return json.loads(one)
