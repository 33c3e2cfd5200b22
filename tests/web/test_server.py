"""Starting, stopping, the HTTP views, and what a program sees."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from depthscope.errors import ConfigError, PortInUse
from depthscope.web.app import Address, serve
from depthscope.web.info import session_phase
from tests.web.clients import api, wait_open
from tests.web.conftest import make_session, serving
from tests.web.market import SECOND, START, account, make_events

ROOT = Path(__file__).resolve().parents[2]
MARK = {"X-Depthscope": "1"}


def test_a_port_in_use_is_said_and_nothing_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        session = make_session()
        with pytest.raises(PortInUse, match=rf"Port {port} of 127\.0\.0\.1 .*another program.*--port"):
            serve(session, port=port)
        assert session.status.state == "connecting", "the session was not opened"
        with serving(make_session()) as address, pytest.raises(PortInUse):
            serve(make_session(), port=address.port)


def test_an_address_that_is_not_ours_is_said() -> None:
    with pytest.raises(ConfigError, match="cannot be served"):
        serve(make_session(), host="203.0.113.7", port=0, tls=(Path("c"), Path("k")), token="x" * 20)
    with pytest.raises(ConfigError, match="does not exist"):
        serve(make_session(), port=70000)


def test_the_port_is_free_again_after_stopping() -> None:
    with serving(make_session()) as address:
        port = address.port
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))


def test_ipv6_loopback_is_served() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with serving(make_session(), host="::1") as address:
        assert address.url == f"http://[::1]:{address.port}/"
        assert httpx.get(address.open_url).status_code == 303


def test_health_symbols_and_session(server: Address) -> None:
    wait_open(server)
    with api(server) as client:
        health = client.get("/api/v1/health").json()
        assert health["status"] == "ok"
        assert health["session"]["mode"] == "replay"
        symbols = client.get("/api/v1/symbols").json()["symbols"]
        assert [s["name"] for s in symbols] == ["APL", "COIN"]
        session = client.get("/api/v1/session").json()
        assert "t" not in session
        assert int(session["start"]) == START // SECOND * SECOND
        assert client.get("/openapi.json").json()["paths"].keys() == {
            "/api/v1/health", "/api/v1/symbols", "/api/v1/book", "/api/v1/session",
        }  # fmt: skip


def test_the_book_equals_a_naive_account(server: Address) -> None:
    wait_open(server)
    from tests.web.conftest import EVENTS

    with api(server) as client:
        assert client.post("/api/v1/session", json={"cmd": "pause"}, headers=MARK).json()["state"] == "paused"
        ts = START // SECOND * SECOND + 13 * SECOND
        assert (
            client.post("/api/v1/session", json={"cmd": "seek", "ts": str(ts)}, headers=MARK).status_code
            == 200
        )
        deadline = time.monotonic() + 20
        while client.get("/api/v1/session").json()["state"] == "seeking":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get("/api/v1/session").json()["ts"] == str(ts)
        book = client.get("/api/v1/book", params={"symbol": "COIN", "levels": 30}).json()
        truth = account(EVENTS, 11, START // SECOND * SECOND, ts, 0)
        levels = truth.levels[truth.last]
        bids = sorted((t for t in levels if t <= truth.bid[truth.last]), reverse=True)[:30]
        asks = sorted(t for t in levels if t >= truth.ask[truth.last])[:30]
        assert [r[0] for r in book["bids"]] == [f"{t / 10:.1f}" for t in bids]
        assert [r[0] for r in book["asks"]] == [f"{t / 10:.1f}" for t in asks]
        assert [r[1] for r in book["asks"]] == pytest.approx([levels[t] for t in asks])
        assert all(r[2] is None for r in book["bids"])
        assert (book["symbol"], book["state"], book["incomplete"]) == ("COIN", "LIVE", False)
        assert isinstance(book["ts"], int)
        assert book["ts"] < ts
        assert len(client.get("/api/v1/book", params={"symbol": "APL"}).json()["bids"]) == 20
        client.post("/api/v1/session", json={"cmd": "resume"}, headers=MARK)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/book?symbol=MSFT", 404, "unknown_name"),
        ("/api/v1/book", 400, "input_error"),
        ("/api/v1/book?symbol=APL&levels=0", 400, "bad_request"),
        ("/api/v1/book?symbol=APL&levels=x", 400, "bad_request"),
        ("/api/v1/book?symbol=APL&levels=99999", 400, "bad_request"),
        ("/api/v1/nothing", 404, "not_found"),
    ],
)
def test_errors_are_json_with_a_reason(server: Address, path: str, status: int, code: str) -> None:
    wait_open(server)
    with api(server) as client:
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert len(answer.json()["error"]["message"]) > 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"cmd":"sub","symbol":0}',
        b'{"cmd":"speed"}',
        b'{"cmd":"speed","x":5000}',
        b"\xff\xfe",
    ],
)
def test_bad_commands_are_answered(server: Address, body: bytes) -> None:
    wait_open(server)
    with api(server) as client:
        answer = client.post(
            "/api/v1/session", content=body, headers=MARK | {"Content-Type": "application/json"}
        )
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] == "input_error"


def test_it_listens_before_the_engine_is_ready_and_ends_with_a_signal(tmp_path: Path) -> None:
    """In a process of its own: listening within moments, page served while it warms, clean end."""
    script = (
        "import sys, time; began = time.perf_counter()\n"
        "from tests.web.conftest import make_session\n"
        "from depthscope.web.app import serve\n"
        "def ready(a): print(time.perf_counter() - began, a.open_url, 'numba' in sys.modules, flush=True)\n"
        "serve(make_session(), port=0, ready=ready)\n"
        "print('ended', flush=True)\n"
    )
    for kind in (signal.SIGTERM, signal.SIGINT):
        path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)])
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        try:
            assert process.stdout is not None
            seconds, url, numba = process.stdout.readline().split()
            assert numba == "False", "the compiler was loaded before the page could be served"
            assert float(seconds) < 15
            answer = httpx.get(url, follow_redirects=False)
            assert answer.status_code == 303
            process.send_signal(kind)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert out.strip() == "ended"
        assert process.returncode == 0
        assert "Traceback" not in err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_hands_the_handlers_back(kind: signal.Signals) -> None:
    """In the main thread, as the command line runs it."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def ready(address: Address) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), kind)).start()

    serve(make_session(), port=0, ready=ready)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_settings_reach_the_page() -> None:
    with serving(make_session(), page_hz=5.0, history_seconds=120, depth_rows=3) as address:
        wait_open(address)
        with api(address) as client:
            assert len(client.get("/api/v1/book?symbol=APL").json()["bids"]) == 3
            import json

            from websockets.sync.client import connect

            url = address.url.replace("http", "ws", 1) + "stream"
            with connect(url, additional_headers={"Authorization": f"Bearer {address.token}"}) as ws:
                hello = json.loads(ws.recv(10))
            assert hello["hz"] == 5
            assert [r["cols"] for r in hello["res"]] == [2400, 480, 120]


