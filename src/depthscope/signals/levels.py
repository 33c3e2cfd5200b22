"""Support and resistance as signals know them: the column ``level_lean``.

A **place** is a price with a side, support or resistance, and a score. These are its signs; the side of the
book they are on says which it is:

* a wall was closed as ``held``;
* an iceberg, a refill, an absorption or a hidden order was opened;
* mid turned: it has come back by four zones from the highest mid since it last turned up, whose best ask is
  a resistance, or from the lowest since it last turned down, whose best bid is a support.

The **zone** is the larger of 2 ticks and 0.5 bps of the first mid, in whole ticks. A sign within half a zone
(a tick at least) of a place of its side belongs to the nearest such place, any other makes one. Each adds 1
to the score, which is 4 at most. At each whole minute scores fade by ``0.5 ** (1 / 15)``, half in a quarter
of an hour, and places then under 0.1 are forgotten. The sixty-fifth place takes that of the lowest score.

The market is *before* a support by ``bid - price`` and *past* it by ``price - ask``; for a resistance it is
the other way round. At each row with a quoted book

* a place the market has been two zones before, and is now within half a zone before, or past, is **touched**,
  until the market is two zones before it again, which adds 1 to its score: it has held;
* a place the market has been a zone past in all rows for 5 s is **broken**: it changes sides with half its
  score, and counts as freshly broken for a minute.

``level_lean = x / (1 + |x|)``, where x is the sum over places that are touched or freshly broken, and that
the market is less than a zone past, of their scores, positive for supports and negative for resistances.
So a support touched and a resistance just broken speak for up, the opposites for down. 0 without any. NaN
where the book is not LIVE, lacks a side or is crossed; the time past a place then begins anew.

Prices are exact integers. Messages count from the first quoted row at which they are known on, in order of
time, detector and number, so that the order in which detectors speak is of no matter; of those between two
such rows the first 32 count. This is what rows can know at little cost; `detectors.levels` tells more
(clusters of volume, events) to consumers of batches.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import SECOND, UNDEF
from depthscope.jit import Int, njit
from depthscope.market.events import ASK, BID

PLACES: Final = 64
WAITING: Final = 32
MINUTE: Final = 60 * SECOND
DECAY: Final = 0.5 ** (1.0 / 15.0)  # of a minute
LEAST: Final = 0.1
FULL: Final = 4.0
FADED: Final = 80  # minutes in which FULL falls under LEAST
BREAK: Final = 5 * SECOND
FRESH: Final = 60 * SECOND
ZONE_TICKS: Final = 2
ZONE_SHARE: Final = 40_000  # bid + ask over it is 0.5 bps of mid
TURN: Final = 4  # zones
NEVER: Final = 2**62
NOT: Final = -1  # no time
SUPPORT, RESISTANCE = 1, -1
ARRIVED, AWAY, TOUCHED = 0, 1, 2  # made or crossed when near; two zones before; touched since
DETECTOR: Final = 1 << 40  # messages of a detector are fewer

LEVELS: Final = np.dtype(
    [
        ("zone", "i8"),  # 0: no quoted row yet
        ("half", "i8"),
        ("lost", "i8"),  # 1: the row before was not quoted
        ("bid", "i8"),  # of the last quoted row
        ("ask", "i8"),
        ("minute", "i8"),  # scores have faded up to it
        ("due", "i8"),  # when time alone changes the lean
        ("lean", "f8"),
        # The places, packed, in the order they were made.
        ("places", "i8"),
        ("price", "i8", (PLACES,)),
        ("side", "i8", (PLACES,)),
        ("score", "f8", (PLACES,)),
        ("state", "i8", (PLACES,)),
        ("past", "i8", (PLACES,)),  # since when the market is a zone past it, NOT
        ("fresh", "i8", (PLACES,)),  # until when it is freshly broken
        # Signs that wait for a quoted row, in order.
        ("waiting", "i8"),
        ("sign_ts", "i8", (WAITING,)),
        ("sign_from", "i8", (WAITING,)),  # detector and number
        ("sign_side", "i8", (WAITING,)),
        ("sign_price", "i8", (WAITING,)),
        # Turns of mid: 1 where a high is awaited, -1 a low, 0 either; twice the mid, and the price of a sign.
        ("awaited", "i8"),
        ("high", "i8"),
        ("high_price", "i8"),
        ("low", "i8"),
        ("low_price", "i8"),
    ]
)


@njit
def hear(p: Any, said: Any) -> None:
    """Keep a message that is a sign for the next quoted row, in its place among those that wait."""
    if said.price == UNDEF or (said.side != BID and said.side != ASK):
        return
    ts, named = said.ts, np.int64(said.detector) * DETECTOR + said.number
    k = p.waiting
    while k > 0 and (
        ts < p.sign_ts[natural(k - 1)]
        or (ts == p.sign_ts[natural(k - 1)] and named < p.sign_from[natural(k - 1)])
    ):
        k -= 1
    if k == WAITING:
        return
    p.waiting = min(p.waiting + 1, WAITING)
    for m in range(p.waiting - 1, k, -1):
        p.sign_ts[m], p.sign_from[m] = p.sign_ts[m - 1], p.sign_from[m - 1]
        p.sign_side[m], p.sign_price[m] = p.sign_side[m - 1], p.sign_price[m - 1]
    p.sign_ts[k], p.sign_from[k], p.sign_price[k] = ts, named, said.price
    p.sign_side[k] = SUPPORT if said.side == BID else RESISTANCE


@njit
def begin(p: Any, ts: Int, bid: Int, ask: Int, tick: Int) -> None:
    """Settle the zone at the first quoted row, and begin to follow mid."""
    p.zone = max(abs(bid + ask) // ZONE_SHARE // tick, ZONE_TICKS) * tick
    p.half = max(p.zone // tick // 2, 1) * tick
    p.minute = ts // MINUTE
    p.high = p.low = bid + ask
    p.high_price, p.low_price = ask, bid
    p.lost = 1


@njit
def fade(p: Any, minutes: Int) -> None:
    """Let scores fade, and forget the places that have; the others stay in order."""
    kept = 0
    for k in range(p.places):
        score = p.score[k]
        for _ in range(min(minutes, FADED)):
            score *= DECAY
        if score >= LEAST:
            p.price[kept], p.side[kept], p.score[kept] = p.price[k], p.side[k], score
            p.state[kept], p.past[kept], p.fresh[kept] = p.state[k], p.past[k], p.fresh[k]
            kept += 1
    p.places = kept


@njit
def before(p: Any, k: int) -> Int:
    """How far the market is before a place; negative behind it."""
    return p.bid - p.price[k] if p.side[k] == SUPPORT else p.price[k] - p.ask


@njit
def past(p: Any, k: int) -> Int:
    """How far the market, both sides of it, is past a place; negative before it."""
    return p.price[k] - p.ask if p.side[k] == SUPPORT else p.bid - p.price[k]


@njit
def settle(p: Any, k: int, ts: Int) -> None:
    """Begin anew with a place where the market is."""
    p.state[k] = AWAY if before(p, k) >= 2 * p.zone else ARRIVED
    p.past[k] = ts if past(p, k) >= p.zone else NOT


@njit
def judge(p: Any, ts: Int) -> None:
    """Find out what a row means for each place."""
    for k in range(p.places):
        near = before(p, k)
        if near <= p.half:
            if p.state[k] == AWAY:
                p.state[k] = TOUCHED
        elif near >= 2 * p.zone and p.state[k] != AWAY:
            if p.state[k] == TOUCHED:
                p.score[k] = min(p.score[k] + 1.0, FULL)
            p.state[k] = AWAY
        if past(p, k) < p.zone:
            p.past[k] = NOT
        elif p.past[k] == NOT:
            p.past[k] = ts
        elif ts - p.past[k] >= BREAK:
            p.side[k] = -p.side[k]
            p.score[k] *= 0.5
            p.fresh[k] = ts + FRESH
            settle(p, k, ts)


@njit
def sign(p: Any, ts: Int, side: Int, price: Int) -> None:
    """Add a sign to the place it belongs to, or make one."""
    best, least = p.half + 1, -1
    for k in range(p.places):
        away = abs(p.price[k] - price)
        if p.side[k] == side and away < best:
            best, least = away, k
    if least >= 0:
        at = natural(least)
        p.score[at] = min(p.score[at] + 1.0, FULL)
        return
    k = p.places
    if k < PLACES:
        p.places += 1
    else:
        k = 0
        for m in range(1, PLACES):
            if p.score[m] < p.score[k]:
                k = m
    at = natural(k)
    p.price[at], p.side[at], p.score[at], p.fresh[at] = price, side, 1.0, NOT
    settle(p, at, ts)


@njit
def turns(p: Any, ts: Int) -> None:
    """Follow the extremes of mid; one it has come back from is a sign."""
    middle, wide = p.bid + p.ask, 2 * TURN * p.zone
    if p.awaited >= 0:
        if middle > p.high:
            p.high, p.high_price = middle, p.ask
        elif p.high - middle >= wide:
            sign(p, ts, RESISTANCE, p.high_price)
            p.awaited, p.low, p.low_price = -1, middle, p.bid
    if p.awaited <= 0:
        if middle < p.low:
            p.low, p.low_price = middle, p.bid
        elif middle - p.low >= wide:
            sign(p, ts, SUPPORT, p.low_price)
            p.awaited, p.high, p.high_price = 1, middle, p.ask


@njit
def sum_places(p: Any, ts: Int) -> None:
    """Bring the lean, and the time at which it may change by itself, up to a row."""
    total, due = 0.0, NEVER
    for k in range(p.places):
        if p.past[k] != NOT:
            due = min(due, p.past[k] + BREAK)
        else:
            fresh = ts < p.fresh[k]
            if fresh:
                due = min(due, p.fresh[k])
            if fresh or p.state[k] == TOUCHED:
                total += p.side[k] * p.score[k]
    p.due = due
    p.lean = total / (1.0 + abs(total))


@njit
def level_lean(p: Any, ts: Int, bid: Int, ask: Int, tick: Int) -> Any:
    """`level_lean` at a row with a quoted book.

    Most rows bring nothing new: the same prices, no sign, no time that has run out.
    """
    if p.zone == 0:
        begin(p, ts, bid, ask, tick)
    moved = p.lost != 0 or bid != p.bid or ask != p.ask
    minutes = ts // MINUTE - p.minute
    if moved or minutes > 0 or p.waiting > 0 or ts >= p.due:
        if minutes > 0:
            fade(p, minutes)
            p.minute += minutes
        if p.lost != 0:
            for k in range(p.places):
                p.past[k] = NOT
            p.lost = 0
        p.bid, p.ask = bid, ask
        judge(p, ts)
        for w in range(p.waiting):
            sign(p, ts, p.sign_side[w], p.sign_price[w])
        p.waiting = 0
        if moved:
            turns(p, ts)
        sum_places(p, ts)
    return p.lean
