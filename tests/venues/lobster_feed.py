"""A small order book that writes itself down as LOBSTER does."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

EMPTY = 9_999_999_999
Levels = list[tuple[int, int]]


@dataclass
class Market:
    """Orders of one day; only what touches the best `depth` levels is written."""

    seed: int
    depth: int
    width: int = 12  # prices a side
    start_orders: int = 30
    orders: dict[int, list[int]] = field(default_factory=dict)  # id -> [side, price, size]
    messages: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    books: list[tuple[Levels, Levels]] = field(default_factory=list)  # bids, asks after each message

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.next_id = 1
        for _ in range(self.start_orders):
            self.submit()

    def levels(self) -> tuple[Levels, Levels]:
        """Best levels of bids and asks."""
        sums: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, price, size in self.orders.values():
            book = sums[0 if side == 1 else 1]
            book[price] = book.get(price, 0) + size
        return (
            sorted(sums[0].items(), reverse=True)[: self.depth],
            sorted(sums[1].items())[: self.depth],
        )

    def submit(self) -> tuple[int, int, int, int, int]:
        side = self.random.choice((1, -1))
        offset = 100 * self.random.randint(1, self.width)
        price = 2_230_000 - side * offset
        size = self.random.choice((1, 18, 100, 300))
        order = self.next_id
        self.next_id += 1
        self.orders[order] = [side, price, size]
        return 1, order, size, price, side

    def reduce(self) -> tuple[int, int, int, int, int]:
        order = self.random.choice(list(self.orders))
        side, price, size = self.orders[order]
        if size > 1 and self.random.random() < 0.4:
            gone = self.random.randint(1, size - 1)
            self.orders[order][2] -= gone
            return 2, order, gone, price, side
        del self.orders[order]
        return 3, order, size, price, side

    def execute(self) -> tuple[int, int, int, int, int]:
        side = self.random.choice([o[0] for o in self.orders.values()])
        best = (max if side == 1 else min)(p for s, p, _ in self.orders.values() if s == side)
        order = min(k for k, (s, p, _) in self.orders.items() if s == side and p == best)
        size = self.orders[order][2]
        done = self.random.randint(1, size)
        self.orders[order][2] -= done
        if done == size:
            del self.orders[order]
        return 4, order, done, best, side

    def run(self, n: int) -> Market:
        """Write `n` messages."""
        nanos = 34_200 * 10**9
        while len(self.messages) < n:
            before = self.levels()
            what = self.random.random()
            if what < 0.45 or len(self.orders) < 4:
                kind, order, size, price, side = self.submit()
            elif what < 0.8:
                kind, order, size, price, side = self.reduce()
            elif what < 0.97:
                kind, order, size, price, side = self.execute()
            else:
                kind, order, size, price, side = 5, 0, 7, 2_230_050, self.random.choice((1, -1))
            after = self.levels()
            if before == after and kind != 5:
                continue  # deeper than the file shows
            nanos += self.random.choice((0, 1, 999, 250_000_000))
            time = f"{nanos // 10**9}.{nanos % 10**9:09}"
            self.add(f"{time},{kind},{order},{size},{price},{side}", after)
        return self

    def add(self, message: str, book: tuple[Levels, Levels]) -> None:
        """Write one message and the book after it."""
        self.messages.append(message)
        self.books.append(book)
        cells = []
        for k in range(self.depth):
            for levels, none in ((book[1], EMPTY), (book[0], -EMPTY)):
                cells += levels[k] if k < len(levels) else (none, 0)
        self.rows.append(",".join(map(str, cells)))

    def write(self, folder: Path, symbol: str = "AMZN", date: str = "2012-06-21") -> Path:
        """Write the pair; the message file's path."""
        stem = f"{symbol}_{date}_34200000_57600000_{{}}_{self.depth}.csv"
        path = folder / stem.format("message")
        path.write_text("".join(line + "\n" for line in self.messages))
        (folder / stem.format("orderbook")).write_text("".join(line + "\n" for line in self.rows))
        return path
