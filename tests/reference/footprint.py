"""Footprints straight from their definition: one bar, one price after another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction
from math import nan
from typing import Any

from depthscope.market import events as ev
from tests.reference.engine import Desk, Row, Trade
from tests.reference.profile import point_of_control, profile_of

Values = dict[str, float]
SECOND = 10**9


class Bar:
    """Trades of one instrument in one bar."""

    def __init__(self, trades: Iterable[Trade], tick: int) -> None:
        self.trades = [trade for trade in trades if trade.counts_volume]
        self.tick = tick
        self.rows = profile_of(self.trades, tick)
        self.sides: Counter[tuple[int, int]] = Counter()
        for trade in self.trades:
            self.sides[trade.price // tick, trade.sign] += trade.size

    def bid(self, row: int) -> int:
        return self.sides[row, -1]

    def ask(self, row: int) -> int:
        return self.sides[row, 1]

    def buy_imbalance(self, row: int, times: Fraction, least: int) -> bool:
        """Whether buyers outweigh the sellers one tick below."""
        if row - 1 < min(self.rows) or not self.ask(row):
            return False
        return self.ask(row) >= max(times * self.bid(row - 1), least)

    def sell_imbalance(self, row: int, times: Fraction, least: int) -> bool:
        """Whether sellers outweigh the buyers one tick above."""
        if row + 1 > max(self.rows) or not self.bid(row):
            return False
        return self.bid(row) >= max(times * self.ask(row + 1), least)

    def table(self, lot: Fraction, times: Fraction, least: int, stacked: int) -> list[dict[str, Any]]:
        """Rows of the bar, prices ascending."""
        ticks = sorted(self.rows)
        flagged = {
            "buy": {row for row in ticks if self.buy_imbalance(row, times, least)},
            "sell": {row for row in ticks if self.sell_imbalance(row, times, least)},
        }

        def in_a_run(which: str, row: int) -> bool:
            return any(
                all(start + k in flagged[which] for k in range(stacked))
                for start in range(row - stacked + 1, row + 1)
            )

        def price(row: int) -> float:
            return row * self.tick / ev.PRICE_SCALE

        whole = {
            "bar_high": price(ticks[-1]),
            "bar_low": price(ticks[0]),
            "bar_volume": float(sum(self.rows.values()) * lot),
            "bar_delta": float(sum(trade.sign * trade.size for trade in self.trades) * lot),
            "bar_poc": price(point_of_control(self.rows, self.tick, None)),
            "unfinished_high": bool(self.bid(ticks[-1]) and self.ask(ticks[-1])),
            "unfinished_low": bool(self.bid(ticks[0]) and self.ask(ticks[0])),
        }
        return [
            {
                "price": price(row),
                "bid_volume": float(self.bid(row) * lot),
                "ask_volume": float(self.ask(row) * lot),
                "volume": float(self.rows[row] * lot),
                "delta": float((self.ask(row) - self.bid(row)) * lot),
                "buy_imbalance": row in flagged["buy"],
                "sell_imbalance": row in flagged["sell"],
                "buy_stacked": in_a_run("buy", row),
                "sell_stacked": in_a_run("sell", row),
            }
            | whole
            for row in ticks
        ]


def footprint_of(
    desks: Iterable[Desk], length: int, *, times: Fraction, least: int, stacked: int
) -> list[dict[str, Any]]:
    """The whole table, by bar, instrument in order of appearance, price."""
    bars: dict[tuple[int, int], list[Trade]] = defaultdict(list)
    known = list(desks)
    for desk in known:
        for past in desk.history:
            for trade in past.trades:
                bars[past.ts // length, desk.slot].append(trade)
    out = []
    for (bar, slot), trades in sorted(bars.items(), key=lambda item: item[0]):
        (desk,) = (desk for desk in known if desk.slot == slot)
        made = Bar(trades, desk.instrument.tick)
        if made.rows:
            lot = Fraction(desk.instrument.lot, ev.PRICE_SCALE)
            head = {"ts": bar * length, "symbol": desk.instrument.symbol}
            out += [head | row for row in made.table(lot, times, least, stacked)]
    return out


class SlowBar:
    """Features of one desk's current bar, row after row."""

    def __init__(self, desk: Desk, *, by_event: bool, seconds: int = 60) -> None:
        self.desk, self.by_event, self.length = desk, by_event, seconds * SECOND

    def __call__(self, row: Row) -> Values:
        """Delta, volume and point of control."""
        bar = (row.ts if self.by_event else row.ts - 1) // self.length
        pasts = self.desk.window(bar * self.length, row.seen)
        assert all(past.ts // self.length == bar for past in pasts)
        made = Bar([trade for past in pasts for trade in past.trades], self.desk.instrument.tick)
        out = dict.fromkeys(("bar_delta", "bar_volume"), 0.0) | {"bar_poc": nan}
        if made.rows:
            lot = Fraction(self.desk.instrument.lot, ev.PRICE_SCALE)
            found = made.table(lot, Fraction(3), 1, 3)[0]
            out = {name: found[name] for name in out}
        return out
