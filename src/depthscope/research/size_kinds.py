"""Kinds of injection of executed volume, of thin levels and of refills, as in `kinds.py`."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

import numpy as np

from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.research.desk import MICRO, MILLI, MOST_ORDERS, REFRESH, Desk, Rest, Taken
from depthscope.research.recording import SECOND, other, sign
from depthscope.research.truths import Kind, Steps, Truth

MINUTE: Final = 60 * SECOND
FEWEST: Final = 8  # volumes of a minute a deviation needs
PAUSE: Final = 120 * SECOND  # longer than a matter lives that nothing is added to, and what follows it


# ── absorption ────────────────────────────────────────────────────────────────────────────────


def absorption(desk: Desk) -> Steps:
    """8 to 20 executions at the best price, 3 to 8 deviations in all, in 2 to 30 s in which it holds."""
    return (yield from _absorbed(desk, "absorption", desk.between(3, 8), desk.count(8, 20)))


def usual_volume(desk: Desk) -> Steps:
    """3 to 6 executions at the best price, 0.2 to 0.8 deviations in all, in 2 to 30 s in which it holds."""
    return (yield from _absorbed(desk, "usual_volume", desk.between(0.2, 0.8), desk.count(3, 6)))


def _absorbed(desk: Desk, kind: str, multiple: float, trades: int) -> Steps:
    side = desk.side()
    start, stop = desk.now, desk.now + int(desk.log_between(2, 30) * SECOND)
    best = desk.book.prices(side, 1)
    if not best or stop + 2 * SECOND >= desk.stop:
        return None
    price = best[0]
    if not desk.recording.stays(side, price, start, stop + SECOND):
        return None
    one, two = _deviation(desk, 0), _deviation(desk, desk.tick)
    if not one or not two:
        return None
    left, done = multiple * one, 0
    marks = [start + int(t) for t in sorted(desk.rng.uniform(0, stop - start, trades).tolist())]
    for k, mark in enumerate(marks):
        yield max(mark, desk.now)
        want = round(left / (trades - k))
        if want > 0 and desk.now <= stop:
            size = yield from desk.print_trade(side, want)
            left, done = left - size, done + size
    if not done:
        return None
    total = done + _executed(desk, side, price, start)
    return Truth(
        kind=kind, side=side, low=price, high=price, start=start, end=desk.now, size=done,
        numbers={"multiple": total / one, "band": total / two},
    )  # fmt: skip


def given_way(desk: Desk) -> Steps:
    """One aggressor trades 3 to 8 deviations at the best price, and takes the two levels behind it too."""
    side, multiple = desk.side(), desk.between(3, 8)
    prices = desk.book.prices(side, 3)
    back = int(desk.between(*REFRESH))
    if len(prices) < 3 or not desk.fits(side, prices, back + 5 * MILLI):
        return None
    deviation = _deviation(desk, 0)
    if not deviation:
        return None
    start = desk.now
    more = round(multiple * deviation) - desk.book.size(side, prices[0])
    own = desk.rest(side, prices[0], more) if more > 0 else None
    taken = yield from desk.take(side, prices, own, back)
    if taken is None:
        raise AssertionError("the room there was is gone")
    return Truth(
        kind="given_way", side=side, low=min(prices), high=max(prices), start=start,
        end=start + 3 * MICRO, size=taken.size, numbers={"multiple": multiple},
    )  # fmt: skip


def _deviation(desk: Desk, width: int) -> float:
    """Standard deviation of what prices, or bands of `width`, took in whole minutes of the last 15.

    In lots, of the recorded and of the injected trades; 0 where there are fewer than eight such volumes.
    """
    recording = desk.recording
    first, stop = np.searchsorted(recording.trade_times, (desk.now - 15 * MINUTE, desk.now), "right")
    volumes: Counter[tuple[int, int, int]] = Counter()
    trades = zip(
        (recording.trade_times[first:stop] // MINUTE).tolist(),
        recording.trade_sides[first:stop].tolist(),
        recording.trade_prices[first:stop].tolist(),
        recording.events["size"][recording.trades[first:stop]].tolist(),
        strict=True,
    )
    own = [
        (row[1] // MINUTE, row[11], row[3], row[4])
        for row in desk.written.rows
        if row[10] == ev.TRADE and row[1] > desk.now - 15 * MINUTE
    ]
    for minute, side, price, size in (*trades, *own):
        for low in {price, price - width}:
            volumes[minute, side, low] += size
    return float(np.std(list(volumes.values()))) if len(volumes) >= FEWEST else 0.0


def _executed(desk: Desk, side: int, price: int, start: int) -> int:
    """Recorded volume aggressors took from a side at a price since `start`, in lots."""
    recording = desk.recording
    first, stop = np.searchsorted(recording.trade_times, (start, desk.now), "right")
    here = (recording.trade_prices[first:stop] == price) & (recording.trade_sides[first:stop] == other(side))
    return int(recording.events["size"][recording.trades[first:stop][here]].sum())


# ── liquidity gaps ────────────────────────────────────────────────────────────────────────────


def liquidity_gap(desk: Desk) -> Steps:
    """4 to 8 neighbouring levels, the first 3 to 12 behind the best, are empty for 1.3 to 5 s."""
    return (yield from _gap(desk, "liquidity_gap", desk.count(4, 8), desk.log_between(1.3, 5)))


def short_gap(desk: Desk) -> Steps:
    """The same for 0.15 to 0.8 s."""
    return (yield from _gap(desk, "short_gap", desk.count(4, 8), desk.log_between(0.15, 0.8)))


def narrow_gap(desk: Desk) -> Steps:
    """1 or 2 levels are empty for 1.3 to 5 s."""
    return (yield from _gap(desk, "narrow_gap", desk.count(1, 2), desk.log_between(1.3, 5)))


def _gap(desk: Desk, kind: str, levels: int, seconds: float) -> Steps:
    side, place = desk.side(), desk.count(3, 12) - 1
    way, tick = sign(side), desk.tick
    prices = desk.book.prices(side, 20)
    usual = desk.recording.usual(side, desk.now)
    if len(prices) < 20 or not 0 < usual <= 2 * desk.book.size(side, prices[place]):
        return None
    # As far apart as three of four neighbouring levels are.
    apart = sorted(way * (a - b) // tick for a, b in pairwise(prices))
    first = prices[place] - way * tick
    last = first - way * tick * (levels * apart[3 * (len(apart) - 1) // 4] - 1)
    if way * last <= way * prices[-1]:
        return None
    low, high = min(first, last), max(first, last)
    queues = [(p, desk.book.queue(side, p)) for p in prices if low <= p <= high]
    orders = sum(len(queue) for _, queue in queues)
    length = int(seconds * SECOND)
    if not 0 < orders <= MOST_ORDERS or desk.quiet(side, low, high) <= length + 2 * MILLI:
        return None
    start = desk.now
    taken = Taken(side, queues, sum(size for _, queue in queues for _, size in queue))
    desk.withdraw(taken)
    yield start + length
    end = desk.now
    desk.give_back(taken)
    return Truth(
        kind=kind, side=side, low=low, high=high, start=start, end=end, size=taken.size,
        outcome="filled", numbers={"levels": levels, "seconds": (end - start) / SECOND},
    )  # fmt: skip


# ── refills ───────────────────────────────────────────────────────────────────────────────────


def refill(desk: Desk) -> Steps:
    """An order of a usual size is filled and followed by a new one, 3 to 8 times.

    The new one is within a tenth of its size, has an id of its own and comes 1 to 90 ms after the fill;
    the next fill 0.1 to 200 ms later.
    """
    return (yield from _refills(desk, "refill", desk.count(3, 8), (1, 90), (0.9, 1.1)))


def late_refill(desk: Desk) -> Steps:
    """The same, but the new order comes 150 to 400 ms after the fill."""
    return (yield from _refills(desk, "late_refill", desk.count(3, 8), (150, 400), (0.9, 1.1)))


def other_size(desk: Desk) -> Steps:
    """The same 3 to 5 times, but each new order is 1.5 to 2 times the one before."""
    return (yield from _refills(desk, "other_size", desk.count(3, 5), (1, 90), (1.5, 2.0)))


def _refills(
    desk: Desk, kind: str, times: int, waits: tuple[float, float], ratio: tuple[float, float]
) -> Steps:
    side, shown = desk.side(), desk.usual_order(0.5, 0.95)
    fills = [int(desk.log_between(0.1, 200) * MILLI) for _ in range(times + 1)]
    delays = [int(desk.log_between(*waits) * MILLI) for _ in range(times)]
    price = desk.front(side)
    if price is None or not desk.fits(side, [price], sum(fills) + sum(delays) + 500 * MILLI):
        return None
    start = desk.now
    ahead = Taken(side, [(price, desk.book.queue(side, price))])
    line, done = ahead.queues[0][1], 0
    size = shown
    for k, wait in enumerate(fills):
        if k:  # sizes that grow do so from the last one, that none be like any before
            size = round((size if ratio[0] > 1 else shown) * desk.between(*ratio) + 0.001)
        order = desk.rest(side, price, size)
        yield desk.now + wait
        desk.hit(order, line, size, 0)
        line, done = [], done + size
        if k < times:
            yield desk.now + delays[k]
    end = desk.now
    yield desk.now + int(desk.between(*REFRESH))
    desk.give_back(ahead)
    return Truth(
        kind=kind, side=side, low=price, high=price, start=start, end=end, size=done,
        numbers={"refills": times, "displayed": shown},
    )  # fmt: skip


def candidate_refill(desk: Desk) -> Steps:
    """0.6 to 0.95 of the best level is traded, shown as gone, and back 0.1 to 1.5 s later, 3 or 4 times.

    2.1 to 3 s lie between them, in which the price is the best all along.
    """
    return (yield from _level_refills(desk, "candidate_refill", (0.1, 1.5)))


def level_not_back(desk: Desk) -> Steps:
    """The same, but an injected size that nothing follows is what is traded."""
    return (yield from _level_refills(desk, "level_not_back", None))


def _level_refills(desk: Desk, kind: str, back: tuple[float, float] | None) -> Steps:
    side, times = desk.side(), desk.count(3, 4)
    periods = [int(desk.between(2.1, 3) * SECOND) for _ in range(times)]
    best = desk.book.prices(side, 1)
    start, stop = desk.now, desk.now + sum(periods)
    if not best or stop + SECOND >= desk.stop or not desk.recording.stays(side, best[0], start, stop):
        return None
    price, done = best[0], 0
    for period in periods:
        mark, resting = desk.now, desk.book.size(side, price)
        size = max(1, round(desk.between(0.6, 0.95) * resting))
        own: Rest | None = None if back else desk.rest(side, price, size)
        desk.write([(ev.TRADE, other(side), 0, price, size)])
        done += size
        yield mark + MILLI
        if own is not None:
            desk.lift(own)
        elif back:
            desk.write([(ev.LEVEL, side, 0, price, max(1, desk.book.size(side, price) - size))])
            yield mark + int(desk.log_between(*back) * SECOND)
            desk.give_back(Taken(side, [(price, [])]))
        yield mark + period
    return Truth(
        kind=kind, side=side, low=price, high=price, start=start, end=desk.now, size=done,
        numbers={"refills": times},
    )  # fmt: skip


# ── large traders ─────────────────────────────────────────────────────────────────────────────


def large_trader(desk: Desk) -> Steps:
    """One aggressor trades 1.5 to 4 times what 99.5 % of the prints so far are below, at the best price."""
    return (yield from _prints(desk, "large_trader", 0.995, desk.between(1.5, 4), 1))


def usual_print(desk: Desk) -> Steps:
    """One aggressor trades what 50 to 90 % of the prints so far are below, or the level if that is more."""
    return (yield from _prints(desk, "usual_print", desk.between(0.5, 0.9), 1.0, 1))


def halved_print(desk: Desk) -> Steps:
    """Two aggressors of a side, 0.3 to 2 s apart, trade 0.4 times what 99 % of the prints are below each."""
    return (yield from _prints(desk, "halved_print", 0.99, 0.4, 2))


def _prints(desk: Desk, kind: str, quantile: float, times: float, parts: int) -> Steps:
    side = desk.side()
    apart = int(desk.between(0.3, 2) * SECOND)
    best = desk.book.prices(side, 1)
    past = _past_prints(desk)
    if not best or len(past) < 100 or desk.now + parts * apart + SECOND >= desk.stop:
        return None
    want = max(1, int(np.ceil(times * np.quantile(past, quantile))))
    start, end, prices, sizes = desk.now, desk.now, [best[0]], []
    for part in range(parts):
        if part:
            yield start + part * apart
        best = desk.book.prices(side, 1)
        end = desk.now
        size = yield from desk.print_trade(side, want)
        if size:
            prices.append(best[0])
            sizes.append(size)
        elif not part:
            return None
    return Truth(
        kind=kind, side=other(side), low=min(prices), high=max(prices), start=start, end=end,
        size=sum(sizes), numbers={"quantile": float(np.mean(past < max(sizes)))},
    )  # fmt: skip


def _past_prints(desk: Desk) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Sizes of the recorded prints so far: consecutive trades of one venue time and side are one."""
    recording = desk.recording
    trades = recording.trades[: int(np.searchsorted(recording.trades, desk.at))]
    if not len(trades):
        return np.zeros(0, np.int64)
    times, sides = recording.events["ts_event"][trades], recording.events["side"][trades]
    first = np.flatnonzero((np.diff(times, prepend=-1) != 0) | (np.diff(sides.astype(int), prepend=-1) != 0))
    return np.add.reduceat(recording.events["size"][trades].astype(np.int64), first)


