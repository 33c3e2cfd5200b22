"""Large buyers and sellers: large aggressive prints, and large size that is displayed or refreshed.

A large **seller** (side A) shows in two ways, a large **buyer** (side B) in the mirror of them. A large
resting bid is a buyer, never a seller.

* **PRINT**: an aggressive sale whose every fill is at or below the best bid before its first fill.
  Fills of one venue time and side are one print (``large_prints`` tells how, and when it closes). It is
  large from `large_trader_size` (10,000 shares, classic; in other markets contracts or base units) on,
  or when at most 1 − `large_trader_quantile` (0.99) of the instrument's own past prints are as large,
  judged by `large_trader_least` (100) of them at the least.
* **RESTING**: the size at the best ask is large for `large_trader_hold` (5) seconds on end at one
  price; or it was refreshed (it grew after a trade there had taken of it) at least
  `large_trader_refreshes` (3) times while as much as is large was taken there. Large is
  `large_trader_size`, or `large_trader_rest` (5) times the usual size at the best ask: the median of
  the last 30 readings, one in each second in which anything happens, known from ten on.

The label is **BOTH** once both were seen, and always **L1-inferred** on feeds of best prices alone:
what is displayed there may be of many, and what is refreshed may be another's. Where aggressors are inferred
it runs on those, and its messages say so (``inferred``): a print counts only at or through the quote, where
the quote rule cannot differ from the definition; what may be wrong is an old quote. Trades off the book,
late or without a known aggressor are no prints of anybody. The venue is the instrument's; a
consolidated feed does not say it.

Opened by either sign, updated by each further large print and when the label changes; closed when the
latest sign (a large print, or large size still displayed) is `large_trader_window` (60) seconds old,
with what became of mid since the opening: ``with`` when it went at least two ticks the trader's way,
``against`` when two the other, else ``flat``; or ``lost`` with the book. Then nothing is opened on that
side for `large_trader_cooldown` (30) seconds. ``price`` is the latest print's or the displayed size's,
``size`` what the large prints sum up to, where there is none the most displayed, ``strength`` the
latest sign's size ÷ what is large.

On recordings, alerts an hour at low, medium and high: ES 13, 17, 21 (2023-12-25, an hour); BTCUSDT 21,
21, 21 (2024-08-08, six minutes: one matter a side, updated 40 to 137 times). At medium 4 of the 17
ended with the trader and 2 against.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.kit import crowded, say_at
from depthscope.detectors.usual import put_in_order
from depthscope.features.kit import (
    SECOND,
    UNDEF,
    as_size,
    counted,
    event_rows,
    frame_of,
    infos,
    sample_rows,
    walk,
)
from depthscope.features.prints import (
    HALF_LIFE,
    PATIENCE,
    PRINTS,
    continues,
    forget,
    join,
    judge_by,
    least_large,
    matched_by_few,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID, CLEAR, COND_LATE, COND_OFF_BOOK, LOST, TRADE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, OPEN, TRACE_FLOW, TRACE_TRADES, UPDATE, trace_mask

LEVEL = "event"
TRACED = TRACE_TRADES | TRACE_FLOW | trace_mask("RX")
REQUIRES = Capability.TRADES | Capability.AGGRESSOR | Capability.L1
ON_INFERRED = True
READINGS: Final = 30
FEWEST: Final = 10
MOVED: Final = 2  # ticks

# 4 KB an instrument. By side: 0 the bid, and buyers; 1 the ask, and sellers.
STATE = np.dtype(
    [
        *PRINTS,
        ("inside", "i8"),  # a fill of the open print was better than the best price
        ("first", "i8", (2,)),  # best prices before it
        ("last_price", "i8"),
        # The best prices and what is displayed there.
        ("quoted", "i8"),
        ("best", "i8", (2,)),
        ("shown", "i8", (2,)),
        ("peak", "i8", (2,)),
        ("hit", "i8", (2,)),  # a trade has taken of it since it last grew
        ("refreshed", "i8", (2,)),
        ("taken", "i8", (2,)),
        ("large", "i8", (2,)),  # since when it is large, 0 when it is not
        ("ready", "i8", (2,)),  # since when it was taken and refreshed often enough, 0 when it was not
        ("next", "i8"),  # when to take a reading
        ("read", "i8"),
        ("reading", "f8", (2, READINGS)),
        ("order", "i8", (2, READINGS)),  # their numbers, the smallest reading first
        ("usual", "f8", (2,)),  # lots, 0 while unknown
        ("least", "f8", (2,)),  # displayed size that is large, in lots
        # What is open.
        ("number", "i8", (2,)),
        ("opened", "i8", (2,)),
        ("signs", "i8", (2,)),  # 1 print, 2 resting, 3 both
        ("prints", "i8", (2,)),
        ("printed", "i8", (2,)),
        ("largest", "i8", (2,)),
        ("most", "i8", (2,)),  # displayed
        ("price", "i8", (2,)),
        ("ratio", "f8", (2,)),
        ("latest", "i8", (2,)),
        ("middle", "i8", (2,)),
        ("quiet", "i8", (2,)),
        ("due", "i8"),  # nothing comes about by time alone before; 0 when that is to be found out
        ("count", "i8"),
        ("shares", "f8"),  # lots
        ("times", "f8"),
        ("hold", "i8"),
        ("refreshes", "f8"),
        ("window", "i8"),
        ("cooldown", "i8"),
        ("inferred", "i8"),
        ("step", "i8"),  # price distance of MOVED ticks, of two mids
    ]
)
SETTINGS = {
    "large_trader_size": 10_000.0,
    "large_trader_quantile": 0.99,
    "large_trader_least": 100.0,
    "large_trader_rest": 5.0,
    "large_trader_hold": 5.0,
    "large_trader_refreshes": 3.0,
    "large_trader_window": 60.0,
    "large_trader_cooldown": 30.0,
}
PRESETS = {
    "low": {"large_trader_quantile": 0.995, "large_trader_rest": 8.0, "large_trader_refreshes": 5.0},
    "high": {"large_trader_quantile": 0.98, "large_trader_rest": 4.0, "large_trader_refreshes": 2.0},
}
EVIDENCE = (
    "prints", "printed", "largest_print", "displayed", "most_displayed", "usual_displayed", "refreshes",
    "taken", "moved_ticks", "seconds",
)  # fmt: skip
LABELS = ("", "PRINT", "RESTING", "BOTH", "L1-inferred")
OUTCOMES = ("", "with", "against", "flat", "lost")
PRINTED, RESTS = 1, 2
INFERRED = 4
WITH, AGAINST, FLAT, GONE = 1, 2, 3, 4


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them."""
    judge_by(record, settings["large_trader_quantile"], settings["large_trader_least"])
    times, over = instrument.size_ratio
    record["shares"] = record["least"] = settings["large_trader_size"] * over / times
    record["times"], record["refreshes"] = settings["large_trader_rest"], settings["large_trader_refreshes"]
    for name in ("hold", "window", "cooldown"):
        record[name] = int(settings[f"large_trader_{name}"] * SECOND)
    record["inferred"] = not instrument.capabilities & (Capability.L2 | Capability.MBO)
    record["step"] = 2 * MOVED * instrument.tick


