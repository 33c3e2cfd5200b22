"""Support and resistance as signals know them: worked cases, the slow one, upside down, any cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.detectors.messages import messages
from depthscope.detectors.registry import all_detectors
from depthscope.engine import Engine
from depthscope.features.kit import SECOND
from depthscope.jit import njit
from depthscope.market.events import ASK, BID, NO_SIDE, UNDEF_PRICE
from depthscope.market.layouts import DETECTION, LIVE
from depthscope.market.source import Source
from depthscope.runtime.models import default_model
from depthscope.runtime.sources import open_source
from depthscope.signals import levels
from depthscope.signals.levels import LEVELS, PLACES, hear, level_lean
from tests.engine.harness import collect, cuts_of, run
from tests.reference.signal_levels import Sign, SlowLevels, signs_of
from tests.strategies.streams import examples

START = 1_700_000_040 * SECOND  # a whole minute
MINUTE = 60 * SECOND
Row = tuple[int, int, int]  # ns from the start, bid, ask in ticks of 1; no bid: not quoted
Floats = npt.NDArray[np.float64]
SIDES = {"B": BID, "A": ASK, "": NO_SIDE}


@njit
def drive(states: Any, rows: Any, upto: Any, said: Any, out: Any) -> None:
    """Give rows, and before each its messages, to the kernel."""
    m = 0
    for j in range(len(rows)):
        while m < upto[j]:
            hear(states[0], said[m])
            m += 1
        if rows[j, 3]:
            out[j] = level_lean(states[0], rows[j, 0], rows[j, 1], rows[j, 2], np.int64(1))
        else:
            states[0].lost = 1
            out[j] = np.nan


def records(signs: Sequence[Sign]) -> Any:
    """Messages as detectors say them."""
    made = np.zeros(len(signs), DETECTION)
    for k, (ts, detector, number, side, price) in enumerate(signs):
        made[k]["ts"], made[k]["detector"], made[k]["number"] = ts, detector, number
        made[k]["side"], made[k]["price"] = SIDES[side], price
    return made


def leans(rows: Sequence[Row], signs: Sequence[Sign] = (), states: Any = None) -> Floats:
    """`level_lean` of rows; a sign is heard before the first row that is not older."""
    states = np.zeros(1, LEVELS) if states is None else states
    table = np.array([(START + ts, bid, ask, bool(bid)) for ts, bid, ask in rows], np.int64).reshape(-1, 4)
    heard = [(START + sign[0], *sign[1:]) for sign in signs]
    order = sorted(
        range(len(signs)), key=lambda k: min(j for j, row in enumerate(table) if row[0] >= heard[k][0])
    )
    heard = [heard[k] for k in order]
    upto = np.array([sum(sign[0] <= row[0] for sign in heard) for row in table], np.int64)
    out = np.empty(len(rows))
    drive(states, table, upto, records(heard), out)
    return out


def slow_leans(rows: Sequence[Row], signs: Sequence[Sign] = ()) -> Floats:
    """The same in plain Python."""
    slow, out, known = SlowLevels(1), [], 0
    heard = sorted((START + sign[0], *sign[1:]) for sign in signs)
    for ts, bid, ask in rows:
        upto = sum(sign[0] <= START + ts for sign in heard)
        slow.hear([sign for sign in heard[known:upto] if sign[3]])
        known = upto
        if bid:
            out.append(slow.row(START + ts, bid, ask))
        else:
            slow.lost()
            out.append(np.nan)
    return np.array(out)


def at(second: float, bid: int, ask: int | None = None) -> Row:
    """A row, its spread one tick unless it is said."""
    return round(second * SECOND), bid, bid + 1 if ask is None else ask


HALF = 1.0 / (1.0 + 1.0)  # of a score of 1

# ── worked cases: ticks of 1 at 1000, so a zone is 2 and half of it 1 ─────────────────────


def test_a_support_is_touched_and_holds() -> None:
    rows = [
        at(0, 1000),
        at(1, 1002),  # two ticks before: not touched before it was four away
        at(2, 1004),  # two zones away
        at(3, 1002),  # on its way
        at(4, 1001),  # within half a zone: touched
        at(5, 999),  # past the price, ask still within a zone
        at(6, 1003),  # still touched
        at(7, 1004),  # held: score 2, and nothing touched
        at(8, 1001),  # touched again
    ]
    found = leans(rows, [(0, 1, 1, "B", 1000)])
    assert found.tolist() == [0, 0, 0, 0, HALF, HALF, HALF, 0, 2 / 3]


def test_a_resistance_is_broken_and_then_speaks_for_up() -> None:
    rows = [
        at(0, 990),  # ask 991, nine ticks before
        at(1, 998),  # ask 999: touched, it speaks for down
        at(2, 1002),  # bid a zone past it: said no more
        at(6.9, 1002),  # less than five seconds
        at(7, 1002),  # five: broken, half the score, now a support
        at(60, 1002),  # a minute has begun: it has faded
        at(66.9, 1001),  # touched from above? it was never two zones away; still fresh
        at(67, 1001),  # a minute after the break: over
    ]
    found = leans(rows, [(0, 1, 1, "A", 1000)])
    whole, faded = 0.5 / 1.5, 0.5 * levels.DECAY / (1 + 0.5 * levels.DECAY)
    assert found.tolist() == [0, -HALF, 0, 0, whole, faded, faded, 0]


def test_time_past_a_place_begins_anew_when_it_comes_back_or_the_book_is_lost() -> None:
    sign = [(0, 1, 1, "A", 1000)]
    there = [at(0, 998), at(1, 1002), at(5, 1001), at(6, 1002), at(10.9, 1002), at(11, 1002)]
    assert leans(there, sign).tolist() == [0, 0, 0, 0, 0, 1 / 3]
    lost = [at(0, 998), at(1, 1002), at(4, 0), at(5, 1002), at(9.9, 1002), at(10, 1002)]
    assert leans(lost, sign)[[0, 1, 3, 4, 5]].tolist() == [0, 0, 0, 0, 1 / 3]
    assert np.isnan(leans(lost, sign)[2])


def test_mid_turns() -> None:
    """Eight ticks back from a high make its best ask a resistance."""
    up = [at(k, 1000 + k) for k in range(11)]  # to 1010 / 1011
    down = [at(11 + k, 1009 - k) for k in range(8)]  # to 1002: the high is a sign
    back = [at(20, 1008), at(21, 1009)]  # ask 1009, 1010: within half a zone of 1011
    assert leans([*up, *down, *back])[-2:].tolist() == [0, -HALF]
    less = [at(k, 1000 + k) for k in range(11)] + [at(11, 1003), at(12, 1009)]
    assert leans(less)[-1] == 0.0


def test_signs_within_half_a_zone_are_of_one_place_and_scores_end_at_four() -> None:
    signs = [(0, 1, k, "B", 1000 + k % 2) for k in range(9)]
    rows = [at(0, 1010), at(1, 1001)]
    assert leans(rows, signs)[-1] == 4 / 5
    two = [(0, 1, 1, "B", 1000), (0, 1, 2, "B", 1002)]  # two ticks apart: two places
    assert leans([at(0, 1010), at(1, 1001)], two)[-1] == 2 / 3
    assert leans([at(0, 1010), at(1, 1003)], two)[-1] == HALF


def test_a_place_fades_and_is_forgotten() -> None:
    sign = [(0, 1, 1, "B", 1000)]
    for minutes, score in ((15, 0.5), (49, 0.5 ** (49 / 15)), (50, 0.0), (10_000, 0.0)):
        found = leans([at(0, 1010), at(60 * minutes, 1001)], sign)[-1]
        assert found == pytest.approx(score / (1 + score), abs=1e-12), minutes


def test_what_is_no_sign() -> None:
    assert leans([at(0, 1010), at(1, 1001)], [(0, 1, 1, "", 1000)])[-1] == 0.0
    assert leans([at(0, 1010), at(1, 1001)], [(0, 1, 1, "B", UNDEF_PRICE)])[-1] == 0.0
    assert leans([at(0, 0), at(1, 0)]).tolist() == pytest.approx([np.nan] * 2, nan_ok=True)


def test_signs_before_the_first_quoted_row_wait_for_it() -> None:
    rows = [at(0, 0), at(1, 1010), at(2, 1001)]
    assert leans(rows, [(0, 1, 1, "B", 1000)])[1:].tolist() == [0, HALF]


def test_the_zone_is_half_a_basis_point_where_that_is_more() -> None:
    """At 100,000 ticks half a basis point is five: touched at two, away at ten."""
    sign = [(0, 1, 1, "B", 100_000)]
    for away, near, lean in ((10, 2, HALF), (9, 2, 0.0), (10, 3, 0.0)):
        assert leans([at(0, 100_000 + away), at(1, 100_000 + near)], sign)[-1] == lean


def test_more_places_than_there_is_room_for() -> None:
    """Of equal scores the first gives way."""
    signs = [(j, 1, j + 1, "B", 1000 + 4 * j if j else 1996) for j in range(PLACES + 1)]
    rows = [*((j, 2000, 2001) for j in range(PLACES + 1)), at(1, 1997)]
    assert leans(rows, signs[:-1])[-1] == HALF
    assert leans(rows, signs)[-1] == 0.0


def test_more_signs_than_may_wait() -> None:
    """The first in time count: here the one of the place that is touched is the last, or the first."""
    signs = [(k, 1, k + 1, "B", 1000 + 4 * k) for k in range(levels.WAITING)]
    rows = [at(0.5, 1204), at(1, 1201)]
    assert leans(rows, [*signs, (levels.WAITING, 1, 99, "B", 1200)])[-1] == 0.0
    assert leans(rows, [*signs, (-1, 1, 99, "B", 1200)])[-1] == HALF


# ── any market ────────────────────────────────────────────────────────────────────────────


@st.composite
def markets(draw: Any) -> tuple[list[Row], list[Sign]]:
    """Rows of a wandering market, some not quoted, and signs near it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 400))
    level = draw(st.sampled_from((1_000, 200_000)))
    step = 2 if level == 1_000 else 10  # a zone
    pace = draw(st.sampled_from((0.1, 1.0, 20.0)))
    ts = np.cumsum(rng.integers(1, round(2 * pace * SECOND), n))
    moves = rng.integers(-step, step + 1, n) * (rng.random(n) < draw(st.sampled_from((0.1, 0.5, 1.0))))
    bids = level + np.cumsum(moves)
    wide = 1 + rng.integers(0, 2 * step, n) * (rng.random(n) < 0.2)
    quoted = rng.random(n) < draw(st.sampled_from((0.9, 1.0)))
    rows = [
        (int(t), int(b) * int(q), int(b + w) * int(q))
        for t, b, w, q in zip(ts, bids, wide, quoted, strict=True)
    ]
    signs = []
    for k in range(draw(st.integers(0, 150))):
        j = int(rng.integers(0, n))
        side = "BA"[int(rng.integers(0, 2))]
        price = int(bids[j]) + int(rng.integers(-6 * step, 6 * step + 1))
        signs.append((int(ts[j]) - int(rng.integers(0, 2)), int(rng.integers(1, 9)), k + 1, side, price))
    return rows, signs