_ABSORBED: Final = {"multiple": "absorption_times"}
_HIDDEN: Final = {"band": "hidden_times"}
_GAP: Final = {"levels": "liquidity_gap_levels", "seconds": "liquidity_gap_hold"}
_PRINT: Final = {"quantile": "large_trader_quantile"}

# A hidden order is measured with what absorption is: its definition asks for no more, of two prices.
KINDS: Final[tuple[Kind, ...]] = (
    Kind(name="absorption", detector="absorption", place=absorption, least=_ABSORBED, pause=PAUSE),
    Kind(name="usual_volume", detector="absorption", place=usual_volume, least=_ABSORBED, pause=PAUSE),
    Kind(name="given_way", detector="absorption", place=given_way, decoy=True, also=("sweep",), pause=PAUSE),
    Kind(name="absorption_band", detector="hidden", place=absorption, least=_HIDDEN, reach=1, pause=PAUSE),
    Kind(
        name="usual_volume_band", detector="hidden", place=usual_volume, least=_HIDDEN, reach=1,
        pause=PAUSE,
    ),
    Kind(
        name="given_way_band", detector="hidden", place=given_way, decoy=True, also=("sweep",),
        reach=1, pause=PAUSE,
    ),
    Kind(name="liquidity_gap", detector="liquidity_gap", place=liquidity_gap, least=_GAP, reach=2),
    Kind(name="short_gap", detector="liquidity_gap", place=short_gap, least=_GAP, reach=2),
    Kind(name="narrow_gap", detector="liquidity_gap", place=narrow_gap, least=_GAP, reach=2),
    Kind(
        name="refill", detector="refill", place=refill, requires=Capability.MBO,
        least={"refills": "refill_times"}, pause=PAUSE,
    ),
    Kind(
        name="late_refill", detector="refill", place=late_refill, requires=Capability.MBO, decoy=True,
        pause=PAUSE,
    ),
    Kind(
        name="other_size", detector="refill", place=other_size, requires=Capability.MBO, decoy=True,
        pause=PAUSE,
    ),
    Kind(
        name="candidate_refill", detector="refill", place=candidate_refill, requires=Capability.L2,
        without=Capability.MBO, least={"refills": "refill_times"}, grace=3 * SECOND, pause=PAUSE,
    ),
    Kind(
        name="level_not_back", detector="refill", place=level_not_back, requires=Capability.L2,
        without=Capability.MBO, decoy=True, grace=3 * SECOND, pause=PAUSE,
    ),
    Kind(name="large_trader", detector="large_trader", place=large_trader, least=_PRINT, pause=PAUSE),
    Kind(name="usual_print", detector="large_trader", place=usual_print, least=_PRINT, pause=PAUSE),
    Kind(name="halved_print", detector="large_trader", place=halved_print, least=_PRINT, pause=PAUSE),
)  # fmt: skip
