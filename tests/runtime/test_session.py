"""Session: pacing, pause, speed, seek both ways, ends and failures, on a real engine and source."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depthscope.errors import BookUnavailable, ConfigError, SourceMissing, UnknownName
from depthscope.market import events as ev
from depthscope.runtime.checkpoints import Checkpoint, Checkpoints, memory_of
from depthscope.runtime.pacer import Pacer
from depthscope.runtime.readahead import NEVER, Cursor, ReadAhead, last_time
from depthscope.runtime.session import Session
from depthscope.web.recorder import Recorder
from depthscope.web.stream import merge_trades
from tests.web.market import SECOND, START, TapeSource, make_events

EVENTS = make_events(100.0, seed=3, rate=100.0)
BEGIN = START // SECOND * SECOND


def opened(
    events: np.ndarray = EVENTS, chunk: int = 512, recorder: bool = False, **options: object
) -> Session:
    session = Session(lambda: TapeSource(events, chunk), **options)  # type: ignore[arg-type]
    if recorder:
        session.spectator = Recorder()
    session.open()
    return session


def run_to(session: Session, ts: int) -> None:
    session.seek(ts)
    for _ in range(10_000):
        session.step(0.0, 10.0)
        if session.status.state != "seeking":
            return
    raise AssertionError("the seek never ended")


def book_of(session: Session) -> dict[str, object]:
    document = session.book("APL").to_json(None)
    return document | {"counters": session.engine.counters("APL")}


def test_calendars_are_overridden_by_venue_and_symbol() -> None:
    session = opened(calendars={"test": "NYSE", "test/COIN": "24/7"})
    assert {i.symbol: i.calendar for i in session.symbols} == {"APL": "NYSE", "COIN": "24/7"}
    assert {i.symbol: i.calendar for i in opened().symbols} == {"APL": "CME_Equity", "COIN": "unknown"}


def test_it_opens_at_the_first_event_after_the_snapshot() -> None:
    session = Session(lambda: TapeSource(EVENTS))
    assert session.status.state == "connecting"
    with pytest.raises(BookUnavailable, match="still opening"):
        _ = session.engine
    with pytest.raises(BookUnavailable, match="nothing to seek"):
        session.seek(START)
    session.open()
    assert session.status.state == "playing"
    assert session.status.start == session.clock == BEGIN, "a snapshot a second earlier makes no empty second"
    assert [i.symbol for i in session.symbols] == ["APL", "COIN"]
    assert session.book("APL").state == "LIVE"
    with pytest.raises(UnknownName, match=r"APL, COIN"):
        session.book("MSFT")


def test_the_clock_follows_the_wall_at_its_speed() -> None:
    session = opened(speed=2.0)
    assert session.step(100.0) is False, "the first step sets the clocks side by side"
    for k in range(1, 41):
        session.step(100.0 + k * 0.05)
    assert session.clock == BEGIN + 4 * SECOND
    assert session.status.effective_speed == pytest.approx(2.0, rel=0.01)
    assert session.status.lag_ms == 0
    applied = int((EVENTS["ts_recv"] < session.clock).sum())
    assert session.status.events == applied


def test_everything_before_the_clock_is_applied_and_nothing_after() -> None:
    session = opened()
    run_to(session, BEGIN + 5 * SECOND)
    assert session.book("APL").ts < session.clock
    later = opened()
    later.step(0.0)
    later.step(5.0, 10.0)
    assert later.clock == session.clock
    assert book_of(later) == book_of(session)


def test_pause_resume_and_speed_lose_no_time() -> None:
    session = opened()
    session.step(0.0)
    session.step(1.0)
    session.pause()
    assert session.status.state == "paused"
    assert session.step(50.0) is False
    session.resume()
    session.step(60.0)
    session.step(61.0)
    assert session.clock == BEGIN + 2 * SECOND, "the pause of 59 s does not count"
    session.set_speed(10.0)
    session.step(61.0)
    session.step(61.5)
    assert session.clock == BEGIN + 7 * SECOND
    for wrong in (0.0, 0.05, 1001.0, -1.0, math.nan, -math.inf):
        with pytest.raises(ConfigError, match="out of range"):
            session.set_speed(wrong)
    assert session.status.speed == 10.0


def test_the_first_view_may_have_a_past() -> None:
    """Played before, to the same book and clock as playing there; the page's columns are all there."""
    session = opened(recorder=True, history=70.0)
    assert session.status.state == "playing"
    assert session.status.start == BEGIN
    assert session.clock == session.status.ts == BEGIN + 70 * SECOND
    assert session.status.epoch == 1, "nothing was sought"
    direct = opened()
    run_to(direct, BEGIN + 70 * SECOND)
    assert book_of(session) == book_of(direct)
    recorder = session.spectator
    assert isinstance(recorder, Recorder)
    assert session.status.events == int((EVENTS["ts_recv"] < session.clock).sum())
    fine = recorder.tracks[0].history.levels[0]
    assert fine.head - fine.tail >= 70 * 20 - 1, "no column is missing"
    steps = np.diff([fine.run(col, col).cvd[0] for col in range(fine.head - 59 * 20, fine.head)])
    assert np.count_nonzero(steps) > 59, "the last minute moves more than once a second"


