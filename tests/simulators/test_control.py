"""Connections: routes, modes, control messages, and the rules that cut them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_rules import DAY, MINUTE, Rules
from depthscope.simulators.binance_wire import Out, Reply
from tests.simulators.market import ME, MS, SECOND, connected, quiet, run, synthetic, texts


def ask(exchange: Exchange, number: int, message: Any) -> Any:
    payload = message if isinstance(message, bytes) else msgspec.json.encode(message)
    exchange.receive(number, payload, exchange.now)
    answers = [out for out in exchange.advance(exchange.now) if out.connection == number]
    assert len(answers) == 1, answers
    return msgspec.json.decode(answers[0].payload)


def opened(exchange: Exchange, target: str) -> int:
    number = exchange.connect(target, ME, exchange.now)
    assert isinstance(number, int), number
    return number


# ── routes ──


@pytest.mark.parametrize(
    "target",
    [
        "/ws/btcusdt@depth",
        "/stream?streams=btcusdt@depth",
        "/ws",
        "/stream",
        "/",
        "",
        "/public/other",
        "//[x",
    ],
)
def test_what_is_not_served(target: str) -> None:
    exchange = quiet()
    reply = exchange.connect(target, ME, exchange.now)
    assert isinstance(reply, Reply)
    assert reply.status == 404


@pytest.mark.parametrize(
    "target", ["/public/ws", "/public/ws/", "/public", "/market/stream", "/private/ws?listenKey=x"]
)
def test_what_is_served(target: str) -> None:
    assert opened(quiet(), target)


def test_raw_and_combined() -> None:
    exchange = quiet()
    raw = opened(exchange, "/public/ws/btcusdt@depth@100ms/btcusdt@bookTicker")
    combined = opened(exchange, "/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker")
    escaped = opened(exchange, "/public/ws/btcusdt%40depth%40100ms")
    found: dict[int, list[Any]] = {raw: [], combined: [], escaped: []}
    for out in run(exchange, 1):
        found[out.connection].append(msgspec.json.decode(out.payload))
    assert found[raw] == [m["data"] for m in found[combined]]
    assert {m["stream"] for m in found[combined]} == {"btcusdt@depth@100ms", "btcusdt@bookTicker"}
    assert found[escaped] == [m for m in found[raw] if m["e"] == "depthUpdate"]


@pytest.mark.parametrize(
    ("route", "stream"),
    [
        ("market", "btcusdt@depth@100ms"), ("market", "btcusdt@bookTicker"), ("public", "btcusdt@aggTrade"),
        ("public", "btcusdt@markPrice@1s"), ("private", "btcusdt@depth"), ("public", "BTCUSDT@depth@100ms"),
        ("public", "nosuch@depth"), ("public", "btcusdt@depth7"), ("public", "btcusdt@depth@50ms"),
        ("public", "nonsense"), ("market", "btcusdt@kline_1m"),
    ],
)  # fmt: skip
def test_the_wrong_route_is_accepted_and_silent(route: str, stream: str) -> None:
    exchange = quiet()
    number = opened(exchange, f"/{route}/stream")
    assert ask(exchange, number, {"method": "SUBSCRIBE", "params": [stream], "id": 1}) == {
        "result": None,
        "id": 1,
    }
    assert ask(exchange, number, {"method": "LIST_SUBSCRIPTIONS", "id": 2}) == {"result": [stream], "id": 2}
    assert run(exchange, 5) == []


# ── control messages ──


@pytest.mark.parametrize("number", [1, 0, "5c1f8b6e-uuid", ""])
def test_subscribe_list_unsubscribe(number: int | str) -> None:
    exchange = quiet()
    link = opened(exchange, "/public/stream")
    assert run(exchange, 1) == []
    two = ["btcusdt@depth@100ms", "btcusdt@bookTicker"]
    assert ask(exchange, link, {"method": "SUBSCRIBE", "params": two, "id": number}) == {
        "result": None,
        "id": number,
    }
    assert {name for name, _ in texts(run(exchange, 1))} == {two[0]}
    assert ask(exchange, link, {"method": "LIST_SUBSCRIPTIONS", "id": number}) == {
        "result": two,
        "id": number,
    }
    assert ask(exchange, link, {"method": "UNSUBSCRIBE", "params": two, "id": number})["result"] is None
    assert run(exchange, 1) == []
    assert exchange.connections.listeners == {}


def test_properties() -> None:
    exchange = quiet()
    link = opened(exchange, "/public/ws/btcusdt@depth@100ms")
    assert ask(exchange, link, {"method": "GET_PROPERTY", "params": ["combined"], "id": 1}) == {
        "result": False,
        "id": 1,
    }
    assert (
        ask(exchange, link, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})["result"]
        is None
    )
    assert texts(run(exchange, 1))[0][0] == "btcusdt@depth@100ms"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", 3),
        (b"{", 3),
        (b"\xff\xfe", 3),
        (b"[" * 100_000, 3),
        (b"[]", 2),
        (b"7", 2),
        ({"method": "SUBSCRIBE", "params": ["a"]}, 2),
        ({"method": "SUBSCRIBE", "params": ["a"], "id": None}, 2),
        ({"method": "SUBSCRIBE", "params": ["a"], "id": True}, 2),
        ({"method": "SUBSCRIBE", "params": ["a"], "id": 1.5}, 2),
        ({"method": "SUBSCRIBE", "params": ["a"], "id": "x" * 65}, 2),
        ({"method": "NOTHING", "params": ["a"], "id": 1}, 2),
        ({"method": ["SUBSCRIBE"], "params": ["a"], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": "btcusdt@depth", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [f"s{n}@depth" for n in range(201)], "id": 1}, 2),
        ({"method": "GET_PROPERTY", "params": ["other"], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
    ],
)
def test_bad_messages_are_answered_with_an_error(message: Any, code: int) -> None:
    exchange = quiet()
    link = opened(exchange, "/public/stream")
    answer = ask(exchange, link, message)
    assert answer["error"]["code"] == code
    assert answer["error"]["msg"]
    assert exchange.connections.open[link].streams == {}


def test_two_hundred_streams_and_no_more() -> None:
    exchange = quiet(rules=Rules(messages_per_second=1_000))
    link = opened(exchange, "/public/stream?streams=" + "/".join(f"s{n}@depth" for n in range(199)))
    assert ask(exchange, link, {"method": "SUBSCRIBE", "params": ["a@depth", "b@depth"], "id": 1})["error"]
    assert ask(exchange, link, {"method": "SUBSCRIBE", "params": ["a@depth"], "id": 2})["result"] is None
    assert ask(exchange, link, {"method": "SUBSCRIBE", "params": ["a@depth"], "id": 3})["result"] is None
    reply = exchange.connect("/public/ws/" + "/".join(f"s{n}@depth" for n in range(201)), ME, exchange.now)
    assert isinstance(reply, Reply)
    assert reply.status == 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
COMMANDS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(
            ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]
        )
        | JSON,
        "params": st.lists(
            st.sampled_from(["btcusdt@depth", "!bookTicker", "combined", "x"]) | JSON, max_size=4
        )
        | JSON,
        "id": JSON,
    },
)
SHARED = quiet(rules=Rules(messages_per_second=10**9))
LINK = opened(SHARED, "/public/stream")


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=60), JSON.map(msgspec.json.encode), COMMANDS.map(msgspec.json.encode)))
@example(b'{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":18446744073709551616}')
def test_any_message_gets_one_answer(payload: bytes) -> None:
    answer = ask(SHARED, LINK, payload)
    assert set(answer) in ({"result", "id"}, {"error", "id"})


@settings(max_examples=200)
@given(st.text(max_size=60))
def test_any_address_is_answered(target: str) -> None:
    assert isinstance(SHARED.connect(target, ME, SHARED.now), int | Reply)


# ── rules ──


def test_ten_messages_a_second_then_a_cut_then_a_ban() -> None:
    exchange = quiet(rules=Rules(strikes=2))
    for _ in range(2):
        link = opened(exchange, "/public/stream")
        for n in range(11):
            exchange.receive(link, b"{}", exchange.now, ("text", "ping", "pong")[n % 3])
        last = exchange.advance(exchange.now)[-1]
        assert (last.connection, last.kind, last.code) == (link, "close", 1008)
        assert link not in exchange.connections.open
    reply = exchange.connect("/public/stream", ME, exchange.now)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["Retry-After"]) == (418, "120")
    assert isinstance(exchange.connect("/public/stream", "192.0.2.2", exchange.now), int)
    exchange.advance(exchange.now + 2 * MINUTE)
    assert opened(exchange, "/public/stream")


def test_ten_messages_every_second_are_fine() -> None:
    exchange = quiet()
    link = opened(exchange, "/public/stream")
    for _ in range(50):
        exchange.receive(link, b'{"method":"LIST_SUBSCRIPTIONS","id":1}', exchange.now)
        exchange.advance(exchange.now + 100 * MS)
    assert link in exchange.connections.open


def test_a_client_that_answers_pings_stays_for_a_day() -> None:
    exchange = quiet(seconds=5)
    link = opened(exchange, "/public/stream")
    pings, ends = [], []
    while exchange.now < exchange.start + DAY + MINUTE:
        for out in exchange.advance(
            max(exchange.now, min(exchange.next_time(), exchange.start + DAY + MINUTE))
        ):
            if out.kind == "ping":
                pings.append(exchange.now)
                exchange.receive(link, out.payload, exchange.now, "pong")
            else:
                ends.append((exchange.now - exchange.start, out.kind))
    assert len(pings) == DAY // (3 * MINUTE) - 1
    assert pings[0] == exchange.start + 3 * MINUTE
    assert ends == [(DAY, "close")]


@pytest.mark.parametrize("answer", [b"", b"something else", None])
def test_a_client_that_does_not_is_cut_after_ten_minutes(answer: bytes | None) -> None:
    exchange = quiet(seconds=5)
    link = opened(exchange, "/public/stream")
    ended: list[Out] = []
    for _ in range(11 * 60):
        for out in exchange.advance(exchange.now + SECOND):
            if out.kind == "ping" and answer is not None:
                exchange.receive(link, answer, exchange.now, "pong")
            elif out.kind != "ping":
                ended.append(out)
                assert exchange.now == exchange.start + 10 * MINUTE
    assert [out.kind for out in ended] == ["close"]


def test_too_many_connections() -> None:
    exchange = quiet(rules=Rules(connects_per_5_minutes=5))
    for _ in range(5):
        exchange.disconnect(opened(exchange, "/public/stream"), exchange.now)
    reply = exchange.connect("/public/stream", ME, exchange.now)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "300")
    exchange.advance(exchange.now + 300 * SECOND)
    assert opened(exchange, "/public/stream")


def test_what_has_gone_is_forgotten() -> None:
    exchange = synthetic(symbols=1)
    link = connected(exchange, "public", "synes@depth@100ms")
    exchange.disconnect(link, exchange.now)
    exchange.disconnect(link, exchange.now)
    exchange.receive(link, b"{}", exchange.now)
    assert run(exchange, 2) == []
    assert exchange.connections.listeners == {}
