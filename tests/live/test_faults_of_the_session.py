"""What strikes a session itself: kill −9, a full disk, no venue, symbols that do not exist."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import depthscope as ds
from depthscope.config import Settings
from depthscope.errors import UnknownName
from depthscope.market import events as ev
from depthscope.runtime.live import LiveFeed
from depthscope.runtime.live_session import LiveSession
from depthscope.runtime.sources import open_source
from depthscope.storage.capture import verify
from tests.live.venue import Venue


def command(*words: str, environment: dict[str, str], **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "depthscope", *words],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        **options,  # type: ignore[call-overload]
    )


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.cap"))


def wait_for(what: object, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_killed_recording_goes_on_in_a_new_segment_and_shows_the_gap(tmp_path: Path) -> None:
    with Venue() as venue:
        for run in range(2):
            begun = bytes_in(tmp_path)
            process = command("record", "SYNES", "--to", str(tmp_path), environment=venue.environment)
            wait_for(lambda: bytes_in(tmp_path) > begun + 30_000)  # noqa: B023 - called at once
            if run == 0:
                process.send_signal(signal.SIGKILL)
                process.wait(20)
            else:
                process.send_signal(signal.SIGTERM)
                _, said = process.communicate(timeout=20)
                assert process.returncode == 0, said
                assert "recorded" in said
    found = verify(tmp_path)
    assert found.sound
    assert len(found.segments) == 2
    assert [gap.reason for gap in found.gaps] in (["unsealed", "restart"], ["torn", "restart"])
    source = open_source(tmp_path)
    events = np.concatenate(list(source.chunks()))
    snapshots = np.flatnonzero(events["action"] == ev.CLEAR)
    (lost,) = np.flatnonzero(events["action"] == ev.LOST)
    assert (
        snapshots[0] < lost < snapshots[1]
    )  # what was known before the gap is given up before it is known anew
    assert len({int(n) for n in events["instrument_id"]}) == 1
    assert any(
        "restart" in text or "another session" in text or "anew" in text for text in source.info.warnings
    )
    states = [f.state for f in ds.replay(tmp_path, every="100ms", features=["mid"])]
    assert "STALE" in states
    assert next(s for s in states if s != "SYNCING") == "LIVE" == states[-1]


def test_a_full_disk_stops_the_recording_and_not_the_session(tmp_path: Path) -> None:
    """A limit of 64 KiB a file stands for the disk: writes beyond it fail as they would there."""
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16)); "
        "from depthscope.cli.app import run; run(sys.argv[1:])"
    )
    with Venue() as venue:
        process = subprocess.run(
            [sys.executable, "-c", limited, "record", *venue.symbols, "--to", str(tmp_path), "--for", "6s"],
            capture_output=True, text=True, env={**os.environ, **venue.environment}, timeout=120,
        )  # fmt: skip
    assert process.returncode == 1
    assert "File too large" in process.stderr or "cannot be written" in process.stderr
    assert "Traceback" not in process.stderr
    source = open_source(tmp_path)
    assert sum(len(chunk) for chunk in source.chunks()) > 0  # what came before is good


@pytest.mark.parametrize("broken", ["Recorder.watch", "encode_tick"])
def test_a_page_that_breaks_ends_the_session_with_an_error_and_the_recording_soundly(
    tmp_path: Path, broken: str
) -> None:
    """What the page does around the session's own step fails after a while: nobody would take the events."""
    sabotaged = (
        "import sys; from depthscope.web import hub; from depthscope.cli.app import run; "
        f"whole, left = hub.{broken}, iter(range(60)); "
        f"hub.{broken} = lambda *given: whole(*given) if next(left, None) is not None else 1 / 0; "
        "run(sys.argv[1:])"
    )
    with Venue() as venue:
        process = subprocess.run(
            [sys.executable, "-c", sabotaged, "live", "SYNES", "--no-open", "--port", "0",
             "--record", str(tmp_path)],
            capture_output=True, text=True, env={**os.environ, **venue.environment}, timeout=120,
        )  # fmt: skip
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("error: The live session broke off: ZeroDivisionError")
    found = verify(tmp_path)
    assert found.sound
    assert not found.gaps
    assert len(found.segments) == 1
    assert sum(len(chunk) for chunk in open_source(tmp_path).chunks()) > 100


