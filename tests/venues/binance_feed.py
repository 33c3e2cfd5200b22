"""A small exchange that speaks Binance USD-M: difference stream, snapshots, quotes, trades."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

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


Truth = tuple[dict[int, int], dict[int, int]]  # bids and asks, price in 1e-9 -> lots of 0.001
BEST = 60_000 * 10**9, 60_000 * 10**9 + 10**8
TICK = 10**8


@dataclass
class Exchange:
    """True book of one symbol, and what was sent about it."""

    seed: int
    symbol: str = "BTCUSDT"
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    u: int = 1_000
    ms: int = MS

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for k in range(20):
            self.bids[BEST[0] - k * TICK] = self.random.randint(1, 5_000)
            self.asks[BEST[1] + k * TICK] = self.random.randint(1, 5_000)

    def update(self) -> tuple[dict[str, Any], Truth]:
        """Change the book; the message about it and the book afterwards."""
        draw = self.random.random  # a fraction of what randint takes
        changed: Truth = ({}, {})
        for now, book, best, step in zip(changed, (self.bids, self.asks), BEST, (-TICK, TICK), strict=True):
            for _ in range(int(draw() * 5)):
                price = best + int(draw() * 41) * step
                size = now[price] = (0, 0, 1, 7, 1 + int(draw() * 90_000))[int(draw() * 5)]
                if size:
                    book[price] = size
                else:
                    book.pop(price, None)
        first = self.u + 1 + int(draw() * 9)
        final = first + int(draw() * 51)
        self.ms += 1 + int(draw() * 100)
        body = {
            "e": "depthUpdate", "E": self.ms + 3, "T": self.ms, "s": self.symbol, "U": first, "u": final,
            "pu": self.u, "b": levels(changed[0]), "a": levels(changed[1]),
        }  # fmt: skip
        self.u = final
        return body, self.truth()

    def truth(self) -> Truth:
        """The book as it is."""
        return self.bids.copy(), self.asks.copy()

    def snapshot(self) -> dict[str, Any]:
        """A REST reply about the book as it is."""
        return reply(self.u, self.ms, (self.bids, self.asks))


def reply(last: int, ms: int, truth: Truth) -> dict[str, Any]:
    """A REST reply about a book as it was at the update `last`."""
    return {
        "lastUpdateId": last, "E": ms, "T": ms,
        "bids": levels(dict(sorted(truth[0].items(), reverse=True))),
        "asks": levels(dict(sorted(truth[1].items()))),
    }  # fmt: skip


@cache
def price_text(price: int) -> str:
    """A price as the venue writes it."""
    return f"{price // 10**9}.{price % 10**9 // 10**7:02}"


def levels(book: dict[int, int]) -> list[tuple[str, str]]:
    """Prices and sizes as the venue writes them."""
    return [(price_text(p), f"{q / 1000:.3f}") for p, q in book.items()]


def dump(body: Any) -> bytes:
    """Compact JSON, as the venue writes it."""
    return msgspec.json.encode(body)
