"""Support and resistance straight from their definitions, from whole lists of rows and messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from depthscope.market.layouts import LIVE

SECOND = 10**9
MINUTE = 60 * SECOND
Event = tuple[int, str, int, str, int]  # ts, what, price, side, touches
Message = tuple[int, str, str, str, str, int]  # ts, detector, phase, outcome, side, price


@dataclass
class One:
    """A level."""

    price: int
    side: str
    since: int
    signs: list[tuple[int, float, str]]  # time, weight, kind
    away: bool = False
    touched: bool = False
    touches: int = 0
    beyond: int | None = None

    def score(self, ts: int) -> float:
        """Sum of its signs, halved every quarter of an hour."""
        return sum(weight * 0.5 ** ((ts - at) / (900 * SECOND)) for at, weight, _ in self.signs)

    def distance(self, bid: int, ask: int) -> int:
        """How far the market is before it."""
        return bid - self.price if self.side == "B" else self.price - ask


@dataclass
class SlowLevels:
    """Levels of one instrument, with everything that ever came."""

    tick: int
    window: int = 300 * SECOND
    quotes: list[tuple[int, int, int]] = field(default_factory=list)  # ts, bid, ask
    trades: list[tuple[int, int, int]] = field(default_factory=list)  # minute, bin, lots
    levels: list[One] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    tops: dict[int, tuple[int, int, int] | None] = field(default_factory=lambda: {1: None, -1: None})
    clusters: set[int] = field(default_factory=set)
    minute: int | None = None
    zone: int = 0
    half: int = 0

    def message(self, message: Message) -> None:
        """Take a message older than the next row."""
        ts, detector, phase, outcome, side, price = message
        kinds = [k for k in ("iceberg", "absorption", "hidden") if k in detector and phase == "open"]
        kinds += ["wall"] if (detector, phase, outcome) == ("wall", "close", "held") else []
        if kinds and self.quotes:
            twice = self.quotes[-1][1] + self.quotes[-1][2]
            where = side if twice == 2 * price else "B" if 2 * price < twice else "A"
            if where:
                self.sign(ts, where, price, kinds[0])

    def sign(self, ts: int, side: str, price: int, kind: str) -> None:
        """Take a sign."""
        mine = [one for one in self.levels if one.side == side and abs(one.price - price) <= self.half]
        if not mine:
            mine = [One(price, side, ts, [])]
            mine[0].away = mine[0].distance(*self.quotes[-1][1:]) >= 2 * self.zone
            self.levels += mine
        one = min(mine, key=lambda o: abs(o.price - price))
        one.signs = [*(sign for sign in one.signs if sign[2] != kind), (ts, 1.0, kind)]
        if len(self.levels) > 100:
            self.levels.remove(min(self.levels, key=lambda o: o.score(ts)))

    def row(self, row: Any) -> None:
        """Take a SAMPLE row."""
        ts, bid, ask = int(row["ts"]), int(row["bid_price"][0]), int(row["ask_price"][0])
        quoted = bool(row["n_bid"]) and bool(row["n_ask"]) and row["state"] == LIVE
        minute = (ts - 1) // MINUTE
        if not self.quotes:
            if not quoted:
                return
            bps = (bid + ask) // 2 // 20_000 // self.tick
            self.zone = max(2, bps) * self.tick
            self.half = max(1, self.zone // self.tick // 2) * self.tick
            self.minute = minute
        if quoted:
            self.quotes.append((ts, bid, ask))
            for one in self.levels:
                self.judge(one, ts, bid, ask)
            for direction, side in ((1, "A"), (-1, "B")):
                self.swing(direction, side)
        else:
            for one in self.levels:
                one.beyond = None
        if minute != self.minute:
            self.look(ts)
            self.minute = minute
            self.levels = [one for one in self.levels if one.score(ts) >= 0.1]
        lots = int(row["buy_volume"]) + int(row["sell_volume"]) + int(row["unknown_volume"])
        if lots:
            price = round(float(row["notional"]) / lots * 1e9)
            nearest = (price + self.tick // 2) // self.tick * self.tick
            self.trades.append((minute, nearest // self.half, lots))

    def judge(self, one: One, ts: int, bid: int, ask: int) -> None:
        """Look what the market did at a level."""
        near = one.distance(bid, ask)
        if one.away and near <= self.half:
            one.away, one.touched = False, True
            one.touches += 1
            self.events.append((ts, "touched", one.price, one.side, one.touches))
        elif not one.away and near >= 2 * self.zone:
            if one.touched:
                one.signs.append((ts, 1.0, "held"))
                self.events.append((ts, "held", one.price, one.side, one.touches))
            one.away, one.touched = True, False
        one.beyond = None if near > -self.zone else ts if one.beyond is None else one.beyond
        if one.beyond is not None and ts - one.beyond >= 5 * SECOND:
            self.events.append((ts, "broken", one.price, one.side, one.touches))
            one.signs = [(at, weight / 2, kind) for at, weight, kind in one.signs]
            one.side = "A" if one.side == "B" else "B"
            one.touches, one.touched, one.beyond = 0, False, None
            one.away = one.distance(bid, ask) >= 2 * self.zone

    def reversal(self) -> float:
        """How far twice the mid must turn: four ticks or two deviations of a minute."""
        ends: dict[int, int] = {}
        for ts, bid, ask in self.quotes:
            ends[(ts - 1) // SECOND] = bid + ask
        first, now = min(ends), max(ends)
        before, squares = self.quotes[0][1] + self.quotes[0][2], 0
        for second in range(first, now):
            mid = ends.get(second, before)
            squares += (mid - before) ** 2 if second >= now - 300 else 0
            before = mid
        n = min(now - first, 300)
        return max(8.0 * self.tick, 2.0 * sqrt(60.0 * squares / n) if n else 0.0)

    def swing(self, direction: int, side: str) -> None:
        """Look for a swing extreme of a direction, and whether one is confirmed."""
        ts, bid, ask = self.quotes[-1]
        value, wide = direction * (bid + ask), self.reversal()
        recent = []
        for at, b, a in reversed(self.quotes[:-1]):
            if at < ts - self.window:
                break
            recent.append(direction * (b + a))
        top = self.tops[direction]
        if top is not None and top[0] < ts - self.window:
            top = None
        if all(value > other for other in recent):
            rose = value - min([*recent, value]) >= wide
            top = (ts, value, ask if direction > 0 else bid) if rose else None
        elif top is not None and top[1] - value >= wide:
            self.sign(ts, side, top[2], "swing")
            top = None
        self.tops[direction] = top

    def look(self, ts: int) -> None:
        """Look for clusters in the half hour before a new minute."""
        assert self.minute is not None
        bins: dict[int, int] = {}
        for minute, at, lots in self.trades:
            if minute > self.minute - 30:
                bins[at] = bins.get(at, 0) + lots
        found = {
            at
            for at, lots in bins.items()
            if len(bins) >= 5
            and lots >= 3.0 * sum(bins.values()) / len(bins)
            and all(lots >= bins.get(at + k, 0) for k in (-1, 1))
        }
        twice = self.quotes[-1][1] + self.quotes[-1][2]
        for at in sorted(found - self.clusters):
            price = at * self.half + (self.half // self.tick - 1) // 2 * self.tick
            if 2 * price != twice:
                self.sign(ts, "B" if 2 * price < twice else "A", price, "cluster")
        self.clusters = found
