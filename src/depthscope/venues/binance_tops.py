"""Whether live Binance books are crossed, and since when.

The decoder keeps no book and the engine comes later, so the prices of each side stand here: a hash set
to know which exist, and a heap with the best on top. A price that is removed stays in the heap until it
comes to the top, so a level costs one look into the set, whatever the depth.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types

from depthscope.jit import carray, direct, kernel, njit, pointer
from depthscope.market.events import BID, CLEAR, LAST, LEVEL, LOST
from depthscope.venues import binance_layout as b

# Columns of a side: address and bits of its set, prices in it, address, room and length of its heap.
P_SET, P_BITS, P_COUNT, P_HEAP, P_ROOM, P_N = 0, 1, 2, 3, 4, 5
SIDE: Final = 8
# Columns of a symbol: two sides, then since when it is crossed (0: it is not).
T_CROSSED: Final = 2 * SIDE
COLUMNS: Final = T_CROSSED + 1
LEAST_BITS: Final = 12

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@njit
def _home(price: Any, bits: Any) -> Any:
    return np.int64((np.uint64(price) * _GOLDEN) >> np.uint64(64 - bits))


@njit
def _put(table: Any, bits: Any, price: Any) -> Any:
    """Whether the price is new in the set."""
    mask = (np.int64(1) << bits) - 1
    at = _home(price, bits)
    while table[at] != 0:
        if table[at] == price:
            return False
        at = (at + 1) & mask
    table[at] = price
    return True


@njit
def _has(table: Any, bits: Any, price: Any) -> Any:
    mask = (np.int64(1) << bits) - 1
    at = _home(price, bits)
    while table[at] != 0:
        if table[at] == price:
            return True
        at = (at + 1) & mask
    return False


@njit
def _drop(table: Any, bits: Any, price: Any) -> Any:
    """Whether the price was in the set; those displaced by it move back."""
    mask = (np.int64(1) << bits) - 1
    at = _home(price, bits)
    while table[at] != price:
        if table[at] == 0:
            return False
        at = (at + 1) & mask
    hole = at
    while True:
        at = (at + 1) & mask
        if table[at] == 0:
            break
        if (at - _home(table[at], bits)) & mask >= (at - hole) & mask:
            table[hole] = table[at]
            hole = at
    table[hole] = 0
    return True


@njit
def _push(heap: Any, n: Any, key: Any) -> None:
    at = n
    while at > 0:
        parent = (at - 1) >> 1
        if heap[parent] <= key:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = key


@njit
def _pop(heap: Any, n: Any) -> None:
    """Take the first of n keys out."""
    key = heap[n - 1]
    at = np.int64(0)
    while True:
        child = 2 * at + 1
        if child >= n - 1:
            break
        if child + 1 < n - 1 and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key


@njit
def _best(side: Any, sign: Any) -> Any:
    """Key of the best price of a side (`sign` times it); the largest integer without any."""
    heap = carray(pointer(side[P_HEAP]), side[P_ROOM], np.int64)
    table = carray(pointer(side[P_SET]), np.int64(1) << side[P_BITS], np.int64)
    while side[P_N] > 0 and not _has(table, side[P_BITS], sign * heap[0]):
        _pop(heap, side[P_N])
        side[P_N] -= 1
    return heap[0] if side[P_N] > 0 else np.int64(2**63 - 1)


@kernel(types.int64(*[types.int64] * 4))
def follow(place: Any, tops_at: Any, start: Any, stop: Any) -> Any:
    """Take the rows start … stop of an output buffer.

    Parameters
    ----------
    place : int
        What the row buffer says of itself (see `binance_scan.scan_message`).
    tops_at : int
        Address of the symbols' int64[:, COLUMNS].
    start, stop : int
        Which rows.

    Returns
    -------
    int
        `stop`, or the row before which a side needs room.
    """
    told = carray(pointer(place), 3, np.int64)
    rows = carray(pointer(told[b.P_ROWS]), (told[b.P_ROOM], 8), np.int64)
    for n in range(start, stop):
        word7 = rows[n, 7]
        action = (word7 >> 32) & 0xFF
        if action not in (LEVEL, CLEAR, LOST):
            continue
        index = (rows[n, 6] & 0xFFFFFFFF) - 1
        top = carray(pointer(tops_at + index * (8 * COLUMNS)), COLUMNS, np.int64)
        if action == LEVEL:
            is_bid = (word7 >> 40) & 0xFF == BID
            side = top[:SIDE] if is_bid else top[SIDE : 2 * SIDE]
            price = rows[n, 3]
            table = carray(pointer(side[P_SET]), np.int64(1) << side[P_BITS], np.int64)
            if rows[n, 4] == 0:
                if _drop(table, side[P_BITS], price):
                    side[P_COUNT] -= 1
            else:
                if 2 * side[P_COUNT] >= np.int64(1) << side[P_BITS] or side[P_N] == side[P_ROOM]:
                    return n
                if _put(table, side[P_BITS], price):
                    side[P_COUNT] += 1
                    heap = carray(pointer(side[P_HEAP]), side[P_ROOM], np.int64)
                    _push(heap, side[P_N], -price if is_bid else price)
                    side[P_N] += 1
            if (word7 >> 48) & LAST:
                bid, ask = _best(top[:SIDE], np.int64(-1)), _best(top[SIDE : 2 * SIDE], np.int64(1))
                none = np.int64(2**63 - 1)
                if none in (bid, ask) or -bid < ask:
                    top[T_CROSSED] = 0
                elif top[T_CROSSED] == 0:
                    top[T_CROSSED] = rows[n, 1]
        else:
            for k in range(2):
                side = top[k * SIDE : (k + 1) * SIDE]
                table = carray(pointer(side[P_SET]), np.int64(1) << side[P_BITS], np.int64)
                table[:] = 0
                side[P_COUNT] = 0
                side[P_N] = 0
            top[T_CROSSED] = 0
    return stop


class Tops:
    """Prices of all books, for the sake of their best ones.

    Attributes
    ----------
    rows : int64[symbols, COLUMNS]
        One a symbol.
    """

    def __init__(self) -> None:
        self.rows: npt.NDArray[np.int64] = np.zeros((0, COLUMNS), np.int64)
        self.at = 0
        self._kept: list[list[npt.NDArray[np.int64]]] = []  # [set, heap] of each side, two sides a symbol
        self._follow = direct(follow)

    def hold(self, symbols: int) -> None:
        """Have room for so many symbols."""
        fresh = np.zeros((symbols, COLUMNS), np.int64)
        fresh[: len(self.rows)] = self.rows
        first = len(self.rows)
        self.rows, self.at = fresh, fresh.ctypes.data
        for _ in range(2 * (symbols - first)):
            self._kept.append([np.zeros(1 << LEAST_BITS, np.int64), np.zeros(1 << LEAST_BITS, np.int64)])
            self._bind(len(self._kept) - 1)

    def note(self, place: int, start: int, stop: int) -> None:
        """Take the rows start … stop of the buffer that says `place` of itself."""
        while (start := self._follow(place, self.at, start, stop)) < stop:
            for number in range(len(self._kept)):
                side = self._side(number)
                if 2 * side[P_COUNT] >= 1 << side[P_BITS] or side[P_N] == side[P_ROOM]:
                    self._grow(number)

    def crossed(self, now: int, patience: int) -> list[int]:
        """Symbols crossed (or locked) for longer than `patience`, ns."""
        since = self.rows[:, T_CROSSED]
        found: list[int] = np.nonzero((since > 0) & (now - since > patience))[0].tolist()
        return found

    def forget(self, index: int) -> None:
        """Begin to count anew how long a symbol is crossed."""
        self.rows[index, T_CROSSED] = 0

    def _side(self, number: int) -> npt.NDArray[np.int64]:
        at = number % 2 * SIDE
        return self.rows[number // 2, at : at + SIDE]

    def _bind(self, number: int) -> None:
        """Tell a side where its memory is."""
        table, heap = self._kept[number]
        side = self._side(number)
        side[P_SET], side[P_BITS] = table.ctypes.data, len(table).bit_length() - 1
        side[P_HEAP], side[P_ROOM] = heap.ctypes.data, len(heap)

    def _grow(self, number: int) -> None:
        """Give a side room for twice its prices, and a heap without those that are gone."""
        table, side = self._kept[number][0], self._side(number)
        prices = table[table != 0]
        bits = max(LEAST_BITS, (4 * len(prices) + 4).bit_length())
        fresh = np.zeros(1 << bits, np.int64)
        heap = np.zeros(1 << bits, np.int64)
        for price in prices.tolist():
            at = (price * int(_GOLDEN) & (1 << 64) - 1) >> (64 - bits)
            while fresh[at]:
                at = (at + 1) & (len(fresh) - 1)
            fresh[at] = price
        keys = np.sort(-prices if number % 2 == 0 else prices)
        heap[: len(keys)] = keys  # in order, hence a heap
        self._kept[number] = [fresh, heap]
        side[P_COUNT] = side[P_N] = len(prices)
        self._bind(number)

    def save(self) -> dict[str, Any]:
        """Plain values :meth:`load` takes."""
        return {"rows": self.rows, "kept": self._kept}

    def load(self, state: dict[str, Any]) -> None:
        """Become what :meth:`save` described."""
        self.rows, self._kept = state["rows"], state["kept"]
        self.at = self.rows.ctypes.data
        for number in range(len(self._kept)):
            self._bind(number)