@examples(150)
@given(markets(), st.randoms(use_true_random=False))
def test_every_row_equals_the_slow_one(market: tuple[list[Row], list[Sign]], mixed: Any) -> None:
    rows, signs = market
    expected = slow_leans(rows, signs)
    assert np.array_equal(leans(rows, signs), expected, equal_nan=True)
    # Detectors speak in any order, and a snapshot holds everything.
    mixed.shuffle(signs)
    states, at_row = np.zeros(1, LEVELS), len(rows) // 2
    border = START + rows[at_row - 1][0] if at_row else 0
    early = [s for s in signs if START + s[0] <= border]
    late = [s for s in signs if START + s[0] > border]
    one = leans(rows[:at_row], early, states) if at_row else np.zeros(0)
    two = leans(rows[at_row:], late, states.copy())
    assert np.array_equal(np.concatenate([one, two]), expected, equal_nan=True)


@examples(60)
@given(markets())
def test_a_market_upside_down_leans_the_other_way(market: tuple[list[Row], list[Sign]]) -> None:
    rows, signs = market
    middle = next((bid + ask for _, bid, ask in rows if bid), 0)
    turned = [(ts, middle - ask, middle - bid) if bid else (ts, 0, 0) for ts, bid, ask in rows]
    other = [(ts, d, n, "A" if side == "B" else "B", middle - price) for ts, d, n, side, price in signs]
    if any(bid and not middle - ask for _, bid, ask in rows):
        return  # a price of 0 stands for no quote here
    assert np.array_equal(leans(turned, other), -leans(rows, signs), equal_nan=True)


