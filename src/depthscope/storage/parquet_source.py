"""Parquet archives as sources: a whole run with its symbols in their order, or one file of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.market.events import empty_events
from depthscope.storage.archived import Archive, instrument_from_json
from depthscope.storage.manifest import FOLDER, HEAD, checksum, read_manifest
from depthscope.storage.parquet_rows import META, digest_of, events_of, meta_from

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from depthscope.market.events import Events
    from depthscope.market.source import SourceOptions
    from depthscope.storage.manifest import ArchivedFile, Piece

__all__ = ["FORMAT", "ParquetSource", "open_file", "sniff"]

FORMAT: Final = "parquet"
PARQUET: Final = b"PAR1"
MOST_FOOTER: Final = 64 << 20
STEP: Final = 65_536  # events put in order together


def sniff(path: Path, head: bytes) -> bool:
    """Whether a file is a manifest of an archive, or a Parquet file of one (others are none of ours)."""
    if path.parent.name == FOLDER and path.suffix == ".json":
        return True
    if head.startswith(HEAD):
        return True
    if not head.startswith(PARQUET):
        return False
    if any(part.startswith("venue=") for part in path.absolute().parts):
        return True
    with path.open("rb") as file:
        file.seek(-8, 2)
        size = int.from_bytes(file.read(4), "little")
        there = file.tell() - 4
        if size > min(there, MOST_FOOTER):
            return False
        file.seek(there - size)
        return META in file.read(size)


def open_file(path: Path, options: SourceOptions) -> ParquetSource | LoneFile:
    """Open a run by its manifest, or one Parquet file of an archive.

    Raises
    ------
    CorruptData
        When the manifest, or the file, is damaged or not there.
    FormatUnknown
        When a later version wrote it.
    ConfigError
        When `options.extra` names an option (this format has none), or a lot that is not the archived one.
    UnknownName
        When a symbol asked for is not in it.
    """
    return ParquetSource(path, options) if path.suffix == ".json" else LoneFile(path, options)


@dataclass(slots=True, eq=False)
class _Cursor:
    """A file of a run being read: events of it that have not been given yet."""

    file: ArchivedFile
    path: Path
    layout: Any = None
    group: int = 0  # to read next
    rows: Any = field(default_factory=lambda: np.zeros(0, np.int64))
    events: Events = field(default_factory=lambda: empty_events(0))

    @property
    def next(self) -> Piece | None:
        """The row group to read next."""
        return self.file.groups[self.group] if self.group < len(self.file.groups) else None

    def advance(self) -> str:
        """Read the next row group; what is wrong with it, or nothing."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        piece = self.file.groups[self.group]
        if checksum(self.path, piece.offset, piece.size) != piece.crc:
            return f"{self.path}: the bytes from {piece.offset:,} on do not fit their checksum"
        try:
            with pq.ParquetFile(self.path, metadata=self.layout, page_checksum_verification=True) as file:
                self.layout = file.metadata
                rows, events = events_of(file.read_row_group(self.group))
        except (OSError, ValueError, pa.ArrowException) as error:
            return f"{self.path}: {error}"
        self.group += 1
        self.rows, self.events = np.concatenate([self.rows, rows]), np.concatenate([self.events, events])
        return ""


