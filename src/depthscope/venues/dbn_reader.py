"""Drives the kernels over one stream of DBN records: buffers, hand-overs, damage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from depthscope.market.events import UNDEF_PRICE, Events, empty_events
from depthscope.venues import dbn_kernels as k
from depthscope.venues import dbn_layout as layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from depthscope.venues.dbn_stream import ByteStream

RING: Final = 4
LEAST_CAPACITY: Final = 4_096
RAW_WORDS: Final = 1 << 14  # 128 KiB: what was decompressed is converted while it is in the cache


class Message(NamedTuple):
    """A record for Python: a definition, symbol mapping, error or system message."""

    rtype: int
    record: bytes


def size_table() -> npt.NDArray[np.int64]:
    """Allowed sizes in words by record type, 0 = none."""
    table = np.zeros((256, 3), np.int64)
    for rtype, (_, sizes) in layout.RECORDS.items():
        table[rtype, : len(sizes)] = [size // 8 for size in sizes]
    return table


class Reader:
    """Iterate over the events and messages of a stream, in order.

    Event arrays are views of a ring of four buffers: each stays valid until three more have
    been produced.

    Parameters
    ----------
    stream : ByteStream
        Positioned at the first record.
    properties : int64[256]
        What to do with each record type (`dbn_layout.PROPERTIES`).
    capacity : int
        Most events per array.
    ts_out : bool
        Whether each record carries the gateway's send time (eight bytes more).
    start : int
        Time of records that have none, before the first that has one.

    Attributes
    ----------
    damage : str
        After the iteration: why it ended early, empty when the stream was whole.
    seen : int64[256]
        Records by type, except those the fast path read (all MBO).
    """

    def __init__(
        self,
        stream: ByteStream,
        properties: npt.NDArray[np.int64],
        capacity: int,
        *,
        ts_out: bool,
        start: int,
    ) -> None:
        self._stream = stream
        self._properties = properties
        self._ring = [empty_events(max(capacity, LEAST_CAPACITY)) for _ in range(RING)]
        self._sizes = size_table()
        self.state = np.zeros(k.S_SIZE, np.int64)
        self.state[k.S_TS_OUT] = ts_out
        self.state[k.S_START] = start
        self.seen = np.zeros(256, np.int64)
        self.damage = ""
        self._keys = np.zeros((64, 2), np.int64)
        self._books = np.full((32, 2, 10, 3), UNDEF_PRICE, np.uint64)

    @property
    def records(self) -> int:
        """Records read so far, of any type."""
        return int(self.state[k.S_RECORDS])

    @property
    def now(self) -> int:
        """Latest receive time read so far, UTC nanoseconds (0 before the first)."""
        return int(self.state[k.S_CLOCK])

    def note_time(self, ts: int) -> None:
        """Count the time of a message towards the span of the file."""
        if 0 < ts < 2**63:
            self.state[k.S_FIRST] = self.state[k.S_FIRST] or ts
            self.state[k.S_CLOCK] = max(int(self.state[k.S_CLOCK]), ts)

    def __iter__(self) -> Iterator[Events | Message]:
        words = np.empty(RAW_WORDS, np.uint64)
        raw = words.view(np.uint8).data
        rows = [buffer.view(np.uint64).reshape(-1, 8) for buffer in self._ring]
        st = self.state
        filled = turn = 0
        fast = bool(self._properties[layout.RT_MBO] & layout.KIND_MASK == layout.K_MBO)
        while True:
            if fast:
                before = st[k.S_RECORDS]
                why = k.convert_mbo(words, rows[turn], st)
                self.seen[layout.RT_MBO] += st[k.S_RECORDS] - before
            else:
                why = k.convert_any(
                    words, rows[turn], st, self._properties, self._sizes, self.seen, self._keys, self._books
                )
            if why == k.OTHER:
                fast = False
            elif why == k.GROW:
                self._grow()
            elif why == k.FULL or (why == k.PYTHON and st[k.S_OUT]):
                yield self._ring[turn][: st[k.S_OUT]]
                st[k.S_OUT] = 0
                turn = (turn + 1) % RING
            elif why == k.PYTHON:
                yield self._take_message(raw)
            elif why == k.DAMAGED:
                self.damage = self._describe(raw)
                break
            else:
                used = int(st[k.S_POS]) * 8
                rest = bytes(raw[used:filled])
                raw[: len(rest)] = rest
                got = self._stream.readinto(raw[len(rest) :])
                filled = len(rest) + got
                st[k.S_POS], st[k.S_END] = 0, filled // 8
                if not got:
                    break
        if st[k.S_OUT]:
            yield self._ring[turn][: st[k.S_OUT]]
            st[k.S_OUT] = 0
        if not self.damage:
            self._stream.check_end()
            left = filled - int(st[k.S_POS]) * 8
            cut = f"its last record is cut off ({left} bytes of it are there)" if left else ""
            self.damage = " and ".join(part for part in (self._stream.damage, cut) if part)

    def _take_message(self, raw: memoryview) -> Message:
        at = int(self.state[k.S_POS]) * 8
        size, rtype = raw[at] * 4, raw[at + 1]
        self.state[k.S_POS] += size // 8
        self.state[k.S_RECORDS] += 1
        self.seen[rtype] += 1
        return Message(rtype, bytes(raw[at : at + size]))

    def _describe(self, raw: memoryview) -> str:
        at = int(self.state[k.S_POS]) * 8
        size, rtype = raw[at] * 4, raw[at + 1]
        return (
            f"record {self.records + 1:,} says it is a {layout.record_name(rtype)} record of {size} bytes, "
            f"which cannot be"
        )

    def _grow(self) -> None:
        """Double the ten-level state."""
        mask = 2 * len(self._keys) - 1
        keys = np.zeros((2 * len(self._keys), 2), np.int64)
        for key, row in self._keys[self._keys[:, 1] != 0].tolist():
            at = (key * int(k.GOLD) & 2**64 - 1) >> 40 & mask
            while keys[at, 1]:
                at = at + 1 & mask
            keys[at] = key, row
        books = np.full((2 * len(self._books), 2, 10, 3), UNDEF_PRICE, np.uint64)
        books[: len(self._books)] = self._books
        self._keys, self._books = keys, books
