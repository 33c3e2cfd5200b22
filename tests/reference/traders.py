"""Large buyers and sellers straight from their definition, from sights, in plain Python."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from statistics import median

from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from tests.reference.sights import Sight

SECOND = 10**9
HALF_HOUR = 1_800 * SECOND
PATIENCE = SECOND // 10
SIDES = (ev.BID, ev.ASK)
Said = tuple[str, int, int, int, int, str, str, int]  # …, label, outcome, prints


@dataclass
class Shown:
    """What is displayed at the best price of a side."""

    price: int
    size: int = 0
    peak: int = 0
    hit: bool = False
    refreshed: int = 0
    taken: int = 0
    large: int | None = None  # since when
    ready: int | None = None  # since when it was taken and refreshed often enough


@dataclass
class Trader:
    """What is open on a side."""

    number: int
    middle: int
    latest: int
    price: int = 0
    signs: set[str] = field(default_factory=set)
    prints: list[int] = field(default_factory=list)
    most: int = 0


@dataclass
class Print:
    """The open print."""

    side: int
    ts_event: int
    quotes: dict[int, int]  # best prices before it, none where not quoted
    fills: list[tuple[int, int, int]] = field(default_factory=list)  # time, price, size

    @property
    def ts(self) -> int:
        return self.fills[-1][0]

    @property
    def size(self) -> int:
        return sum(size for _, _, size in self.fills)


@dataclass
class Traders:
    """Large traders of one instrument."""

    instrument: Instrument
    size: float = 10_000
    quantile: Fraction = Fraction(99, 100)
    least: int = 100
    rest: int = 5
    hold: int = 5 * SECOND
    refreshes: int = 3
    window: int = 60 * SECOND
    cooldown: int = 30 * SECOND
    inferred: bool = False
    # Sizes of prints by half hour, ascending.
    past: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    print: Print | None = None
    shown: dict[int, Shown] = field(default_factory=dict)
    quoted: bool = False
    readings: dict[int, dict[int, int]] = field(default_factory=dict)  # by second and side
    open: dict[int, Trader] = field(default_factory=dict)
    quiet: dict[int, int] = field(default_factory=dict)
    count: int = 0

    @property
    def lots(self) -> Fraction:
        """Shares that are large, in lots."""
        times, over = self.instrument.size_ratio
        return Fraction(self.size) * over / times

    @property
    def middle(self) -> int:
        return sum(shown.price for shown in self.shown.values())

    def enough(self, side: int) -> Fraction:
        """Displayed size that is large."""
        last = [r[side] for r in islice(reversed(self.readings.values()), 30)]
        usual = Fraction(median(last)) if len(last) >= 10 else Fraction(0)
        return min(self.lots, self.rest * usual) if usual else self.lots

    def few(self, ts: int, size: int) -> bool:
        """Whether few past prints are of a size or larger."""
        step = 1
        while size // step >= 16:
            step *= 2
        now, halves = ts // HALF_HOUR, self.past.items()
        everything, above = (
            sum(
                (Fraction(len(past) - bisect_left(past, least), 2 ** (now - half)) for half, past in halves),
                Fraction(0),
            )
            for least in (0, size // step * step)
        )
        return everything >= self.least and above <= (1 - self.quantile) * everything

    def say(self, phase: str, side: int, outcome: str = "") -> Said:
        """Make a message."""
        trader = self.open[side]
        label = "BOTH" if len(trader.signs) > 1 else next(iter(trader.signs))
        return (
            phase,
            trader.number,
            trader.price,
            sum(trader.prints) if trader.prints else trader.most,
            side,
            "L1-inferred" if self.inferred else label,
            outcome,
            len(trader.prints),
        )

    def sign(self, side: int, kind: str, since: int, price: int, size: int = 0) -> Iterator[Said]:
        """Take a sign that was there at a time."""
        phase = "update"
        if side not in self.open:
            if since < self.quiet.get(side, since) or not self.quoted:
                return
            self.count += 1
            self.open[side] = Trader(self.count, self.middle, since)
            phase = "open"
        trader = self.open[side]
        told = phase == "update" and kind == "RESTING" and kind in trader.signs
        trader.signs.add(kind)
        trader.latest = max(trader.latest, since)
        trader.price = price
        trader.prints += [size] if kind == "PRINT" else []
        if self.quoted:
            trader.most = max(trader.most, self.shown[side].peak)
        if not told:
            yield self.say(phase, side)

    def close(self, side: int, end: int, *, lost: bool = False) -> Iterator[Said]:
        """End what is open on a side."""
        way = (self.middle - self.open[side].middle) * (1 if side == ev.BID else -1)
        far = 2 * 2 * self.instrument.tick
        outcome = "lost" if lost else "with" if way >= far else "against" if way <= -far else "flat"
        yield self.say("close", side, outcome)
        del self.open[side]
        self.quiet[side] = end + self.cooldown
        shown = self.shown[side]
        shown.hit, shown.refreshed, shown.taken, shown.ready = False, 0, 0, None

    def end_print(self) -> Iterator[Said]:
        """Judge the open print."""
        one = self.print
        assert one is not None
        few = self.few(one.ts, one.size)
        insort(self.past[one.ts // HALF_HOUR], one.size)
        if one.side in SIDES and one.quotes and (few or one.size >= self.lots):
            prices = [price for _, price, _ in one.fills]
            best = one.quotes[ev.ASK if one.side == ev.BID else ev.BID]
            if min(prices) >= best if one.side == ev.BID else max(prices) <= best:
                yield from self.sign(one.side, "PRINT", one.ts, prices[-1], one.size)
        self.print = None

    def dues(self) -> list[tuple[int, int, int]]:
        """Time, kind (0 over, 1 rests, 2 the print ends) and side of what time alone will bring."""
        found = []
        for k, side in enumerate(SIDES):
            shown = self.shown.get(side)
            large = self.quoted and shown is not None and shown.large is not None
            if side in self.open and not large:
                end = self.open[side].latest + self.window
                if self.print is None or self.print.side != side or self.print.ts >= end:
                    found.append((end, 0, k))
            if self.quoted and shown is not None:
                trader = self.open.get(side)
                if trader and "RESTING" in trader.signs and trader.price == shown.price:
                    continue
                times = [shown.ready] if shown.ready is not None else []
                times += [shown.large + self.hold] if shown.large is not None else []
                if times:
                    found.append((max(min(times), self.quiet.get(side, 0)), 1, k))
        if self.print is not None:
            found.append((self.print.ts + PATIENCE + 1, 2, 0))
        return sorted(found)

    def pass_time(self, ts: int) -> Iterator[Said]:
        """Take what comes about until a time."""
        while (dues := self.dues()) and dues[0][0] <= ts:
            due, kind, k = dues[0]
            if kind == 0:
                yield from self.close(SIDES[k], due)
            elif kind == 1:
                yield from self.sign(SIDES[k], "RESTING", due, self.shown[SIDES[k]].price)
            else:
                yield from self.end_print()

    def see(self, sight: Sight) -> Iterator[Said]:
        """Take an event."""
        ts, event = sight.ts, sight.event
        gone = event.action in (ev.CLEAR, ev.LOST)
        if not (gone or sight.trade or (sight.last and sight.ofi)):
            return
        yield from self.pass_time(ts)
        ignored = ev.COND_NOT_VOLUME | ev.COND_OFF_BOOK | ev.COND_LATE
        traded = sight.trade and not event.cond & ignored
        if traded:
            key = (event.side, event.ts_event)
            one = self.print
            if one is not None and ((one.side, one.ts_event) != key or ts - one.ts > PATIENCE):
                yield from self.end_print()
            if self.print is None:
                quotes = {side: self.shown[side].price for side in SIDES} if self.quoted else {}
                self.print = Print(*key, quotes)
            if not self.quoted:
                self.print.quotes = {}
            self.print.fills.append((ts, event.price, event.size))
        if self.quoted and ts // SECOND not in self.readings:
            self.readings[ts // SECOND] = {side: self.shown[side].size for side in SIDES}
        if gone or not sight.quoted:
            for side in SIDES:
                if side in self.open:
                    yield from self.close(side, ts, lost=True)
            self.quoted = False
            if self.print is not None:
                self.print.quotes = {}
            return
        for side, best in ((ev.BID, sight.bid), (ev.ASK, sight.ask)):
            assert best is not None
            self.show(ts, side, *best)
            if traded and event.side in SIDES and event.side != side and event.price == best[0]:
                self.shown[side].hit = True
                self.shown[side].taken += event.size
        self.quoted = True
        for side in SIDES:
            self.weigh(ts, side)
        yield from self.pass_time(ts)

    def fade(self, ts: int, side: int) -> None:
        """What was displayed is large no more."""
        if self.shown[side].large is not None and self.quoted and side in self.open:
            self.open[side].latest = max(self.open[side].latest, ts)
        self.shown[side].large = None

    def show(self, ts: int, side: int, price: int, size: int) -> None:
        """Take a best price and its size."""
        if not self.quoted or price != self.shown[side].price:
            if side in self.shown:
                self.fade(ts, side)
            self.shown[side] = Shown(price)
        shown = self.shown[side]
        if size > shown.size and shown.peak:
            shown.refreshed += shown.hit
            shown.hit = False
        shown.size, shown.peak = size, max(shown.peak, size)

    def weigh(self, ts: int, side: int) -> None:
        """Find out what is large."""
        shown, enough = self.shown[side], self.enough(side)
        if shown.size < enough:
            self.fade(ts, side)
        elif shown.large is None:
            shown.large = ts
        if shown.refreshed < self.refreshes or shown.taken < enough:
            shown.ready = None
        elif shown.ready is None:
            shown.ready = ts
