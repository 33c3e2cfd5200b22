"""Features of trades and of mids by the second, straight from their definitions.

Everything is computed from a desk's whole history, in exact arithmetic up to the last step. Only what
has an order of its own (prints, buckets) is read once, trade after trade.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from math import inf, log, nan, sqrt

from depthscope.market import events as ev
from depthscope.market.layouts import LIVE
from tests.reference.engine import Desk, Past, Row, Trade

Values = dict[str, float]
SECOND = 10**9
HALF_HOUR = 1_800 * SECOND
DEFAULTS = {
    "tape_normal": 10, "tape_fast": 30, "tape_extreme": 60, "tape_sentiment_ratio": 2,
    "tape_sentiment_trades": 5,
    "large_print_mode": "quantile", "large_print_quantile": 0.99, "large_print_notional": 50_000,
    "large_print_least": 100, "cvd_trend_t": 40, "vpin_bucket_volume": nan,
}  # fmt: skip


def share(part: int, rest: int) -> float:
    """part ÷ (part + rest), NaN without either."""
    return part / (part + rest) if part + rest else nan


class SlowTape:
    """Features of one desk, row after row."""

    def __init__(
        self, desk: Desk, *, by_event: bool, settings: Mapping[str, float | str] | None = None
    ) -> None:
        self.desk, self.by_event = desk, by_event
        self.settings = DEFAULTS | dict(settings or {})
        self.lot = Fraction(desk.instrument.lot, ev.PRICE_SCALE)
        self.read = 0  # pasts whose trades have been read
        self.prints = Prints(desk, self.settings)
        self.buckets = Buckets(self.lot, float(self.settings["vpin_bucket_volume"]))
        self.trades: list[Trade] = []  # that count for volume
        self.times: list[int] = []  # and when
        self.told: list[Trade] = []  # those whose aggressor is known
        self.cvd = self.summed = 0  # over the first of them
        self.points: list[int] = []  # by the second
        self.pasts: list[Past] = []  # since rows are being made
        self.past_times: list[int] = []
        self.looked = 0  # seconds whose mid has been looked at
        self.mids: list[int] = []  # from the first second with one on
        self.last: tuple[int, Values] = (-1, {})  # what holds for a whole second

    def __call__(self, row: Row) -> Values:
        """Every feature at a row."""
        for past in self.desk.history[self.read : row.seen]:
            if past.begun:
                self.pasts.append(past)
                self.past_times.append(past.ts)
            for trade in past.trades:
                if trade.counts_volume:
                    self.trades.append(trade)
                    self.times.append(trade.ts)
                    self.told += [trade] * (trade.sign != 0)
                    self.prints.add(trade)
                    self.buckets.add(trade)
        self.read = row.seen
        second = row.ts // SECOND
        if second != self.last[0]:
            self.last = second, self.trend(second) | self.volatility(second)
        return (
            self.tape(row)
            | self.prints.at(self.since(row, 0), row.ts, self.lot)
            | self.buckets.values()
            | self.last[1]
        )

    def since(self, row: Row, seconds: int) -> int:
        """First time inside a window: of [t - w, t) at a boundary, of (t - w, t] at a row by event."""
        return row.ts - seconds * SECOND + (1 if self.by_event else 0)

    def volumes(self, row: Row, seconds: int) -> tuple[int, int, int, int]:
        """Bought, sold, trades with and without a known aggressor over the last seconds."""
        inside = self.trades[bisect_left(self.times, self.since(row, seconds)) :]
        bought, sold = (sum(t.size for t in inside if t.sign == sign) for sign in (1, -1))
        told = sum(1 for t in inside if t.sign)
        return bought, sold, told, len(inside) - told

    def tape(self, row: Row) -> Values:
        out = {}
        for seconds in (1, 5, 60):
            bought, sold, told, untold = self.volumes(row, seconds)
            out[f"delta_{seconds}s"] = float((bought - sold) * self.lot)
            if seconds == 5:
                velocity = (told + untold) / 5
                words = ("tape_normal", "tape_fast", "tape_extreme")
                out["trades_5s"] = float(told)
                out["tape_velocity"] = velocity
                out["tape_velocity_label"] = float(sum(velocity >= float(self.settings[w]) for w in words))
        for seconds in (10, 60):
            bought, sold, told, _ = self.volumes(row, seconds)
            out[f"buy_pressure_{seconds}s"] = share(bought, sold)
            if seconds == 10:
                ratio = inf if not sold else bought / sold
                limit = float(self.settings["tape_sentiment_ratio"])
                out["tape_sentiment"] = 2.0 if ratio > limit else 0.0 if ratio < 1 / limit else 1.0
                if told < float(self.settings["tape_sentiment_trades"]) or not told:
                    out["tape_sentiment"] = nan
        return out

    def trend(self, second: int) -> Values:
        """Least squares through the points of the last 300 whole seconds."""
        told = self.told
        out = dict.fromkeys(("cvd_slope_5m", "cvd_r2_5m", "cvd_trend"), nan)
        if not told:
            return out
        first = told[0].ts // SECOND + 1
        while first + len(self.points) <= second:
            now = (first + len(self.points)) * SECOND
            while self.summed < len(told) and told[self.summed].ts < now:
                self.cvd += told[self.summed].sign * told[self.summed].size
                self.summed += 1
            self.points.append(self.cvd)
        points = self.points[-300:]
        n = len(points)
        if n < 60:
            return out
        # Everything times n: whole numbers.
        mean_x, mean_y = sum(range(n)), sum(points)
        sxy = sum((n * x - mean_x) * (n * y - mean_y) for x, y in enumerate(points))
        sxx = sum((n * x - mean_x) ** 2 for x in range(n))
        syy = sum((n * y - mean_y) ** 2 for y in points)
        out = {"cvd_slope_5m": float(Fraction(sxy, sxx) * self.lot), "cvd_r2_5m": 0.0, "cvd_trend": 1.0}
        if syy:
            r2 = Fraction(sxy * sxy, sxx * syy)
            out["cvd_r2_5m"] = float(r2)
            if r2 * (n - 2) >= Fraction(self.settings["cvd_trend_t"]) ** 2 * n / 300 * (1 - r2):
                out["cvd_trend"] = 1.0 + (sxy > 0) - (sxy < 0)
        return out

    def volatility(self, second: int) -> Values:
        """Root of the squared returns over the last whole seconds."""
        pasts, times = self.pasts, self.past_times
        first = times[0] // SECOND + 1
        while first + self.looked <= second:
            past = pasts[bisect_left(times, (first + self.looked) * SECOND) - 1]
            if past.state == LIVE and past.middle > 0:
                self.mids.append(past.middle)
            elif self.mids:
                self.mids.append(self.mids[-1])
            self.looked += 1
        out = {}
        for n in (60, 300):
            squares = [log(b / a) ** 2 for a, b in pairwise(self.mids[-n - 1 :]) if a != b]
            out[f"realised_volatility_{n}s"] = 1e4 * sqrt(sum(squares)) if len(self.mids) > n else nan
        return out


class Prints:
    """Fills put together, and which of the prints are large."""

    def __init__(self, desk: Desk, settings: Mapping[str, float | str]) -> None:
        self.settings = settings
        self.currency = Fraction(desk.instrument.lot, ev.PRICE_SCALE) * Fraction(desk.instrument.multiplier)
        self.open: list[Trade] = []
        self.closed: dict[int, list[int]] = defaultdict(list)  # sizes of each half hour's prints, ascending
        self.large: list[tuple[int, int, int]] = []  # time, size and sign
        self.enough = False  # past prints to judge by

    def add(self, trade: Trade) -> None:
        """Join the open print or start one."""
        if self.open:
            last = self.open[-1]
            same = (last.ts_event, last.side) == (trade.ts_event, trade.side)
            if not same or trade.ts - last.ts > SECOND // 10:
                self.close()
        self.open.append(trade)

    def weight(self, ts: int, least: int) -> Fraction:
        """Weight at `ts` of past prints of at least a size: a half for each half hour begun since."""
        now = ts // HALF_HOUR
        halves = ((now - half, sizes) for half, sizes in self.closed.items())
        return sum(
            (Fraction(len(sizes) - bisect_left(sizes, least), 2**age) for age, sizes in halves), Fraction(0)
        )

    def everything(self, ts: int) -> Fraction:
        """Weight at `ts` of all past prints."""
        return self.weight(ts, 0)

    def close(self) -> None:
        """Judge the open print."""
        size = sum(t.size for t in self.open)
        ts, sign = self.open[-1].ts, self.open[-1].sign
        notional = sum((Fraction(t.price, ev.PRICE_SCALE) * t.size for t in self.open), Fraction(0))
        large = abs(notional) * self.currency >= Fraction(str(self.settings["large_print_notional"]))
        if self.settings["large_print_mode"] == "quantile":
            step = 1
            while size // step >= 16:
                step *= 2
            everything = self.everything(ts)
            allowed = (1 - Fraction(str(self.settings["large_print_quantile"]))) * everything
            large = large and everything >= Fraction(self.settings["large_print_least"])
            large = large and self.weight(ts, size // step * step) <= allowed
        insort(self.closed[ts // HALF_HOUR], size)
        self.enough = self.everything(ts) >= Fraction(self.settings["large_print_least"])
        if large:
            self.large.append((ts, size, sign))
        self.open = []

    def at(self, now: int, ts: int, lot: Fraction) -> Values:
        """Values of a row at `ts`; windows that end there are counted from `now`."""
        if self.open and ts - self.open[-1].ts > SECOND // 10:
            self.close()
        names = ("large_prints_1m", "large_buy_volume_1m", "large_sell_volume_1m")
        inside = [print_ for print_ in self.large if print_[0] >= now - 60 * SECOND]
        values = [float(len(inside))]
        values += [float(sum(size for _, size, sign in inside if sign == s) * lot) for s in (1, -1)]
        if self.settings["large_print_mode"] == "quantile":
            values = values if self.enough else [nan] * 3
        _, size, sign = self.large[-1] if self.large else (0, 0, 0)
        return dict(zip(names, values, strict=True)) | {
            "large_print_size": float(size * lot) if size else nan,
            "large_print_side": {1: 1.0, -1: 0.0}.get(sign, nan),
        }


class Buckets:
    """Volume in equal buckets, one lot of a trade after another."""

    def __init__(self, lot: Fraction, wanted: float) -> None:
        self.lot = lot
        self.fixed = None if wanted != wanted else max(1, -int(-Fraction(wanted) // lot))
        self.traded = 0
        self.first: int | None = None
        self.full: deque[tuple[int, int]] = deque(maxlen=50)  # |buy - sell|, volume
        self.signs: list[int] = []  # of the lots in the open bucket
        self.volume = 0  # of the open bucket, or of the last one

    def add(self, trade: Trade) -> None:
        """Pour a trade."""
        if not trade.sign:
            return
        if self.first is None:
            self.first = trade.ts
        seconds = (trade.ts - self.first) // SECOND
        for _ in range(trade.size):
            if not self.signs:
                if self.fixed is None and seconds < 60:
                    break
                self.volume = self.fixed or max(1, self.traded * 60 // seconds)
            self.signs.append(trade.sign)
            if len(self.signs) == self.volume:
                self.full.append((abs(sum(self.signs)), self.volume))
                self.signs = []
        self.traded += trade.size

    def values(self) -> Values:
        """Values at any row."""
        excess, volume = (sum(one[k] for one in self.full) for k in (0, 1))
        return {
            "vpin": excess / volume if len(self.full) >= 10 else nan,
            "vpin_bucket": float(self.volume * self.lot) if self.volume else nan,
        }