def test_markets_made_here_touch_and_break() -> None:
    """The comparison is of something: about the share of rows that lean."""
    rng = np.random.default_rng(5)
    bids = 1_000 + np.cumsum(rng.integers(-2, 3, 5_000))
    rows = [at(k, int(bid)) for k, bid in enumerate(bids)]
    found = leans(rows)
    assert np.array_equal(found, slow_leans(rows))
    assert (found > 0).mean() > 0.1 and (found < 0).mean() > 0.1
    assert (found == 0).mean() > 0.02 and np.abs(found).max() < 1.0


def test_detectors_have_room_in_a_sign() -> None:
    assert max(about.number for about in all_detectors()) * levels.DETECTOR < 2**62


# ── the engine ────────────────────────────────────────────────────────────────────────────


def engine_of(source: Source, every: int | str) -> Engine:
    model = default_model("10s")
    return Engine(
        source.resolve, every=every, features=[], detectors=[], signal=lambda _: model, keep_samples=True
    )


def compare(source: Source, every: int | str) -> Floats:
    """Hold each row of an engine against the slow one; returns the leans."""
    engine = engine_of(source, every)
    numbers = {about.name: about.number for about in all_detectors()}
    slow: dict[int, SlowLevels] = {}
    place = [column.name for column in engine.columns].index("level_lean")
    found = []
    for events in source.chunks():
        for batch in engine.frames(events):
            for slot in set(batch.meta["slot"].tolist()) | set(batch.detections["slot"].tolist()):
                said = batch.detections[batch.detections["slot"] == slot]
                one = slow.setdefault(slot, SlowLevels(engine.slots[slot].tick))
                one.hear(signs_of(messages(said, engine.slots), numbers))
            assert batch.samples is not None
            for j, row in enumerate(batch.samples):
                one, got = slow[int(row["slot"])], batch.values[place, j]
                bid, ask = int(row["bid_price"][0]), int(row["ask_price"][0])
                if row["state"] == LIVE and row["n_bid"] and row["n_ask"] and bid < ask:
                    assert got == one.row(int(row["ts"]), bid, ask)
                    found.append(got)
                else:
                    assert np.isnan(got)
                    one.lost()
    return np.array(found)


