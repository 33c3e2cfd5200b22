"""What absorption and hidden orders have in common: a matter a side, from open to close.

A trade that brings the volume of a stay (`stays.py`) above so many times the usual size makes it a
candidate. It is judged by the first change of the best prices or their sizes after: only then is it seen
whether the price has stayed, and whether mid went less far than the flow usually moves it. A later trade
judges it too where orders are told one by one; feeds of levels tell trades before the levels they took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.kit import crowded, say_at_event, say_at_row
from depthscope.detectors.stays import (
    BUCKET,
    FLOW,
    MID,
    STAYS,
    WINDOW,
    add,
    begin,
    expected,
    first_of,
    hit_side,
    holds,
    moved,
    near,
    settle,
    wanted,
)
from depthscope.features.kit import (
    SECOND,
    as_size,
    event_rows,
    infos,
    missing_ring,
    ring_full,
    ring_row,
    ring_rows,
    sample_rows,
)
from depthscope.jit import Int, njit
from depthscope.market.events import ASK, BID, CLEAR, LOST, TRADE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, OPEN, UPDATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

STATE: Final = np.dtype(
    [
        *STAYS,
        ("times", "f8"),
        ("beyond", "i8"),  # price distance at which it is over
        ("cooldown", "i8"),
        ("labelled", "i8"),
        ("by_order", "i8"),
        ("count", "i8"),
        ("calm", "i8"),  # until when nothing can come about while the best prices stay and nothing trades
        # By side (0 bid, 1 ask). The candidate, none while `ripe` is 0:
        ("ripe", "i8", (2,)),  # time of its trade
        ("ripe_low", "i8", (2,)),
        ("ripe_volume", "i8", (2,)),
        ("ripe_begun", "i8", (2,)),  # time of its first trade
        ("ripe_mid", "i8", (2,)),
        ("ripe_flow", "i8", (2,)),
        # and what is open, nothing while `number` is 0.
        ("number", "i8", (2,)),
        ("opened", "i8", (2,)),
        ("at", "i8", (2,)),  # lowest price of its band
        ("begun", "i8", (2,)),
        ("usual", "f8", (2,)),
        ("executed", "i8", (2,)),
        ("told", "i8", (2,)),  # executed when last spoken of
        ("latest", "i8", (2,)),  # time of the last execution
        ("middle", "i8", (2,)),
        ("total", "i8", (2,)),
        ("quiet", "i8", (2,)),  # until when nothing is opened
    ]
)
EVIDENCE: Final = (
    "multiple", "volume", "deviation", "seconds", "moved_ticks", "expected_ticks", "displayed",
)  # fmt: skip
OUTCOMES: Final = ("", "held", "broken", "over")
HELD, BROKEN, OVER = 1, 2, 3


def prepare_as(
    name: str, record: Any, instrument: Instrument, settings: Mapping[str, float], ticks: int, labelled: bool
) -> None:
    """Put the settings of the detector `name` where the kernel finds them."""
    begin(record, instrument, settings[f"{name}_flow"], ticks)
    record["times"] = settings[f"{name}_times"]
    record["beyond"] = round(settings[f"{name}_break"] * instrument.tick)
    record["cooldown"] = int(settings[f"{name}_cooldown"] * SECOND)
    record["labelled"] = labelled
    record["by_order"] = bool(instrument.capabilities & Capability.MBO)


@njit
def tell(ctx: Any, said: Any, s: Any, side: Int) -> None:
    """Fill a message with how a matter stands."""
    info = infos(ctx)[said.slot]
    low, best = s.at[side], s.bid if side == 0 else s.ask
    said.opened, said.number = s.opened[side], s.number[side]
    said.side = BID if side == 0 else ASK
    said.label = side + 1 if s.labelled else 0
    said.price = low + s.width if side == 0 else low
    said.size = s.executed[side]
    said.strength = said.evidence[0] = s.executed[side] / s.usual[side]
    said.evidence[1] = as_size(s.executed[side], info)
    said.evidence[2] = s.usual[side] * info.size_mul / info.size_div
    said.evidence[3] = (said.ts - s.begun[side]) / 1e9
    said.evidence[4] = moved(s, side, s.middle[side])
    said.evidence[5] = expected(s, side, s.total[side])
    if low <= best <= low + s.width:
        said.evidence[6] = as_size(s.bid_size if side == 0 else s.ask_size, info)


@njit
def deeper(side: Int, low: Int, other: Int) -> Any:
    """Whether a band is farther from the market than another of its side."""
    return low < other if side == 0 else low > other


@njit
def propose(s: Any, memory: Any, ts: Int, side: Int, price: Int) -> None:
    """Make the largest stay at a price the candidate, if it is large enough and no other is larger."""
    if s.number[side] or ts < s.quiet[side] or s.deviation <= 0.0:
        return
    for w in range(s.places[side]):
        volume, low = s.volume[side, w], s.low[side, w]
        if not holds(s, side, w, price) or not volume > s.times * s.deviation:
            continue
        best = s.ripe_volume[side]
        if s.ripe[side] and (volume < best or (volume == best and not deeper(side, low, s.ripe_low[side]))):
            continue
        row = first_of(s, memory, side, w)
        s.ripe[side], s.ripe_low[side], s.ripe_volume[side] = ts, low, volume
        s.ripe_begun[side], s.ripe_mid[side], s.ripe_flow[side] = (
            memory[row, 0],
            memory[row, MID],
            memory[row, FLOW],
        )


@njit
def accept(s: Any, side: Int, ts: Int) -> Any:
    """Judge the candidate; whether it is opened."""
    usual = expected(s, side, s.ripe_flow[side])
    if not near(s, side, s.ripe_low[side]) or not usual > max(moved(s, side, s.ripe_mid[side]), 0.0):
        s.ripe[side] = 0
        return False
    s.count += 1
    s.number[side], s.opened[side], s.at[side] = s.count, ts, s.ripe_low[side]
    s.executed[side] = s.told[side] = s.ripe_volume[side]
    s.begun[side], s.middle[side], s.total[side] = (
        s.ripe_begun[side],
        s.ripe_mid[side],
        s.ripe_flow[side],
    )
    s.usual[side] = s.deviation
    s.latest[side] = s.ripe[side]
    s.ripe[side] = 0
    return True


@njit
def close(ctx: Any, said: Any, s: Any, side: Int, outcome: Int, end: Int) -> None:
    """Tell how a matter ended; for a while nothing more is opened on its side."""
    tell(ctx, said, s, side)
    said.outcome = outcome
    s.number[side] = 0
    s.quiet[side] = end + s.cooldown


@njit
def left(s: Any, side: Int) -> Any:
    """Whether the price has gone away from what is open, in its favour."""
    if side == 0:
        return s.bid >= s.at[side] + s.width + s.beyond
    return s.ask <= s.at[side] - s.beyond


@njit
def through(s: Any, side: Int, price: Int) -> Any:
    """Whether a trade at a price is beyond what is open."""
    if side == 0:
        return price <= s.at[side] - s.beyond
    return price >= s.at[side] + s.width + s.beyond


@njit
def take_trade(ctx: Any, s: Any, t: Any, k: int) -> None:
    """Add a row's trade to stays and to what is open."""
    hit = hit_side(ctx, t)
    if hit < 0:
        return
    event, memory = event_rows(ctx)[natural(t.event)], ring_rows(ctx)
    add(s, memory, t.ts, hit, event.price, event.size)
    for side in range(2):
        if s.number[side] and through(s, side, event.price):
            close(ctx, say_at_event(ctx, t, k, CLOSE), s, side, BROKEN, t.ts)
    if s.number[hit] and s.at[hit] <= event.price <= s.at[hit] + s.width:
        s.executed[hit] += event.size
        s.latest[hit] = t.ts
        if s.executed[hit] >= 2 * s.told[hit]:
            s.told[hit] = s.executed[hit]
            tell(ctx, say_at_event(ctx, t, k, UPDATE), s, hit)
    propose(s, memory, t.ts, hit, event.price)


