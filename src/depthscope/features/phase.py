"""Part of the trading day a row belongs to, by its instrument's calendar.

``session_phase`` is one of the words of ``docs/SESSIONS.md``: PRE_MARKET, OPEN_DRIVE, MORNING, MIDDAY,
AFTERNOON, CLOSE and AFTER_HOURS of a US cash session (of a future, OVERNIGHT outside it), CLOSED,
CONTINUOUS for a market that never closes, UNKNOWN where the calendar does not know. It is the phase at
the last moment a row tells of, in receive time: a grid row at 14:30:00 tells of what was before, so
the first row of a session is the one after its opening. The state of the book plays no part.

Source: the calendars of ``docs/SESSIONS.md``; nothing is taken from the feed, not even a halt.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.clock import STRETCH, on_time, row_time
from depthscope.features.kit import Column, frame_of, put, sample_rows
from depthscope.jit import carray
from depthscope.market.instruments import Capability
from depthscope.market.phases import Phase

REQUIRES = Capability.L1
STATE = np.dtype([("now", STRETCH)])
OUT = (Column("session_phase", "label", labels=tuple(phase.name for phase in Phase)),)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the column of `n` SAMPLE rows."""
    rows, states = sample_rows(ctx), carray(state, frame_of(ctx).n_slots, STATE)
    j = int(frame_of(ctx).start)
    while j < n:
        r = rows[natural(j)]
        now = states[r.slot].now
        if not on_time(ctx, r.slot, now, row_time(ctx, r), j):
            return j
        put(ctx, out, 0, j, now.phase)
        j += 1
    return n
