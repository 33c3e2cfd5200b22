"""Absorption and hidden orders straight from their definition, from sights, in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from tests.reference.sights import Sight

SECOND = 10**9
MINUTE = 60 * SECOND
TEN = 10 * SECOND
IGNORED = ev.COND_NOT_VOLUME | ev.COND_OFF_BOOK | ev.COND_LATE
Said = tuple[str, int, int, int, int, str]  # phase, number, price, size, side, outcome


@dataclass(frozen=True)
class Taken:
    """A trade that took from a side."""

    ts: int
    side: int  # of what rested
    price: int
    size: int
    flow: int  # running total before it
    middle: int  # bid + ask before it


@dataclass
class Stay:
    """A band of prices that trades at while the price stays."""

    side: int
    low: int
    read: int
    trades: list[Taken] = field(default_factory=list)
    peak: int = 0  # since the last reading

    def inside(self, ts: int) -> list[Taken]:
        """What of it is at most a minute old."""
        return [t for t in self.trades if t.ts > ts - MINUTE]

    def volume(self, ts: int) -> int:
        """Size taken in the last minute."""
        return sum(t.size for t in self.inside(ts))


@dataclass
class Matter:
    """What is, or may be, open on a side."""

    low: int
    first: Taken
    size: int
    latest: int
    number: int = 0
    told: int = 0


@dataclass
class Window:
    """Ten seconds."""

    flow: int = 0
    began: int | None = None  # bid + ask
    ended: int | None = None
    readings: list[int] = field(default_factory=list)


@dataclass
class Absorbing:
    """Matters of one instrument; `width` is 0 for absorption, a tick for hidden orders."""

    instrument: Instrument
    ticks: int
    times: Fraction = Fraction(2)
    beyond: int = 2
    cooldown: int = 30 * SECOND
    by_ofi: bool = False
    stays: list[Stay] = field(default_factory=list)
    windows: dict[int, Window] = field(default_factory=dict)
    flow: int = 0
    quotes: dict[int, int] = field(default_factory=dict)  # best price by side, none while lost
    candidates: dict[int, Matter] = field(default_factory=dict)
    open: dict[int, Matter] = field(default_factory=dict)
    quiet: dict[int, int] = field(default_factory=dict)
    count: int = 0
    shown: list[tuple[float, float]] = field(default_factory=list)  # ticks moved and expected, by message
    now: int = -1  # the running window
    measured: tuple[int, Fraction, Fraction] = (-1, Fraction(0), Fraction(0))

    @property
    def tick(self) -> int:
        return self.instrument.tick

    @property
    def width(self) -> int:
        return self.ticks * self.tick

    @property
    def middle(self) -> int:
        return sum(self.quotes.values())

    def usual(self) -> tuple[Fraction, Fraction]:
        """Variance of the readings and slope of mid on flow, 0 where not known."""
        if self.measured[0] != self.now:
            recent = [w for k, w in self.windows.items() if self.now - 90 <= k < self.now]
            volumes = [v for w in recent for v in w.readings]
            variance = slope = Fraction(0)
            if len(volumes) >= 20:
                variance = Fraction(sum(v * v for v in volumes), len(volumes))
                variance -= Fraction(sum(volumes), len(volumes)) ** 2
            points = [
                (w.flow, Fraction(w.ended - w.began, 2 * self.tick))
                for w in recent
                if w.began is not None and w.ended is not None and w.flow
            ]
            if len(points) >= 12:
                slope = sum((x * y for x, y in points), Fraction(0)) / sum(x * x for x, _ in points)
            self.measured = self.now, variance, slope
        return self.measured[1:]

    def end(self, stay: Stay) -> None:
        """Read a stay for the last time."""
        if stay.peak:
            self.windows[self.now].readings.append(stay.peak)
        self.stays.remove(stay)

    def near(self, side: int, low: int) -> bool:
        """Whether the best price is within a tick of a band."""
        return low - self.tick <= self.quotes[side] <= low + self.width + self.tick

    def travel(self, side: int, first: Taken) -> tuple[Fraction, Fraction]:
        """Ticks towards the aggressors since a trade: gone, and usual for the flow."""
        sign = -1 if side == ev.BID else 1
        _, slope = self.usual()
        return (
            Fraction(sign * (self.middle - first.middle), 2 * self.tick),
            sign * slope * (self.flow - first.flow),
        )

    def say(self, phase: str, side: int, matter: Matter, outcome: str = "") -> Said:
        """Make a message."""
        gone, usual = self.travel(side, matter.first)
        self.shown.append((float(gone), float(usual)))
        price = matter.low + (self.width if side == ev.BID else 0)
        return phase, matter.number, price, matter.size, side, outcome

    def close(self, side: int, outcome: str, end: int) -> Said:
        """End what is open."""
        self.quiet[side] = end + self.cooldown
        return self.say("close", side, self.open.pop(side), outcome)

    def see(self, sight: Sight) -> Iterator[Said]:
        """Take an event."""
        ts, event = sight.ts, sight.event
        gone = event.action in (ev.CLEAR, ev.LOST)
        if not (gone or sight.trade or (sight.last and sight.ofi)):
            return
        if ts // TEN != self.now:
            if self.now in self.windows and self.quotes:
                self.windows[self.now].ended = self.middle
            self.now = ts // TEN
            self.windows[self.now] = Window(began=self.middle if self.quotes else None)
        window = self.windows[self.now]
        for stay in list(self.stays):
            if stay.trades[-1].ts <= ts - MINUTE:
                self.end(stay)
        if gone or not sight.quoted:
            window.began = None
            self.quotes = self.quotes and dict(self.quotes)
            for stay in list(self.stays):
                self.end(stay)
            self.candidates.clear()
            for side in (ev.BID, ev.ASK):
                if side in self.open:
                    latest = self.open[side].latest
                    yield self.close(side, "over", min(ts, latest + MINUTE))
            self.quotes = {}
            return
        assert sight.bid is not None
        assert sight.ask is not None
        self.quotes = {ev.BID: sight.bid[0], ev.ASK: sight.ask[0]}
        for stay in list(self.stays):
            if not self.near(stay.side, stay.low):
                self.end(stay)
        if self.by_ofi:
            self.flow += sight.ofi
            window.flow += sight.ofi
        for side in (ev.BID, ev.ASK):
            yield from self.judge(side, sight)
        if sight.trade and not event.cond & IGNORED and event.side in (ev.BID, ev.ASK):
            yield from self.trade(ts, event.side, event.price, event.size)

    def judge(self, side: int, sight: Sight) -> Iterator[Said]:
        """End what is over on a side, and settle its candidate."""
        ts = sight.ts
        if side in self.open:
            matter = self.open[side]
            far = self.beyond * self.tick
            away = (
                self.quotes[side] >= matter.low + self.width + far
                if side == ev.BID
                else self.quotes[side] <= matter.low - far
            )
            if ts >= matter.latest + MINUTE:
                yield self.close(side, "over", matter.latest + MINUTE)
            elif away:
                yield self.close(side, "held", ts)
        if side in self.candidates:
            matter = self.candidates[side]
            shown = sight.last and sight.event.action != ev.TRADE
            by_order = Capability.MBO in self.instrument.capabilities
            if not shown and not (by_order and ts > matter.latest):
                return
            del self.candidates[side]
            moved, usual = self.travel(side, matter.first)
            if self.near(side, matter.low) and usual > 0 and moved < usual:
                self.count += 1
                matter.number, matter.told = self.count, matter.size
                self.open[side] = matter
                yield self.say("open", side, matter)

    def trade(self, ts: int, aggressor: int, price: int, size: int) -> Iterator[Said]:
        """Take a trade."""
        side = ev.BID if aggressor == ev.ASK else ev.ASK
        taken = Taken(ts, side, price, size, self.flow, self.middle)
        for low in sorted({price - self.width, price}):
            if self.near(side, low) and not any((s.side, s.low) == (side, low) for s in self.stays):
                assert sum(s.side == side for s in self.stays) < 8
                self.stays.append(Stay(side, low, ts))
        for stay in self.stays:
            if stay.side == side and stay.low <= price <= stay.low + self.width:
                if ts >= stay.read + MINUTE:
                    if stay.peak:
                        self.windows[self.now].readings.append(stay.peak)
                    stay.peak, stay.read = 0, ts
                stay.trades = [*stay.inside(ts), taken]
                stay.peak = max(stay.peak, stay.volume(ts))
        if not self.by_ofi:
            signed = size if aggressor == ev.BID else -size
            self.flow += signed
            self.windows[self.now].flow += signed
        for other in (ev.BID, ev.ASK):
            if other in self.open:
                matter, far = self.open[other], self.beyond * self.tick
                if other == ev.BID:
                    through = price <= matter.low - far
                else:
                    through = price >= matter.low + self.width + far
                if through:
                    yield self.close(other, "broken", ts)
        if side in self.open:
            matter = self.open[side]
            if matter.low <= price <= matter.low + self.width:
                matter.size += size
                matter.latest = ts
                if matter.size >= 2 * matter.told:
                    matter.told = matter.size
                    yield self.say("update", side, matter)
        elif ts >= self.quiet.get(side, ts):
            self.propose(ts, side, price)

    def propose(self, ts: int, side: int, price: int) -> None:
        """The largest stay at a price that is large enough becomes the candidate; of equals, the deeper."""
        variance, _ = self.usual()
        for stay in self.stays:
            volume = stay.volume(ts)
            if stay.side != side or not stay.low <= price <= stay.low + self.width or not variance:
                continue
            if volume * volume <= self.times**2 * variance:
                continue
            deep = -stay.low if side == ev.BID else stay.low
            old = self.candidates.get(side)
            if old is not None and (volume, deep) <= (old.size, -old.low if side == ev.BID else old.low):
                continue
            self.candidates[side] = Matter(stay.low, stay.inside(ts)[0], volume, ts)
