"""The public functions: features as a table, replay frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from depthscope.engine import META, Batch, Engine
from depthscope.features.batch import NOTHING_FOUND
from depthscope.frame import Frame, frames_of
from depthscope.market.sessions import calendar_of
from depthscope.market.source import Source
from depthscope.market.times import parse_every
from depthscope.runtime.beside import beside
from depthscope.runtime.models import model_named
from depthscope.runtime.readahead import ReadAhead
from depthscope.runtime.sources import open_source
from depthscope.tables import Tables, detections_batch

if TYPE_CHECKING:
    import pyarrow as pa

    from depthscope.features.kit import Setting
    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.runtime.live import LiveFeed
    from depthscope.signals.model import Model

__all__ = ["Analysis", "Frame", "analysis_batches", "features", "features_batches", "open_source", "replay"]

BATCH_ROWS: Final = 4_096

PathLike = str | Path
Sources = PathLike | Iterable[PathLike] | Source
Progress = Callable[[float, float], None]


def opened(source: Sources, options: Mapping[str, Any]) -> Source:
    """Open what the user named; a Source is taken as it is."""
    if isinstance(source, Source):
        return source
    return open_source(source, **options)


def chunks_of(source: Source, threads: int, progress: Progress | None) -> Iterator[Events]:
    """Chunks of a source, decoded in a thread of its own when `threads` > 1."""
    if threads < 2:
        for events in source.chunks():
            yield events
            if progress is not None:
                progress(source.info.bytes_read, source.info.bytes_total)
        return
    reader = ReadAhead(source)
    try:
        while not reader.ended:
            ahead = reader.get(timeout=60.0)
            if ahead is not None:
                yield ahead
            if progress is not None:
                progress(source.info.bytes_read, source.info.bytes_total)
    finally:
        reader.close()


class Maker(Protocol):
    """What makes a table of its own from events, batch by batch."""

    def process(self, events: Events) -> pa.RecordBatch | None:
        """Take events; what rows they complete, if any."""

    def finish(self) -> pa.RecordBatch | None:
        """End of the stream: the rows still open, if any."""


def batches_of(
    maker: Maker, source: Source, threads: int, progress: Progress | None
) -> Iterator[pa.RecordBatch]:
    """What a maker makes of a whole source."""
    for events in chunks_of(source, threads, progress):
        batch = maker.process(events)
        if batch is not None:
            yield batch
    batch = maker.finish()
    if batch is not None:
        yield batch


def always(signal: Model | str | Path | None) -> Callable[[Instrument], Model] | None:
    """The engine's argument for one model whatever the instrument."""
    if signal is None:
        return None
    model = model_named(signal)
    return lambda instrument: model


def followed(
    source: Source | LiveFeed, calendars: Mapping[str, str] | None
) -> Callable[[int, int], Instrument]:
    """How instruments of a source are resolved where some follow other calendars than the shipped ones."""

    def resolve(publisher: int, number: int) -> Instrument:
        found = source.resolve(publisher, number)
        return replace(found, calendar=calendar_of(found, calendars))

    return resolve if calendars else source.resolve


def _batches(source: Source, engine: Engine, threads: int, progress: Progress | None) -> Iterator[Batch]:
    for events in chunks_of(source, threads, progress):
        yield from engine.pieces(events)
    yield engine.finish()


class Analysis(NamedTuple):
    """What one pass over market data has made: rows of features, and what detectors said by then."""

    features: pa.RecordBatch
    detections: pa.RecordBatch


