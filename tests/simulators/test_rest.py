"""REST: bodies, weights, errors, bans."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_rules import DAY, MINUTE, Rules
from depthscope.simulators.binance_wire import Reply
from tests.simulators.market import (
    ME,
    MS,
    SECOND,
    START,
    body,
    connected,
    get,
    messages,
    played,
    quiet,
    quiet_book,
    run,
    synthetic,
)  # fmt: skip

USED = "X-MBX-USED-WEIGHT-1M"


@pytest.fixture(scope="module")
def busy() -> Exchange:
    exchange = synthetic(symbols=2, minutes=3, rules=Rules(weight_per_minute=10**9))
    connected(exchange, "market", "synbtc@aggTrade")
    run(exchange, 100)
    return exchange


def refused(reply: Reply) -> tuple[int, int]:
    return reply.status, body(reply)["code"]


def test_ping_and_time() -> None:
    exchange = quiet()
    run(exchange, 1.2345)
    assert body(get(exchange, "/fapi/v1/ping")) == {}
    assert body(get(exchange, "/fapi/v1/time")) == {"serverTime": START // MS + 1_234}


@pytest.mark.parametrize(
    ("limit", "weight"), [(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20), (None, 10)]
)
def test_depth_limits_and_weights(busy: Exchange, limit: int | None, weight: int) -> None:
    before = busy.limits.of(ME, busy.now).used
    asked = {} if limit is None else {"limit": limit}
    reply = get(busy, "/fapi/v1/depth", symbol="SYNBTC", **asked)
    told, book = body(reply), busy.book("SYNBTC")
    most = limit or 500
    assert reply.status == 200
    assert reply.headers[USED] == str(before + weight)
    assert len(told["bids"]) == min(most, len(book.bids))
    assert [float(p) for p, _ in told["bids"]] == sorted((float(p) for p, _ in told["bids"]), reverse=True)
    assert [float(p) for p, _ in told["asks"]] == sorted(float(p) for p, _ in told["asks"])
    assert told["lastUpdateId"] == book.last_id
    assert told["T"] <= told["E"] == busy.now // MS


def test_exchange_info_tells_tick_and_lot(busy: Exchange) -> None:
    told = body(get(busy, "/fapi/v1/exchangeInfo"))
    symbols = {s["symbol"]: s for s in told["symbols"]}
    filters = {f["filterType"]: f for f in symbols["SYNBTC"]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert {f["filterType"]: f for f in symbols["SYNES"]["filters"]}["PRICE_FILTER"]["tickSize"] == "0.250"
    assert symbols["SYNBTC"]["status"] == "TRADING"
    weights = [r for r in told["rateLimits"] if r["rateLimitType"] == "REQUEST_WEIGHT"]
    assert weights == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 10**9}
    ]


@pytest.mark.parametrize(
    ("symbol", "base", "quote"),
    [("BTCUSDT", "BTC", "USDT"), ("ETHUSDC", "ETH", "USDC"), ("ES", "ES", "USDT")],
)
def test_base_and_quote(symbol: str, base: str, quote: str) -> None:
    exchange = played(quiet_book(), (symbol,))
    (told,) = body(get(exchange, "/fapi/v1/exchangeInfo"))["symbols"]
    assert (told["baseAsset"], told["quoteAsset"]) == (base, quote)


def test_premium_index_and_tickers(busy: Exchange) -> None:
    one = body(get(busy, "/fapi/v1/premiumIndex", symbol="SYNBTC"))
    assert one["symbol"] == "SYNBTC"
    assert float(one["markPrice"]) == pytest.approx(64_000, rel=0.05)
    assert [x["symbol"] for x in body(get(busy, "/fapi/v1/premiumIndex"))] == ["SYNES", "SYNBTC"]
    ticker = body(get(busy, "/fapi/v1/ticker/bookTicker", symbol="SYNBTC"))
    depth = body(get(busy, "/fapi/v1/depth", symbol="SYNBTC", limit=5))
    assert [[ticker["bidPrice"], ticker["bidQty"]], [ticker["askPrice"], ticker["askQty"]]] == [
        depth["bids"][0], depth["asks"][0],
    ]  # fmt: skip


# ── history ──


def history(exchange: Exchange, **query: Any) -> list[Any]:
    found = body(get(exchange, "/fapi/v1/aggTrades", symbol="SYNBTC", **query))
    assert isinstance(found, list), found
    return found


def test_history_is_what_was_streamed() -> None:
    exchange = synthetic(symbols=2)
    connected(exchange, "market", "synbtc@aggTrade")
    streamed = messages(exchange, 30)
    keys = ("a", "p", "q", "nq", "f", "l", "T", "m")
    assert history(exchange, limit=1000) == [{k: t[k] for k in keys} for t in streamed[-1000:]]


def test_history_pages_by_id(busy: Exchange) -> None:
    listing = busy.listings["SYNBTC"]
    everything = [listing.told(t) for t in listing.trades]
    first = everything[0]["a"]
    pages, at = [], first
    while page := history(busy, fromId=at, limit=700):
        pages += page
        at = page[-1]["a"] + 1
    assert pages == everything


def test_history_by_time_is_inclusive(busy: Exchange) -> None:
    listing = busy.listings["SYNBTC"]
    everything = [listing.told(t) for t in listing.trades]
    start, end = everything[10]["T"], everything[200]["T"]
    wanted = [t for t in everything if start <= t["T"] <= end]
    assert history(busy, startTime=start, endTime=end, limit=1000) == wanted
    assert history(busy, startTime=start, endTime=end, limit=3) == wanted[:3]
    assert history(busy, startTime=start, limit=5) == [t for t in everything if t["T"] >= start][:5]
    assert len(history(busy)) == 500


def test_history_has_an_end() -> None:
    exchange = synthetic(symbols=2, rules=Rules(history=5 * SECOND, history_rows=50))
    connected(exchange, "market", "synbtc@aggTrade")
    run(exchange, 30)
    found = history(exchange, limit=1000)
    assert 0 < len(found) <= 50
    assert all(t["T"] >= exchange.now // MS - 5_000 for t in found)


# ── errors ──


@pytest.mark.parametrize(
    ("path", "query", "wanted"),
    [
        ("/fapi/v1/depth", "", (400, -1102)),
        ("/fapi/v1/depth", "symbol=", (400, -1102)),
        ("/fapi/v1/depth", "symbol=NOSUCH", (400, -1121)),
        ("/fapi/v1/depth", "symbol=btcusdt", (400, -1121)),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=7", (400, -4021)),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=0", (400, -4021)),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=5000", (400, -4021)),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=-5", (400, -1102)),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=1_000", (400, -1102)),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=５", (400, -1102)),
        ("/fapi/v1/depth", "symbol=BTCUSDT&symbol=BTCUSDT", (400, -1101)),
        ("/fapi/v1/depth", "&".join(f"a{n}=1" for n in range(40)), (400, -1101)),
        ("/fapi/v1/rpiDepth", "symbol=BTCUSDT&limit=5", (400, -4021)),
        ("/fapi/v1/aggTrades", "symbol=BTCUSDT&limit=1001", (400, -1130)),
        ("/fapi/v1/aggTrades", "symbol=BTCUSDT&limit=0", (400, -1130)),
        ("/fapi/v1/aggTrades", "symbol=BTCUSDT&fromId=x", (400, -1102)),
        ("/fapi/v1/aggTrades", "symbol=BTCUSDT&startTime=2&endTime=1", (400, -1023)),
        ("/fapi/v1/aggTrades", "symbol=BTCUSDT&startTime=0&endTime=3600000", (400, -1127)),
        ("/fapi/v1/premiumIndex", "symbol=NOSUCH", (400, -1121)),
        ("/fapi/v1/nothing", "", (404, -5000)),
        ("/", "", (404, -5000)),
        ("/sim/book", "symbol=NOSUCH", (400, -1130)),
        ("/sim/book", "", (400, -1102)),
        ("/sim/book", "symbol=BTCUSDT&speed=1s", (400, -1130)),
        ("/sim/nothing", "", (404, -5000)),
    ],
)
def test_errors(path: str, query: str, wanted: tuple[int, int]) -> None:
    exchange = quiet()
    reply = exchange.request("GET", path, query, ME, exchange.now)
    assert refused(reply) == wanted
    assert body(reply)["msg"]


def test_other_methods() -> None:
    exchange = quiet()
    assert exchange.request("POST", "/fapi/v1/depth", "symbol=BTCUSDT", ME, exchange.now).status == 404


# ── weights and bans ──


def test_weight_is_by_address_and_minute() -> None:
    exchange = quiet(seconds=200)
    for _ in range(3):
        get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    assert get(exchange, "/fapi/v1/ping").headers[USED] == "61"
    assert get(exchange, "/fapi/v1/ping", "192.0.2.2").headers[USED] == "1"
    assert get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=7).headers[USED] == "63"  # errors cost too
    exchange.advance((exchange.now // MINUTE + 1) * MINUTE)
    assert get(exchange, "/fapi/v1/ping").headers[USED] == "1"


def test_too_much_is_429_with_the_rest_of_the_minute() -> None:
    exchange = quiet(seconds=200)
    run(exchange, 12.5)
    for _ in range(120):
        assert get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=1000).status == 200
    reply = get(exchange, "/fapi/v1/ping")
    assert refused(reply) == (429, -1003)
    left = MINUTE - exchange.now % MINUTE
    assert int(reply.headers["Retry-After"]) == -(-left // SECOND)
    exchange.advance(exchange.now + int(reply.headers["Retry-After"]) * SECOND)
    assert get(exchange, "/fapi/v1/ping").status == 200


def test_going_on_is_a_ban_and_bans_grow() -> None:
    exchange = quiet(rules=Rules(weight_per_minute=10, patience=3))
    lengths = []
    for _ in range(14):
        waited = None
        for _ in range(20):
            reply = get(exchange, "/fapi/v1/ping")
            if reply.status == 418:
                waited = int(reply.headers["Retry-After"])
                break
        assert waited is not None
        lengths.append(waited)
        assert refused(reply) == (418, -1003)
        assert get(exchange, "/fapi/v1/ping", "192.0.2.2").status in (
            200,
            429,
        )  # an address is banned, not all
        exchange.advance(exchange.now + waited * SECOND)
    assert lengths[:4] == [120, 240, 480, 960]
    assert lengths[-1] == 3 * DAY // SECOND
    assert get(exchange, "/fapi/v1/ping").status == 200


def test_a_ban_grows_for_who_goes_on() -> None:
    exchange = quiet(rules=Rules(weight_per_minute=1, patience=1))
    for _ in range(20):
        get(exchange, "/fapi/v1/ping")
    reply = get(exchange, "/fapi/v1/ping")
    assert reply.status == 418
    assert int(reply.headers["Retry-After"]) > 240


# ── anything at all ──

WORDS = st.one_of(
    st.sampled_from(
        ["symbol", "limit", "fromId", "startTime", "endTime", "BTCUSDT", "5", "1000", "speed", "100ms"]
    ),
    st.text(max_size=8),
    st.integers(-(10**20), 10**20).map(str),
)
PATHS = st.one_of(
    st.sampled_from(
        [
            "/fapi/v1/" + n
            for n in (
                "depth",
                "aggTrades",
                "exchangeInfo",
                "premiumIndex",
                "ticker/bookTicker",
                "rpiDepth",
                "time",
            )
        ]
        + ["/sim/book", "/sim/fault", "/sim/status", "/sim"]
    ),
    st.text(max_size=20),
)
SHARED = quiet(rules=Rules(weight_per_minute=10**12))


@settings(max_examples=400)
@given(
    st.sampled_from(["GET", "POST", "PUT", "x"]),
    PATHS,
    st.one_of(st.text(max_size=40), st.lists(st.tuples(WORDS, WORDS), max_size=5).map(urlencode)),
    st.binary(max_size=60),
)
@example("POST", "/sim/fault", "", b"drop:BTCUSDT@#0")
@example("POST", "/sim/fault", "", b"\xff\xfe")
def test_any_request_is_answered(method: str, path: str, query: str, payload: bytes) -> None:
    reply = SHARED.request(method, path, query, ME, SHARED.now, payload)
    assert reply.status in (200, 400, 404, 503, 429, 418)
    if reply.status != 200:
        assert set(body(reply)) == {"code", "msg"}
