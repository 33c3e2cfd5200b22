"""Everything the synthetic market says it injected is there, by a slow and separate replay."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from depthscope.venues import synthetic as syn
from tests.venues.synthetic_exchange import SECOND, Book, Fill, Tape, replay

# One worker makes the market they share. The slow replay takes no part in coverage: little of it is ours, and
# tests/venues/test_synthetic.py covers the generator.
pytestmark = [pytest.mark.xdist_group("synthetic-truth"), pytest.mark.untraced]

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.venues.synthetic_truth import Injection

KINDS = (
    "wall",
    "iceberg_native",
    "iceberg_synthetic",
    "layering",
    "absorption",
    "sweep",
    "burst",
    "exhaustion",
    "liquidity_gap",
    "band",
)
SIDE = {"bid": "B", "ask": "A"}
OTHER = {"B": "A", "A": "B"}


@dataclass
class Case:
    """One injection, what the replay saw of it, and the market it was in."""

    truth: Injection
    tick: int
    start: int
    tape: Tape | None = None
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def side(self) -> str:
        return SIDE[self.truth.side]

    @property
    def book(self) -> Book:
        assert self.tape is not None
        return self.tape.book

    @property
    def of_order(self) -> dict[int, list[Fill]]:
        """Fills by the order that was filled."""
        return fills_by_order(self.book)

    def fills(self) -> int:
        """Lots executed against the injection's own orders."""
        return sum(f.size for number in self.truth.order_ids for f in self.of_order[number])

    def traded(self, side: str | None = None, price: int | None = None) -> int:
        """Lots executed while it ran, by an aggressor of `side`, at `price`."""
        return sum(
            size
            for _, aggressor, p, size in self.trades(self.truth.ts_start, self.truth.ts_end + 1)
            if (side is None or aggressor == side) and (price is None or p == price)
        )

    def trades(self, start: int, end: int) -> list[tuple[int, str, int, int]]:
        """Trades of a time, its end apart; they stand in its order."""
        trades = self.book.trades
        return trades[bisect_left(trades, (start,)) : bisect_left(trades, (end,))]


@cache
def fills_by_order(book: Book) -> dict[int, list[Fill]]:
    """Fills of a whole replay by order."""
    found: dict[int, list[Fill]] = defaultdict(list)
    for fill in book.fills:
        found[fill.order].append(fill)
    return found


def look(case: Case, name: str, figure: Callable[[Book], Any]) -> Callable[[Book], None]:
    """Note a figure of the book at one moment."""

    def note(book: Book) -> None:
        case.seen[name] = figure(book)

    return note


