"""Injected streams keep the exchange's rules and all that was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthscope.engine import Engine
from depthscope.errors import InputError, UnknownName
from depthscope.market import events as ev
from depthscope.market.source import Source
from depthscope.research import size_kinds
from depthscope.research.inject import Injected, inject, usable
from depthscope.research.kinds import KINDS
from depthscope.research.recording import SECOND, Recording, record
from depthscope.runtime.sources import open_source
from tests.reference.book import SlowBook
from tests.reference.engine import as_events
from tests.research.rules import check_orders
from tests.research.streams import Quiet

ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
BTC = "binance/btcusdt_20240808.gz"


@pytest.fixture(scope="module")
def orders() -> Recording:
    return record(Quiet(seconds=420))


@pytest.fixture(scope="module")
def levels() -> Recording:
    return record(Quiet(by_order=False, seconds=420))


def counters(recording: Recording, events: ev.Events) -> dict[str, int]:
    engine = Engine(recording.source.resolve, features=())
    engine.process(events)
    found = engine.counters(0)
    for name in ("groups", "trades", "snapshots"):
        del found[name]
    return found


def check_insertions(stream: Injected) -> None:
    """The recorded records are there, in order, byte for byte but for sizes an injected one lies on."""
    kept, clean = stream.events[~stream.inserted], stream.recording.events
    if stream.recording.by_order:
        assert kept.tobytes() == clean.tobytes()
        return
    names = [name for name in clean.dtype.names or () if name != "size"]
    for name in names:
        assert (kept[name] == clean[name]).all()
    more = np.flatnonzero(kept["size"] != clean["size"])
    assert (kept["size"][more] > clean["size"][more]).all()
    assert set(kept["action"][more].tolist()) <= {ev.LEVEL}


@pytest.mark.parametrize("name", [k.name for k in KINDS])
@pytest.mark.parametrize("feed", ["orders", "levels"])
def test_every_kind_keeps_the_rules(name: str, feed: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(feed)
    stream = inject(recording, [name], seed=5, part="all")
    if not usable(recording, [name]):
        assert stream.truth == ()
        assert not stream.inserted.any()
        return
    assert stream.truth, "the quiet market has room for every kind"
    assert isinstance(stream, Source)
    check_insertions(stream)
    assert counters(recording, stream.events) == counters(recording, recording.events)
    if feed == "orders":
        new, old = check_orders(stream, oversize=name == "iceberg")
        assert new.book.counters == old.book.counters
        assert (new.crossed, new.out_of_line) == (old.crossed, old.out_of_line)
        assert new.queues == old.queues
        new.book.check()
    for truth in stream.truth:
        assert truth.kind == name
        assert recording.begin <= truth.start <= truth.end <= recording.end
        assert truth.low <= truth.high
        assert truth.size > 0


def check_levels(stream: Injected) -> None:
    """Never crossed more than recorded, nothing odd, and the recorded levels in the end."""
    tick = stream.recording.instrument.tick
    new, old = (SlowBook(tick, allows_negative=False, top_only=False) for _ in range(2))
    crossed = {id(new): 0, id(old): 0}
    for book, events in ((new, stream.events), (old, stream.recording.events)):
        for e in as_events(events):
            book.apply(e)
            if e.flags & ev.LAST:
                bid, ask = book.side(ev.BID, 1), book.side(ev.ASK, 1)
                crossed[id(book)] += bool(bid and ask and bid[0][0] >= ask[0][0])
    assert crossed[id(new)] == crossed[id(old)]
    assert new.counters == old.counters
    for side in (ev.BID, ev.ASK):
        assert new.side(side) == old.side(side)


def test_levels_end_as_recorded(levels: Recording) -> None:
    check_levels(inject(levels, seed=8, part="all"))


def test_a_size_on_a_level_rests_on_every_recorded_change_of_it(levels: Recording) -> None:
    """While a wall rests, its price shows at least what was injected; before and after, the recorded size."""
    stream = inject(levels, ["wall"], seed=2, part="all")
    book = SlowBook(levels.instrument.tick, allows_negative=False, top_only=False)
    clean = SlowBook(levels.instrument.tick, allows_negative=False, top_only=False)
    recorded = iter(as_events(levels.events))
    pulled = [t for t in stream.truth if t.outcome != "traded"]
    assert pulled
    for e, injected in zip(as_events(stream.events), stream.inserted.tolist(), strict=True):
        book.apply(e)
        if not injected:
            clean.apply(next(recorded))
        for t in pulled:
            if e.action == ev.LEVEL and e.price == t.low and e.side == t.side:
                size = {p: s for p, s, _ in clean.side(t.side)}.get(t.low, 0)
                on_top = t.start <= e.ts_recv < t.end or (injected and e.ts_recv == t.start)
                shown = {p: s for p, s, _ in book.side(t.side)}.get(t.low, 0)
                others = [o for o in stream.truth if o is not t and o.low <= t.low <= o.high]
                if not others:
                    assert shown == size + (t.size if on_top else 0)


def test_the_same_seed_gives_the_same_bytes(orders: Recording) -> None:
    one, two = (inject(orders, seed=(3, 4), part="all") for _ in range(2))
    assert one.events.tobytes() == two.events.tobytes()
    assert one.truth == two.truth
    assert inject(orders, seed=(3, 5), part="all").truth != one.truth


def test_several_runs_in_one_pass_are_what_each_is_alone(orders: Recording) -> None:
    from depthscope.research.inject import plan

    kinds = usable(orders, ["sweep", "wall"])
    together = plan(orders, kinds, [(1,), (2,)], part="all")
    for made, seed in zip(together, (1, 2), strict=True):
        alone = inject(orders, ["sweep", "wall"], seed=seed, part="all")
        assert made.build().events.tobytes() == alone.events.tobytes()


def test_n_is_the_most_of_each_kind(orders: Recording) -> None:
    stream = inject(orders, ["sweep", "one_level"], seed=1, n=3, part="all")
    assert sorted(t.kind for t in stream.truth) == ["one_level"] * 3 + ["sweep"] * 3


@pytest.mark.parametrize("part", ["first", "second"])
def test_a_half_leaves_the_other_alone(orders: Recording, part: str) -> None:
    stream = inject(orders, ["sweep", "wall"], seed=1, part=part)
    times = stream.events["ts_recv"][stream.inserted]
    assert len(times)
    assert (times <= orders.half).all() if part == "first" else (times >= orders.half).all()


def test_the_source_may_be_cut_anywhere(orders: Recording) -> None:
    stream = inject(orders, seed=1, part="all")
    assert np.concatenate(list(stream.chunks())).tobytes() == stream.events.tobytes()
    assert stream.resolve(1, 1) is orders.instrument
    assert stream.instruments[1, 1] is orders.instrument
    assert stream.info is orders.source.info


def test_the_usual_size_is_the_median_of_readings(orders: Recording) -> None:
    """Every level holds three orders of 1 to 6 lots."""
    assert orders.usual(ev.BID, orders.begin) == 0.0
    assert 3 <= orders.usual(ev.BID, orders.half) <= 18


def test_what_cannot_be_injected_into_is_refused() -> None:
    with pytest.raises(InputError, match="one instrument"):
        inject("synthetic:seed=1,minutes=1,symbols=2,rate=0.05")
    with pytest.raises(InputError, match="part"):
        inject(Quiet(seconds=20), part="third")
    with pytest.raises(UnknownName, match="sweep"):
        inject(Quiet(seconds=20), ["wave"])


LONG = ("burst", "layering")


@pytest.mark.real_data
@pytest.mark.untraced  # the kinds above are, without a long replay beside them
@pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_es_keeps_the_rules(long: bool, data_dir: Path) -> None:
    recording = record(open_source(data_dir / ES))
    names = [k.name for k in KINDS if (k.detector in LONG) == long and k not in size_kinds.KINDS]
    check_es(recording, names)


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("detector", sorted({k.detector for k in size_kinds.KINDS}))
def test_es_keeps_the_rules_of_sizes(detector: str, data_dir: Path) -> None:
    recording = record(open_source(data_dir / ES))
    check_es(recording, [k.name for k in usable(recording, None) if k.detector == detector])


def check_es(recording: Recording, names: list[str]) -> None:
    stream = inject(recording, names, seed=11)
    assert {t.kind for t in stream.truth} == set(names)
    check_insertions(stream)
    new, old = check_orders(stream, oversize=True)
    assert new.book.counters == old.book.counters
    assert (new.crossed, new.out_of_line) == (old.crossed, old.out_of_line)
    assert new.queues == old.queues


@pytest.mark.real_data
@pytest.mark.slow
def test_btc_keeps_the_rules(data_dir: Path) -> None:
    recording = record(open_source(data_dir / BTC))
    stream = inject(recording, seed=11)
    assert stream.truth
    assert recording.end - recording.half < 173 * SECOND
    check_insertions(stream)
    check_levels(stream)
