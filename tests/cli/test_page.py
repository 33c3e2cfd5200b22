"""`replay` and `demo` as processes: the page is there, and a signal ends it cleanly."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from depthscope.cli.demo import demo
from depthscope.runtime.checkpoints import memory_of
from depthscope.runtime.session import Session
from depthscope.web.encoder import encode_tick
from depthscope.web.recorder import Recorder

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
@pytest.mark.parametrize("kinds", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT] * 3])
def test_replay_serves_its_page_until_a_signal(
    small_file: Path, tmp_path: Path, kinds: list[signal.Signals]
) -> None:
    with served("replay", str(small_file), "--speed", "max", folder=tmp_path) as (process, address):
        assert httpx.get(address, follow_redirects=True).status_code == 200
        assert httpx.get(address.partition("?")[0]).status_code in (401, 403)
        for kind in kinds:
            process.send_signal(kind)
            time.sleep(0.02)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in err


def test_demo_serves_its_page(tmp_path: Path) -> None:
    with served("demo", "--seed", "3", folder=tmp_path) as (_, address):
        page = httpx.get(address, follow_redirects=True)
        assert page.status_code == 200
        assert "depthscope" in page.text


@pytest.fixture
def demo_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """What `depthscope demo` would serve."""
    found: list[Session] = []
    monkeypatch.setattr("depthscope.web.app.serve", lambda session, **_: found.append(session))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    demo(port=0, no_open=True, seed=3, speed="max")
    return found[0]


def test_the_demo_opens_with_minutes_already_traded(demo_session: Session) -> None:
    recorder = demo_session.spectator = Recorder()
    demo_session.open()
    assert demo_session.status.state == "playing"
    assert len(recorder.tracks) == 3
    for track in recorder.tracks.values():
        fine, _, coarse = track.history.levels
        assert fine.head - fine.tail + 1 == fine.cols, "the finest resolution is full"
        assert coarse.head - coarse.tail >= 300
        run = fine.run(fine.tail, fine.head)
        assert run.q.any(axis=1).all(), "no column is empty"
        assert len(np.unique((run.trades["col"] - fine.tail) // 200)) == 18, "trades in every ten seconds"
        moved = (run.q[1:] != run.q[:-1]).any(axis=1)
        assert moved[-1200:].sum() > 180, "the minute shown first moves more than once a second"


def test_the_demo_goes_on_in_bounded_memory(demo_session: Session) -> None:
    recorder = demo_session.spectator = Recorder(plan=((1000, 60),))
    demo_session.open()
    start, used = demo_session.clock, dict[int, int]()
    for minute in range(1, 76):
        while demo_session.clock < start + minute * 60 * 10**9:
            assert demo_session.status.state == "playing", demo_session.status
            demo_session.step(0.0, 0.2)
            encode_tick(recorder, frozenset(), 0, 0.0)
        if minute in (25, 75):
            used[minute] = memory_of((recorder.tracks, demo_session.engine.snapshot()))
    assert demo_session.status.end is None
    assert used[75] < used[25] * 1.2, used
    assert demo_session.player.checkpoints.size <= 128 << 20


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
