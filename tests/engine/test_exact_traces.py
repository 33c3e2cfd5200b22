"""TRACE rows = what the slow engine saw: the order before and after each event, the top after each group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.layouts import (
    FLOW_FIELDS,
    OFI_LEVELS,
    TRACE,
    TRACE_EVERY,
    TRACE_FLOW,
    TRACE_GROUPS,
    TRACE_TRADES,
)
from tests.engine.harness import cuts_of
from tests.reference.book import Event
from tests.reference.engine import Desk, Near, SlowEngine, as_events
from tests.strategies.streams import Stream, examples, streams

GROUP_FIELDS = ("levels", *(name for name, *_ in FLOW_FIELDS))
TOLD = [name for name in TRACE.names if name not in GROUP_FIELDS]  # by every row
BY_ID = (ev.ADD, ev.CANCEL, ev.MODIFY, ev.FILL)


class Tracer(SlowEngine):
    """Writes one line per event of a complete group, in the order groups complete."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream.resolve, 10**18, on_group=self.note)
        self.signed: list[Event] = []  # the last group, with the sides its trades were given
        self.lines: list[dict[str, Any]] = []

    def note(self, desk: Desk, group: list[Event]) -> None:
        """Keep a complete group."""
        self.signed = group

    def follow(self, events: list[Event]) -> None:
        """Feed events and trace them."""
        for event in events:
            key = (event.publisher, event.instrument_id)
            group = [*self.open.get(key, ()), event]
            desk = self.desks.get(key)
            before = shown(desk)
            lines = list(self.orders(group, desk)) if event.flags & ev.LAST else []
            self.feed([event])
            if lines:
                desk = self.desks[key]
                for line, told in zip(lines, self.signed, strict=True):
                    line["side"] = told.side if line["action"] == ev.TRADE else line["side"]
                    line.update(before | {"ofi": 0, "last": 0, "ts": desk.ts, "slot": desk.slot})
                lines[-1] |= shown(desk) | {"ofi": desk.history[-1].ofi, "last": 1}
                self.lines += lines

    def orders(self, group: list[Event], desk: Desk | None) -> Any:
        """What each event of a group does to its order, tried on a copy of the orders."""
        desk = desk or Desk(0, self.resolve(group[0].publisher, group[0].instrument_id))
        book = desk.book.copy()
        told = group[-1].flags & ev.SNAPSHOT and desk.started_at is None  # by what a stream opens with
        for event in group:
            about = event.action in BY_ID and not (event.action == ev.ADD and event.flags & ev.TOB)
            old = book.order(event.order_id) if about else None
            rejected = book.counters["rejected"]
            book.apply(event)
            new = book.order(event.order_id) if about else None
            side = event.side
            if event.action == ev.CANCEL and old and book.counters["rejected"] == rejected:
                side = old[0]
            elif (
                event.action in (ev.ADD, ev.MODIFY) and (new or old) and book.counters["rejected"] == rejected
            ):
                side = (new or old)[0]
            unusable = event.action == ev.TRADE and (told or not book.counts(event))
            yield {
                "action": ev.NONE if unusable else event.action,
                "side": side,
                "price_before": old[1] if old else ev.UNDEF_PRICE,
                "size_before": old[2] if old else 0,
                "size_after": new[2] if new else 0,
            }


def shown(desk: Desk | None) -> dict[str, int]:
    """Best prices, sizes and sums of a desk after its last group."""
    out = {"state": desk.state if desk else 0}
    for name, levels in zip(("bid", "ask"), desk.top if desk else ([], []), strict=True):
        out[name] = levels[0][0] if levels else ev.UNDEF_PRICE
        out[f"{name}_size"] = levels[0][1] if levels else 0
        out[f"{name}_size5"] = sum(size for _, size, _ in levels[:5])
    return out


@examples(80)
@given(streams(kinds=("mbo", "mbo", "l2", "l1", "tob"), events=(0, 160)), st.sampled_from((1, 7, 1_000)))
def test_traces(stream: Stream, size: int) -> None:
    slow = Tracer(stream)
    slow.follow(as_events(stream.events))
    fast = Engine(stream.resolve, every="event", features=[])
    lines = []
    for piece in cuts_of(stream.events, size):
        for block, rows in fast.trace_blocks(piece):
            assert np.array_equal(np.diff(rows["event"]), np.ones(len(rows) - 1)), "every event has its row"
            events = block[rows["event"]]
            told = events["action"] != ev.TRADE  # a trade that cannot be counted becomes nothing
            assert events["action"][told].tolist() == rows["action"][told].tolist()
            names = [name for name in TOLD if name != "event"]
            lines += [dict(zip(names, row, strict=True)) for row in rows[names].tolist()]
    assert len(lines) == len(slow.lines)
    for k, (got, want) in enumerate(zip(lines, slow.lines, strict=True)):
        assert got == want, f"line {k}: {[name for name in want if got[name] != want[name]]}"


@pytest.mark.parametrize("of", [TRACE_TRADES, TRACE_FLOW, TRACE_TRADES | TRACE_FLOW])
@examples(40)
@given(streams(kinds=("mbo", "mbo", "l2", "l1", "tob"), events=(0, 160)), st.sampled_from((1, 7, 1_000)))
def test_fewer_rows_are_the_same_rows(of: int, stream: Stream, size: int) -> None:
    def told(of: int) -> np.ndarray:
        engine = Engine(stream.resolve, features=[])
        rows = [r.copy() for piece in cuts_of(stream.events, size) for _, r in engine.trace_blocks(piece, of)]
        return np.concatenate([np.zeros(0, TRACE), *rows])

    every = told(TRACE_EVERY)
    wanted = np.zeros(len(every), bool)
    if of & TRACE_TRADES:
        wanted |= every["action"] == ev.TRADE
    if of & TRACE_FLOW:
        wanted |= every["ofi"] != 0
    assert told(of)[TOLD].tolist() == every[wanted][TOLD].tolist()


@examples(80)
@given(streams(kinds=("mbo", "mbo", "l2", "l1", "tob"), events=(0, 160)), st.sampled_from((1, 7, 1_000)))
def test_what_groups_add_up(stream: Stream, size: int) -> None:
    """A row for each group, with all that was added up so far: no SAMPLE row comes in between."""
    slow = SlowEngine(stream.resolve, "event")
    slow.feed(as_events(stream.events))
    want: dict[int, list[Any]] = {desk.slot: [] for desk in slow.desks.values()}
    for desk in slow.desks.values():
        levels, total = [0] * OFI_LEVELS, Near()
        for past in desk.history:
            levels = [a + b for a, b in zip(levels, past.levels, strict=True)]
            total.join(past.near)
            want[desk.slot].append([levels, *total.values().values()])
    engine = Engine(stream.resolve, features=[])
    got: dict[int, list[Any]] = {slot: [] for slot in want}
    for piece in cuts_of(stream.events, size):
        for _, rows in engine.trace_blocks(piece, TRACE_GROUPS):
            assert rows["last"].all()
            for row in rows:
                got[int(row["slot"])].append([row[name].tolist() for name in GROUP_FIELDS])
    assert got == want
