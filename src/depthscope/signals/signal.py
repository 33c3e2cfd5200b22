"""BUY, SELL or NEUTRAL at each row, by an additive model, and what that rests on.

``signal`` is BUY when ``(p_up − p_down) · move_bps``, what buying is expected to bring, exceeds the cost
(half the spread plus the model's fee), SELL when the opposite does, else NEUTRAL: the usual answer
of an honest model. ``signal_confidence`` is the probability of what it says: of a move up or down
beyond cost within the horizon, or of neither for NEUTRAL. ``signal_strength = |p_up − p_down|``,
``signal_edge_bps = |p_up − p_down| · move_bps − cost``. ``signal_quality`` is a word for the confidence.

Null where the book is not LIVE, lacks a side or is crossed, while the venue says the instrument does not
trade continuously (halt, auction, close), and in hours its calendar has as CLOSED. A factor that cannot be
known adds nothing.

Three columns are made of detections, two of them over the last 60 whole seconds (the row's counts as one):

* ``detection_balance``: opened icebergs, refills, absorptions and hidden orders on the bid less those
  on the ask;
* ``aggression_balance``: sweeps, bursts and large traders of buyers less those of sellers;
* ``wall_lean``: 1 / (1 + ticks to the nearest bid wall) less the same for the ask; 0 without walls.

``level_lean`` tells of support and resistance, touched or broken: see `depthscope.signals.levels`.

Probabilities of the shipped weights are uncalibrated: see `depthscope.signals.model`.
"""

from __future__ import annotations

from math import exp, isnan, log, log1p
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.registry import all_detectors
from depthscope.detectors.wall import HELD
from depthscope.features.kit import (
    NAN,
    SECOND,
    Column,
    Component,
    columns_of,
    event_rows,
    frame_of,
    infos,
    picked_rows,
    put,
    sample_rows,
    trace_rows,
)
from depthscope.jit import Int, carray, njit, pointer
from depthscope.market.events import BID, STATUS, STATUS_TRADING
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, DETECTION, LIVE, OPEN, trace_mask
from depthscope.market.phases import Phase
from depthscope.signals.factors import BY_NAME
from depthscope.signals.levels import LEVELS, hear, level_lean
from depthscope.signals.model import CLIP, EXTENDED, LEAST, QUALITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from depthscope.market.instruments import Instrument
    from depthscope.signals.model import Model

TRACED: Final = trace_mask("S")
CLOSED: Final = int(Phase.CLOSED)
MOST: Final = 32  # factors
WALLS: Final = 32
MINUTE: Final = 60
BUCKETS: Final = 64
DETECTORS: Final = 32  # a message's detector number is below

RESTING: Final = ("iceberg", "refill", "absorption", "hidden")
AGGRESSIVE: Final = ("sweep", "burst", "large_trader")
WALL: Final = ("wall",)
NEEDED: Final = (*RESTING, *AGGRESSIVE, *WALL)

STATE: Final = np.dtype(
    [
        ("factors", "i8"),
        ("lean", "i8", (MOST,)),  # 1 or 0
        ("column", "i8", (MOST,)),
        ("less", "i8", (MOST,)),  # -1 for none
        ("over", "i8", (MOST, 2)),
        ("log", "i8", (MOST,)),
        ("mean", "f8", (2, MOST)),  # [0] of regular hours, [1] of extended ones
        ("scale", "f8", (2, MOST)),
        ("weight", "f8", (MOST,)),
        ("intercept", "f8"),
        ("move", "f8"),
        ("fee", "f8"),
        ("platt", "f8", (2,)),
        ("spread", "i8"),  # column of spread_bps
        ("phase", "i8"),  # column of session_phase
        ("hours", "i8", (len(Phase),)),  # by session phase: 1 in extended hours, else 0
        ("first", "i8"),  # first column of ours
        ("kind", "i8", (DETECTORS,)),  # by detector: 1 resting, 2 aggressive, 3 wall
        ("halted", "i8"),
        # Balances: the second a bucket is of, its two counts, and the sums over a minute.
        ("second", "i8", (BUCKETS,)),
        ("counts", "i8", (2, BUCKETS)),
        ("balance", "i8", (2,)),
        ("summed", "i8"),  # the second they are of, -1 when something came
        ("wall_number", "i8", (WALLS,)),  # 0: a free place
        ("wall_price", "i8", (WALLS,)),
        ("wall_side", "i8", (WALLS,)),
        ("levels", LEVELS),
    ]
)
OUT: Final = (
    Column("signal", "label", labels=("SELL", "NEUTRAL", "BUY")),
    Column("signal_confidence", "0…1"),
    Column("signal_strength", "0…1"),
    Column("signal_edge_bps", "bps"),
    Column("p_up", "0…1"),
    Column("p_down", "0…1"),
    Column("signal_quality", "label", labels=QUALITIES),
    Column("detection_balance", "count"),
    Column("aggression_balance", "count"),
    Column("wall_lean", "-1…1"),
    Column("level_lean", "-1…1"),
)
DETECTION_BALANCE, AGGRESSION_BALANCE, WALL_LEAN, LEVEL_LEAN = 7, 8, 9, 10


