"""Walls straight from their definition, from SAMPLE rows and trades, in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from depthscope.market import events as ev
from depthscope.market.layouts import LIVE

SECOND = 10**9
Sides = list[list[tuple[int, int]]]
Said = tuple[str, int, int, str, str, int]  # phase, number, size, tier, outcome, traded


@dataclass
class Usual:
    """Usual size of both sides' levels."""

    readings: list[tuple[int, list[float]]] = field(default_factory=list)
    due: int = 0

    def row(self, ts: int, sides: Sides) -> bool:
        """Take a reading of a quoted row when one is due; whether it was."""
        if ts < self.due:
            return False
        self.readings.append((ts, [reading([size for _, size in side]) for side in sides]))
        self.due = (ts // SECOND + 1) * SECOND
        return True

    def of(self, side: int, ts: int) -> float:
        """Usual size in lots, 0 while it is not known."""
        recent = [values[side] for at, values in self.readings[-30:] if at > ts - 30 * SECOND]
        return median(recent) if len(recent) >= 5 else 0.0


def reading(sizes: list[int]) -> float:
    """Median of the best ten, the largest left out."""
    best = sorted(sizes[:10])
    return float(median(best[:-1] or best))


def sides_of(row: Any) -> Sides:
    """(price, size) of the levels of both sides, best first."""
    return [
        list(
            zip(
                *(row[f"{name}_{what}"][: row[f"n_{name}"]].tolist() for what in ("price", "size")),
                strict=True,
            )
        )
        for name in ("bid", "ask")
    ]


@dataclass
class Followed:
    """A level that may be or become a wall."""

    price: int
    since: int
    peak: int = 0
    traded: int = 0
    number: int = 0
    tier: str = ""


@dataclass
class Walls:
    """Walls of one instrument."""

    minor: float = 3.0
    major: float = 5.0
    hold: int = 5 * SECOND
    reach: float = 0.0025
    usual: Usual = field(default_factory=Usual)
    count: int = 0
    followed: tuple[list[Followed], list[Followed]] = field(default_factory=lambda: ([], []))

    def trade(self, side: int, price: int, size: int) -> None:
        """Take a trade that counts for volume."""
        for hit, aggressor in ((0, ev.BID), (1, ev.ASK)):
            for one in self.followed[hit]:
                if one.price == price and side != aggressor:
                    one.traded += size

    def row(self, row: Any) -> Iterator[Said]:
        """Take a row."""
        ts = int(row["ts"])
        sides = sides_of(row)
        quoted = bool(sides[0]) and bool(sides[1]) and row["state"] == LIVE
        if quoted:
            self.usual.row(ts, sides)
        for k, levels in enumerate(sides):
            usual = self.usual.of(k, ts)
            seen = set()
            middle = 0.5 * (sides[0][0][0] + sides[1][0][0]) if quoted else 0.0
            if quoted and usual > 0:
                for price, size in levels:
                    if abs(price - middle) > self.reach * abs(middle) or size < 0.7 * self.minor * usual:
                        continue
                    one = next((f for f in self.followed[k] if f.price == price), None)
                    if one is None and size >= self.minor * usual and len(self.followed[k]) < 8:
                        one = Followed(price, ts)
                        self.followed[k].append(one)
                    if one is None:
                        continue
                    seen.add(price)
                    one.peak = max(one.peak, size)
                    tier = "MAJOR" if size >= self.major * usual else "MINOR"
                    if one.number:
                        if tier == "MAJOR" and one.tier == "MINOR":
                            one.tier = tier
                            yield "update", one.number, size, tier, "", one.traded
                    elif size >= self.minor * usual and ts - one.since >= self.hold:
                        self.count += 1
                        one.number, one.tier = self.count, tier
                        yield "open", one.number, size, tier, "", one.traded
            for one in [f for f in self.followed[k] if f.price not in seen]:
                self.followed[k].remove(one)
                if one.number:
                    left = dict(levels).get(one.price)
                    outcome = self.outcome(one, levels, left, k, middle, known=quoted and usual > 0)
                    yield "close", one.number, left or 0, one.tier, outcome, one.traded

    def outcome(
        self,
        one: Followed,
        levels: list[tuple[int, int]],
        left: int | None,
        k: int,
        middle: float,
        *,
        known: bool,
    ) -> str:
        """What became of a wall."""
        if not known:
            return "held"
        if left is not None and abs(one.price - middle) > self.reach * abs(middle):
            return "held"
        if len(levels) == 20 and (one.price < levels[-1][0] if k == 0 else one.price > levels[-1][0]):
            return "held"
        return "traded" if 2 * one.traded >= one.peak - (left or 0) else "pulled"
