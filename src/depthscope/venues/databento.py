"""Databento DBN files, versions 1 to 3 and DBZ: plain or zstd, whole or as fragments.

Order-by-order files take a fast path: the decompressor writes into one reused buffer and one
compiled function turns it into EVENTs without the interpreter lock. Every record's type and
length is checked on the way; at the first that is not a usual MBO record a general function
goes on from there, so mixed captures need no other reader. docs/NORMALIZATION.md says what
each schema becomes. The vendor's own packages are not needed to read a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.errors import (
    ConfigError,
    CorruptData,
    DepthscopeError,
    EmptyData,
    NoBookData,
    UnknownInstrument,
)
from depthscope.market.events import CLEAR, LOST
from depthscope.market.instruments import Capability
from depthscope.market.source import Scan, SourceInfo
from depthscope.venues import ZIP_MAGIC
from depthscope.venues import dbn_layout as layout
from depthscope.venues.dbn_definitions import Definition, read_beside, read_definitions
from depthscope.venues.dbn_header import is_dbz, is_fragment, open_records, open_stream, read_header
from depthscope.venues.dbn_probe import Probe, settle_properties
from depthscope.venues.dbn_symbols import Catalogue, Names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.keys import KeySet
    from depthscope.market.source import Key, SourceOptions
    from depthscope.venues.dbn_reader import Message, Reader
    from depthscope.venues.dbn_stream import ByteStream

FORMAT: Final = "dbn"
ADVICE: Final = "Fetch the file again; what came before the damage is good."


def sniff(path: Path, head: bytes) -> bool:
    """Whether a file is DBN: by content, or by name so that a damaged one is explained."""
    if head.startswith(ZIP_MAGIC):
        return any(name.endswith(layout.SUFFIXES) for name in head.decode("utf-8", "replace").split("\n"))
    return (
        head.startswith(b"DBN")
        or is_dbz(head)
        or is_fragment(head)
        or path.name.lower().endswith(layout.SUFFIXES)
    )


def main_file(path: Path) -> Path | None:
    """Return None for a definition file: it is read beside the data, never as data."""
    try:
        return None if read_header(path, brief=True).schema == "definition" else path
    except DepthscopeError:
        return path  # opening it will say what is wrong


def open_file(path: Path, options: SourceOptions) -> DbnSource:
    """Open one DBN file.

    Raises
    ------
    FormatUnknown, EmptyData, CorruptData
        When the file is something else, holds no record, or is damaged before the first one.
    ConfigError
        When `options.extra` names an option (this format has none).
    UnknownName
        When a symbol asked for is not in the file.
    """
    return DbnSource(path, options)


class DbnSource:
    """One DBN file as a source of EVENT chunks (see `depthscope.market.source.Source`).

    Parameters
    ----------
    path : Path
        The file.
    options : SourceOptions
        `tick` and `lot` win over definitions and the shipped table.

    Attributes
    ----------
    info : SourceInfo
        Filled in as the file is read.
    header : Header
        Its metadata.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        if options.extra:
            raise ConfigError(f"DBN files take no option {', '.join(sorted(options.extra))}.")
        self.path = path
        self._options = options
        self._defined: dict[Key, None] = {}
        self.header, stream = open_records(path)
        self.info = SourceInfo(
            str(path), FORMAT, self.header.schema, self.header.dataset, bytes_total=path.stat().st_size
        )
        self._note_header()
        probe = self._probe(stream)
        self._properties = settle_properties(self.header, probe, self.info.warnings)
        self._standing_warnings = list(self.info.warnings)
        types = probe.book_types
        self._no_book = not types and (self.header.schema != layout.MIXED or probe.whole)
        self._names = Names(self.header)
        capabilities = Capability(0)
        for rtype in types:
            capabilities |= layout.CAPABILITIES[rtype]
        self._catalogue = Catalogue(
            self.header, self._names, options, capabilities, self._beside, self.info.notes
        )
        # Books must be told apart or declared lost only where ids change meaning or messages occur.
        self._follow = self.header.schema == layout.MIXED or not self._names.steady
        if options.symbols and self._names.known:
            self._names.check(options.symbols, str(path))

    def _note_header(self) -> None:
        header, notes = self.header, self.info.notes
        notes["container"] = f"{header.kind} version {header.version}" if header.version else header.kind
        if header.stype_in:
            notes["symbols"] = f"{len(header.symbols):,} asked for as {header.stype_in}"

    def _probe(self, stream: ByteStream) -> Probe:
        try:
            probe = Probe(stream, ts_out=self.header.ts_out)
            if probe.records:
                return probe
            stream.check_end()
            damage = stream.damage
        finally:
            stream.close()
        if probe.left or damage:
            raise CorruptData(
                f"{self.path} is damaged or cut at its first record{f': {damage}' if damage else ''}. "
                f"0 records were read. Fetch it again."
            )
        raise EmptyData(
            f"{self.path} holds no record: only metadata ({self.info.dataset} {self.info.schema}). The "
            f"request it answers matched nothing, for example a holiday or a symbol that did not trade."
        )

    def _beside(self) -> list[Definition]:
        return read_beside(self.path, self.header.dataset, self.info)

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments resolved so far (`resolve` adds; `scan` of a definition file adds all)."""
        return self._catalogue.found

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When no argument, definition (in the file or beside it) or shipped table names its tick.
        """
        return self._catalogue.resolve(publisher, instrument_id)

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; each stays valid until three more have been produced.

        May be called again: reading starts over.

        Raises
        ------
        NoBookData
            At once, when the schema tells nothing of a book; `scan` still counts it.
        CorruptData
            After all that was readable.
        UnknownName
            At the end of a capture that never named a symbol asked for.
        """
        if self._no_book:
            raise NoBookData(
                f"{self.path} holds {self.info.schema} records. They say nothing about single orders, "
                f"levels, quotes or trades, so no book can be built of them. `depthscope info` counts "
                f"them; for a book take a mbo, mbp-10, mbp-1, bbo or trades file."
            )
        return self._chunks()

    def _chunks(self) -> Iterator[Events]:
        size = self._options.chunk
        for events in self._read():
            for start in range(0, len(events), size):
                yield events[start : start + size]
        if self._options.symbols:
            self._names.check(self._options.symbols, str(self.path))

    def _read(self, scan: Scan | None = None) -> Iterator[Events]:
        from depthscope.market.keys import KeySet
        from depthscope.venues.dbn_reader import Message, Reader

        header = self.header
        stream = open_stream(self.path, header)
        reader = Reader(
            stream, self._properties, self._options.chunk, ts_out=header.ts_out, start=header.start
        )
        keys = KeySet()
        self._names.rewind()
        self.info.warnings[:] = self._standing_warnings
        self.info.skipped.clear()
        try:
            for item in reader:
                if isinstance(item, Message):
                    yield from self._take(item, keys, reader)
                elif self._follow:
                    yield from self._named(item, keys)
                else:
                    yield item
                self.info.records = reader.records
                self.info.bytes_read = stream.position
        finally:
            self.info.bytes_read = stream.position
            stream.close()
            self._settle(reader)
            if scan is not None:
                _fill(scan, reader)
        if reader.damage:
            raise CorruptData(
                f"{self.path}: {reader.damage}. {reader.records:,} records were read up to there. {ADVICE}",
                reader.records,
            )

    def _named(self, events: Events, keys: KeySet) -> Iterator[Events]:
        """Give each event the id of its symbol, and clear books that go on under another id."""
        from depthscope.market.keys import mark

        names = self._names
        names.begin(int(events["ts_recv"][0]))
        while len(events) and int(events["ts_recv"].max()) >= names.due:
            at = int(np.argmax(events["ts_recv"] >= names.due))
            yield from self._translated(events[:at], keys)
            events = events[at:]
            now = int(events["ts_recv"][0])
            cleared = set(names.advance(now))
            yield mark(CLEAR, [key for key in keys if key[1] in cleared], now)
        yield from self._translated(events, keys)

    def _translated(self, events: Events, keys: KeySet) -> Iterator[Events]:
        if len(events):
            self._names.translate(events)
            keys.add(events)
            yield events

    def _take(self, message: Message, keys: KeySet, reader: Reader) -> Iterator[Events]:
        """Act on a record that is not an event."""
        from depthscope.market.keys import mark

        rtype, record = message
        now = reader.now
        if rtype == layout.RT_DEFINITION:
            definition = next(read_definitions(record, len(record)))
            reader.note_time(definition.ts)
            number = definition.instrument_id
            if definition.symbol and not self._names.named(number):
                self._names.assign(number, definition.symbol)
            self._catalogue.define(self._names.ours(number), definition)
            self._defined.setdefault((definition.publisher, self._names.ours(number)))
        elif rtype == layout.RT_MAPPING:
            row = _row(record, layout.MAPPING)
            asked, meant = (layout.text(bytes(row[f"stype_{way}_symbol"])) for way in ("in", "out"))
            again = self._names.assign(
                int(row["instrument_id"]), asked if meant.isdecimal() or not meant else meant
            )
            self._follow = True
            yield mark(CLEAR, [key for key in keys if key[1] == again], now)
        elif rtype == layout.RT_ERROR:
            row = _row(record, layout.ERROR)
            self.info.warnings.append(f"The gateway reported: {layout.text(bytes(row['text']))}")
            if len(record) >= 320 and row["code"] == layout.ERROR_SKIPPED_RECORDS:
                yield mark(LOST, list(keys), now)

    def _settle(self, reader: Reader) -> None:
        """Tell in `info` what was left out and what was odd."""
        from depthscope.venues import dbn_kernels as k

        info, state = self.info, reader.state
        info.records = reader.records
        for rtype in np.flatnonzero(reader.seen).tolist():
            kind = int(self._properties[rtype])
            name = layout.record_name(rtype)
            if kind & layout.P_IGNORE:
                info.skipped[f"{name} (told by finer records)"] = int(reader.seen[rtype])
            elif rtype not in layout.BOOK_TYPES:
                info.skipped[name] = int(reader.seen[rtype])
        if back := int(state[k.S_BACK]):
            info.warnings.append(
                f"{back:,} of {reader.records:,} records are older than one before them (by up to "
                f"{int(state[k.S_BACK_MAX]) / 1e9:.6f} s): they count at the later time."
            )
        if absent := int(state[k.S_NO_TIME]):
            info.warnings.append(f"{absent:,} records lack a receive or venue time: the other one stands in.")
        if odd := int(state[k.S_ODD]):
            info.warnings.append(
                f"{odd:,} records have an action or side that DBN does not know: taken as none."
            )
        if reader.damage:
            info.warnings.append(f"Reading ended early: {reader.damage}.")

    def scan(self) -> Scan:
        """Read the whole file and count it, whatever its schema; no book is built.

        Raises
        ------
        CorruptData
            When the file is damaged; `info` tells what was counted before.
        """
        from depthscope.market.keys import KeySet

        scan = Scan()
        keys = KeySet()
        actions = np.zeros(256, np.int64)
        self._defined.clear()
        for events in self._read(scan):
            actions += np.bincount(events["action"], minlength=256)
            keys.add(events)
        scan.actions = {chr(code): int(actions[code]) for code in np.flatnonzero(actions)}
        scan.keys = [*keys, *self._defined]
        without = 0
        for publisher, number in self._defined:
            try:
                self.resolve(publisher, number)
            except UnknownInstrument:
                without += 1
        if without:
            self.info.notes["definitions without a tick"] = f"{without:,}"
        return scan


def _row(record: bytes, layouts: dict[int, np.dtype[np.void]]) -> np.void:
    row: np.void = np.frombuffer(record, layout.fitting(layouts, len(record)), count=1)[0]
    return row


def _fill(scan: Scan, reader: Reader) -> None:
    from depthscope.venues import dbn_kernels as k

    scan.records = {
        layout.record_name(rtype): int(reader.seen[rtype]) for rtype in np.flatnonzero(reader.seen).tolist()
    }
    scan.start, scan.end = int(reader.state[k.S_FIRST]), reader.now
