"""The engine: events in, samples and features out. Live, replay and batch all feed this.

Three laws hold and are tested: any split of the stream gives the same bytes; a recorded live
session replays to the same bytes; time comes only from the events.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.book import state as s
from depthscope.book.groups import OpenGroups
from depthscope.book.state import COUNTERS, Books
from depthscope.book.view import OrderBook
from depthscope.errors import CorruptData, InputError, UnknownName
from depthscope.features import driver as d
from depthscope.features.batch import META, NOTHING_FOUND, Batch, heads_of, joined, meta_of, nearest
from depthscope.features.components import Components
from depthscope.features.kit import CONTEXT
from depthscope.jit import direct
from depthscope.market.events import EVENT, Events
from depthscope.market.layouts import TRACE_EVERY
from depthscope.market.times import format_time, parse_every
from depthscope.signals.members import members_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from depthscope.features.kit import Column, Setting
    from depthscope.market.instruments import Instrument
    from depthscope.signals.model import Model

__all__ = ["META", "Batch", "Engine", "EngineSnapshot"]

SAMPLE_ROWS: Final = 2048
N_FOUND: Final = list(CONTEXT.names or ()).index("n_found")  # all of CONTEXT are int64


def _first_step(*arguments: object) -> int:
    # Not through the dispatcher: for events that must not be written to it would compile once more.
    code: int = direct(d.step)(*arguments)
    return code


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """Everything an engine knows at one moment (opaque; give it to `Engine.restore`)."""

    books: Books
    components: Components
    slots: tuple[Instrument, ...]
    keys: tuple[tuple[int, int], ...]
    pending: npt.NDArray[Any]
    incomplete_groups: int


class Engine:
    """Books and features of any number of instruments.

    Parameters
    ----------
    resolve : callable
        ``resolve(publisher, instrument_id) -> Instrument``, asked once per new instrument.
    every : str or int
        Row grid: a duration (``"100ms"``, ``"1s"``), nanoseconds, or ``"event"`` for one row
        per LAST group.
    features : iterable of str, optional
        Features or columns wanted; None for all, an empty list for none.
    detectors : iterable of str, optional
        Detectors wanted; None for all, an empty list (the default) for none.
    sensitivity : str
        Preset of the detectors' settings: ``"low"``, ``"medium"`` or ``"high"``.
    sparse : bool
        Leave out grid rows of instruments that saw no group since their previous row.
    symbols : collection of str, optional
        Keep books and rows of these alone; the others still move the clock. None keeps all.
    settings : mapping of str to float, str or a fitted model, optional
        Settings of features and detectors that differ from their defaults.
    signal : callable, optional
        ``signal(instrument) -> Model``: also make signal columns, with what features and detectors
        they need.
    keep_samples : bool
        Also return the SAMPLE rows.

    Examples
    --------
    >>> engine = Engine(source.resolve, every="1s")                      # doctest: +SKIP
    >>> batches = [engine.process(events) for events in source.chunks()] # doctest: +SKIP
    """

    def __init__(
        self,
        resolve: Callable[[int, int], Instrument],
        *,
        every: str | int = "100ms",
        features: Iterable[str] | None = None,
        detectors: Iterable[str] | None = (),
        sensitivity: str = "medium",
        sparse: bool = False,
        symbols: Iterable[str] | None = None,
        settings: Mapping[str, Setting] | None = None,
        signal: Callable[[Instrument], Model] | None = None,
        keep_samples: bool = False,
    ) -> None:
        self._resolve = resolve
        self._wanted = None if symbols is None else frozenset(symbols)
        self.every = parse_every(every)
        self.slots: list[Instrument] = []
        self._keys: list[tuple[int, int]] = []
        self._books = Books(d.TRACE_ROWS, SAMPLE_ROWS)
        members = members_of(features, detectors, sensitivity, signal)
        self._components = Components(members, self.every, settings)
        self.keep_samples = keep_samples
        self._driver = np.zeros(d.D_SIZE, np.int64)
        self._out = np.zeros((1, 1))
        self._open = OpenGroups()
        self.incomplete_groups = 0
        self._drained: list[Batch] = []
        context = self._books.context
        context[s.C_STEP] = self.every
        context[s.C_SPARSE] = sparse
        context[s.C_TRACE_CAP] = d.BLOCK_ROWS
        context[s.C_TRACE_OF] = self._components.traced
        self._step: Any = _first_step
        self._bind()
        self._empty = Batch(np.zeros(0, META), np.zeros((len(self.columns), 0)), self.columns)

    # ---- what it knows ------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column, ...]:
        """Feature columns, in order."""
        return self._components.columns

    @property
    def symbols(self) -> list[str]:
        """Symbols in order of first appearance."""
        return [instrument.symbol for instrument in self.slots]

    @property
    def clock(self) -> int:
        """Receive time of the last complete group, UTC ns (0 before the first)."""
        return int(self._books.context[s.C_CLOCK])

    def slot(self, symbol: str | int) -> int:
        """Slot of `symbol`; one listed by several publishers is named ``SYMBOL@publisher``.

        Raises
        ------
        UnknownName
            With the nearest symbols.
        """
        if isinstance(symbol, int):
            if 0 <= symbol < len(self.slots):
                return symbol
            raise UnknownName(f"There is no instrument number {symbol}; there are {len(self.slots)}.")
        name, _, publisher = symbol.partition("@")
        for k, instrument in enumerate(self.slots):
            if instrument.symbol == symbol:
                return k
            if publisher and instrument.symbol == name and str(self._keys[k][0]) == publisher:
                return k
        raise UnknownName(nearest(symbol, self.symbols, "symbol seen so far"))

    def book(self, symbol: str | int) -> OrderBook:
        """Read-only view of the present book of `symbol` (or slot), valid until the next call."""
        slot = self.slot(symbol)
        return OrderBook(self._books, slot, self.slots[slot])

    def unavailable(self, symbol: str | int) -> tuple[str, ...]:
        """Names of the features and detectors the feed of `symbol` (or slot) cannot support."""
        return self._components.unavailable(self.slot(symbol))

    def counters(self, symbol: str | int) -> dict[str, int]:
        """Integrity counters of `symbol` (or slot): groups, unknown cancels, crossed, gaps and so on."""
        book = self._books.books[self.slot(symbol)]
        found = {name: int(book[name]) for name in COUNTERS}
        found["groups"] += int(book["row_groups"])  # not yet in any row
        return found

    # ---- running ------------------------------------------------------------------------

    def process(self, events: Events) -> Batch:
        """Take the next events; returns the rows they completed.

        Parameters
        ----------
        events : structured array (n,) of EVENT
            In receive order. Not kept, not written to.

        Returns
        -------
        Batch
        """
        # Straight through for what a live feed hands over: whole groups, or records that close one.
        cells = self._cells
        if events.dtype is not EVENT or events.ndim != 1:  # the usual ones need no call, here and below
            self._checked(events)
        whole = self._open.closed_by(events) if self._open.n and len(events) else events
        if whole is None:
            for _ in self._run(events, stop=False):
                raise AssertionError("the kernel stopped at a boundary unasked")
            return self._collect()
        if not len(whole):
            return self._empty
        whole = whole.copy() if self._books.infers else np.ascontiguousarray(whole)
        cells[s.C_STOP], cells[s.C_N], cells[s.C_POS] = 0, len(whole), 0
        code = self._step(self._context_address, self._driver_address, whole)
        if code == s.REGROUP and len(whole) == 1:  # the first record of a group
            self._open.keep(whole)
        elif code != s.DONE:
            for _ in self._work(whole, code, stop=False):
                raise AssertionError("the kernel stopped at a boundary unasked")
        elif not cells[s.C_SAMPLE_N]:
            if not self._frame_cells[N_FOUND]:
                return self._empty
        else:
            self._drain()
        return self._collect()

    def frames(self, events: Events) -> Iterator[Batch]:
        """Take `events` like `process`, but pause at each boundary: books are then as of that boundary."""
        for _ in self._run(events, stop=True):
            yield self._collect()
        rest = self._collect()
        if len(rest) or len(rest.detections):
            yield rest

    def pieces(self, events: Events) -> Iterator[Batch]:
        """Take `events` like `process`, but hand rows over two thousand or so at a time.

        Memory stays bounded however many rows lie between two events (a night on a fine grid).
        """
        for _ in self._run(events, stop=False, often=True):
            yield self._collect()
        yield self._collect()

    def finish(self) -> Batch:
        """End the stream: rows up to its last event; groups left incomplete are dropped and counted."""
        for _ in self._finish(stop=False):
            raise AssertionError("the kernel stopped at a boundary unasked")
        return self._collect()

    def finish_frames(self) -> Iterator[Batch]:
        """Like `finish`, but pauses at each boundary."""
        for _ in self._finish(stop=True):
            yield self._collect()

    def trace_blocks(
        self, events: Events, of: int = TRACE_EVERY
    ) -> Iterator[tuple[Events, npt.NDArray[Any]]]:
        """Run the books alone over `events` and yield (events, TRACE rows) block by block.

        Rows of the grid and features are not made.

        Parameters
        ----------
        events : structured array (n,) of EVENT
            In receive order. Not kept, not written to.
        of : int
            Which events get a row: TRACE_TRADES, TRACE_FLOW, TRACE_EVERY or several together, from
            `depthscope.market.layouts`.

        Yields
        ------
        events : structured array of EVENT
            The records that rows tell of, among others: a row's is number ``row["event"]``.
        rows : structured array of TRACE
            Scratch memory, valid until the next block. Instruments not asked for have no rows.
        """
        context = self._books.context
        mode = [s.C_STEP, s.C_TRACE_OF, s.C_TRACE_CAP]
        kept = context[mode]
        context[mode] = 1 << 62, of, d.TRACE_ROWS
        try:
            for piece in self._open.complete(self._checked(events)):
                yield from self._traced(piece)
        finally:
            context[mode] = kept
            context[s.C_TRACE_N] = 0  # who leaves early leaves rows behind

    def _traced(self, chunk: Events) -> Iterator[tuple[Events, npt.NDArray[Any]]]:
        """Run the books alone over a chunk; yields what `trace_blocks` does."""
        context = self._books.context
        alone = np.zeros(d.D_SIZE, np.int64)
        alone[d.D_N] = -1
        queue = deque([chunk])
        while queue:
            chunk = self._books.own(queue.popleft())
            context[s.C_N], context[s.C_POS] = len(chunk), 0
            while True:
                code = self._step(self._context_address, alone.ctypes.data, chunk)
                n = int(context[s.C_TRACE_N])
                if n:
                    yield chunk, self._books.trace[:n]
                    context[s.C_TRACE_N] = 0
                if code == s.DONE:
                    break
                if code == s.REGROUP:
                    queue.extendleft(self._regroup(chunk))
                    break
                self._serve(code, chunk)
                chunk = self._books.own(chunk) if code == s.NEED_SLOT else chunk

    def _run(self, events: Events, *, stop: bool, often: bool = False) -> Iterator[None]:
        """Run the kernel over complete groups; yields at each boundary (`stop`) or now and then (`often`)."""
        self._cells[s.C_STOP] = stop
        for chunk in self._open.complete(self._checked(events)):
            yield from self._work(chunk, None, stop=stop, often=often)

    def _work(self, chunk: Events, code: int | None, *, stop: bool, often: bool = False) -> Iterator[None]:
        """Work a chunk off; `code` is why the kernel stopped in it, if it has been there."""
        cells = self._cells
        queue = deque([chunk])
        while queue:
            chunk = self._books.own(queue.popleft())
            if code is None:
                cells[s.C_N], cells[s.C_POS] = len(chunk), 0
            while True:
                if code is None:
                    code = self._step(self._context_address, self._driver_address, chunk)
                why, code = code, None
                if cells[s.C_SAMPLE_N]:
                    if why == d.NEED_RING:
                        self._serve(why, chunk)
                        continue
                    self._drain()
                    if stop and why in (s.BOUNDARY, s.RECENTRE):
                        if why == s.RECENTRE:
                            self._serve(why, chunk)
                        yield
                        continue
                    if often:
                        yield
                if why == s.DONE:
                    break
                if why == s.REGROUP:
                    queue.extendleft(self._regroup(chunk))
                    break
                self._serve(why, chunk)
                chunk = self._books.own(chunk) if why == s.NEED_SLOT else chunk

    def _regroup(self, chunk: Events) -> list[Events]:
        """Order what the kernel found interleaved or unfinished; keeps the unfinished groups."""
        ordered = self._open.settle(chunk[int(self._books.context[s.C_POS]) :])
        return [ordered] if len(ordered) else []

    def _checked(self, events: Events) -> Events:
        """Return `events`; anything but EVENT records is refused."""
        if len(events) and (events.dtype != EVENT or events.ndim != 1):
            raise InputError(
                f"The engine takes a row of EVENT records, not {events.dtype} in {events.ndim} dimensions; "
                "decode the feed first."
            )
        return events

    def _finish(self, *, stop: bool) -> Iterator[None]:
        rest = self._open.held
        end = max(self.clock, int(rest["ts_recv"].max()) if len(rest) else 0)
        if len(rest):
            self.incomplete_groups += len(np.unique(rest[["publisher", "instrument_id"]]))
        self._open = OpenGroups()
        context = self._books.context
        context[s.C_STOP] = stop
        context[s.C_CLOCK] = end  # the stream's last record, of a complete group or not
        while True:
            code = d.finish_step(self._context_address, self._driver_address)
            if code != d.NEED_RING and context[s.C_SAMPLE_N]:
                self._drain()
                if stop:
                    yield
            if code == s.DONE:
                return
            self._serve(code, rest)

    def _serve(self, code: int, chunk: Events) -> None:
        """Give the kernel what it stopped for."""
        books, context = self._books, self._books.context
        slot = int(context[s.C_NEED_SLOT])
        if code == s.NEED_SLOT:
            event = chunk[int(context[s.C_POS])]
            publisher, number = int(event["publisher"]), int(event["instrument_id"])
            instrument = self._resolve(publisher, number)
            if self._wanted is not None and instrument.symbol not in self._wanted:
                books.ignore(publisher, number)
                return
            books.add(publisher, number, instrument)
            self._components.add(instrument)
            self.slots.append(instrument)
            self._keys.append((publisher, number))
            self._bind()
        elif code == s.NEED_ORDERS:
            books.grow_orders(slot)
        elif code == s.NEED_FAR:
            books.grow_far(slot, int(context[s.C_NEED_SIDE]))
        elif code == s.NEED_BIG:
            books.grow_big()
        elif code == s.RECENTRE:
            books.recentre(slot, int(context[s.C_NEED_TICK]), int(context[s.C_NEED_WIDTH]))
        elif code == s.LEAP:
            reached, far = int(context[s.C_NEXT]), int(chunk["ts_recv"].max()) if len(chunk) else self.clock
            raise CorruptData(
                f"Receive time leaps from {format_time(reached)} to {format_time(far)}: a row at every "
                "boundary between would be meaningless. A timestamp is damaged, or files far apart were "
                "put together; ask for sparse rows (sparse=True, --sparse) or every='event' to go on."
            )
        elif code == d.NEED_RING:
            self._components.serve(int(self._driver[d.D_COMPONENT]))
        elif code not in (s.FLUSH, s.BLOCK, s.BOUNDARY):
            raise AssertionError(f"unknown kernel code {code}")

    def _bind(self) -> None:
        """Size the output to the sample buffer and tell the driver where everything is."""
        # An odd number of cache lines: columns a power of two apart would all fall into one cache set.
        rows = (len(self._books.samples) // 8 + 1 | 1) * 8
        if self._out.shape != (max(1, len(self.columns)), rows):
            self._out = np.zeros((max(1, len(self.columns)), rows))
        self._lines = self._out[: len(self.columns)]
        self._heads = heads_of(self._books.samples)
        driver = self._driver
        driver[d.D_TABLE] = self._components.table.ctypes.data
        driver[d.D_N] = len(self._components.members)
        driver[d.D_OUT] = self._out.ctypes.data
        driver[d.D_STRIDE] = rows
        driver[d.D_FRAME] = self._components.frame.ctypes.data
        self._context_address = self._books.context.ctypes.data
        self._cells: Any = self._books.context.data  # reading one number costs half of numpy's
        self._driver_address = driver.ctypes.data
        self._frame_cells: Any = self._components.frame.view(np.int64).data
        if self.slots and self._step is _first_step:  # not sooner, as this would wait for the compiler
            self._step = direct(d.step)

    def _drain(self) -> None:
        """Copy the finished rows out of the kernel's buffers."""
        cells = self._cells
        n = cells[s.C_SAMPLE_N]
        meta = meta_of(self._heads[:n])
        values = self._lines[:, :n].copy()
        self._components.blank(values, meta["slot"])
        samples = self._books.samples[:n].copy() if self.keep_samples else None
        found = self._components.take_found() if self._frame_cells[N_FOUND] else NOTHING_FOUND
        self._drained.append(Batch(meta, values, self.columns, samples, found))
        cells[s.C_SAMPLE_N] = 0
        cells[s.C_FLUSHES] += 1
        self._driver[d.D_DONE] = 0

    def _collect(self) -> Batch:
        """Take the drained rows as one batch."""
        if self._frame_cells[N_FOUND]:
            self._drain()
        pieces, self._drained = self._drained, []
        if not pieces:
            return self._empty
        return pieces[0] if len(pieces) == 1 else joined(pieces)

    def reserve(self, instruments: int) -> None:
        """Take memory for the windows of busy instruments now, 2 MiB each: a long run grows less.

        Parameters
        ----------
        instruments : int
            How many to expect.
        """
        self._components.reserve(instruments)

    def snapshot(self) -> EngineSnapshot:
        """Copy of the whole state: books, features, clock, groups still open."""
        return EngineSnapshot(
            self._books.copy(),
            self._components.copy(),
            tuple(self.slots),
            tuple(self._keys),
            self._open.held.copy(),
            self.incomplete_groups,
        )

    def restore(self, snapshot: EngineSnapshot) -> None:
        """Go back to a `snapshot` of this engine (or of one made with the same arguments)."""
        if snapshot.components.names != self._components.names:
            raise InputError(
                "The snapshot was taken with other features or detectors; make the engine with the same ones."
            )
        self._books = snapshot.books.copy()
        self._components = snapshot.components.copy()
        self.slots, self._keys = list(snapshot.slots), list(snapshot.keys)
        self._open = OpenGroups(snapshot.pending.copy())
        self.incomplete_groups = snapshot.incomplete_groups
        self._drained = []
        self._bind()

    def __repr__(self) -> str:
        every = "event" if self.every == 0 else f"{self.every / 1e6:g}ms"
        names = ", ".join(self.symbols[:8]) + (" …" if len(self.slots) > 8 else "")
        return f"Engine(every={every}, {len(self.columns)} columns, instruments: {names or 'none yet'})"
