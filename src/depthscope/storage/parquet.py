"""Parquet archives: events by venue, symbol and day, for other programs and for the long run.

Files are written beside, made durable, read back, compared, and only then given their names; the
manifest that says the run is complete comes last. Only then may what was archived be deleted.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np

from depthscope.errors import CorruptData
from depthscope.storage.archived import About, instrument_to_json
from depthscope.storage.disk import DISK
from depthscope.storage.manifest import FOLDER, ArchivedFile, Manifest, Piece, checksum
from depthscope.storage.outputs import Whole, unwound_by_signals, whole_file, writing
from depthscope.storage.parquet_rows import META, columns_of, digest_of, events_of, meta_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key, Source

__all__ = ["write_parquet"]

GROUP_ROWS: Final = 65_536  # of a row group
HELD_ROWS: Final = 2 << 20  # of all symbols together: 150 MB; then all is written as it is
DAY: Final = 86_400 * 10**9
_PACKED: Final = ("row", "ts_event", "ts_recv", "price_fixed", "lots", "order_id", "sequence")


@dataclass(slots=True, eq=False)
class _Part:
    """One file of a run while it is written."""

    path: Path
    name: str  # from the root
    key: Key
    instrument: Instrument
    out: Whole | None = None
    writer: Any = None
    held: list[tuple[Any, Events]] = field(default_factory=list)
    held_rows: int = 0
    firsts: list[int] = field(default_factory=list)  # first place, a row group each
    digests: list[int] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        """Its instrument."""
        return instrument_to_json(self.key, self.instrument)

    def _opened(self) -> Whole:
        """Its file, open from the first row group on."""
        import pyarrow.parquet as pq

        if self.out is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.out = Whole(self.path)
            self.writer = pq.ParquetWriter(
                self.out.stream,
                schema_of(),
                compression="zstd",
                write_page_checksum=True,
                use_dictionary=["action", "side", "price", "size"],
                column_encoding=dict.fromkeys(_PACKED, "DELTA_BINARY_PACKED"),
            )
        return self.out

    def flush(self) -> None:
        """Write what is held as one row group."""
        if not self.held_rows:
            return
        rows = np.concatenate([rows for rows, _ in self.held])
        events = np.concatenate([events for _, events in self.held])
        self.held, self.held_rows = [], 0
        with writing(self.path):
            self._opened()
            self.writer.write_table(columns_of(rows, events, self.instrument), row_group_size=len(rows))
        self.firsts.append(int(rows[0]))
        self.digests.append(digest_of(rows, events))

    def finish(self) -> ArchivedFile:
        """Write the file's end, read it back, and say what it is; it has not got its name yet."""
        self.flush()
        with writing(self.path):
            out = self._opened()
            self.writer.add_key_value_metadata({META: meta_of(self.told, self.digests)})
            self.writer.close()
        out.sync()
        return _described(self, out.part)

    def end(self) -> None:
        """Give it its name."""
        if self.out is not None:
            self.out.end()

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self.writer is not None:
            with suppress(OSError, ValueError):  # it wants to finish its file even so
                self.writer.close()
        if self.out is not None:
            self.out.abandon()
            self.path.unlink(missing_ok=True)


