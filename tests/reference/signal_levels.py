"""`level_lean` straight from its definition, in plain Python, from rows and messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from depthscope.detectors.messages import Detection

SECOND = 10**9
MINUTE = 60 * SECOND
OTHER = {"B": "A", "A": "B"}
Sign = tuple[int, int, int, str, int]  # ts, number of the detector, number, side, price


@dataclass
class Place:
    """A support (B) or resistance (A)."""

    price: int
    side: str
    score: float = 1.0
    away: bool = False
    touched: bool = False
    broken: int | None = None
    rows: list[tuple[int, int]] = field(default_factory=list)  # time, how far past, since it is what it is

    def before(self, bid: int, ask: int) -> int:
        """How far the market is before it."""
        return bid - self.price if self.side == "B" else self.price - ask

    def past(self, bid: int, ask: int) -> int:
        """How far all of the market is past it."""
        return self.price - ask if self.side == "B" else bid - self.price


@dataclass
class SlowLevels:
    """Places of one instrument, with every row that ever came."""

    tick: int
    places: list[Place] = field(default_factory=list)
    waiting: list[Sign] = field(default_factory=list)
    path: list[tuple[int, int, int]] = field(default_factory=list)  # twice mid, bid, ask since mid turned
    awaited: str = "both"
    minute: int = 0
    zone: int = 0

    def hear(self, signs: Iterable[Sign]) -> None:
        """Take signs, in any order."""
        self.waiting = sorted([*self.waiting, *signs])[:32]

    def lost(self) -> None:
        """Take a row that is not quoted."""
        for place in self.places:
            place.rows = []

    def row(self, ts: int, bid: int, ask: int) -> float:
        """Take a quoted row."""
        if not self.zone:
            self.zone = self.tick * max(2, abs(bid + ask) // 40_000 // self.tick)
            self.minute = ts // MINUTE
        if ts // MINUTE > self.minute:
            for place in self.places:
                for _ in range(min(ts // MINUTE - self.minute, 1_000)):
                    place.score *= 0.5 ** (1 / 15)
            self.places = [place for place in self.places if place.score >= 0.1]
            self.minute = ts // MINUTE
        for place in self.places:
            self.judge(place, ts, bid, ask)
        for _, _, _, side, price in self.waiting:
            self.sign(side, price, ts, bid, ask)
        self.waiting = []
        self.turn(ts, bid, ask)
        total = 0.0
        for place in self.places:
            fresh = place.broken is not None and ts < place.broken + MINUTE
            if (fresh or place.touched) and place.past(bid, ask) < self.zone:
                total += place.score if place.side == "B" else -place.score
        return total / (1.0 + abs(total))

    def judge(self, place: Place, ts: int, bid: int, ask: int) -> None:
        """Look what a row did to a place."""
        near = place.before(bid, ask)
        if place.away and near <= max(1, self.zone // self.tick // 2) * self.tick:
            place.away, place.touched = False, True
        elif near >= 2 * self.zone:
            if place.touched:
                place.score = min(4.0, place.score + 1.0)
            place.away, place.touched = True, False
        place.rows.append((ts, place.past(bid, ask)))
        since = ts
        for at, past in reversed(place.rows):
            if past < self.zone:
                break
            since = at
        if ts - since >= 5 * SECOND:
            place.side, place.score, place.broken = OTHER[place.side], place.score / 2, ts
            self.settle(place, ts, bid, ask)

    def settle(self, place: Place, ts: int, bid: int, ask: int) -> None:
        """Begin with a place, or anew."""
        place.away = place.before(bid, ask) >= 2 * self.zone
        place.touched = False
        place.rows = [(ts, place.past(bid, ask))]

    def sign(self, side: str, price: int, ts: int, bid: int, ask: int) -> None:
        """Take a sign."""
        half = max(1, self.zone // self.tick // 2) * self.tick
        mine = [place for place in self.places if place.side == side and abs(place.price - price) <= half]
        if mine:
            nearest = min(mine, key=lambda place: abs(place.price - price))
            nearest.score = min(4.0, nearest.score + 1.0)
            return
        made = Place(price, side)
        self.settle(made, ts, bid, ask)
        if len(self.places) == 64:
            lowest = min(self.places, key=lambda place: place.score)
            self.places[self.places.index(lowest)] = made
        else:
            self.places.append(made)

    def turn(self, ts: int, bid: int, ask: int) -> None:
        """See whether mid has turned."""
        self.path.append((bid + ask, bid, ask))
        wide = 2 * 4 * self.zone
        mids = [middle for middle, _, _ in self.path]
        top, bottom = max(mids), min(mids)
        if self.awaited != "low" and top - mids[-1] >= wide:
            self.sign("A", self.path[mids.index(top)][2], ts, bid, ask)
            self.awaited, self.path = "low", self.path[-1:]
        elif self.awaited != "high" and mids[-1] - bottom >= wide:
            self.sign("B", self.path[mids.index(bottom)][1], ts, bid, ask)
            self.awaited, self.path = "high", self.path[-1:]


def signs_of(messages: Iterable[Detection], numbers: dict[str, int]) -> list[Sign]:
    """Messages that are signs; `numbers` are those of the detectors by name."""
    found = []
    for m in messages:
        opened = m.detector in ("iceberg", "refill", "absorption", "hidden") and m.phase == "open"
        held = m.detector == "wall" and m.phase == "close" and m.outcome == "held"
        if (opened or held) and m.side in ("B", "A") and m.price is not None:
            found.append((m.ts, numbers[m.detector], m.number, m.side, round(m.price * 1e9)))
    return found
