"""A recorded stream held in memory, and what can be asked of its past and its future.

Injection needs to know what comes next: an order put into a recorded stream may only rest where no
later record makes its presence impossible. Everything here is about the clean stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.api import Sources, opened
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.market.layouts import LIVE

if TYPE_CHECKING:
    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Source

SECOND: Final = 1_000_000_000
GRID: Final = SECOND // 10
VIEW: Final = 18  # levels: two fewer than detectors see, as injected levels push others out
READING: Final = 10  # levels the usual size looks at
USUAL_SECONDS: Final = 30
FEWEST_READINGS: Final = 5
SCAN: Final = 4_096  # records looked at at once

Ints = npt.NDArray[np.int64]


def sign(side: int) -> int:
    """1 for bids, -1 for asks: with it, a better price is a greater one on either side."""
    return 1 if side == ev.BID else -1


def other(side: int) -> int:
    """Return the opposite side."""
    return ev.ASK if side == ev.BID else ev.BID


@dataclass(frozen=True, slots=True)
class Recording:
    """One instrument's stream, with its groups, best prices and rows.

    Attributes
    ----------
    source : Source
        Where it came from.
    instrument : Instrument
    events : structured array of EVENT
        All complete groups.
    ends : array of int
        Index of the LAST record of each group.
    times, bid, ask : arrays of int
        Receive time of each group and best prices after it (UNDEF_PRICE: none).
    before : array of int
        Price of the order an event speaks of, before it; UNDEF_PRICE if unknown.
    rows : array of int
        Boundaries of a grid of 100 ms.
    edge : array of int (2, rows)
        By side (bid, ask), price of the 18th level; UNDEF_PRICE where there are fewer.
    readings : array of float (2, rows)
        By side, median of the best ten levels without the largest, at whole seconds; NaN elsewhere.
    trades, trade_times, trade_prices, trade_sides : arrays of int
        Indices of trades that count, their receive times, prices and aggressors.
    breaks : array of int
        Indices of clears, gaps and changes of status.
    volume : array of int (3, trades + 1)
        Running volume: bought, sold, all.
    order_sizes, trade_sizes : arrays of float
        Sizes of orders (of levels, where there are none) and of trades, in order of size.
    begin, half, end : int
        Receive times of the first trade, the middle, and the last group.
    """

    source: Source
    instrument: Instrument
    events: Events
    ends: Ints
    times: Ints
    bid: Ints
    ask: Ints
    before: Ints
    rows: Ints
    edge: Ints
    readings: npt.NDArray[np.float64]
    trades: Ints
    trade_times: Ints
    trade_prices: Ints
    trade_sides: Ints
    breaks: Ints
    volume: Ints
    order_sizes: npt.NDArray[np.float64]
    trade_sizes: npt.NDArray[np.float64]
    begin: int
    half: int
    end: int

    @property
    def by_order(self) -> bool:
        """Whether the feed tells of single orders."""
        return bool(self.instrument.capabilities & Capability.MBO)

    def index_after(self, ts: int) -> int:
        """Index of the first record of a group later than `ts`."""
        group = int(np.searchsorted(self.times, ts, "right"))
        return int(self.ends[group - 1]) + 1 if group else 0

    def time_of(self, index: int) -> int:
        """Receive time of the group of record `index`; of the end for none."""
        if index >= len(self.events):
            return self.end
        return int(self.times[np.searchsorted(self.ends, index)])

    def usual(self, side: int, ts: int) -> float:
        """Usual size of a side's levels: median of the readings of the last 30 seconds; 0 if too few."""
        first, stop = np.searchsorted(self.rows, (ts - USUAL_SECONDS * SECOND, ts), "right")
        found = self.readings[int(side == ev.ASK), first:stop]
        found = found[~np.isnan(found)]
        return float(np.median(found)) if len(found) >= FEWEST_READINGS else 0.0

    def bounds(self, side: int, start: int, stop: int) -> tuple[int, int] | None:
        """Between which prices an order can rest and be seen from `start` to `stop`.

        Returns
        -------
        tuple of int or None
            Worst price always in view, and a price it must be worse than: the worst best price of its
            side and the worst price traded into it. None when the book is not whole all along.
        """
        way = sign(side)
        g = max(int(np.searchsorted(self.times, start, "right")) - 1, 0)
        h = int(np.searchsorted(self.times, stop, "right"))
        best = (self.bid if side == ev.BID else self.ask)[g:h]
        if self._broken(int(self.ends[g]) + 1, int(self.ends[h - 1]) + 1) or (best == ev.UNDEF_PRICE).any():
            return None
        limit = int((way * best).min())
        first, after = np.searchsorted(self.trades, (self.ends[g] + 1, self.ends[h - 1] + 1))
        # Sellers trade with bids; a trade of no side may.
        hits = self.trade_prices[first:after][self.trade_sides[first:after] != side]
        if len(hits):
            limit = min(limit, int((way * hits).min()))
        a, b = np.searchsorted(self.rows, (start, stop + GRID))
        edge = self.edge[int(side == ev.ASK), max(a - 1, 0) : b]
        if not len(edge) or (edge == ev.UNDEF_PRICE).any():
            return None
        return way * int((way * edge).max()), way * limit

    def out_of_view(self, side: int, price: int, start: int, stop: int) -> int | None:
        """First row between `start` and `stop` in which `price` is well beyond the 18th level."""
        way = sign(side)
        a, b = np.searchsorted(self.rows, (start, stop))
        edge = self.edge[int(side == ev.ASK), a:b]
        spare = 3 * self.instrument.tick
        gone = np.flatnonzero((edge != ev.UNDEF_PRICE) & (way * edge - spare > way * price))
        return int(self.rows[a + gone[0]]) if len(gone) else None

    def _broken(self, first: int, stop: int) -> bool:
        """Whether a clear, gap or change of status lies between two records."""
        a, b = np.searchsorted(self.breaks, (first, stop))
        return bool(b > a)

    def next_touch(self, index: int, side: int, price: int) -> int:
        """Index of the first record from `index` on that concerns `side` at `price` or better.

        That is: an order or level there, one that leaves it, a trade into it, an order of the other
        side that would meet it, or anything that upsets the book.
        """
        way, level = sign(side), sign(side) * price
        for first in range(index, len(self.events), SCAN):
            part = self.events[first : first + SCAN]
            before = self.before[first : first + SCAN]
            action, sides = part["action"], part["side"]
            prices = way * part["price"]
            here = (sides != other(side)) & (prices >= level)
            here |= (sides != other(side)) & (before != ev.UNDEF_PRICE) & (way * before >= level)
            meets = (sides == other(side)) & (prices <= level)
            quiet = (action == ev.QUOTE) | (action == ev.NONE)
            touched = (here | meets) & ~quiet & (action != ev.TRADE)
            touched |= (action == ev.TRADE) & (sides != side)
            touched |= np.isin(action, (ev.CLEAR, ev.LOST, ev.STATUS))
            found = np.flatnonzero(touched)
            if len(found):
                return first + int(found[0])
        return len(self.events)

    def next_between(self, index: int, side: int, low: int, high: int) -> int:
        """Index of the first record from `index` on that concerns `side` at one of some prices.

        That is: an order or level there, one that leaves it, a trade that could reach it, an order of
        the other side that would meet it, or anything that upsets the book.
        """
        way = sign(side)
        near = max(way * low, way * high)
        for first in range(index, len(self.events), SCAN):
            part = self.events[first : first + SCAN]
            before = self.before[first : first + SCAN]
            action, sides, prices = part["action"], part["side"], part["price"]
            here = (sides != other(side)) & (prices >= low) & (prices <= high)
            here |= (sides != other(side)) & (before >= low) & (before <= high)
            meets = (sides == other(side)) & (way * prices <= near)
            silent = (action == ev.QUOTE) | (action == ev.NONE) | (action == ev.TRADE)
            touched = (here | meets) & ~silent
            touched |= (action == ev.TRADE) & (sides != side) & (way * prices <= near)
            touched |= np.isin(action, (ev.CLEAR, ev.LOST, ev.STATUS))
            found = np.flatnonzero(touched)
            if len(found):
                return first + int(found[0])
        return len(self.events)

    def stays(self, side: int, price: int, start: int, stop: int) -> bool:
        """Whether `price` is the best of `side` from `start` to `stop`, and nothing is traded beyond it."""
        g = max(int(np.searchsorted(self.times, start, "right")) - 1, 0)
        h = int(np.searchsorted(self.times, stop, "right"))
        if not ((self.bid if side == ev.BID else self.ask)[g:h] == price).all():
            return False
        bounds = self.bounds(side, start, stop)
        return bounds is not None and bounds[1] == price

    def next_trade(self, index: int, side: int) -> int:
        """Index of the first trade into `side` from `index` on."""
        first = int(np.searchsorted(self.trades, index))
        for k in range(first, len(self.trades), SCAN):
            into = np.flatnonzero(self.trade_sides[k : k + SCAN] != side)
            if len(into):
                return int(self.trades[k + into[0]])
        return len(self.events)

    def traded(self, start: int, stop: int) -> tuple[int, int, int]:
        """Volume bought, sold and in all by trades later than `start` and not later than `stop`."""
        a, b = np.searchsorted(self.trade_times, (start, stop), "right")
        bought, sold, both = (self.volume[:, b] - self.volume[:, a]).tolist()
        return bought, sold, both