@njit
def calm_until(s: Any, memory: Any) -> Int:
    """When time alone may change something; 0 while there is a candidate."""
    end = (s.bucket + 1) * BUCKET
    for side in range(2):
        if s.ripe[side]:
            return np.int64(0)
        if s.number[side]:
            end = min(end, s.latest[side] + WINDOW)
    if s.trades.tail < s.trades.head:
        end = min(end, memory[ring_row(s.trades, s.trades.tail), 0] + WINDOW)
    return end


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Follow a change of the best prices, a trade, or the loss of the book."""
    if not wanted(t):
        return True
    s = states[t.slot]
    still = t.ts < s.calm and t.state == LIVE and t.bid == s.bid and t.ask == s.ask
    if still and t.action not in (TRADE, CLEAR, LOST):  # most changes are of sizes
        s.bid_size, s.ask_size = t.bid_size, t.ask_size
        s.flow += t.ofi if s.by_ofi else np.int64(0)
        return True
    if crowded(ctx, 5, j):
        return False
    if ring_full(s.trades):
        missing_ring(ctx, t.slot, 0, j)
        return False
    whole = settle(s, ring_rows(ctx), t)
    shown = t.last and t.action != TRADE
    for side in range(2):
        if s.number[side] and t.ts - s.latest[side] >= WINDOW:
            close(ctx, say_at_event(ctx, t, k, CLOSE), s, side, OVER, s.latest[side] + WINDOW)
        elif s.number[side] and not whole:
            close(ctx, say_at_event(ctx, t, k, CLOSE), s, side, OVER, t.ts)
        elif s.number[side] and left(s, side):
            close(ctx, say_at_event(ctx, t, k, CLOSE), s, side, HELD, t.ts)
        if not whole:
            s.ripe[side] = 0
        elif s.ripe[side] and (shown or (s.by_order and t.ts > s.ripe[side])) and accept(s, side, t.ts):
            tell(ctx, say_at_event(ctx, t, k, OPEN), s, side)
    if whole and t.action == TRADE:
        take_trade(ctx, s, t, k)
    s.calm = calm_until(s, ring_rows(ctx)) if whole else np.int64(0)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Close what nothing was executed in for a minute."""
    if crowded(ctx, 2, j):
        return False
    row = sample_rows(ctx)[j]
    s = states[row.slot]
    for side in range(2):
        if s.number[side] and row.ts - s.latest[side] >= WINDOW:
            close(ctx, say_at_row(ctx, j, CLOSE), s, side, OVER, s.latest[side] + WINDOW)
    return True
