"""Harness of the browser tests: a real server in its own process, a real Chromium, a watchful page."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
START_SECONDS = 150  # a cold kernel cache compiles on the first start
PROBE = Path(__file__).parent / "js" / "probe.js"


def absent(what: str) -> None:
    """Skip, or fail where the browser tests are required."""
    if os.environ.get("DEPTHSCOPE_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


def chromium() -> str:
    path = os.environ.get("DEPTHSCOPE_CHROMIUM", "/usr/bin/chromium")
    if not Path(path).exists():
        absent(f"no Chromium at {path}")
    return path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Server:
    """`depthscope …` in a process of its own, on one port over its lives."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self.url = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.lines = []
        command = [sys.executable, "-m", "depthscope", *self.command, "--port", str(self.port), "--no-open"]
        # Settings of this machine and of the tests are none of the server's business.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DEPTHSCOPE_")}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"page: (http\S+)", "".join(self.lines)):
                self.url = found.group(1)
                return
            time.sleep(0.05)
        self.stop()
        pytest.fail(f"the server did not start:\n{''.join(self.lines)}")

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def get(self, path: str) -> Any:
        """JSON of an address, as a program with the token gets it."""
        token = parse_qs(urlsplit(self.url).query)["token"][0]
        request = Request(self.origin + path, headers={"Authorization": f"Bearer {token}"})
        with urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


class Watch:
    """A page and what it did that it should not have done."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.expected: tuple[str, ...] = ()

    def request(self, url: str) -> bool:
        own = url.startswith((f"{self.server.origin}/", f"ws{self.server.origin[4:]}/", "data:"))
        if not own:
            self.foreign.append(url)
        return own

    def console(self, message: ConsoleMessage) -> None:
        # Reading a canvas back, as the probe does, is frowned upon; the page itself never does.
        if message.type in {"error", "warning"} and "willReadFrequently" not in message.text:
            self.errors.append(message.text)

    def check(self) -> None:
        assert self.foreign == []
        assert self.page.evaluate("__probe.violations") == []
        assert not [e for e in self.errors if not any(re.search(p, e) for p in self.expected)], self.errors


def until(page: Page, what: str, seconds: float = 30) -> None:
    """Wait for an expression to hold. (Playwright's own wait needs eval, which the page's policy forbids.)"""
    deadline = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({what})"):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        page.wait_for_timeout(40)


@contextlib.contextmanager
def opened(browser: Browser, server: Server, width: int = 1600, height: int = 900) -> Iterator[Watch]:
    """Open the page; at the end fail on a foreign request, a console error or a policy violation."""
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    watch = Watch(page, server)
    page.on("pageerror", lambda e: watch.errors.append(str(e)))
    page.on("console", watch.console)
    page.on("websocket", lambda w: watch.request(w.url))
    context.route("**/*", lambda r: r.continue_() if watch.request(r.request.url) else r.abort())
    page.add_init_script(path=PROBE)
    try:
        page.goto(server.url)
        until(page, "__probe.ready()", START_SECONDS)
        yield watch
        watch.check()
    finally:
        context.close()