def test_rows_of_a_synthetic_market() -> None:
    found = compare(open_source("synthetic:seed=11,minutes=2,symbols=2"), "100ms")
    assert (found > 0).any() and (found < 0).any() and (found == 0).any()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "every"),
    [("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "1s"), ("binance/btcusdt_20240808.gz", "100ms")],
)
def test_rows_of_recordings(name: str, every: str, data_dir: Path) -> None:
    found = compare(open_source(str(data_dir / name)), every)
    assert (found > 0).mean() > 0.02 and (found < 0).mean() > 0.02 and (found == 0).any()


@pytest.mark.parametrize("every", ["event", "100ms"])
def test_any_cut_and_any_snapshot_give_the_same(every: str) -> None:
    source = open_source("synthetic:seed=12,minutes=2,symbols=2")
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    whole = run(engine_of(source, every), events)
    assert len(np.unique(whole.columns["level_lean"])) > 10
    for size in (13, 5_000):
        cut = run(engine_of(source, every), events, size)
        assert cut.columns["level_lean"].tobytes() == whole.columns["level_lean"].tobytes()
    for share in (0.3, 0.8):
        at_event = int(len(events) * share)
        one, two = engine_of(source, every), engine_of(source, every)
        head = [one.process(piece) for piece in cuts_of(events[:at_event], 10_000)]
        two.restore(one.snapshot())
        tail = [two.process(piece) for piece in cuts_of(events[at_event:], 10_000)]
        joined = collect([*head, *tail, two.finish()])
        assert joined.columns["level_lean"].tobytes() == whole.columns["level_lean"].tobytes()


def test_a_synthetic_market_upside_down() -> None:
    source = open_source("synthetic:seed=13,minutes=3,symbols=1")
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    first = run(engine_of(source, "100ms"), events)
    row = next(r for r in first.samples if r["n_bid"] and r["n_ask"])
    turned = events.copy()
    priced = events["price"] != UNDEF_PRICE
    turned["price"][priced] = int(row["bid_price"][0] + row["ask_price"][0]) - events["price"][priced]
    turned["side"][events["side"] == BID], turned["side"][events["side"] == ASK] = ASK, BID
    other = run(engine_of(source, "100ms"), turned)
    for name in ("level_lean", "wall_lean", "detection_balance"):
        assert np.array_equal(other.columns[name], -first.columns[name], equal_nan=True), name
    assert np.count_nonzero(first.columns["level_lean"]) > 100