class ParquetSource(Archive):
    """One run of a Parquet archive as a source: all symbols, in the order they were archived.

    Parameters
    ----------
    path : Path
        Its manifest.
    options : SourceOptions

    Attributes
    ----------
    info : SourceInfo
        Filled in as the run is read.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        super().__init__(path, options, FORMAT)
        self._manifest = manifest = read_manifest(path)
        self._root = path.parent.parent
        for file in manifest.files:
            self._add(*instrument_from_json(file.instrument))
        self._check_symbols()
        self.info.bytes_total = sum(file.size for file in manifest.files)
        self._tell(manifest.about)

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; each stays valid.

        May be called again: reading starts over.

        Raises
        ------
        CorruptData
            After all that came before the damage.
        """
        self.info.records = self.info.bytes_read = 0
        waiting = sorted(self._manifest.files, key=lambda file: file.groups[0].first, reverse=True)
        active: list[_Cursor] = []
        done, end = 0, self._manifest.events
        wrong = ""
        while done < end:
            if wrong:
                raise self._corrupt(wrong, done)
            bound = min(done + STEP, end)
            while waiting and waiting[-1].groups[0].first < bound:
                active.append(_Cursor(waiting[-1], self._root / waiting.pop().path))
            for cursor in active:
                while (piece := cursor.next) is not None and piece.first < bound:
                    found = ("" if cursor.group else self._check(cursor)) or cursor.advance()
                    self.info.bytes_read += piece.size
                    if found:  # what comes before it is given first
                        wrong, bound = found, piece.first
            block = self._merge(active, done, bound)
            active = [cursor for cursor in active if len(cursor.rows) or cursor.next]
            for start in range(0, len(block), self._options.chunk):
                piece_of = block[start : start + self._options.chunk]
                self.info.records = done = done + len(piece_of)
                yield piece_of

    def _check(self, cursor: _Cursor) -> str:
        """What is wrong with a file apart from its row groups, which are checked as they are read."""
        try:
            size, right = cursor.path.stat().st_size, cursor.file.size
            if size != right:
                return f"{cursor.path}: {size:,} bytes, where {right:,} were written"
            for piece in cursor.file.rest:
                self.info.bytes_read += piece.size
                if checksum(cursor.path, piece.offset, piece.size) != piece.crc:
                    return f"{cursor.path}: the bytes from {piece.offset:,} on do not fit their checksum"
        except OSError as error:
            return f"{cursor.path}: {error.strerror or error}"
        return ""

    def _merge(self, active: list[_Cursor], done: int, bound: int) -> Events:
        """The events of places from `done` up to `bound`, each of which is in one file."""
        block = empty_events(bound - done)
        there = np.zeros(bound - done, bool)
        for cursor in active:
            n = int(np.searchsorted(cursor.rows, bound))
            places = cursor.rows[:n] - done
            if n and (places[0] < 0 or there[places].any()):
                raise self._corrupt(f"{cursor.path}: events at places that are others'", done)
            block[places], there[places] = cursor.events[:n], True
            cursor.rows, cursor.events = cursor.rows[n:], cursor.events[n:]
        if not there.all():
            raise self._corrupt(f"{self.path}: events that are in none of its files", done)
        return block


class LoneFile(Archive):
    """One Parquet file of an archive as a source: one instrument and day, without the manifest.

    Parameters
    ----------
    path : Path
    options : SourceOptions
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(path, options, FORMAT)
        self.info.bytes_total = path.stat().st_size
        try:
            with pq.ParquetFile(path) as file:
                self._groups = file.metadata.num_row_groups
                key, instrument, self._digests = meta_from((file.metadata.metadata or {}).get(META, b""))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self._corrupt(f"{path}: {error}") from error
        self._add(key, instrument)
        self._check_symbols()
        self.info.dataset = instrument.venue

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; each stays valid.

        Raises
        ------
        CorruptData
            After all that came before the damage.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        done = self.info.records = 0
        if self._groups != len(self._digests):
            wrong = f"{self._groups} row groups, where {len(self._digests)} were written"
            raise self._corrupt(f"{self.path}: {wrong}")
        for group, digest in enumerate(self._digests):
            try:
                with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                    rows, events = events_of(file.read_row_group(group))
            except (OSError, ValueError, pa.ArrowException) as error:
                raise self._corrupt(f"{self.path}: {error}", done) from error
            if digest_of(rows, events) != digest:
                raise self._corrupt(f"{self.path}: row group {group} does not fit its checksum", done)
            done += len(events)
            self.info.records = done
            self.info.bytes_read = self.info.bytes_total * (group + 1) // len(self._digests)
            for start in range(0, len(events), self._options.chunk):
                yield events[start : start + self._options.chunk]
