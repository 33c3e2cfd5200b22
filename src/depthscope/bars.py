"""The public function for footprints: volume at price, bar by bar."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.api import Progress, Sources, batches_of, opened
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.features.weighted_imbalance import threshold_lots
from depthscope.market.events import ASK, BID, COND_NOT_VOLUME, TRADE
from depthscope.market.layouts import TRACE_TRADES
from depthscope.market.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from depthscope.market.events import Events

__all__ = ["Footprints", "footprint", "footprint_batches"]

DEAL: Final = np.dtype([("bar", "i8"), ("slot", "i8"), ("tick", "i8"), ("size", "i8"), ("side", "u1")])
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Footprints:
    """Makes footprints of a stream of events, each bar once the clock has passed its end.

    Parameters
    ----------
    engine : Engine
        What runs the books; it needs no features.
    bar, imbalance, min_volume, stacked
        As for `footprint`.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        bar: str | int = "1m",
        imbalance: float = 3.0,
        min_volume: float | None = None,
        stacked: int = 3,
    ) -> None:
        if not (math.isfinite(imbalance) and 0 < imbalance <= 1000):
            raise InputError(f"imbalance is a multiple above 0 and at most 1,000, not {imbalance!r}.")
        if min_volume is not None and not (math.isfinite(min_volume) and min_volume >= 0):
            raise InputError(f"min_volume is a size of 0 or more, not {min_volume!r}.")
        if stacked < 1:
            raise InputError(f"stacked is a number of prices of at least 1, not {stacked!r}.")
        self.engine = engine
        self.bar = parse_duration(bar)
        self.imbalance = Fraction(str(imbalance)).limit_denominator(1000)
        self.min_volume = math.nan if min_volume is None else float(min_volume)
        self.stacked = stacked
        self._waiting: list[npt.NDArray[Any]] = []  # trades of bars that are not over

    def process(self, events: Events) -> pa.RecordBatch | None:
        """Take the next events; returns the rows of the bars they ended, None without any."""
        for block, rows in self.engine.trace_blocks(events, TRACE_TRADES):
            self._take(block, rows)
        return self._emit(self.engine.clock // self.bar)

    def finish(self) -> pa.RecordBatch | None:
        """End the stream; returns the rows of the bars still open."""
        return self._emit(None)

    def _take(self, block: Events, rows: npt.NDArray[Any]) -> None:
        rows = rows[rows["action"] == TRADE]
        events = block[rows["event"]]
        counts = (events["cond"] & COND_NOT_VOLUME) == 0
        rows, events = rows[counts], events[counts]
        if not len(rows):
            return
        deals = np.zeros(len(rows), DEAL)
        deals["slot"] = rows["slot"]
        deals["bar"] = rows["ts"] // self.bar
        deals["size"], deals["side"] = events["size"], events["side"]
        deals["tick"] = events["price"] // self._of_slots("tick")[rows["slot"]]
        self._waiting.append(deals)

    def _of_slots(self, what: str) -> Ints:
        """A number of every instrument."""
        found = [(i.tick, *i.size_ratio, threshold_lots(i, self.min_volume)) for i in self.engine.slots]
        return np.array(found, np.int64).reshape(-1, 4)[:, ("tick", "mul", "div", "least").index(what)]

    def _emit(self, before: int | None) -> pa.RecordBatch | None:
        """Rows of the waiting bars, of those before one where it is given."""
        if not self._waiting:
            return None
        deals = np.concatenate(self._waiting)
        over = np.full(len(deals), True) if before is None else deals["bar"] < before
        if not over.any():
            self._waiting = [deals]
            return None
        self._waiting = [] if over.all() else [deals[~over]]
        return self._batch(deals[over])

    def _batch(self, deals: npt.NDArray[Any]) -> pa.RecordBatch:
        """Rows of some bars, by bar, instrument and price."""
        deals = deals[np.lexsort((deals["tick"], deals["slot"], deals["bar"]))]
        first = starts_of(deals["bar"], deals["slot"], deals["tick"])
        head, size, side = deals[first], deals["size"], deals["side"]
        ask, bid, untold = (
            np.add.reduceat(np.where(chosen, size, 0), first)
            for chosen in (side == BID, side == ASK, (side != BID) & (side != ASK))
        )
        bar, slot, tick = head["bar"], head["slot"], head["tick"]
        of = starts_of(bar, slot)  # where each bar of an instrument begins
        n = np.diff(np.append(of, len(head)))

        def spread(of_bar: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.repeat(of_bar, n)

        volume = ask + bid + untold
        top, bottom = spread(np.append(of[1:], len(head)) - 1), spread(of)
        most = volume == spread(np.maximum.reduceat(volume, of))
        poc = np.minimum.reduceat(np.where(most, tick, np.iinfo(np.int64).max), of)
        buys, sells = self._imbalances(bar, slot, tick, bid, ask)
        both = (bid > 0) & (ask > 0)
        grid, mul, div = (self._of_slots(what)[slot] for what in ("tick", "mul", "div"))
        return _record_batch(
            self.engine.symbols,
            slot,
            bar * self.bar,
            {
                "price": tick * grid / 1e9,
                "bid_volume": bid * mul / div,
                "ask_volume": ask * mul / div,
                "volume": volume * mul / div,
                "delta": (ask - bid) * mul / div,
                "buy_imbalance": buys,
                "sell_imbalance": sells,
                "buy_stacked": runs(buys, bar, slot, tick, self.stacked),
                "sell_stacked": runs(sells, bar, slot, tick, self.stacked),
                "bar_high": tick[top] * grid / 1e9,
                "bar_low": tick[bottom] * grid / 1e9,
                "bar_volume": spread(np.add.reduceat(volume, of)) * mul / div,
                "bar_delta": spread(np.add.reduceat(ask - bid, of)) * mul / div,
                "bar_poc": spread(poc) * grid / 1e9,
                "unfinished_high": both[top],
                "unfinished_low": both[bottom],
            },
        )

    def _imbalances(self, bar: Ints, slot: Ints, tick: Ints, bid: Ints, ask: Ints) -> tuple[Flags, Flags]:
        """Prices at which buyers, and at which sellers, outweigh the other side one tick away."""
        same = (bar[1:] == bar[:-1]) & (slot[1:] == slot[:-1])
        next_to = same & (tick[1:] == tick[:-1] + 1)
        least = np.maximum(self._of_slots("least")[slot], 1)
        times, per = self.imbalance.numerator, self.imbalance.denominator
        buys, sells = np.zeros(len(bar), bool), np.zeros(len(bar), bool)
        below, above = np.where(next_to, bid[:-1], 0), np.where(next_to, ask[1:], 0)
        buys[1:] = same & (ask[1:] >= least[1:]) & (ask[1:] * per >= below * times)
        sells[:-1] = same & (bid[:-1] >= least[:-1]) & (bid[:-1] * per >= above * times)
        return buys, sells


def starts_of(*keys: Ints) -> npt.NDArray[np.intp]:
    """Where any of some sorted keys changes; the first place is one."""
    new = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.concatenate([[0], np.flatnonzero(new) + 1])


def runs(flags: Flags, bar: Ints, slot: Ints, tick: Ints, least: int) -> Flags:
    """Which flagged rows stand in a run of at least so many ticks next to one another."""
    breaks = (
        (flags[1:] != flags[:-1])
        | (tick[1:] != tick[:-1] + 1)
        | (bar[1:] != bar[:-1])
        | (slot[1:] != slot[:-1])
    )
    edges = np.concatenate([[0], np.flatnonzero(breaks) + 1, [len(flags)]])
    long: Flags = np.repeat(np.diff(edges) >= least, np.diff(edges))
    return long & flags


def _record_batch(
    symbols: list[str], slot: Ints, ts: Ints, columns: dict[str, npt.NDArray[Any]]
) -> pa.RecordBatch:
    import pyarrow as pa

    from depthscope.tables import arrow_of, arrow_text

    schema = _schema()
    words = pa.DictionaryArray.from_arrays(arrow_of(slot.astype(np.int32), pa.int32()), arrow_text(symbols))
    arrays = [arrow_of(ts, pa.timestamp("ns", "UTC")), words]
    for name, values in columns.items():
        kind = schema.field(name).type
        packed = np.packbits(values, bitorder="little") if pa.types.is_boolean(kind) else values
        arrays.append(pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(packed)]))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _schema() -> pa.Schema:
    import pyarrow as pa

    price = pa.float64(), "price"
    size = pa.float64(), "size"
    flag = pa.bool_(), "yes or no"
    kinds = {
        "ts": (pa.timestamp("ns", "UTC"), "UTC ns, start of the bar in receive time"),
        "symbol": (pa.dictionary(pa.int32(), pa.string()), "name"),
        "price": price,
        "bid_volume": size, "ask_volume": size, "volume": size, "delta": size,
        "buy_imbalance": flag, "sell_imbalance": flag, "buy_stacked": flag, "sell_stacked": flag,
        "bar_high": price, "bar_low": price, "bar_volume": size, "bar_delta": size, "bar_poc": price,
        "unfinished_high": flag, "unfinished_low": flag,
    }  # fmt: skip
    return pa.schema([pa.field(name, kind, metadata={"unit": unit}) for name, (kind, unit) in kinds.items()])