def record(source: Sources) -> Recording:
    """Read a source of one instrument into memory.

    Raises
    ------
    InputError
        When it holds no or several instruments, or its book has no levels.
    """
    data = opened(source, {})
    chunks = [chunk.copy() for chunk in data.chunks()]
    events = np.concatenate(chunks) if chunks else ev.empty_events(0)
    keys = np.unique(events[["publisher", "instrument_id"]])
    if len(keys) != 1:
        raise InputError(f"Injection needs a stream of one instrument; {data.info.path} holds {len(keys)}.")
    lasts = np.flatnonzero(events["flags"] & ev.LAST)
    events = events[: lasts[-1] + 1] if len(lasts) else events[:0]
    instrument = data.resolve(int(keys[0]["publisher"]), int(keys[0]["instrument_id"]))
    if not len(events) or not instrument.capabilities & (Capability.MBO | Capability.L2):
        raise InputError(f"Injection needs orders or levels; {data.info.path} has neither.")
    before = np.full(len(events), ev.UNDEF_PRICE, np.int64)
    tails: list[npt.NDArray[Any]] = []
    for _, traced in Engine(data.resolve, features=()).trace_blocks(events):
        before[traced["event"]] = traced["price_before"]
        tails.append(traced[traced["last"] == 1][["event", "ts", "bid", "ask"]].copy())
    tail = np.concatenate(tails)
    counted = (events["action"] == ev.TRADE) & (events["size"] > 0) & (events["cond"] == 0)
    trades = np.flatnonzero(counted & (events["flags"] & ev.SNAPSHOT == 0))
    sides, sizes = events["side"][trades], events["size"][trades]
    volume = np.zeros((3, len(trades) + 1), np.int64)
    for k, mask in enumerate((sides == ev.BID, sides == ev.ASK, np.ones(len(trades), bool))):
        volume[k, 1:] = np.cumsum(np.where(mask, sizes, 0))
    if not len(trades):
        raise InputError(f"Injection needs trades; {data.info.path} has none.")
    begin, end = int(events["ts_recv"][trades[0]]), int(tail["ts"][-1])
    breaks = np.flatnonzero(np.isin(events["action"], (ev.CLEAR, ev.LOST, ev.STATUS)))
    rows, edge, readings = _rows(data, events)
    shown = np.isin(events["action"], (ev.ADD, ev.LEVEL)) & (events["flags"] & ev.SNAPSHOT == 0)
    return Recording(
        source=data,
        instrument=instrument,
        events=events,
        ends=tail["event"].astype(np.int64),
        times=tail["ts"].astype(np.int64),
        bid=tail["bid"].astype(np.int64),
        ask=tail["ask"].astype(np.int64),
        before=before,
        rows=rows,
        edge=edge,
        readings=readings,
        trades=trades.astype(np.int64),
        trade_times=events["ts_recv"][trades].astype(np.int64),
        trade_prices=events["price"][trades].astype(np.int64),
        trade_sides=sides.astype(np.int64),
        breaks=breaks.astype(np.int64),
        volume=volume,
        order_sizes=np.sort(events["size"][shown & (events["size"] > 0)]).astype(np.float64),
        trade_sizes=np.sort(sizes).astype(np.float64),
        begin=begin,
        half=(begin + end) // 2,
        end=end,
    )


