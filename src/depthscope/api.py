"""The public functions: features as a table, replay frame by frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.detectors.messages import Detection, messages
from depthscope.engine import Batch, Engine
from depthscope.errors import InputError, StaleFrame
from depthscope.features.registry import select
from depthscope.market.layouts import STATE_NAMES
from depthscope.market.sessions import calendar_of
from depthscope.market.source import Source
from depthscope.market.times import format_time, parse_every
from depthscope.runtime.models import model_named
from depthscope.runtime.readahead import ReadAhead
from depthscope.runtime.sources import open_source
from depthscope.signals.reasons import Signal, read_signal
from depthscope.signals.signal import OUT as SIGNAL_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

    from depthscope.book.view import OrderBook
    from depthscope.features.kit import Column, Setting
    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.signals.model import Model

__all__ = ["Frame", "features", "features_batches", "open_source", "replay"]

BATCH_ROWS: Final = 8_192
QUOTES: Final = ("best_bid", "best_ask", "bid_size", "ask_size")
ANCHORED: Final = ("cvd", "vwap", "hod", "lod")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

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


def _always(signal: Model | str | Path | None) -> Callable[[Instrument], Model] | None:
    """The engine's argument for one model whatever the instrument."""
    if signal is None:
        return None
    model = model_named(signal)
    return lambda instrument: model


def followed(source: Source, calendars: Mapping[str, str] | None) -> Callable[[int, int], Instrument]:
    """How instruments of a source are resolved where some follow other calendars than the shipped ones."""

    def resolve(publisher: int, number: int) -> Instrument:
        found = source.resolve(publisher, number)
        return replace(found, calendar=calendar_of(found, calendars))

    return resolve if calendars else source.resolve


def _batches(source: Source, engine: Engine, threads: int, progress: Progress | None) -> Iterator[Batch]:
    for events in chunks_of(source, threads, progress):
        yield from engine.pieces(events)
    yield engine.finish()


def arrow_of(values: npt.NDArray[Any], kind: Any, missing: npt.NDArray[np.bool_] | None = None) -> Any:
    """Arrow array over numpy memory. `pyarrow.array` would import pandas where it is installed."""
    import pyarrow as pa

    validity, nulls = None, 0
    if missing is not None and missing.any():
        nulls = int(np.count_nonzero(missing))
        validity = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [validity, data], nulls)


def arrow_text(words: list[str]) -> Any:
    """Arrow array of strings, without pandas (see `arrow_of`)."""
    import pyarrow as pa

    raw = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(b"".join(raw)))


class _Tables:
    """Turns engine batches into Arrow record batches of one schema."""

    def __init__(self, columns: tuple[Column, ...], by_event: bool, wanted: list[str] | None) -> None:
        import pyarrow as pa

        self.columns = columns
        self.by_event = by_event
        rank = {name: k for k, name in enumerate(QUOTES)}
        order = sorted(range(len(columns)), key=lambda k: rank.get(columns[k].name, len(rank)))
        if wanted is not None:
            names = {f.name: [c.name for c in f.columns] for f in select(wanted)}
            keep = {n for name in wanted for n in names.get(name, [name])} | set(QUOTES)
            keep |= {c.name for c in SIGNAL_COLUMNS}
            order = [k for k in order if columns[k].name in keep]
        self.order = order
        text = pa.dictionary(pa.int32(), pa.string())
        fields = [
            pa.field(
                "ts_event",
                pa.timestamp("ns", "UTC"),
                metadata={"unit": "UTC ns, venue time of the last group"},
            ),
            pa.field(
                "ts_recv",
                pa.timestamp("ns", "UTC"),
                metadata={"unit": "UTC ns, " + ("time of the group" if by_event else "the row's boundary")},
            ),
            pa.field("sequence", pa.uint64()),
            pa.field("symbol", text),
            pa.field("state", text),
        ]
        for k in order:
            c = columns[k]
            kind = text if c.labels else pa.int64() if c.integer else pa.float64()
            metadata = {"unit": c.unit}
            if c.name in ANCHORED:
                metadata["anchor"] = "session of the instrument's calendar"
            fields.append(pa.field(c.name, kind, metadata=metadata))
        if by_event:
            fields.append(pa.field("action", text, metadata={"unit": "action of the group's last record"}))
        self.schema = pa.schema(fields)

    def record_batch(
        self, meta: npt.NDArray[Any], values: npt.NDArray[np.float64], symbols: list[str]
    ) -> pa.RecordBatch:
        """One record batch of an engine batch's rows."""
        import pyarrow as pa

        def words(
            index: npt.NDArray[Any], names: list[str], missing: npt.NDArray[np.bool_] | None = None
        ) -> Any:
            return pa.DictionaryArray.from_arrays(
                arrow_of(index.astype(np.int32), pa.int32(), missing), arrow_text(names)
            )

        stamp = pa.timestamp("ns", "UTC")
        arrays = [
            arrow_of(meta["ts_event"], stamp),
            arrow_of(meta["ts"], stamp),
            arrow_of(meta["sequence"], pa.uint64()),
            words(meta["slot"], symbols),
            words(meta["state"], list(STATE_NAMES)),
        ]
        for k in self.order:
            c, line = self.columns[k], values[k]
            missing = np.isnan(line)
            if c.labels:
                arrays.append(words(np.where(missing, 0.0, line), list(c.labels), missing))
            elif c.integer:
                arrays.append(arrow_of(np.where(missing, 0.0, line).astype(np.int64), pa.int64(), missing))
            else:
                arrays.append(arrow_of(line, pa.float64(), missing))
        if self.by_event:
            seen, index = np.unique(meta["action"], return_inverse=True)
            arrays.append(words(index, [chr(code) for code in seen]))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


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
    wanted = None if features is None else list(features)
    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"tick": tick, "lot": lot, "symbols": chosen})
    engine = Engine(
        followed(data, calendars),
        every=every,
        features=None if wanted is None else ["quotes", *wanted],
        sparse=sparse,
        symbols=chosen,
        settings=settings,
        signal=_always(signal),
    )
    tables = _Tables(engine.columns, parse_every(every) == 0, wanted)
    held: list[Batch] = []
    rows = made = 0

    def flush() -> pa.RecordBatch:
        meta = np.concatenate([b.meta for b in held]) if held else np.zeros(0, _meta_dtype(engine))
        values = (
            np.concatenate([b.values for b in held], axis=1) if held else np.zeros((len(engine.columns), 0))
        )
        held.clear()
        return tables.record_batch(meta, values, engine.symbols)

    for batch in _batches(data, engine, threads, progress):
        for first in range(0, len(batch), BATCH_ROWS):
            part = slice(first, first + BATCH_ROWS)
            held.append(Batch(batch.meta[part], batch.values[:, part], batch.columns))
            rows += len(held[-1])
            if rows >= BATCH_ROWS:
                yield flush()
                rows, made = 0, made + 1
    if rows or not made:
        yield flush()


