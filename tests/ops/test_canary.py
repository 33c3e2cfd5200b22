"""Canary secrets through every way out: nothing of them arrives (G12).

A canary is an API key, an API secret, a listen key, a signature, a page token, a cookie, a password.
Each goes through each way out in each shape it comes in; every byte that leaves is searched.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import websockets
from websockets.exceptions import InvalidURI

from depthscope.cli.app import run
from depthscope.errors import OutputError, SourceMissing
from depthscope.ops.audit import AuditWriter, config_hash
from depthscope.ops.checks_venue import Target, check_venue
from depthscope.ops.doctor import Check, examine, report
from depthscope.ops.health import assess, document
from depthscope.ops.logs import setup_logging
from depthscope.ops.metrics import Metrics
from depthscope.ops.redact import forget, protect
from depthscope.ops.snapshot import RecorderPart
from depthscope.runtime.session import Session
from depthscope.web.app import Address
from tests.ops.test_health import feed, snapshot
from tests.ops.venue import running
from tests.web.conftest import make_session, serving

# Names that tell; values as venues give them. The first seven are known by their place alone.
NAMED = {
    "X-MBX-APIKEY": "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    "apiSecret": "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    "listenKey": "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1",
    "signature": "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
    "token": "Yw3kQ0n5yZ2m8gX1aVbT7cUeRfHj6LpS9dNqWxOi4Ks",
    "cookie": "depthscope_8050=Zk3xQ9v7LrW2s8T0aYbN5cUeRfHj6MpGdqVxOi4Ks1E",
    "password": "correct-horse-battery",
}
# Only registered: nothing about it tells.
PLAIN = "mistletoe/quarrel&42"
SECRETS = [*NAMED.values(), PLAIN]


@pytest.fixture(autouse=True)
def protected() -> Iterator[None]:
    protect(PLAIN)
    yield
    forget(PLAIN)


def shapes(name: str, secret: str) -> list[Any]:
    """Ways a secret comes along."""
    url = httpx.URL("https://h/fapi/v1/order", params={"symbol": "BTCUSDT", name: secret})
    request = httpx.Request("GET", url, headers={name: secret, "Authorization": f"Bearer {secret}"})
    found: list[Any] = [
        str(url),
        request,
        {name: secret},
        {"a": [{"b": {name: (secret, {"c": secret})}}]},
        [(name, secret), (name.encode(), secret.encode())],
        f"{name}={secret}",
        f"{name}: {secret}",
        json.dumps({name: secret}),
        json.dumps(json.dumps({name: secret})),
        repr({name: secret}),
        repr({name.encode(): secret.encode()}),
        f"Authorization: Bearer {secret}",
        {"headers": {"Authorization": f"Bearer {secret}", "Cookie": f"x={secret}"}},
        ValueError(f"bad reply to {url}"),
        httpx.ConnectError(f"no route to {url}", request=request),
        InvalidURI(f"wss://h/private/stream?{name}={secret}", "it is none"),
        f"wss://u:{secret}@h/ws",
    ]
    if name == "listenKey":
        found += [f"wss://h/ws/{secret}", f"wss://h/private/ws/{secret}"]
    if secret == PLAIN:
        found += [secret, secret.encode(), f"it is {secret}!", {"note": secret, secret: 1}]
    return found


EVERY = [
    (name, shape) for name, secret in [*NAMED.items(), ("secret", PLAIN)] for shape in shapes(name, secret)
]


def hits(text: str) -> list[str]:
    """Secrets, or halves of them, that stand in a text."""
    pieces = {s: (s, s[: len(s) // 2], s[len(s) // 2 :]) for s in SECRETS}
    return [piece for of in pieces.values() for piece in of if piece in text]


def test_there_are_enough_canaries() -> None:
    assert len(EVERY) > 130
    assert hits(f"x{PLAIN}y")


def test_logs(tmp_path: Path) -> None:
    console, path = io.StringIO(), tmp_path / "log.jsonl"
    with setup_logging("debug", path, console=console, repeats=10_000) as logs:
        log, lib = structlog.get_logger("depthscope.canary"), logging.getLogger("lib")
        for name, shape in EVERY:
            log.info("said", value=shape)
            log.info(f"text {shape}")
            log.bind(**{name.replace("-", "_"): shape}).warning("bound")
            lib.warning("as %s", shape)
            lib.warning(f"in {shape}")
            lib.error("fields", extra={"value": shape})
            lib.error("%d", shape)  # a wrong format
            try:
                try:
                    raise shape if isinstance(shape, Exception) else RuntimeError(shape)
                except Exception as inner:
                    raise OutputError(str(shape)) from inner
            except OutputError:
                log.exception("raised")
                lib.exception("raised")
        assert logs.part().failures == 0
    told = console.getvalue() + path.read_text(encoding="utf-8")
    assert told.count("\n") > 18 * len(EVERY)
    assert hits(told) == []


def test_audit(tmp_path: Path) -> None:
    with AuditWriter(tmp_path, config_hash({"apiKey": PLAIN}), 1) as audit:
        for k, (name, shape) in enumerate(EVERY):
            audit.write("order", {name: shape}, k)
            audit.write("alert", {"value": shape, "text": f"{shape}"}, k)
    told = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode()
    assert told.count("\n") == 2 * len(EVERY)
    assert hits(told) == []


def test_health_and_metrics() -> None:
    for _, shape in EVERY:
        text = str(shape)
        taken = snapshot(
            feeds=(feed(feed=text, symbol=text, state="STALE", reason=text),),
            recorder=RecorderPart(failures=1, last_failure=text),
            state="failed",
            error=text,
        )
        health = assess(taken)
        told = "".join(reason.text + reason.about for reason in health.reasons)
        body = Metrics(lambda taken=taken: taken).exposition()[0].decode()  # type: ignore[misc]
        assert hits(told + body + json.dumps(document(health))) == []


def test_doctor() -> None:
    def broken(shape: Any) -> list[Check]:
        raise shape if isinstance(shape, Exception) else RuntimeError(shape)

    found = [Check("a", "warn", f"{shape}", f"{shape}") for _, shape in EVERY]
    checks = [("b", lambda shape=shape: broken(shape)) for _, shape in EVERY]
    told = json.dumps(report(examine([("a", lambda: found), *checks])))
    assert hits(told) == []


def test_what_a_venue_answers() -> None:
    with running() as venue:
        for _, shape in EVERY[::7]:
            venue.replies["/fapi/v1/exchangeInfo"] = (503, {}, str(shape).encode())
            venue.replies["/fapi/v1/time"] = (200, {}, str(shape).encode())
            found = list(examine([("binance", lambda: check_venue(venue.target))]))
            assert hits(json.dumps(report(found))) == []
    for secret in SECRETS:
        target = Target(
            "binance", f"http://u:{secret}@127.0.0.1:1/?token={secret}", f"ws://u:{secret}@127.0.0.1:1"
        )
        assert hits(json.dumps(report(examine([("x", lambda t=target: check_venue(t))])))) == []  # type: ignore[misc]


@pytest.mark.parametrize("debug", [False, True])
def test_the_command_lines_errors(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    from depthscope.cli import common, version

    monkeypatch.setattr(common, "_debug", False)
    said = ""
    for _, shape in EVERY[::3]:
        error = shape if isinstance(shape, Exception) else RuntimeError(str(shape))
        for raised in (error, OutputError(str(shape))):

            def fail(raised: Exception = raised) -> dict[str, str]:
                raise raised

            monkeypatch.setattr(version, "versions", fail)
            with pytest.raises(SystemExit):
                run(["version", *(["--debug"] if debug else [])])
        out = capfd.readouterr()
        assert "error:" in out.err
        said += out.out + out.err
    assert hits(said.replace("\n", " ")) == [] and hits(said) == []


def test_the_page_and_its_server(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The market fails with each canary; the page, its routes and the log tell of it without them."""
    (tmp_path / "index.html").write_text("<!doctype html><title>t</title>", encoding="utf-8")
    path = tmp_path / "log.jsonl"
    with setup_logging("debug", path, repeats=10_000):
        for number, (_, shape) in enumerate(EVERY[::9]):
            opening = number % 2 == 1

            def fail(*_: Any, shape: Any = shape, opening: bool = opening) -> Any:
                if opening:
                    raise SourceMissing(str(shape))
                raise shape if isinstance(shape, Exception) else RuntimeError(str(shape))

            session = Session(fail) if opening else make_session()
            session.step = fail  # type: ignore[method-assign]
            with serving(session, folder=tmp_path) as address:
                bearer = {"Authorization": f"Bearer {address.token}"}
                told = asyncio.run(_until_failed(address.url, bearer))
                told += asyncio.run(_greeting(address))
                told += httpx.get(f"{address.url}metrics", headers=bearer).text
                told += httpx.get(f"{address.url}api/v1/book?token={PLAIN}", headers=bearer).text
                assert address.token not in told
                assert hits(told) == []
            text = path.read_text(encoding="utf-8")
            assert hits(text) == [] and address.token not in text
    said = capfd.readouterr()
    assert hits(said.out + said.err) == []


async def _greeting(address: Address) -> str:
    """What a page is told when it comes."""
    url = address.url.replace("http", "ws") + "stream"
    headers = {"Authorization": f"Bearer {address.token}", "Origin": address.url.rstrip("/")}
    async with websockets.connect(url, additional_headers=headers) as socket:
        return f"{await socket.recv()!r}{await socket.recv()!r}"


async def _until_failed(url: str, headers: dict[str, str]) -> str:
    async with httpx.AsyncClient(headers=headers) as client:
        for _ in range(400):
            answer = await client.get(f"{url}api/v1/health")
            if answer.json()["status"] == "failed":
                assert answer.json()["health"]["status"] == "failing"
                return answer.text
            await asyncio.sleep(0.05)
    raise AssertionError("the market did not fail")


def test_the_search_itself_finds() -> None:
    """Without redaction most ways would have told: the search is no blind one."""
    blind = [f"{shape!r}" for _, shape in EVERY if not hits(f"{shape!r} {shape}")]
    assert len(blind) <= len(EVERY) // 10, blind
