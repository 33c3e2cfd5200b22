"""The exit monitor: cases by hand, and equality with the slow one on any stream of detections."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.detectors.messages import Detection, messages
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.runtime.sources import open_source
from depthscope.strategies.exit_monitor import Alert, ExitMonitor, Position
from tests.reference.exits import recommended
from tests.strategies.streams import examples

SECOND = 10**9
START = 1_700_000_000 * SECOND
LONG, SHORT = Position("ES", "long", 2, entry=100.0), Position("ES", "short", 3, entry=100.0)


def said(
    second: float,
    number: int,
    detector: str = "large_trader",
    *,
    side: str = "A",
    label: str | None = None,
    phase: str = "open",
    symbol: str = "ES",
    price: float | None = 99.0,
) -> Detection:
    """Make a detection; a large seller unless told otherwise."""
    words = {"A": "SELLER", "B": "BUYER"} if detector == "large_trader" else {}
    ts = START + int(second * SECOND)
    label = words.get(side) if label is None else label or None
    return Detection(ts, ts, detector, symbol, number, phase, side, price, 5.0, 1.0, label, None, {})


def red(
    second: float, number: int, label: str = "CRITICAL", phase: str = "open", side: str = "A"
) -> Detection:
    """Make a burst."""
    return said(second, number, "burst", side=side, label=label, phase=phase)


def test_three_large_sellers_within_two_minutes() -> None:
    monitor = ExitMonitor([LONG])
    assert monitor.update([said(0, 1), said(60, 2)]) == ()
    (advice,) = monitor.update([said(120, 3)])  # exactly 120 seconds are within
    assert (advice.ts - START, advice.symbol, advice.side) == (120 * SECOND, "ES", "long")
    assert (advice.quantity, advice.entry, advice.gain, advice.rule) == (2, 100.0, -1.0, "large_traders")
    assert advice.reasons[0] == Alert(START, "large_trader-ES-1", "large_trader", "SELLER", 99.0, 5.0)
    assert [alert.id[-1] for alert in advice.reasons] == ["1", "2", "3"]


def test_what_is_older_does_not_count() -> None:
    late = [said(0, 1), said(60, 2), said(120.000000001, 3)]
    assert ExitMonitor([LONG]).update(late) == ()
    assert len(ExitMonitor([LONG], window=121).update(late)) == 1
    assert len(ExitMonitor([LONG], alerts=2).update(late)) == 1


def test_a_critical_burst_and_one_large_seller_in_either_order() -> None:
    for stream in ([red(0, 1), said(100, 1)], [said(0, 1), red(100, 1)]):
        (advice,) = ExitMonitor([LONG]).update(stream)
        assert (advice.rule, len(advice.reasons)) == ("burst", 2)
        assert ExitMonitor([LONG], exit_on_burst=False).update(stream) == ()
    assert ExitMonitor([LONG]).update([red(0, 1), red(1, 2), red(2, 3)]) == ()
    assert ExitMonitor([LONG]).update([red(0, 1, "WARNING"), said(1, 1)]) == ()
    assert ExitMonitor([LONG]).update([red(0, 1, side="B"), said(1, 1)]) == ()


def test_a_burst_that_becomes_critical_counts_once_from_then_on() -> None:
    stream = [
        red(0, 1, "WARNING"),
        red(50, 1, phase="update"),
        red(150, 1, phase="update"),
        red(160, 1, phase="close"),
        said(171, 1),
    ]
    assert ExitMonitor([LONG]).update(stream) == ()
    assert len(ExitMonitor([LONG], window=121).update(stream)) == 1


def test_a_short_position_is_left_for_buyers() -> None:
    buyers = [said(k, k, side="B", price=98.0) for k in range(3)]
    (advice,) = ExitMonitor([SHORT]).update(buyers)
    assert (advice.side, advice.quantity, advice.gain) == ("short", 3, 2.0)
    assert ExitMonitor([LONG]).update(buyers) == ()
    assert ExitMonitor([SHORT]).update([said(k, k) for k in range(3)]) == ()


def test_the_label_goes_before_the_side() -> None:
    stream = [said(k, k, side="B", label="SELLER") for k in range(3)]
    assert len(ExitMonitor([LONG]).update(stream)) == 1
    assert len(ExitMonitor([LONG]).update([said(k, k, label="") for k in range(3)])) == 1


def test_cooldown() -> None:
    monitor = ExitMonitor([LONG])
    stream = [said(10 * k, k) for k in range(40)]
    times = [(advice.ts - START) // SECOND for advice in monitor.update(stream)]
    assert times == [20, 320]  # alerts during the cooldown are counted
    times = [(a.ts - START) // SECOND for a in ExitMonitor([LONG], cooldown=0).update(stream[:5])]
    assert times == [20, 30, 40]


def test_updates_other_symbols_and_other_detectors_are_no_alerts() -> None:
    stream = [said(0, 1), said(1, 1, phase="update"), said(2, 1, phase="close"), said(3, 2, symbol="NQ")]
    stream += [said(4, 3, "iceberg"), said(5, 4, side=""), said(6, 2)]
    assert ExitMonitor([LONG]).update(stream) == ()


def test_a_watchlist_is_watched_on_both_sides() -> None:
    stream = [said(k, k, symbol="NQ", side=side) for side in "AB" for k in range(3)]
    assert ExitMonitor([LONG]).update(stream) == ()
    first, second = ExitMonitor([LONG], mode="watchlist", watchlist=["NQ"]).update(stream)
    assert (first.side, first.quantity, first.entry, first.gain) == ("long", 0.0, None, None)
    assert second.side == "short"
    assert (
        len(ExitMonitor([LONG], mode="watchlist", watchlist="NQ").update([said(k, k) for k in range(3)])) == 1
    )


def test_positions_may_change() -> None:
    monitor = ExitMonitor([LONG])
    monitor.update([said(0, 1), said(1, 2)])
    monitor.hold([Position("ES", "long", 1), Position("NQ", "short", 1)])
    (advice,) = monitor.update([said(2, 3, price=None)])
    assert (advice.quantity, advice.gain) == (1, None)
    monitor.hold([])
    assert monitor.positions == ()
    assert monitor.update([said(1_000 + k, 10 + k) for k in range(5)]) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Position("ES", "flat", 1),  # type: ignore[arg-type]
        lambda: Position("ES", "long", 0),
        lambda: Position("ES", "long", -1),
        lambda: Position("ES", "long", float("nan")),
        lambda: ExitMonitor([LONG, LONG]),
        lambda: ExitMonitor(mode="all"),  # type: ignore[arg-type]
        lambda: ExitMonitor(mode="watchlist"),
        lambda: ExitMonitor(watchlist=["ES"]),
        lambda: ExitMonitor(alerts=0),
        lambda: ExitMonitor(window=-1),
    ],
)
def test_what_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError):
        wrong()


@st.composite
def streams(draw: st.DrawFn) -> list[Detection]:
    """Detections in order of time."""
    found, second, numbers = [], 0, {"large_trader": 0, "burst": 0}
    for _ in range(draw(st.integers(0, 40))):
        second += draw(st.integers(0, 70))
        detector = draw(st.sampled_from(("large_trader", "large_trader", "burst")))
        phase = draw(st.sampled_from(("open", "open", "update"))) if numbers[detector] else "open"
        numbers[detector] += phase == "open"
        label = draw(st.sampled_from(("WARNING", "CRITICAL"))) if detector == "burst" else None
        side, symbol = draw(st.sampled_from("AB")), draw(st.sampled_from(("ES", "NQ")))
        found.append(
            said(second, numbers[detector], detector, side=side, label=label, phase=phase, symbol=symbol)
        )
    return found


@examples(200)
@given(streams(), st.integers(1, 5), st.sampled_from((0, 30, 300)), st.booleans())
def test_it_equals_the_slow_one_however_the_stream_is_cut(
    stream: list[Detection], size: int, cooldown: int, burst: bool
) -> None:
    monitor = ExitMonitor([LONG], mode="watchlist", watchlist=["NQ"], cooldown=cooldown, exit_on_burst=burst)
    got = [a for at in range(0, len(stream), size) for a in monitor.update(stream[at : at + size])]
    want = recommended(
        stream,
        {("ES", "long"), ("NQ", "long"), ("NQ", "short")},
        window=120 * SECOND,
        cooldown=cooldown * SECOND,
        burst=burst,
    )
    found = [(a.ts, a.symbol, a.side, a.rule, tuple(r.id for r in a.reasons)) for a in got]
    assert sorted(found) == want
    assert [a.ts for a in got] == sorted(a.ts for a in got)


def test_bursts_of_an_engine_are_understood() -> None:
    source = open_source("synthetic:seed=5,minutes=12,symbols=1")
    engine = Engine(
        source.resolve, every="1s", features=[], detectors=["burst"], settings={"burst_critical": 3.0}
    )
    batches = [*(engine.process(events) for events in source.chunks()), engine.finish()]
    found = [d for batch in batches for d in messages(batch.detections, engine.slots)]
    critical = next(d for d in found if d.label == "CRITICAL")
    trader = replace(critical, detector="large_trader", label=None)
    side = "long" if critical.side == "A" else "short"
    (advice,) = ExitMonitor([Position(critical.symbol, side, 1)]).update([trader, *found])
    assert (advice.rule, advice.reasons[-1].id) == ("burst", critical.id)
