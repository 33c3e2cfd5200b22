"""The recordings: fast book = slow book all the way, and the facts of data/README.md about the book."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import depthscope as ds
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.times import parse_every
from depthscope.runtime.sources import open_source
from tests.engine.harness import run
from tests.engine.test_exact_books import NEVER, same_book
from tests.engine.test_exact_rows import same_features, same_samples
from tests.reference.engine import Desk, SlowEngine, as_events
from tests.reference.features import SlowFeatures

pytestmark = pytest.mark.real_data

FILES = ("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "binance/btcusdt_20240808.gz")
WHOLE_EVERY = 500
QUIET = (ev.TRADE, ev.QUOTE)  # groups of these alone leave an L2 or MBO book as it was


def beyond_the_row(desk: Desk) -> bool:
    """Whether the group touched a level that its row's best levels do not show."""
    for side in (ev.BID, ev.ASK):
        touched = [price for where, price in desk.book.touched if where == side]
        if touched and not {price for price, _, _ in desk.view.side(side)}.issuperset(touched):
            return True
    return False


@pytest.mark.parametrize("name", FILES, ids=("es", "btc"))
def test_fast_book_is_slow_book_at_every_last(name: str, data_dir: Path) -> None:
    """Every row (top 20, flow, depth) and touched level at every LAST, the whole book every 500 groups."""
    source = open_source(data_dir / name)
    rows = Engine(source.resolve, every="event", features=[], keep_samples=True)
    fast = Engine(source.resolve, every=NEVER, features=[])
    slow = SlowEngine(source.resolve, "event")
    groups = compared = 0
    for events in source.chunks():
        samples = rows.process(events).samples
        fed = 0
        plain = as_events(events)
        for last in np.flatnonzero(events["flags"] & ev.LAST).tolist():
            slow.feed(plain[fed : last + 1])
            (desk,) = slow.desks.values()
            groups += 1
            if groups % WHOLE_EVERY == 0 or beyond_the_row(desk):
                fast.process(events[compared : last + 1])
                compared = last + 1
                same_book(fast, desk, whole=groups % WHOLE_EVERY == 0)
            desk.book.touched.clear()
            fed = last + 1
        fast.process(events[compared:])
        compared = 0
        slow.feed(plain[fed:])
        assert samples is not None
        same_samples(samples, slow.rows)
        slow.rows.clear()
    assert not len(rows.finish()), "no group is left open"
    (desk,) = slow.desks.values()
    same_book(fast, desk, whole=True)
    same_book(rows, desk, whole=True)


@pytest.mark.parametrize(("name", "every", "threshold"), [(FILES[0], "2min", 10), (FILES[1], "20s", 0)])
def test_features_are_their_definitions(name: str, every: str, threshold: int, data_dir: Path) -> None:
    """Every feature of some rows of real markets, straight from the definitions."""
    source = open_source(data_dir / name)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    table = run(Engine(source.resolve, every=every), events, 65_536)
    slow = SlowEngine(source.resolve, parse_every(every))
    slow.feed(as_events(events))
    slow.finish()
    (desk,) = slow.desks.values()
    features = SlowFeatures(desk, by_event=False, threshold=Fraction(threshold))
    assert len(table) == len(slow.rows) > 15
    for k, row in enumerate(slow.rows):
        same_features(table, k, features(row))


def test_facts_of_the_es_recording(data_dir: Path) -> None:
    source = open_source(data_dir / FILES[0])
    engine = Engine(source.resolve, every="event", features=["quotes"])
    crossed: list[int] = []
    before = 0
    for events in source.chunks():
        ends = np.flatnonzero(events["flags"] & ev.LAST) + 1
        for group in np.split(events, ends[:-1]):
            engine.process(group)
            count = engine.counters("ESH4")["crossed"]
            if count > before:
                crossed.append(int(group[-1]["ts_event"]))
            before = count
    engine.finish()
    counters = engine.counters("ESH4")
    assert {name: n for name, n in counters.items() if n} == {
        "groups": 47_022,
        "trades": 2_973,
        "crossed": 891,
    }
    assert len(crossed) == 891
    preopen = 1_703_541_600 * 10**9  # 22:00 UTC
    assert preopen + 2_395 * 10**9 <= crossed[0] < crossed[-1] < preopen + 3_600 * 10**9, "22:39:55 to 23:00"
    book = engine.book("ESH4")
    assert book.order_count == 11_217
    assert (len(book.raw("bid")[0]), len(book.raw("ask")[0])) == (922, 565)
    assert (book.state, book.incomplete) == ("LIVE", False)


def test_the_es_snapshot_makes_no_empty_hours(data_dir: Path) -> None:
    """The file is stamped from midnight on; trading begins at 22:00."""
    table = ds.features(data_dir / FILES[0], every="1min", features=["mid"])
    first, last = (table["ts_recv"][k].as_py() for k in (0, len(table) - 1))
    assert (first.isoformat(), last.isoformat()) == ("2023-12-25T22:01:00+00:00", "2023-12-25T23:59:00+00:00")
    assert len(table) == 119
