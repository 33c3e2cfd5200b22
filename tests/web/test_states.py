"""What the page is told of books that cannot be shown, lack something, or have one side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.runtime.session import Session
from depthscope.web.encoder import encode_tick
from depthscope.web.info import info_message
from depthscope.web.recorder import Recorder
from depthscope.web.stream import INCOMPLETE, NO_TICK, NOT_LIVE
from tests.web.frames import decode
from tests.web.market import APPLE, COLUMN, SECOND, TapeSource

T0 = 1_700_000_000 * SECOND
TICK = APPLE.tick
MBO = Capability.L1 | Capability.L2 | Capability.MBO | Capability.TRADES | Capability.AGGRESSOR


class OneSource(TapeSource):
    """The same, of one instrument of our choice."""

    def __init__(self, events: ev.Events, instrument: Instrument) -> None:
        super().__init__(events)
        self._instrument = instrument

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        return self._instrument


def events(*rows: tuple[float, int, int, int | None, int, int], ids: tuple[int, ...] = ()) -> ev.Events:
    """(seconds, action, side, tick, size, flags)."""
    out = np.zeros(len(rows), ev.EVENT)
    for k, (seconds, action, side, tick, size, flags) in enumerate(rows):
        ts = T0 + int(seconds * SECOND)
        price = ev.UNDEF_PRICE if tick is None else tick * TICK
        order = ids[k] if ids else 0
        out[k] = (ts, ts, order, price, size, k, 10, 0, 1, 0, action, side, flags, 0)
    return out


def watched(data: ev.Events, instrument: Instrument = APPLE) -> tuple[Session, Recorder]:
    session, recorder = Session(lambda: OneSource(data, instrument)), Recorder()
    session.spectator = recorder
    session.open()
    assert session.status.error is None
    return session, recorder


def run_to(session: Session, recorder: Recorder, seconds: float) -> dict[str, Any]:
    session.seek(T0 + int(seconds * SECOND))
    while session.status.state == "seeking":
        session.step(0.0, 10.0)
    return info_message(recorder, recorder.tracks[0])


SNAP = ev.SNAPSHOT
BOOK = (
    (0.0, ev.CLEAR, ev.NO_SIDE, None, 0, SNAP),
    (0.0, ev.LEVEL, ev.BID, 1000, 7, SNAP),
    (0.0, ev.LEVEL, ev.ASK, 1002, 9, SNAP | ev.LAST),
)


def again(seconds: float) -> tuple[tuple[float, int, int, int | None, int, int], ...]:
    return tuple((seconds, *row[1:]) for row in BOOK)


def test_a_lost_feed_blanks_the_columns_until_a_new_snapshot() -> None:
    data = events(
        *BOOK,
        (0.5, ev.LEVEL, ev.BID, 999, 3, ev.LAST),
        (2.0, ev.LOST, ev.NO_SIDE, None, 0, ev.LAST),
        (3.0, ev.TRADE, ev.BID, 1002, 1, ev.LAST),
        *again(4.0),
        (5.5, ev.LEVEL, ev.BID, 998, 1, ev.LAST),
        (9.0, ev.LEVEL, ev.BID, 998, 2, ev.LAST),
    )
    session, recorder = watched(data)
    assert run_to(session, recorder, 1.0)["state"] == "LIVE"
    info = run_to(session, recorder, 3.5)
    assert (info["state"], info["bestBid"], info["mid"], info["imbalance"]) == ("STALE", None, None, None)
    assert "lost messages" in info["stateReason"]
    assert info["last"] == "250.50", "what traded is known all the same"
    frame = decode(encode_tick(recorder, frozenset({(0, 0)}), 1, 0.0)[(0, 0)][-1].data)
    assert frame["flags"] & NOT_LIVE
    assert (frame["bid"], frame["ask"]) == (NO_TICK, NO_TICK)
    assert not any(frame["size"])
    info = run_to(session, recorder, 6.0)
    assert (info["state"], info["bestBid"], info["bestAsk"]) == ("LIVE", "250.00", "250.50")
    level = recorder.tracks[0].history.levels[0]
    first = (T0 - recorder.origin) // COLUMN
    run = level.run(first, first + 110)
    shown = [bool(row.any()) for row in run.q]
    assert shown == [True] * 40 + [False] * 40 + [True] * 31
    assert [b == NO_TICK for b in run.bid] == [not s for s in shown]


@pytest.mark.parametrize("told", [True, False])
def test_prints_are_summed_and_not_kept_whatever_the_engine_tells(told: bool) -> None:
    """Half a minute of prints after a lost message, then a new snapshot; there, back and there again.

    Of a feed that is not said to have trades the engine tells no delta, LIVE or not.
    """
    signs = np.random.default_rng(3).choice((1, -1), 3_000)
    prints = [
        (2.0 + k / 100, ev.TRADE, ev.BID if sign > 0 else ev.ASK, 1001, 1 + k % 7, ev.LAST)
        for k, sign in enumerate(signs.tolist())
    ]
    data = events(
        *BOOK,
        (1.0, ev.TRADE, ev.BID, 1002, 50, ev.LAST),
        (1.9, ev.LOST, ev.NO_SIDE, None, 0, ev.LAST),
        *prints,
        *again(32.0),
        (33.0, ev.TRADE, ev.ASK, 1000, 4, ev.LAST),
        (40.0, ev.LEVEL, ev.BID, 998, 2, ev.LAST),
    )
    signed = data["size"] * ((data["action"] == ev.TRADE) * np.select(
        [data["side"] == ev.BID, data["side"] == ev.ASK], [1, -1]
    ))  # fmt: skip
    kinds = APPLE.capabilities if told else APPLE.capabilities & ~Capability.TRADES
    session, recorder = watched(data, replace(APPLE, capabilities=kinds))
    track = recorder.tracks[0]
    for seconds in (1.5, 10.0, 31.5, 5.0, 20.0, 34.0):
        state = run_to(session, recorder, seconds)["state"]
        assert state == ("STALE" if 1.9 < seconds < 32 else "LIVE")
        assert len(track.since_ts) <= 10, "prints of two columns at most are kept"
        level = track.history.levels[0]
        first = (T0 - recorder.origin) // COLUMN
        cols = range(first, first + round(seconds * 20))
        until = [int(np.searchsorted(data["ts_recv"], recorder.origin + (c + 1) * COLUMN)) for c in cols]
        assert level.run(cols[0], cols[-1]).cvd.tolist() == [signed[:n].sum() * track.unit for n in until]


def test_an_empty_side_is_said_and_the_other_is_shown() -> None:
    data = events(
        *BOOK,
        (0.5, ev.LEVEL, ev.ASK, 1002, 0, ev.LAST),
        (1.5, ev.LEVEL, ev.BID, 1000, 0, ev.LAST),
        (9.0, ev.LEVEL, ev.BID, 998, 2, ev.LAST),
    )
    session, recorder = watched(data)
    info = run_to(session, recorder, 1.0)
    assert (info["bestBid"], info["bidSize"], info["bestAsk"], info["askSize"]) == ("250.00", 7, None, None)
    assert (info["mid"], info["spread"], info["imbalance"]) == (None, None, None)
    info = run_to(session, recorder, 2.0)
    assert (info["bestBid"], info["bestAsk"]) == (None, None)
    run_to(session, recorder, 10.0)
    level = recorder.tracks[0].history.levels[0]
    first = (T0 - recorder.origin) // COLUMN
    run = level.run(first, first + 50)
    assert (run.bid[20], run.ask[20]) == (1000, NO_TICK)
    assert (run.bid[40], run.ask[40]) == (NO_TICK, NO_TICK)
    assert len(set(run.base.tolist())) == 1, "the window stays where it was"


@pytest.mark.parametrize("limited", [True, False])
def test_what_a_book_lacks_is_said(limited: bool) -> None:
    add, cancel = (ev.ADD, ev.CANCEL) if not limited else (ev.LEVEL, ev.LEVEL)
    data = events(
        (0.0, add, ev.BID, 1000, 7, ev.LAST),
        (0.0, add, ev.ASK, 1002, 9, ev.LAST),
        (0.1, cancel, ev.BID, 990, 0 if limited else 5, ev.LAST),
        (9.0, add, ev.BID, 998, 2, ev.LAST),
        ids=(1, 2, 77, 3) if not limited else (),
    )
    kinds = APPLE.capabilities | Capability.DEPTH_LIMITED if limited else MBO
    session, recorder = watched(data, replace(APPLE, capabilities=kinds))
    info = run_to(session, recorder, 1.0)
    if limited:
        assert info["incomplete"]
        assert "best levels only" in info["stateReason"]
        assert info["orders"] is None
    else:
        assert info["incomplete"]
        assert "mid-session (1 unknown cancel" in info["stateReason"]
        assert info["orders"] == {"bids": [[1000, 1]], "asks": [[1002, 1]]}
        assert info["counters"]["unknown_cancel"] == 1
    frame = decode(encode_tick(recorder, frozenset({(0, 0)}), 1, 0.0)[(0, 0)][-1].data)
    assert frame["flags"] & INCOMPLETE


def test_prices_a_frame_cannot_hold_are_left_out_not_wrapped() -> None:
    tiny = replace(APPLE, tick=1)
    data = events(*BOOK, (9.0, ev.LEVEL, ev.BID, 998, 2, ev.LAST))
    session, recorder = watched(data, tiny)  # 250 dollars are 2.5e11 ticks of 1e-9
    info = run_to(session, recorder, 1.0)
    assert (info["bestBid"], info["bestAsk"]) == ("250.000000000", "250.500000000")
    frame = decode(encode_tick(recorder, frozenset({(0, 0)}), 1, 0.0)[(0, 0)][-1].data)
    assert (frame["bid"], frame["ask"]) == (NO_TICK, NO_TICK)


def test_a_figure_is_null_before_anything_happened() -> None:
    data = events(
        *BOOK[:2], (0.2, ev.NONE, ev.NO_SIDE, None, 0, ev.LAST), (5.0, ev.NONE, ev.NO_SIDE, None, 0, ev.LAST)
    )
    data["flags"][1] |= ev.LAST
    session, recorder = watched(data)
    recorder.watch((0,))
    info = run_to(session, recorder, 1.0)
    assert info["last"] is None
    assert info["trades"] == 0
    assert info["bestAsk"] is None
