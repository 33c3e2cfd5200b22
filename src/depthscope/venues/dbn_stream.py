"""Bytes of a DBN file: plain, zstd (any number of frames) or gzip, read into given memory."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Final

import zstandard

from depthscope.venues import GZIP_MAGIC, ZSTD_MAGIC

if TYPE_CHECKING:
    from pathlib import Path

SLICE: Final = 1 << 17  # most bytes asked of the decompressor at once (a zstd block's size)
READ_SIZE: Final = 1 << 17
SKIPPABLE: Final = b"\x2a\x4d\x18"  # after a byte 0x50 to 0x5f: a zstd frame decompressors pass over


class ByteStream:
    """Sequential reader of one file.

    Damage never raises while reading: it ends the data, and :attr:`damage` says what it is.

    Parameters
    ----------
    path : Path
        The file.
    skip : int
        Bytes of the file (as stored) to leave out at the start.

    Raises
    ------
    OSError
        When the file cannot be opened.
    """

    def __init__(self, path: Path, skip: int = 0) -> None:
        self.path = path
        self.damage = ""
        self.produced = 0
        self._skip = skip
        self._file = path.open("rb")
        self._file.seek(skip)
        self.magic = self._file.read(12)
        self.is_zstd = self.magic.startswith(ZSTD_MAGIC) or self.magic[1:4] == SKIPPABLE
        self._is_gzip = self.magic.startswith(GZIP_MAGIC)
        self.rewind()

    def rewind(self, skip: int | None = None) -> None:
        """Go back to the start (or to after `skip` stored bytes, from now on)."""
        if skip is not None:
            self._skip = skip
        self.produced = 0
        self._file.seek(self._skip)
        self._gzip = gzip.GzipFile(fileobj=self._file) if self._is_gzip else None
        self._zstd = (
            zstandard.ZstdDecompressor().stream_reader(
                self._file, read_size=READ_SIZE, read_across_frames=True, closefd=False
            )
            if self.is_zstd
            else None
        )

    @property
    def position(self) -> int:
        """Bytes of the file consumed so far, as stored."""
        return 0 if self._file.closed else self._file.tell()

    def stored(self, size: int) -> bytes:
        """Read bytes as they are stored, from the very start of the file; `rewind` before going on."""
        self._file.seek(0)
        return self._file.read(min(size, self.path.stat().st_size))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes, fewer only where the data ends."""
        got = bytearray()
        while len(got) < size:  # in pieces: a damaged header may ask for gigabytes
            piece = bytearray(min(size - len(got), 1 << 20))
            n = self.readinto(memoryview(piece))
            got += piece[:n]
            if n < len(piece):
                break
        return bytes(got)

    def readinto(self, target: memoryview) -> int:
        """Fill `target`; returns the bytes written, fewer only where the data ends."""
        done = 0
        while done < len(target) and not self.damage:
            piece = target[done : done + SLICE]
            try:
                n = self._readinto(piece)
            except (zstandard.ZstdError, EOFError, OSError, zlib.error) as error:
                self.damage = f"its compressed data is damaged ({error})"
                n = self._salvage(piece)
                self.produced += n
                return done + n
            if not n:
                break
            done += n
            self.produced += n
        return done

    def _readinto(self, piece: memoryview) -> int:
        if self._zstd is not None:
            return int(self._zstd.readinto(piece))
        if self._gzip is not None:
            return self._gzip.readinto(piece)
        return self._file.readinto(piece)

    def _salvage(self, piece: memoryview) -> int:
        """Read again in small steps what came before the damage, which the failed call lost."""
        left = produced = self.produced
        self.rewind()
        self.produced = produced
        scrap = memoryview(bytearray(SLICE))
        done = 0
        try:
            while left and (n := self._readinto(scrap[:left])):
                left -= n
            while done < len(piece) and (n := self._readinto(piece[done : done + 8])):
                done += n
        except (zstandard.ZstdError, EOFError, OSError, zlib.error):
            return done
        return done

    def check_end(self) -> None:
        """Note in :attr:`damage` that the last zstd frame is cut: the decompressor just stops there."""
        if self.is_zstd and not self.damage and not frames_whole(self.path, self._skip):
            self.damage = "its last zstd frame is cut off"


def frames_whole(path: Path, start: int = 0) -> bool:
    """Whether every zstd frame of a file is there to its last byte (headers are walked, nothing decoded).

    Source: RFC 8878, section 3.1.
    """
    size = path.stat().st_size
    if size <= start:
        return True
    # Small reads, not a mapping: its pages would count as this process's memory, all of the file.
    with path.open("rb", buffering=0) as file:

        def at_most(place: int, n: int) -> bytes:
            file.seek(place)
            return file.read(n) or b""

        at = start
        while at < size:
            head = at_most(at, 8)
            if len(head) < 5:
                return False
            if head[1:4] == SKIPPABLE:
                at += 8 + int.from_bytes(head[4:8], "little")
                continue
            descriptor = head[4]
            single = descriptor >> 5 & 1
            content_size = (single, 2, 4, 8)[descriptor >> 6]
            at += 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content_size
            last = 0
            while not last:
                header = at_most(at, 3)
                if len(header) < 3:
                    return False
                block = int.from_bytes(header, "little")
                last = block & 1
                at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
            at += 4 * (descriptor >> 2 & 1)  # checksum
        return at == size