@njit
def absorb(s: Any, said: Any) -> None:
    """Take a message into the balances, the list of walls, and what waits to be a sign of a level."""
    kind = s.kind[natural(said.detector)]
    if (kind == 1 and said.phase == OPEN) or (kind == 3 and said.phase == CLOSE and said.outcome == HELD):
        hear(s.levels, said)
    if kind == 3:
        for w in range(WALLS):
            if s.wall_number[w] == (0 if said.phase == OPEN else said.number):
                s.wall_number[w] = 0 if said.phase == CLOSE else said.number
                s.wall_price[w], s.wall_side[w] = said.price, said.side
                return
    elif kind > 0 and said.phase == OPEN:
        second = said.ts // SECOND
        at = natural(second % BUCKETS)
        # Detectors speak one after the other, so an older message may come later: the newer second stays.
        if s.second[at] < second:
            s.second[at] = second
            s.counts[0, at] = s.counts[1, at] = 0
        if s.second[at] == second:
            s.counts[kind - 1, at] += 1 if said.side == BID else -1
        s.summed = -1


@njit
def sum_up(s: Any, second: Int) -> None:
    """Bring the balances to a second."""
    s.summed = second
    s.balance[0] = s.balance[1] = 0
    for at in range(BUCKETS):
        if second - MINUTE < s.second[at] <= second:
            s.balance[0] += s.counts[0, at]
            s.balance[1] += s.counts[1, at]


@njit
def lean_of_walls(s: Any, row: Any, tick: Int) -> float:
    """How much nearer one side's nearest wall is."""
    bid = ask = 0.0
    for w in range(WALLS):
        if s.wall_number[w]:
            if s.wall_side[w] == BID:
                bid = max(bid, 1.0 / (1.0 + max(row.bid_price[0] - s.wall_price[w], 0) / tick))
            else:
                ask = max(ask, 1.0 / (1.0 + max(s.wall_price[w] - row.ask_price[0], 0) / tick))
    return bid - ask


@njit
def standard(s: Any, columns: Any, f: int, hours: int, stride: Int, j: int) -> Any:
    """Factor `f` of row `j`, standardised and clipped; 0 where it cannot be known."""
    x = columns[s.column[f] * stride + j]
    if s.less[f] >= 0:
        x -= columns[s.less[f] * stride + j]
    if s.over[f, 0] >= 0:
        over = columns[s.over[f, 0] * stride + j]
        if s.over[f, 1] >= 0:
            over += columns[s.over[f, 1] * stride + j]
        x = x / over if over > 0.0 else NAN
    if isnan(x):
        return 0.0
    if s.log[f]:
        x = log1p(max(x, 0.0))
    return min(max((x - s.mean[hours, f]) / s.scale[hours, f], -CLIP), CLIP)


@njit
def calibrated(s: Any, p: float) -> float:
    """Platt's map of a probability."""
    if s.platt[0] == 1.0 and s.platt[1] == 0.0:
        return p
    p = min(max(p, 1e-12), 1.0 - 1e-12)
    return 1.0 / (1.0 + exp(-(s.platt[0] * log(p / (1.0 - p)) + s.platt[1])))


@njit
def speak(ctx: Any, s: Any, j: int, out: Any) -> None:
    """Write what the model says of row `j`."""
    stride = frame_of(ctx).stride
    columns = columns_of(ctx)
    phase = columns[s.phase * stride + j]
    hours = 0 if isnan(phase) else s.hours[natural(np.int64(phase))]
    lean, stir = 0.0, s.intercept
    for f in range(s.factors):
        term = s.weight[f] * standard(s, columns, f, hours, stride, j)
        if s.lean[f]:
            lean += term
        else:
            stir += term
    up, down = exp(min(stir + lean, 700.0)), exp(min(stir - lean, 700.0))
    total = 1.0 + up + down
    p_up, p_down = calibrated(s, up / total), calibrated(s, down / total)
    if p_up + p_down > 1.0:
        p_up, p_down = p_up / (p_up + p_down), p_down / (p_up + p_down)
    cost = 0.5 * columns[s.spread * stride + j] + s.fee
    edge = abs(p_up - p_down) * s.move - cost
    word, confidence = 1.0, max(1.0 - p_up - p_down, 0.0)
    if edge > 0.0:
        word, confidence = (2.0, p_up) if p_up > p_down else (0.0, p_down)
    put(ctx, out, 0, j, word)
    put(ctx, out, 1, j, confidence)
    put(ctx, out, 2, j, abs(p_up - p_down))
    put(ctx, out, 3, j, edge)
    put(ctx, out, 4, j, p_up)
    put(ctx, out, 5, j, p_down)
    quality = 0.0
    for least in LEAST:
        quality += 1.0 if confidence >= least else 0.0
    put(ctx, out, 6, j, quality)


