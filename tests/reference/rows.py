"""Detectors that look at rows alone, straight from their definitions, in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from depthscope.market.layouts import LIVE

SECOND = 10**9
Said = tuple[str, int, int, str, str, int]  # phase, number, size, label, outcome, traded


@dataclass
class Bursts:
    """A minute's volume against the last five."""

    begun: int | None = None
    trades: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    side: int | None = None
    tier: str = ""
    number: int = 0

    def trade(self, side: int, price: int, size: int) -> None:
        """Rows tell all there is to know."""

    def row(self, row: Any) -> Iterator[Said]:
        """Take a row."""
        second = (int(row["ts"]) - 1) // SECOND
        self.begun = second if self.begun is None else self.begun
        for k, name in enumerate(("buy_volume", "sell_volume", "unknown_volume")):
            self.trades[second][k] += int(row[name])
        minute = [sum(v[k] for s, v in self.trades.items() if s > second - 60) for k in range(3)]
        five = sum(sum(v) for s, v in self.trades.items() if s > second - 300)
        ratio = 5.0 * sum(minute) / five if five else 0.0
        if second - self.begun < 299:
            return
        if self.side is not None:
            if ratio < 0.7 * 3.0 or minute[self.side] < minute[1 - self.side]:
                self.side = None
                yield "close", self.number, sum(minute), self.tier, "over", 0
            elif self.tier == "WARNING" and ratio >= 4.0:
                self.tier = "CRITICAL"
                yield "update", self.number, sum(minute), self.tier, "", 0
        elif ratio >= 3.0 and max(minute[:2]) > 0.6 * sum(minute):
            self.side = 0 if minute[0] > minute[1] else 1
            self.tier = "CRITICAL" if ratio >= 4.0 else "WARNING"
            self.number += 1
            yield "open", self.number, sum(minute), self.tier, "", 0


@dataclass
class Exhaustions:
    """Depth and spread against their last 15 seconds."""

    readings: list[tuple[int, int, int]] = field(default_factory=list)
    due: int = 0
    open: bool = False
    number: int = 0

    def trade(self, side: int, price: int, size: int) -> None:
        """Rows tell all there is to know."""

    def row(self, row: Any) -> Iterator[Said]:
        """Take a row."""
        ts = int(row["ts"])
        quoted = bool(row["n_bid"]) and bool(row["n_ask"]) and row["state"] == LIVE
        depth = int(row["bid_size"][:10].sum() + row["ask_size"][:10].sum())
        spread = int(row["ask_price"][0]) - int(row["bid_price"][0]) if quoted else 0
        recent = [r for r in self.readings[-15:] if r[0] > ts - 15 * SECOND]
        if quoted and ts >= self.due:
            self.readings.append((ts, depth, spread))
            self.due = (ts // SECOND + 1) * SECOND
        found = (
            quoted
            and len(recent) >= 5
            and depth < 0.5 * (sum(r[1] for r in recent) / len(recent))
            and spread > 2.0 * (sum(r[2] for r in recent) / len(recent))
        )
        if found and not self.open:
            self.open, self.number = True, self.number + 1
            yield "open", self.number, depth, "", "", 0
        elif self.open and not found:
            self.open = False
            yield "close", self.number, depth, "", "over" if quoted else "lost", 0