def _meta_dtype(engine: Engine) -> np.dtype[Any]:
    from depthscope.engine import META

    return META


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


class Frame:
    """One row of a replay: an instrument's features and book at a boundary.

    Attributes
    ----------
    ts : int
        Boundary (or group time by event), UTC ns.
    symbol, state : str
    """

    __slots__ = ("_batch", "_engine", "_live", "_model", "_row", "state", "symbol", "ts")

    def __init__(
        self, engine: Engine, batch: Batch, row: int, live: list[bool], model: Model | None = None
    ) -> None:
        meta = batch.meta[row]
        self._model = model
        self._engine, self._batch, self._row, self._live = engine, batch, row, live
        self.ts = int(meta["ts"])
        self.symbol = engine.slots[int(meta["slot"])].symbol
        self.state = STATE_NAMES[int(meta["state"])]

    @property
    def detections(self) -> tuple[Detection, ...]:
        """What the replay's detectors said of this instrument since its frame before."""
        found = self._batch.detections
        return messages(found[found["slot"] == self._batch.meta[self._row]["slot"]], self._engine.slots)

    @property
    def signal(self) -> Signal:
        """What the replay's model says, with reasons.

        Raises
        ------
        InputError
            When the replay makes no signals.
        """
        if self._model is None:
            raise InputError("This replay makes no signals: give it a model, such as signal='10s'.")
        state = int(self._batch.meta[self._row]["state"])
        return read_signal(self._model, lambda name: float(self._batch[name][self._row]), state)

    @property
    def time(self) -> datetime:
        """Boundary as a UTC datetime (microseconds; `ts` has nanoseconds)."""
        return EPOCH + timedelta(microseconds=self.ts // 1000)

    @property
    def ts_event(self) -> int:
        """Venue time of the last group, UTC ns."""
        return int(self._batch.meta[self._row]["ts_event"])

    @property
    def sequence(self) -> int:
        """Sequence of the last group."""
        return int(self._batch.meta[self._row]["sequence"])

    @property
    def book(self) -> OrderBook:
        """The book at this boundary.

        Raises
        ------
        StaleFrame
            When iteration has moved on: the book has changed since.
        """
        if not self._live[0]:
            raise StaleFrame(
                f"The book of the frame at {format_time(self.ts)} is gone: iteration has moved on. "
                "Read frame.book inside the loop, or keep frame.book.bids() and .asks()."
            )
        return self._engine.book(int(self._batch.meta[self._row]["slot"]))

    def __getitem__(self, name: str) -> float | str | None:
        value = float(self._batch[name][self._row])
        if math.isnan(value):
            return None
        for column in self._batch.columns:
            if column.name == name and column.labels:
                return column.labels[int(value)]
        return value

    def to_dict(self) -> dict[str, float | str | int | None]:
        """Every value of the frame by name."""
        values = {c.name: self[c.name] for c in self._batch.columns}
        return {"ts": self.ts, "symbol": self.symbol, "state": self.state, **values}

    def __repr__(self) -> str:
        line = ", ".join(
            f"{name}={self[name]}"
            for name in ("best_bid", "best_ask", "mid", "ofi_1s")
            if any(c.name == name for c in self._batch.columns)
        )
        return f"Frame({format_time(self.ts)} {self.symbol} {self.state} {line})"


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
        signal=_always(signal),
    )
    model = None if signal is None else model_named(signal)

    def batches() -> Iterator[Batch]:
        for events in chunks_of(data, threads, None):
            yield from engine.frames(events)
        yield from engine.finish_frames()

    for batch in batches():
        for row in range(len(batch)):
            live = [True]
            yield Frame(engine, batch, row, live, model)
            live[0] = False