@njit
def gone(s: Any, side: Int) -> Any:
    """Twice the way mid went for the trader of a side since the opening."""
    way = s.best[0] + s.best[1] - s.middle[side]
    return way if side == 0 else -way


@njit
def tell(ctx: Any, said: Any, s: Any, side: Int) -> None:
    """Fill a message with how a matter stands."""
    info = infos(ctx)[said.slot]
    said.opened, said.number = s.opened[side], s.number[side]
    said.side = BID if side == 0 else ASK
    said.label = INFERRED if s.inferred else s.signs[side]
    said.price = s.price[side]
    said.size = s.printed[side] if s.prints[side] else s.most[side]
    said.strength = s.ratio[side]
    said.evidence[0] = s.prints[side]
    said.evidence[1] = as_size(s.printed[side], info)
    said.evidence[2] = as_size(s.largest[side], info)
    said.evidence[3] = as_size(s.shown[side], info) if s.quoted else 0.0
    said.evidence[4] = as_size(s.most[side], info)
    said.evidence[5] = s.usual[side] * info.size_mul / info.size_div
    said.evidence[6] = s.refreshed[side]
    said.evidence[7] = as_size(s.taken[side], info)
    said.evidence[8] = gone(s, side) / (2.0 * info.tick_fixed)
    said.evidence[9] = (said.ts - s.opened[side]) / 1e9


