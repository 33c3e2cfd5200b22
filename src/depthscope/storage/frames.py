"""Frames: the checked unit of capture logs and event archives.

==========  =====  ==========================================================================
bytes       field
==========  =====  ==========================================================================
4           u4     length of the payload, as stored
4           u4     CRC32C (Castagnoli) over sequence and payload
8           u8     sequence: number of the first thing it holds
length             payload: kind u1, codec u1 (0 plain, 1 zstd), zero u2, size u4 (of the content
                   once decompressed), then the content
==========  =====  ==========================================================================

All integers are little-endian. A frame is all there and right, or it is damage: there is no
third case. After damage the next frame is found again, since hardly any bytes pass for one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import google_crc32c
import numpy as np
import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["HEAD", "MAX_CONTENT", "Damage", "Frame", "FrameKind", "FrameReader", "Packer", "crc32c"]

HEAD: Final = struct.Struct("<IIQ")
_PREFIX: Final = struct.Struct("<BBHI")
_SEQUENCE: Final = struct.Struct("<Q")
_PLAIN, _ZSTD = 0, 1

MAX_CONTENT: Final = 80 << 20  # bytes; a reader asked for more is looking at damage
_MAX_LENGTH: Final = MAX_CONTENT + _PREFIX.size
_MAX_JUMP: Final = 1 << 40  # no gap is longer; what claims to be further on is damage
_WORTH: Final = 128  # content shorter than this is stored as it is
_READ: Final = 1 << 20  # bytes read at once
_WINDOW: Final = 1 << 20  # bytes looked at together for the next good frame


class FrameKind(IntEnum):
    """What a frame holds. Numbers are part of the formats: never reuse one."""

    INPUTS = 1  # inputs of a session
    OPENING = 2  # inputs repeated so that a segment can be read without the ones before it
    GAP = 3  # JSON: what is missing here, and why
    SEAL = 4  # JSON: the file ends here, as meant
    INSTRUMENT = 5  # JSON: an instrument of the events that follow
    EVENTS = 6  # a block of events
    ABOUT = 7  # JSON: where the events come from


_LAST_KIND: Final = max(FrameKind)


class Frame(NamedTuple):
    """One frame that checks.

    Attributes
    ----------
    offset, end : int
        Where in the file it begins and ends.
    sequence : int
    kind : FrameKind
    content : bytes
        Decompressed.
    """

    offset: int
    end: int
    sequence: int
    kind: FrameKind
    content: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a file that are no frames.

    Parameters
    ----------
    offset, end : int
        The bytes from `offset` up to `end`.
    reason : str
        What is wrong at `offset`.
    tail : bool
        Whether no good frame follows: such damage may be a write that was cut short.
    """

    offset: int
    end: int
    reason: str
    tail: bool


def crc32c(data: Any, seed: int = 0) -> int:
    """CRC32C of bytes, continued from `seed`."""
    readable = data if isinstance(data, bytes | np.ndarray) else np.frombuffer(data, np.uint8)
    value: int = google_crc32c.extend(seed, readable)
    return value


class Packer:
    """Makes frames.

    Parameters
    ----------
    level : int or None
        zstd level, None to store everything plain.
    """

    def __init__(self, level: int | None = 1) -> None:
        self._zstd = (
            None
            if level is None
            else zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True)
        )

    def pack(self, kind: FrameKind, sequence: int, content: bytes) -> bytes:
        """Return one frame.

        Raises
        ------
        ValueError
            When the content is larger than any reader would believe.
        """
        if len(content) > MAX_CONTENT:
            raise ValueError(f"a frame holds at most {MAX_CONTENT:,} bytes, not {len(content):,}")
        codec, stored = _PLAIN, content
        if self._zstd is not None and len(content) >= _WORTH:
            packed = self._zstd.compress(content)
            if len(packed) < len(content):
                codec, stored = _ZSTD, packed
        payload = b"".join((_PREFIX.pack(kind, codec, 0, len(content)), stored))
        number = _SEQUENCE.pack(sequence)
        return b"".join((HEAD.pack(len(payload), crc32c(payload, crc32c(number)), sequence), payload))


