"""Prints: fills of one parent aggressor put together, and which of them few others match.

What `large_prints` tells of and the detector `large_trader` looks for. Consecutive fills of one venue time
and one side are one print; it is over with the first trade of another time or side, or when nothing more
of it came for 100 ms of receive time.

Sizes are counted in a logarithmic histogram (exact below 16 lots, eight steps an octave above), and at
each full UTC half hour all earlier counts are halved. As weights only halve, sums are integers and
the same in every order.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import SECOND
from depthscope.jit import Int, njit

HALF_LIFE: Final = 1_800 * SECOND
PATIENCE: Final = SECOND // 10
UNIT: Final = 1 << 20  # weight of a new print: it halves twenty times before it is gone
STEPS: Final = 8  # an octave
BINS: Final = 41 * STEPS  # sizes of 2^43 lots and more share the last one
EQUAL: Final = 1.0 - 1e-12  # what a float comparison with a decimal threshold forgives

# Fields of a STATE.
PRINTS: Final[list[Any]] = [
    ("weights", "i8", (BINS,)),
    ("weight", "i8"),
    ("cut", "i8"),  # the bin where sizes few enough to be large begin
    ("above", "i8"),  # weight there and above
    ("half", "i8"),  # half hours since the epoch, as of the latest print
    ("size", "i8"),  # the open print, 0 when there is none
    ("ts_event", "i8"),
    ("ts", "i8"),
    ("side", "i8"),
    ("share", "f8"),
    ("least_weight", "f8"),
]


def judge_by(record: Any, quantile: float, least: float) -> None:
    """Settle what is few, and how many prints there must be to judge by."""
    record["share"] = (1.0 - quantile) / EQUAL
    record["least_weight"] = least * UNIT


@njit
def bin_of(size: Int) -> Int:
    """Histogram bin of a size in lots, at least 1."""
    shift = np.int64(0)
    while size >= 2 * STEPS:
        size >>= 1
        shift += 1
    return min(shift * STEPS + size, np.int64(BINS - 1))


@njit
def settle(s: Any) -> None:
    """Move the cut to the lowest bin that, with all above it, holds few enough past prints."""
    limit = s.share * s.weight
    while s.above > limit:
        s.above -= s.weights[natural(s.cut)]
        s.cut += 1
    while s.cut > 0 and s.above + s.weights[natural(s.cut - 1)] <= limit:
        s.cut -= 1
        s.above += s.weights[natural(s.cut)]


@njit
def forget(s: Any, half: Int) -> None:
    """Halve the weights once for each half hour begun since the latest print."""
    halvings = min(half - s.half, 63)
    if halvings > 0:
        s.weight = s.above = 0
        for k in range(BINS):
            s.weights[k] >>= halvings
            s.weight += s.weights[k]
            s.above += s.weights[k] if k >= s.cut else 0
        settle(s)
    s.half = half


@njit
def least_large(s: Any) -> Int:
    """Smallest size few match (`bin_of` backwards)."""
    shift = max(s.cut // STEPS - 1, 0)
    return (s.cut - shift * STEPS) << shift


@njit
def continues(s: Any, event: Any, ts: Int) -> Any:
    """Whether a trade is of the open print, or there is none."""
    return not s.size or (event.ts_event == s.ts_event and event.side == s.side and ts - s.ts <= PATIENCE)


@njit
def join(s: Any, event: Any, ts: Int) -> None:
    """Put a trade to the open print, or open one."""
    s.size += event.size
    s.ts_event, s.ts, s.side = event.ts_event, ts, event.side


@njit
def waited(s: Any, ts: Int) -> Any:
    """Whether nothing more will come of the open print."""
    return s.size and ts - s.ts > PATIENCE


@njit
def matched_by_few(s: Any) -> Any:
    """Whether few past prints are of the open one's size or larger; it is counted among them now."""
    forget(s, s.ts // HALF_LIFE)
    place = bin_of(s.size)
    few = s.weight >= s.least_weight and place >= s.cut
    s.weights[natural(place)] += UNIT
    s.weight += UNIT
    s.above += UNIT if place >= s.cut else 0
    settle(s)
    return few