def test_symbols_of_which_none_is_listed_end_the_command(tmp_path: Path) -> None:
    with Venue() as venue:
        for words in (["live", "NOSUCH", "--no-open", "--port", "0"], ["live", "NOSUCH", "--tui"]):
            process = command(*words, environment=venue.environment)
            _, said = process.communicate(timeout=120)
            assert process.returncode == 2, said
            assert "binance lists no NOSUCH" in said
        with pytest.raises(UnknownName, match="lists no NOSUCH"):
            list(ds.live("NOSUCH", config=venue.settings, duration="5s"))
        rest = list(ds.live(["NOSUCH", "SYNES"], config=venue.settings, duration="3s", features=["mid"]))
    assert {frame.symbol for frame in rest} == {"SYNES"}
    assert rest[-1].state == "LIVE"


@pytest.mark.parametrize(
    "words", [["record", "--to", "x", "BTC/USDT"], ["live", "BTC USDT"], ["live", "--venue", "binnance"]]
)
def test_bad_words_are_refused_at_once(words: list[str], tmp_path: Path) -> None:
    process = command(*words, environment={}, cwd=tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_a_venue_that_is_not_there_is_waited_for_and_told() -> None:
    nowhere = Settings(binance_rest_url="http://127.0.0.1:9", binance_ws_url="ws://127.0.0.1:9")
    session = LiveSession(lambda: LiveFeed("binance", ["BTCUSDT"], settings=nowhere))
    import threading

    opening = threading.Thread(target=session.open)
    opening.start()
    try:
        wait_for(lambda: session.status.warm is not None and "onnect" in session.status.warm[0])
        assert session.status.state == "connecting"
    finally:
        session.cancel()
        opening.join(30)
    assert not opening.is_alive()
    assert session.status.state == "failed"


def test_a_recording_of_nothing_says_so(tmp_path: Path) -> None:
    nowhere = {
        "DEPTHSCOPE_BINANCE_REST_URL": "http://127.0.0.1:9",
        "DEPTHSCOPE_BINANCE_WS_URL": "ws://127.0.0.1:9",
    }
    process = command("record", "BTCUSDT", "--to", str(tmp_path), "--for", "2s", environment=nowhere)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "the venue cannot be reached" in said
    assert "none of binance's markets: it was never reached" in said


def stepped(session: LiveSession) -> LiveSession:
    session.step(time.monotonic())
    return session


def test_a_session_stepped_as_the_page_does_it_tells_what_its_books_are_worth() -> None:
    with Venue() as venue:
        session = LiveSession(lambda: LiveFeed("binance", venue.symbols, settings=venue.settings))
        session.open()
        assert session.status.state == "playing"
        assert [i.symbol for i in session.symbols] == venue.symbols
        # The first event may be of another symbol; of this one there is no book before its own.
        wait_for(lambda: "SYNBTC" in {i.symbol for i in stepped(session).engine.slots}, 40)
        wait_for(lambda: stepped(session).book("SYNBTC").state == "LIVE", 40)
        assert session.status.lag_ms < 1_000
        venue.inject("refuse@0s+2s")
        venue.inject("disconnect:public@0s")
        wait_for(lambda: stepped(session).book("SYNBTC").state == "STALE", 40)
        assert "connection lost" in (session.reason("SYNBTC") or "")
        wait_for(lambda: stepped(session).book("SYNBTC").state == "LIVE", 60)
        session.close()
        wait_for(lambda: stepped(session).status.state == "ended", 5)
        assert session.book("SYNBTC").state == "LIVE"  # as of its end
    assert session.failure is None


def test_json_of_a_recording(tmp_path: Path) -> None:
    with Venue() as venue:
        process = command(
            "record",
            "SYNES",
            "SYN3",
            "--to",
            str(tmp_path),
            "--for",
            "3s",
            "--json",
            environment=venue.environment,
        )
        told, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    summary = json.loads(told)
    assert summary["symbols"] == ["SYNES", "SYN3"]
    assert summary["inputs"] == summary["acknowledged"] > 50
    assert summary["lost"] == 0