@njit
def sign(s: Any, side: Int, kind: Int, ts: Int, since: Int, price: Int, ratio: float) -> Int:
    """Note a sign: the phase to tell of it, 0 for none. It was there at `since`, and is known at `ts`."""
    s.due = 0
    if not s.number[side]:
        if since < s.quiet[side] or not s.quoted:
            return np.int64(0)
        s.count += 1
        s.number[side], s.opened[side], s.signs[side] = s.count, ts, kind
        s.prints[side] = s.printed[side] = s.largest[side] = s.most[side] = 0
        s.middle[side] = s.best[0] + s.best[1]
        phase = np.int64(OPEN)
    else:
        phase = np.int64(UPDATE if kind == PRINTED or not s.signs[side] & kind else 0)
        s.signs[side] |= kind
    s.latest[side] = max(s.latest[side], since)
    s.price[side], s.ratio[side] = price, ratio
    if kind == PRINTED:
        s.prints[side] += 1
        s.printed[side] += s.size
        s.largest[side] = max(s.largest[side], s.size)
    if s.quoted:
        s.most[side] = max(s.most[side], s.peak[side])
    return phase


@njit
def close_print(s: Any, side: Int, ts: Int) -> Int:
    """Judge the open print, which is over; the phase to tell of it, 0 for none."""
    forget(s, s.ts // HALF_LIFE)
    least = min(s.shares, float(least_large(s))) if s.weight >= s.least_weight else s.shares
    few = matched_by_few(s)
    phase = np.int64(0)
    if not s.inside and (few or s.size >= s.shares):
        phase = sign(s, side, PRINTED, ts, s.ts, s.last_price, s.size / max(least, 1.0))
    s.size = s.due = 0
    return phase


@njit
def rest_due(s: Any, side: Int) -> Int:
    """When large size at the best price is a sign not told of yet; never where there is none."""
    known = s.number[side] and s.signs[side] & RESTS and s.price[side] == s.best[side]
    due = np.int64(UNDEF)
    if known or not s.quoted:
        return due
    if s.large[side]:
        due = s.large[side] + s.hold
    if s.ready[side]:
        due = min(due, s.ready[side])
    return max(due, s.quiet[side])


@njit
def over_due(s: Any, side: Int) -> Int:
    """When the latest sign of what is open is too old: never while an open print may be another."""
    end = s.latest[side] + s.window
    pending = s.size and s.side == (BID if side == 0 else ASK) and s.ts < end
    if not s.number[side] or (s.quoted and s.large[side]) or pending:
        return np.int64(UNDEF)
    return end


@njit
def close(ctx: Any, s: Any, side: Int, place: Int, ts: Int, slot: Int, lost: bool) -> None:
    """Tell how a matter ended."""
    said = say_at(ctx, place, ts, slot, CLOSE)
    tell(ctx, said, s, side)
    way = gone(s, side)
    said.outcome = GONE if lost else WITH if way >= s.step else AGAINST if way <= -s.step else FLAT
    s.number[side] = s.due = 0
    s.hit[side] = s.refreshed[side] = s.taken[side] = s.ready[side] = 0  # signs of what was told
    s.quiet[side] = (ts if lost else s.latest[side] + s.window) + s.cooldown


@njit
def speak(ctx: Any, s: Any, side: Int, place: Int, ts: Int, slot: Int, phase: Int) -> None:
    """Tell of a sign that was noted, if there is anything to tell."""
    if phase:
        tell(ctx, say_at(ctx, place, ts, slot, phase), s, side)


@njit
def end_print(ctx: Any, s: Any, place: Int, ts: Int, slot: Int) -> None:
    """Judge the open print and tell of it."""
    side = np.int64(0 if s.side == BID else 1)
    speak(ctx, s, side, place, ts, slot, close_print(s, side, ts))


@njit
def rest(ctx: Any, s: Any, side: Int, place: Int, ts: Int, slot: Int, due: Int) -> None:
    """Note that large size rests and tell of it."""
    ratio = max(s.peak[side], s.taken[side]) / max(s.least[side], 1.0)
    speak(ctx, s, side, place, ts, slot, sign(s, side, RESTS, ts, due, s.best[side], ratio))


@njit
def pass_time(ctx: Any, s: Any, place: Int, ts: Int, slot: Int) -> None:
    """Tell what has come about by time alone, in the order in which it did."""
    while s.due <= ts:
        ended = s.ts + PATIENCE + 1 if s.size else np.int64(UNDEF)
        over = min(over_due(s, np.int64(0)), over_due(s, np.int64(1)))
        rests = min(rest_due(s, np.int64(0)), rest_due(s, np.int64(1)))
        due = s.due = min(over, rests, ended)
        if due > ts:
            return
        if due == over:
            side = np.int64(0 if over_due(s, np.int64(0)) == due else 1)
            close(ctx, s, side, place, ts, slot, False)
        elif due == rests:
            side = np.int64(0 if rest_due(s, np.int64(0)) == due else 1)
            rest(ctx, s, side, place, ts, slot, due)
        else:
            end_print(ctx, s, place, ts, slot)


@njit
def take_reading(s: Any, ts: Int) -> None:
    """Take a reading of both best sizes, when one is due."""
    if ts < s.next or not s.quoted:
        return
    s.next = (ts // SECOND + 1) * SECOND
    s.read += 1
    n, at = min(s.read, READINGS), s.read % READINGS  # the first place is filled last
    none = READINGS - n  # places without a reading, in order before all: what is displayed is never less
    for side in range(2):
        s.reading[side, natural(at)] = s.shown[side]
        put_in_order(s.order[side], s.reading[side], at)
        if n >= FEWEST:
            low, high = s.order[side, none + ((n - 1) >> 1)], s.order[side, none + (n >> 1)]
            s.usual[side] = 0.5 * (s.reading[side, low] + s.reading[side, high])
            s.least[side] = min(s.shares, s.times * s.usual[side]) if s.usual[side] > 0.0 else s.shares


@njit
def shrink(s: Any, side: Int, ts: Int) -> None:
    """What was displayed is large no more: until now it was a sign."""
    if not s.large[side]:
        return
    if s.number[side]:
        s.latest[side] = max(s.latest[side], ts)
    s.large[side] = s.due = 0


@njit
def show(s: Any, side: Int, price: Int, size: Int, ts: Int) -> None:
    """Note what is displayed at the best price of a side."""
    if not s.quoted or price != s.best[side]:
        shrink(s, side, ts)
        s.best[side], s.shown[side], s.peak[side] = price, size, size
        s.hit[side] = s.refreshed[side] = s.taken[side] = s.ready[side] = s.due = 0
    elif size > s.shown[side]:
        s.refreshed[side] += s.hit[side]
        s.hit[side] = 0
    s.shown[side] = size
    s.peak[side] = max(s.peak[side], size)


@njit
def weigh(s: Any, side: Int, ts: Int) -> None:
    """Find out whether what is displayed, or was taken and refreshed, is large now."""
    least = s.least[side]
    if s.shown[side] < least:
        shrink(s, side, ts)
    elif not s.large[side]:
        s.large[side], s.due = ts, 0
    ready = s.refreshed[side] >= s.refreshes and s.taken[side] >= least
    if ready != (s.ready[side] > 0):
        s.ready[side], s.due = ts if ready else np.int64(0), 0


@njit
def add_print(ctx: Any, s: Any, t: Any, place: Int) -> None:
    """Put a row's trade to its print; the best prices are still those before it."""
    event = event_rows(ctx)[natural(t.event)]
    if not continues(s, event, t.ts):
        end_print(ctx, s, place, t.ts, np.int64(t.slot))
    if not s.size:
        s.inside = 0
        s.first[0], s.first[1] = s.best[0], s.best[1]
    join(s, event, t.ts)
    # A fill may also come so late that what is open, which waited for its print, is over.
    s.due = np.int64(0) if s.number[0] or s.number[1] else min(s.due, s.ts + PATIENCE + 1)
    s.last_price = event.price
    if event.side == BID:
        better = event.price < s.first[1]
    else:
        better = event.side != ASK or event.price > s.first[0]
    s.inside |= np.int64(better or not s.quoted)


@njit
def still(s: Any, t: Any) -> Any:
    """Whether a row leaves the best prices as they were."""
    return s.quoted and t.state == LIVE and t.bid == s.best[0] and t.ask == s.best[1]


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Follow a trade, a change of the best prices or their sizes, or the loss of the book."""
    book_alone = t.action not in (TRADE, CLEAR, LOST)
    if book_alone and (not t.last or t.ofi == 0):
        return True
    s = states[t.slot]
    if book_alone and t.ts < min(s.due, s.next) and still(s, t):
        for side in range(2):
            size = t.bid_size if side == 0 else t.ask_size
            if size != s.shown[side]:
                show(s, np.int64(side), s.best[side], size, t.ts)
                weigh(s, np.int64(side), t.ts)
        if t.ts < s.due:  # else something has begun, and may be told at once
            return True
    if crowded(ctx, 16, j):
        return False
    s, slot, place = states[t.slot], np.int64(t.slot), 2 * np.int64(k) + 1
    pass_time(ctx, s, place, t.ts, slot)
    event = event_rows(ctx)[natural(t.event)]
    traded = counted(ctx, t) and event.size > 0 and not event.cond & (COND_OFF_BOOK | COND_LATE)
    if traded:
        add_print(ctx, s, t, place)
    take_reading(s, t.ts)
    both = UNDEF not in (t.bid, t.ask)
    if t.action in (CLEAR, LOST) or t.state != LIVE or not both or t.bid > t.ask:
        for side in range(2):
            if s.number[side]:
                close(ctx, s, np.int64(side), place, t.ts, slot, True)
            s.large[side] = s.ready[side] = 0
        s.quoted, s.inside, s.due = 0, 1, 0
        return True
    for side in range(2):
        show(s, np.int64(side), t.bid if side == 0 else t.ask, t.bid_size if side == 0 else t.ask_size, t.ts)
        if traded and event.side == (ASK if side == 0 else BID) and event.price == s.best[side]:
            s.hit[side] = 1
            s.taken[side] += event.size
    s.quoted = 1
    for side in range(2):
        weigh(s, np.int64(side), t.ts)
    pass_time(ctx, s, place, t.ts, slot)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Tell at a row what has come about by time alone."""
    if crowded(ctx, 9, j):
        return False
    row = sample_rows(ctx)[j]
    pass_time(ctx, states[row.slot], 2 * row.at, row.ts, np.int64(row.slot))
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Follow trades and best prices among `n` TRACE rows."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
