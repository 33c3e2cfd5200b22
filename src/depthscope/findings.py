"""The public function for what detectors find: a table of their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depthscope.api import Progress, Sources, chunks_of, followed, opened
from depthscope.engine import Engine
from depthscope.features.batch import NOTHING_FOUND
from depthscope.tables import detections_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from depthscope.features.kit import Setting

__all__ = ["detections", "detections_batches"]


def detections_batches(
    source: Sources,
    *,
    every: str | int = "100ms",
    symbols: Iterable[str] | None = None,
    detectors: Iterable[str] | None = None,
    sensitivity: str = "medium",
    sparse: bool = False,
    tick: int | None = None,
    lot: int | None = None,
    settings: Mapping[str, Setting] | None = None,
    calendars: Mapping[str, str] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> Iterator[pa.RecordBatch]:
    """Messages of detectors as a stream of Arrow record batches, in order of time.

    Parameters are those of `detections`.

    Yields
    ------
    pyarrow.RecordBatch
        All of one schema; at least one, possibly without rows.
    """
    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"tick": tick, "lot": lot, "symbols": chosen})
    engine = Engine(
        followed(data, calendars),
        every=every,
        features=(),
        detectors=detectors,
        sensitivity=sensitivity,
        sparse=sparse,
        symbols=chosen,
        settings=settings,
    )
    yield detections_batch(NOTHING_FOUND, engine.slots)
    for events in chunks_of(data, threads, progress):
        found = engine.process(events).detections
        if len(found):
            yield detections_batch(found, engine.slots)
    found = engine.finish().detections
    if len(found):
        yield detections_batch(found, engine.slots)


def detections(
    source: Sources,
    *,
    every: str | int = "100ms",
    symbols: Iterable[str] | None = None,
    detectors: Iterable[str] | None = None,
    sensitivity: str = "medium",
    sparse: bool = False,
    tick: int | None = None,
    lot: int | None = None,
    settings: Mapping[str, Setting] | None = None,
    calendars: Mapping[str, str] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> pa.Table:
    """Run detectors over recorded market data.

    Parameters
    ----------
    source : str, Path, list of them, or Source
        File, folder, glob, or ``synthetic:…``.
    every : str or int
        Grid of the rows that detectors of resting size look at; those of trades and orders see
        every event.
    symbols : iterable of str, optional
        Only these instruments.
    detectors : iterable of str, optional
        Only these detectors.
    sensitivity : {"low", "medium", "high"}
        Preset of their settings.
    sparse : bool
        Look only at rows in which something changed: quicker through long quiet hours, but what time
        alone brings about (a wall has stood long enough, a burst is over) is said later.
    tick, lot : int, optional
        As for `features`.
    settings : mapping, optional
        Detector settings that differ from the preset.
    calendars, threads, progress
        As for `features`.

    Returns
    -------
    pyarrow.Table
        A row a message (see `Detection`), in order of time; ``evidence`` is JSON.

    Examples
    --------
    >>> import depthscope as ds
    >>> ds.detections("day.mbo.dbn.zst", detectors=["iceberg"]).to_pandas()   # doctest: +SKIP
    """
    import pyarrow as pa

    return pa.Table.from_batches(
        list(
            detections_batches(
                source,
                every=every,
                symbols=symbols,
                detectors=detectors,
                sensitivity=sensitivity,
                sparse=sparse,
                tick=tick,
                lot=lot,
                settings=settings,
                calendars=calendars,
                threads=threads,
                progress=progress,
            )
        )
    )
