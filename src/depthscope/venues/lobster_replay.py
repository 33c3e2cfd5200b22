"""One LOBSTER pair read to its end: by book rows, or order by order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.errors import CorruptData, EmptyData
from depthscope.market.events import (
    ADD,
    ASK,
    BID,
    CLEAR,
    LAST,
    LEVEL,
    NO_SIDE,
    SNAPSHOT,
    UNDEF_PRICE,
)
from depthscope.venues import lobster_scan as k
from depthscope.venues import lobster_text as text
from depthscope.venues.lines import PADDING, LineReader
from depthscope.venues.rows import RowRing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from depthscope.market.events import Events
    from depthscope.market.source import Key
    from depthscope.venues.lobster_files import Pair

SEEDED: Final = 1 << 63  # ids of the orders that stand for the levels of the first row
BATCH: Final = 4_096  # messages read at once when they are replayed


class PairReader:
    """Reader of one trading day.

    Parameters
    ----------
    label : str
        What the user named, for messages.
    pair : Pair
        The files.
    midnight : int
        UTC ns.
    lots : int
        Lots a share has.
    key : (publisher, instrument id)
        Of every event.
    hidden_sides : bool
        Whether the direction of hidden executions means anything on that day.
    capacity : int
        Rows an output buffer holds at first.

    Attributes
    ----------
    rows, differing, first_differing, back : int
        Messages done; those that do not explain their book row, and the first of them (from 1);
        times that time went back.
    strangers : int
        Executions and cancels of orders that neither a message nor the first book row accounts for.
    fault : str
        What ended the reading early, empty when nothing did.

    Raises
    ------
    EmptyData, CorruptData
        When there is no first row, or it is damaged.
    """

    def __init__(
        self, label: str, pair: Pair, midnight: int, lots: int, key: Key, *, hidden_sides: bool, capacity: int
    ) -> None:
        self._label, self._pair, self._midnight, self._lots = label, pair, midnight, lots
        self._key = np.array(key, np.int64)
        self._hidden_sides = int(hidden_sides)
        self._messages = LineReader([pair.messages])
        self._books = LineReader([pair.books])
        self.fault = ""
        self.back = self.strangers = 0
        self._resting: dict[tuple[int, int], list[int]] = {}
        self._state = np.zeros(k.STATE, np.int64)
        try:
            self._first = self._first_rows()
        except BaseException:
            self.close()
            raise
        self.out = RowRing(max(capacity, 4 * self.depth + 8))

    def _first_rows(self) -> npt.NDArray[np.int64]:
        """Book before the first message; the depth and the day's first time are settled with it."""
        for reader, what in ((self._messages, "message"), (self._books, "orderbook")):
            if not reader.ready():
                if reader.damage:
                    raise CorruptData(
                        f"{self._label}: {reader.damage}. No row could be read. Fetch it again."
                    )
                raise EmptyData(f"{self._label}: the {what} file holds no row, so there is nothing to read.")
        message, book = (
            np.frombuffer(reader.line() + b"\n" + bytes(PADDING), np.uint8).copy()
            for reader in (self._messages, self._books)
        )
        columns = bytes(book).count(b",") + 1
        self.depth = columns // 4
        first = np.zeros((2, max(self.depth, 1), 2), np.int64)
        answer = k.BAD_BOOK if columns % 4 else k.first_book(message, book, first)
        if answer != k.MORE:
            raise CorruptData(f"{self._label}: {self._bad(answer, 1)}. Fetch the files again.")
        fields = np.zeros(text.MESSAGE_COLUMNS, np.int64)
        k.read_messages(message, 0, len(message) - PADDING, fields.reshape(1, -1), self._state)
        self._state[:] = 0
        self._begin = self._midnight + int(fields[text.M_TIME])
        return first

    @staticmethod
    def _bad(answer: int, row: int) -> str:
        if answer == k.BAD_MESSAGE:
            return (
                f"row {row:,} of the message file is not six sound numbers (time, type 1 to 7, order id, "
                f"size, price, direction)"
            )
        return f"row {row:,} of the orderbook file is not sound levels of price and size, best first"

    @property
    def rows(self) -> int:
        """Messages done."""
        return int(self._state[k.S_ROW])

    @property
    def differing(self) -> int:
        """Book rows that their message does not explain."""
        return int(self._state[k.S_DIFFER])

    @property
    def first_differing(self) -> int:
        """The first of those rows, from 1; 0 for none."""
        return int(self._state[k.S_FIRST_DIFFER])

    @property
    def bytes_read(self) -> int:
        """Bytes of both files consumed, as stored."""
        return self._messages.bytes_read + self._books.bytes_read

    @property
    def unended(self) -> bool:
        """Whether the last line of either file had no end."""
        return self._messages.unended or self._books.unended

    def close(self) -> None:
        """Close the files."""
        self._messages.close()
        self._books.close()

    def events(self, mode: str, size: int) -> Iterator[Events]:
        """Yield all events in chunks of at most `size`; `fault` says afterwards whether all was read."""
        self._seed(orders=mode == "messages")
        yield from self._replay(size) if mode == "messages" else self._follow(size)
        yield from self.out.chunks(size)

    def _seed(self, *, orders: bool) -> None:
        """Write the book before the first message: as levels, or as one order a level."""
        publisher, instrument = (int(v) for v in self._key)
        levels = [
            (side, int(price), int(shares))
            for index, side in ((0, BID), (1, ASK))
            for price, shares in self._first[index]
            if price != text.NO_PRICE
        ]
        head = publisher | CLEAR << 32 | NO_SIDE << 40 | SNAPSHOT << 48
        ts = self._begin
        table = [(ts, ts, 0, UNDEF_PRICE, 0, 0, instrument, head)]
        for n, (side, price, shares) in enumerate(levels):
            order_id = SEEDED + n if orders else 0
            word7 = publisher | (ADD if orders else LEVEL) << 32 | side << 40 | SNAPSHOT << 48
            lots = shares * self._lots
            table.append((ts, ts, _signed(order_id), price * k.TO_FIXED, lots, 0, instrument, word7))
            self._resting[side, price] = [order_id, shares]
        rows = np.array(table, np.int64)
        rows[-1, 7] |= LAST << 48
        self.out.append(rows)

    def _both_ready(self) -> bool:
        """Whether both files have a line; notes in `fault` when only one has."""
        messages, books = self._messages.ready(), self._books.ready()
        if messages != books and not self.fault:
            short, long = ("message", "orderbook") if books else ("orderbook", "message")
            damage = self._messages.damage or self._books.damage
            self.fault = damage or (
                f"the {short} file ends after row {self.rows:,} while the {long} file goes on: they are no "
                f"pair"
            )
        elif not messages:
            self.fault = self._messages.damage or self._books.damage
        return messages and books

    def _follow(self, size: int) -> Iterator[Events]:
        three = np.zeros((6, self.depth, 2), np.int64)
        three[:2] = self._first
        state = self._state
        while self._both_ready():
            messages, books, out = self._messages, self._books, self.out
            state[k.S_MESSAGE], state[k.S_BOOK], state[k.S_N] = messages.pos, books.pos, out.n
            answer = k.follow_rows(
                messages.buf,
                messages.stop,
                books.buf,
                books.stop,
                self._midnight,
                self._lots,
                self._hidden_sides,
                self._key,
                three,
                out.rows,
                state,
            )
            messages.pos, books.pos, out.n = (int(state[c]) for c in (k.S_MESSAGE, k.S_BOOK, k.S_N))
            self.back = int(state[k.S_BACK])
            if answer == k.ROOM:
                yield from out.chunks(size)
            elif answer != k.MORE:
                damage = self._messages.damage or self._books.damage
                self.fault = damage or self._bad(answer, self.rows + 1)
                return

    def _replay(self, size: int) -> Iterator[Events]:
        """Order by order; the book file gave its first row and is not read further."""
        table = np.zeros((BATCH, text.MESSAGE_COLUMNS), np.int64)
        read = np.zeros(k.STATE, np.int64)
        state, reader, out = self._state, self._messages, self.out
        orders: dict[int, int] = {}
        while reader.ready():
            answer = k.read_messages(reader.buf, reader.pos, reader.stop, table, read)
            reader.pos = int(read[k.S_MESSAGE])
            batch = table[: read[k.S_N]]
            self._name_orders(batch, orders)
            state[k.S_MESSAGE] = 0
            while state[k.S_MESSAGE] < len(batch):
                state[k.S_N] = out.n
                k.write_orders(
                    batch, self._midnight, self._lots, self._hidden_sides, self._key, out.rows, state
                )
                out.n = int(state[k.S_N])
                if state[k.S_MESSAGE] < len(batch) or out.n >= size:
                    yield from out.chunks(size)
            self.back = int(state[k.S_BACK])
            if answer not in (k.MORE, k.ROOM):
                self.fault = reader.damage or self._bad(answer, self.rows + 1)
                return
        self.fault = reader.damage

    def _name_orders(self, batch: npt.NDArray[np.int64], orders: dict[int, int]) -> None:
        """Give executions and cancels of orders that rested before the first message a seeded id.

        `orders` holds the shares left of each order submitted so far, by id.
        """
        for row, (_, kind, order_id, shares, price, direction) in enumerate(batch.tolist()):
            if kind == text.SUBMIT:
                orders[order_id] = shares
            elif kind <= text.EXECUTE:
                left = orders.pop(order_id, None)
                if left is not None:
                    if left > shares:
                        orders[order_id] = left - shares
                    continue
                seeded = self._resting.get((BID if direction == 1 else ASK, price))
                if seeded is not None and seeded[1] >= shares:
                    seeded[1] -= shares
                    batch[row, text.M_ID] = _signed(seeded[0])
                else:
                    self.strangers += 1


def _signed(order_id: int) -> int:
    """Return the int64 with the bits of a uint64."""
    return order_id - (1 << 64) if order_id >> 63 else order_id
