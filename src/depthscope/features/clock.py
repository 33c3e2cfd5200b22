"""What part of which trading day a moment belongs to, for kernels.

A feature keeps a `STRETCH` in its STATE: the piece of its instrument's timetable that it looked at last.
`on_time` brings it to a moment: two comparisons while the moment lies in it, a binary search elsewhere.
UTC days need no timetable, so they are counted here; the others come in blocks (`stretches`), made when
a kernel first asks for them, the same ones whoever asks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.features.kit import frame_of, infos, missing_hours
from depthscope.jit import Int, carray, njit, pointer
from depthscope.market.calendars import find_calendar
from depthscope.market.hours import DAY_NS
from depthscope.market.lookup import stretch_at
from depthscope.market.phases import NO_TIME, Phase
from depthscope.market.sessions import timetable

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["STRETCH", "covered", "new_session", "on_time", "stretches", "utc_phase"]

# A stretch of one phase: what `Timetable` says of it, UTC ns. While closed between sessions `day` is NO_DATE
# and the four last are NO_TIME.
STRETCH: Final = np.dtype(
    [
        ("start", "i8"),
        ("end", "i8"),
        ("phase", "i8"),
        ("day", "i8"),  # days since 1970-01-01: the trading day it belongs to
        ("anchor", "i8"),  # totals of the session count from here
        ("origin", "i8"),  # the day's clock begins here
        ("opens", "i8"),
        ("closes", "i8"),
    ]
)
BLOCK: Final = 64 * DAY_NS  # a timetable is made for so long at a time
LATEST: Final = 1_664 * BLOCK  # the year 2261: no timetable reaches farther
UTC_FAMILIES: Final = {"always": Phase.CONTINUOUS, "unknown": Phase.UNKNOWN}


def utc_phase(calendar: str) -> int:
    """Phase of every moment of a calendar whose sessions are UTC days, -1 for the others."""
    return int(UTC_FAMILIES.get(find_calendar(calendar).family, -1))


@lru_cache(maxsize=64)
def stretches(calendar: str, block: int) -> npt.NDArray[Any]:
    """STRETCH records of one block of a calendar; first and last are whole and may reach out of it."""
    table = timetable(calendar, block * BLOCK, (block + 1) * BLOCK)
    made = np.zeros(len(table), STRETCH)
    made["start"], made["end"] = table.starts, np.append(table.starts[1:], table.end)
    made["phase"], made["day"], made["anchor"] = table.phases, table.dates, table.anchors
    made["origin"], made["opens"], made["closes"] = table.origins, table.opens, table.closes
    return made


def covered(calendar: str, ts: int) -> npt.NDArray[Any]:
    """STRETCH records of a calendar around a moment."""
    return stretches(calendar, ts // BLOCK)


@njit
def copy_day(now: Any, ts: Int, phase: Int) -> None:
    """Make `now` the UTC day of a moment."""
    now.day = ts // DAY_NS
    now.start = now.anchor = now.origin = now.opens = now.day * DAY_NS
    now.end = now.closes = now.start + DAY_NS
    now.phase = phase


@njit
def copy_stretch(now: Any, found: Any) -> None:
    """Make `now` a stretch of the timetable."""
    now.start, now.end = found.start, found.end
    now.phase, now.day = found.phase, found.day
    now.anchor, now.origin = found.anchor, found.origin
    now.opens, now.closes = found.opens, found.closes


@njit
def on_time(ctx: Any, slot: Int, now: Any, ts: Int, j: int) -> Any:
    """Bring `now`, a STRETCH of an instrument's STATE, to a moment.

    Returns False, with nothing changed, when the timetable must be fetched first: the caller then
    returns, to be called again, as after `missing_ring`. `j` is the SAMPLE row to go on with.
    """
    if now.start <= ts < now.end:
        return True
    info = infos(ctx)[slot]
    if info.utc_phase >= 0 or ts >= LATEST:
        copy_day(now, ts, max(info.utc_phase, np.int64(0)))
        return True
    if info.n_hours:
        table = carray(pointer(info.hours), info.n_hours, STRETCH)
        k = stretch_at(table["start"], table[info.n_hours - 1].end, ts, np.int64(-1))
        if k >= 0:
            copy_stretch(now, table[k])
            return True
    missing_hours(ctx, slot, ts, j)
    return False


@njit
def new_session(now: Any, anchor: Int) -> Any:
    """Whether totals that count from `anchor` begin anew; closed time begins nothing."""
    return now.anchor != anchor and now.anchor != NO_TIME


@njit
def row_time(ctx: Any, row: Any) -> Int:
    """Last moment a SAMPLE row tells of: a grid row excludes its boundary, a row by event is of it."""
    return row.ts - 1 + frame_of(ctx).by_event
