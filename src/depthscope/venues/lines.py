"""LineReader: text files as blocks of whole lines that compiled scanners read in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

PADDING: Final = 64  # zero bytes after the text: scanners may look a little ahead
BLOCK: Final = 1 << 20
MOST_LINE: Final = (4 << 20) + 65_536  # a message of 4 MiB and whatever precedes it


class Stream(Protocol):
    """Bytes of one file (`depthscope.venues.dbn_stream.ByteStream` is one)."""

    damage: str

    @property
    def position(self) -> int:
        """Bytes of the file consumed, as stored."""
        ...

    def readinto(self, target: memoryview) -> int:
        """Fill `target`; returns the bytes written, fewer only where the data ends."""
        ...

    def check_end(self) -> None:
        """Note in `damage` that the file is cut, where that shows only at its end."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class LineReader:
    """Reads files one after another.

    Parameters
    ----------
    openers : iterable of callables
        Each opens one file.

    Attributes
    ----------
    buf : uint8[:]
        Whole lines stand in ``buf[pos:stop]``; zeros follow the last.
    damage : str
        Why reading ended before the end of the data; empty if it did not.
    overlong : int
        Lines over 4 MiB, left out.
    unended : bool
        Whether the last line of a file had no end of its own.
    """

    def __init__(self, openers: Iterable[Callable[[], Stream]]) -> None:
        self._openers = list(openers)
        self._stream: Stream | None = None
        self._memory = bytearray(BLOCK + PADDING)
        self.buf: npt.NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8)
        self.pos = self.stop = 0
        self._filled = 0
        self._read_before = 0
        self.damage = ""
        self.overlong = 0
        self.unended = False

    @property
    def bytes_read(self) -> int:
        """Bytes consumed of the files as stored."""
        return self._read_before + (self._stream.position if self._stream else 0)

    def close(self) -> None:
        """Close the file being read."""
        if self._stream is not None:
            self._read_before += self._stream.position
            self._stream.close()
            self._stream = None

    def ready(self) -> bool:
        """Make at least one line available at `pos`; False at the end of the data."""
        while self.pos >= self.stop:
            if not self._refill():
                return False
        return True

    def line(self) -> bytes:
        """Return the line at `pos`, without its end."""
        end = self._memory.index(b"\n", self.pos)
        return bytes(self._memory[self.pos : end]).rstrip()

    def skip_line(self) -> None:
        """Move to the next line."""
        self.pos = self._memory.index(b"\n", self.pos) + 1

    def _refill(self) -> bool:
        tail = self._filled - self.pos
        if tail >= MOST_LINE:
            self._drop_line()
            tail = self._filled - self.pos
        if tail + BLOCK // 2 > len(self._memory) - PADDING:
            self._resize(2 * len(self._memory))
        self._memory[:tail] = self._memory[self.pos : self._filled]
        self.pos, self._filled = 0, tail
        n = self._read(len(self._memory) - PADDING - 1 - tail)
        self._filled += n
        if n == 0 and tail:  # the last line of a file need not have an end
            self.unended = True
            self._memory[self._filled] = 10
            self._filled += 1
        self._memory[self._filled : self._filled + PADDING] = bytes(PADDING)
        self.stop = self._memory.rfind(b"\n", 0, self._filled) + 1
        return bool(n or tail or (self._openers and not self.damage))

    def _resize(self, size: int) -> None:
        old = self._memory
        self._memory = bytearray(size)
        self._memory[: len(old)] = old
        self.buf = np.frombuffer(self._memory, np.uint8)

    def _drop_line(self) -> None:
        """Leave out a line that is too long, up to its end or that of the file."""
        self.overlong += 1
        while True:
            self.pos = self._filled = 0
            n = self._read(BLOCK)
            end = self._memory.find(b"\n", 0, n)
            if end >= 0 or n == 0:
                self.pos, self._filled = end + 1, n
                return

    def _read(self, size: int) -> int:
        """Read more of a file; 0 at the end of each."""
        if self._stream is None:
            if not self._openers or self.damage:
                return 0
            self._stream = self._openers.pop(0)()
        n = self._stream.readinto(memoryview(self._memory)[self._filled : self._filled + size])
        if n < size:
            self._stream.check_end()
            self.damage = self._stream.damage
        if n == 0:
            self.close()
        return n
