"""What each Binance message becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from depthscope.market import events as ev
from depthscope.venues.binance_decoder import MOST_BYTES, Decoder
from depthscope.venues.binance_layout import pack6, pack7
from tests.venues.binance_feed import MS, NS, depth, message, snapshot
from tests.venues.dict_book import as_dicts

BOTH = pytest.mark.parametrize("fast", [True, False], ids=["scanner", "slow path"])
BEFORE = NS - 1_200_000_000  # received before it happened: the recorder's clock was behind


def trade(**fields: Any) -> bytes:
    return message("trade", **({"t": 77, "p": "61800.30", "q": "0.006", "X": "MARKET", "m": False} | fields))


def agg_trade(**fields: Any) -> bytes:
    return message(
        "aggTrade", **({"a": 5, "p": "61800.30", "q": "0.100", "f": 1, "l": 2, "m": True} | fields)
    )


def quote(**fields: Any) -> bytes:
    return message(
        "bookTicker", **({"u": 99, "b": "61800.20", "B": "2.507", "a": "61800.30", "A": "2.510"} | fields)
    )


def decode(decoder: Decoder, *frames: bytes) -> list[dict[str, int]]:
    for frame in frames:
        decoder.step(frame, BEFORE)
    return as_dicts(decoder.take())


def shape(events: list[dict[str, int]]) -> list[tuple[str, str, int, int, int]]:
    """(action, side, price, size, flags) of each event."""
    return [(chr(e["action"]), chr(e["side"]), e["price"], e["size"], e["flags"]) for e in events]


def test_packed_words_are_event_fields() -> None:
    row = np.array(
        [[1, 2, 3, 4, 5, 6, pack6(0xFFFFFFFF, 0x7FFFFFFF), pack7(65535, ev.LEVEL, ev.ASK, 255, 63)]]
    )
    event = as_dicts(row.astype(np.int64).reshape(-1).view(ev.EVENT))[0]
    assert event == {
        "ts_event": 1, "ts_recv": 2, "order_id": 3, "price": 4, "size": 5, "sequence": 6,
        "instrument_id": 0xFFFFFFFF, "aux": 0x7FFFFFFF, "publisher": 65535, "cond": 63,
        "action": ev.LEVEL, "side": ev.ASK, "flags": 255, "reserved": 0,
    }  # fmt: skip


@BOTH
def test_snapshot_and_update(fast: bool) -> None:
    decoder = Decoder(only_symbol="BTCUSDT", fast=fast)
    got = decode(
        decoder,
        snapshot(100, [["61800.20", "2.909"]], [["61800.30", "1.000"], ["61800.40", "0.5"]]),
        depth(90, 105, 80, [["61800.20", "0.000"], ["61800.10", "7"]], [["61800.3", "1.001"]]),
        depth(106, 110, 105),
    )
    tick = 10**8
    assert shape(got) == [
        ("R", "N", ev.UNDEF_PRICE, 0, ev.SNAPSHOT),
        ("L", "B", 618002 * tick, 2909, ev.SNAPSHOT),
        ("L", "A", 618003 * tick, 1000, ev.SNAPSHOT),
        ("L", "A", 618004 * tick, 500, ev.SNAPSHOT | ev.LAST),
        ("L", "B", 618002 * tick, 0, 0),
        ("L", "B", 618001 * tick, 7000, 0),
        ("L", "A", 618003 * tick, 1001, ev.LAST),
        ("N", "N", ev.UNDEF_PRICE, 0, ev.LAST),
    ]
    assert {e["sequence"] for e in got[:4]} == {100}
    assert [e["sequence"] for e in got[4:]] == [105, 105, 105, 110]
    assert {e["ts_event"] for e in got} == {NS}
    assert {e["ts_recv"] for e in got} == {BEFORE}
    assert {(e["publisher"], e["instrument_id"], e["order_id"], e["aux"]) for e in got} == {(1, 1, 0, 0)}
    instrument = decoder.instruments[1, 1]
    assert (instrument.symbol, instrument.price(got[1]["price"]), instrument.size(2909)) == (
        "BTCUSDT", Decimal("61800.2"), Decimal("2.909"),
    )  # fmt: skip
    assert decoder.state("BTCUSDT") == "LIVE"


@BOTH
def test_empty_snapshot_is_one_group(fast: bool) -> None:
    assert shape(decode(Decoder(only_symbol="BTCUSDT", fast=fast), snapshot(100))) == [
        ("R", "N", ev.UNDEF_PRICE, 0, ev.SNAPSHOT | ev.LAST)
    ]


@BOTH
@pytest.mark.parametrize(("maker", "side"), [(True, "A"), (False, "B"), (None, "N")])
def test_maker_buyer_means_sell_aggressor(fast: bool, maker: bool | None, side: str) -> None:
    for frame in (trade(m=maker), agg_trade(m=maker)):
        decoder = Decoder(fast=fast)
        first, again = decode(decoder, frame, frame)
        assert (chr(first["action"]), chr(first["side"]), first["flags"]) == ("T", side, ev.LAST)
        assert first == again


@BOTH
def test_trade_kinds(fast: bool) -> None:
    decoder = Decoder(fast=fast)
    whole, fund, dropped = trade(), trade(X="INSURANCE_FUND"), trade(X="NA", p="0", q="0")
    got = decode(decoder, whole, fund, dropped, agg_trade())
    off_book = ev.COND_OFF_BOOK | ev.COND_NOT_LAST | ev.COND_NOT_VOLUME | ev.COND_NOT_HIGH_LOW
    assert [(e["price"], e["size"], e["cond"], e["sequence"]) for e in got] == [
        (618003 * 10**8, 6, 0, 77), (618003 * 10**8, 6, off_book, 77),
    ]  # fmt: skip
    assert decoder.skipped == {"trade without a fill": 1, "aggTrade beside trade": 1}


@BOTH
def test_first_trade_stream_of_a_symbol_is_used(fast: bool) -> None:
    decoder = Decoder(fast=fast)
    got = decode(decoder, agg_trade(), trade(), agg_trade(a=6), trade(s="ETHUSDT", p="2600.5"))
    assert [(e["instrument_id"], e["sequence"]) for e in got] == [(1, 5), (1, 6), (2, 77)]
    assert decoder.skipped == {"trade beside aggTrade": 1}


@BOTH
def test_aggregate_size_leaves_price_improvement_out(fast: bool) -> None:
    decoder = Decoder(fast=fast)
    got = decode(decoder, agg_trade(), agg_trade(nq="0.080"), agg_trade(nq="0.000"))
    assert [e["size"] for e in got] == [100, 80]
    assert decoder.skipped == {"aggTrade of retail price improvement orders only": 1}


@BOTH
def test_quote_is_two_sides_of_one_group(fast: bool) -> None:
    got = decode(Decoder(fast=fast), quote(), quote(b="0.00", B="0.000"))
    assert shape(got) == [
        ("Q", "B", 618002 * 10**8, 2507, 0), ("Q", "A", 618003 * 10**8, 2510, ev.LAST),
        ("Q", "B", ev.UNDEF_PRICE, 0, 0), ("Q", "A", 618003 * 10**8, 2510, ev.LAST),
    ]  # fmt: skip
    assert {(e["sequence"], e["ts_event"]) for e in got} == {(99, NS)}


@BOTH
def test_venue_time_falls_back(fast: bool) -> None:
    decoder = Decoder(fast=fast)
    got = decode(decoder, trade(T=None), trade(T=None, E=None), quote(T=0))
    assert [e["ts_event"] for e in got] == [NS + 5_000_000, BEFORE, NS + 5_000_000, NS + 5_000_000]


@BOTH
def test_messages_without_events_are_counted_by_reason(fast: bool) -> None:
    decoder = Decoder(fast=fast)
    frames = [
        message("markPriceUpdate", p="1"), message("kline", k={"a": [1]}), message("somethingNew"),
        b'{"result":null,"id":1}', b'{"error":{"code":2,"msg":"Invalid request"},"id":"x"}',
        b'{"code":-1121,"msg":"Invalid symbol."}', b'{"stream":"!ticker@arr","data":[{"e":"24hrTicker"}]}',
        b'{"stream":"btcusdt@depth5@100ms","data":' + depth(1, 2, 0) + b"}",
        b'{"stream":"btcusdt@rpiDepth@500ms","data":' + depth(1, 2, 0) + b"}",
        b'{"data":' + depth(1, 2, 0) + b',"stream":"btcusdt@depth20"}',
        b"{}", snapshot(5, symbol="NOTICK"),
    ]  # fmt: skip
    assert decode(decoder, *frames) == []
    assert decoder.skipped == {
        "markPriceUpdate": 1, "kline": 1, "other event": 1, "control reply": 1, "error reply": 2,
        "list of summaries": 1, "partial depth stream": 2, "RPI depth stream": 1, "other message": 1,
        "no tick is known for the symbol": 1,
    }  # fmt: skip
    assert decoder.rejected == {}
    assert decoder.counters()["frames"] == len(frames)


def test_reasons_are_a_closed_set() -> None:
    decoder = Decoder()
    decode(decoder, *(message(f"event{k}") for k in range(100)))
    assert decoder.skipped == {"other event": 100}


@BOTH
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "empty"),
        (b"{", "malformed JSON"),
        (b"[1,2]", "not a JSON object"),
        (b"\xff\xfe", "malformed JSON"),
        (b'{"e":"trade","s":"\\ud800"}', "malformed JSON"),
        (b"[" * 100_000, "malformed JSON"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "malformed JSON"),
        (b'{"data":[' + b"1," * MOST_BYTES + b"1]}", "longer than 4 MiB"),
        (b'{"stream":"x","data":5}', "not a JSON object"),
        (depth(1, 2, 0, [["1.5", "NaN"]]), "bad size"),
        (depth(1, 2, 0, [["1.5", "1e3"]]), "bad size"),
        (depth(1, 2, 0, [["1.5", "-1"]]), "bad size"),
        (depth(1, 2, 0, [["1.5", "1_000"]]), "bad size"),
        (depth(1, 2, 0, [["1.5", " 1"]]), "bad size"),
        (depth(1, 2, 0, [["1.5", "1."]]), "bad size"),
        (depth(1, 2, 0, [["1.5", 1]]), "bad size"),
        (depth(1, 2, 0, [["1.5", None]]), "bad size"),
        (depth(1, 2, 0, [["1.5", "0.0005"]]), "size off the lot grid"),
        (depth(1, 2, 0, [["1.5", "0.123456789"]]), "size off the lot grid"),
        (depth(1, 2, 0, [["1.5", "0.1234567890"]]), "bad size"),
        (depth(1, 2, 0, [["1.5", "1000000000000.001"]]), "bad size"),
        (depth(1, 2, 0, [["1.5", "9" * 19]]), "bad size"),
        (depth(1, 2, 0, [["Infinity", "1"]]), "bad price"),
        (depth(1, 2, 0, [["-1.5", "1"]]), "bad price"),
        (depth(1, 2, 0, [["1e5", "1"]]), "bad price"),
        (depth(1, 2, 0, [["0.00", "1"]]), "bad price"),
        (depth(1, 2, 0, [["0.0000000001", "1"]]), "bad price"),
        (depth(1, 2, 0, [["9223372036.854775807", "1"]]), "bad price"),
        (depth(1, 2, 0, [["", "1"]]), "bad price"),
        (depth(1, 2, 0, [["\uff11", "1"]]), "bad price"),
        (depth(1, 2, 0, [["1.5"]]), "bad level"),
        (depth(1, 2, 0, ["1.5"]), "bad level"),
        (depth(1, 2, 0, {}), "bad level"),
        (depth(1, 2, 0, None), "bad level"),
        (depth(3, 2, 0), "bad id"),
        (depth(-1, 2, 0), "bad id"),
        (depth(1, 10**18, 0), "bad id"),
        (depth(1, 2.5, 0), "bad id"),  # type: ignore[arg-type]
        (depth(1, 2, 0, s=""), "bad symbol"),
        (depth(1, 2, 0, s=5), "bad symbol"),
        (depth(1, 2, 0, s="A" * 33), "bad symbol"),
        (depth(1, 2, 0, s="BTC\nUSDT"), "bad symbol"),
        (depth(1, 2, 0, T="x"), "bad time"),
        (depth(1, 2, 0, T=10**15), "bad time"),
        (depth(1, 2, 0, T=True), "bad time"),
        (depth(1, 2, 0).replace(b'"pu":0,', b""), "depth update without pu: not a USD-M futures stream"),
        (trade(q="0"), "bad size"),
        (trade(p="0"), "bad price"),
        (trade(m="yes"), "bad aggressor"),
        (trade(t=None), "bad id"),
        (quote(b="0", B="1"), "bad price"),
        (quote(u=None), "bad id"),
        (snapshot(-5), "bad id"),
    ],
)  # fmt: skip
def test_damage_is_rejected_and_counted(fast: bool, frame: bytes, reason: str) -> None:
    decoder = Decoder(only_symbol="BTCUSDT", fast=fast)
    decode(decoder, snapshot(1))
    assert [e for e in decode(decoder, frame) if chr(e["action"]) != "X"] == []
    assert decoder.rejected == {reason: 1}
    assert decoder.skipped == {}


@BOTH
def test_a_damaged_update_makes_the_book_stale_at_once(fast: bool) -> None:
    decoder = Decoder(only_symbol="BTCUSDT", fast=fast)
    got = decode(decoder, snapshot(10), depth(5, 12, 3), depth(13, 14, 12, [["61800.20", "0.0005"]]))
    assert [chr(e["action"]) for e in got] == ["R", "N", "X"]
    assert decoder.state("BTCUSDT") == "SYNCING"
    assert [(r.kind, r.symbol) for r in decoder.requests] == [("snapshot", "BTCUSDT")]


@pytest.mark.parametrize("ts_recv", [0, -1, 10**16, 2**63])
def test_absurd_receive_time_is_rejected(ts_recv: int) -> None:
    decoder = Decoder()
    assert decoder.step(trade(), ts_recv) == 0
    assert decoder.rejected == {"bad receive time": 1}


def test_unknown_symbol_is_quarantined_until_its_grid_is_known() -> None:
    decoder = Decoder()
    assert decode(decoder, trade(s="SUSHIUSDT", q="3", p="7.611"), trade()) != []
    assert decoder.skipped == {"no tick is known for the symbol": 1}
    assert [(r.kind, r.symbol) for r in decoder.requests] == [("instrument", "SUSHIUSDT")]
    assert "--tick" in decoder.requests[0].reason
    assert decoder.state("SUSHIUSDT") == "UNKNOWN"
    information = (
        b'{"rateLimits":[],"symbols":[{"symbol":"SUSHIUSDT","filters":[{"filterType":"PRICE_FILTER",'
        b'"tickSize":"0.0010"},{"filterType":"LOT_SIZE","stepSize":"1"}]},{"symbol":"BAD"},5]}'
    )
    got = decode(decoder, information, trade(s="SUSHIUSDT", q="3", p="7.611"))
    assert [(e["instrument_id"], e["price"], e["size"]) for e in got] == [(1, 7_611_000_000, 3)]
    assert (decoder.instruments[1, 1].tick, decoder.instruments[1, 1].lot) == (10**6, 10**9)


def test_given_grid_wins_and_known_symbols_keep_theirs() -> None:
    decoder = Decoder(tick=10**7, lot=25 * 10**5)
    got = decode(decoder, trade(q="0.005"))
    assert [e["size"] for e in got] == [2]
    decoder.learn({"BTCUSDT": {"tick": 1, "lot": 1}})
    assert decoder.instruments[1, 1].tick == 10**7
    assert decode(decoder, trade(q="0.006")) == []
    assert decoder.rejected == {"size off the lot grid": 1}


def test_too_many_symbols_are_counted_not_kept() -> None:
    decoder = Decoder(tick=1, lot=1)
    for k in range(4_200):
        decoder.step(trade(s=f"S{k}"), NS)
        decoder.take()
    assert len(decoder.instruments) == 4_096
    assert decoder.skipped == {"more symbols than the table holds": 104}


def test_symbols_of_any_script_share_the_table() -> None:
    decoder = Decoder(tick=10**7, lot=10**6)
    names = ["\u5e01\u5b89\u4eba\u751fUSDT", "1000SHIBUSDT", "BTCUSDT_240329", "A" * 32, "B" * 31]
    got = decode(decoder, *(trade(s=name) for name in names * 2))
    assert [e["instrument_id"] for e in got] == [1, 2, 3, 4, 5] * 2
    assert [i.symbol for i in decoder.instruments.values()] == names


def test_times_are_kept_for_the_report() -> None:
    decoder = Decoder()
    for frame, ts in ((trade(), NS), (quote(), NS - 300), (message("kline"), NS - 900), (trade(), NS + 5)):
        decoder.step(frame, ts)
    assert decoder.clock() == {"back": 600, "least lag": -300, "most lag": 5}
    assert decoder.counters()["receive times going back"] == 2
    assert MS * 10**6 == NS
