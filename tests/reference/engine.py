"""Groups, clock, rows: what stage 1 must produce, one event at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from operator import itemgetter
from typing import Any, NamedTuple

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import DEPTH_BPS, LIVE, NEAR_LEVELS, OFI_LEVELS, SAMPLE_LEVELS, STALE, SYNCING
from tests.reference.aggressor import LeeReady
from tests.reference.book import Event, Level, SlowBook

Key = tuple[int, int]
MOVES = ("added", "removed", "traded")
BOOK_ACTIONS = frozenset((ev.ADD, ev.CANCEL, ev.MODIFY, ev.CLEAR, ev.LEVEL))


class Trade(NamedTuple):
    """One T event at the time of its group."""

    ts: int
    ts_event: int
    price: int
    size: int
    side: int
    cond: int
    inferred: bool = False

    @property
    def sign(self) -> int:
        return {ev.BID: 1, ev.ASK: -1}.get(self.side, 0)

    @property
    def counts_volume(self) -> bool:
        return not self.cond & ev.COND_NOT_VOLUME


class Near:
    """Size at the best prices, and what came to and left the best 5 and 10."""

    __slots__ = ("moves", "quoted", "quoted_size")

    def __init__(self) -> None:
        self.quoted = self.quoted_size = 0
        self.moves = [0] * 12  # what, side, 5 or 10: the last turns fastest

    def count(self, what: str, side: int, rank: int, size: int) -> None:
        """Put a size to those within reach of its rank."""
        for k, n in enumerate(NEAR_LEVELS):
            if rank < n:
                self.moves[4 * MOVES.index(what) + 2 * side + k] += size

    def of(self, what: str, side: int, k: int) -> int:
        """What came to, left or traded at the best 5 (k = 0) or 10 (k = 1) of a side."""
        return self.moves[4 * MOVES.index(what) + 2 * side + k]

    def join(self, other: Near) -> None:
        """Add another's numbers."""
        self.quoted += other.quoted
        self.quoted_size += other.quoted_size
        if any(other.moves):
            self.moves = [a + b for a, b in zip(self.moves, other.moves, strict=True)]

    def values(self) -> dict[str, Any]:
        """All numbers, by [side][5 or 10] where they have one."""
        moves = {what: [[self.of(what, side, k) for k in range(2)] for side in range(2)] for what in MOVES}
        return {"quoted": self.quoted, "quoted_size": self.quoted_size, **moves}


@dataclass
class Flow:
    """What happened since the previous row."""

    ofi: list[int] = field(default_factory=lambda: [0] * OFI_LEVELS)
    trades: list[Trade] = field(default_factory=list)
    groups: int = 0
    near: Near = field(default_factory=Near)

    def volume(self, sign: int) -> int:
        return sum(t.size for t in self.trades if t.counts_volume and t.sign == sign)

    def count(self, sign: int) -> int:
        return sum(1 for t in self.trades if t.counts_volume and t.sign == sign)

    @property
    def inferred_volume(self) -> int:
        return sum(t.size for t in self.trades if t.counts_volume and t.sign and t.inferred)

    @property
    def notional(self) -> Fraction:
        """Price in units times size in lots."""
        return sum(
            (Fraction(t.price, ev.PRICE_SCALE) * t.size for t in self.trades if t.counts_volume), Fraction(0)
        )

    @property
    def extremes(self) -> tuple[int, int]:
        """(high, low), UNDEF_PRICE when no trade counts."""
        prices = [t.price for t in self.trades if not t.cond & ev.COND_NOT_HIGH_LOW]
        return (max(prices), min(prices)) if prices else (ev.UNDEF_PRICE, ev.UNDEF_PRICE)


class Past(NamedTuple):
    """What one group contributed."""

    ts: int
    ofi: int
    trades: list[Trade]
    state: int
    middle: int  # bid + ask after it, 0 while a side is empty
    begun: bool  # rows are being made
    levels: list[int]  # order-flow imbalance of levels 1..10
    near: Near


class Row(NamedTuple):
    """One sample: the SAMPLE dtype in plain Python, plus the trades behind it."""

    ts: int
    ts_event: int
    ts_recv: int
    sequence: int
    slot: int
    state: int
    incomplete: bool
    action: int
    bids: list[Level]
    asks: list[Level]
    bid_depth: list[int]
    ask_depth: list[int]
    flow: Flow
    last: tuple[int, int]  # price, size of the last eligible trade so far
    seen: int  # groups applied so far: how much of the desk's history this row may know


