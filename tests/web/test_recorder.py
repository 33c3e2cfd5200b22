"""What the page is told equals a naive account of the same events, at every column."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from depthscope.runtime.session import Session
from depthscope.web.encoder import encode_fill, encode_tick
from depthscope.web.recorder import Recorder
from depthscope.web.stream import GAP_FILL, LAST_CHUNK, Head, dequantise
from tests.web.frames import decode, sizes
from tests.web.market import COLUMN, SECOND, START, TapeSource, account, make_events

PLAN = ((50, 3600), (250, 14_400), (1000, 86_400))
EVENTS = make_events(20.0, quiet=(8.0, 11.0))


def opened(
    chunk: int = 512, speed: float = 1.0, events: np.ndarray = EVENTS, **options: object
) -> tuple[Session, Recorder]:
    session = Session(lambda: TapeSource(events, chunk), speed=speed, **options)  # type: ignore[arg-type]
    recorder = Recorder(plan=PLAN)
    session.spectator = recorder
    session.open()
    assert session.status.state == "playing", session.status.error
    return session, recorder


def play(session: Session, recorder: Recorder, wall: float = 0.05, frames: list[dict] | None = None) -> None:
    """To the end, decoding what a client of both symbols at every resolution would get."""
    now, seq = 0.0, 0
    wanted = frozenset((s, r) for s in (0, 1) for r in (0, 1, 2))
    while session.status.state in ("playing", "seeking"):
        recorder.watch((0, 1))
        session.step(now, budget=10.0)
        seq += 1
        for key, made in encode_tick(recorder, wanted, seq, now).items():
            if frames is not None:
                frames += [decode(f.data) | {"key": key, "keep": f.keep} for f in made]
        now += wall
        assert now < 1e6
    assert session.status.error is None


@pytest.fixture(scope="module")
def played() -> tuple[Session, Recorder, list[dict]]:
    session, recorder = opened()
    frames: list[dict] = []
    play(session, recorder, frames=frames)
    return session, recorder, frames


@pytest.mark.parametrize("symbol", [0, 1])
def test_every_column_is_the_book_of_its_end(played: tuple, symbol: int) -> None:
    session, recorder, _ = played
    track = recorder.tracks[symbol]
    iid = 10 if track.instrument.symbol == "APL" else 11
    level = track.history.levels[0]
    start = START // SECOND * SECOND
    truth = account(EVENTS, iid, start, session.clock, recorder.origin)
    assert (level.tail, level.head) == (truth.first - 1, truth.last)
    run = level.run(truth.first, truth.last)
    cols = range(truth.first, truth.last + 1)
    assert run.bid.tolist() == [truth.bid[c] for c in cols]
    assert run.ask.tolist() == [truth.ask[c] for c in cols]
    assert run.imbalance == pytest.approx([truth.imbalance[c] for c in cols], abs=1e-6)
    assert run.cvd == pytest.approx([truth.cvd[c] for c in cols], abs=1e-9)
    assert run.ofi[:-1] == pytest.approx([truth.ofi[c] for c in cols][:-1], rel=1e-5, abs=1e-5)
    assert np.isnan(run.ofi[-1]), "the column cut short by the end of the data has no row"
    row = recorder.rows[symbol]
    assert row == (1 if iid == 10 else 5), "200 ticks of COIN are less than 0.3 % of its price"
    for k, col in enumerate(cols):
        ticks = [truth.levels[col].get(int(run.base[k]) + j, 0.0) for j in range(200 * row)]
        expected = np.reshape(ticks, (200, row)).sum(axis=1)
        assert np.allclose(dequantise(run.q[k], track.unit), expected, rtol=4.3e-4, atol=1e-9)
        assert run.base[k] % row == 0
        assert run.base[k] <= run.bid[k] < run.ask[k] < run.base[k] + 200 * row


@pytest.mark.parametrize("symbol", [0, 1])
def test_no_print_is_lost_at_any_resolution(played: tuple, symbol: int) -> None:
    session, recorder, _ = played
    track = recorder.tracks[symbol]
    iid = 10 if track.instrument.symbol == "APL" else 11
    truth = account(EVENTS, iid, START // SECOND * SECOND, session.clock, recorder.origin)
    assert track.prints == len(truth.prints)
    for res, ratio in ((0, 1), (1, 5), (2, 20)):
        expected: dict[tuple, float] = defaultdict(float)
        for col, tick, fraction, size, side in truth.prints:
            expected[col // ratio, tick, fraction, side] += size
        level = track.history.levels[res]
        found: dict[tuple, float] = defaultdict(float)
        kept = level.trades.between(0, 2**32 - 2)
        for r in kept:
            found[int(r["col"]), int(r["tick"]), float(r["fraction"]), int(r["side"])] += float(r["size"])
        assert found == pytest.approx(expected, rel=1e-5)
        assert int(kept["count"].sum()) == len(truth.prints)


def test_coarser_columns_are_maxima(played: tuple) -> None:
    _, recorder, _ = played
    history = recorder.tracks[0].history
    fine = history.levels[0]
    for level, ratio in ((history.levels[1], 5), (history.levels[2], 20)):
        checked = 0
        for col in range(level.tail + 1, level.head):
            first, last = col * ratio, col * ratio + ratio - 1
            if first < fine.tail or last > fine.head:
                continue
            run, coarse = fine.run(first, last), level.run(col, col)
            base = int(coarse.base[0])
            expected = np.zeros(200, int)
            for k in range(ratio):
                shift = int(run.base[k]) - base
                for j in range(200):
                    if 0 <= j + shift < 200:
                        expected[j + shift] = max(expected[j + shift], int(run.q[k][j]))
            assert coarse.q[0].tolist() == expected.tolist()
            assert coarse.cvd[0] == run.cvd[-1]
            assert coarse.ofi[0] == pytest.approx(run.ofi.sum(), rel=1e-4, abs=1e-3)
            checked += 1
        assert checked > 15


def test_ticks_alone_rebuild_the_history(played: tuple) -> None:
    """A client that was there from the start holds exactly what the server holds."""
    _, recorder, frames = played
    for key in [(s, r) for s in (0, 1) for r in (0, 1, 2)]:
        track, res = recorder.tracks[key[0]], key[1]
        level = track.history.levels[res]
        columns, ofi, volume = {}, {}, defaultdict(float)
        for f in (f for f in frames if f["key"] == key):
            if f["type"] == 2:
                columns[f["col"]] = (f["base_tick"], f["bid"], f["ask"], f["cvd"], f["size"])
                ofi.update({f["ofi_first"] + k: v for k, v in enumerate(f["ofi"])})
                added = f["trades"]
            else:
                table = sizes(f)
                span = range(f["first"], f["first"] + f["nCols"])
                for k, col in enumerate(span):
                    columns[col] = (f["base"][k], f["bid"][k], f["ask"][k], f["cvd"][k], table[k].tolist())
                    if not np.isnan(f["ofi"][k]):
                        ofi[col] = f["ofi"][k]
                for col in [c for c, *_ in volume if c in span]:
                    raise AssertionError(f"column {col} came twice with prints")
                added = f["trades"]
            for t in added:
                volume[t["col"], t["tick"], t["tick_fraction"], t["side"]] += t["size"]
        held = level.run(level.tail + 1, level.head)
        span = range(held.first, held.first + len(held.base))
        assert [columns[c][:4] for c in span] == list(
            zip(held.base, held.bid, held.ask, held.cvd, strict=True)
        )
        got = np.array([columns[c][4] for c in span])
        assert np.allclose(got, dequantise(held.q, track.unit), rtol=5e-4, atol=0)
        assert np.allclose([ofi.get(c, np.nan) for c in span], held.ofi, rtol=1e-5, equal_nan=True)
        kept: dict[tuple, float] = defaultdict(float)
        for r in level.trades.between(0, 2**32 - 2):
            kept[int(r["col"]), int(r["tick"]), float(r["fraction"]), int(r["side"])] += float(r["size"])
        assert volume == pytest.approx(kept, rel=1e-5)


def digest(recorder: Recorder, symbol: int = 0) -> bytes:
    out = []
    for level in recorder.tracks[symbol].history.levels:
        run = level.run(level.tail, level.head)
        out += [
            a.tobytes()
            for a in (run.cvd, run.base, run.bid, run.ask, run.imbalance, run.ofi, run.q, run.trades)
        ]
    return b"".join(out)


@pytest.mark.parametrize("chunk", [1, 7, 4096, 100_000])
def test_chunks_do_not_matter(played: tuple, chunk: int) -> None:
    session, recorder = opened(chunk, events=EVENTS)
    play(session, recorder)
    assert digest(recorder) == digest(played[1])


def test_the_pace_does_not_matter_up_to_speed_20(played: tuple) -> None:
    session, recorder = opened(speed=20.0)
    play(session, recorder, wall=0.037)
    assert digest(recorder) == digest(played[1])


def test_slow_motion_shows_open_columns_and_ends_the_same(played: tuple) -> None:
    session, recorder = opened(speed=0.5, events=EVENTS[EVENTS["ts_recv"] < START + 2 * SECOND])
    frames: list[dict] = []
    play(session, recorder, frames=frames)
    opens = [f for f in frames if f["key"] == (0, 0) and f["type"] == 2 and not f["flags"] & 1]
    assert opens, "at half speed a column is seen while it fills"
    mine, theirs = recorder.tracks[0].history.levels[0], played[1].tracks[0].history.levels[0]
    last = mine.head - 1
    a, b = mine.run(mine.tail, last), theirs.run(mine.tail, last)
    assert a.q.tobytes() == b.q.tobytes()
    assert a.trades.tobytes() == b.trades.tobytes()


def test_fast_replay_keeps_every_print_and_no_hole() -> None:
    session, recorder = opened(speed=500.0, events=EVENTS)
    frames: list[dict] = []
    play(session, recorder, frames=frames)
    level = recorder.tracks[0].history.levels[0]
    assert level.tail <= (START - recorder.origin) // COLUMN
    cols = {
        c
        for f in frames
        if f["key"] == (0, 0) and f["type"] == 1
        for c in range(f["first"], f["first"] + f["nCols"])
    }
    assert cols >= set(range(level.tail + 1, level.head)), "columns of one tick come as HIST"
    assert int(level.trades.between(0, 2**32 - 2)["count"].sum()) == recorder.tracks[0].prints > 500


def test_a_fill_equals_the_history_newest_first(played: tuple) -> None:
    _, recorder, _ = played
    track = recorder.tracks[0]
    level = track.history.levels[0]
    chunks = [decode(f) for f in encode_fill(recorder, Head(0, 9, 0, 0.0), 2048, None)]
    assert [c["first"] for c in chunks] == sorted((c["first"] for c in chunks), reverse=True)
    assert all(c["nCols"] == 300 for c in chunks[:-1])
    assert [c["flags"] & LAST_CHUNK for c in chunks] == [0] * (len(chunks) - 1) + [LAST_CHUNK]
    assert not any(c["flags"] & GAP_FILL for c in chunks)
    assert sum(c["nCols"] for c in chunks) == level.head - level.tail + 1
    assert sum(t["count"] for c in chunks for t in c["trades"]) == track.prints
    for c in chunks:
        run = level.run(c["first"], c["first"] + c["nCols"] - 1)
        assert c["q"] == run.q.ravel().tolist()
        assert c["cvd"] == run.cvd.tolist()


@pytest.mark.parametrize("since", [0, 25, 10**9])
def test_a_gap_fill_starts_where_the_client_stopped(played: tuple, since: int) -> None:
    _, recorder, _ = played
    level = recorder.tracks[0].history.levels[0]
    asked = level.head - since if since < 1000 else since
    chunks = [decode(f) for f in encode_fill(recorder, Head(0, 9, 0, 0.0), 100, asked)]
    assert all(c["flags"] & GAP_FILL for c in chunks)
    assert chunks[-1]["first"] == min(asked, level.head)
    assert chunks[0]["first"] + chunks[0]["nCols"] - 1 == level.head


def test_a_quiet_stretch_holds_the_book_and_flows_nothing(played: tuple) -> None:
    _, recorder, _ = played
    level = recorder.tracks[0].history.levels[0]
    first = (START + 8 * SECOND - recorder.origin) // COLUMN + 2
    run = level.run(first, first + 50)
    assert (run.q == run.q[0]).all()
    assert run.q[0].any()
    assert (run.ofi == 0).all()
    assert len(run.trades) == 0
