"""Features straight from their definitions, in exact arithmetic up to the last step.

Everything comes from the slow engine's rows and its desks' histories. Sizes are public sizes
(lots x lot), prices are in units. NaN stands for undefined.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, nan

from depthscope.market import events as ev
from depthscope.market.layouts import DEPTH_BPS, OFI_LEVELS
from depthscope.market.phases import Phase
from tests.reference.book import Level
from tests.reference.engine import Desk, Past, Row, Trade
from tests.reference.footprint import SlowBar
from tests.reference.micro import SlowMicro
from tests.reference.pace import SlowPace
from tests.reference.profile import SlowProfile
from tests.reference.quality import SlowQuality
from tests.reference.rvol import SlowRvol
from tests.reference.sessions import Key as SessionKey
from tests.reference.sessions import phase_of, totals_of
from tests.reference.tape import SlowTape

Pair = tuple[Fraction, Fraction]  # price (units), public size
Values = dict[str, float]
SECOND = 10**9
ZERO = Fraction(0)
DECAY = Fraction(8, 10)
LABELS = {"BEARISH": 0.0, "NEUTRAL": 1.0, "BULLISH": 2.0}


def price(fixed: int) -> Fraction:
    """Price in units of a 1e-9 integer."""
    return Fraction(fixed, ev.PRICE_SCALE)


def ratio(top: Fraction, bottom: Fraction) -> float:
    """top / bottom, NaN where undefined."""
    return float(top / bottom) if bottom else nan


def imbalance(bid: Fraction, ask: Fraction) -> float:
    """(bid - ask) / (bid + ask)."""
    return ratio(bid - ask, bid + ask)


def total(levels: Sequence[Pair], n: int) -> Fraction:
    """Size over the best `n` levels."""
    return sum((size for _, size in levels[:n]), ZERO)


def slope(levels: Sequence[Pair], middle: Fraction, tick: Fraction) -> float:
    """Least-squares slope of the distance to mid (ticks) on cumulative size; NaN below two levels."""
    x, y, running = [], [], ZERO
    for level, size in levels:
        running += size
        x.append(running)
        y.append(abs(level - middle) / tick)
    n = len(x)
    if n < 2:
        return nan
    # Whole numbers, everything times n.
    (xs, of_x), (ys, of_y) = whole(x), whole(y)
    sum_x, sum_y = sum(xs), sum(ys)
    covariance = sum((n * a - sum_x) * (n * b - sum_y) for a, b in zip(xs, ys, strict=True))
    return ratio(Fraction(covariance * of_x, of_y), Fraction(sum((n * a - sum_x) ** 2 for a in xs)))


def whole(values: Sequence[Fraction]) -> tuple[list[int], int]:
    """Values times their common denominator, and that."""
    common = lcm(*(value.denominator for value in values))
    return [value.numerator * (common // value.denominator) for value in values], common


def label(bid: Fraction, ask: Fraction) -> str:
    """Classic word for the ratio of the best five levels."""
    if bid >= Fraction(3, 2) * ask:
        return "BULLISH"
    return "BEARISH" if bid <= Fraction(3, 5) * ask else "NEUTRAL"


@dataclass
class Totals:
    """What a session's trades add up to."""

    delta: int = 0
    volume: int = 0
    value: int = 0  # price times size
    extremes: tuple[int, int] | None = None

    def add(self, trade: Trade) -> None:
        """Take a trade."""
        if trade.counts_volume:
            self.delta += trade.sign * trade.size
            self.volume += trade.size
            self.value += trade.price * trade.size
        if not trade.cond & ev.COND_NOT_HIGH_LOW:
            low, high = self.extremes or (trade.price, trade.price)
            self.extremes = min(low, trade.price), max(high, trade.price)


