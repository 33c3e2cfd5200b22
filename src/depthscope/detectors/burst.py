"""Red and green bursts: a minute of much more volume than usual, most of it on one side.

Volume of the last minute ÷ the average minute of the last five (which it is part of, so that the
ratio is 5 at most): WARNING from `burst_warning` (3) on, CRITICAL from `burst_critical` (4) on, when
aggressors of one side made more than `burst_side_share` (0.6; classic 0.5) of that minute's volume.
Updated when it becomes critical, closed as ``over`` when the ratio is below seven tenths of a
warning, or the other side leads. Nothing is said before five minutes of trades.

``side`` is the aggressors': A is a red burst (selling), B a green one. ``price`` is the last trade's,
``size`` the minute's volume, ``strength`` the ratio. Trades without a known aggressor count for volume
and for no side. Rows are what is looked at, in buckets of a second.

Where aggressors are inferred it runs on those, and its messages say so (``inferred``): wrong sides only
bring the shares closer to a half, so that bursts are missed or said late rather than made up. With a fifth
of them wrong, a true share of 0.67 looks like 0.6.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.detectors.kit import crowded, say_at_row
from depthscope.features.kit import SECOND, as_size, frame_of, infos, sample_rows
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, OPEN, UPDATE

REQUIRES = Capability.AGGRESSOR
ON_INFERRED = True
MINUTE: Final = 60  # buckets
ALL: Final = 5 * MINUTE
KEEP: Final = 0.7
STATE = np.dtype(
    [
        ("warning", "f8"),
        ("critical", "f8"),
        ("share", "f8"),
        ("begun", "i8"),  # second of the first row
        ("now", "i8"),  # second of the newest bucket
        ("buckets", "i8", (3, ALL)),  # bought, sold, unknown, by second
        ("minute", "i8", (3,)),
        ("five", "i8"),
        ("side", "i8"),  # of what is open, 0 for nothing
        ("tier", "i8"),
        ("number", "i8"),
        ("opened", "i8"),
    ]
)
SETTINGS = {"burst_warning": 3.0, "burst_critical": 4.0, "burst_side_share": 0.6}
PRESETS = {
    "low": {"burst_warning": 3.5, "burst_critical": 4.5, "burst_side_share": 0.7},
    "high": {"burst_warning": 2.5, "burst_critical": 3.5, "burst_side_share": 0.5},
}
EVIDENCE = ("ratio", "minute_volume", "average_minute", "side_share")
LABELS = ("", "WARNING", "CRITICAL")
OUTCOMES = ("", "over")
WARNING, CRITICAL = 1, 2


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them."""
    record["warning"], record["critical"] = settings["burst_warning"], settings["burst_critical"]
    record["share"] = settings["burst_side_share"]


@njit
def turn(s: Any, second: Int) -> None:
    """Make `second` the newest bucket; what is a minute or five old leaves the sums."""
    if s.begun == 0:
        s.begun = s.now = second
    if second - s.now >= ALL:  # nothing of what is held is left
        for k in range(3):
            s.minute[k] = 0
            for b in range(ALL):
                s.buckets[k, b] = 0
        s.five = 0
        s.now = second
    while s.now < second:
        s.now += 1
        old, leaving = s.now % ALL, (s.now - MINUTE) % ALL
        for k in range(3):
            s.minute[k] -= s.buckets[k, leaving]
            s.five -= s.buckets[k, old]
            s.buckets[k, old] = 0


@njit
def add(s: Any, row: Any, second: Int) -> None:
    """Count a row's trades, which were made in the bucket of its end."""
    bucket = second % ALL
    for k in range(3):
        size = row.buy_volume if k == 0 else row.sell_volume if k == 1 else row.unknown_volume
        s.buckets[k, bucket] += size
        s.minute[k] += size
        s.five += size


@njit
def say(ctx: Any, s: Any, j: int, phase: Int, ratio: float) -> Any:
    """Tell how a burst stands."""
    row = sample_rows(ctx)[j]
    info = infos(ctx)[row.slot]
    volume = s.minute[0] + s.minute[1] + s.minute[2]
    said = say_at_row(ctx, j, phase)
    said.opened, said.number, said.side, said.label = s.opened, s.number, s.side, s.tier
    said.price = row.last_price
    said.size = volume
    said.strength = said.evidence[0] = ratio
    said.evidence[1] = as_size(volume, info)
    said.evidence[2] = as_size(s.five / 5.0, info)
    said.evidence[3] = s.minute[0 if s.side == BID else 1] / volume if volume > 0 else 0.0
    return said


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Look at `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    for j in range(frame_of(ctx).row, n):
        if crowded(ctx, 1, j):
            return j
        row = rows[j]
        s = states[row.slot]
        second = (row.ts - 1) // SECOND
        turn(s, second)
        add(s, row, second)
        volume = s.minute[0] + s.minute[1] + s.minute[2]
        ratio = 5.0 * volume / s.five if s.five > 0 else 0.0
        if second - s.begun < ALL - 1:
            continue
        if s.side:
            lead = s.minute[0] - s.minute[1] if s.side == BID else s.minute[1] - s.minute[0]
            if ratio < KEEP * s.warning or lead < 0:
                said = say(ctx, s, j, CLOSE, ratio)
                said.outcome = 1
                s.side = 0
            elif s.tier == WARNING and ratio >= s.critical:
                s.tier = CRITICAL
                say(ctx, s, j, UPDATE, ratio)
        elif ratio >= s.warning and max(s.minute[0], s.minute[1]) > s.share * volume:
            s.side = BID if s.minute[0] > s.minute[1] else ASK
            s.tier = CRITICAL if ratio >= s.critical else WARNING
            s.number += 1
            s.opened = row.ts
            say(ctx, s, j, OPEN, ratio)
    return n