def analysis_batches(
    source: Sources,
    every: str | int = "100ms",
    *,
    symbols: Iterable[str] | None = None,
    features: Iterable[str] | None = None,
    detectors: Iterable[str] | None = None,
    sensitivity: str = "medium",
    sparse: bool = False,
    tick: int | None = None,
    lot: int | None = None,
    settings: Mapping[str, Setting] | None = None,
    signal: Model | str | Path | None = None,
    calendars: Mapping[str, str] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> Iterator[Analysis]:
    """Features, signals and detections of one pass, as a stream in bounded memory.

    Parameters are those of `features`, and below.

    Parameters
    ----------
    detectors : iterable of str, optional
        Detectors to run; None (the default) for all.
    sensitivity : {"low", "medium", "high"}
        Preset of their settings.

    Yields
    ------
    Analysis
        Record batches of the tables `features` and `detections` give; at least one pair, each
        possibly without rows.

    Examples
    --------
    >>> import depthscope as ds
    >>> for made in ds.analysis_batches("day.mbo.dbn.zst", signal="10s"):        # doctest: +SKIP
    ...     print(made.features.num_rows, made.detections.num_rows)
    """
    wanted = None if features is None else [features] if isinstance(features, str) else list(features)
    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"tick": tick, "lot": lot, "symbols": chosen})
    engine = Engine(
        followed(data, calendars),
        every=every,
        features=None if wanted is None else ["quotes", *wanted],
        detectors=detectors,
        sensitivity=sensitivity,
        sparse=sparse,
        symbols=chosen,
        settings=settings,
        signal=always(signal),
    )
    tables = Tables(engine.columns, parse_every(every) == 0, wanted)

    def tabulate(held: list[Batch], slots: list[Instrument]) -> Analysis:
        meta = np.concatenate([b.meta for b in held]) if held else np.zeros(0, META)
        values = (
            np.concatenate([b.values for b in held], axis=1) if held else np.zeros((len(engine.columns), 0))
        )
        said = np.concatenate([b.detections for b in held]) if held else NOTHING_FOUND
        return Analysis(
            tables.record_batch(meta, values, [i.symbol for i in slots]), detections_batch(said, slots)
        )

    gathered = _gathered(_batches(data, engine, threads, progress))
    jobs = ((held, list(engine.slots)) for held in gathered)
    if threads < 2:
        yield from (tabulate(*job) for job in jobs)
    else:
        yield from beside(tabulate, jobs)


