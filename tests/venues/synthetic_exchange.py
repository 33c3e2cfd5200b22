"""A slow exchange: replays one synthetic stream order by order and objects to any broken rule.

Written from the rules of an exchange, not from the generator: it shares no code with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from sortedcontainers import SortedDict

LAST, SNAPSHOT = 128, 32
CHANGES = {"A": "add", "C": "cancel", "M": "modify", "S": "status"}
SECOND = 1_000_000_000


class RuleBroken(AssertionError):
    """The stream did what no exchange does."""


@dataclass
class Order:
    side: str
    price: int
    size: int


@dataclass
class Fill:
    ts: int
    order: int
    price: int
    size: int
    shown: int


@dataclass(eq=False)
class Book:
    """One instrument's orders, in price-time priority."""

    tick: int
    orders: dict[int, Order] = field(default_factory=dict)
    queues: dict[str, SortedDict] = field(default_factory=lambda: {"B": SortedDict(), "A": SortedDict()})
    bests: dict[str, int | None] = field(default_factory=lambda: {"B": None, "A": None})
    seen: set[int] = field(default_factory=set)
    sequence: int = 0
    recv: int = 0
    event: int = 0
    began: bool = False
    halted: bool = False

    # what happened, for whoever asks
    fills: list[Fill] = field(default_factory=list)
    trades: list[tuple[int, str, int, int]] = field(default_factory=list)  # ts, aggressor, price, size
    adds: dict[int, tuple[int, str, int, int]] = field(default_factory=dict)  # id -> ts, side, price, size
    cancels: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    restored: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    groups: int = 0
    statuses: list[tuple[int, int]] = field(default_factory=list)

    def best(self, side: str) -> int | None:
        return self.bests[side]

    def prices_changed(self, side: str) -> None:
        """A price came or went."""
        prices = self.queues[side]
        self.bests[side] = prices.peekitem(-1 if side == "B" else 0)[0] if prices else None

    def level(self, side: str, price: int) -> int:
        return sum(self.orders[i].size for i in self.queues[side].get(price, ()))

    def ladder(self, side: str, n: int) -> list[tuple[int, int]]:
        prices = self.queues[side].keys()
        best = reversed(prices[-n:]) if side == "B" else prices[:n]
        return [(p, self.level(side, p)) for p in best]

    def need(self, rule: bool, what: str, record: Any) -> None:
        if not rule:
            raise RuleBroken(f"{what}: {record}")

    # ── one group ─────────────────────────────────────────────────────────────────────
    def group(self, records: list[Any]) -> None:
        """Apply the records (ts_event, ts_recv, id, price, size, sequence, action, side, flags)."""
        first, last = records[0], records[-1]
        need = self.need
        snapshot = bool(first[8] & SNAPSHOT)
        need(last[8] & LAST, "LAST ends the group", last)
        if len(records) > 1:
            need(all(r[1] == first[1] and r[5] == first[5] for r in records), "one time and sequence", first)
            need(not any(r[8] & LAST for r in records[:-1]), "LAST ends the group", last)
            same = all(bool(r[8] & SNAPSHOT) == snapshot for r in records)
            need(same, "snapshot flag is the group's", first)
        need(first[1] > self.recv, "ts_recv grows", first)
        need(first[0] >= self.event, "ts_event never goes back", first)
        need(first[0] <= first[1], "received after it happened", first)
        need(first[5] > self.sequence, "sequence grows", first)
        need(snapshot == (not self.began), "a snapshot opens the stream, and only opens it", first)
        self.recv, self.event, self.sequence, self.began = first[1], first[0], first[5], True
        self.groups += 1
        if records[0][6] == "T":
            self.execution(records)
        elif snapshot:
            need(first[6] == "R", "a snapshot begins with R", first)
            for r in records[1:]:
                need(r[6] == "A", "a snapshot holds adds", r)
                self.add(r)
        else:
            need(len(records) == 1, "one change a group", first)
            need(not self.halted or first[6] == "S", "nothing happens in a halt", first)
            getattr(self, CHANGES[first[6]])(first)
        bid, ask = self.best("B"), self.best("A")
        need(bid is not None and ask is not None and bid < ask, "not crossed", (bid, ask, last))

    def status(self, r: Any) -> None:
        self.statuses.append((r[1], r[9]))
        self.halted = r[9] == 1

    def add(self, r: Any) -> None:
        _, ts, order, price, size, _, _, side, _, _ = r
        self.need(order > 0 and order not in self.seen, "order ids are new", r)
        self.need(size > 0 and price > 0 and price % self.tick == 0, "sound price and size", r)
        self.seen.add(order)
        self.orders[order] = Order(side, price, size)
        self.join(order, side, price)
        self.adds[order] = (ts, side, price, size)

    def known(self, r: Any) -> Order:
        self.need(r[2] in self.orders, "the order exists", r)
        order = self.orders[r[2]]
        self.need(order.side == r[7], "the order's side", r)
        return order

    def join(self, number: int, side: str, price: int) -> None:
        queue = self.queues[side].get(price)
        if queue is not None:
            queue[number] = None
            return
        self.queues[side][price] = {number: None}
        self.prices_changed(side)

    def leave(self, number: int, order: Order) -> None:
        queue = self.queues[order.side][order.price]
        del queue[number]
        if not queue:
            del self.queues[order.side][order.price]
            self.prices_changed(order.side)

    def cancel(self, r: Any) -> None:
        order = self.known(r)
        self.need(0 < r[4] <= order.size and r[3] == order.price, "cancel at most what rests", r)
        self.cancels[r[2]].append((r[1], r[4]))
        order.size -= r[4]
        if not order.size:
            self.leave(r[2], order)
            del self.orders[r[2]]

    def modify(self, r: Any) -> None:
        order = self.known(r)
        self.need(r[4] > 0 and r[3] > 0 and r[3] % self.tick == 0, "sound price and size", r)
        if r[3] != order.price or r[4] > order.size:
            self.requeue(r, order)
        order.size = r[4]

    def requeue(self, r: Any, order: Order) -> None:
        self.leave(r[2], order)
        order.price = r[3]
        self.join(r[2], order.side, order.price)

    def execution(self, records: list[Any]) -> None:
        """T, then F and C (or F and M for a hidden reserve) for each resting order, best price first."""
        need = self.need
        at = 0
        while at < len(records):
            t = records[at]
            need(t[6] == "T" and t[2] == 0 and t[7] in "AB" and t[4] > 0, "an execution begins with T", t)
            need(t[7] == records[0][7], "one aggressor", t)
            resting = "A" if t[7] == "B" else "B"
            need(t[3] == self.best(resting), "the best price first", t)
            self.trades.append((t[1], t[7], t[3], t[4]))
            at += 1
            volume = 0
            while at < len(records) and records[at][6] == "F":
                f, change = records[at], records[at + 1]
                order = self.known(f)
                need(f[7] == resting and f[3] == t[3] == order.price, "filled where it rests", f)
                need(next(iter(self.queues[resting][f[3]])) == f[2], "first in the queue first", f)
                need(change[2] == f[2] and change[3] == f[3], "a fill is followed by its change", change)
                self.fills.append(Fill(f[1], f[2], f[3], f[4], order.size))
                volume += f[4]
                if change[6] == "M":
                    need(f[4] >= order.size, "a reserve refills an emptied display", change)
                    self.requeue(change, order)
                    order.size = change[4]
                    need(order.size > 0, "a refill shows something", change)
                    self.restored[f[2]] += 1
                else:
                    need(change[6] == "C" and change[4] == min(f[4], order.size), "a fill removes it", change)
                    self.cancel(change)
                    self.cancels[f[2]].pop()
                at += 2
            need(volume == t[4], f"T volume is the sum of its F ({volume})", t)

    # ── figures ───────────────────────────────────────────────────────────────────────
    def top(self, n: int = 10, without: int | None = None) -> list[int]:
        """Sizes of the best `n` levels of each side."""
        both = self.ladder("B", n + 1) + self.ladder("A", n + 1)
        return [q for p, q in both if p != without][: 2 * n]

    def spread(self) -> int:
        bid, ask = self.best("B"), self.best("A")
        assert bid is not None
        assert ask is not None
        return (ask - bid) // self.tick

    def depth(self) -> int:
        return sum(q for _, q in self.ladder("B", 10) + self.ladder("A", 10))


