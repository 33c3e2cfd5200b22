"""`replay` and `demo` as processes: the page is there, and a signal ends it cleanly."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

PATIENCE = 120.0  # seconds; a machine that runs other tests beside this one is slow


@contextmanager
def served(*arguments: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running command and the address it tells."""
    environ = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "depthscope", *arguments, "--no-open", "--port", "0"],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("page: "):
                break
        found = re.search(r"page: (http://127\.0\.0\.1:\d+/\?token=\S+)", said)
        assert found, said
        yield process, found[1]
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way there")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_replay_serves_its_page_until_a_signal(
    small_file: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    with served("replay", str(small_file), "--speed", "max", folder=tmp_path) as (process, address):
        assert httpx.get(address, follow_redirects=True).status_code == 200
        assert httpx.get(address.partition("?")[0]).status_code in (401, 403)
        process.send_signal(kind)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in err


def test_demo_serves_its_page(tmp_path: Path) -> None:
    with served("demo", "--seed", "3", folder=tmp_path) as (_, address):
        page = httpx.get(address, follow_redirects=True)
        assert page.status_code == 200
        assert "depthscope" in page.text


def test_a_port_in_use_is_bad_input(small_file: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "depthscope", "replay", str(small_file), "--no-open", "--port", str(port)],
            cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
    assert done.returncode == 2
    assert f"Port {port}" in done.stderr
    assert "Traceback" not in done.stderr
