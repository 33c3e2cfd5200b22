"""OrderBook: the read-only view users hold."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from depthscope.book.rows import read_side
from depthscope.errors import InputError
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import STATE_NAMES

if TYPE_CHECKING:
    from decimal import Decimal

    from depthscope.book.state import Books

__all__ = ["Level", "OrderBook", "Walk"]

FEW: Final = 1_000  # levels that are read one by one; for more, all are read at once


class Level(NamedTuple):
    """One price level: price, public size, number of orders (None where the feed has no count)."""

    price: float
    size: float
    orders: int | None


class Walk(NamedTuple):
    """Outcome of taking liquidity from a book.

    Attributes
    ----------
    filled : float
        Size filled by visible liquidity.
    unfilled : float
        Size left when the known book ended.
    price : float or None
        Size-weighted average price.
    worst : float or None
        Price of the last level touched.
    levels : int
        Levels touched.
    """

    filled: float
    unfilled: float
    price: float | None
    worst: float | None
    levels: int


class OrderBook:
    """An instrument's book at one moment.

    It reads the engine's memory: use it before the engine is given more events.

    Examples
    --------
    >>> book.best_bid, book.best_ask          # doctest: +SKIP
    (4829.75, 4830.0)
    >>> book.bids(2)                          # doctest: +SKIP
    [Level(price=4829.75, size=12.0, orders=7), Level(price=4829.5, size=30.0, orders=19)]
    """

    def __init__(self, books: Books, slot: int, instrument: Instrument) -> None:
        self._books, self._slot = books, slot
        self.instrument = instrument

    # ---- status -------------------------------------------------------------------------

    @property
    def symbol(self) -> str:
        """Symbol of the instrument."""
        return self.instrument.symbol

    @property
    def ts(self) -> int:
        """Receive time of the last group applied, UTC ns."""
        return int(self._books.books[self._slot]["ts"])

    @property
    def state(self) -> str:
        """``LIVE``, ``SYNCING`` or ``STALE``."""
        return STATE_NAMES[int(self._books.books[self._slot]["state"])]

    @property
    def incomplete(self) -> bool:
        """Whether orders or levels are known to be missing."""
        limited = bool(self.instrument.capabilities & Capability.DEPTH_LIMITED)
        return limited or bool(self._books.books[self._slot]["incomplete"])

    @property
    def order_count(self) -> int | None:
        """Number of live orders, None on feeds without order ids."""
        if not self.instrument.capabilities & Capability.MBO:
            return None
        return int(self._books.books[self._slot]["live"])

    # ---- prices -------------------------------------------------------------------------

    def _best(self, side: int) -> tuple[int, int] | None:
        book = self._books.books[self._slot]
        if not book["top_n"][side]:
            return None
        return int(book["top_price"][side, 0]), int(book["top_size"][side, 0])

    def _public(self, lots: int) -> float:
        mul, div = self.instrument.size_ratio
        return lots * mul / div

    @property
    def best_bid(self) -> float | None:
        """Highest bid, None when there is none."""
        best = self._best(0)
        return None if best is None else best[0] / 1e9

    @property
    def best_ask(self) -> float | None:
        """Lowest ask, None when there is none."""
        best = self._best(1)
        return None if best is None else best[0] / 1e9

    @property
    def bid_size(self) -> float | None:
        """Size at the best bid."""
        best = self._best(0)
        return None if best is None else self._public(best[1])

    @property
    def ask_size(self) -> float | None:
        """Size at the best ask."""
        best = self._best(1)
        return None if best is None else self._public(best[1])

    @property
    def mid(self) -> float | None:
        """Mean of the best prices, None when a side is empty."""
        bid, ask = self._best(0), self._best(1)
        return None if bid is None or ask is None else (bid[0] + ask[0]) / 2e9

    @property
    def spread(self) -> float | None:
        """Best ask less best bid, None when a side is empty."""
        bid, ask = self._best(0), self._best(1)
        return None if bid is None or ask is None else (ask[0] - bid[0]) / 1e9

    # ---- levels -------------------------------------------------------------------------

    def raw(
        self, side: Literal["bid", "ask"], n: int | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Exact levels of a side, best first.

        Parameters
        ----------
        side : {"bid", "ask"}
        n : int, optional
            At most this many; all when omitted.

        Returns
        -------
        prices, sizes, orders : int64 arrays
            1e-9 prices, lots, order counts (0 = unknown).
        """
        number = 0 if side == "bid" else 1
        if n is None or not 0 <= n <= FEW:
            price, size, orders = self._books.all_levels(self._slot, number)
            return price[:n], size[:n], orders[:n]
        best, lots, counts = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int32)
        found = read_side(self._books.context.ctypes.data, self._slot, number, best, lots, counts)
        return best[:found], lots[:found], counts[:found].astype(np.int64)

    def _levels(self, side: Literal["bid", "ask"], n: int | None) -> list[Level]:
        counted = self.instrument.capabilities & Capability.MBO
        return [
            Level(p / 1e9, self._public(q), c if counted or c else None)
            for p, q, c in zip(*(line.tolist() for line in self.raw(side, n)), strict=True)
        ]

    def bids(self, n: int | None = None) -> list[Level]:
        """Bid levels, best first; at most `n` of them."""
        return self._levels("bid", n)

    def asks(self, n: int | None = None) -> list[Level]:
        """Ask levels, best first; at most `n` of them."""
        return self._levels("ask", n)

    def depth(self, bps: float) -> tuple[float, float]:
        """Size within `bps` of mid, bid and ask (0.0, 0.0 when a side is empty)."""
        bid, ask = self._best(0), self._best(1)
        if bid is None or ask is None:
            return 0.0, 0.0
        middle = 0.5 * (bid[0] + ask[0])
        reach = bps * (1e-4 if middle >= 0.0 else -1e-4)  # of a distance, not of a sign
        price, size, _ = self.raw("bid")
        below = int(size[price >= middle * (1.0 - reach)].sum())
        price, size, _ = self.raw("ask")
        above = int(size[price <= middle * (1.0 + reach)].sum())
        return self._public(below), self._public(above)

    def walk(self, side: Literal["buy", "sell"], size: float) -> Walk:
        """Take `size` from the opposite side, level by level, without changing the book.

        Parameters
        ----------
        side : {"buy", "sell"}
            A buy takes asks.
        size : float
            Public size, positive.

        Raises
        ------
        InputError
            When the side or size makes no sense.
        """
        if side not in ("buy", "sell") or not size > 0:
            raise InputError(f"walk takes 'buy' or 'sell' and a positive size, not {side!r} and {size!r}.")
        left, paid, touched, worst = float(size), 0.0, 0, None
        for level in self.asks() if side == "buy" else self.bids():
            if left <= 0:
                break
            take = min(left, level.size)
            paid += take * level.price
            left -= take
            touched += 1
            worst = level.price
        filled = size - left
        return Walk(filled, left, paid / filled if filled else None, worst, touched)

    def ladder(self, first_tick: int, n: int) -> npt.NDArray[np.float32]:
        """Public size resting on each of `n` ticks from tick number `first_tick` up, both sides added.

        Off-tick levels are left out (`raw` has them).

        Parameters
        ----------
        first_tick : int
            Price of the first, divided by the tick.
        n : int
            Ticks.

        Returns
        -------
        float32 array (n,)
        """
        out = np.zeros(n, np.int64)
        step = self.instrument.tick
        books, book = self._books, self._books.books[self._slot]
        base, width, cell = int(book["base"]), int(book["width"]), int(book["cell"])
        low, high = max(first_tick, base), min(first_tick + n, base + width)
        if high > low:
            rows = books.ladder.arrays["size"][cell + low - base : cell + high - base]
            out[low - first_tick : high - first_tick] = rows.sum(axis=1)
        for side, sign in ((0, 1), (1, -1)):
            first, count = int(book["far"][side]), int(book["far_n"][side])
            if not count:
                continue
            price = sign * books.far.arrays["key"][first : first + count]
            tick = price // step
            inside = (tick * step == price) & (tick >= first_tick) & (tick < first_tick + n)
            out[tick[inside] - first_tick] += books.far.arrays["size"][first : first + count][inside]
        mul, div = self.instrument.size_ratio
        return (out * (mul / div)).astype(np.float32)

    # ---- showing ------------------------------------------------------------------------

    def _rows(self, n: int) -> list[tuple[str, str, str, str]]:
        """(orders, size, price, side) lines, asks above bids."""
        rows = []
        for name, side in (("ask", 1), ("bid", 0)):
            price, size, count = self.raw("bid" if side == 0 else "ask", n)
            lines = [
                (str(c) if c else "", f"{self.instrument.size(q)}", f"{self.instrument.price(p)}", name)
                for p, q, c in zip(price.tolist(), size.tolist(), count.tolist(), strict=True)
            ]
            rows += lines[::-1] if side else lines
        return rows

    def __repr__(self) -> str:
        head = f"{self.symbol}  {self.state}{'  incomplete' if self.incomplete else ''}"
        lines = [head, f"{'orders':>8} {'bid':>12} {'price':>14} {'ask':>12} {'orders':>8}"]
        for orders, size, price, side in self._rows(10):
            if side == "ask":
                lines.append(f"{'':>8} {'':>12} {price:>14} {size:>12} {orders:>8}")
            else:
                lines.append(f"{orders:>8} {size:>12} {price:>14}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Ladder for notebooks."""
        cells = "".join(
            f"<tr><td>{o if s == 'bid' else ''}</td><td>{q if s == 'bid' else ''}</td><td><b>{p}</b></td>"
            f"<td>{q if s == 'ask' else ''}</td><td>{o if s == 'ask' else ''}</td></tr>"
            for o, q, p, s in self._rows(10)
        )
        head = f"{self.symbol} · {self.state}{' · incomplete' if self.incomplete else ''}"
        return (
            f"<table><caption>{escape(head)}</caption>"
            f"<tr><th>orders</th><th>bid</th><th>price</th><th>ask</th><th>orders</th></tr>{cells}</table>"
        )

    def to_json(self, levels: int | None = 20) -> dict[str, object]:
        """Machine form: prices as decimal strings, sizes in public units, orders null on L2.

        Parameters
        ----------
        levels : int, optional
            Levels a side.
        """
        counted = bool(self.instrument.capabilities & Capability.MBO)

        def side(name: Literal["bid", "ask"]) -> list[list[object]]:
            return [
                [str(self.instrument.price(p)), _number(self.instrument.size(q)), c if counted else None]
                for p, q, c in zip(*(line.tolist() for line in self.raw(name, levels)), strict=True)
            ]

        return {
            "symbol": self.symbol,
            "ts": self.ts,
            "state": self.state,
            "incomplete": self.incomplete,
            "bids": side("bid"),
            "asks": side("ask"),
        }


def _number(value: Decimal) -> int | float:
    """JSON number of an exact size."""
    return int(value) if value == value.to_integral_value() else float(value)
