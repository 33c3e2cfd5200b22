"""Every fault does what it says, when it says, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from depthscope.market import events as ev
from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_garbage import HUGE, VARIANTS
from depthscope.simulators.binance_rules import MINUTE, NEVER
from depthscope.simulators.binance_wire import Out, Reply
from tests.simulators.market import (
    DEPTH,
    ME,
    MS,
    SECOND,
    START,
    LocalBook,
    at,
    body,
    connected,
    contiguous,
    depth_of,
    dollars,
    event,
    get,
    messages,
    played,
    pulse,
    quiet,
    quiet_book,
    run,
    steps,
    texts,
    two,
)  # fmt: skip

# ── messages ──


def test_drop_makes_a_gap() -> None:
    plain = depth_of(quiet(), 5)
    told = depth_of(quiet(faults=["drop:BTCUSDT@2s"]), 5)
    assert told == [m for m in plain if at(m) != 2.0]
    assert not contiguous(told)


def test_drop_strikes_each_speed_and_only_its_symbol() -> None:
    names = [f"{s}@depth@{speed}" for s in ("btcusdt", "ethusdt") for speed in ("100ms", "500ms")]
    plain, faulty = two(), two(faults=["drop:BTCUSDT@2050ms"])
    for exchange in (plain, faulty):
        connected(exchange, "public", *names)
    a, b = texts(run(plain, 5)), texts(run(faulty, 5))
    missing = [(s, at(m)) for s, m in a if (s, m) not in b]
    assert missing == [("btcusdt@depth@100ms", 2.1), ("btcusdt@depth@500ms", 2.5)]


@pytest.mark.parametrize("number", [1, 2, 17, 40])
def test_drop_at_a_message_number(number: int) -> None:
    plain = depth_of(quiet(), 5)
    assert depth_of(quiet(faults=[f"drop:BTCUSDT@#{number}"]), 5) == plain[: number - 1] + plain[number:]


def test_drop_several_and_again() -> None:
    plain = depth_of(quiet(), 10)
    three = depth_of(quiet(faults=["drop@2s x3"]), 10)
    assert [at(m) for m in plain if m not in three] == [2.0, 2.1, 2.2]
    often = depth_of(quiet(faults=["drop@2s/3s"]), 10)
    assert [at(m) for m in plain if m not in often] == [2.0, 5.0, 8.0]
    window = depth_of(quiet(faults=["drop@2s+1s"]), 10)
    assert [at(m) for m in plain if m not in window] == [round(2 + n / 10, 1) for n in range(10)]


def test_random_times_are_of_the_seed() -> None:
    runs = [depth_of(quiet(faults=["drop@~2s"], seed=seed), 50) for seed in (1, 1, 2)]
    times = [[at(m) for m in run_] for run_ in runs]
    assert times[0] == times[1] != times[2]
    assert 10 <= 499 - len(times[0]) <= 50


def test_duplicate() -> None:
    plain = depth_of(quiet(), 5)
    told = depth_of(quiet(faults=["duplicate@2s"]), 5)
    index = next(n for n, m in enumerate(plain) if at(m) == 2.0)
    assert told == [*plain[: index + 1], plain[index], *plain[index + 1 :]]


def test_reorder() -> None:
    plain = depth_of(quiet(), 5)
    told = depth_of(quiet(faults=["reorder@2s"]), 5)
    index = next(n for n, m in enumerate(plain) if at(m) == 2.0)
    assert told == [*plain[:index], plain[index + 1], plain[index], *plain[index + 2 :]]


def test_unknown_level_is_harmless() -> None:
    exchange = quiet(faults=["unknown-level@2s x5"])
    told = depth_of(exchange, 5)
    odd = [m for m in told if ["0.10", "0.000"] in m["b"]]
    assert [at(m) for m in odd] == [2.0, 2.1, 2.2, 2.3, 2.4]
    assert contiguous(told)


@pytest.mark.parametrize("variant", VARIANTS)
def test_malformed_is_one_more_message(variant: str) -> None:
    plain, faulty = quiet(5), quiet(5, faults=[f"malformed={variant}@2s"])
    outs = []
    for exchange in (plain, faulty):
        connected(exchange, "public", DEPTH)
        outs.append([out.payload for out in run(exchange, 4)])
    (damaged,) = [payload for payload in outs[1] if payload not in outs[0]]
    assert [payload for payload in outs[1] if payload != damaged] == outs[0]
    assert outs[1].index(damaged) == 19


def test_each_variant_differs_and_some_are_no_json() -> None:
    made = depth_of(quiet(), 1)[-1]
    payloads = {name: make(made) for name, make in VARIANTS.items()}
    assert len(set(payloads.values())) == len(payloads)
    assert len(payloads["huge"]) > HUGE
    assert all(payload != msgspec.json.encode(made) for payload in payloads.values())
    for name in ("truncated", "empty", "text", "utf8", "deep", "bare-nan"):
        with pytest.raises((msgspec.DecodeError, RecursionError, UnicodeDecodeError)):
            msgspec.json.decode(payloads[name])


def test_malformed_takes_each_variant_in_turn() -> None:
    exchange = quiet(faults=[f"malformed@1s x{len(VARIANTS)}"])
    connected(exchange, "public", DEPTH)
    payloads = [out.payload for out in run(exchange, 8)]
    assert len(payloads) == 80 + len(VARIANTS)


def test_drop_trade() -> None:
    rows = [
        *quiet_book(),
        *(event(n * SECOND + MS, ev.TRADE, ev.BID, dollars("100.1"), n) for n in range(1, 9)),
    ]
    exchange = played(rows, faults=["drop-trade:BTCUSDT@3s"])
    connected(exchange, "market", "btcusdt@aggTrade")
    told = messages(exchange, 10)
    assert [t["q"] for t in told] == ["0.001", "0.002", "0.004", "0.005", "0.006", "0.007", "0.008"]
    assert told[2]["a"] - told[1]["a"] == 2
    history = body(get(exchange, "/fapi/v1/aggTrades", symbol="BTCUSDT"))
    assert len(history) == 8  # what was not streamed can be asked for


# ── symbols ──


def test_mute_silences_one_symbol_and_leaves_a_gap() -> None:
    exchange = two(faults=["mute:BTCUSDT@2s+3s"])
    connected(exchange, "public", DEPTH, "ethusdt@depth@100ms", "btcusdt@bookTicker")
    found = texts(run(exchange, 8))
    mine = [m for s, m in found if s == DEPTH]
    assert [at(m) for m in mine if 1.9 <= at(m) <= 5.0] == [1.9, 5.0]
    assert not contiguous(mine)
    others = [m for s, m in found if s == "ethusdt@depth@100ms"]
    assert contiguous(others)
    assert len(others) == 80
    assert len(exchange.connections.open) == 1


def test_lag_delays_and_never_reorders() -> None:
    exchange = quiet(faults=["lag=2s:BTCUSDT@2s+3s"])
    connected(exchange, "public", DEPTH)
    arrived: list[tuple[float, Any]] = []
    ahead = 0
    for outs in steps(exchange, 10):
        arrived += [((exchange.now - START) / SECOND, data) for _, data in texts(outs)]
        snapshot = body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=5))
        ahead += bool(arrived) and snapshot["lastUpdateId"] > arrived[-1][1]["u"] + 200
    assert contiguous([m for _, m in arrived])
    late = [round(when - at(m), 3) for when, m in arrived]
    assert [late[n] for n in (0, 18, 19, 30, 48)] == [0, 0, 2, 2, 2]
    assert late[80] == 0
    assert ahead > 20


def test_snapshot_behind() -> None:
    exchange = quiet(faults=["snapshot-behind:BTCUSDT@2010ms+5s"])
    connected(exchange, "public", DEPTH)
    run(exchange, 2.01)
    then = exchange.book("BTCUSDT")
    told = messages(exchange, 3)
    old = body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT"))
    assert old["lastUpdateId"] == then.last_id < told[0]["U"]
    run(exchange, 2.5)
    assert (
        body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT"))["lastUpdateId"]
        == exchange.book("BTCUSDT").last_id
    )


def test_beyond_is_in_the_stream_and_in_no_snapshot() -> None:
    exchange = quiet(faults=["beyond=2:BTCUSDT@2s+5s"])
    told = depth_of(exchange, 3)
    snapshot = body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=1000))
    assert [p for p, _ in snapshot["bids"]] == ["100.00", "99.90"]
    assert [p for p, _ in snapshot["asks"]] == ["100.10", "100.20"]
    assert any(price == "99.50" for m in told for price, _ in m["b"])
    run(exchange, 5)
    assert len(body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT"))["bids"]) == 4


def status(exchange: Exchange, symbol: str = "BTCUSDT") -> str:
    listed = body(get(exchange, "/fapi/v1/exchangeInfo"))["symbols"]
    return str(next(s["status"] for s in listed if s["symbol"] == symbol))


def test_halt_stops_everything_and_then_goes_on() -> None:
    exchange = two(faults=["halt:BTCUSDT@2s+3s"])
    connected(exchange, "public", DEPTH)
    connected(exchange, "market", "!contractInfo")
    found = texts(run(exchange, 4))
    assert status(exchange) == "SETTLING"
    assert status(exchange, "ETHUSDT") == "TRADING"
    assert [m["cs"] for s, m in found if s == "!contractInfo"] == ["SETTLING"]
    assert max(at(m) for s, m in found if s == DEPTH) <= 2.0
    found += texts(run(exchange, 4))
    assert status(exchange) == "TRADING"
    assert contiguous([m for s, m in found if s == DEPTH])
    free = two()
    run(free, 8)
    assert exchange.book("BTCUSDT").bids == free.book("BTCUSDT").bids


def test_halt_over_a_restart_of_the_recording() -> None:
    exchange = played([*quiet_book(), *pulse(2)], loop=True, faults=["halt@1s+5s"])
    told = depth_of(exchange, 20)
    assert contiguous(told)
    reader = LocalBook(last=told[0]["pu"])
    assert all(reader.update(m) == "applied" for m in told)
    book = exchange.book("BTCUSDT", "100ms")
    assert reader.as_lots(exchange.listings["BTCUSDT"].instrument) == (book.bids, book.asks)


def test_tick_change() -> None:
    exchange = quiet(faults=["tick=0.5:BTCUSDT@2s"])

    def tick() -> str:
        filters = body(get(exchange, "/fapi/v1/exchangeInfo"))["symbols"][0]["filters"]
        return str(filters[0]["tickSize"])

    assert tick() == "0.10"
    run(exchange, 3)
    assert tick() == "0.50"


def test_delisting() -> None:
    exchange = two(faults=["delist:BTCUSDT@2s"])
    connected(exchange, "public", DEPTH, "ethusdt@depth@100ms", "btcusdt@bookTicker", "!bookTicker")
    connected(exchange, "market", "btcusdt@markPrice@1s")
    found = texts(run(exchange, 6))
    assert max(at(m) for _, m in found if m["s"] == "BTCUSDT") <= 2.0
    assert max(at(m) for _, m in found if m["s"] == "ETHUSDT") == 6.0
    assert status(exchange) == "CLOSE"
    assert body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT"))["code"] == -1122
    assert [x["symbol"] for x in body(get(exchange, "/fapi/v1/premiumIndex"))] == ["ETHUSDT"]


# ── connections ──


def both(exchange: Exchange) -> tuple[int, int]:
    return connected(exchange, "public", DEPTH), connected(exchange, "market", "btcusdt@markPrice@1s")


def ends(outs: list[Out]) -> list[tuple[int, str, int]]:
    return [(out.connection, out.kind, out.code) for out in outs if out.kind in ("close", "abort")]


def test_disconnect_and_close() -> None:
    exchange = quiet(faults=["disconnect:public@2s", "close=1012:market@3s"])
    public, market = both(exchange)
    assert ends(run(exchange, 4)) == [(public, "abort", 0), (market, "close", 1012)]
    assert exchange.connections.open == {}
    assert connected(exchange, "public", DEPTH)


def test_storm() -> None:
    exchange = quiet(faults=["storm=500ms:public@2s+5s"])
    cut, outs = 0, run(exchange, 1.9)
    for _ in range(80):
        if not any(c.route == "public" for c in exchange.connections.open.values()):
            connected(exchange, "public", DEPTH)
        outs = run(exchange, 0.1)
        cut += len(ends(outs))
    assert cut == 10


def test_refuse() -> None:
    exchange = quiet(faults=["refuse:public@2s+5s"])
    run(exchange, 3)
    reply = exchange.connect("/public/stream", ME, exchange.now)
    assert isinstance(reply, Reply)
    assert reply.status == 503
    assert connected(exchange, "market")
    run(exchange, 5)
    assert connected(exchange, "public")


def test_freeze_is_silence_on_open_connections() -> None:
    exchange = quiet(faults=["freeze:public@2s+3s"])
    public, _ = both(exchange)
    run(exchange, 2.05)
    assert exchange.frozen(public)
    exchange.receive(public, b'{"method":"LIST_SUBSCRIPTIONS","id":1}', exchange.now)
    assert {out.connection for out in run(exchange, 2.5)} == {2}
    told = run(exchange, 3)
    assert {out.connection for out in told} == {1, 2}
    assert not exchange.frozen(public)


def test_nopong_cuts_who_answers() -> None:
    exchange = quiet(seconds=5, faults=["nopong@0s"])
    link = connected(exchange, "public")
    found = []
    for _ in range(11 * 60):
        for out in exchange.advance(exchange.now + SECOND):
            if out.kind == "ping":
                exchange.receive(link, out.payload, exchange.now, "pong")
            else:
                found.append((out.kind, exchange.now - START))
    assert found == [("close", 10 * MINUTE)]


def test_life() -> None:
    exchange = quiet(faults=["life=20s@5s"])
    first = connected(exchange, "public", DEPTH)
    run(exchange, 10)
    second = connected(exchange, "public", DEPTH)
    run_ = [
        (out.connection, out.kind, exchange.now)
        for outs in steps(exchange, 30)
        for out in outs
        if out.kind == "close"
    ]
    assert run_ == [(first, "close", START + 20 * SECOND), (second, "close", START + 30 * SECOND)]


# ── requests and the clock ──


@pytest.mark.parametrize("kind", ["403", "429", "418", "503"])
def test_refused_requests(kind: str) -> None:
    exchange = quiet(faults=[f"{kind}:depth@2s+5s"])
    run(exchange, 3)
    reply = get(exchange, "/fapi/v1/depth", symbol="BTCUSDT")
    assert reply.status == int(kind)
    assert reply.headers.get("Retry-After") == ("4" if kind in ("429", "418") else None)
    assert get(exchange, "/fapi/v1/ping").status == 200
    run(exchange, 5)
    assert get(exchange, "/fapi/v1/depth", symbol="BTCUSDT").status == 200


def test_refused_so_many_times() -> None:
    exchange = two(faults=["503:ETHUSDT x2", "429:time x1"])
    assert get(exchange, "/fapi/v1/depth", symbol="BTCUSDT").status == 200
    assert [get(exchange, "/fapi/v1/depth", symbol="ETHUSDT").status for _ in range(3)] == [503, 503, 200]
    reply = get(exchange, "/fapi/v1/time")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "30")


def test_slow_stalled_and_garbled() -> None:
    exchange = quiet(faults=["slow=2s:depth@1s+1s", "stall:depth@3s+1s", "garbled:time@5s x1"])
    delays = []
    for _ in range(5):
        delays.append(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT").delay)
        run(exchange, 1)
    assert delays == [0, 2 * SECOND, 0, NEVER, 0]
    damaged = get(exchange, "/fapi/v1/time")
    with pytest.raises(msgspec.DecodeError):
        body(damaged)
    assert "serverTime" in body(get(exchange, "/fapi/v1/time"))


def test_skew_moves_every_clock_the_venue_shows() -> None:
    exchange = quiet(faults=["skew=-1h@2s", "skew=+5s@4s+2s"])
    connected(exchange, "public", DEPTH, "btcusdt@bookTicker")
    offsets = []
    for outs in steps(exchange, 8):
        for _, data in texts(outs):
            offsets.append(
                ((exchange.now - START) / SECOND, data["E"] - exchange.now // MS, data["T"] - data["E"])
            )
        assert body(get(exchange, "/fapi/v1/time"))["serverTime"] == (exchange.now + exchange.skew) // MS
    seen = {offset // 1000 * 1000 for _, offset, _ in offsets}
    assert {0, -3_600_000, 5_000} <= seen
    assert all(-100 <= change <= 0 for _, _, change in offsets)
    assert exchange.skew == -3_600 * SECOND


# ── at run time ──


def test_faults_are_injected_and_reported() -> None:
    exchange = quiet()
    connected(exchange, "public", DEPTH)
    run(exchange, 1)
    reply = exchange.request(
        "POST", "/sim/fault", "", ME, exchange.now, b"drop:BTCUSDT x2\nmute:BTCUSDT@5s+1s\n"
    )
    assert body(reply) == {"faults": ["drop", "mute"]}
    assert len(messages(exchange, 1)) == 8
    told = body(get(exchange, "/sim/status"))
    assert told["faults"] == [
        {"kind": "drop", "target": "BTCUSDT", "until": NEVER, "struck": 6}
    ]  # two of each speed
    assert told["symbols"]["BTCUSDT"]["status"] == "TRADING"
    assert told["connections"][0]["streams"] == [DEPTH]
    for text in (
        b"",
        b"nonsense",
        b"drop:NOSUCH",
        b"drop\n" * 65,
        b"freeze\nnonsense",
        b"freeze\ndrop:NOSUCH",
    ):
        assert exchange.request("POST", "/sim/fault", "", ME, exchange.now, text).status == 400
    assert body(get(exchange, "/sim/status"))["faults"] == told["faults"], "all of them, or none"


def test_the_simulators_own_addresses_are_free() -> None:
    exchange = quiet(faults=["503@0s+1h"])
    assert get(exchange, "/sim/status").status == 200
    assert body(get(exchange, "/sim/status"))["addresses"] == {}
