"""Whatever is asked in whatever order: nothing breaks, and books and ids stay what they must be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.simulators.binance_faults import KINDS
from depthscope.simulators.binance_garbage import VARIANTS
from depthscope.simulators.binance_rules import MINUTE, Rules
from depthscope.simulators.binance_wire import Reply
from depthscope.venues.binance_decoder import Decoder
from tests.simulators.market import (
    ME,
    MS,
    SECOND,
    connected,
    event,
    get,
    played,
    pulse,
    quiet,
    quiet_book,
    run,
    texts,
)  # fmt: skip

TIMES = st.sampled_from([0, 1, MS, 7 * MS, 50 * MS, 100 * MS, SECOND, 61 * SECOND, 4 * MINUTE, 15 * MINUTE])
STREAMS = st.lists(
    st.sampled_from([
        "btcusdt@depth@100ms", "btcusdt@depth", "ethusdt@depth@500ms", "btcusdt@depth5@100ms", "!bookTicker",
        "btcusdt@bookTicker", "btcusdt@aggTrade", "!markPrice@arr@1s", "ethusdt@markPrice", "x",
        "!contractInfo",
    ]),
    max_size=4,
)  # fmt: skip
VALUES = {"skew": "=-1h", "tick": "=0.5", "lag": "=300ms", "storm": "=200ms", "slow": "=1s", "life": "=5s"}
FAULTS = st.builds(
    lambda kind, target, when: f"{kind}{VALUES.get(kind, '')}{target(kind)}{when(kind)}",
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([
        lambda kind: "",
        lambda kind: ":BTCUSDT" if KINDS[kind].about in ("depth", "trades", "symbol") else "",
    ]),
    st.sampled_from([
        lambda kind: "@1s", lambda kind: "@~2s", lambda kind: "@2s/3s", lambda kind: "",
        lambda kind: "@1s+500ms",
    ]),
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), TIMES),
        st.tuples(st.just("connect"), st.sampled_from(["public", "market", "private", "nowhere"]), STREAMS),
        st.tuples(st.just("leave"), st.integers(1, 6)),
        st.tuples(st.just("say"), st.integers(1, 6), st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE"]), STREAMS),
        st.tuples(
            st.just("frame"), st.integers(1, 6), st.binary(max_size=8), st.sampled_from(["ping", "pong"])
        ),
        st.tuples(
            st.just("get"), st.sampled_from(["depth", "aggTrades", "exchangeInfo", "premiumIndex", "time"])
        ),
        st.tuples(st.just("fault"), FAULTS),
    ),
    max_size=25,
)


@pytest.mark.untraced
@given(STEPS, st.booleans())
def test_any_sequence_of_calls(steps: list[tuple[Any, ...]], loop: bool) -> None:
    rows = [*quiet_book(), *quiet_book(2), *pulse(20), *pulse(20, 170 * MS, symbol=2)]
    exchange = played(rows, ("BTCUSDT", "ETHUSDT"), loop=loop, rules=Rules(messages_per_second=50, rpi=True))
    before = exchange.now
    open_now: set[int] = set()
    for name, *rest in steps:
        if name == "advance":
            for out in exchange.advance(exchange.now + min(rest[0], MINUTE if loop else rest[0])):
                assert out.connection in open_now or out.kind == "text"
                if out.kind in ("close", "abort"):
                    open_now.discard(out.connection)
        elif name == "connect":
            made = exchange.connect(f"/{rest[0]}/stream?streams={'/'.join(rest[1])}", ME, exchange.now)
            if isinstance(made, int):
                open_now.add(made)
            else:
                assert isinstance(made, Reply)
        elif name == "leave":
            exchange.disconnect(rest[0], exchange.now)
        elif name == "say":
            message = {"method": rest[1], "params": rest[2], "id": 1}
            exchange.receive(rest[0], msgspec.json.encode(message), exchange.now)
        elif name == "frame":
            exchange.receive(rest[0], rest[1], exchange.now, rest[2])
        elif name == "get":
            answer = get(exchange, f"/fapi/v1/{rest[0]}", symbol="BTCUSDT")
            assert answer.status in (200, 400, 403, 418, 429, 503)
        else:
            exchange.inject(rest[0], exchange.now)
        assert exchange.now >= before
        before = exchange.now
        for listing in exchange.listings.values():
            assert all(w.previous < w.first <= listing.last_id or not w.first for w in listing.windows)
            assert min((n for side in listing.book.sides for n in side.values()), default=1) > 0


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_our_decoder_applies_no_damaged_message(variant: str, fast: bool) -> None:
    exchange = quiet(faults=[f"malformed={variant}@2s x3"])
    connected(exchange, "public", "btcusdt@depth@100ms")
    run(exchange, 0.5)
    decoder = Decoder(tick=10**8, lot=10**6, fast=fast)
    decoder.step(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=1000).body, exchange.now, "BTCUSDT")
    for out in run(exchange, 4):
        decoder.step(out.payload, exchange.now)
    refused = sum(decoder.rejected.values()) + sum(decoder.skipped.values())
    assert refused == 3
    assert decoder.counters()["level changes"] == 40  # those of the sound messages


def test_a_delisted_symbol_takes_back_what_a_fault_put_there() -> None:
    exchange = quiet(faults=["crossed:BTCUSDT@1s+5s", "delist:BTCUSDT@2s"])
    connected(exchange, "public", "btcusdt@bookTicker")
    assert all(m["E"] <= exchange.start // MS + 2_000 for _, m in texts(run(exchange, 10)))


def test_events_of_one_moment_keep_their_order() -> None:
    rows = [event(MS, 76, 66, 100 * 10**9, size) for size in (1, 2, 3)]
    exchange = played(rows)
    connected(exchange, "public", "btcusdt@bookTicker")
    assert [m["B"] for _, m in texts(run(exchange, 1))] == ["0.001", "0.002", "0.003"]