def records(events: Any) -> Iterator[Any]:
    """Plain tuples of EVENT records."""
    columns = [
        events[name].tolist() for name in ("ts_event", "ts_recv", "order_id", "price", "size", "sequence")
    ]
    actions = map(chr, events["action"].tolist())
    sides = map(chr, events["side"].tolist())
    yield from zip(*columns, actions, sides, events["flags"].tolist(), events["aux"].tolist(), strict=True)


@dataclass
class Tape:
    """A replay of one instrument with a survey every second and questions asked at given times."""

    book: Book
    seconds: list[tuple[int, list[int], int, int]] = field(
        default_factory=list
    )  # ts, top sizes, depth, spread

    def baseline(self, ts: int) -> float:
        """Median of the best ten levels' sizes over the 30 s before `ts`."""
        pooled = [q for t, top, _, _ in self.seconds if ts - 30 * SECOND <= t <= ts for q in top]
        return median(pooled)


def replay(
    events: Any,
    tick: int,
    start: int,
    probes: list[tuple[int, Callable[[Book], None]]] | None = None,
    after_group: Callable[[Book], None] | None = None,
) -> Tape:
    """Replay one instrument's events; each probe sees the book after all groups up to its time."""
    tape = Tape(Book(tick))
    waiting = sorted(probes or [], key=lambda p: p[0])
    book, group, at, second = tape.book, [], 0, start + SECOND
    for r in records(events):
        if not group:
            while at < len(waiting) and waiting[at][0] < r[1]:
                waiting[at][1](book)
                at += 1
            while second <= r[1]:
                tape.seconds.append((second, book.top(), book.depth(), book.spread()))
                second += SECOND
        group.append(r)
        if r[8] & LAST:
            book.group(group)
            if after_group is not None:
                after_group(book)
            group = []
    if group:
        raise RuleBroken(f"the stream ends inside a group: {group[-1]}")
    for _, ask in waiting[at:]:
        ask(book)
    return tape
