"""Accumulation and distribution straight from the definition, from whole lists of rows and messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from depthscope.market.layouts import LIVE

SECOND = 10**9
Message = tuple[int, str, int, str, str, int]  # ts, detector, number, phase, side, size
Said = tuple[int, str, int, str, int, int, str]  # ts, phase, number, side, detections, size, outcome


@dataclass
class SlowAccumulations:
    """Accumulation and distribution of one instrument, with everything that ever came."""

    fewest: int = 3
    window: int = 900
    messages: list[Message] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)  # twice the mid at the end of each second
    first: int = 0
    open: dict[str, tuple[int, tuple[str, int]]] = field(default_factory=dict)
    count: int = 0

    def returns(self) -> list[int]:
        """Changes of twice the mid over the whole seconds of the window."""
        now, found = max(self.ends), []
        before = self.first
        for second in range(min(self.ends), now):
            mid = self.ends.get(second, before)
            if second >= now - self.window:
                found.append(mid - before)
            before = mid
        return found

    def row(self, row: Any) -> list[Said]:
        """Take a SAMPLE row; what was said before it is in `messages`."""
        if not (row["n_bid"] and row["n_ask"] and row["state"] == LIVE):
            return []
        ts, twice = int(row["ts"]), int(row["bid_price"][0]) + int(row["ask_price"][0])
        self.first = self.first if self.ends else twice
        self.ends[(ts - 1) // SECOND] = twice
        returns = self.returns()
        moved, deviation = abs(sum(returns)), sqrt(sum(r * r for r in returns))
        said = []
        for side in "BA":
            mine = [
                (detector, number)
                for at, detector, number, phase, whose, _ in self.messages
                if "iceberg" in detector
                and phase == "open"
                and whose == side
                and at > ts - self.window * SECOND
            ]
            last = {(detector, number): size for _, detector, number, _, _, size in self.messages}
            size = sum(last[key] for key in mine)
            if side in self.open:
                number, newest = self.open[side]
                gone = moved > 0 and moved >= deviation / 0.7
                outcome = "over" if len(mine) < self.fewest else "moved" if gone else ""
                if outcome:
                    del self.open[side]
                    said.append((ts, "close", number, side, len(mine), size, outcome))
                elif mine[-1] != newest:
                    self.open[side] = number, mine[-1]
                    said.append((ts, "update", number, side, len(mine), size, ""))
            elif len(mine) >= self.fewest and len(returns) >= 60 and (moved == 0 or moved < deviation):
                self.count += 1
                self.open[side] = self.count, mine[-1]
                said.append((ts, "open", self.count, side, len(mine), size, ""))
        return said
