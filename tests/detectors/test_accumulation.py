"""Accumulation and distribution: golden stories by hand, laws, and equality with the slow ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthscope.detectors.accumulation import PRESETS, SETTINGS, Accumulations
from depthscope.detectors.follow import Said
from depthscope.detectors.messages import Detection
from depthscope.detectors.registry import detector
from depthscope.errors import UnknownName
from depthscope.market.layouts import OPEN, PHASE_NAMES, STALE
from depthscope.runtime.sources import open_source
from tests.detectors.batches import INSTRUMENT, SECOND, Tale, batches_of
from tests.reference.accumulation import SlowAccumulations
from tests.strategies.streams import START

ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def told(tale: Tale, **settings: float) -> tuple[Detection, ...]:
    """What is told of a tale."""
    return Accumulations(settings=settings).update(tale.batch(), [INSTRUMENT])


def with_icebergs(side: str = "B", n: int = 3) -> Tale:
    """Tell of so many icebergs after more than a minute, in a market that goes up and down."""
    tale = Tale()
    for k in range(62):
        tale.quote(1000 + k % 2)
    for _ in range(n):
        tale.say("iceberg", 999, side)
    tale.quote(1000)
    return tale


def test_three_icebergs_of_one_side_in_a_market_that_holds() -> None:
    (found,) = told(with_icebergs())
    assert (found.id, found.phase, found.label, found.side) == (
        "accumulation-S-1",
        "open",
        "ACCUMULATION",
        "B",
    )
    assert (found.ts - START, found.price, found.size, found.strength) == (63 * SECOND, 249.75, 30.0, 3.0)
    # Rows of 1 to 62 s: 61 changes of a tick from that of second 0 to that of second 61.
    assert found.evidence == {
        "detections": 3.0,
        "icebergs": 3.0,
        "absorptions": 0.0,
        "hidden": 0.0,
        "return_ticks": 1.0,
        "sd_ticks": pytest.approx(61**0.5),
        "seconds": 1.0,
    }
    assert told(with_icebergs("A"))[0].label == "DISTRIBUTION"


def test_two_are_not_enough_nor_are_both_sides_together() -> None:
    tale = with_icebergs(n=2)
    tale.say("iceberg", 1001, "A")
    tale.say("sweep", 1001, "B")
    tale.say("iceberg", 1001, "")
    tale.quote(1000)
    assert told(tale) == ()
    assert len(told(tale, accumulation_count=2)) == 1


def test_nothing_is_opened_before_a_minute() -> None:
    tale = Tale()
    tale.quote(1000)
    for _ in range(3):
        tale.say("iceberg", 999)
    tale.hold(1000, 59)
    assert told(tale) == ()
    tale.quote(1000)
    (found,) = told(tale)  # a market that did not move at all has held
    assert found.evidence["sd_ticks"] == found.evidence["return_ticks"] == 0.0


def test_a_market_that_goes_away_has_moved() -> None:
    tale = with_icebergs()
    for k in range(1, 7):
        tale.quote(1000 + 3 * k)
    # The row of 68 s knows four steps: 12 ticks, 12² < (62 + 4 · 9) / 0.49. That of 69 s: 15² > 107 / 0.49.
    found = told(tale)
    assert [(d.phase, d.outcome, d.ts - START) for d in found] == [
        ("open", None, 63 * SECOND),
        ("close", "moved", 69 * SECOND),
    ]
    assert found[1].evidence["return_ticks"] == 15.0
    assert found[1].evidence["sd_ticks"] == pytest.approx(107**0.5)


def test_older_than_fifteen_minutes_is_over() -> None:
    tale = with_icebergs()  # said at 62 s
    tale.quote(1000, seconds=899.0 - 1.0)
    assert len(told(tale)) == 1
    tale.quote(1000)
    (_, found) = told(tale)
    assert (found.phase, found.outcome, found.strength, found.price) == ("close", "over", 0.0, None)
    assert found.ts - START == (62 + 900) * SECOND


def test_each_further_one_is_an_update() -> None:
    tale = with_icebergs()
    number = tale.say("iceberg", 998)
    tale.quote(1000)
    tale.say("iceberg", 998, phase="update", number=number)
    tale.quote(1000)
    assert [(d.phase, d.strength, d.price) for d in told(tale)] == [
        ("open", 3.0, 249.75),
        ("update", 4.0, 249.5),
    ]


def test_nothing_is_told_of_a_book_that_is_not_live() -> None:
    tale = with_icebergs()
    tale.rows[-1]["state"] = STALE
    assert told(tale) == ()


def test_a_label_says_whose_side_it_is() -> None:
    words = {"ts": 0, "opened": 0, "slot": 0, "number": 1, "phase": OPEN, "detector": "hidden"}
    for label, side, want in (("BUYER", "A", "B"), ("HIDDEN_SELLER", "B", "A"), ("", "A", "A")):
        said = Said(**words, label=label, outcome="", side=side, price=None, size=1)  # type: ignore[arg-type]
        assert said.buyer == want


def test_sensitivities_and_names() -> None:
    assert set(PRESETS["low"]) <= set(SETTINGS) >= set(PRESETS["high"])
    tale = with_icebergs(n=2)
    assert Accumulations("medium").update(tale.batch(), [INSTRUMENT]) == ()
    assert len(Accumulations("high").update(tale.batch(), [INSTRUMENT])) == 1
    with pytest.raises(UnknownName, match="low"):
        Accumulations("extreme")
    with pytest.raises(UnknownName, match="accumulation_count"):
        Accumulations(settings={"count": 3})


def compare(source: str | Path, every: int, fewest: int) -> int:
    """Compare with the slow one over a source; how much was told."""
    batches, engine = batches_of(open_source(source), every, ["iceberg"])
    fast = Accumulations(settings={"accumulation_count": fewest})
    got = [
        (d.ts, d.phase, d.number, d.side, int(d.strength), round(d.size), d.outcome or "")
        for batch in batches
        for d in fast.update(batch, engine.slots)
        if d.symbol == engine.slots[0].symbol
    ]
    slow, want = SlowAccumulations(fewest), []
    samples = np.concatenate([b.samples for b in batches if b.samples is not None and len(b)])
    said = np.concatenate([b.detections for b in batches])
    number = detector("iceberg").number
    waiting = [
        (int(d["ts"]), "iceberg", int(d["number"]), PHASE_NAMES[d["phase"]], chr(d["side"]), int(d["size"]))
        for d in said[(said["slot"] == 0) & (said["detector"] == number)]
    ]
    for row in samples[samples["slot"] == 0]:
        while waiting and waiting[0][0] < row["ts"]:
            slow.messages.append(waiting.pop(0))
        want += slow.row(row)
    assert got == want
    return len(got)


@pytest.mark.parametrize("seed", [5, 8])
def test_a_synthetic_market(seed: int) -> None:
    assert compare(f"synthetic:seed={seed},minutes=12,symbols=2", SECOND, 2) > 1


@pytest.mark.real_data
def test_the_es_recording(data_dir: Path) -> None:
    assert compare(data_dir / ES, 5 * SECOND, 2) > 1


def test_any_cut_of_the_stream_tells_the_same() -> None:
    found = set()
    for size in (None, 7, 1_000):
        batches, engine = batches_of(
            open_source("synthetic:seed=5,minutes=6,symbols=2"), SECOND, ["iceberg"], size
        )
        made = Accumulations(settings={"accumulation_count": 1})
        found.add(repr([d for batch in batches for d in made.update(batch, engine.slots)]))
    assert len(found) == 1
    assert found != {"[]"}