def _gathered(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """Batches with about BATCH_ROWS rows together, and at least one list of them."""
    held: list[Batch] = []
    rows = made = 0
    for batch in batches:
        said = batch.detections  # handed on with the first part; there may be some without any row
        starts = range(0, len(batch), BATCH_ROWS) or [0] * bool(len(said))
        for first in starts:
            part = slice(first, first + BATCH_ROWS)
            held.append(Batch(batch.meta[part], batch.values[:, part], batch.columns, detections=said))
            said = NOTHING_FOUND
            rows += len(held[-1])
            if rows >= BATCH_ROWS:
                yield held
                held, rows, made = [], 0, made + 1
    if held or not made:
        yield held


def features_batches(
    source: Sources,
    every: str | int = "100ms",
    *,
    symbols: Iterable[str] | None = None,
    features: Iterable[str] | None = None,
    sparse: bool = False,
    tick: int | None = None,
    lot: int | None = None,
    settings: Mapping[str, Setting] | None = None,
    signal: Model | str | Path | None = None,
    calendars: Mapping[str, str] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> Iterator[pa.RecordBatch]:
    """Features as a stream of Arrow record batches, in bounded memory whatever the size.

    Parameters are those of `features`.

    Yields
    ------
    pyarrow.RecordBatch
        All of one schema; at least one, possibly without rows.
    """
    for made in analysis_batches(
        source,
        every,
        symbols=symbols,
        features=features,
        detectors=(),
        sparse=sparse,
        tick=tick,
        lot=lot,
        settings=settings,
        signal=signal,
        calendars=calendars,
        threads=threads,
        progress=progress,
    ):
        yield made.features


def features(
    source: Sources,
    every: str | int = "100ms",
    *,
    symbols: Iterable[str] | None = None,
    features: Iterable[str] | None = None,
    sparse: bool = False,
    tick: int | None = None,
    lot: int | None = None,
    settings: Mapping[str, Setting] | None = None,
    signal: Model | str | Path | None = None,
    calendars: Mapping[str, str] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> pa.Table:
    """Turn recorded market data into a table of features.

    Parameters
    ----------
    source : str, Path, list of them, or Source
        File, folder, glob, or ``synthetic:…``.
    every : str or int
        Row grid in receive time (``"100ms"``, ``"1s"``, nanoseconds), or ``"event"`` for a row
        per LAST group.
    symbols : iterable of str, optional
        Only these instruments.
    features : iterable of str, optional
        Only these features or columns.
    sparse : bool
        Leave out rows in which nothing arrived.
    tick, lot : int, optional
        Price and size increments in 1e-9 units, over the file's and the shipped ones.
    settings : mapping of str to float, str or a fitted model, optional
        Feature settings, for example ``{"decay": 0.9}``.
    signal : Model, str or Path, optional
        Also make signal columns: with a model, a file that `fit` wrote, or shipped weights by their
        horizon (``1s``, ``10s``, ``60s``).
    calendars : mapping of str to str, optional
        Trading calendars by venue, or by venue and symbol, over the shipped ones: ``{"GLBX.MDP3/CL":
        "CME_Equity"}`` (see docs/SESSIONS.md).
    threads : int
        2 decodes in a thread of its own; 1 does everything in the caller's.
    progress : callable, optional
        Called with (bytes read, bytes in all).

    Returns
    -------
    pyarrow.Table
        ``ts_event``, ``ts_recv`` (the boundary of a grid row, the group's time by event),
        ``sequence``, ``symbol``, ``state``, best prices and sizes, then the feature columns in
        public units; units stand in each field's metadata. Undefined values are null.

    Raises
    ------
    InputError
        When the source, a name or a duration cannot be used.
    CorruptData
        When the source is damaged.

    Examples
    --------
    >>> import depthscope as ds
    >>> table = ds.features("synthetic:seed=1,minutes=1,symbols=1", every="1s")   # doctest: +SKIP
    >>> table.to_pandas()[["ts_recv", "mid", "ofi_1s"]]                           # doctest: +SKIP
    """
    import pyarrow as pa

    return pa.Table.from_batches(
        list(
            features_batches(
                source,
                every,
                symbols=symbols,
                features=features,
                sparse=sparse,
                tick=tick,
                lot=lot,
                settings=settings,
                signal=signal,
                calendars=calendars,
                threads=threads,
                progress=progress,
            )
        )
    ).unify_dictionaries()


def replay(
    source: Sources,
    every: str | int = "100ms",
    *,
    symbols: Iterable[str] | None = None,
    features: Iterable[str] | None = None,
    detectors: Iterable[str] | None = (),
    sensitivity: str = "medium",
    sparse: bool = False,
    tick: int | None = None,
    lot: int | None = None,
    settings: Mapping[str, Setting] | None = None,
    signal: Model | str | Path | None = None,
    calendars: Mapping[str, str] | None = None,
    threads: int = 2,
) -> Iterator[Frame]:
    """Replay recorded market data as frames, one per instrument and boundary.

    Parameters are those of `features`, and below. ``frame.book`` is the book at exactly that boundary
    and may be read until the next frame is asked for; ``frame.detections`` is what was said by then.

    Parameters
    ----------
    detectors : iterable of str, optional
        Detectors to run; None for all, an empty list (the default) for none.
    signal : Model, str or Path, optional
        As for `features`; ``frame.signal`` then has it with its reasons.
    sensitivity : {"low", "medium", "high"}
        Preset of their settings.

    Yields
    ------
    Frame

    Examples
    --------
    >>> import depthscope as ds
    >>> for frame in ds.replay("synthetic:seed=1,minutes=1,symbols=1"):           # doctest: +SKIP
    ...     print(frame.time, frame.book.best_bid, frame["ofi_1s"])
    """
    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"tick": tick, "lot": lot, "symbols": chosen})
    engine = Engine(
        followed(data, calendars),
        every=every,
        features=features,
        detectors=detectors,
        sensitivity=sensitivity,
        sparse=sparse,
        symbols=chosen,
        settings=settings,
        signal=always(signal),
    )
    model = None if signal is None else model_named(signal)

    def batches() -> Iterator[Batch]:
        for events in chunks_of(data, threads, None):
            yield from engine.frames(events)
        yield from engine.finish_frames()

    yield from frames_of(batches(), engine, model)
