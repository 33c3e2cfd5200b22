"""Small quiet markets, order by order or by level, to inject into without any recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.source import Key, SourceInfo

TICK = 250_000_000
MIDDLE = 4_000 * 10**9
SECOND = 10**9
START = 1_700_000_000 * SECOND
LEVELS = 25
ORDERS = Instrument(
    "TEST", "ORD", TICK, capabilities=Capability.MBO | Capability.AGGRESSOR | Capability.TRADES
)
DEPTH = Instrument("TEST", "LEV", TICK, capabilities=Capability.L2 | Capability.AGGRESSOR | Capability.TRADES)
BLANK = (0, 0, 0, ev.UNDEF_PRICE, 0, 0, 1, 0, 1, 0, ev.NONE, ev.NO_SIDE, 0, 0)
FIELDS = ev.EVENT.names or ()


class Quiet:
    """A Source: nothing moves but a few orders a second, and a trade of one lot every two.

    Orders of 1 to 6 lots, three a level; each trade is followed by a new order that makes up for it.
    """

    def __init__(self, *, by_order: bool = True, seconds: int = 120, seed: int = 1) -> None:
        self.instrument = ORDERS if by_order else DEPTH
        self.info = SourceInfo("quiet", "test")
        self.by_order = by_order
        self._rng = np.random.default_rng(seed)
        self._rows: list[tuple[int, ...]] = []
        self._ids = 100
        # (side, price) -> orders in line
        self._book: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._now = START
        self._open()
        for second in range(1, seconds):
            self._second(second)
        self.events = np.array(self._rows, ev.EVENT)

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        return {(1, 1): self.instrument}

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        assert (publisher, instrument_id) == (1, 1)
        return self.instrument

    def chunks(self) -> Iterator[ev.Events]:
        yield self.events

    def _group(self, rows: list[dict[str, int]]) -> None:
        for k, row in enumerate(rows):
            values = dict(zip(FIELDS, BLANK, strict=True)) | row
            values |= {"ts_recv": self._now, "ts_event": self._now - 300_000, "sequence": len(self._rows)}
            values["flags"] = ev.LAST if k == len(rows) - 1 else 0
            self._rows.append(tuple(values[name] for name in FIELDS))

    def _level(self, side: int, price: int) -> dict[str, int]:
        size = sum(s for _, s in self._book[side, price])
        return {"action": ev.LEVEL, "side": side, "price": price, "size": size}

    def _add(self, side: int, price: int) -> None:
        self._ids += 1
        size = int(self._rng.integers(1, 7))
        self._book.setdefault((side, price), []).append((self._ids, size))
        row = {"action": ev.ADD, "side": side, "price": price, "size": size, "order_id": self._ids}
        self._group([row] if self.by_order else [self._level(side, price)])

    def _cancel(self, side: int, price: int) -> None:
        order, size = self._book[side, price].pop(int(self._rng.integers(0, 2)))
        row = {"action": ev.CANCEL, "side": side, "price": price, "size": size, "order_id": order}
        self._group([row] if self.by_order else [self._level(side, price)])

    def _trade(self, side: int) -> None:
        price = self._prices(side)[0]
        order, size = self._book[side, price][0]
        rest = self._book[side, price][1:]
        self._book[side, price] = [(order, size - 1), *rest] if size > 1 else rest
        buyer = ev.ASK if side == ev.BID else ev.BID
        trade = {"action": ev.TRADE, "side": buyer, "price": price, "size": 1}
        if not self.by_order:
            self._group([trade])
            self._now += 1_000_000
            self._group([self._level(side, price)])
            return
        resting = {"side": side, "price": price, "size": 1, "order_id": order}
        self._group([trade, {"action": ev.FILL, **resting}, {"action": ev.CANCEL, **resting}])

    def _prices(self, side: int) -> list[int]:
        way = 1 if side == ev.BID else -1
        first = MIDDLE - TICK if side == ev.BID else MIDDLE
        return [first - way * TICK * k for k in range(LEVELS)]

    def _open(self) -> None:
        for side in (ev.BID, ev.ASK):
            for price in self._prices(side):
                for _ in range(3):
                    self._now += 1_000
                    self._add(side, price)

    def _second(self, second: int) -> None:
        self._now = START + second * SECOND + int(self._rng.integers(0, 100_000_000))
        side = (ev.BID, ev.ASK)[int(self._rng.integers(0, 2))]
        price = self._prices(side)[int(self._rng.integers(0, LEVELS))]
        self._add(side, price)
        self._now += 20_000_000
        self._cancel(side, price)
        if second % 2 == 0:
            self._now += 20_000_000
            self._trade(side)
            self._now += 20_000_000
            if len(self._book[side, self._prices(side)[0]]) < 3:
                self._add(side, self._prices(side)[0])
