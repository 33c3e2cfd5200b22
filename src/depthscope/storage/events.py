"""Event archives: events in a file of our own, several times faster to read than what they came from.

A header of 64 bytes (magic 8, version u2, header length u2, zero 48, CRC32C u4), then frames (see
:mod:`~depthscope.storage.frames`), whose sequence is the number of the first event they stand before:
ABOUT first, an INSTRUMENT before the first block with its events, EVENTS, and a SEAL that says how
many there are. A file without its seal has been cut off.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.errors import CorruptData, FormatUnknown
from depthscope.market.events import empty_events
from depthscope.market.keys import KeySet
from depthscope.market.source import SourceOptions
from depthscope.storage.archived import About, Archive, instrument_from_json, instrument_to_json
from depthscope.storage.event_blocks import BLOCK_ROWS, BlockReader, BlockWriter
from depthscope.storage.frames import Damage, Frame, FrameKind, FrameReader, Packer, crc32c
from depthscope.storage.outputs import Whole, whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from depthscope.market.events import Events
    from depthscope.market.source import Source

__all__ = ["FORMAT", "EventFile", "EventSource", "open_file", "sniff", "write_events"]

FORMAT: Final = "events"
SUFFIX: Final = ".events"
MAGIC: Final = b"DSEVT\r\n\x1a"
VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sHH48s")
HEADER_BYTES: Final = _HEADER.size + 4
BUFFERS: Final = 4  # a chunk stays valid until three more have been produced


@dataclass(frozen=True, slots=True)
class EventFile:
    """An event archive that was written.

    Parameters
    ----------
    path : Path
    events, size : int
        `size` in bytes.
    instruments : int
    """

    path: Path
    events: int
    size: int
    instruments: int


class _Writer:
    """Events into an open file."""

    def __init__(self, stream: Whole, source: Source) -> None:
        self._stream, self._source = stream, source
        self._packer, self._blocks = Packer(None), BlockWriter()
        self._keys = KeySet()
        self._held: list[Events] = []
        self._rows = 0  # held
        self.events = 0  # written
        self.instruments = 0
        self.digest = 0
        header = _HEADER.pack(MAGIC, VERSION, HEADER_BYTES, b"")
        stream.write(header + struct.pack("<I", crc32c(header)))
        self._put(FrameKind.ABOUT, json.dumps(About.of(source).to_json()).encode())

    def _put(self, kind: FrameKind, content: bytes) -> None:
        self._stream.write(self._packer.pack(kind, self.events, content))

    def add(self, events: Events) -> None:
        """Take a chunk of any length."""
        for start in range(0, len(events), BLOCK_ROWS):
            piece = events[start : start + BLOCK_ROWS].copy()
            self._held.append(piece)
            self._rows += len(piece)
            while self._rows >= BLOCK_ROWS:
                self._flush()

    def _flush(self) -> None:
        together = np.concatenate(self._held)
        block, rest = together[:BLOCK_ROWS], together[BLOCK_ROWS:]
        self._held, self._rows = [rest], len(rest)
        for key in self._keys.add(block):
            told = instrument_to_json(key, self._source.resolve(*key))
            text = json.dumps(told, ensure_ascii=False, sort_keys=True)
            self._put(FrameKind.INSTRUMENT, text.encode())
            self.instruments += 1
        self._put(FrameKind.EVENTS, self._blocks.write(block))
        self.digest = crc32c(block.view(np.uint8), self.digest)
        self.events += len(block)

    def end(self) -> None:
        """Write what is held, and the seal."""
        if self._rows:
            self._flush()
        told = {"events": self.events, "crc32c": self.digest, **About.of(self._source).to_json()}
        self._put(FrameKind.SEAL, json.dumps(told).encode())


def write_events(
    source: Source, path: Path, progress: Callable[[float, float], None] | None = None
) -> EventFile:
    """Write all events of a source to an event archive.

    It appears whole, durable and read back, or not at all.

    Parameters
    ----------
    source : Source
    path : Path
    progress : callable, optional
        Called with bytes of the source read and in all.

    Raises
    ------
    OutputError
        When it cannot be written.
    CorruptData
        When the source is damaged, or what was written does not read back as it was.
    UnknownInstrument
        When the tick of an instrument is not known.
    """
    with whole_file(path) as stream:
        writer = _Writer(stream, source)
        for events in source.chunks():
            writer.add(events)
            if progress is not None:
                progress(source.info.bytes_read, source.info.bytes_total)
        writer.end()
        stream.sync()
        if not _reads_back(stream.part, writer):
            raise CorruptData(
                f"{path} did not read back as it was written; nothing is left. See to the disk."
            )
    return EventFile(path, writer.events, path.stat().st_size, writer.instruments)


def _reads_back(path: Path, writer: _Writer) -> bool:
    """Read what was written, and compare."""
    digest, count = 0, 0
    try:
        for events in EventSource(path, SourceOptions()).chunks():
            digest, count = crc32c(events.view(np.uint8), digest), count + len(events)
    except (CorruptData, FormatUnknown):
        return False
    return (digest, count) == (writer.digest, writer.events)


def sniff(path: Path, head: bytes) -> bool:
    """Whether a file is an event archive: by content, or by name so that a damaged one is explained."""
    return head.startswith(MAGIC) or path.name.lower().endswith(SUFFIX)


def open_file(path: Path, options: SourceOptions) -> EventSource:
    """Open one event archive.

    Raises
    ------
    CorruptData
        When it is damaged before its first event.
    FormatUnknown
        When a later version wrote it.
    ConfigError
        When `options.extra` names an option (this format has none), or a lot that is not the archived one.
    UnknownName
        When a symbol asked for is not in it.
    """
    return EventSource(path, options)


class EventSource(Archive):
    """One event archive as a source of EVENT chunks (see `depthscope.market.source.Source`).

    Parameters
    ----------
    path : Path
    options : SourceOptions

    Attributes
    ----------
    info : SourceInfo
        Filled in as the file is read.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        super().__init__(path, options, FORMAT)
        self.info.bytes_total = path.stat().st_size
        self._check_header()
        self._outline()
        self._check_symbols()

    def _check_header(self) -> None:
        with self.path.open("rb") as file:
            head = file.read(HEADER_BYTES)
        right = len(head) == HEADER_BYTES and crc32c(head[:-4]) == int.from_bytes(head[-4:], "little")
        if not right:
            raise self._corrupt("the header of this event archive is damaged")
        magic, version, length, zero = _HEADER.unpack_from(head)
        if magic != MAGIC or version != VERSION or length != HEADER_BYTES or any(zero):
            raise FormatUnknown(
                f"{self.path} is of version {version} of the event archive; this program reads version "
                f"{VERSION}. Archive the original again, or use a later depthscope."
            )

    def _outline(self) -> None:
        """Learn the instruments and the origin: from one frame to the next, passing over the events."""
        reader = FrameReader(self.path, HEADER_BYTES)
        try:
            first = reader.at(HEADER_BYTES)
            if first is None or first.kind != FrameKind.ABOUT:
                raise self._corrupt("its first frame is damaged")
            about = About.from_json(json.loads(first.content))
            for kind, offset in reader.outline(first.end):
                if kind not in (FrameKind.INSTRUMENT, FrameKind.SEAL):
                    continue
                frame = reader.at(offset)
                if frame is None:  # reading the events will say what is wrong
                    break
                if frame.kind == FrameKind.INSTRUMENT:
                    self._enter(frame, 0)
                else:
                    about = About.from_json(json.loads(frame.content))
        finally:
            reader.close()
        self._tell(about)

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; each stays valid until three more have been produced.

        May be called again: reading starts over.

        Raises
        ------
        CorruptData
            After all that came before the damage.
        """
        reader, blocks = FrameReader(self.path, HEADER_BYTES), BlockReader()
        buffers = [empty_events(BLOCK_ROWS) for _ in range(BUFFERS)]
        done, size, sealed, turn = 0, self._options.chunk, False, 0
        self.info.records = self.info.bytes_read = 0
        try:
            for frame in reader:
                if isinstance(frame, Damage):
                    raise self._corrupt(f"{frame.reason} at byte {frame.offset:,}", done)
                if sealed or frame.sequence != done:
                    raise self._corrupt(f"a frame out of its place at byte {frame.offset:,}", done)
                self.info.bytes_read = frame.end
                sealed = frame.kind == FrameKind.SEAL
                if frame.kind == FrameKind.INSTRUMENT:
                    self._enter(frame, done)
                if frame.kind != FrameKind.EVENTS:
                    continue
                turn = (turn + 1) % BUFFERS
                try:
                    events = blocks.read(frame.content, buffers[turn])
                except ValueError as error:
                    raise self._corrupt(f"{error} at byte {frame.offset:,}", done) from error
                done += len(events)
                reader.expected = self.info.records = done
                for start in range(0, len(events), size):
                    yield events[start : start + size]
        finally:
            reader.close()
        if not sealed:
            raise self._corrupt("it has no end: it was cut off", done)

    def _enter(self, frame: Frame, done: int) -> None:
        try:
            self._add(*instrument_from_json(json.loads(frame.content)))
        except ValueError as error:
            raise self._corrupt(f"{error} at byte {frame.offset:,}", done) from error

    def _corrupt(self, what: str, done: int = 0) -> CorruptData:
        return super()._corrupt(f"{self.path}: {what}", done)