def depth_within(book: SlowBook, bps: int) -> tuple[int, int]:
    """Size within `bps` of mid on each side; (0, 0) unless both sides are quoted."""
    bids, asks = book.levels[ev.BID], book.levels[ev.ASK]
    if not bids or not asks:
        return 0, 0
    middle = 0.5 * (bids.peekitem(-1)[0] + asks.peekitem(0)[0])
    reach = bps * (1e-4 if middle >= 0 else -1e-4)
    below, above = middle * (1.0 - reach), middle * (1.0 + reach)
    return book.size_within(ev.BID, below), book.size_within(ev.ASK, above)


def order_flow(before: tuple[list[Level], list[Level]], after: tuple[list[Level], list[Level]]) -> list[int]:
    """Cont-Kukanov-Stoikov e of levels 1..10 between two states (bids, asks)."""
    out = [0] * OFI_LEVELS
    if before == after:
        return out  # what was there comes and goes in equal parts
    for k in range(min(OFI_LEVELS, *(len(side) for state in (before, after) for side in state))):
        (bid0, bid_size0, _), (ask0, ask_size0, _) = before[0][k], before[1][k]
        (bid1, bid_size1, _), (ask1, ask_size1, _) = after[0][k], after[1][k]
        out[k] = (
            (bid_size1 if bid1 >= bid0 else 0)
            - (bid_size0 if bid1 <= bid0 else 0)
            - (ask_size1 if ask1 <= ask0 else 0)
            + (ask_size0 if ask1 >= ask0 else 0)
        )
    return out


class View:
    """What rows say of a book, kept until a level changes (most groups are trades and quotes).

    A side without a change since the `earlier` view is taken from there. `levels` are read at once,
    those that only rows need when they are asked for.
    """

    def __init__(self, book: SlowBook, levels: int, earlier: View | None = None) -> None:
        self.changes = dict(book.changes)
        self._book, self._levels = book, levels
        self._sides = {
            side: earlier._sides[side]
            if earlier and earlier.changes[side] == change
            else book.side(side, levels)
            for side, change in self.changes.items()
        }
        self.top = (self._sides[ev.BID][:OFI_LEVELS], self._sides[ev.ASK][:OFI_LEVELS])
        self._depths: list[tuple[int, int]] | None = None

    def side(self, side: int) -> list[Level]:
        """Levels of a row; asked for before the book changes again."""
        assert self.changes == self._book.changes
        if self._levels < SAMPLE_LEVELS and len(self._sides[side]) == self._levels:
            return self._book.side(side, SAMPLE_LEVELS)
        return self._sides[side]

    @property
    def depths(self) -> list[tuple[int, int]]:
        """Size within each distance of mid; asked for before the book changes again."""
        assert self.changes == self._book.changes
        if self._depths is None:
            self._depths = [depth_within(self._book, bps) for bps in DEPTH_BPS]
        return self._depths