def test_prints_of_the_past_are_in_their_own_columns_and_its_end_is_exact() -> None:
    direct = opened(recorder=True)
    run_to(direct, BEGIN + 80 * SECOND)
    session = opened(recorder=True, history=80.0)
    mine, theirs = session.spectator, direct.spectator
    assert isinstance(mine, Recorder)
    assert isinstance(theirs, Recorder)
    for symbol in (0, 1):
        a, b = mine.tracks[symbol], theirs.tracks[symbol]
        assert a.prints == b.prints
        assert (a.volume, a.cvd) == pytest.approx((b.volume, b.cvd))
        for x, y in zip(a.history.levels, b.history.levels, strict=True):
            assert (x.tail, x.head, x.final) == (y.tail, y.head, y.final)
            traded, expected = x.trades.between(0, 2**32 - 2), y.trades.between(0, 2**32 - 2)
            assert merge_trades(traded).tobytes() == merge_trades(expected).tobytes()
            assert np.allclose(x.ofi(x.tail, x.final), y.ofi(y.tail, y.final), rtol=1e-4, atol=1e-3)
        fine, exact = a.history.levels[0], b.history.levels[0]
        last, other = fine.run(fine.head - 199, fine.head), exact.run(fine.head - 199, fine.head)
        for name in ("cvd", "bid", "ask", "imbalance"):
            assert getattr(last, name).tobytes() == getattr(other, name).tobytes(), name
        before = fine.run(fine.head - 1190, fine.head - 210)
        blocks = np.flatnonzero(np.diff(before.cvd)) + 1
        assert set((before.first + blocks) % 20) == {0, 5, 10, 15}, "steps of a quarter of a second"


def test_damage_within_the_past_leaves_what_was_readable_on_view() -> None:
    session = Session(lambda: TapeSource(EVENTS, damaged=True), history=1_000.0)
    session.open()
    assert session.status.state == "ended"
    assert "damaged" in str(session.status.error)
    assert session.status.events == len(EVENTS)
    assert session.step(0.0) is False
    run_to(session, BEGIN + SECOND)
    assert session.status.state == "playing"


def test_a_past_longer_than_the_data_opens_at_its_end() -> None:
    session = opened(history=1_000.0)
    session.step(0.0)
    assert session.status.state == "ended"
    assert session.status.end == session.clock < BEGIN + 102 * SECOND


def test_opening_with_a_past_can_be_given_up() -> None:
    session = Session(lambda: TapeSource(EVENTS), history=1_000.0)
    session._warm_engine()  # compiled: only the past is left to wait for
    session.cancel()
    session.open()
    assert session.status.state == "failed"
    assert "closed before" in str(session.status.error)


def test_it_may_open_paused_or_later() -> None:
    assert opened(paused=True).status.state == "paused"
    session = opened(start=BEGIN + 30 * SECOND)
    assert session.status.state == "seeking"
    while session.status.state == "seeking":
        session.step(0.0)
    assert session.clock == BEGIN + 30 * SECOND