def test_the_browser_is_opened_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setenv("BROWSER", "")
    monkeypatch.setattr("webbrowser.open", opened.append)
    with serving(make_session(), open_browser=True) as address:
        deadline = time.monotonic() + 5
        while not opened and time.monotonic() < deadline:
            time.sleep(0.01)
        assert opened == [address.open_url]


@pytest.mark.parametrize(
    ("calendar", "moment", "phase", "extended"),
    [
        ("24/7", "2024-08-08T03:00:00", "24/7", False),
        ("CME_Equity", "2023-12-25T22:30:00", "BREAK", False),
        ("CME_Equity", "2023-12-25T23:00:00", "ETH", True),
        ("CME_Equity", "2024-07-01T14:00:00", "RTH", False),
        ("CME_Equity", "2024-07-01T20:00:00", "ETH", True),
        ("CME_Globex", "2024-07-01T20:00:00", "ETH", True),
        ("CME_Equity", "2024-07-05T21:00:00", "CLOSED", False),
        ("CME_Equity", "2024-07-06T12:00:00", "CLOSED", False),
        ("CME_Equity", "2024-07-07T21:59:59", "CLOSED", False),
        ("CME_Equity", "2024-07-07T22:00:00", "ETH", True),
        ("NYSE", "2024-03-08T14:29:59", "PRE", True),
        ("NYSE", "2024-03-08T14:30:00", "RTH", False),
        ("NYSE", "2024-03-11T13:30:00", "RTH", False),
        ("NYSE", "2024-11-01T19:59:59", "RTH", False),
        ("NYSE", "2024-11-04T20:59:59", "RTH", False),
        ("NYSE", "2024-11-04T21:00:00", "POST", True),
        ("NYSE", "2024-11-05T01:00:00", "CLOSED", False),
        ("NYSE", "2024-11-09T15:00:00", "CLOSED", False),
        ("LSE", "2024-11-05T10:00:00", None, False),
    ],
)
def test_session_phases_by_the_clock(calendar: str, moment: str, phase: str | None, extended: bool) -> None:
    from datetime import UTC, datetime

    ts = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * SECOND
    assert session_phase(calendar, ts) == {"calendar": calendar, "phase": phase, "extended": extended}


def test_the_test_market_is_repeatable() -> None:
    assert make_events(3.0).tobytes() == make_events(3.0).tobytes()
    assert make_events(3.0).tobytes() != make_events(3.0, seed=8).tobytes()
