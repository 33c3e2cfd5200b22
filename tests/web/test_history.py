"""History and its trades in fixed memory: rings that wrap, windows that move, room that runs out."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthscope.web.history import History, Level, Sample
from depthscope.web.stream import NO_TICK, TRADE_RECORD, quantise
from depthscope.web.trades import TradeStore

MS = 1_000_000
LEVELS = 8


def sample(base: int, sizes: dict[int, float], cvd: float = 0.0) -> Sample:
    """A book of a few ticks, seen through a window of eight at `base`."""
    size = np.zeros(LEVELS, "<f4")
    for tick, value in sizes.items():
        if 0 <= tick - base < LEVELS:
            size[tick - base] = value
    return Sample(base, base, base + 1, 1.0, 2.0, cvd, 0.5, 2, size, quantise(size))


samples = st.lists(
    st.tuples(
        st.integers(1, 400),  # ms until the next sample
        st.integers(-3, 3),  # the window moves
        st.dictionaries(st.integers(-8, 16), st.integers(1, 10**6), max_size=6),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(samples)
def test_any_run_of_samples_gives_the_naive_columns(steps: list[tuple[int, int, dict[int, int]]]) -> None:
    """Finest: the last state of each column. Coarser: the largest, per tick, within the newest window."""
    plan = ((50, 7), (250, 5))
    history = History(0, LEVELS, plan)
    naive: list[dict[int, dict[str, object]]] = [{}, {}]
    ts, base, until = 0, 0, None
    for gap, move, sizes in steps:
        ts, base = ts + gap * MS, base + move
        s = sample(base, dict(sizes), cvd=float(ts))
        history.advance(ts, s)
        start = until if until is not None else ts - 1
        for (ms, _), columns, finest in zip(plan, naive, (True, False), strict=True):
            for col in range(start // (ms * MS), (ts - 1) // (ms * MS) + 1):
                old = columns.get(col)
                row = {base + k: int(q) for k, q in enumerate(s.q)}
                if old is not None and not finest:
                    before: dict[int, int] = old["row"]  # type: ignore[assignment]
                    row = {t: max(q, before.get(t, 0)) for t, q in row.items()}
                columns[col] = {"row": row, "base": base, "cvd": float(ts)}
        until = ts
    for level, columns, (_, cols) in zip(history.levels, naive, plan, strict=True):
        assert level.head == max(columns)
        assert level.tail == max(min(columns), level.head - cols + 1)
        run = level.run(level.tail, level.head)
        for k, col in enumerate(range(level.tail, level.head + 1)):
            expected = columns[col]
            assert run.base[k] == expected["base"]
            assert run.cvd[k] == expected["cvd"]
            assert {int(run.base[k]) + j: int(q) for j, q in enumerate(run.q[k])} == expected["row"]


def test_walls_survive_zooming_out_and_windows_that_move() -> None:
    history = History(0, LEVELS, ((50, 100), (250, 100)))
    history.advance(50 * MS, sample(0, {5: 9999.0}))
    history.advance(100 * MS, sample(2, {5: 1.0}))
    history.advance(250 * MS, sample(-1, {5: 2.0, -1: 7.0}))
    coarse = history.levels[1].run(0, 0)
    assert coarse.base[0] == -1
    q = quantise(np.array([9999.0, 7.0]))
    assert (coarse.q[0][6], coarse.q[0][0]) == (q[0], q[1])
    history.advance(300 * MS, sample(100, {101: 1.0}))
    assert history.levels[1].run(1, 1).q[0].tolist() == [0, quantise(np.array([1.0]))[0], 0, 0, 0, 0, 0, 0]


def test_time_that_does_not_advance_writes_nothing() -> None:
    history = History(0, LEVELS, ((50, 10),))
    history.advance(100 * MS, sample(0, {1: 1.0}))
    history.advance(100 * MS, sample(5, {6: 1.0}))
    assert history.levels[0].run(1, 1).base[0] == 0


def test_a_long_leap_fills_the_ring_and_no_more() -> None:
    level = Level(50, 10, LEVELS, finest=True)
    level.write(0, 5, sample(0, {1: 1.0}))
    level.write(6, 10**9, sample(3, {4: 2.0}))
    assert (level.tail, level.head) == (10**9 - 9, 10**9)
    assert set(level.run(level.tail, level.head).base.tolist()) == {3}


def test_flow_reaches_its_column_and_only_while_it_is_held() -> None:
    history = History(0, LEVELS, ((50, 4), (250, 4)))
    history.advance(500 * MS, sample(0, {1: 1.0}))
    history.advance(1000 * MS, sample(0, {1: 1.0}))
    ends = np.array([50, 900, 950, 1000, 1050], np.int64) * MS
    history.add_ofi(ends, np.array([5.0, 1.0, 2.0, np.nan, 9.0]))
    history.finalise(1000 * MS)
    assert history.levels[0].ofi(14, 22).tolist() == pytest.approx(
        [np.nan, np.nan, 0, 1, 2, 0, np.nan, np.nan], nan_ok=True
    )
    assert history.levels[1].ofi(3, 5).tolist() == pytest.approx([3.0, np.nan], nan_ok=True)


def prints(*rows: tuple[int, int, float, float, int]) -> np.ndarray:
    out = np.zeros(len(rows), TRADE_RECORD)
    for k, (col, tick, fraction, size, side) in enumerate(rows):
        out[k] = (col, tick, fraction, size, k, side, 0, 1)
    return out


def volumes(records: np.ndarray) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = defaultdict(float)
    for r in records:
        found[int(r["col"]), int(r["side"])] += float(r["size"])
    return found


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 10]), st.integers(16, 64))
def test_volume_is_never_lost_while_its_column_is_held(seed: int, merge_from: int, columns: int) -> None:
    """However many prints come, a store of 4 a column keeps each column's volume by side."""
    rng = np.random.default_rng(seed)
    store, expected, col = TradeStore(4 * columns, merge_from), defaultdict(float), 0
    for _ in range(60):
        col += int(rng.integers(0, 3))
        n = int(rng.integers(1, 2 * columns))
        batch = prints(
            *[(col, int(rng.integers(-3, 4)), 0.0, 1.0, int(rng.integers(0, 3))) for _ in range(n)]
        )
        tail = max(0, col - columns + 1)
        store.append(batch, tail)
        for r in batch:
            expected[int(r["col"]), int(r["side"])] += 1.0
        assert len(store) <= 4 * columns
    tail = max(0, col - columns + 1)
    kept = volumes(store.between(tail, col))
    assert kept == pytest.approx({k: v for k, v in expected.items() if k[0] >= tail})
    assert (np.diff(store.between(tail, col)["col"].astype(int)) >= 0).all()


