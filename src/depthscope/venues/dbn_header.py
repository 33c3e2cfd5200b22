"""DBN metadata: what a file says about itself, for every version and for its forerunner DBZ."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import zstandard

from depthscope.errors import CorruptData, EmptyData, FormatUnknown
from depthscope.venues import HEAD_BYTES, ZIP_MAGIC
from depthscope.venues import dbn_layout as layout
from depthscope.venues.dbn_publishers import PUBLISHERS
from depthscope.venues.dbn_stream import ByteStream

if TYPE_CHECKING:
    from pathlib import Path

FIXED: Final = struct.Struct("<16sHQQQ")  # dataset, schema, start, end, limit
SYMBOL_V1: Final = 22
DBZ_FIXED: Final = 96  # bytes before the compressed symbology
DAY_NS: Final = 86_400 * 10**9


class Interval(NamedTuple):
    """What a requested symbol meant from `start` to before `end` (UTC nanoseconds)."""

    start: int
    end: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Header:
    """Metadata of one file.

    Parameters
    ----------
    version : int
        1 to 3; 0 for a fragment, which has no metadata.
    schema : str
        Name, or ``mixed`` for captures of several.
    start, end : int
        Requested span, UTC nanoseconds; 0 where not told.
    stype_in, stype_out : str
        Kinds of the requested and of the resolved symbols, empty where not told.
    skip : int
        Bytes of the file before its (possibly compressed) stream: 0 but for DBZ.
    size : int
        Bytes of metadata at the start of that stream.
    """

    version: int
    kind: str = "dbn"
    dataset: str = ""
    schema: str = layout.MIXED
    start: int = 0
    end: int = 0
    stype_in: str = ""
    stype_out: str = ""
    ts_out: bool = False
    symbols: tuple[str, ...] = ()
    mappings: tuple[tuple[str, tuple[Interval, ...]], ...] = field(default=(), repr=False)
    skip: int = 0
    size: int = 0


class _Cursor:
    """Bounded reader of the variable part."""

    def __init__(self, data: bytes, symbol_bytes: int) -> None:
        self.data, self.at, self.symbol_bytes = data, 0, symbol_bytes

    def number(self) -> int:
        value = int(struct.unpack_from("<I", self.data, self.at)[0])
        self.at += 4
        return value

    def count(self, least: int) -> int:
        """Read a count of things that take at least `least` bytes each."""
        value = self.number()
        if value * least > len(self.data) - self.at:
            raise ValueError(f"a list of {value:,} entries does not fit")
        return value

    def symbol(self) -> str:
        raw = self.data[self.at : self.at + self.symbol_bytes]
        self.at += self.symbol_bytes
        return _symbol(raw)

    def symbols(self) -> tuple[str, ...]:
        return tuple(self.symbol() for _ in range(self.count(self.symbol_bytes)))

    def mappings(self) -> tuple[tuple[str, tuple[Interval, ...]], ...]:
        rows = []
        entry = struct.Struct(f"<II{self.symbol_bytes}s")
        for _ in range(self.count(self.symbol_bytes + 4)):
            name = self.symbol()
            size = self.count(entry.size) * entry.size
            end = self.at + size
            intervals = tuple(
                Interval(_day(first), _day(last), _symbol(raw))
                for first, last, raw in entry.iter_unpack(self.data[self.at : end])
            )
            self.at = end
            rows.append((name, intervals))
        return tuple(rows)


def _symbol(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8")


@lru_cache(maxsize=4_096)
def _day(yyyymmdd: int) -> int:
    year, rest = divmod(yyyymmdd, 10_000)
    day = np.datetime64(f"{year:04}-{rest // 100:02}-{rest % 100:02}", "D")
    return int(day.astype(np.int64)) * DAY_NS


def _name(table: tuple[str, ...], code: int, absent: int, what: str) -> str:
    if code == absent:
        return ""
    if code >= len(table):
        raise ValueError(f"{what} {code} is unknown")
    return table[code]


def _time(value: int) -> int:
    return value if value < 2**63 else 0


def open_records(path: Path, *, brief: bool = False) -> tuple[Header, ByteStream]:
    """Open a file and read its metadata; the stream then stands at the first record.

    Parameters
    ----------
    path : Path
        The file.
    brief : bool
        Leave out the symbols and mappings, which can be most of a small file.

    Raises
    ------
    FormatUnknown
        When it is no DBN file of a version we read.
    EmptyData
        When it holds no byte at all.
    CorruptData
        When the metadata is damaged or cut.
    OSError
        When the file cannot be read.
    """
    stream = ByteStream(path)
    try:
        return _read_header(stream, brief), stream
    except BaseException:
        stream.close()
        raise


def read_header(path: Path, *, brief: bool = False) -> Header:
    """Read only the metadata of a file; arguments and errors are those of `open_records`."""
    header, stream = open_records(path, brief=brief)
    stream.close()
    return header


def _read_header(stream: ByteStream, brief: bool) -> Header:
    path = stream.path
    if stream.magic.startswith(ZIP_MAGIC):
        raise FormatUnknown(
            f"{path} is a zip of DBN files. Unpack it and name the folder: the files inside are "
            f"compressed already."
        )
    if is_dbz(stream.magic):
        header = _read_dbz(path, stream)
        stream.rewind(header.skip)
        return header
    prefix = stream.read(8)
    if len(prefix) < 8:
        stream.check_end()
        if not prefix and not stream.damage:
            raise EmptyData(f"{path} is empty: nothing was ever written to it, or a download failed.")
        raise CorruptData(
            f"{path} is damaged or cut: not even its first eight bytes can be read"
            f"{f' ({stream.damage})' if stream.damage else ''}. Fetch it again."
        )
    if prefix.startswith(b"DBN"):
        return _read_dbn(path, stream, prefix, brief)
    header_of_fragment = _fragment_header(prefix + stream.read(HEAD_BYTES - 8))
    if header_of_fragment is None:
        raise FormatUnknown(
            f"{path} is named like a Databento file but does not hold one: its content starts with "
            f"{prefix!r}, not with 'DBN'. Check what it is, or fetch it again."
        )
    stream.rewind()
    return header_of_fragment


def _read_dbn(path: Path, stream: ByteStream, prefix: bytes, brief: bool) -> Header:
    version, size = prefix[3], int.from_bytes(prefix[4:], "little")
    if not 1 <= version <= layout.NEWEST_VERSION:
        raise FormatUnknown(
            f"{path} says it is DBN version {version}; versions 1 to {layout.NEWEST_VERSION} are read. "
            f"The file is damaged or newer than this program."
        )
    data = stream.read(size)
    if len(data) < size:
        stream.check_end()
        raise CorruptData(
            f"{path} is cut off inside its metadata ({len(data):,} of {size:,} bytes"
            f"{'; ' + stream.damage if stream.damage else ''}). No record was read. Fetch it again."
        )
    try:
        return _parse(version, data, 8 + size, brief)
    except (struct.error, ValueError, IndexError) as error:
        raise CorruptData(
            f"{path} has damaged metadata ({error}). No record was read. Fetch it again."
        ) from error


def _parse(version: int, data: bytes, size: int, brief: bool) -> Header:
    dataset, schema, start, end, _limit = FIXED.unpack_from(data)
    at = FIXED.size + (8 if version == 1 else 0)  # version 1 told a record count there
    stype_in, stype_out, ts_out = data[at], data[at + 1], data[at + 2]
    symbol_bytes = SYMBOL_V1 if version == 1 else struct.unpack_from("<H", data, at + 3)[0]
    if symbol_bytes < 1:
        raise ValueError("symbols have no length")
    symbols: tuple[str, ...] = ()
    mappings: tuple[tuple[str, tuple[Interval, ...]], ...] = ()
    if not brief:
        cursor = _Cursor(data, symbol_bytes)
        cursor.at = 100
        unused = cursor.count(1)  # length of a schema definition, 0 so far
        cursor.at += unused
        symbols = cursor.symbols()
        cursor.symbols()  # partially resolved
        cursor.symbols()  # not found
        mappings = cursor.mappings()
    return Header(
        version,
        dataset=layout.text(dataset),
        schema=_name(layout.SCHEMAS, schema, 0xFFFF, "schema") or layout.MIXED,
        start=_time(start),
        end=_time(end),
        stype_in=_name(layout.STYPES, stype_in, 0xFF, "symbol type"),
        stype_out=_name(layout.STYPES, stype_out, 0xFF, "symbol type"),
        ts_out=bool(ts_out),
        symbols=symbols,
        mappings=mappings,
        size=size,
    )


def is_dbz(head: bytes) -> bool:
    """Whether these are the first bytes of a DBZ file: a skippable zstd frame named DBZ."""
    return head[1:4] == b"\x2a\x4d\x18" and head[8:11] == b"DBZ"


def _read_dbz(path: Path, stream: ByteStream) -> Header:
    size = int.from_bytes(stream.magic[4:8], "little")
    data = stream.stored(8 + size)[8:]
    try:
        if len(data) < size:
            raise ValueError(f"it is cut off, {len(data):,} of {size:,} bytes are there")
        dataset, schema, start, end, _limit = FIXED.unpack_from(data, 4)
        at = 4 + FIXED.size + 8
        with zstandard.ZstdDecompressor().stream_reader(data[DBZ_FIXED:]) as reader:
            cursor = _Cursor(reader.read(), SYMBOL_V1)
        cursor.number()  # length of a schema definition: always 0
        symbols = cursor.symbols()
        cursor.symbols()
        cursor.symbols()
        return Header(
            1,
            kind="dbz",
            dataset=layout.text(dataset),
            schema=_name(layout.SCHEMAS, schema, 0xFFFF, "schema") or layout.MIXED,
            start=_time(start),
            end=_time(end),
            stype_in=_name(layout.STYPES, data[at + 1], 0xFF, "symbol type"),
            stype_out=_name(layout.STYPES, data[at + 2], 0xFF, "symbol type"),
            symbols=symbols,
            mappings=cursor.mappings(),
            skip=8 + size,
        )
    except (struct.error, ValueError, IndexError, zstandard.ZstdError) as error:
        raise CorruptData(
            f"{path} has damaged metadata ({error}). No record was read. Fetch it again."
        ) from error


def _fragment(head: bytes) -> tuple[set[int], bool] | None:
    """Record types and whether they carry ts_out, when `head` is a chain of whole records."""
    for extra in (0, 8):
        at = 0
        types: set[int] = set()
        while at + 16 <= len(head):
            size, rtype = head[at] * 4, head[at + 1]
            if rtype not in layout.RECORDS or size - extra not in layout.RECORDS[rtype][1]:
                break
            at += size
            types.add(rtype)
        else:
            if types:
                return types, bool(extra)
    return None


def is_fragment(head: bytes) -> bool:
    """Whether these bytes are DBN records without metadata: each length must fit its type."""
    return _fragment(head) is not None


def _fragment_header(head: bytes) -> Header | None:
    found = _fragment(head)
    if found is None:
        return None
    types, ts_out = found
    names = {layout.record_name(rtype) for rtype in types}
    schema = names.pop() if len(names) == 1 else layout.MIXED
    dataset, _ = PUBLISHERS.get(int.from_bytes(head[2:4], "little"), ("", ""))
    return Header(
        0,
        kind="dbn fragment",
        dataset=dataset,
        schema=schema if schema in layout.SCHEMAS else layout.MIXED,
        ts_out=ts_out,
    )


def open_stream(path: Path, header: Header) -> ByteStream:
    """Open a file whose metadata is known, at its first record."""
    stream = ByteStream(path, header.skip)
    stream.read(header.size)
    return stream
