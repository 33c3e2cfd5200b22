"""Streams: the venue's recipe for a local book gives the exchange's book, and the tape its trades."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depthscope.errors import CorruptData, EmptyData, NoBookData, UnknownInstrument
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.runtime.sources import open_source
from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_playback import EventSource
from depthscope.simulators.binance_rules import Rules
from tests.simulators.market import (
    MS,
    SECOND,
    START,
    LocalBook,
    body,
    connected,
    contiguous,
    dollars,
    event,
    events,
    get,
    instrument,
    messages,
    played,
    pulse,
    quiet,
    quiet_book,
    run,
    steps,
    synthetic,
    texts,
)  # fmt: skip

SMALL = ("AKROUSDT", "KEEPUSDT", "CTKUSDT")  # books that fit in a snapshot
SPEEDS = ("100ms", "250ms", "500ms")


def follow(exchange: Exchange, seconds: float, snapshot_every: float) -> dict[str, int]:
    """Read every depth stream of every symbol; how many updates were compared with the exchange's book.

    A book is started anew from a snapshot taken at whatever moment, so that snapshots fall between
    two messages, right after one, and while nothing has changed.
    """
    names = {f"{name.lower()}@depth@{speed}": (name, speed) for name in exchange.listings for speed in SPEEDS}
    for n in range(0, len(names), 150):
        connected(exchange, "public", *list(names)[n : n + 150])
    readers: dict[str, LocalBook] = {}
    buffered: dict[str, list[Any]] = {stream: [] for stream in names}
    last: dict[str, int] = {}
    done = {"compared": 0, "snapshots": 0, "too old": 0}
    restart = exchange.now + SECOND
    for outs in steps(exchange, seconds, 50 * MS):
        for stream, data in texts(outs):
            assert data["pu"] == last.get(stream, data["pu"])
            assert data["pu"] < data["U"] <= data["u"]
            last[stream] = data["u"]
            name, speed = names[stream]
            if stream not in readers:
                buffered[stream].append(data)
                continue
            assert readers[stream].update(data) in ("applied", "old")
            if readers[stream].last == data["u"]:
                book = exchange.book(name, speed)
                assert book.last_id == data["u"]
                assert readers[stream].as_lots(exchange.listings[name].instrument) == (book.bids, book.asks)
                done["compared"] += 1
        if exchange.now >= restart:
            restart += int(snapshot_every * SECOND)
            for stream, (name, _) in names.items():
                fresh = LocalBook()
                fresh.start(
                    body(
                        exchange.request(
                            "GET", "/fapi/v1/depth", f"symbol={name}&limit=1000", stream, exchange.now
                        )
                    )
                )
                held = [data for data in buffered[stream] if data["u"] >= fresh.last]
                outcomes = [fresh.update(data) for data in held]
                done["snapshots"] += 1
                if "gap" in outcomes:
                    done["too old"] += 1
                    continue
                readers[stream] = fresh
                buffered[stream].clear()
    return done


@pytest.mark.untraced
def test_twenty_synthetic_symbols() -> None:
    exchange = synthetic(symbols=20, minutes=1)
    done = follow(exchange, 20, 7.3)
    assert len(exchange.listings) == 20
    assert done["too old"] == 0
    assert done["compared"] > 20 * 250
    assert all(len(x.book.sides[0]) < 1_000 for x in exchange.listings.values())  # snapshots were whole


@pytest.mark.real_data
@pytest.mark.untraced
def test_four_recorded_symbols(data_dir: Path) -> None:
    path = data_dir / "binance" / "BINANCE_FUTURES.0"
    exchange = Exchange(
        lambda: open_source(path, chunk=4_096), start=START, symbols={name: name for name in SMALL}
    )
    done = follow(exchange, 20, 4.1)
    assert done["compared"] > 300


@pytest.mark.real_data
@pytest.mark.untraced
def test_recorded_btc(data_dir: Path) -> None:
    path = data_dir / "binance" / "btcusdt_20240808.gz"
    exchange = Exchange(lambda: open_source(path, chunk=4_096), start=START)
    run(exchange, 2)
    assert len(exchange.book("BTCUSDT").bids) > 1_000  # deeper than any snapshot
    assert follow_top(exchange, 60) > 500


def follow_top(exchange: Exchange, seconds: float) -> int:
    """Follow a book deeper than its snapshot: what the snapshot covers is exact, the rest unknown."""
    connected(exchange, "public", "btcusdt@depth@100ms")
    listing, reader, compared = exchange.listings["BTCUSDT"], LocalBook(), 0
    run(exchange, 0.5)
    reader.start(body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=1000)))
    lowest, highest = min(reader.bids), max(reader.asks)
    for outs in steps(exchange, seconds):
        for _, data in texts(outs):
            assert reader.update(data) == "applied"
            book = exchange.book("BTCUSDT", "100ms")
            bids, asks = reader.as_lots(listing.instrument)
            for mine, theirs, known in (
                (bids, book.bids, lambda p: p >= lowest),
                (asks, book.asks, lambda p: p <= highest),
            ):
                assert mine.items() <= theirs.items()  # beyond: less than there is, never wrong
                assert not any(known(p) for p in theirs.keys() - mine.keys())
            compared += 1
    return compared


def test_nothing_is_told_when_nothing_changes() -> None:
    exchange = played(quiet_book())
    connected(exchange, "public", "btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@depth5")
    first = messages(exchange, 0.25)
    assert [m["e"] for m in first] == ["bookTicker", "depthUpdate", "depthUpdate"]
    assert messages(exchange, 5) == []


def test_depth_says_absolute_quantities_and_zero() -> None:
    rows = [
        *quiet_book(),
        event(1_010 * MS, ev.LEVEL, ev.BID, dollars("99.9"), 0),
        event(1_011 * MS, ev.LEVEL, ev.ASK, dollars("100.1"), 2_500),
        event(1_012 * MS, ev.LEVEL, ev.BID, dollars("99.25"), 7),  # off the tick: told exactly
    ]
    exchange = played(rows)
    connected(exchange, "public", "btcusdt@depth@100ms")
    opening, change = messages(exchange, 3)
    assert opening["b"] == [["99.80", "0.003"], ["99.90", "0.002"], ["100.00", "0.001"]]
    assert change["b"] == [["99.25", "0.007"], ["99.90", "0.000"]]
    assert change["a"] == [["100.10", "2.500"]]
    assert change["T"] == START // MS + 1_012
    assert change["E"] == START // MS + 1_100
    assert (change["s"], change["ps"], change["st"], change["e"]) == ("BTCUSDT", "BTCUSDT", 1, "depthUpdate")


def test_update_ids_jump() -> None:
    exchange = quiet()
    connected(exchange, "public", "btcusdt@depth@100ms")
    told = messages(exchange, 20)
    assert contiguous(told)
    assert all(data["u"] > data["U"] for data in told[1:])
    assert any(data["U"] > data["pu"] + 1 for data in told)


@pytest.mark.parametrize("levels", [5, 10, 20])
@pytest.mark.parametrize("suffix", ["", "@100ms", "@500ms"])
def test_partial_depth_is_the_top(levels: int, suffix: str) -> None:
    exchange = synthetic(symbols=1)
    connected(exchange, "public", f"synes@depth{levels}{suffix}")
    compared = 0
    for outs in steps(exchange, 5, 50 * MS):
        for _, data in texts(outs):
            top = body(get(exchange, "/sim/book", symbol="SYNES"))
            assert data["e"] == "depthUpdate"
            assert (data["b"], data["a"]) == (top["bids"][:levels], top["asks"][:levels])
            assert data["u"] == top["lastUpdateId"]
            compared += 1
    assert compared >= 9


def test_book_ticker_is_every_change_of_the_best() -> None:
    exchange = synthetic(symbols=2)
    connected(exchange, "public", "synbtc@bookTicker")
    listing, last, told = exchange.listings["SYNBTC"], None, 0
    for outs in steps(exchange, 3, MS):
        for _, data in texts(outs):
            best = (data["b"], data["B"], data["a"], data["A"])
            assert best != last
            last, told = best, told + 1
        if last is not None:
            bid, ask = listing.book.best(0), listing.book.best(1)
            assert bid is not None
            assert ask is not None
            assert last[:2] == (listing.numbers.price(bid[0]), listing.numbers.size(bid[1]))
            assert last[2:] == (listing.numbers.price(ask[0]), listing.numbers.size(ask[1]))
    assert told > 100


def test_a_side_without_orders_is_zeros() -> None:
    exchange = played([event(MS, ev.LEVEL, ev.BID, dollars("100"), 1)])
    connected(exchange, "public", "btcusdt@bookTicker")
    (told,) = messages(exchange, 1)
    assert (told["b"], told["B"], told["a"], told["A"]) == ("100.00", "0.001", "0.00", "0.000")


# ── the tape ──


def trade(time: int, side: int, price: str, size: int, **more: Any) -> tuple[Any, ...]:
    return event(time, ev.TRADE, side, dollars(price), size, **more)


def test_aggregation_by_price_side_and_100_ms() -> None:
    rows = [
        *quiet_book(),
        trade(110 * MS, ev.BID, "100.1", 1),
        trade(120 * MS, ev.BID, "100.1", 2),  # same price and taker: one aggregate
        trade(130 * MS, ev.BID, "100.2", 3),
        trade(140 * MS, ev.ASK, "100.2", 4),  # another taker
        trade(210 * MS, ev.ASK, "100.2", 5),  # another 100 ms
        trade(220 * MS, ev.ASK, "100.0", 6, cond=ev.COND_OFF_BOOK | ev.COND_NOT_VOLUME),  # insurance fund
        trade(230 * MS, ev.NO_SIDE, "100.0", 7),  # at the bid: a seller took
    ]
    exchange = played(rows)
    connected(exchange, "market", "btcusdt@aggTrade")
    told = messages(exchange, 1)
    assert [(t["p"], t["q"], t["m"], t["l"] - t["f"] + 1) for t in told] == [
        ("100.10", "0.003", False, 2), ("100.20", "0.003", False, 1), ("100.20", "0.004", True, 1),
        ("100.20", "0.005", True, 1), ("100.00", "0.007", True, 1),
    ]  # fmt: skip
    assert [t["E"] - START // MS for t in told] == [200, 200, 200, 300, 300]
    assert [t["T"] - START // MS for t in told] == [120, 130, 140, 210, 230]
    assert np.diff([t["a"] for t in told]).tolist() == [1] * 4
    assert [b["f"] - a["l"] for a, b in pairwise(told)] == [1] * 4
    assert [t["nq"] for t in told] == [t["q"] for t in told]


def test_the_tape_sums_to_the_trades() -> None:
    exchange = synthetic(symbols=3)
    connected(exchange, "market", *(f"{name.lower()}@aggTrade" for name in exchange.listings))
    told = messages(exchange, 70)
    chunks = [chunk.copy() for chunk in open_source("synthetic:seed=7,minutes=1,symbols=3").chunks()]
    everything = np.concatenate(chunks)
    trades = everything[everything["action"] == ev.TRADE]
    for number, (name, listing) in enumerate(exchange.listings.items(), 1):
        of = trades[trades["instrument_id"] == number]
        mine = [t for t in told if t["s"] == name]
        unit = Decimal(listing.instrument.lot).scaleb(-9)
        assert sum(Decimal(t["q"]) for t in mine) == int(of["size"].sum()) * unit
        bought = int(of["size"][of["side"] == ev.BID].sum()) * unit
        assert sum(Decimal(t["q"]) for t in mine if not t["m"]) == bought
        assert sum(t["l"] - t["f"] + 1 for t in mine) == len(of)
        assert np.all(np.diff([t["a"] for t in mine]) == 1)


def test_rpi_fills_are_in_q_and_not_in_nq() -> None:
    plain, with_rpi = synthetic(symbols=2), synthetic(symbols=2, rules=Rules(rpi=True))
    for exchange in (plain, with_rpi):
        connected(exchange, "market", "synbtc@aggTrade")
    a, b = messages(plain, 30), messages(with_rpi, 30)
    assert [t["nq"] for t in b] == [t["q"] for t in a]  # the book's part is the recording's
    assert all(Decimal(t["q"]) >= Decimal(t["nq"]) for t in b)
    assert any(Decimal(t["q"]) > Decimal(t["nq"]) for t in b)


def test_rpi_streams_show_more_than_the_book() -> None:
    exchange = synthetic(symbols=1, rules=Rules(rpi=True))
    connected(exchange, "public", "synes@rpiDepth@500ms", "synes@depth@500ms")
    run(exchange, 1)
    found = texts(run(exchange, 2))
    plain = [m for s, m in found if "rpi" not in s]
    more = [m for s, m in found if "rpi" in s]
    assert [m["u"] for m in plain] == [m["u"] for m in more]
    extra = [
        Decimal(y[1]) - Decimal(x[1])
        for m, n in zip(plain, more, strict=True)
        for x, y in zip(m["b"], n["b"], strict=True)
    ]
    assert min(extra) == 0
    assert max(extra) > 0
    book, rpi = (
        body(get(exchange, p, symbol="SYNES", limit=1000)) for p in ("/fapi/v1/depth", "/fapi/v1/rpiDepth")
    )
    assert [p for p, _ in book["bids"]] == [p for p, _ in rpi["bids"]]
    assert book["bids"] != rpi["bids"]


# ── the rest ──


def test_mark_price_every_second_and_every_three() -> None:
    exchange = quiet()
    connected(
        exchange, "market", "btcusdt@markPrice@1s", "btcusdt@markPrice", "!markPrice@arr@1s", "!markPrice@arr"
    )
    found = texts(run(exchange, 9.5))
    by_stream = {name: [m for s, m in found if s == name] for name, _ in found}
    assert [len(by_stream[n]) for n in sorted(by_stream)] == [3, 9, 3, 9]
    told = by_stream["btcusdt@markPrice@1s"][3]
    assert told["e"] == "markPriceUpdate"
    assert told["p"] == "100.05000000"
    assert told["r"] == "0.00010000"
    assert told["T"] % (8 * 3_600_000) == 0
    assert told["T"] > told["E"]
    assert isinstance(by_stream["!markPrice@arr"][0], list)


def test_all_book_tickers_every_five_seconds() -> None:
    rows = [*quiet_book(), *quiet_book(2), event(7 * SECOND, ev.LEVEL, ev.BID, dollars("100"), 9, symbol=2)]
    exchange = played(rows, ("BTCUSDT", "ETHUSDT"))
    connected(exchange, "public", "!bookTicker")
    told = messages(exchange, 21)
    assert [(m["s"], m["E"] - START // MS) for m in told] == [
        ("BTCUSDT", 5_000), ("ETHUSDT", 5_000), ("ETHUSDT", 10_000),
    ]  # fmt: skip


def test_extra_keys_can_be_left_out() -> None:
    exchange = quiet(rules=Rules(extra_keys=False))
    connected(exchange, "public", "btcusdt@depth")
    assert all(not {"ps", "st"} & set(m) for m in messages(exchange, 2))


# ── time ──


def test_speed_makes_the_market_denser_and_keeps_the_pace() -> None:
    rows = [*quiet_book(), *pulse(60)]
    slow, fast = played(rows), played(rows, speed="10")
    for exchange in (slow, fast):
        connected(exchange, "public", "btcusdt@depth@100ms")
    a, b = messages(slow, 5.9), messages(fast, 5.9)
    assert len(a) == len(b) == 59
    assert fast.playback.events > 9 * slow.playback.events
    assert slow.book("BTCUSDT").bids != {}


def test_a_recording_begins_again() -> None:
    exchange = played([*quiet_book(), *pulse(2)], loop=True)
    connected(exchange, "public", "btcusdt@depth@100ms")
    reader = LocalBook()
    run(exchange, 0.5)
    reader.start(body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT")))
    told = messages(exchange, 10)
    assert exchange.playback.passes == 4
    assert contiguous(told)
    assert all(reader.update(data) == "applied" for data in told)
    book = exchange.book("BTCUSDT", "100ms")
    assert reader.as_lots(exchange.listings["BTCUSDT"].instrument) == (book.bids, book.asks)


def test_what_is_skipped_has_happened() -> None:
    rows = [
        *quiet_book(),
        *pulse(60),
        trade(SECOND, ev.BID, "100.1", 5),
        trade(41 * SECOND, ev.BID, "100.1", 6),
    ]
    whole, later = played(rows), played(rows, skip=40 * SECOND)
    run(whole, 45)
    connected(later, "public", "btcusdt@depth@100ms")
    connected(later, "market", "btcusdt@aggTrade")
    told = messages(later, 5)
    assert later.book("BTCUSDT").bids == whole.book("BTCUSDT").bids
    assert [m["q"] for m in told if m["e"] == "aggTrade"] == ["0.006"]
    assert all(len(m["b"]) == 1 for m in told if m["e"] == "depthUpdate")  # only what is new


def test_a_start_that_is_asked_for_late() -> None:
    asked: list[int] = []

    def start() -> int:
        asked.append(1)
        return START + 5 * SECOND

    source = quiet().playback.played
    exchange = Exchange(lambda: source, start=start, skip=SECOND, faults=["skew=1h@2s"])
    assert asked == [1]
    assert exchange.now == exchange.start == START + 5 * SECOND
    run(exchange, 1.9)
    assert exchange.skew == 0
    run(exchange, 0.2)
    assert exchange.skew == 3_600 * SECOND


def test_other_symbols_are_left_out_and_names_changed() -> None:
    rows = [*quiet_book(), *quiet_book(2)]
    exchange = played(rows, ("BTCUSDT", "ETHUSDT"), symbols={"ETHUSDT": "DOGEUSDT"})
    assert list(exchange.listings) == ["DOGEUSDT"]
    run(exchange, 1)
    assert exchange.book("DOGEUSDT").bids[dollars("100")] == 1


# ── determinism ──

STREAMS = ("synbtc@depth@100ms", "synes@depth", "synbtc@bookTicker", "synbtc@depth20@500ms", "!bookTicker")
FAULTS = ("drop:SYNBTC@~3s", "malformed:SYNES@~4s", "reorder:*@~5s", "lag:SYNBTC@3s+2s", "crossed:SYNES@4s")


def bytes_of(every: int, seed: int = 3) -> list[Any]:
    exchange = synthetic(symbols=2, seed=11, faults=FAULTS)
    exchange.seed = seed
    connected(exchange, "public", *STREAMS)
    connected(exchange, "market", "synbtc@aggTrade", "synbtc@markPrice@1s")
    return [out for outs in steps(exchange, 12, every) for out in outs]


@pytest.mark.untraced
def test_same_seed_and_calls_same_bytes() -> None:
    assert bytes_of(100 * MS) == bytes_of(100 * MS)


@pytest.mark.untraced
def test_how_often_time_is_told_changes_nothing() -> None:
    assert bytes_of(7 * MS) == bytes_of(1_300 * MS)


# ── recordings that are not what they should be ──


def test_damage_ends_the_recording_and_is_told() -> None:
    class Damaged(EventSource):
        def chunks(self) -> Iterator[ev.Events]:
            yield from super().chunks()
            raise CorruptData("cut short")

    rows = events([event(0, ev.NONE), *quiet_book(), *pulse(2)])
    exchange = Exchange(lambda: Damaged([rows], {(1, 1): instrument()}), start=START, loop=True)
    connected(exchange, "public", "btcusdt@depth@100ms")
    assert len(messages(exchange, 10)) == 20
    assert body(get(exchange, "/sim/status"))["damage"] == "cut short"
    assert get(exchange, "/fapi/v1/depth", symbol="BTCUSDT").status == 200


def test_what_cannot_be_listed_is_said() -> None:
    class Half(EventSource):
        def resolve(self, publisher: int, instrument_id: int) -> Instrument:
            if instrument_id == 2:
                raise UnknownInstrument("no tick is known for ETHUSDT")
            return super().resolve(publisher, instrument_id)

    rows = events([*quiet_book(), *quiet_book(2), *quiet_book(3)])
    thin = Instrument("x", "SOLUSDT", 10**8, capabilities=Capability.TRADES)
    exchange = Exchange(lambda: Half([rows], {(1, 1): instrument(), (1, 3): thin}), start=START)
    assert list(exchange.listings) == ["BTCUSDT"]
    assert len(exchange.unlisted) == 2
    with pytest.raises(NoBookData, match="no depth"):
        Exchange(lambda: EventSource([rows], {(1, 1): thin, (1, 2): thin, (1, 3): thin}), start=START)
    with pytest.raises(EmptyData):
        Exchange(lambda: EventSource([], {}), start=START)


def test_rows_that_change_nothing_make_no_message() -> None:
    exchange = played([*quiet_book(), event(SECOND, ev.CANCEL, ev.BID, dollars("100"), 5, order=9)])
    connected(exchange, "public", "btcusdt@depth@100ms")
    assert len(messages(exchange, 3)) == 1
