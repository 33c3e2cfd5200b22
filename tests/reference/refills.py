"""Refills straight from their definition, from sights and a slow book, in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from tests.reference.book import SlowBook
from tests.reference.sights import Sight

SECOND = 10**9
Site = tuple[int, int]  # side, price
Said = tuple[str, int, int, int, int, str, int, int]  # …, outcome, refills, displayed


@dataclass
class Filled:
    """What the fills of an order come to."""

    pending: int = 0  # since its last change
    total: int = 0
    native: bool = False


@dataclass
class Whole:
    """An order that was filled whole, or a level that trades were followed at."""

    ts: int
    site: Site
    size: int
    before: int = 0  # displayed
    used: bool = False


@dataclass
class Matter:
    """What is open at a price."""

    number: int
    refills: int
    size: int
    displayed: int
    latest: int


@dataclass
class Refills:
    """Refills of one instrument."""

    instrument: Instrument
    times: int = 3
    window: int = 60 * SECOND
    delay: int = SECOND // 10
    delay_l2: int = 2 * SECOND
    similar: Fraction = Fraction(1, 5)
    cooldown: int = 30 * SECOND
    orders: dict[int, Filled] = field(default_factory=dict)
    wholes: list[Whole] = field(default_factory=list)
    signs: list[tuple[int, Site, int]] = field(default_factory=list)
    open: dict[Site, Matter] = field(default_factory=dict)
    quiet: dict[int, int] = field(default_factory=dict)
    best: dict[int, tuple[int, int]] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        made_of = self.instrument.capabilities
        self.by_order = bool(made_of & Capability.MBO)
        self.book = SlowBook(
            self.instrument.tick, allows_negative=self.instrument.allows_negative, top_only=False
        )

    def say(self, phase: str, site: Site, outcome: str = "") -> Said:
        """Make a message."""
        one = self.open[site]
        return phase, one.number, site[1], one.size, site[0], outcome, one.refills, one.displayed

    def close(self, site: Site, outcome: str, end: int) -> Said:
        """End a matter."""
        said = self.say("close", site, outcome)
        del self.open[site]
        self.quiet[site[0]] = max(self.quiet.get(site[0], 0), end + self.cooldown)
        return said

    def sign(self, ts: int, site: Site, size: int, displayed: int) -> Iterator[Said]:
        """Take a refill."""
        self.signs = [s for s in self.signs if s[0] > ts - self.window]
        self.signs.append((ts, site, size))
        if site in self.open:
            one = self.open[site]
            one.refills, one.size, one.displayed, one.latest = one.refills + 1, one.size + size, displayed, ts
            yield self.say("update", site)
            return
        here = [s[2] for s in self.signs if s[1] == site]
        room = sum(side == site[0] for side, _ in self.open) < 8
        if len(here) >= self.times and room and ts >= self.quiet.get(site[0], ts):
            self.count += 1
            self.open[site] = Matter(self.count, len(here), sum(here), displayed, ts)
            yield self.say("open", site)

    def pass_time(self, ts: int) -> Iterator[Said]:
        """Take what comes about until a time."""
        while True:
            ends = sorted(
                (one.latest + self.window, site[0] == ev.ASK, one.number, site)
                for site, one in self.open.items()
            )
            level = self.wholes[0].ts + self.delay_l2 if self.wholes and not self.by_order else None
            over = ends[0] if ends else None
            if level is not None and level <= ts and (over is None or level <= over[0]):
                yield from self.judge(self.wholes.pop(0), level)
            elif over is not None and over[0] <= ts:
                yield self.close(over[3], "over", over[0])
            else:
                return

    def judge(self, one: Whole, ts: int) -> Iterator[Said]:
        """Judge a level whose time is over."""
        side, price = one.site
        if side not in self.best or self.best[side][0] != price:
            return
        shown = self.best[side][1]
        back = shown >= (1 - self.similar) * one.before
        if one.size > one.before - shown and one.size >= Fraction(one.before, 2) and back:
            yield from self.sign(ts, one.site, one.size, shown)

    def see(self, sight: Sight) -> Iterator[Said]:
        """Take an event."""
        ts, event = sight.ts, sight.event
        of_order = self.by_order and event.action in (ev.FILL, ev.ADD, ev.CANCEL, ev.MODIFY)
        gone = event.action in (ev.CLEAR, ev.LOST)
        before = self.book.order(event.order_id) if of_order else None
        self.book.apply(event)
        after = self.book.order(event.order_id) if of_order else None
        if not (of_order or gone or sight.trade or (sight.last and sight.ofi)):
            return
        yield from self.pass_time(ts)
        if gone or not sight.live:
            for site in sorted(self.open, key=lambda s: (s[0] == ev.ASK, self.open[s].number)):
                yield self.close(site, "lost", ts)
            self.orders.clear()
            self.wholes.clear()
            self.signs.clear()
            self.best.clear()
            return
        if event.action == ev.ADD:
            if before is None and after is not None and not event.flags & ev.TOB:
                yield from self.added(ts, after)
        elif before is not None:
            self.changed(sight, before, after)
        if sight.trade and not event.cond & ev.COND_NOT_VOLUME:
            yield from self.traded(sight)
        quoted = sight.bid is not None and sight.ask is not None
        self.best = {ev.BID: sight.bid, ev.ASK: sight.ask} if quoted else {}  # type: ignore[dict-item]

    def added(self, ts: int, order: tuple[int, int, int]) -> Iterator[Said]:
        """Take a new order."""
        side, price, size = order
        for one in reversed(self.wholes):
            if ts - one.ts > self.delay:
                return  # those before it are older still
            fresh = not one.used and one.site == (side, price)
            if fresh and abs(size - one.size) <= self.similar * one.size:
                one.used = True
                yield from self.sign(ts, one.site, one.size, size)
                return

    def changed(self, sight: Sight, before: tuple[int, int, int], after: tuple[int, int, int] | None) -> None:
        """Take a fill, modification or cancel of a known order."""
        event = sight.event
        side, price, size = before
        if event.action == ev.FILL:
            if event.size > 0:
                filled = self.orders.setdefault(event.order_id, Filled())
                filled.pending += event.size
                filled.total += event.size
                filled.native |= event.size > size
            return
        if event.order_id not in self.orders:
            return
        filled = self.orders[event.order_id]
        whole, filled.pending = filled.pending >= size, 0
        if after is not None:
            filled.native |= event.action == ev.MODIFY and whole and event.price == price
            return
        if whole and not filled.native:
            self.wholes.append(Whole(sight.ts, (side, price), filled.total))
        del self.orders[event.order_id]

    def traded(self, sight: Sight) -> Iterator[Said]:
        """Take a trade."""
        event = sight.event
        for site in sorted(self.open, key=lambda s: (s[0] == ev.ASK, self.open[s].number)):
            side, price = site
            if event.price < price if side == ev.BID else event.price > price:
                yield self.close(site, "broken", sight.ts)
        if self.by_order or event.side not in (ev.BID, ev.ASK):
            return
        side = ev.BID if event.side == ev.ASK else ev.ASK
        if side in self.best and self.best[side][0] == event.price:
            for one in self.wholes:
                if one.site == (side, event.price):
                    one.size += event.size
                    return
            self.wholes.append(Whole(sight.ts, (side, event.price), event.size, self.best[side][1]))
