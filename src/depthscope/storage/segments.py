"""Segments: the files of a capture log, their headers and their order.

A header has 64 bytes: magic 8, version u2, header length u2, zero u4, session 16, number u4, created i8
(wall clock, UTC ns), first sequence u8, zero 8, CRC32C u4 of the bytes before it. All little-endian.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from depthscope.errors import FormatUnknown, InputError, SourceMissing
from depthscope.storage.frames import crc32c

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HEADER_BYTES", "MAGIC", "SUFFIX", "Header", "Segment", "list_segments", "read_segment"]

MAGIC: Final = b"DSCAP\r\n\x1a"  # a transfer that changes ends of lines breaks it
VERSION: Final = 1
SUFFIX: Final = ".cap"
_HEADER: Final = struct.Struct("<8sHHI16sIqQ8s")
HEADER_BYTES: Final = _HEADER.size + 4
_NAME: Final = re.compile(r"(\d{8}T\d{6})\.(\d{9})Z-([0-9a-f]{8})-(\d{6,})\.cap")


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself.

    Parameters
    ----------
    session : bytes
        16 random bytes, the same in all segments that one writer made.
    number : int
        Of the segment in its session, from 1.
    created : int
        Wall clock when it was opened, UTC ns.
    first : int
        Sequence of the first input that can stand in it.
    """

    session: bytes
    number: int
    created: int
    first: int

    def pack(self) -> bytes:
        """Return its bytes."""
        packed = _HEADER.pack(
            MAGIC, VERSION, HEADER_BYTES, 0, self.session, self.number, self.created, self.first, b""
        )
        return packed + struct.pack("<I", crc32c(packed))

    @property
    def name(self) -> str:
        """Name of its file: names sort by time within one clock."""
        seconds, nanos = divmod(self.created, 1_000_000_000)
        when = datetime.fromtimestamp(seconds, UTC)
        return f"{when:%Y%m%dT%H%M%S}.{nanos:09d}Z-{self.session[:4].hex()}-{self.number:06d}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of a capture log.

    Parameters
    ----------
    path : Path
    header : Header or None
        None where it is damaged; the name of the file then says as much as is known.
    damage : str
        What is wrong with the header.
    """

    path: Path
    header: Header | None
    damage: str = ""

    @property
    def session(self) -> str:
        """First eight hexadecimal digits of its session; empty when nothing tells."""
        if self.header is not None:
            return self.header.session[:4].hex()
        named = _NAME.fullmatch(self.path.name)
        return named[3] if named else ""

    @property
    def number(self) -> int:
        """Its number in its session, 0 when nothing tells."""
        if self.header is not None:
            return self.header.number
        named = _NAME.fullmatch(self.path.name)
        return int(named[4]) if named else 0

    @property
    def created(self) -> int:
        """When it was opened, UTC ns; 0 when nothing tells."""
        if self.header is not None:
            return self.header.created
        named = _NAME.fullmatch(self.path.name)
        if not named:
            return 0
        seconds = datetime.strptime(named[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return int(seconds.timestamp()) * 1_000_000_000 + int(named[2])


def read_segment(path: Path) -> Segment:
    """Read a segment's header.

    Raises
    ------
    FormatUnknown
        When the file is no segment, by content or name, or one of a later version.
    InputError
        When it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head.startswith(MAGIC) and not _NAME.fullmatch(path.name):
        raise FormatUnknown(
            f"{path} is no segment of a capture log: its content starts with {head[:8]!r}. Segments are "
            f"written by `depthscope record` and `depthscope live`, with names ending in {SUFFIX}."
        )
    if len(head) < HEADER_BYTES:
        return Segment(path, None, f"its header is cut off after {len(head)} bytes")
    if crc32c(head[:-4]) != int.from_bytes(head[-4:], "little"):
        return Segment(path, None, "its header does not fit its checksum")
    magic, version, length, zero, session, number, created, first, more = _HEADER.unpack_from(head)
    if magic != MAGIC or version != VERSION or length != HEADER_BYTES or zero or any(more):
        raise FormatUnknown(
            f"{path} is of version {version} of the capture format; this program reads version {VERSION}. "
            f"Read it with the version of depthscope that wrote it, or a later one."
        )
    return Segment(path, Header(session, number, created, first))


def list_segments(path: Path) -> list[Segment]:
    """Segments of a capture log in the order they were written.

    Parameters
    ----------
    path : Path
        A folder (other files in it are left alone), or one segment.

    Raises
    ------
    SourceMissing
        When there is none.
    FormatUnknown, InputError
        As :func:`read_segment`.
    """
    if not path.is_dir():
        if not path.exists():
            raise SourceMissing(f"There is no file or folder {path}.")
        return [read_segment(path)]
    segments = [read_segment(file) for file in sorted(path.glob(f"*{SUFFIX}")) if file.is_file()]
    if not segments:
        raise SourceMissing(f"{path} holds no segment of a capture log (no {SUFFIX} file).")
    # Sessions in the order they began; a clock set back within one does not part its segments.
    began: dict[str, tuple[int, str]] = {}
    for segment in segments:
        key = segment.session or segment.path.name
        opened = segment.created, segment.path.name
        began[key] = min(began.get(key, opened), opened)
    return sorted(segments, key=lambda s: (began[s.session or s.path.name], s.session, s.number, s.path.name))