class Desk:
    """One instrument: its book, its open group and what its next row will say."""

    def __init__(self, slot: int, instrument: Instrument, *, by_event: bool = False) -> None:
        self.slot = slot
        self.instrument = instrument
        self.book = SlowBook(
            instrument.tick,
            allows_negative=instrument.allows_negative,
            top_only=not instrument.capabilities & (Capability.L2 | Capability.MBO),
        )
        self.levels = SAMPLE_LEVELS if by_event else OFI_LEVELS  # that each group needs
        self.view = View(self.book, self.levels)
        self.state = SYNCING
        self.started_at: int | None = None  # time of the first group that is not a snapshot
        self.top: tuple[list[Level], list[Level]] = ([], [])  # after the last LAST
        self.tail: Event | None = None  # LAST record of the last group
        self.ts = 0  # and its time
        self.flow = Flow()
        self.history: list[Past] = []
        self.times: list[int] = []  # of the history
        self.gaps: list[tuple[int, int]] = []  # number of the group, and its time
        self.last_trade = (ev.UNDEF_PRICE, 0)
        told = instrument.capabilities
        quoted = told & (Capability.L1 | Capability.L2 | Capability.MBO)
        infers = bool(told & Capability.TRADES and quoted and not told & Capability.AGGRESSOR)
        self.rules = LeeReady() if infers else None  # the side of trades, where the feed does not tell it

    @property
    def counters(self) -> dict[str, int]:
        return self.book.counters

    def places(self, event: Event) -> Collection[tuple[int, int]]:
        """Levels (side, price) that an event may change: its own price's, and its order's."""
        if event.action not in (ev.ADD, ev.CANCEL, ev.MODIFY, ev.LEVEL):
            return ()
        if event.flags & ev.TOB and event.action in (ev.ADD, ev.LEVEL):
            return ()
        if event.action == ev.LEVEL:
            return ((event.side, event.price),) if event.side in (ev.BID, ev.ASK) else ()
        order = self.book.order(event.order_id)
        return {(side, event.price) for side in (ev.BID, ev.ASK)} | ({order[:2]} if order else set())

    def size_at(self, place: tuple[int, int]) -> int:
        """Present size of a level."""
        side, price = place
        return int(self.book.levels[side].get(price, (0, 0))[0])

    def rank(self, place: tuple[int, int]) -> int:
        """Number of levels better than a price, as the last group left them (ten at most)."""
        side, price = place
        if side == ev.BID:
            return bisect_left(self.top[0], -price, key=lambda level: -level[0])
        return bisect_left(self.top[1], price, key=itemgetter(0))

    def signed(self, event: Event, *, live: bool) -> Event:
        """A trade with its side, inferred from the last group's quote where need be."""
        if self.rules is None:
            return event
        side = self.rules.side(event.ts_event, event.price, event.side, event.cond, live=live)
        if side == event.side:
            return event
        return event._replace(side=side, flags=event.flags | ev.INFERRED_SIDE)

    def apply(self, group: list[Event], ts: int) -> None:
        """Apply a whole group at its time; its trades get their sides."""
        tail = group[-1]
        book, rules = self.book, self.rules
        trades: list[Trade] = []
        snapshot = bool(tail.flags & ev.SNAPSHOT)
        told = snapshot and self.started_at is None  # by what a stream opens with: not when it was made
        near = Near()
        restarted = self.state != LIVE
        for k, record in enumerate(group):
            event = record
            restarted = restarted or bool(event.flags & ev.SNAPSHOT)
            trades_here = event.action == ev.TRADE and book.counts(event)
            if trades_here and not told:
                event = group[k] = self.signed(event, live=not restarted)
            if event.action == ev.LOST and rules:
                rules.gap()
            before = [(place, self.size_at(place)) for place in (() if restarted else self.places(event))]
            book.apply(event)
            for place, size in before:
                change = self.size_at(place) - size
                if change:
                    name = "added" if change > 0 else "removed"
                    near.count(name, int(place[0] == ev.ASK), self.rank(place), abs(change))
            if trades_here:
                if not restarted and event.side in (ev.BID, ev.ASK) and not event.cond & ev.COND_NOT_VOLUME:
                    rests = ev.ASK if event.side == ev.BID else ev.BID
                    near.count("traded", int(rests == ev.ASK), self.rank((rests, event.price)), event.size)
                if not told:
                    inferred = bool(event.flags & ev.INFERRED_SIDE)
                    trades.append(
                        Trade(ts, event.ts_event, event.price, event.size, event.side, event.cond, inferred)
                    )
                    if not event.cond & ev.COND_NOT_LAST:
                        self.last_trade = (event.price, event.size)
            restarted = restarted or event.action in (ev.CLEAR, ev.LOST)
        actions = Counter([event.action for event in group])
        lost, cleared = actions[ev.LOST], actions[ev.CLEAR]
        self.gaps += [(len(self.history), ts)] * lost
        touches = not BOOK_ACTIONS.isdisjoint(actions) or (ev.QUOTE in actions and book.top_only)
        if lost:
            self.state = STALE
        if touches and ((cleared and not lost) or snapshot or self.state == SYNCING):
            self.state = LIVE
        restart = lost or cleared or any(e.flags & ev.SNAPSHOT for e in group)
        if self.view.changes != book.changes:
            self.view = View(book, self.levels, self.view)
        top = self.view.top
        flow = [0] * OFI_LEVELS if restart else order_flow(self.top, top)
        if any(flow):
            self.flow.ofi = [a + b for a, b in zip(self.flow.ofi, flow, strict=True)]
        self.flow.trades += trades
        middle = top[0][0][0] + top[1][0][0] if top[0] and top[1] else 0
        begun = self.started_at is not None or not snapshot
        if begun and self.state == LIVE and top[0] and top[1] and top[0][0][0] < top[1][0][0]:
            near.quoted, near.quoted_size = 1, top[0][0][1] + top[1][0][1]
        self.flow.near.join(near)
        self.times.append(ts)
        self.history.append(Past(ts, flow[0], trades, self.state, middle, begun, flow, near))
        self.top = top
        if self.rules:
            prices = (top[0][0][0], top[1][0][0]) if top[0] and top[1] and self.state == LIVE else None
            quoted = prices if prices and prices[0] <= prices[1] else None
            self.rules.quote(tail.ts_event, quoted, restart=restart)
        counters = book.counters
        if (touches or restart) and top[0] and top[1] and top[0][0][0] >= top[1][0][0]:
            counters["crossed"] += 1
        counters["groups"] += 1
        counters["trades"] += len(trades)
        counters["gaps"] += lost
        counters["clears"] += cleared
        counters["snapshots"] += snapshot
        self.flow.groups += 1
        self.tail, self.ts = tail, ts
        if self.started_at is None and not snapshot:
            self.started_at = ts

    def window(self, start: int, seen: int) -> list[Past]:
        """Groups from a time on, of the first `seen` ones: their times only grow."""
        return self.history[bisect_left(self.times, start) : seen]

    def row(self, ts: int) -> Row:
        """Close the running row at `ts`."""
        assert self.tail is not None
        view = self.view
        row = Row(
            ts=ts,
            ts_event=self.tail.ts_event,
            ts_recv=self.ts,
            sequence=self.tail.sequence,
            slot=self.slot,
            state=self.state,
            incomplete=self.book.incomplete,
            action=self.tail.action,
            bids=view.side(ev.BID),
            asks=view.side(ev.ASK),
            bid_depth=[bid for bid, _ in view.depths],
            ask_depth=[ask for _, ask in view.depths],
            flow=self.flow,
            last=self.last_trade,
            seen=len(self.history),
        )
        self.flow = Flow()
        return row


