"""Several files as one source: in order of time, merged where they overlap, books reset between."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.errors import CorruptData, EmptyData, InputError, NoBookData, UnknownInstrument, UnknownName
from depthscope.market.events import CLEAR, empty_events
from depthscope.market.source import SourceInfo

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.keys import KeySet
    from depthscope.market.source import Key, Source, SourceOptions
    from depthscope.venues import Venue

TOP_ID: Final = 0xFFFF_FFFF
SHOWN: Final = 6  # names listed in a message before "and n more"


@dataclass(slots=True)
class Part:
    """One file (or group of files that is read as one) of a sequence."""

    path: Path
    module: Venue
    first: int = 0  # receive time of its first event, UTC nanoseconds
    size: int = 0  # bytes


@dataclass(slots=True, eq=False)
class _Cursor:
    """A part being read: its current events and their running latest receive time."""

    part: Part
    source: Source
    keys: KeySet
    pieces: Iterator[Events]
    events: Events = field(default_factory=lambda: empty_events(0))
    clock: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    moved: dict[Key, Key] = field(default_factory=dict)
    entered: list[Key] = field(default_factory=list)
    latest: int = 0

    def advance(self) -> bool:
        """Take the next piece; False at the end."""
        for events in self.pieces:
            if len(events):
                self.events = events
                self.clock = np.maximum.accumulate(np.maximum(events["ts_recv"], self.latest))
                self.latest = int(self.clock[-1])
                return True
        self.events = self.events[:0]
        return False

    def take(self, bound: int) -> tuple[Events, npt.NDArray[np.int64]]:
        """Split off the events up to and at a time."""
        n = int(np.searchsorted(self.clock, bound, "right"))
        taken = self.events[:n], self.clock[:n]
        self.events, self.clock = self.events[n:], self.clock[n:]
        return taken


class FileSequence:
    """Several files of one format and schema as one source.

    Every symbol keeps one (publisher, instrument) key through all files, although the files may
    number it differently; a key that means another symbol in a later file is replaced there.

    Parameters
    ----------
    parts : sequence of Part
        In any order.
    options : SourceOptions
        With `continuous`, books live on from one file to the next.
    label : str
        What the user named, for messages.

    Attributes
    ----------
    info : SourceInfo
        Sums over the files; warnings name their file.
    left_out : list of str
        Files without any event, and why.

    Raises
    ------
    EmptyData
        When no file holds an event.
    InputError
        When the files are of several schemas.
    UnknownName
        When a symbol asked for is in none of them.
    """

    def __init__(self, parts: Sequence[Part], options: SourceOptions, label: str) -> None:
        self._options = replace(options, symbols=None)
        self.left_out: list[str] = []
        self.info = SourceInfo(label, parts[0].module.FORMAT)
        self._missing = set(options.symbols or ())
        self._hint = ""
        self._no_book = False
        schemas: dict[str, list[str]] = {}
        datasets: dict[str, None] = {}
        self._parts: list[Part] = []
        for part in parts:
            source = self._look(part)
            if source is not None:
                self._parts.append(part)
                schemas.setdefault(source.info.schema, []).append(part.path.name)
                datasets[source.info.dataset] = None
        if not self._parts:
            kind = NoBookData if self._no_book else EmptyData
            raise kind(
                f"None of the {len(parts)} files of {label} holds an event of a book: "
                f"{listed(self.left_out)}. `depthscope info` tells what a single one holds."
            )
        if len(schemas) > 1:
            told = "; ".join(f"{name}: {listed(files)}" for name, files in sorted(schemas.items()))
            raise InputError(
                f"These files are of several schemas ({told}), which may tell the same market twice. Name "
                f"the files of one schema, for example with a glob."
            )
        if self._missing:
            raise UnknownName(
                f"None of the files of {label} has {', '.join(sorted(self._missing))}. {self._hint}"
            )
        self._parts.sort(key=lambda part: (part.first, str(part.path)))
        self.info.schema = next(iter(schemas))
        self.info.dataset = ", ".join(datasets)
        self.info.bytes_total = sum(part.size for part in self._parts)
        self.info.notes["files"] = f"{len(self._parts)}"
        self._ours: dict[tuple[str, str, int] | Key, Key] = {}
        self._origin: dict[Key, tuple[Source, Key]] = {}
        self._found: dict[Key, Instrument] = {}

    def _look(self, part: Part) -> Source | None:
        """Open a part and find its first event; None when it has none."""
        try:
            source = part.module.open_file(part.path, self._options)
            chunks: Generator[Events] | Iterator[Events] = iter(source.chunks())
            first = next((events for events in chunks if len(events)), None)
            _close(chunks)
        except (EmptyData, NoBookData) as error:
            self._no_book = self._no_book or isinstance(error, NoBookData)
            self.left_out.append(
                f"{part.path.name} ({'no book data' if isinstance(error, NoBookData) else 'no record'})"
            )
            return None
        if first is None:
            self.left_out.append(f"{part.path.name} (no event)")
            return None
        part.first = int(first["ts_recv"][0])
        part.size = source.info.bytes_total
        self._missing = {name for name in self._missing if not self._has(part, name)}
        return source

    def _has(self, part: Part, symbol: str) -> bool:
        try:
            part.module.open_file(part.path, replace(self._options, symbols=frozenset([symbol])))
        except UnknownName as error:
            self._hint = str(error)
            return False
        return True

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments met so far."""
        return self._found

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When nothing names its tick.
        """
        key = (publisher, instrument_id)
        if key not in self._found:
            source, original = self._origin.get(key, (None, key))
            if source is None:
                raise UnknownInstrument(
                    f"Instrument {instrument_id} of publisher {publisher} has not been met yet in "
                    f"{self.info.path}."
                )
            self._found[key] = source.resolve(*original)
        return self._found[key]

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays of all files; each stays valid until three more have been produced.

        Raises
        ------
        CorruptData
            After all that was readable; later files are not read.
        InputError
            When two files that overlap in time hold the same instrument.
        """
        waiting = deque(self._parts)
        active: list[_Cursor] = []
        ended: dict[Key, None] = {}
        done = SourceInfo("", "")
        try:
            while waiting or active:
                if not active:
                    self._join(active, waiting.popleft(), ended)
                bound = min(cursor.latest for cursor in active)
                while waiting and waiting[0].first <= bound:
                    self._join(active, waiting.popleft(), ended)
                    bound = min(cursor.latest for cursor in active)
                if len(active) == 1:
                    yield active[0].events
                    active[0].events = active[0].events[:0]
                else:
                    yield from self._merge(active, bound)
                for cursor in [cursor for cursor in active if not len(cursor.events)]:
                    if not cursor.advance():
                        active.remove(cursor)
                        ended.update(dict.fromkeys(cursor.entered))
                        _add(done, cursor)
                self._tell(done, active)
        except CorruptData as error:
            self._tell(done, active)
            raise CorruptData(
                str(error), done.records + sum(c.source.info.records for c in active)
            ) from error
        finally:
            for cursor in active:
                _close(cursor.pieces)

    def _join(self, active: list[_Cursor], part: Part, ended: dict[Key, None]) -> None:
        """Begin a part, clearing the books of the parts that have ended.

        While others go on, only books that the new part takes up again are cleared: a quiet
        symbol's file may simply end before the day does.
        """
        from depthscope.market.keys import KeySet

        source = part.module.open_file(part.path, self._options)
        cursor = _Cursor(part, source, KeySet(), iter(()))
        cleared = [] if active else list(ended)
        for key in cleared:
            del ended[key]
        active.append(cursor)
        cursor.pieces = self._pieces(cursor, active, cleared, ended)
        cursor.advance()

    def _pieces(
        self, cursor: _Cursor, active: list[_Cursor], cleared: list[Key], ended: dict[Key, None]
    ) -> Iterator[Events]:
        """Yield a part's chunks with our keys, and one CLEAR for each book that must begin anew."""
        from depthscope.market.keys import mark

        reset = not self._options.continuous
        if cleared and reset:
            yield mark(CLEAR, cleared, cursor.part.first)
        chunks = iter(cursor.source.chunks())
        try:
            for events in chunks:
                entered = [self._enter(cursor, key, active) for key in cursor.keys.add(events)]
                again = [key for key in entered if key in ended]
                for key in again:
                    del ended[key]
                if again and reset:
                    yield mark(CLEAR, again, int(events["ts_recv"][0]))
                if cursor.moved:
                    publisher, number = events["publisher"], events["instrument_id"].copy()
                    for old, new in cursor.moved.items():
                        events["instrument_id"][(publisher == old[0]) & (number == old[1])] = new[1]
                yield events
        finally:
            _close(chunks)

    def _enter(self, cursor: _Cursor, key: Key, active: list[_Cursor]) -> Key:
        """Give a key of a file the key its symbol has in all files."""
        identity: tuple[str, str, int] | Key
        try:
            instrument = cursor.source.resolve(*key)
            identity = (instrument.venue, instrument.symbol, key[0])
        except UnknownInstrument:
            identity = key
        ours = self._ours.get(identity)
        if ours is None:
            ours = key
            while ours in self._origin:
                ours = (key[0], (ours[1] if ours != key else TOP_ID + 1) - 1)
            self._ours[identity] = ours
            self._origin[ours] = (cursor.source, key)
        for other in active:
            if other is not cursor and ours in other.entered:
                raise InputError(
                    f"{other.part.path.name} and {cursor.part.path.name} overlap in time and both hold "
                    f"{identity[1]}: it would be counted twice. Name one of them."
                )
        cursor.entered.append(ours)
        if ours != key:
            cursor.moved[key] = ours
        return ours

    def _merge(self, active: list[_Cursor], bound: int) -> Iterator[Events]:
        """Yield what all active parts hold up to a time, in order of receive time."""
        taken = [cursor.take(bound) for cursor in active]
        events = np.concatenate([piece for piece, _ in taken])
        order = np.argsort(np.concatenate([clock for _, clock in taken]), kind="stable")
        events = events[order]
        size = self._options.chunk
        for start in range(0, len(events), size):
            yield events[start : start + size]

    def _tell(self, done: SourceInfo, active: list[_Cursor]) -> None:
        total = SourceInfo("", "", bytes_read=done.bytes_read, records=done.records)
        total.skipped, total.warnings = dict(done.skipped), list(done.warnings)
        for cursor in active:
            _add(total, cursor)
        self.info.bytes_read, self.info.records = total.bytes_read, total.records
        self.info.skipped, self.info.warnings = total.skipped, total.warnings


def listed(names: Sequence[str]) -> str:
    """Names for a message: the first few and how many more."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _add(total: SourceInfo, cursor: _Cursor) -> None:
    info = cursor.source.info
    total.bytes_read += info.bytes_read
    total.records += info.records
    for reason, count in info.skipped.items():
        total.skipped[reason] = total.skipped.get(reason, 0) + count
    total.warnings += [f"{cursor.part.path.name}: {warning}" for warning in info.warnings]


def _close(chunks: Iterator[Events]) -> None:
    """Let a reader close its file now rather than when it is collected."""
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