class SlowFeatures:
    """Features of one desk, row after row; of `wanted` names alone, and those worked out along with them."""

    def __init__(
        self,
        desk: Desk,
        *,
        by_event: bool,
        threshold: Fraction = ZERO,
        settings: Mapping[str, float | str] | None = None,
        wanted: Collection[str] | None = None,
    ) -> None:
        self.desk, self.by_event, self.threshold = desk, by_event, threshold
        self.lot = Fraction(desk.instrument.lot, ev.PRICE_SCALE)
        self.tick = price(desk.instrument.tick)
        self.tape = SlowTape(desk, by_event=by_event, settings=settings)
        self.micro = SlowMicro(desk, by_event=by_event, settings=settings)
        self.profile = SlowProfile(desk, by_event=by_event)
        self.bar = SlowBar(desk, by_event=by_event)
        self.rvol = SlowRvol(desk, by_event=by_event)
        self.pace = SlowPace(desk, by_event=by_event)
        self.quality = SlowQuality(desk, by_event=by_event)
        self.totals: list[tuple[int, Fraction]] = []  # (row time, bid less ask over ten levels)
        self.sessions: dict[SessionKey, Totals] = defaultdict(Totals)
        self.read = 0  # pasts whose trades are in there
        self.wanted = None if wanted is None else frozenset(wanted)
        self.parts: list[Callable[[Row], Values]] = [
            self.of_levels, self.order_flow, self.trades, self.session, self.profile, self.bar,
            self.rvol, self.pace, self.quality, self.tape, self.micro,
        ]  # fmt: skip

    def public(self, levels: Sequence[Level]) -> list[Pair]:
        """Levels in the instrument's own units."""
        return [(price(fixed), size * self.lot) for fixed, size, _ in levels]

    def size(self, lots: int) -> float:
        """Public size."""
        return float(lots * self.lot)

    def __call__(self, row: Row) -> Values:
        """Every feature at a row."""
        out, used = {}, []
        for part in self.parts:
            told = part(row)
            if self.wanted is None or not self.wanted.isdisjoint(told):
                out |= told
                used.append(part)
        self.parts = used
        return out

    def of_levels(self, row: Row) -> Values:
        """What the best levels say."""
        bids, asks = self.public(row.bids), self.public(row.asks)
        return self.quotes(bids, asks) | self.both_sides(row, bids, asks) | self.depth(row, bids, asks)

    def quotes(self, bids: list[Pair], asks: list[Pair]) -> Values:
        out = {}
        for name, levels in (("bid", bids), ("ask", asks)):
            out[f"best_{name}"] = float(levels[0][0]) if levels else nan
            out[f"{name}_size"] = float(levels[0][1]) if levels else nan
        return out

    def both_sides(self, row: Row, bids: list[Pair], asks: list[Pair]) -> Values:
        """What needs a bid and an ask."""
        names = (
            "mid", "weighted_mid", "spread", "spread_bps", "spread_ticks", "queue_imbalance",
            "depth_imbalance", "depth_imbalance_10", "weighted_imbalance", "book_pressure",
            "imbalance_ratio", "imbalance_label",
            "depth_weighted_price", "slope_bid", "slope_ask", "depth_delta",
        )  # fmt: skip
        if not bids or not asks:
            return dict.fromkeys(names, nan)
        (bid, q_bid), (ask, q_ask) = bids[0], asks[0]
        middle, spread = (bid + ask) / 2, ask - bid
        five = total(bids, 5), total(asks, 5)
        weighed = [
            sum((DECAY**k * size for k, (_, size) in enumerate(side) if size >= self.threshold), ZERO)
            for side in (bids, asks)
        ]
        weighted = imbalance(*weighed)
        everything = [*bids, *asks]
        net = total(bids, 10) - total(asks, 10)
        self.totals.append((row.ts, net))
        old = [value for ts, value in self.totals if ts <= row.ts - SECOND]
        return {
            "mid": float(middle),
            "weighted_mid": ratio(bid * q_ask + ask * q_bid, q_bid + q_ask),
            "spread": float(spread),
            "spread_bps": float(10_000 * spread / middle) if middle > 0 else nan,
            "spread_ticks": float(spread / self.tick),
            "queue_imbalance": imbalance(q_bid, q_ask),
            "depth_imbalance": imbalance(*five),
            "depth_imbalance_10": imbalance(total(bids, 10), total(asks, 10)),
            "weighted_imbalance": weighted,
            "book_pressure": (weighted + 1) / 2,
            "imbalance_ratio": ratio(*five),
            "imbalance_label": LABELS[label(*five)],
            "depth_weighted_price": ratio(sum((p * q for p, q in everything), ZERO), total(everything, 40)),
            "slope_bid": slope(bids, middle, self.tick),
            "slope_ask": slope(asks, middle, self.tick),
            "depth_delta": float(net - (old[-1] if old else self.totals[0][1])),
        }

    def depth(self, row: Row, bids: list[Pair], asks: list[Pair]) -> Values:
        out = {}
        for name, levels, bands in (("bid", bids, row.bid_depth), ("ask", asks, row.ask_depth)):
            for n in (5, 10, 20):
                out[f"{name}_depth_{n}"] = float(total(levels, n)) if levels else nan
            for bps, lots in zip(DEPTH_BPS, bands, strict=True):
                out[f"{name}_depth_{bps}bps"] = self.size(lots) if bids and asks else nan
        return out

    def order_flow(self, row: Row) -> Values:
        bids, asks = row.bids, row.asks
        out = {f"ofi_l{k + 1}": self.size(row.flow.ofi[k]) for k in range(OFI_LEVELS)}
        out["ofi"] = out["ofi_l1"]
        out["ofi_norm"] = (
            2 * ratio(Fraction(row.flow.ofi[0]), Fraction(bids[0][1] + asks[0][1])) if bids and asks else nan
        )
        for seconds in (1, 10):
            out[f"ofi_{seconds}s"] = self.size(sum(past.ofi for past in self.window(row, seconds)))
        return out

    def window(self, row: Row, seconds: int) -> Iterable[Past]:
        """Groups of [t - w, t) at a boundary, of (t - w, t] at a row by event."""
        edge = row.ts - seconds * SECOND + (1 if self.by_event else 0)
        return self.desk.window(edge, row.seen)

    def trades(self, row: Row) -> Values:
        """Since the previous row."""
        flow = row.flow
        return {
            "buy_trades": float(flow.count(1)),
            "sell_trades": float(flow.count(-1)),
            "trades": float(sum(flow.count(sign) for sign in (1, 0, -1))),
            "buy_volume": self.size(flow.volume(1)),
            "sell_volume": self.size(flow.volume(-1)),
            "volume": self.size(sum(flow.volume(sign) for sign in (1, 0, -1))),
            "delta": self.size(flow.volume(1) - flow.volume(-1)),
            "aggressor_inferred": ratio(
                Fraction(flow.inferred_volume), Fraction(flow.volume(1) + flow.volume(-1))
            ),
        }

    def session(self, row: Row) -> Values:
        """Since the session began to which the row's last moment belongs."""
        calendar, now = self.desk.instrument.calendar, row.ts if self.by_event else row.ts - 1
        session = totals_of(calendar, now)
        for past in self.desk.history[self.read : row.seen]:
            for trade in past.trades:
                self.sessions[totals_of(calendar, trade.ts)].add(trade)
        self.read = row.seen
        totals = self.sessions[session]
        extremes = totals.extremes
        return {
            "session_phase": float(Phase[phase_of(calendar, now)]),
            "cvd": self.size(totals.delta),
            "vwap": ratio(Fraction(totals.value, ev.PRICE_SCALE), Fraction(totals.volume)),
            "hod": float(price(extremes[1])) if extremes else nan,
            "lod": float(price(extremes[0])) if extremes else nan,
            "last": float(price(row.last[0])) if row.last[0] != ev.UNDEF_PRICE else nan,
        }