def questions(case: Case, placing: dict[int, int]) -> list[tuple[int, Callable[[Book], None]]]:
    """Moments at which to look at the book, and what for."""
    t, side, tick = case.truth, case.side, case.tick
    asks: list[tuple[int, Callable[[Book], None]]] = []

    def ask(ts: int, name: str, figure: Callable[[Book], Any]) -> None:
        asks.append((ts, look(case, name, figure)))

    if t.kind in ("wall", "band"):
        ask(t.ts_start, "at start", lambda b: b.level(side, t.price))
        placed = max((placing[i] for i in t.order_ids), default=t.ts_start)
        ask(placed, "soon", lambda b: b.level(side, t.price))
        ask(t.ts_end, "away", lambda b: abs((b.best(side) or 0) - t.price) // tick)
    if t.kind == "layering":
        step = (t.numbers["far_price"] - t.price) // (t.numbers["levels"] - 1)
        prices = [t.price + k * step for k in range(t.numbers["levels"])]
        ask(t.ts_start + SECOND // 4, "stack", lambda b: [b.level(side, p) for p in prices])
        ask(t.ts_end, "left", lambda b: [i for i in t.order_ids if i in b.orders])
    if t.kind == "liquidity_gap":
        low, high = sorted((t.price, t.numbers["far_price"]))
        prices = list(range(low, high + 1, tick))
        for name, ts in (("first", t.ts_start), ("last", t.ts_end)):
            ask(ts, name, lambda b: [b.level(side, p) for p in prices])
        ask(t.ts_start, "best", lambda b: b.best(side))
    if t.kind == "absorption":
        for k in range(20):
            moment = t.ts_start + (t.ts_end - 1 - t.ts_start) * k // 20
            ask(moment, f"best {k}", lambda b: b.best(side))
    if t.kind == "exhaustion":
        for k in range(40):
            moment = t.ts_start + (t.ts_end - t.ts_start) * k // 40
            ask(moment, f"depth {k}", lambda b: (b.depth(), b.spread()))
    return asks


@cache
def made() -> tuple[dict[str, list[Case]], list[Tape]]:
    """Sixteen minutes of three instruments, three times the usual injections, replayed slowly."""
    source = syn.open_spec("seed=21,minutes=16,symbols=3,inject=3,rate=0.6")
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    truth = source.truth()
    cases: dict[str, list[Case]] = {kind: [] for kind in KINDS}
    tapes = []
    added = events[events["action"] == ord("A")]
    placing = dict(zip(added["order_id"].tolist(), added["ts_recv"].tolist(), strict=True))
    for (_, number), instrument in source.instruments.items():
        mine = [Case(t, instrument.tick, source.spec.start_ns) for t in truth if t.instrument_id == number]
        asks = [q for case in mine for q in questions(case, placing)]
        tape = replay(events[events["instrument_id"] == number], instrument.tick, source.spec.start_ns, asks)
        tapes.append(tape)
        for case in mine:
            case.tape = tape
            cases[case.truth.kind].append(case)
    return cases, tapes


def ended(kind: str) -> list[Case]:
    """Cases of a kind that ended before the stream did."""
    found = [case for case in made()[0][kind] if case.truth.outcome != "open"]
    assert found, f"no {kind} in the fixture"
    return found


def test_every_kind_occurs() -> None:
    counts = Counter({kind: len(ended(kind)) for kind in KINDS})
    assert min(counts.values()) >= 3, counts


def test_times_are_of_groups_and_in_order() -> None:
    for kind in KINDS:
        for case in ended(kind):
            assert case.start <= case.truth.ts_start <= case.truth.ts_end <= case.book.recv


@pytest.mark.parametrize("grade", ["minor", "major"])
def test_walls_tower_over_the_median(grade: str) -> None:
    walls = [c for c in ended("wall") if c.truth.grade == grade]
    assert walls
    for c in walls:
        t = c.truth
        assert c.tape is not None
        assert sum(c.book.adds[i][3] for i in t.order_ids) == t.size
        assert all(c.book.adds[i][1:3] == (c.side, t.price) for i in t.order_ids)
        assert min(c.book.adds[i][0] for i in t.order_ids) == t.ts_start
        base = c.tape.baseline(t.ts_start)
        multiple = c.seen["soon"] / base
        assert t.numbers["median"] == pytest.approx(base, rel=0.15, abs=2)
        assert t.numbers["multiple"] >= (6_500 if grade == "major" else 3_600)
        assert c.seen["soon"] * 1000 / t.numbers["median"] >= 0.9 * t.numbers["multiple"]
        assert multiple >= (5 if grade == "major" else 3), (multiple, t)


def test_walls_end_as_they_say() -> None:
    for c in ended("wall"):
        t = c.truth
        assert c.fills() == t.filled <= t.size
        removed = sum(q for i in t.order_ids for _, q in c.book.cancels[i])
        assert removed == t.size - t.filled
        if t.outcome == "traded":
            assert t.filled * 10 >= t.size * 9
        elif t.outcome == "held":
            assert c.seen["away"] >= 1
            assert t.filled * 2 < t.size
        else:
            assert t.outcome == "pulled"
            assert t.filled * 10 < t.size * 9


def test_native_icebergs_fill_more_than_they_show() -> None:
    filled = [c for c in ended("iceberg_native") if c.truth.outcome != "unfilled"]
    assert len(filled) >= 5
    for c in filled:
        t = c.truth
        (order,) = t.order_ids
        assert c.book.adds[order][1:] == (c.side, t.price, t.numbers["displayed"])
        assert c.fills() == t.filled > t.numbers["displayed"]
        assert c.book.restored[order] == t.numbers["refills"] >= 1
        over = [f for f in c.of_order[order] if f.size > f.shown]
        assert len(over) == t.numbers["oversize_fills"]
        if t.outcome == "traded":
            assert t.filled == t.size
    assert sum(c.truth.numbers["oversize_fills"] for c in filled) > 0


def test_synthetic_icebergs_come_back_within_a_tenth_of_a_second() -> None:
    done = [c for c in ended("iceberg_synthetic") if c.truth.outcome == "traded"]
    assert len(done) >= 3
    for c in done:
        t = c.truth
        assert t.numbers["refills"] == len(t.order_ids) - 1 >= 3
        assert t.filled == t.size == c.fills()
        gone = {number: c.of_order[number][-1].ts for number in t.order_ids[:-1]}
        for before, after in zip(t.order_ids, t.order_ids[1:], strict=False):
            added, side, price, size = c.book.adds[after]
            assert (side, price) == (c.side, t.price)
            assert 0 < added - gone[before] <= 100_000_000 + 5_000_000
            assert size == pytest.approx(t.numbers["slice"], rel=0.11, abs=1)
        assert t.ts_end - t.ts_start <= 60 * SECOND


def test_layers_are_adjacent_tall_and_withdrawn() -> None:
    for c in ended("layering"):
        t = c.truth
        assert c.tape is not None
        assert t.numbers["levels"] >= 4
        assert abs(t.numbers["far_price"] - t.price) == (t.numbers["levels"] - 1) * c.tick
        assert c.seen["left"] == []
        stack = [i for i in t.order_ids if c.book.adds[i][1] == c.side]
        assert len({c.book.adds[i][2] for i in stack}) == len(stack) == t.numbers["levels"]
        base = c.tape.baseline(t.ts_start)
        assert min(c.book.adds[i][3] for i in stack) >= 7 * base * 0.8, t
        assert t.outcome == "traded" or min(c.seen["stack"]) >= t.numbers["per_level"]
        filled = sum(f.size for number in stack for f in c.of_order[number])
        assert (filled * 10 > t.size) == (t.outcome == "traded")


def test_absorbed_volume_is_far_above_usual_and_the_price_holds() -> None:
    for c in ended("absorption"):
        t = c.truth
        volume = c.traded(OTHER[c.side], t.price)
        assert volume >= t.filled
        if t.outcome == "held":
            assert volume >= 2 * t.numbers["usual_volume"], t
            up = 1 if c.side == "B" else -1
            bests = [c.seen[f"best {k}"] for k in range(20)]
            assert all((best - t.price) * up >= -c.tick for best in bests)
        else:
            assert t.outcome == "broken"


def test_sweeps_cross_two_levels_at_least() -> None:
    planned = 0
    for c in ended("sweep"):
        t = c.truth
        prints = c.trades(t.ts_start, t.ts_start + 1)
        assert len(prints) == t.numbers["levels"] >= 2
        assert {x[1] for x in prints} == {c.side}
        assert prints[0][2] == t.price
        assert prints[-1][2] == t.numbers["last_price"]
        assert sum(x[3] for x in prints) == t.size
        planned += t.numbers["planned"]
    assert planned >= 5


def test_no_sweep_goes_unrecorded() -> None:
    known = {(c.truth.instrument_id, c.truth.ts_start) for c in made()[0]["sweep"]}
    for number, tape in enumerate(made()[1], 1):
        levels = Counter(ts for ts, *_ in tape.book.trades)
        assert {(number, ts) for ts, n in levels.items() if n > 1} == {k for k in known if k[0] == number}


def test_bursts_have_the_volume_and_the_side() -> None:
    done = [c for c in ended("burst") if c.truth.outcome == "done"]
    assert len(done) >= 3
    for c in done:
        t = c.truth
        volume = c.traded()
        mine = c.traded(c.side)
        assert volume == pytest.approx(t.filled, rel=0.02)
        assert mine / volume >= 0.6
        assert t.numbers["side_share"] == pytest.approx(1000 * mine / volume, abs=20)
        before = [q for _, _, _, q in c.trades(t.ts_start - 300 * SECOND, t.ts_start)]
        seconds = min(300.0, (t.ts_start - c.start) / SECOND)
        usual = sum(before) * 60 / seconds
        assert t.numbers["minute_average"] == pytest.approx(usual, rel=0.25)
        assert volume >= (12 if t.grade == "critical" else 5) * usual, t
        assert t.ts_end - t.ts_start <= 60 * SECOND


def test_exhaustion_halves_depth_and_doubles_the_spread() -> None:
    good = [c for c in ended("exhaustion") if c.truth.outcome == "done"]
    assert len(good) >= 3
    for c in good:
        assert c.tape is not None
        before = [
            (depth, spread)
            for ts, _, depth, spread in c.tape.seconds
            if c.truth.ts_start - 15 * SECOND <= ts < c.truth.ts_start
        ]
        depth, spread = (float(np.mean(x)) for x in zip(*before, strict=True))
        seen = [c.seen[f"depth {k}"] for k in range(40)]
        assert any(d < 0.55 * depth and s > 1.9 * spread for d, s in seen), (depth, spread, seen)


def test_gaps_are_empty_from_start_to_end() -> None:
    for c in ended("liquidity_gap"):
        t = c.truth
        assert len(c.seen["first"]) == t.numbers["levels"] >= 3
        assert set(c.seen["first"]) == set(c.seen["last"]) == {0}
        assert abs(t.price - c.seen["best"]) // c.tick <= 20


def test_bands_are_as_large_as_they_say() -> None:
    for c in ended("band"):
        assert c.seen["at start"] == c.truth.size
        assert c.truth.order_ids == ()
