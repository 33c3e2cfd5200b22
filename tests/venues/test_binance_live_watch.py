"""What the live Binance machine notices: silence, crossed books, halts, changed grids, clocks."""

from __future__ import annotations

import json
import random

import pytest

from depthscope.market import events as ev
from depthscope.market.inputs import Kind
from tests.venues.binance_feed import MS, NS, depth, message, snapshot
from tests.venues.binance_session import (
    ASKS,
    BIDS,
    SECOND,
    FetchSnapshot,
    FetchTime,
    Open,
    Send,
    Session,
    beat,
    live,
)

# ── silence ──


def test_a_silent_stream_is_stale_within_five_seconds() -> None:
    s = live("BTCUSDT", "ETHUSDT")
    s.ws(depth(90, 100, 89, BIDS, ASKS, s="ETHUSDT"))
    s.reply(snapshot(95, BIDS, ASKS), "ETHUSDT")
    x = y = 100
    for _ in range(400):
        s.now += SECOND // 10
        s.ws(depth(x + 1, x + 2, x))
        s.ws(depth(y + 1, y + 2, y, s="ETHUSDT"))
        x, y = x + 2, y + 2
    muted = s.now
    for _ in range(60):
        s.now += SECOND // 10
        s.ws(depth(y + 1, y + 2, y, s="ETHUSDT"))
        y += 2
        if s.state() == "STALE":
            break
    assert s.now - muted <= 5 * SECOND
    assert s.state("ETHUSDT") == "LIVE"
    assert s.machine.books["BTCUSDT"].reason.startswith("depth silent for 4.9")
    asked = [json.loads(r.payload)["method"] for r in s.taken(Send)]
    assert asked[-2:] == ["UNSUBSCRIBE", "SUBSCRIBE"]
    # It speaks again: what it says needs a snapshot.
    s.requests.clear()
    assert s.ws(depth(x + 101, x + 102, x + 100)) == ""
    assert len(s.taken(FetchSnapshot)) == 1
    s.reply(snapshot(x + 102, BIDS, ASKS))
    assert s.state() == "LIVE"


def test_a_silent_connection_is_replaced_at_once() -> None:
    s = live()
    beat(s, 40, 100)
    s.requests.clear()
    s.clock(6)
    assert [r.reason for r in s.taken(Open)] == ["the connection is silent"]
    s.clock(60)
    assert s.taken(FetchSnapshot) == []  # a snapshot alone would go out of date unseen


def test_a_stream_that_stays_silent_is_woken_then_gets_another_connection() -> None:
    s = live("BTCUSDT", "ETHUSDT")
    beat(s, 40, 100)
    s.requests.clear()
    beat(s, 75, 0, symbol="ETHUSDT")
    assert s.state() == "STALE"
    assert len(s.taken(Send)) == 6
    assert [r.reason for r in s.taken(Open)] == ["BTCUSDT stays silent"]


def test_depth_that_never_spoke_while_the_best_prices_change_is_silent() -> None:
    s = Session().begin()
    s.clock(1.2)
    s.reply(snapshot(95, BIDS, ASKS))
    assert s.state() == "LIVE"
    for k in range(80):
        s.now += SECOND // 10
        s.ws(message("bookTicker", u=100 + k, b="60000.0", B="1.000", a="60000.1", A="1.000"))
    assert s.machine.books["BTCUSDT"].reason == "depth silent while the best prices change"
    assert 4.9 <= (s.machine.books["BTCUSDT"].since - NS) / SECOND <= 5.1


@pytest.mark.untraced  # what it calls is covered by the tests beside it
@pytest.mark.parametrize("seed", range(3))
def test_quiet_symbols_never_alarm(seed: int) -> None:
    """Bursts, then minutes of nothing: no false alarm in six hours of each."""
    rnd = random.Random(seed)
    s = live()
    last, end = 100, s.now + 6 * 3600 * SECOND
    while s.now < end:
        for _ in range(rnd.randint(1, 12)):
            last = beat(s, 0.1, last)
        pause = rnd.expovariate(1 / 40)
        s.clock(pause, step=0.5)
    assert s.moves() == ["SYNCING", "LIVE"]


