"""Planes of bytes back into EVENT rows.

A block of rows is kept as its eight 64-bit words, each word as its bytes: plane p of a word holds byte p
of that word in every row, so that the bytes that hardly change stand together and compress to nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from depthscope.jit import hot, kernel

# How a word was turned into the codes its planes hold.
PLAIN: Final = 0  # itself
DELTA: Final = 1  # zigzag of its difference from the row before, divided by the divisor
ACROSS: Final = 2  # DELTA of its difference from the word before it in its row
PRICED: Final = 3  # DELTA plus one; 0 stands for the absent price, which the difference passes over
LISTED: Final = 4  # its place in the block's list of values

# Columns of a plan's rows, one for each word.
MODE: Final = 0
DIVISOR: Final = 1
BASE: Final = 2  # bytes of the planes that hold one value, together as a word
START: Final = 3  # what the first row differs from; for LISTED the place of its list in the values
FIRST: Final = 4  # the word's first row in the list of planes …
AFTER: Final = 5  # … and the first that is another's
PLAN: Final = 6

# Columns of the list of planes.
OFFSET: Final = 0
SHIFT: Final = 1
PACKED: Final = 2  # whether it stands among those that were compressed
PLANE: Final = 3

WORDS: Final = 8
STEP: Final = 256  # rows decoded together: they and their planes stay in the nearest cache
MOST_LISTED: Final = 256
ABSENT: Final = 2**63 - 1

_TEXT: Any = types.Bytes(types.uint8, 1, "C", readonly=True)
_ABSENT = np.uint64(ABSENT)
_NONE = np.uint64(2**64 - 1)  # an absent price's code, less one
_U0, _U1 = np.uint64(0), np.uint64(1)
_LOW = np.uint64(MOST_LISTED - 1)


@hot
def _away(code: Any) -> Any:
    """Difference that a zigzag code stands for."""
    return (code >> _U1) ^ (_U0 - (code & _U1))


@kernel(
    types.void(
        _TEXT, _TEXT, types.uint64[:, ::1], types.int64[:, ::1], types.uint64[::1], types.uint64[:, ::1]
    )
)
def join_planes(data: Any, packed: Any, plan: Any, planes: Any, values: Any, rows: Any) -> None:
    """Fill `rows` from planes in `data` and `packed`; `values` holds `MOST_LISTED` a list."""
    n = rows.shape[0]
    codes = np.empty(STEP, np.uint64)
    last = plan[:, START].copy()
    for start in range(0, n, STEP):
        m = min(STEP, n - start)
        for word in range(WORDS):
            mode, divisor, base = plan[word, MODE], plan[word, DIVISOR], plan[word, BASE]
            for i in range(m):
                codes[i] = base
            for plane in range(np.int64(plan[word, FIRST]), np.int64(plan[word, AFTER])):
                offset = planes[plane, OFFSET] + start
                shift = np.uint64(planes[plane, SHIFT])
                # Indexed from 0: loops over it use wide registers.
                some = packed[offset : offset + m] if planes[plane, PACKED] else data[offset : offset + m]
                for i in range(m):
                    codes[i] |= np.uint64(some[i]) << shift
            into = rows[start : start + m, word]
            if mode == PLAIN:
                for i in range(m):
                    into[i] = codes[i]
            elif mode == LISTED:
                table = values[np.int64(plan[word, START]) :]
                for i in range(m):
                    into[i] = table[codes[i] & _LOW]
            elif mode == PRICED:
                value = last[word]
                for i in range(m):
                    code = codes[i] - _U1
                    value += _away(code) * divisor if code != _NONE else _U0
                    into[i] = value if code != _NONE else _ABSENT
                last[word] = value
            else:
                for i in range(m):
                    codes[i] = _away(codes[i]) * divisor
                if mode == DELTA:
                    value = last[word]
                    for i in range(m):
                        value += codes[i]
                        into[i] = value
                    last[word] = value
                else:
                    before = rows[start : start + m, word - 1]
                    value = last[word]
                    for i in range(m):
                        value += codes[i]
                        into[i] = before[i] + value
                    last[word] = value