@pytest.mark.parametrize("merge_from", [1, 3, 50])
def test_prints_of_many_columns_at_once_are_kept_as_one_by_one(merge_from: int) -> None:
    rng = np.random.default_rng(5)
    cols = np.sort(rng.integers(0, 60, 400))
    all_ = prints(*[(int(c), int(rng.integers(0, 3)), 0.0, 1.0, int(rng.integers(0, 2))) for c in cols])
    all_["seq"] = np.arange(400)
    one, many = TradeStore(4096, merge_from), TradeStore(4096, merge_from)
    for start in range(0, 400, 90):
        many.append(all_[start : start + 90], 0)
    for col in np.unique(cols):
        one.append(all_[cols == col], 0)
    assert one.between(0, 58).tobytes() == many.between(0, 58).tobytes()
    assert (len(one) < 400) is (merge_from < 50)


def test_room_made_by_merging_keeps_the_average_price() -> None:
    store = TradeStore(16, merge_from=100)
    for k in range(4):
        store.append(prints((0, 10 + k, 0.0, 1.0, 1), (0, 12, 0.0, 3.0, 1), (0, -5, 0.5, 2.0, 2)), 0)
    for k in range(1, 12):
        store.append(prints((k, 7, 0.0, 1.0, 0)), 0)
    first = store.between(0, 0)
    assert len(first) == 2, "room was made"
    assert volumes(first) == {(0, 1): 16.0, (0, 2): 8.0}
    buys, sells = first[first["side"] == 1], first[first["side"] == 2]
    assert buys["tick"][0] + buys["fraction"][0] == pytest.approx((10 + 11 + 12 + 13 + 12 * 12) / 16)
    assert sells["tick"][0] + sells["fraction"][0] == pytest.approx(-4.5)
    assert int(first["count"].sum()) == 12


def test_going_back_forgets_what_came_after() -> None:
    history = History(0, LEVELS, ((50, 100), (1000, 100)))
    fields = {"tick": np.array([1]), "size": np.array([2.0])}
    for k in range(1, 81):
        history.add_trades(np.array([k * 50 * MS - 1]), fields)
        history.advance(k * 50 * MS, sample(k, {k: 1.0}, cvd=k))
        history.add_ofi(np.array([k * 50 * MS]), np.array([1.0]))
        history.finalise(k * 50 * MS)
        if k == 40:
            kept = history.unfinished()
    history.truncate(2000 * MS, kept)
    fine, coarse = history.levels
    assert (fine.head, coarse.head) == (39, 1)
    assert fine.run(0, 39).cvd[-1] == 40
    assert len(fine.trades) == 40
    assert coarse.ofi(0, 3).tolist() == pytest.approx([20.0, 20.0, np.nan], nan_ok=True)
    history.advance(2050 * MS, sample(99, {}))
    assert fine.run(39, 40).base.tolist() == [40, 99]
    history.truncate(0, tuple((0, np.zeros(0, "<f4")) for _ in range(2)))
    assert fine.head == -1
    assert history.last is None
    assert NO_TICK == -(2**31)


DAY = """
from pathlib import Path
import numpy as np
from depthscope.web.history import History, Sample
from depthscope.web.stream import quantise

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

before = resident()
history = History(0, 200, reserve=True)
reserved = resident() - before
size = np.ones(200, "<f4")
book = Sample(0, 100, 101, 1.0, 2.0, 0.0, 0.5, 2, size, quantise(size))
for minute in range(25 * 60):
    history.advance(max(1, minute * 60_000_000_000), book)
for part in np.array_split(np.arange(300_000, dtype=np.int64) * 288_000_000, 300):
    history.add_trades(part, {name: np.ones(len(part)) for name in ("tick", "size", "side")})
    for level in history.levels:
        level.fresh.clear()  # as the encoder does at each tick
print(reserved, resident() - before - reserved, history.held_bytes)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells resident memory on Linux only")
def test_a_reserved_history_takes_its_memory_at_once_and_none_in_a_day() -> None:
    """In a process of its own: here, memory that other tests gave back would be taken first."""
    done = subprocess.run([sys.executable, "-c", DAY], capture_output=True, text=True, check=True)
    reserved, grown, held = map(int, done.stdout.split())
    assert reserved > 0.9 * held > 40e6
    assert grown < 8e6, "what is copied for a moment; the columns are 53 MiB"