def test_our_own_pause_is_no_silence_of_the_venue() -> None:
    s = live()
    last = beat(s, 60, 100)
    s.now += 30 * SECOND
    assert s.ws(depth(last + 1, last + 2, last)) == "N"
    assert s.state() == "LIVE"
    assert any("nothing was taken in for 30.0 s" in n.reason for n in s.notices)


def test_a_rate_below_half_of_the_usual_warns_once_and_tells_the_end() -> None:
    s = live()
    last = beat(s, 600, 100)
    last = beat(s, 300, last, step=0.3)
    last = beat(s, 300, last)
    rates = [(n.state, n.reason) for n in s.notices if n.about == "rate"]
    assert [state for state, _ in rates] == ["alarm", ""]
    assert "of depth in a minute, usually 600" in rates[0][1]
    assert s.state() == "LIVE"


def test_silent_mark_price_makes_the_tape_stale_not_the_book() -> None:
    s = live()
    last = 100
    for _ in range(400):
        s.now += SECOND // 10
        s.ws(depth(last + 1, last + 2, last))
        last += 2
        if _ % 10 == 0:
            s.ws(message("markPriceUpdate", p="1", E=s.now // 1_000_000, r="0"), 2)
    beat(s, 21, last)
    assert (s.state(), s.machine.books["BTCUSDT"].tape) == ("LIVE", "STALE")


# ── crossed, halts, grids ──


def test_crossed_for_too_long_is_fetched_anew_a_moment_is_not() -> None:
    s = live(crossed_seconds=3.0)
    s.ws(depth(101, 102, 100, [["60000.2", "1.000"]]))
    s.clock(2)
    s.ws(depth(103, 104, 102, [["60000.2", "0.000"]]))
    s.clock(5)
    assert s.state() == "LIVE"
    s.ws(depth(105, 106, 104, [["60000.1", "1.000"]]))  # locked is crossed
    s.clock(2.9)
    assert s.state() == "LIVE"
    assert "X" in s.clock(0.3)
    assert s.machine.books["BTCUSDT"].reason == "crossed for more than 3 s"
    assert len(s.taken(FetchSnapshot)) == 1


def test_a_halt_is_a_status_event_and_its_silence_no_alarm() -> None:
    s = live()
    last = beat(s, 60, 100)
    s.ws({"e": "contractInfo", "E": MS, "s": "BTCUSDT", "cs": "SETTLING"}, 2)
    assert (s.events[-1]["action"][0], s.events[-1]["aux"][0]) == (ev.STATUS, ev.STATUS_CLOSED)
    assert set(s.clock(120, step=0.5)) == {"N"}
    assert s.state() == "LIVE"
    s.instruments()
    assert (s.events[-1]["action"][0], s.events[-1]["aux"][0]) == (ev.STATUS, ev.STATUS_TRADING)
    assert s.ws(depth(last + 1, last + 2, last)) == "N"


def test_a_changed_tick_is_quarantined() -> None:
    s = live("BTCUSDT", "ETHUSDT")
    assert s.instruments() == ""
    assert s.instruments(BTCUSDT=("0.01", "0.001")) == "XS"
    book = s.machine.books["BTCUSDT"]
    assert (book.state, book.quarantined) == ("STALE", True)
    assert s.ws(depth(101, 102, 100, BIDS)) == ""
    assert s.reply(snapshot(105, BIDS, ASKS)) == ""
    s.clock(30)
    assert [r.symbol for r in s.taken(FetchSnapshot)] == ["ETHUSDT"]
    assert s.instruments() == ""  # and stays so


def test_a_new_connection_does_not_end_a_quarantine() -> None:
    s = live("BTCUSDT", "ETHUSDT")
    s.instruments(BTCUSDT=("0.01", "0.001"))
    s.link("market-1", "lost", 2, "reset")
    (again,) = s.taken(Open)
    s.link(again.name)
    s.confirm()
    assert [s.machine.books[name].tape for name in ("BTCUSDT", "ETHUSDT")] == ["STALE", "LIVE"]


def test_the_session_can_halt_resume_and_resync() -> None:
    s = live()
    assert s.give(Kind.STATUS, {"event": "halt", "symbol": "BTCUSDT", "reason": "operator"}) == "S"
    assert s.give(Kind.STATUS, {"event": "resume"}) == "S"
    assert s.give(Kind.STATUS, {"event": "disk", "reason": "nearly full"}) == ""
    assert s.give(Kind.STATUS, {"event": "resync", "symbol": "BTCUSDT"}) == "X"
    assert len(s.taken(FetchSnapshot)) == 1


def test_instrument_inputs_fix_the_grid_too() -> None:
    s = Session()
    s.configure()
    s.give(Kind.INSTRUMENT, {"id": 1, "symbol": "BTCUSDT", "tick": 10**8, "lot": 10**6})
    assert next(iter(s.machine.instruments.values())).tick == 10**8
    s.instruments()
    assert s.machine.books["BTCUSDT"].quarantined is False


def test_a_damaged_message_tells_nothing_of_lag() -> None:
    """Its time was read, in the venue's milliseconds, before the damage was met."""
    s = live()
    for k in range(200):
        s.now += 10_000_000
        good = depth(101 + k, 101 + k, 100 + k, T=s.now // 1_000_000)
        s.ws(good)
        if k % 10 == 0:
            s.ws(good.replace(b'"b":[', b'"b":[[NaN,1],'))
    assert sum(s.machine.decoder.rejected.values()) == 20
    figures = s.machine.health(s.now)["symbols"]["BTCUSDT"]["streams"]["depth"]
    assert figures["messages"] == 201  # the first made the book
    assert figures["lag_p99"] < 100e6


# ── clocks ──


def test_the_time_is_asked_for_again_soon_when_it_was_refused() -> None:
    s = live()
    s.rest("/fapi/v1/time", {"code": -1003}, 418)
    s.requests.clear()
    s.clock(40)
    assert len(s.taken(FetchTime)) == 1
    s.rest("/fapi/v1/time", {"serverTime": s.now // 1_000_000})
    s.clock(60)
    assert not s.taken(FetchTime)


def test_clock_inputs_move_the_grid() -> None:
    s = live()
    assert s.clock(1) == "N" * 10
    assert s.events[-1]["ts_recv"][0] == s.now


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_skew_is_told_never_applied(hours: int) -> None:
    s = live()
    s.give(Kind.CLOCK, {"wall": s.now + hours * 3600 * SECOND})
    assert s.machine.health(s.now)["skew"] is None, "the venue has not told its time yet"
    s.rest("/fapi/v1/time", {"serverTime": (s.now + 50_000_000) // 1_000_000}, sent=s.now - 2_000_000)
    skew = s.machine.health(s.now)["skew"]
    assert abs(skew + hours * 3600 * SECOND - 51_000_000) < 2_000_000
    alarms = [n for n in s.notices if n.about == "clock" and n.state == "alarm"]
    assert bool(alarms) == bool(hours)
    assert s.ws(depth(101, 102, 100, BIDS)) == "L"
    assert s.events[-1]["ts_recv"][0] == s.now


def test_venue_time_ahead_is_told() -> None:
    s = live()
    for k in range(700):
        s.now += SECOND // 10
        s.ws(depth(101 + 2 * k, 102 + 2 * k, 100 + 2 * k, T=s.now // 1_000_000 + 1_300))
    assert sum("ahead of ours" in n.reason for n in s.notices) == 1
    figures = s.machine.health(s.now)["symbols"]["BTCUSDT"]["streams"]["depth"]
    assert 1.29 < figures["ahead"] / 1e9 < 1.31


def test_lag_quantiles() -> None:
    s = live()
    for k in range(1000):
        s.now += SECOND // 10
        lag = 5 if k % 100 else 400
        s.ws(depth(101 + 2 * k, 102 + 2 * k, 100 + 2 * k, T=s.now // 1_000_000 - lag))
    figures = s.machine.health(s.now)["symbols"]["BTCUSDT"]["streams"]["depth"]
    assert 5e6 <= figures["lag_p50"] <= 7e6
    assert 400e6 * 0.01 <= figures["lag_p99"] <= 520e6
    assert figures["median"] == SECOND // 10
