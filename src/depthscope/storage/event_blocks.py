"""A block of EVENT rows as bytes: what an EVENTS frame holds.

==========  ========================================================================================
bytes       field
==========  ========================================================================================
4           u4     rows, at most `BLOCK_ROWS`
4           u4     bytes of the compressed planes once decompressed
8 x 32      for each 64-bit word of a row: its turn u1, planes stored u1 (a bit each), of these
                   the compressed ones u1, zero 3, values listed u2, divisor u8, base u8, start u8
8 each      u8     listed values, word by word
rows each          the stored planes that are not compressed, word by word, lowest byte first
rest               one zstd frame of the others
==========  ========================================================================================

A plane whose byte never changes is not stored: its byte stands in the base. Planes of bytes that look
random are not compressed: they would cost time and save nothing. See
:mod:`~depthscope.storage.event_kernels` for the turns. Any rows come back byte for byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import zstandard

from depthscope.storage import event_kernels as k

if TYPE_CHECKING:
    import numpy.typing as npt

    from depthscope.market.events import Events

    Words = npt.NDArray[np.uint64]

__all__ = ["BLOCK_ROWS", "BlockReader", "BlockWriter"]

BLOCK_ROWS: Final = 16_384
_COUNTS: Final = struct.Struct("<II")
_WORD: Final = np.dtype(
    [
        ("turn", "u1"),
        ("stored", "u1"),
        ("packed", "u1"),
        ("zero", "u1", 3),
        ("listed", "<u2"),
        ("divisor", "<u8"),
        ("base", "<u8"),
        ("start", "<u8"),
    ]
)
_HEAD: Final = _COUNTS.size + k.WORDS * _WORD.itemsize
_TS_RECV, _PRICE, _IDS = 1, 3, 6  # words of a row
_RANDOM: Final = 0.75  # of a plane's bytes are left when its bytes are coded by frequency: keep it as it is
_ONE: Final = np.uint64(1)


@dataclass(slots=True)
class _Turned:
    """A word of a block, turned into codes."""

    turn: int
    codes: Words
    divisor: int = 1
    start: int = 0
    listed: Words | None = None

    @property
    def cost(self) -> float:
        """Bytes the codes take when each plane is coded by how often its bytes occur."""
        planes = self.codes.view(np.uint8).reshape(-1, 8)
        return sum(_entropy(planes[:, place]) for place in range(8)) * len(self.codes)


def _entropy(plane: npt.NDArray[np.uint8]) -> float:
    """Bytes that a byte takes when bytes are coded by how often they occur (Shannon 1948), 0 to 1."""
    counts = np.bincount(plane, minlength=256)
    share = counts[counts > 0] / len(plane)
    return -float((share * np.log2(share)).sum()) / 8


class BlockWriter:
    """Makes blocks.

    Parameters
    ----------
    level : int
        zstd level. Below 0, bytes are not coded by frequency, which is what costs time in reading.
    """

    def __init__(self, level: int = -1) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level, write_content_size=True)

    def write(self, events: Events) -> bytes:
        """Bytes of at most `BLOCK_ROWS` events."""
        words = np.ascontiguousarray(events).view(np.uint64).reshape(-1, k.WORDS)
        head = np.zeros(k.WORDS, _WORD)
        listed: list[bytes] = []
        plain: list[bytes] = []
        packed: list[bytes] = []
        for number in range(k.WORDS):
            best = _best_turn(words, number)
            row = head[number : number + 1]
            row["turn"], row["divisor"], row["start"] = best.turn, best.divisor, best.start
            if best.listed is not None:
                row["listed"] = len(best.listed)
                listed.append(best.listed.tobytes())
            planes = best.codes.view(np.uint8).reshape(-1, 8)
            for place in range(8):
                plane = planes[:, place]
                if (plane == plane[0]).all():
                    row["base"] |= np.uint64(int(plane[0]) << (8 * place))
                    continue
                row["stored"] |= 1 << place
                if _entropy(plane) > _RANDOM:
                    plain.append(plane.tobytes())
                else:
                    row["packed"] |= 1 << place
                    packed.append(plane.tobytes())
        together = b"".join(packed)
        small = self._zstd.compress(together) if together else b""
        counts = _COUNTS.pack(len(words), len(together))
        return b"".join((counts, head.tobytes(), *listed, *plain, small))


def _best_turn(words: Words, number: int) -> _Turned:
    """Turn a word in the way that leaves least."""
    values = np.ascontiguousarray(words[:, number])
    turned = [_Turned(k.PLAIN, values)]
    if number >= _IDS:
        few, which = np.unique(values, return_inverse=True)
        if 1 < len(few) <= k.MOST_LISTED:
            return _Turned(k.LISTED, which.astype(np.uint64), listed=few)
        return turned[0]
    if number == _PRICE:
        turned.append(_differences(values, k.PRICED))
    else:
        turned.append(_differences(values, k.DELTA))
    if number == _TS_RECV:
        turned.append(_differences(values, k.ACROSS, words[:, number - 1]))
    return min(turned, key=lambda one: one.cost)


def _differences(values: Words, turn: int, before: Words | None = None) -> _Turned:
    """Codes of differences; PLAIN ones where one of them does not fit."""
    there = values != np.uint64(k.ABSENT) if turn == k.PRICED else np.ones(len(values), bool)
    told = values[there] if before is None else values - before
    start = int(told[0]) if len(told) else 0
    away = np.zeros_like(values)
    away[there] = np.diff(told, prepend=np.uint64(start))
    negative = away.view(np.int64) < 0
    size = np.where(negative, np.uint64(0) - away, away)
    divisor = np.gcd.reduce(size) or _ONE
    step = size // divisor
    if (step >= np.uint64(1 << 62)).any():
        return _Turned(k.PLAIN, values)
    codes = (step << _ONE) - negative.astype(np.uint64)
    if turn == k.PRICED:
        codes = np.where(there, codes + _ONE, np.uint64(0))
    return _Turned(turn, codes, int(divisor), start)


class BlockReader:
    """Reads blocks, into the memory of whoever asks."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()

    @staticmethod
    def rows_in(content: bytes) -> int:
        """How many rows a block has.

        Raises
        ------
        ValueError
            When it is no block.
        """
        rows: int = _COUNTS.unpack_from(content)[0] if len(content) >= _HEAD else 0
        if not 0 < rows <= BLOCK_ROWS:
            raise ValueError(f"a block of {rows:,} rows in {len(content):,} bytes")
        return rows

    def read(self, content: bytes, rows: Events) -> Events:
        """Fill the first of `rows` with the events of a block; returns those.

        Raises
        ------
        ValueError
            When the bytes are no block.
        """
        n = self.rows_in(content)
        size: int = _COUNTS.unpack_from(content)[1]
        head = np.frombuffer(content, _WORD, k.WORDS, _COUNTS.size)
        stored, packed = (
            np.unpackbits(head[name][:, None], axis=1, bitorder="little") for name in ("stored", "packed")
        )
        listed = head["listed"].astype(np.int64)
        if head["zero"].any() or (head["turn"] > k.LISTED).any() or (packed > stored).any():
            raise ValueError("a turn that this version does not know")
        if (listed > k.MOST_LISTED).any() or size != n * int(packed.sum()):
            raise ValueError("planes that do not add up")
        begin = _HEAD + 8 * int(listed.sum())
        end = begin + n * int((stored - packed).sum())
        if end > len(content):
            raise ValueError("planes that are not there")
        values = np.zeros(k.WORDS * k.MOST_LISTED, np.uint64)
        at = _HEAD
        for word in np.flatnonzero(listed).tolist():
            found = np.frombuffer(content, np.uint64, int(listed[word]), at)
            values[word * k.MOST_LISTED :][: len(found)] = found
            at += 8 * len(found)
        try:
            inflated = self._zstd.decompress(content[end:], max_output_size=size) if size else b""
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        if len(inflated) != size or (not size and end != len(content)):
            raise ValueError("planes that do not add up")
        plan, planes = _plan(head, n, begin, stored, packed)
        join: Any = k.join_planes
        join(content, inflated, plan, planes, values, rows[:n].view(np.uint64).reshape(-1, k.WORDS))
        return rows[:n]


def _plan(head: Any, n: int, begin: int, stored: Any, packed: Any) -> tuple[Any, Any]:
    """What the kernel does with each word, and where its planes are."""
    plan = np.zeros((k.WORDS, k.PLAN), np.uint64)
    after = stored.sum(axis=1).cumsum()
    plan[:, k.MODE], plan[:, k.DIVISOR] = head["turn"], head["divisor"]
    plan[:, k.BASE], plan[:, k.START] = head["base"], head["start"]
    listed = head["turn"] == k.LISTED
    plan[listed, k.START] = k.MOST_LISTED * np.flatnonzero(listed)
    plan[:, k.AFTER], plan[1:, k.FIRST] = after, after[:-1]
    word, place = np.nonzero(stored)
    inside = packed[word, place].astype(np.int64)
    planes = np.empty((len(word), k.PLANE), np.int64)
    planes[:, k.OFFSET] = n * np.where(inside, inside.cumsum() - 1, (1 - inside).cumsum() - 1)
    planes[:, k.OFFSET] += np.where(inside, 0, begin)
    planes[:, k.SHIFT] = 8 * place
    planes[:, k.PACKED] = inside
    return plan, planes