def footprint_batches(
    source: Sources,
    *,
    bar: str | int = "1m",
    symbols: Iterable[str] | None = None,
    imbalance: float = 3.0,
    min_volume: float | None = None,
    stacked: int = 3,
    tick: int | None = None,
    lot: int | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> Iterator[pa.RecordBatch]:
    """Footprints as a stream of Arrow record batches, in memory for the bars still open.

    Parameters are those of `footprint`.

    Yields
    ------
    pyarrow.RecordBatch
        All of one schema; at least one, possibly without rows.
    """
    import pyarrow as pa

    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"tick": tick, "lot": lot, "symbols": chosen})
    engine = Engine(data.resolve, features=(), symbols=chosen)
    made = Footprints(engine, bar=bar, imbalance=imbalance, min_volume=min_volume, stacked=stacked)
    yield pa.RecordBatch.from_pylist([], schema=_schema())
    yield from batches_of(made, data, threads, progress)


def footprint(
    source: Sources,
    bar: str | int = "1m",
    *,
    symbols: Iterable[str] | None = None,
    imbalance: float = 3.0,
    min_volume: float | None = None,
    stacked: int = 3,
    tick: int | None = None,
    lot: int | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> pa.Table:
    """Footprint of recorded market data: what was bought and sold at each price of each bar.

    Bars are of receive time and counted from 1970-01-01 UTC, so that minutes and hours begin at theirs;
    one without a trade has no rows, the last one goes as far as the source. Rows of a bar are ticks at
    which something traded; a price off the grid counts with the tick below it. Trades that do not count
    for volume are left out.

    Parameters
    ----------
    source : str, Path, list of them, or Source
        File, folder, glob, or ``synthetic:…``.
    bar : str or int
        Length of a bar (``"1m"``, ``"30s"``, nanoseconds).
    symbols : iterable of str, optional
        Only these instruments.
    imbalance : float
        How many times the volume one tick diagonally away makes an imbalance (3 is 300 %); to thousandths.
    min_volume : float, optional
        Smallest size that makes one; by default 10 contracts on ES, anything elsewhere.
    stacked : int
        How many imbalances at prices next to one another are stacked.
    tick, lot, threads, progress
        As for `features`.

    Returns
    -------
    pyarrow.Table
        A row a bar, instrument and price, in this order, prices ascending:

        * ``ts`` (start of the bar), ``symbol``, ``price``;
        * ``bid_volume`` sold by aggressors (into bids), ``ask_volume`` bought by them, ``volume`` of
          both and of unknown aggressors, ``delta`` = ask − bid volume;
        * ``buy_imbalance``: ask volume here ≥ `imbalance` × bid volume one tick below, and ≥ `min_volume`;
          ``sell_imbalance``: bid volume here ≥ `imbalance` × ask volume one tick above. A price inside
          the bar at which nothing traded has a volume of 0; at the bar's low there is no
          tick below to compare with, at its high none above;
        * ``buy_stacked``, ``sell_stacked``: it stands in a run of at least `stacked` of them;
        * of the whole bar, on each of its rows: ``bar_high``, ``bar_low``, ``bar_volume``, ``bar_delta``,
          ``bar_poc`` (most volume, of several the lowest price), ``unfinished_high`` and
          ``unfinished_low`` (both sides traded at that end: the auction there was not finished).

    Raises
    ------
    InputError
        When the source, a name or a number cannot be used.
    CorruptData
        When the source is damaged.

    Examples
    --------
    >>> import depthscope as ds
    >>> ds.footprint("day.mbo.dbn.zst", "5m").to_pandas()   # doctest: +SKIP
    """
    import pyarrow as pa

    return pa.Table.from_batches(
        list(
            footprint_batches(
                source,
                bar=bar,
                symbols=symbols,
                imbalance=imbalance,
                min_volume=min_volume,
                stacked=stacked,
                tick=tick,
                lot=lot,
                threads=threads,
                progress=progress,
            )
        )
    ).unify_dictionaries()
