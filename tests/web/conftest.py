"""A real server on a loopback port, and a page's worth of clients for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depthscope.runtime.market import Market
from depthscope.runtime.session import Session
from depthscope.web.app import Address, serve
from tests.web.market import TapeSource, make_events

EVENTS = make_events(300.0, seed=11, rate=150.0)


def make_session(events: np.ndarray = EVENTS, **options: Any) -> Session:
    """A session on the test market."""
    return Session(lambda: TapeSource(events), **options)


@contextmanager
def serving(session: Market, **options: Any) -> Iterator[Address]:
    """Serve in a thread until the block ends."""
    ready = threading.Event()
    told: list[Address] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            serve(session, **{"port": 0} | options, ready=lambda a: (told.append(a), ready.set()))  # type: ignore[func-returns-value]
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20), "the server did not start"
    if failed:
        raise failed[0]
    try:
        yield told[0]
    finally:
        told[0].stop()
        thread.join(15)
        assert not thread.is_alive(), "the server did not stop"
        assert not failed, failed


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the page's key of the tests apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("LOCALAPPDATA", str(tmp_path_factory.mktemp("local")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Static files of a page."""
    path = tmp_path_factory.mktemp("static")
    (path / "js").mkdir()
    (path / "index.html").write_text("<!doctype html><title>t</title>", encoding="utf-8")
    (path / "app.css").write_text("body{}", encoding="utf-8")
    (path / "js" / "main.js").write_text("export {}", encoding="utf-8")
    (path / "secret.py").write_text("x", encoding="utf-8")
    (path / ".hidden.js").write_text("x", encoding="utf-8")
    (path.parent / "outside.js").write_text("x", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Address]:
    """A server whose market plays at 1x."""
    with serving(make_session(), folder=folder) as address:
        yield address


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio."""
    return "asyncio"
