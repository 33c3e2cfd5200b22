"""The public function for liquidity profiles: how much rests at each price, averaged over time."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from math import gcd
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.api import Progress, Sources, batches_of, opened
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market.layouts import LIVE, SAMPLE_LEVELS
from depthscope.market.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from depthscope.market.events import Events

__all__ = ["LiquidityProfiles", "liquidity_profile", "liquidity_profile_batches"]

Place = tuple[int, int]  # 0 bid, 1 ask; price (1e-9)
Sums = tuple[int, int]  # lots x ns, ns
SIDES: Final = ("bid", "ask")
PANES: Final = 100_000


@dataclass(slots=True)
class _Rest:
    """What rests in one instrument's book, and what has rested there, pane by pane.

    Sums are Python's integers: they are exact however large, so no cut of the stream changes them.
    """

    shown: list[list[list[int]]] = field(default_factory=lambda: [[], [], [], []])  # as its last row has it
    live: bool = False
    since: int = 0  # from when `live` is not in `live_time`
    sizes: dict[Place, list[int]] = field(default_factory=dict)  # lots, and since when they are not in `now`
    now: dict[Place, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))  # this pane
    live_time: int = 0  # of this pane
    panes: deque[tuple[int, dict[Place, list[int]]]] = field(default_factory=deque)
    total: dict[Place, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))  # of them all
    total_time: int = 0

    def change(self, place: Place, lots: int, ts: int) -> None:
        """Note that another size rests at a place from a time on; 0 is none."""
        old = self.sizes.get(place)
        if old is not None:
            self._count(place, old, ts)
        if lots:
            self.sizes[place] = [lots, ts]
        elif old is not None:
            del self.sizes[place]

    def switch(self, live: bool, ts: int) -> None:
        """Note whether the book is LIVE from a time on; one that is not shows nothing."""
        if self.live:
            self.live_time += ts - self.since
        if not live:
            for place in list(self.sizes):
                self.change(place, 0, ts)
        self.live, self.since = live, ts

    def _count(self, place: Place, held: list[int], ts: int) -> None:
        sums, span = self.now[place], ts - held[1]
        sums[0] += held[0] * span
        sums[1] += span
        held[1] = ts

    def turn(self, ts: int, most: int) -> None:
        """End the pane at a time; of panes before it, `most` with it are kept."""
        for place, held in self.sizes.items():
            self._count(place, held, ts)
        self.switch(self.live, ts)
        self.panes.append((self.live_time, dict(self.now)))
        self._add(self.live_time, self.now, 1)
        if len(self.panes) > most:
            self._add(*self.panes.popleft(), -1)
        self.now.clear()
        self.live_time = 0

    def _add(self, live_time: int, pane: dict[Place, list[int]], sign: int) -> None:
        self.total_time += sign * live_time
        for place, (area, span) in pane.items():
            sums = self.total[place]
            sums[0] += sign * area
            sums[1] += sign * span
            if not sums[1]:
                del self.total[place]


class LiquidityProfiles:
    """Makes liquidity profiles of a stream of events, each once the clock has reached its time.

    Parameters
    ----------
    engine : Engine
        Made with ``every="event"`` and ``keep_samples=True``; it needs no features.
    every, window, levels
        As for `liquidity_profile`.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        every: str | int = "1m",
        window: str | int = "180s",
        levels: int = SAMPLE_LEVELS,
    ) -> None:
        self.every, self.window = parse_duration(every), parse_duration(window)
        if self.every <= 0 or self.window <= 0:
            raise InputError("every and window are durations above 0.")
        self.pane = gcd(self.every, self.window)
        if self.window // self.pane > PANES or self.every // self.pane > PANES:
            raise InputError(
                f"A window of {window} and profiles every {every} have no common measure near them; "
                "take one that divides the other."
            )
        if engine.every or not engine.keep_samples:
            raise InputError("Liquidity profiles need an engine of every='event' that keeps samples.")
        if not 1 <= levels <= SAMPLE_LEVELS:
            raise InputError(f"levels is a number from 1 to {SAMPLE_LEVELS}, not {levels!r}.")
        self.engine, self.levels = engine, levels
        self._books: list[_Rest] = []
        self._reached: int | None = None  # the last end of a pane
        self._rows: list[tuple[int, int, Place, float, float]] = []

    def process(self, events: Events) -> pa.RecordBatch | None:
        """Take the next events; returns the profiles they completed, None without any."""
        for batch in self.engine.pieces(events):
            self._take(batch.samples)
        return self._emit(self.engine.clock)

    def finish(self) -> pa.RecordBatch | None:
        """End the stream; returns the last profile, of what there was until then."""
        self._take(self.engine.finish().samples)
        end = self.engine.clock
        out = [self._emit(end)]
        last = -(-end // self.every) * self.every
        if self._reached is not None and last > self._reached:
            for rest in self._books:
                rest.switch(False, end)  # nothing is known from here on
            out.append(self._emit(last))
        return _joined(out)

    def _take(self, samples: npt.NDArray[Any] | None) -> None:
        """Take SAMPLE rows by event, in order of time."""
        if samples is None or not len(samples):
            return
        names = ("bid_price", "bid_size", "ask_price", "ask_size")
        sides = [samples[name][:, : self.levels].tolist() for name in names]
        heads = samples[["ts", "slot", "state", "n_bid", "n_ask"]].tolist()
        for k, (ts, slot, state, n_bid, n_ask) in enumerate(heads):
            while len(self._books) <= slot:
                self._books.append(_Rest())
            self._turn(ts)
            rest = self._books[slot]
            if rest.live != (state == LIVE):
                rest.switch(state == LIVE, ts)
                rest.shown = [[], [], [], []]
            if state != LIVE:
                continue
            shown = [line[k][:n] for line, n in zip(sides, (n_bid, n_bid, n_ask, n_ask), strict=True)]
            for side in range(2):
                prices, sizes = shown[2 * side], shown[2 * side + 1]
                old_prices, old_sizes = rest.shown[2 * side], rest.shown[2 * side + 1]
                if prices == old_prices and sizes == old_sizes:
                    continue
                new = dict(zip(prices, sizes, strict=True))
                old = dict(zip(old_prices, old_sizes, strict=True))
                for price in old.keys() - new.keys():
                    rest.change((side, price), 0, ts)
                for price, lots in new.items():
                    if old.get(price) != lots:
                        rest.change((side, price), lots, ts)
            rest.shown = shown

    def _turn(self, ts: int) -> None:
        """End the panes that are over at a time, and read the profiles due."""
        if self._reached is None:
            self._reached = ts // self.pane * self.pane
        while self._reached + self.pane <= ts:
            self._reached += self.pane
            for slot, rest in enumerate(self._books):
                rest.turn(self._reached, self.window // self.pane)
                if self._reached % self.every == 0 and rest.total_time:
                    self._read(slot, rest)

    def _read(self, slot: int, rest: _Rest) -> None:
        times, over = self.engine.slots[slot].size_ratio
        for place in sorted(rest.total):
            area, span = rest.total[place]
            mean = area * times / (rest.total_time * over)
            self._rows.append((self._reached or 0, slot, place, mean, span / rest.total_time))

    def _emit(self, until: int) -> pa.RecordBatch | None:
        """Profiles up to a time."""
        if self._books:
            self._turn(until)
        rows, self._rows = self._rows, []
        return _record_batch(self.engine.symbols, rows) if rows else None


def _joined(batches: list[pa.RecordBatch | None]) -> pa.RecordBatch | None:
    """One batch of those there are."""
    import pyarrow as pa

    some = [batch for batch in batches if batch is not None]
    return pa.concat_batches(some) if some else None


def _record_batch(symbols: list[str], rows: list[tuple[int, int, Place, float, float]]) -> pa.RecordBatch:
    import pyarrow as pa

    from depthscope.tables import arrow_of, arrow_text

    def words(index: npt.NDArray[np.int32], names: list[str]) -> Any:
        return pa.DictionaryArray.from_arrays(arrow_of(index, pa.int32()), arrow_text(names))

    ts, slots, places, sizes, shares = zip(*rows, strict=True)
    sides, prices = zip(*places, strict=True)
    return pa.RecordBatch.from_arrays(
        [
            arrow_of(np.array(ts, np.int64), pa.timestamp("ns", "UTC")),
            words(np.array(slots, np.int32), symbols),
            words(np.array(sides, np.int32), list(SIDES)),
            arrow_of(np.array(prices, np.int64) / 1e9, pa.float64()),
            arrow_of(np.array(sizes, np.float64), pa.float64()),
            arrow_of(np.array(shares, np.float64), pa.float64()),
        ],
        schema=_schema(),
    )


def _schema() -> pa.Schema:
    import pyarrow as pa

    word = pa.dictionary(pa.int32(), pa.string())
    kinds = {
        "ts": (pa.timestamp("ns", "UTC"), "UTC ns, end of the window in receive time"),
        "symbol": (word, "name"),
        "side": (word, "bid or ask"),
        "price": (pa.float64(), "price"),
        "size": (pa.float64(), "size"),
        "share": (pa.float64(), "0…1"),
    }
    return pa.schema([pa.field(name, kind, metadata={"unit": unit}) for name, (kind, unit) in kinds.items()])


def liquidity_profile_batches(
    source: Sources,
    *,
    every: str | int = "1m",
    window: str | int = "180s",
    levels: int = SAMPLE_LEVELS,
    symbols: Iterable[str] | None = None,
    tick: int | None = None,
    lot: int | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> Iterator[pa.RecordBatch]:
    """Liquidity profiles as a stream of Arrow record batches, in memory for one window.

    Parameters are those of `liquidity_profile`.

    Yields
    ------
    pyarrow.RecordBatch
        All of one schema; at least one, possibly without rows.
    """
    import pyarrow as pa

    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"tick": tick, "lot": lot, "symbols": chosen})
    engine = Engine(data.resolve, every="event", features=(), symbols=chosen, keep_samples=True)
    made = LiquidityProfiles(engine, every=every, window=window, levels=levels)
    yield pa.RecordBatch.from_pylist([], schema=_schema())
    yield from batches_of(made, data, threads, progress)


def liquidity_profile(
    source: Sources,
    every: str | int = "1m",
    *,
    window: str | int = "180s",
    levels: int = SAMPLE_LEVELS,
    symbols: Iterable[str] | None = None,
    tick: int | None = None,
    lot: int | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> pa.Table:
    """Liquidity profile of recorded market data: the mean size that rested at each price over a window.

    It is exact for what stands among the best `levels` of a side: every change of the book counts from its
    time on. A price deeper than that counts as if nothing rested there, which `share` shows; so does one
    the feed itself does not reach.

    Profiles are made at multiples of `every` of receive time since 1970-01-01 UTC, of what was in
    [t − window, t). The last one, at the end of the step the source ends in, goes as far as the source.
    Only time in which the book was LIVE counts, both as size and as time; before the first row there is none,
    and a window without any has no rows.

    Parameters
    ----------
    source : str, Path, list of them, or Source
        File, folder, glob, or ``synthetic:…``.
    every : str or int
        Time between profiles (``"1m"``, ``"5s"``, nanoseconds).
    window : str or int
        How far back each looks.
    levels : int
        How many levels a side are looked at, from the best on; 20 at most.
    symbols : iterable of str, optional
        Only these instruments.
    tick, lot, threads, progress
        As for `features`.

    Returns
    -------
    pyarrow.Table
        A row a profile, instrument, side and price, in this order, prices ascending:

        * ``ts`` (end of the window), ``symbol``, ``side`` (``bid`` or ``ask``), ``price``;
        * ``size``: ∫ size dt ÷ LIVE time of the window; divided by `share`, the mean while something rested;
        * ``share``: part of that time in which something rested there.

    Raises
    ------
    InputError
        When the source, a name or a number cannot be used.
    CorruptData
        When the source is damaged.

    Examples
    --------
    >>> import depthscope as ds
    >>> ds.liquidity_profile("day.mbo.dbn.zst", "5m").to_pandas()   # doctest: +SKIP
    """
    import pyarrow as pa

    return pa.Table.from_batches(
        list(
            liquidity_profile_batches(
                source,
                every=every,
                window=window,
                levels=levels,
                symbols=symbols,
                tick=tick,
                lot=lot,
                threads=threads,
                progress=progress,
            )
        )
    ).unify_dictionaries()