@njit
def heed(ctx: Any, states: Any, t: Any) -> None:
    """Note a change of trading status."""
    if t.action == STATUS:
        states[t.slot].halted = event_rows(ctx)[natural(t.event)].aux != STATUS_TRADING


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Take the pass's messages and changes of status, and write its rows."""
    rows, trace, picked = sample_rows(ctx), trace_rows(ctx), picked_rows(ctx, n)
    frame = frame_of(ctx)
    states = carray(state, frame.n_slots, STATE)
    found = carray(pointer(frame.found), frame.found_room, DETECTION)
    # What each detector said in this pass stands together, in order of time.
    heads, ends = np.empty(DETECTORS, np.int64), np.empty(DETECTORS, np.int64)
    parts = 0
    begin = frame.n_found
    while begin > 0 and found[begin - 1].block == frame.block:
        begin -= 1
    for m in range(begin, frame.n_found):
        if parts == 0 or found[m].detector != found[m - 1].detector:
            heads[parts] = m
            parts += 1
        ends[parts - 1] = m + 1
    k = 0
    for j in range(frame.n_samples):
        row = rows[j]
        while k < n and picked[k] < row.at:
            heed(ctx, states, trace[natural(picked[k])])
            k += 1
        for p in range(parts):
            while heads[p] < ends[p]:
                said = found[heads[p]]
                if said.place > 2 * row.at or said.ts > row.ts:
                    break
                absorb(states[said.slot], said)
                heads[p] += 1
        s = states[row.slot]
        if s.summed != row.ts // SECOND:
            sum_up(s, row.ts // SECOND)
        put(ctx, out, DETECTION_BALANCE, j, s.balance[0])
        put(ctx, out, AGGRESSION_BALANCE, j, s.balance[1])
        quoted = row.n_bid > 0 and row.n_ask > 0 and row.state == LIVE and row.bid_price[0] < row.ask_price[0]
        tick = infos(ctx)[row.slot].tick_fixed
        if quoted:
            put(ctx, out, WALL_LEAN, j, lean_of_walls(s, row, tick))
            lean = level_lean(s.levels, row.ts, row.bid_price[0], row.ask_price[0], tick)
            put(ctx, out, LEVEL_LEAN, j, lean)
        else:
            s.levels.lost = 1
            put(ctx, out, WALL_LEAN, j, NAN)
            put(ctx, out, LEVEL_LEAN, j, NAN)
        closed = columns_of(ctx)[s.phase * frame.stride + j] == CLOSED
        if quoted and not s.halted and not closed:
            speak(ctx, s, j, out)
        else:
            for c in range(DETECTION_BALANCE):
                put(ctx, out, c, j, NAN)
    while k < n:
        heed(ctx, states, trace[natural(picked[k])])
        k += 1
    for p in range(parts):
        for m in range(heads[p], ends[p]):
            absorb(states[found[m].slot], found[m])
    return n


def signal_component(columns: Sequence[str], model_of: Callable[[Instrument], Model]) -> Component:
    """Signals as the engine runs them, after features and detectors.

    Parameters
    ----------
    columns : sequence of str
        Names of the engine's feature columns, which must hold all the models need.
    model_of : callable
        Model of an instrument.
    """
    place = {name: k for k, name in enumerate(columns)}
    place |= {c.name: len(columns) + k for k, c in enumerate(OUT)}

    def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
        model = model_of(instrument)
        record["factors"] = len(model.terms)
        record["less"] = record["over"] = -1
        for k, term in enumerate(model.terms):
            factor = BY_NAME[term.factor]
            record["lean"][k], record["log"][k] = factor.leans, factor.log
            record["column"][k] = place[factor.column]
            if factor.less:
                record["less"][k] = place[factor.less]
            for d, name in enumerate(factor.over):
                record["over"][k, d] = place[name]
            record["weight"][k] = term.weight
        record["hours"] = [phase in EXTENDED for phase in sorted(Phase)]
        for hours in (0, 1):
            for k, term in enumerate(model.terms_in(extended=bool(hours))):
                record["mean"][hours, k], record["scale"][hours, k] = term.mean, term.scale
        record["intercept"], record["move"], record["fee"] = model.intercept, model.move_bps, model.fee_bps
        record["platt"] = model.platt
        record["spread"], record["phase"] = place["spread_bps"], place["session_phase"]
        for about in all_detectors():
            if about.able(instrument):
                groups = (RESTING, AGGRESSIVE, WALL)
                record["kind"][about.number] = next(
                    (g for g, names in enumerate(groups, 1) if about.name in names), 0
                )

    return Component(
        name="signal",
        level="event",
        requires=Capability.L1,
        traced=TRACED,
        state=STATE,
        columns=OUT,
        update=update,
        prepare=prepare,
        doc=__doc__ or "",
    )
