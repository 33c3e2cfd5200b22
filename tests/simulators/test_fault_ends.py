"""How faults end: crossed books are as they were, and what has struck is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from depthscope.market import events as ev
from tests.simulators.market import (
    MS,
    LocalBook,
    at,
    body,
    connected,
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
    two,
)  # fmt: skip


def crossed_messages(fault: str) -> list[float]:
    exchange = quiet(faults=[fault])
    reader, found = LocalBook(), []
    for message in depth_of(exchange, 8):
        reader.last = reader.last or message["pu"]
        assert reader.update(message) == "applied"
        if reader.bids and reader.asks and max(reader.bids) >= min(reader.asks):
            found.append(at(message))
    book = exchange.book("BTCUSDT")
    assert max(book.bids) == dollars("100")  # it is gone again
    return found


@pytest.mark.parametrize("when", ["2s", "2030ms", "2099ms"])
def test_crossed_for_one_message(when: str) -> None:
    assert len(crossed_messages(f"crossed:BTCUSDT@{when}")) == 1


def test_crossed_for_longer_and_locked() -> None:
    assert crossed_messages("crossed:BTCUSDT@2s+3s") == [round(2 + n / 10, 1) for n in range(30)]
    assert len(crossed_messages("crossed=0:BTCUSDT@2s+1s")) == 10


def test_what_the_market_says_meanwhile_is_not_taken_back() -> None:
    rows = [*quiet_book(), event(2_500 * MS, ev.LEVEL, ev.BID, dollars("100.6"), 9)]
    exchange = played(rows, faults=["crossed:BTCUSDT@2s+2s"])
    run(exchange, 5)
    assert exchange.book("BTCUSDT").bids[dollars("100.6")] == 9
    orders = [
        event(MS, ev.ADD, ev.BID, dollars("100"), 5, order=1),
        event(MS, ev.ADD, ev.ASK, dollars("100.1"), 5, order=2),
    ]
    orders.append(event(2_500 * MS, ev.ADD, ev.BID, dollars("100.6"), 9, order=3))
    exchange = played(orders, faults=["crossed:BTCUSDT@2s+2s"])
    run(exchange, 3)
    assert exchange.book("BTCUSDT").bids[dollars("100.6")] == 10
    run(exchange, 2)
    assert exchange.book("BTCUSDT").bids[dollars("100.6")] == 9


# What the market says of the crossed price while a bid stands there by hand, in levels and in orders.
SAYS: dict[str, list[tuple[Any, ...]]] = {
    "nothing": [],
    "one lot": [event(2_700 * MS, ev.LEVEL, ev.BID, dollars("100.6"), 1)],
    "comes and goes": [
        event(2_700 * MS, ev.LEVEL, ev.BID, dollars("100.6"), 4),
        event(3_200 * MS, ev.LEVEL, ev.BID, dollars("100.6"), 0),
    ],
    "clear": [
        event(2_700 * MS, ev.CLEAR),
        event(2_800 * MS, ev.LEVEL, ev.BID, dollars("100.6"), 1),
        event(2_800 * MS, ev.LEVEL, ev.ASK, dollars("100.9"), 1),
    ],
    "order": [event(2_700 * MS, ev.ADD, ev.BID, dollars("100.6"), 1, order=7)],
    "order that goes": [
        event(2_700 * MS, ev.ADD, ev.BID, dollars("100.6"), 1, order=7),
        event(3_200 * MS, ev.CANCEL, ev.BID, dollars("100.6"), 1, order=7),
    ],
    "clear and order": [
        event(2_700 * MS, ev.CLEAR),
        event(2_800 * MS, ev.ADD, ev.BID, dollars("100.6"), 1, order=7),
    ],
    "quote": [event(2_700 * MS, ev.ADD, ev.BID, dollars("100.6"), 1, flags=ev.TOB | ev.LAST)],
}


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize(
    "faults",
    [
        ["crossed@2s+2s"],
        ["crossed@2s+2s", "crossed@2500ms+2s"],
        ["crossed@2s+2s", "crossed@2s+2s"],
        ["crossed@2s+3s", "crossed@2500ms+1s", "crossed=2@2600ms+1s", "crossed=0@2s+2s"],
    ],
)
def test_crossed_books_end_as_if_they_had_never_been(faults: list[str], says: str) -> None:
    rows = [*quiet_book(), *SAYS[says]]
    exchange, free = played(rows, faults=faults), played(rows)
    run(exchange, 2.6)
    book = exchange.book("BTCUSDT")
    assert max(book.bids) >= min(book.asks)
    run(exchange, 4)
    run(free, 6.6)
    left, whole = exchange.book("BTCUSDT"), free.book("BTCUSDT")
    assert (left.bids, left.asks) == (whole.bids, whole.asks)


@pytest.mark.parametrize(
    "fault", ["drop@1s/1s", "malformed@1s/20ms x2", "reorder:BTCUSDT@~1s", "drop@1s/1s+2s"]
)
def test_faults_that_are_over_are_forgotten(fault: str) -> None:
    exchange = two(80, faults=[fault])
    run(exchange, 70)
    assert 1 <= len(body(get(exchange, "/sim/status"))["faults"]) <= 6


def test_faults_of_a_message_number_are_forgotten_once_it_has_passed() -> None:
    exchange = two(faults=[f"drop@#{n} x2" for n in (1, 5, 9, 400)])
    run(exchange, 20)
    exchange.inject("drop@#300", exchange.now)
    assert [f["struck"] for f in exchange.desk.report()] == [0, 0]


def test_what_has_not_struck_everything_yet_is_kept() -> None:
    rows = [*quiet_book(), *quiet_book(2), *pulse(10)]
    exchange = played(rows, ("BTCUSDT", "ETHUSDT"), faults=["drop@1s/1s", "drop-trade@1s/1s"])
    run(exchange, 5.05)
    assert [f["struck"] for f in exchange.desk.report()] == [15, 0]  # one of ETHUSDT, and no trade
    connected(exchange, "public", "ethusdt@depth@100ms")
    for n in range(8):
        exchange.add_by_hand(exchange.listings["ETHUSDT"], 0, dollars("99"), 1)
        assert len(messages(exchange, 0.1)) == (n >= 5)  # each of its strikes is still to come


def test_requests_that_were_refused_are_forgotten() -> None:
    exchange = two(faults=["503:depth@1s/1s x1"])
    run(exchange, 2.5)
    for expected in ([503, 503, 200], [503, 200], [503, 200]):
        told = [get(exchange, "/fapi/v1/depth", symbol="BTCUSDT").status for _ in expected]
        assert told == expected
        run(exchange, 1)
    assert [f["struck"] for f in exchange.desk.report()] == [0]
