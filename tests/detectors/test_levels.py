"""Support and resistance: golden stories by hand, laws, and equality with the slow ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depthscope.detectors.follow import kind_of
from depthscope.detectors.levels import Level, LevelEvent, Levels
from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.errors import InputError, UnknownName
from depthscope.features.batch import Batch
from depthscope.market.layouts import PHASE_NAMES, STALE
from depthscope.runtime.sources import open_source
from tests.detectors.batches import INSTRUMENT, SECOND, TICK, Tale, batches_of
from tests.reference.levels import SlowLevels
from tests.strategies.streams import START

NAMES = ["iceberg", "wall"]


def told(tale: Tale, **settings: float) -> tuple[list[LevelEvent], list[Level]]:
    """Events and levels of a tale."""
    levels = Levels(**settings)
    found = levels.update(tale.told(), [INSTRUMENT])
    assert levels.events == found
    return list(found), levels.current("S")


def with_support() -> Tale:
    """Tell of an iceberg that bids at 1000 ticks, four ticks below the bid."""
    tale = Tale()
    tale.quote(1004)
    tale.say("iceberg", 1000)
    return tale


def test_a_sign_makes_a_level() -> None:
    (found, levels) = told(with_support())
    assert found == []
    # Thirty seconds old, of which 900 halve it.
    assert levels == [Level(250.0, "B", pytest.approx(0.5 ** (30 / 900)), 0, ("iceberg",), START + SECOND)]


def test_above_mid_it_is_a_resistance_whoever_rested_there() -> None:
    tale = Tale()
    tale.quote(1004)
    tale.say("iceberg", 1009, "B")
    assert [(one.price, one.side) for one in told(tale)[1]] == [(252.25, "A")]


def test_of_walls_only_those_that_held_are_signs() -> None:
    for outcome, found in (("held", 1), ("pulled", 0), ("traded", 0)):
        tale = Tale()
        tale.quote(1004)
        number = tale.say("wall", 1000, label="MINOR")
        tale.quote(1004)
        tale.say("wall", 1000, phase="close", number=number, label="MINOR", outcome=outcome)
        assert len(told(tale)[1]) == found
    assert [kind_of(n) for n in ("hidden", "absorption", "synthetic_iceberg", "sweep")] == [
        "hidden",
        "absorption",
        "iceberg",
        "",
    ]


def test_signs_within_half_a_zone_belong_to_one_level_and_are_renewed() -> None:
    tale = with_support()  # a zone is two ticks on 250
    tale.quote(1004)
    tale.say("iceberg", 1001)
    tale.say("iceberg", 998)
    score = 0.5 ** (30 / 900)
    assert [(o.price, o.score) for o in told(tale)[1]] == [
        (249.5, pytest.approx(score)),
        (250.0, pytest.approx(score)),
    ]


def test_touched_and_held() -> None:
    tale = with_support()
    for bid in (1002, 1001, 1000, 1001, 1003, 1004):  # touched at 1001, within half a zone
        tale.quote(bid)
    found, levels = told(tale)
    assert [(e.ts - START, e.event, e.price, e.side, e.touches) for e in found] == [
        (3 * SECOND, "touched", 250.0, "B", 1),
        (7 * SECOND, "held", 250.0, "B", 1),
    ]
    # The sign is 36 s old, the touch that held 30 s.
    assert levels[0].score == pytest.approx(0.5 ** (36 / 900) + 0.5 ** (30 / 900))
    assert found[1].score == pytest.approx(0.5 ** (6 / 900) + 1.0)


def test_broken_after_five_seconds_beyond_it_changes_sides() -> None:
    tale = with_support()
    tale.hold(998, 5)  # 2 to 6 s
    early = told(tale)[0]
    assert [e.event for e in early] == ["touched", "broken"]  # by the row half a minute later
    tale = with_support()
    tale.hold(998, 6)
    found, levels = told(tale)
    assert [(e.ts - START, e.event, e.side) for e in found] == [
        (2 * SECOND, "touched", "B"),
        (7 * SECOND, "broken", "B"),
    ]
    assert [(o.side, o.touches, o.score) for o in levels] == [("A", 0, pytest.approx(0.5 ** (36 / 900) / 2))]


def test_coming_back_within_five_seconds_breaks_nothing() -> None:
    tale = with_support()
    tale.hold(998, 5)
    tale.quote(999)
    tale.hold(998, 5)
    tale.quote(999)
    assert [e.event for e in told(tale)[0]] == ["touched"]


def test_the_time_beyond_begins_anew_after_a_book_that_was_lost() -> None:
    tale = with_support()
    tale.hold(998, 4)
    tale.quote(998, state=STALE)
    tale.hold(998, 4)
    tale.quote(999)
    assert [e.event for e in told(tale)[0]] == ["touched"]


def test_a_market_that_stays_at_a_level_has_not_touched_it_again() -> None:
    tale = with_support()
    for bid in (1001, 1000, 1003, 1001, 1000, 1003):
        tale.quote(bid)
    assert [e.event for e in told(tale)[0]] == ["touched"]


def test_a_swing_is_confirmed_by_its_reversal() -> None:
    tale = Tale()
    for bid in (1000, 1004, 1007, 1004):
        tale.quote(bid)
    assert told(tale, swing_sds=0.0)[1] == []
    tale.quote(1003)  # four ticks below 1007
    tale.quote(1003)
    levels = told(tale, swing_sds=0.0)[1]
    assert [(o.price, o.side, o.kinds) for o in levels] == [(252.0, "A", ("swing",))]  # the ask of 1007
    assert told(tale, swing_sds=100.0)[1] == []


def test_a_fall_from_the_start_is_no_swing_high() -> None:
    tale = Tale()
    for bid in (1010, 1007, 1004, 1001, 998):
        tale.quote(bid)
    assert told(tale, swing_sds=0.0)[1] == []


def test_a_cluster_of_volume_shows_at_the_next_minute() -> None:
    tale = Tale()
    for bid, lots in ((1000, 5), (1001, 5), (1002, 5), (1003, 5), (1004, 80), (1000, 0)):
        tale.quote(bid, lots=lots)
    assert told(tale)[1] == []
    tale.quote(1000, seconds=60.0)
    levels = told(tale)[1]
    assert [(o.price, o.side, o.kinds) for o in levels] == [(251.25, "A", ("cluster",))]  # 80 of 100 in five


def test_old_levels_are_forgotten_and_the_lowest_of_too_many() -> None:
    tale = with_support()
    tale.quote(1004, seconds=60.0 * 60.0)
    assert told(tale)[1] == []  # half of 0.1 and less after four half lives
    tale = with_support()
    tale.quote(1004)
    tale.say("iceberg", 990)
    assert [o.price for o in told(tale, most=1)[1]] == [247.5]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="half_life"):
        Levels(half_life=0.0)
    with pytest.raises(UnknownName, match="no levels"):
        Levels().current("S")
    batch = with_support().told()
    with pytest.raises(InputError, match="keep_samples"):
        Levels().update(replace(batch, samples=None), [INSTRUMENT])


def test_empty_and_one_sided_books_make_nothing() -> None:
    levels, tale = Levels(), Tale()
    tale.quote(1000)
    batch = tale.batch()
    assert batch.samples is not None
    batch.samples["n_ask"] = 0
    assert levels.update(batch, [INSTRUMENT]) == ()
    with pytest.raises(UnknownName):
        levels.current("S")


def slow_of(batches: list[Batch], engine: Engine) -> SlowLevels:
    """The slow levels of the first instrument."""
    slow = SlowLevels(engine.slots[0].tick)
    samples = np.concatenate([b.samples for b in batches if b.samples is not None and len(b)])
    said = np.concatenate([b.detections for b in batches])
    waiting = [
        (
            int(d["ts"]),
            NAMES[[detector(n).number for n in NAMES].index(d["detector"])],
            PHASE_NAMES[d["phase"]],
            next(detector(n) for n in NAMES if detector(n).number == d["detector"]).outcomes[d["outcome"]],
            chr(d["side"]),
            int(d["price"]),
        )
        for d in said[said["slot"] == 0]
    ]
    for row in samples[samples["slot"] == 0]:
        while waiting and waiting[0][0] < row["ts"]:
            slow.message(waiting.pop(0))
        slow.row(row)
    return slow


def compare(source: str | Path, every: int) -> SlowLevels:
    """Compare levels with the slow ones over a source."""
    batches, engine = batches_of(open_source(source), every, NAMES)
    slow, levels = slow_of(batches, engine), Levels()
    for batch in batches:
        levels.update(batch, engine.slots)
    got = [e for e in levels.events if e.symbol == engine.slots[0].symbol]
    assert [(e.ts, e.event, round(e.price * 1e9), e.side, e.touches) for e in got] == slow.events
    end = max(int(b.samples["ts"][-1]) for b in batches if b.samples is not None and len(b))
    want = {(o.price, o.side, o.since): o for o in slow.levels if o.score(end) >= 0.1}
    current = levels.current(engine.slots[0].symbol)
    assert {(round(o.price * 1e9), o.side, o.since) for o in current} == set(want)
    for one in current:
        other = want[round(one.price * 1e9), one.side, one.since]
        assert one.score == pytest.approx(other.score(end), rel=1e-9)
        assert one.touches == other.touches
        assert set(one.kinds) == {kind for _, _, kind in other.signs} - {"held"}
    return slow


@pytest.mark.parametrize("seed", [5, 8])
def test_levels_of_a_synthetic_market(seed: int) -> None:
    slow = compare(f"synthetic:seed={seed},minutes=12,symbols=2", SECOND)
    assert {event[1] for event in slow.events} == {"touched", "held", "broken"}


@pytest.mark.real_data
def test_levels_of_the_btc_recording(data_dir: Path) -> None:
    assert len(compare(data_dir / "binance/btcusdt_20240808.gz", SECOND).events) > 20


@pytest.mark.parametrize("every", ["event", SECOND // 4])
def test_any_cut_of_the_stream_gives_the_same_levels(every: int | str) -> None:
    found = set()
    for size in (None, 7, 1_000):
        batches, engine = batches_of(open_source("synthetic:seed=5,minutes=2,symbols=2"), every, NAMES, size)
        levels = Levels(swing_sds=0.5, swing_window=30)
        events = tuple(event for batch in batches for event in levels.update(batch, engine.slots))
        found.add((events, tuple(tuple(levels.current(symbol)) for symbol in engine.symbols)))
    assert len(found) == 1
    assert events


def test_prices_are_those_of_ticks() -> None:
    batches, engine = batches_of(open_source("synthetic:seed=5,minutes=3,symbols=1"), SECOND, NAMES)
    levels = Levels()
    for batch in batches:
        levels.update(batch, engine.slots)
    assert all(round(o.price * 1e9) % engine.slots[0].tick == 0 for o in levels.current(engine.symbols[0]))
    assert engine.slots[0].tick == TICK