@pytest.mark.parametrize(("target", "memory"), [(29.95, 10**9), (30.0, 10**9), (61.0, 10**9), (47.3, 1)])
def test_going_back_gives_what_going_straight_there_gives(target: float, memory: int) -> None:
    ts = BEGIN + int(target * SECOND)
    straight = opened(recorder=True)
    run_to(straight, ts)
    there_and_back = opened(recorder=True, checkpoint_bytes=memory)
    run_to(there_and_back, BEGIN + 95 * SECOND)
    run_to(there_and_back, ts)
    assert there_and_back.clock == straight.clock == ts
    assert book_of(there_and_back) == book_of(straight)
    a, b = straight.spectator, there_and_back.spectator
    assert isinstance(a, Recorder)
    assert isinstance(b, Recorder)
    for mine, theirs in zip(a.tracks[0].history.levels, b.tracks[0].history.levels, strict=True):
        assert (mine.head, mine.tail) == (theirs.head, theirs.tail)
        x, y = mine.run(mine.tail, mine.head), theirs.run(mine.tail, mine.head)
        for name in ("cvd", "base", "bid", "ask", "imbalance", "q"):
            assert getattr(x, name).tobytes() == getattr(y, name).tobytes(), name
        assert merge_trades(x.trades).tobytes() == merge_trades(y.trades).tobytes()
        assert np.allclose(x.ofi, y.ofi, rtol=1e-5, atol=1e-3, equal_nan=True)
    assert len(there_and_back.player.checkpoints) == (1 if memory == 1 else 4)
    # and playing on from there ends the same
    for session in (straight, there_and_back):
        session.set_speed(math.inf)
        while session.status.state == "playing":
            session.step(0.0, 10.0)
    assert book_of(there_and_back) == book_of(straight)
    assert a.tracks[0].volume == b.tracks[0].volume
    assert a.tracks[0].cvd == b.tracks[0].cvd


def test_a_seek_is_a_new_epoch_and_keeps_the_pause() -> None:
    session = opened(epoch=40)
    session.step(0.0)
    session.step(3.0)
    run_to(session, BEGIN + 60 * SECOND)
    assert (session.status.epoch, session.status.state) == (41, "playing")
    session.pause()
    run_to(session, BEGIN + 10 * SECOND)
    assert (session.status.epoch, session.status.state, session.status.seek_to) == (42, "paused", None)
    assert session.clock == BEGIN + 10 * SECOND
    session.seek(BEGIN + 90 * SECOND)
    session.resume()
    while session.status.state == "seeking":
        session.step(0.0, 10.0)
    assert session.status.state == "playing", "what was said during the seek counts after it"


def test_seeks_outside_the_data_stop_at_its_ends() -> None:
    session = opened()
    run_to(session, 0)
    assert session.clock == BEGIN
    run_to(session, START + 10**6 * SECOND)
    assert session.status.state == "ended"
    assert session.status.end == session.clock
    assert abs(session.clock - (START + 100 * SECOND)) <= SECOND
    assert session.step(0.0) is False
    run_to(session, BEGIN + SECOND)
    assert session.status.state == "playing", "history can be gone back into"


def test_the_end_of_the_data() -> None:
    session = opened(speed=math.inf)
    while session.status.state == "playing":
        session.step(0.0)
    assert session.status.state == "ended"
    assert session.status.events == len(EVENTS)
    assert session.status.progress == 1.0
    assert session.status.error is None


def test_damage_leaves_what_was_readable_on_view() -> None:
    session = Session(lambda: TapeSource(EVENTS, damaged=True), speed=math.inf)
    session.open()
    while session.status.state == "playing":
        session.step(0.0)
    assert session.status.state == "ended"
    assert "damaged" in str(session.status.error)
    assert session.book("APL").best_bid is not None
    run_to(session, BEGIN + 3 * SECOND)
    assert session.clock == BEGIN + 3 * SECOND


def test_what_cannot_be_opened_is_said() -> None:
    def missing() -> TapeSource:
        raise SourceMissing("No file day.dbn here. Check the path.")

    session = Session(missing)
    session.open()
    assert (session.status.state, session.status.error) == ("failed", "No file day.dbn here. Check the path.")
    assert session.step(0.0) is False
    snapshot_only = opened(EVENTS[(EVENTS["flags"] & ev.SNAPSHOT) != 0])
    assert snapshot_only.status.state == "failed"
    assert "nothing" in str(snapshot_only.status.error)
    empty = opened(EVENTS[:0])
    assert empty.status.state == "failed"


def test_quiet_nights_are_skipped_and_told() -> None:
    night = EVENTS.copy()
    later = night["ts_recv"] >= BEGIN + 10 * SECOND
    night["ts_recv"][later] += 8 * 3600 * SECOND
    session = opened(night)
    paces = []
    for k in range(0, 400):
        session.step(k * 0.05)
        paces.append(session.status.effective_speed)
    assert max(paces) < 2.5, "what was left out is no pace"
    assert session.status.skipped_ms == pytest.approx(8 * 3600e3, abs=5e3)
    assert session.clock > BEGIN + (8 * 3600 + 10) * SECOND


