"""A small exchange that speaks Binance USD-M: difference stream, snapshots, quotes, trades."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

MS = 1_723_161_256_000
NS = MS * 1_000_000


def depth(first: int, final: int, previous: int, bids: Any = (), asks: Any = (), **more: Any) -> bytes:
    """A depthUpdate of BTCUSDT as the venue writes it."""
    return json.dumps(
        {"e": "depthUpdate", "E": MS + 5, "T": MS, "s": "BTCUSDT", "U": first, "u": final, "pu": previous,
         "b": bids, "a": asks} | more,
        separators=(",", ":"),
    ).encode()  # fmt: skip


def snapshot(last: int, bids: Any = (), asks: Any = (), **more: Any) -> bytes:
    """A REST depth reply."""
    body = {"lastUpdateId": last, "E": MS, "T": MS, "bids": bids, "asks": asks} | more
    return json.dumps(body, separators=(",", ":")).encode()


def message(kind: str, **fields: Any) -> bytes:
    """Any other message of BTCUSDT."""
    body = {"e": kind, "E": MS + 5, "s": "BTCUSDT", "T": MS} | fields
    return json.dumps({k: v for k, v in body.items() if v is not None}, separators=(",", ":")).encode()


@dataclass
class Exchange:
    """True book of one symbol, and what was sent about it."""

    seed: int
    symbol: str = "BTCUSDT"
    bids: dict[int, int] = field(default_factory=dict)  # price in ticks of 0.1 -> lots of 0.001
    asks: dict[int, int] = field(default_factory=dict)
    u: int = 1_000
    ms: int = MS

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for k in range(20):
            self.bids[600_000 - k] = self.random.randint(1, 5_000)
            self.asks[600_001 + k] = self.random.randint(1, 5_000)

    def update(self) -> tuple[dict[str, Any], tuple[dict[int, int], dict[int, int]]]:
        """Change the book; the message about it and the book afterwards (1e-9, lots)."""
        changed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, book, sign in ((0, self.bids, -1), (1, self.asks, 1)):
            for _ in range(self.random.randint(0, 4)):
                best = 600_000 if side == 0 else 600_001
                price = best + sign * self.random.randint(0, 40)
                size = self.random.choice((0, 0, 1, 7, self.random.randint(1, 90_000)))
                changed[side][price] = size
                if size:
                    book[price] = size
                else:
                    book.pop(price, None)
        first = self.u + self.random.randint(1, 9)
        final = first + self.random.randint(0, 50)
        self.ms += self.random.randint(1, 100)
        body = {
            "e": "depthUpdate", "E": self.ms + 3, "T": self.ms, "s": self.symbol, "U": first, "u": final,
            "pu": self.u, "b": self._levels(changed[0]), "a": self._levels(changed[1]),
        }  # fmt: skip
        self.u = final
        return body, self.truth()

    def truth(self) -> tuple[dict[int, int], dict[int, int]]:
        """The book as it is, price 1e-9 -> lots."""
        return (
            {p * 10**8: q for p, q in self.bids.items()},
            {p * 10**8: q for p, q in self.asks.items()},
        )

    def snapshot(self) -> dict[str, Any]:
        """A REST reply about the book as it is."""
        return {
            "lastUpdateId": self.u, "E": self.ms, "T": self.ms,
            "bids": self._levels(dict(sorted(self.bids.items(), reverse=True))),
            "asks": self._levels(dict(sorted(self.asks.items()))),
        }  # fmt: skip

    @staticmethod
    def _levels(book: dict[int, int]) -> list[list[str]]:
        return [[f"{p // 10}.{p % 10}0", f"{q // 1000}.{q % 1000:03}"] for p, q in book.items()]


def dump(body: Any) -> bytes:
    """Compact JSON, as the venue writes it."""
    return json.dumps(body, separators=(",", ":")).encode()