class FrameReader:
    """The frames of a file, and the damage between them, in order.

    Parameters
    ----------
    path : Path
    start : int
        Where the first frame begins.
    expected : int
        The least sequence that may come next. Who iterates moves it on: a frame says where it
        begins, not how many things it holds.

    Attributes
    ----------
    expected : int
    offset : int
        Bytes of the file done with.

    Raises
    ------
    OSError
        When the file cannot be read.
    """

    def __init__(self, path: Path, start: int = 0, expected: int = 0) -> None:
        self.expected = expected
        self.offset = start
        self._file = path.open("rb", buffering=0)
        self._zstd = zstandard.ZstdDecompressor()
        self._seek(start)

    def __iter__(self) -> Iterator[Frame | Damage]:
        """Yield what is there; the file is closed at its end."""
        try:
            while True:
                found = self._frame(self.offset)
                if isinstance(found, Frame):
                    self.offset = found.end
                    yield found
                elif found:
                    begin = self.offset
                    self.offset, more = self._next_good(begin + 1)
                    yield Damage(begin, self.offset, found, not more)
                else:
                    return
        finally:
            self._file.close()

    def at(self, offset: int) -> Frame | None:
        """Return the frame at a place, if a good one begins there."""
        found = self._frame(offset)
        return found if isinstance(found, Frame) else None

    def outline(self, offset: int) -> Iterator[tuple[int, int]]:
        """Yield (kind, place) of the frames from a place on, by their heads alone: nothing is checked."""
        while True:
            data, at = self._at(offset, HEAD.size + _PREFIX.size, ahead=False)
            if len(data) - at < HEAD.size + _PREFIX.size:
                return
            yield data[at + HEAD.size], offset
            offset += HEAD.size + max(HEAD.unpack_from(data, at)[0], _PREFIX.size)

    def close(self) -> None:
        """Close the file, if it has not been read to its end."""
        self._file.close()

    def _seek(self, offset: int) -> None:
        self._file.seek(offset)
        self._data, self._base = b"", offset  # what is held, and its place in the file

    def _at(self, offset: int, size: int, ahead: bool = True) -> tuple[bytes, int]:
        """Bytes held and the index in them of `offset`: `size` bytes follow it unless the file ends."""
        index = offset - self._base
        if not 0 <= index <= len(self._data):
            self._seek(offset)
            index = 0
        if index + size > len(self._data):
            pieces = [self._data[index:]]
            wanted = size - len(pieces[0])
            while wanted > 0:  # what is asked for and more; a call may give less
                piece = self._file.read(max(min(wanted, 1 << 26), _READ if ahead else 0))
                if not piece:
                    break
                pieces.append(piece)
                wanted -= len(piece)
            self._data, self._base, index = b"".join(pieces), offset, 0
        return self._data, index

    def _frame(self, offset: int) -> Frame | str:
        """Return the frame at a place, or what is wrong there; nothing at the end of the file."""
        data, at = self._at(offset, HEAD.size)
        there = len(data) - at
        if there < HEAD.size:
            return f"{there} bytes of a frame that needs more" if there else ""
        length, check, sequence = HEAD.unpack_from(data, at)
        if not _PREFIX.size <= length <= _MAX_LENGTH:
            return f"a length that cannot be ({length:,})"
        data, at = self._at(offset, HEAD.size + length)
        begin, end = at + HEAD.size, at + HEAD.size + length
        if end > len(data):
            return f"{len(data) - begin:,} of a frame's {length:,} bytes"
        view = np.frombuffer(data, np.uint8)  # slices of it copy nothing
        if crc32c(view[begin:end], crc32c(data[at + 8 : begin])) != check:
            return "a checksum that does not fit"
        if not self.expected <= sequence <= self.expected + _MAX_JUMP:
            return f"sequence {sequence:,} where {self.expected:,} comes next"
        kind, codec, zero, size = _PREFIX.unpack_from(data, begin)
        if zero or codec > _ZSTD or size > MAX_CONTENT or not 1 <= kind <= _LAST_KIND:
            return "a frame of a kind this version does not know"
        begin += _PREFIX.size
        if codec == _ZSTD:
            try:
                content = self._zstd.decompress(view[begin:end].data, max_output_size=size)
            except zstandard.ZstdError as error:
                return f"compressed content that cannot be read ({error})"
        else:
            content = data[begin:end]
        if len(content) != size:
            return "content of another size than its frame says"
        return Frame(offset, offset + HEAD.size + length, sequence, FrameKind(kind), content)

    def _next_good(self, offset: int) -> tuple[int, bool]:
        """Where the next good frame begins; the end of the file and False when there is none."""
        while True:
            data, at = self._at(offset, _WINDOW + HEAD.size + _PREFIX.size)
            there = len(data) - at
            for candidate in _candidates(data, at, self.expected):
                if isinstance(self._frame(offset + candidate), Frame):
                    return offset + candidate, True
            if there <= _WINDOW:
                return offset + there, False
            offset += _WINDOW


def _candidates(data: bytes, at: int, expected: int) -> list[int]:
    """Places in a window after `at` where length, sequence and kind might be a frame's."""
    view = np.frombuffer(data, np.uint8, offset=at)
    count = min(_WINDOW, len(view) - HEAD.size - _PREFIX.size + 1)
    if count <= 0:
        return []

    def number(place: int, width: int) -> Any:
        value = np.zeros(count, np.uint64)
        for byte in range(width):
            value |= view[place + byte : place + byte + count].astype(np.uint64) << np.uint64(8 * byte)
        return value

    kind, codec, low, high = (view[HEAD.size + place :][:count] for place in range(4))
    fits = (kind >= 1) & (kind <= _LAST_KIND) & (codec <= _ZSTD) & (low == 0) & (high == 0)
    if not fits.any():
        return []
    length, sequence = number(0, 4), number(8, 8)
    fits &= (length >= _PREFIX.size) & (length <= _MAX_LENGTH)
    fits &= (sequence >= expected) & (sequence <= expected + _MAX_JUMP)
    found: list[int] = np.flatnonzero(fits).tolist()
    return found