class SlowEngine:
    """The engine, one event at a time.

    Parameters
    ----------
    resolve : callable
        (publisher, instrument_id) -> Instrument.
    every : int or "event"
        Grid step in nanoseconds, or one row per group.
    sparse : bool
        Leave out rows of instruments without a group since their previous row.
    on_group : callable, optional
        Called with the desk and the group after each group.
    """

    def __init__(
        self,
        resolve: Callable[[int, int], Instrument],
        every: int | str = 100_000_000,
        *,
        sparse: bool = False,
        on_group: Callable[[Desk, list[Event]], None] | None = None,
    ) -> None:
        self.resolve, self.every, self.sparse, self.on_group = resolve, every, sparse, on_group
        self.desks: dict[Key, Desk] = {}
        self.open: dict[Key, list[Event]] = {}
        self.clock = 0
        self.rows: list[Row] = []
        self.dropped = 0  # events of groups that never ended

    def feed(self, events: Iterable[Event]) -> None:
        """Take events in stream order."""
        for event in events:
            key = (event.publisher, event.instrument_id)
            group = self.open.get(key)
            if group is None:
                group = self.open[key] = []
            group.append(event)
            if event.flags & ev.LAST:
                del self.open[key]
                self._advance(max(self.clock, event.ts_recv))
                if key not in self.desks:
                    self.desks[key] = Desk(
                        len(self.desks), self.resolve(*key), by_event=self.every == "event"
                    )
                desk = self.desks[key]
                desk.apply(group, self.clock)
                if self.every == "event" and desk.started_at is not None:
                    self.rows.append(desk.row(self.clock))
                if self.on_group:
                    self.on_group(desk, group)

    def finish(self) -> None:
        """End the stream: groups still open are dropped, yet their time has come."""
        pending = [event for group in self.open.values() for event in group]
        self.dropped += len(pending)
        self.open.clear()
        self._advance(max([self.clock, *(event.ts_recv for event in pending)]))

    def _advance(self, clock: int) -> None:
        """Write the rows of every boundary in (old clock, clock]: groups before it are all in."""
        if self.every != "event":
            step = int(self.every)
            boundary = (self.clock // step + 1) * step
            if boundary <= clock:
                waiting = [d for d in self.desks.values() if d.started_at is not None]
                for at in range(boundary, clock + 1, step) if waiting else ():
                    for desk in waiting:
                        if not self.sparse or desk.flow.groups:
                            self.rows.append(desk.row(at))
        self.clock = clock


def as_events(array: object) -> list[Event]:
    """Plain-integer view of an EVENT array."""
    return list(map(Event._make, array.tolist()))  # type: ignore[attr-defined]