def _rows(data: Source, events: Events) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
    """Times of the rows, and by side the price of the 18th level and the reading of the second."""
    engine = Engine(data.resolve, every=GRID, features=(), keep_samples=True)
    times, edges, readings = [], [], []
    for first in range(0, len(events), 32_768):
        samples = engine.process(events[first : first + 32_768]).samples
        if samples is None or not len(samples):
            continue
        seen = (samples["state"] == LIVE) & (samples["n_bid"] > 0) & (samples["n_ask"] > 0)
        times.append(samples["ts"].copy())
        for name in ("bid", "ask"):
            full = seen & (samples[f"n_{name}"] >= VIEW)
            edges.append(np.where(full, samples[f"{name}_price"][:, VIEW - 1], ev.UNDEF_PRICE))
            sizes = samples[f"{name}_size"][:, :READING].astype(np.float64)
            sizes[np.arange(READING) >= samples[f"n_{name}"][:, None]] = np.nan
            whole = seen & (samples[f"n_{name}"] > 1) & (samples["ts"] % SECOND == 0)
            reading = np.full(len(samples), np.nan)
            # The largest of a row is its last once in order; unknown ones are put behind it.
            ordered = np.sort(sizes[whole], axis=1)
            ordered[np.arange(len(ordered)), np.count_nonzero(~np.isnan(ordered), axis=1) - 1] = np.nan
            reading[whole] = np.nanmedian(ordered, axis=1) if whole.any() else np.nan
            readings.append(reading)
    if not times:
        raise InputError("The stream is shorter than a tenth of a second: there is nothing to measure on.")
    edge = np.array([np.concatenate(edges[k::2]) for k in range(2)], np.int64)
    return (
        np.concatenate(times).astype(np.int64),
        edge,
        np.array([np.concatenate(readings[k::2]) for k in range(2)]),
    )