class _Run:
    """Events of all symbols into their files."""

    def __init__(self, source: Source, root: Path, run: str) -> None:
        self._source, self._root, self.run = source, root, run
        self._manifest = root / FOLDER / f"{run}.json"
        self.parts: dict[tuple[int, int, int], _Part] = {}
        self._held = 0
        self.events = 0

    def add(self, events: Events) -> None:
        """Take a chunk."""
        if not len(events):
            return
        rows = np.arange(self.events, self.events + len(events))
        self.events += len(events)
        day = events["ts_recv"] // DAY
        code = events["publisher"].astype(np.uint64) << np.uint64(32) | events["instrument_id"]
        order = np.lexsort((day, code))  # stable: places stay in order within each
        same = (np.diff(code[order]) == 0) & (np.diff(day[order]) == 0)
        cuts = [0, *(np.flatnonzero(~same) + 1).tolist(), len(events)]
        for begin, end in pairwise(cuts):
            which = order[begin:end]
            first = events[which[0]]
            place = (int(first["publisher"]), int(first["instrument_id"]), int(day[which[0]]))
            part = self.parts.get(place)
            if part is None:
                part = self.parts[place] = self._part(*place)
            part.held.append((rows[which], events[which]))
            part.held_rows += len(which)
            self._held += len(which)
            if part.held_rows >= GROUP_ROWS:
                self._flush(part)
        if self._held > HELD_ROWS:  # all at once: many symbols would else get a row group every few events
            for part in self.parts.values():
                self._flush(part)

    def _flush(self, part: _Part) -> None:
        self._held -= part.held_rows
        part.flush()

    def _part(self, publisher: int, number: int, day: int) -> _Part:
        instrument = self._source.resolve(publisher, number)
        date = str(np.datetime64(day, "D"))
        venue, symbol = quote(instrument.venue, safe=""), quote(instrument.symbol, safe="")
        name = f"venue={venue}/symbol={symbol}/date={date}/{self.run}-{publisher}-{number}.parquet"
        return _Part(self._root / name, name, (publisher, number), instrument)

    def end(self) -> Manifest:
        """Give all files their names once all of them have been read back, then write the manifest."""
        files = [part.finish() for part in self.parts.values()]
        for part in self.parts.values():
            part.end()
        manifest = Manifest(self.run, self.events, About.of(self._source), files)
        with writing(self._manifest.parent):
            self._manifest.parent.mkdir(parents=True, exist_ok=True)
            DISK.sync_folder(self._root)
        with whole_file(self._manifest) as out:
            out.write(manifest.to_bytes())
        return manifest

    def abandon(self) -> None:
        """Leave nothing behind: first the manifest goes, which says that the rest is there."""
        with suppress(OSError):  # it is not there, nor perhaps its folder
            self._manifest.unlink()
        for part in self.parts.values():
            part.abandon()
        _remove_empty(self._root, [self._manifest.parent, *(p.path.parent for p in self.parts.values())])


def write_parquet(
    source: Source, root: Path, progress: Callable[[float, float], None] | None = None
) -> Manifest:
    """Write all events of a source to a Parquet archive, beside what other runs have put there.

    The run appears whole, durable and read back, or not at all.

    Parameters
    ----------
    source : Source
    root : Path
        Folder of the archive, made if it is not there.
    progress : callable, optional
        Called with bytes of the source read and in all.

    Returns
    -------
    Manifest
        Of the run, which :mod:`~depthscope.storage.parquet_source` reads.

    Raises
    ------
    OutputError
        When it cannot be written.
    CorruptData
        When the source is damaged, or what was written does not read back as it was.
    UnknownInstrument
        When the tick of an instrument is not known.
    """
    run = _Run(source, root, secrets.token_hex(6))
    try:
        with unwound_by_signals():
            for events in source.chunks():
                run.add(events)
                if progress is not None:
                    progress(source.info.bytes_read, source.info.bytes_total)
            return run.end()
    except BaseException:
        run.abandon()
        raise


def _described(part: _Part, written: Path) -> ArchivedFile:
    """Read a file back, compare its events with what was to be written, and note its checksums."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wrong = CorruptData(f"{part.path} did not read back as it was written; nothing is left. See to the disk.")
    try:
        with pq.ParquetFile(written, page_checksum_verification=True) as file:
            layout = file.metadata
            read = [digest_of(*events_of(file.read_row_group(n))) for n in range(layout.num_row_groups)]
            spans = [_bytes_of(layout.row_group(n)) for n in range(layout.num_row_groups)]
            meta = (layout.metadata or {}).get(META)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise wrong from error
    if read != part.digests or meta != meta_of(part.told, part.digests):
        raise wrong
    groups, rest, at = [], [], 0
    for (begin, end), first in zip(spans, part.firsts, strict=True):
        if begin > at:
            rest.append(_piece(written, at, begin))
        groups.append(_piece(written, begin, end, first))
        at = end
    rest.append(_piece(written, at, written.stat().st_size))
    return ArchivedFile(part.name, part.told, groups, rest)


def _bytes_of(group: Any) -> tuple[int, int]:
    """Where a row group begins and ends in its file."""
    columns = [group.column(n) for n in range(group.num_columns)]
    starts = [
        min(c.data_page_offset, c.dictionary_page_offset) if c.has_dictionary_page else c.data_page_offset
        for c in columns
    ]
    ends = [start + c.total_compressed_size for start, c in zip(starts, columns, strict=True)]
    return min(starts), max(ends)


def _piece(path: Path, begin: int, end: int, first: int = -1) -> Piece:
    crc = checksum(path, begin, end - begin)
    if crc is None:
        raise CorruptData(f"{path} has become shorter than it was written. See to the disk.")
    return Piece(begin, end - begin, crc, first)


def _remove_empty(root: Path, folders: list[Path]) -> None:
    """Remove the folders of an abandoned run that are empty now, the root too."""
    for folder in folders:
        for one in (folder, *folder.parents):
            if one == root.parent:
                break
            try:
                one.rmdir()
            except OSError:  # it is not empty, or was never made
                break