def test_a_late_engine_says_so_and_the_clock_waits() -> None:
    session = opened(speed=1000.0)
    session.step(0.0, 10.0)
    session.step(0.05, 0.0)  # no time to work: one step of market time is made
    assert session.status.lag_ms > 0
    before = session.clock
    assert before < BEGIN + 50 * SECOND
    session.step(2.0, 0.0)
    assert session.status.lag_ms > 500
    session.step(2.0, 10.0)
    assert session.clock < BEGIN + 20 * SECOND, "a clock that ran away waits instead of leaping"


def test_times_going_back_are_clamped_as_the_engine_does() -> None:
    events = EVENTS.copy()
    events["ts_recv"][500:520] -= 5 * SECOND
    session = opened(events, chunk=64)
    run_to(session, BEGIN + 50 * SECOND)
    assert session.clock == BEGIN + 50 * SECOND
    assert session.status.events == int((np.maximum.accumulate(events["ts_recv"]) < session.clock).sum())


# -- parts ------------------------------------------------------------------------------------


def test_chunks_held_stay_intact() -> None:
    """A reader ahead never overwrites what the session holds: four buffers, used in turn."""
    reader = ReadAhead(TapeSource(EVENTS, 100))
    seen = []
    while (chunk := reader.get(5.0)) is not None:
        before = chunk.copy()
        _ = [reader for _ in range(1000)]
        assert chunk.tobytes() == before.tobytes()
        seen.append(before)
    assert reader.ended
    assert np.concatenate(seen).tobytes() == EVENTS.tobytes()
    assert reader.get(0.1) is None


def test_closing_a_reader_ends_its_thread() -> None:
    reader = ReadAhead(TapeSource(EVENTS, 10))
    assert reader.get(5.0) is not None
    reader.close()
    assert not reader._thread.is_alive()
    assert reader.get(0.1) is None


def test_a_cursor_skips_and_counts() -> None:
    cursor = Cursor(TapeSource(EVENTS, 100), skip=250, last=0)
    assert cursor.next_time(5.0) == EVENTS["ts_recv"][250]
    events, times = cursor.take(50)
    assert (len(events), cursor.index, cursor.last) == (50, 300, int(times[-1]))
    cursor = Cursor(TapeSource(EVENTS, 100), skip=len(EVENTS))
    assert cursor.next_time(5.0) == NEVER


def test_the_end_is_found_by_reading_through() -> None:
    import threading

    stop = threading.Event()
    assert last_time(TapeSource(EVENTS), stop) == int(EVENTS["ts_recv"][-1])
    assert last_time(TapeSource(EVENTS[:0]), stop) is None
    stop.set()
    assert last_time(TapeSource(EVENTS), stop) is None


def test_the_pacer_keeps_whole_columns_from_speed_1() -> None:
    pacer = Pacer()
    assert pacer.target(5.0, 1000 * SECOND, 1.0) == 1000 * SECOND
    assert pacer.target(5.123, 1000 * SECOND, 1.0) == 1000 * SECOND + 100_000_000
    pacer.reset()
    pacer.target(5.0, 1000 * SECOND, 0.5)
    assert pacer.target(5.01, 1000 * SECOND, 0.5) == pytest.approx(1000 * SECOND + 5_000_000, abs=2)


def test_checkpoints_thin_out_evenly_and_keep_the_first() -> None:
    kept = Checkpoints(10**9)
    for k in range(500):
        ts = k * 30 * SECOND
        if kept.due(ts):
            kept.add(Checkpoint(ts, k, 0, None, None, 10))
    assert len(kept) <= 64
    assert kept.before(-5).ts == 0
    times = [kept.before(t * SECOND).ts for t in range(0, 15_000, 10)]
    assert max(t * 10 * SECOND - found for t, found in enumerate(times)) <= 2 * kept.gap
    small = Checkpoints(1000)
    for k in range(100):
        small.add(Checkpoint(k * 30 * SECOND, k, 0, None, None, 300))
    assert small.size <= 1000
    assert small.before(0).index == 0


def test_memory_counts_shared_arrays_once() -> None:
    a = np.zeros(1000)
    assert memory_of({"x": a, "y": [a, a], "z": (b"1234", {"k": np.zeros(10, "u1")})}) == 8000 + 4 + 10
    session = opened()
    assert 10_000 < memory_of(session.engine.snapshot()) < 1 << 30
