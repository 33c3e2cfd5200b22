"""Markouts: where mid went after what detectors found.

A matter counts once, when it is opened. Its base is mid at the first row of its instrument later than
the message: somebody who looks at rows could act then, and not before. The markout after a horizon is
``sign × (mid - base)``, where mid is that of the first row at least the horizon after the base row; it is
told with that row and not before. ``sign`` is -1 for side A, 1 for side B and for none, so that positive
is in favour of the side the message names: of the size that rests there or of the aggressor, as its
detector says.

In ticks, and in bps of the base. Nothing is measured from a row without mid (the book is not LIVE or lacks
a side), and a markout is missing where the row that ends it has none, or the data end before. All rows
of the grid are made, quiet ones too, so that a horizon ends on time.

The standard error is the sample standard deviation ÷ √count. Markouts that overlap are not
independent, and then it is too small. Costs are not in it: who trades at once loses half the
spread on the way in, and half on the way out.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import asdict, dataclass
from math import fsum, sqrt
from typing import TYPE_CHECKING, Final

from depthscope.api import Progress, Sources, chunks_of, opened
from depthscope.detectors.follow import Row, Said, Stream
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market.layouts import OPEN
from depthscope.market.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from depthscope.features.batch import Batch
    from depthscope.market.instruments import Instrument

__all__ = ["Markout", "Markouts", "each_markout", "markouts"]

HORIZONS: Final = ("1s", "10s", "60s")
Group = tuple[str, str, str]  # symbol, detector, side


@dataclass(frozen=True, slots=True)
class Markout:
    """Where mid was a horizon after a detection.

    Attributes
    ----------
    ts, known : int
        Time of the message, and of the row that made the markout known, UTC ns.
    id, detector, symbol, side : str
        Of the detection.
    horizon : int
        ns.
    ticks : float
        Signed.
    bps : float or None
        Signed; None where the base is 0.
    """

    ts: int
    known: int
    id: str
    detector: str
    symbol: str
    side: str
    horizon: int
    ticks: float
    bps: float | None


@dataclass(frozen=True, slots=True)
class Based:
    """A detection whose horizon has not ended."""

    said: Said
    ts: int  # of the base row
    base: int  # twice the mid


class Markouts:
    """Markouts of what an engine's batches bring, each as soon as it is known.

    Parameters
    ----------
    horizons : iterable of str or int
        Durations (``"10s"``), or ns.

    Attributes
    ----------
    horizons : tuple of int
        ns, the shortest first.
    openings : Counter
        Matters opened, by (symbol, detector, side).
    """

    def __init__(self, horizons: Iterable[str | int] = HORIZONS) -> None:
        given = (horizons,) if isinstance(horizons, str) else tuple(horizons)
        self.horizons = tuple(sorted({parse_duration(one) for one in given}))
        if not self.horizons:
            raise InputError("Markouts need one horizon or more, such as 10s.")
        self.openings: Counter[Group] = Counter()
        self._stream = Stream()
        self._waiting: dict[int, list[Said]] = {}  # by slot
        self._based: dict[tuple[int, int], deque[Based]] = defaultdict(deque)  # by slot and horizon

    def update(self, batch: Batch, instruments: Sequence[Instrument]) -> list[Markout]:
        """Take the next batch of an engine.

        Parameters
        ----------
        batch : Batch
            With its SAMPLE rows (``keep_samples=True``).
        instruments : sequence of Instrument
            By slot (``engine.slots``).

        Returns
        -------
        list of Markout
            Those that have become known.
        """
        found: list[Markout] = []
        for one in self._stream.take(batch):
            symbol = instruments[one.slot].symbol
            if isinstance(one, Row):
                found += self._look(one, instruments[one.slot])
            elif one.phase == OPEN:
                self.openings[symbol, one.detector, one.side] += 1
                self._waiting.setdefault(one.slot, []).append(one)
        return found

    def _look(self, row: Row, instrument: Instrument) -> Iterator[Markout]:
        """Take a row: what ends with it, then what begins."""
        for horizon in self.horizons:
            based = self._based[row.slot, horizon]
            while based and row.ts - based[0].ts >= horizon:
                one = based.popleft()
                if row.quoted:
                    yield _markout(one, row, instrument, horizon)
        for said in self._waiting.pop(row.slot, ()):
            if row.quoted:
                for horizon in self.horizons:
                    self._based[row.slot, horizon].append(Based(said, row.ts, row.bid + row.ask))


def _markout(one: Based, row: Row, instrument: Instrument, horizon: int) -> Markout:
    said = one.said
    moved = (row.bid + row.ask - one.base) * (-1 if said.side == "A" else 1)
    return Markout(
        ts=said.ts,
        known=row.ts,
        id=f"{said.detector}-{instrument.symbol}-{said.number}",
        detector=said.detector,
        symbol=instrument.symbol,
        side=said.side,
        horizon=horizon,
        ticks=moved / (2 * instrument.tick),
        bps=1e4 * moved / abs(one.base) if one.base else None,
    )


def _measured(
    source: Sources,
    horizons: Iterable[str | int],
    *,
    every: str | int,
    symbols: Iterable[str] | None,
    detectors: Iterable[str] | None,
    sensitivity: str,
    settings: Mapping[str, float | str] | None,
    threads: int,
    progress: Progress | None,
) -> tuple[Markouts, list[Markout]]:
    """Run detectors over a source and measure what they find."""
    made = Markouts(horizons)
    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"symbols": chosen})
    engine = Engine(
        data.resolve,
        every=every,
        features=(),
        detectors=detectors,
        sensitivity=sensitivity,
        symbols=chosen,
        settings=settings,
        keep_samples=True,
    )
    found: list[Markout] = []
    for events in chunks_of(data, threads, progress):
        for piece in engine.pieces(events):
            found += made.update(piece, engine.slots)
    found += made.update(engine.finish(), engine.slots)
    return made, found


def each_markout(
    source: Sources,
    horizons: Iterable[str | int] = HORIZONS,
    *,
    every: str | int = "100ms",
    symbols: Iterable[str] | None = None,
    detectors: Iterable[str] | None = None,
    sensitivity: str = "medium",
    settings: Mapping[str, float | str] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> pa.Table:
    """Every markout of what detectors find, in the order in which they became known.

    Parameters are those of `markouts`.

    Returns
    -------
    pyarrow.Table
        A row a matter and horizon (see `Markout`).
    """
    import pyarrow as pa

    _, found = _measured(
        source,
        horizons,
        every=every,
        symbols=symbols,
        detectors=detectors,
        sensitivity=sensitivity,
        settings=settings,
        threads=threads,
        progress=progress,
    )
    stamp, text, real = pa.timestamp("ns", "UTC"), pa.string(), pa.float64()
    schema = pa.schema(
        [
            ("ts", stamp),
            ("known", stamp),
            ("id", text),
            ("detector", text),
            ("symbol", text),
            ("side", text),
            ("horizon", pa.duration("ns")),
            ("ticks", real),
            ("bps", real),
        ]
    )
    return pa.Table.from_pylist([asdict(one) for one in found], schema=schema)


def markouts(
    source: Sources,
    horizons: Iterable[str | int] = HORIZONS,
    *,
    every: str | int = "100ms",
    symbols: Iterable[str] | None = None,
    detectors: Iterable[str] | None = None,
    sensitivity: str = "medium",
    settings: Mapping[str, float | str] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> pa.Table:
    """Mean markouts of what detectors find in recorded market data.

    Parameters
    ----------
    source : str, Path, list of them, or Source
        File, folder, glob, or ``synthetic:…``.
    horizons : iterable of str or int
        Durations (``"10s"``), or ns.
    every : str or int
        Grid of the rows.
    symbols : iterable of str, optional
        Only these instruments.
    detectors : iterable of str, optional
        Only these detectors.
    sensitivity : {"low", "medium", "high"}
        Preset of their settings.
    settings : mapping, optional
        Detector settings that differ from the preset.
    threads, progress
        As for `depthscope.features`.

    Returns
    -------
    pyarrow.Table
        A row a symbol, detector, side and horizon: ``opened`` matters, the ``count`` of them whose markout is
        known, and ``mean_ticks``, ``se_ticks``, ``mean_bps``, ``se_bps``: means, null without any, and
        standard errors, null with fewer than two.

    Examples
    --------
    >>> from depthscope.research.markouts import markouts
    >>> markouts("day.mbo.dbn.zst", horizons=["1s", "10s"]).to_pandas()   # doctest: +SKIP
    """
    import pyarrow as pa

    made, found = _measured(
        source,
        horizons,
        every=every,
        symbols=symbols,
        detectors=detectors,
        sensitivity=sensitivity,
        settings=settings,
        threads=threads,
        progress=progress,
    )
    ticks: dict[tuple[Group, int], list[float]] = defaultdict(list)
    bps: dict[tuple[Group, int], list[float]] = defaultdict(list)
    for one in found:
        key = (one.symbol, one.detector, one.side), one.horizon
        ticks[key].append(one.ticks)
        if one.bps is not None:
            bps[key].append(one.bps)
    keys = [(group, horizon) for group in sorted(made.openings) for horizon in made.horizons]
    rows = [
        (*key[0], key[1], made.openings[key[0]], len(ticks[key]), *_mean(ticks[key]), *_mean(bps[key]))
        for key in keys
    ]
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    kinds = {
        "symbol": text,
        "detector": text,
        "side": text,
        "horizon": pa.duration("ns"),
        "opened": whole,
        "count": whole,
        "mean_ticks": real,
        "se_ticks": real,
        "mean_bps": real,
        "se_bps": real,
    }
    lines = [dict(zip(kinds, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(lines, schema=pa.schema(list(kinds.items())))


def _mean(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and standard error."""
    n = len(values)
    if not n:
        return None, None
    mean = fsum(values) / n
    if n == 1:
        return mean, None
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
