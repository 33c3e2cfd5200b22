"""The exchange's rules, checked one record at a time beside the slow reference book."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from depthscope.market import events as ev
from depthscope.research.inject import Injected
from tests.reference.book import Event, SlowBook
from tests.reference.engine import as_events


@dataclass
class Replay:
    """A stream replayed by the slow book, with queues in order of time.

    `out_of_line` counts fills of recorded orders that were not first in line; `crossed` groups after
    which the book was crossed.
    """

    book: SlowBook
    queues: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    crossed: int = 0
    out_of_line: int = 0

    def apply(self, e: Event) -> None:
        had = self.book.order(e.order_id)
        self.book.apply(e)
        has = self.book.order(e.order_id)
        if e.action not in (ev.ADD, ev.CANCEL, ev.MODIFY) or had == has:
            return
        kept = had is not None and has is not None and had[:2] == has[:2] and has[2] <= had[2]
        if had is not None and not kept:
            self.queues[had[:2]].remove(e.order_id)
        if has is not None and not kept:
            self.queues.setdefault(has[:2], []).append(e.order_id)

    def settle(self) -> None:
        bid, ask = self.book.side(ev.BID, 1), self.book.side(ev.ASK, 1)
        self.crossed += bool(bid and ask and bid[0][0] >= ask[0][0])


def groups(events: np.ndarray, inserted: np.ndarray) -> list[tuple[list[Event], bool]]:
    """Groups as plain events, and whether each is injected: no group may hold both."""
    ends = np.flatnonzero(events["flags"] & ev.LAST) + 1
    found, first = [], 0
    for stop in ends.tolist():
        new = inserted[first:stop]
        assert new.all() or not new.any()
        found.append((as_events(events[first:stop]), bool(new[0])))
        first = stop
    assert first == len(events)
    return found


def check_execution(replay: Replay, group: list[Event], own: set[int], oversize: bool) -> None:
    """An injected aggressor takes the best prices first, first in line first, and all it trades is filled."""
    trades = [e for e in group if e.action == ev.TRADE]
    fills = [e for e in group if e.action == ev.FILL]
    side = fills[0].side
    way = 1 if side == ev.BID else -1
    best = [price for price, _, _ in replay.book.side(side, len(trades))]
    assert [t.price for t in trades] == best, "worse prices were traded while better ones were left"
    assert sorted(best, key=lambda p: -way * p) == best
    for trade in trades:
        assert trade.side != side
        here = [f for f in fills if f.price == trade.price]
        assert sum(f.size for f in here) == trade.size
        line = replay.queues[side, trade.price]
        assert [f.order_id for f in here] == line[: len(here)], "not first in line first"
        assert len(here) == len(line), "whole levels are taken"
        for f in here:
            order = replay.book.order(f.order_id)
            assert order is not None
            if f.order_id in own and oversize:
                assert f.size > 0
            else:
                assert 0 < f.size <= order[2]
    told = {e.order_id: e for e in group if e.action in (ev.CANCEL, ev.MODIFY)}
    assert set(told) == {f.order_id for f in fills}
    assert group[-1].flags & ev.LAST


def check_orders(stream: Injected, *, oversize: bool) -> tuple[Replay, Replay]:
    """Replay a by-order stream and its recording; every injected group must keep the rules."""
    recording = stream.recording
    tick = recording.instrument.tick
    new, old = (Replay(SlowBook(tick, allows_negative=False, top_only=False)) for _ in range(2))
    known = set(recording.events["order_id"].tolist())
    own: set[int] = set()
    lent: dict[int, tuple[int, int, int]] = {}  # recorded orders an injected aggressor took
    before = 0
    for group, injected in groups(stream.events, stream.inserted):
        assert group[0].ts_recv >= before
        before = group[-1].ts_recv
        if injected:
            if any(e.action == ev.TRADE for e in group):
                check_execution(new, group, own, oversize)
            for e in group:
                if e.action == ev.ADD and e.order_id in known:
                    assert lent.pop(e.order_id) == (e.side, e.price, e.size)
                elif e.action == ev.ADD:
                    assert e.order_id not in own, "ids are used once"
                    own.add(e.order_id)
                elif e.action == ev.CANCEL and e.order_id in known:
                    order = new.book.order(e.order_id)
                    assert order is not None
                    assert order[2] == e.size
                    lent[e.order_id] = order
        else:
            assert not any(e.order_id in lent for e in group if e.action != ev.TRADE), "it was not there"
            for e in group:
                if e.action == ev.FILL:
                    for replay in (new, old):
                        line = replay.queues.get((e.side, e.price), [])
                        replay.out_of_line += not line or line[0] != e.order_id
        for e in group:
            new.apply(e)
        new.settle()
        if not injected:
            for e in group:
                old.apply(e)
            old.settle()
    assert lent == {}
    assert not own & set(new.book.orders), "injected orders are all gone"
    return new, old
