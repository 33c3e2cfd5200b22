"""The kinds of injection: one function and one line of `KINDS` each.

Those of executed volume, thin levels and refills are in `size_kinds.py`. A function gets a `Desk`, writes
records and yields the receive time at which it wants to go on. It returns what it did, or None when the
recording leaves no room for it here; then it has written nothing. Its numbers were fixed before any
detector was run on injected streams.
"""

from __future__ import annotations

from typing import Final

from depthscope.errors import UnknownName
from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.research import size_kinds as sizes
from depthscope.research.desk import MICRO, MILLI, REFRESH, Desk, Taken
from depthscope.research.recording import SECOND, other, sign
from depthscope.research.truths import Kind, Steps, Truth

__all__ = ["KINDS", "Kind", "Truth", "kind"]


# ── icebergs ──────────────────────────────────────────────────────────────────────────────────


def iceberg(desk: Desk) -> Steps:
    """An order that shows the size of a usual one and is refilled 3 to 8 times under its own id.

    The venue refills at once, in the group of the fill; the next fill comes 0.1 to 200 ms later. A
    quarter of the fills are larger than what is shown.
    """
    side, shown = desk.side(), desk.usual_order(0.5, 0.95)
    refills = desk.count(3, 8)
    delays = [int(desk.log_between(0.1, 200) * MILLI) for _ in range(refills + 1)]
    price = desk.front(side)
    if price is None or not desk.fits(side, [price], sum(delays) + 500 * MILLI):
        return None
    start = desk.now
    ahead = Taken(side, [(price, desk.book.queue(side, price))])
    line, done = ahead.queues[0][1], 0
    order = desk.rest(side, price, shown)
    for k, delay in enumerate(delays):
        yield desk.now + delay
        size = shown + (desk.count(1, shown) if desk.rng.random() < 0.25 else 0)
        if k == refills and desk.rng.random() < 0.5:
            desk.lift(order)
            break
        desk.hit(order, line, size, 0 if k == refills else shown)
        line, done = [], done + size
    end = desk.now
    yield desk.now + int(desk.between(*REFRESH))
    desk.give_back(ahead)
    return Truth(
        kind="iceberg", side=side, low=price, high=price, start=start, end=end, size=done,
        outcome="cancelled" if order.size else "filled", numbers={"refills": refills, "displayed": shown},
    )  # fmt: skip


def replaced_order(desk: Desk) -> Steps:
    """An order that is partly filled, cancelled, and entered anew under another id, 2 to 5 times."""
    side, shown = desk.side(), max(2, desk.usual_order(0.5, 0.95))
    times = desk.count(2, 5)
    delays = [int(desk.log_between(0.1, 200) * MILLI) for _ in range(2 * times)]
    price = desk.front(side)
    if price is None or not desk.fits(side, [price], sum(delays) + 500 * MILLI):
        return None
    start = desk.now
    ahead = Taken(side, [(price, desk.book.queue(side, price))])
    line, done = ahead.queues[0][1], 0
    for k in range(times):
        order = desk.rest(side, price, shown)
        yield desk.now + delays[2 * k]
        size = desk.count(1, shown - 1)
        desk.hit(order, line, size, shown - size)
        line, done = [], done + size
        yield desk.now + delays[2 * k + 1]
        desk.lift(order)
    end = desk.now
    yield desk.now + int(desk.between(*REFRESH))
    desk.give_back(ahead)
    return Truth(
        kind="replaced_order", side=side, low=price, high=price, start=start, end=end, size=done,
        numbers={"orders": times},
    )  # fmt: skip


# ── sweeps ────────────────────────────────────────────────────────────────────────────────────


def _take(desk: Desk, kind: str, levels: int) -> Steps:
    side = desk.side()
    prices = desk.book.prices(side, levels)
    start = desk.now
    if len(prices) < levels:
        return None
    taken = yield from desk.take(side, prices)
    if taken is None:
        return None
    # Records of a level feed come one by one: the last trade is a few microseconds later.
    end = start + (0 if desk.by_order else levels * MICRO)
    return Truth(
        kind=kind, side=other(side), low=min(prices), high=max(prices), start=start, end=end,
        size=taken.size, numbers={"levels": levels},
    )  # fmt: skip


def sweep(desk: Desk) -> Steps:
    """One aggressor takes 2 to 5 whole levels."""
    return (yield from _take(desk, "sweep", desk.count(2, 5)))


def one_level(desk: Desk) -> Steps:
    """One aggressor takes the whole best level, however large."""
    return (yield from _take(desk, "one_level", 1))


def two_aggressors(desk: Desk) -> Steps:
    """Two aggressors, 2 to 50 ms apart, take a level each, the second the next one."""
    side = desk.side()
    prices = desk.book.prices(side, 2)
    apart = int(desk.log_between(2, 50) * MILLI)
    back = int(desk.between(*REFRESH))
    if len(prices) < 2 or not desk.fits(side, prices, apart + back + 5 * MILLI):
        return None
    if desk.unchanged(side, prices[1]) <= apart:  # the second must find what the first left
        return None
    start = desk.now
    taken = [desk.strike(side, prices[:1])]
    yield start + apart
    taken.append(desk.strike(side, prices[1:]))
    end = desk.now
    yield end + MILLI
    for one in taken:
        desk.vanish(one)
    yield end + back
    for one in taken:
        desk.give_back(one)
    return Truth(
        kind="two_aggressors", side=other(side), low=min(prices), high=max(prices), start=start, end=end,
        size=sum(one.size for one in taken), numbers={"levels": 2},
    )  # fmt: skip


# ── walls ─────────────────────────────────────────────────────────────────────────────────────


def wall(desk: Desk) -> Steps:
    """A level of 2 to 8 times the usual size for 6 to 15 s, which is then pulled, traded, or left behind.

    Left behind (held): it rests where the recorded market moves away from it within a minute.
    """
    fate = ("pulled", "traded", "held")[desk.count(0, 2)]
    return (yield from _wall(desk, "wall", fate, desk.between(6, 15)))


def short_wall(desk: Desk) -> Steps:
    """A level of 3 to 8 times the usual size for 0.5 to 4.5 s."""
    return (yield from _wall(desk, "short_wall", "pulled", desk.between(0.5, 4.5), lowest=3.0))


def _wall(desk: Desk, kind: str, fate: str, seconds: float, lowest: float = 2.0) -> Steps:
    side, multiple = desk.side(), desk.between(lowest, 8)
    recording, way = desk.recording, sign(side)
    start, stop = desk.now, desk.now + int(seconds * SECOND)
    usual = recording.usual(side, start)
    spare = 4 * SECOND if fate == "traded" else SECOND
    latest = stop + spare if fate != "held" else start + 60 * SECOND
    bounds = recording.bounds(side, start, stop + spare)
    if usual <= 0.0 or bounds is None or latest >= desk.stop:
        return None
    edge, limit = bounds
    whole = round(multiple * usual)
    prices = [
        p
        for p in desk.book.prices(side, 20)
        if way * edge <= way * p < way * limit and desk.book.size(side, p) < 0.7 * whole
    ]
    if fate == "traded":
        prices = prices[:2]
    elif fate == "held":
        stop, prices = _left_behind(desk, side, prices, start + 6 * SECOND, latest)
    if not prices:
        return None
    price = prices[desk.count(0, len(prices) - 1)]
    resting = desk.book.size(side, price)
    if whole <= resting:
        return None
    order = desk.rest(side, price, whole - resting)
    yield stop
    outcome = fate
    end = desk.now
    if fate == "traded":
        done = None
        while done is None and desk.now < stop + 3 * SECOND:
            end = desk.now
            done = yield from desk.take(side, desk.prices_to(side, price), order)
            if done is None:
                yield desk.now + 100 * MILLI
        outcome = "pulled" if done is None else "traded"
    if outcome != "traded":
        end = desk.now
        desk.lift(order)
    return Truth(
        kind=kind, side=side, low=price, high=price, start=start, end=end, size=whole - resting,
        outcome=outcome, numbers={"multiple": whole / usual, "seconds": (end - start) / SECOND},
    )  # fmt: skip


def _left_behind(desk: Desk, side: int, prices: list[int], start: int, stop: int) -> tuple[int, list[int]]:
    """A price out of `prices` the market moves away from between `start` and `stop`, and when."""
    recording, way = desk.recording, sign(side)
    for k in desk.rng.permutation(len(prices)).tolist():
        price = prices[k]
        leaves = recording.out_of_view(side, price, start, stop)
        if leaves is None:
            continue
        bounds = recording.bounds(side, desk.now, leaves + SECOND)
        if bounds is not None and way * price < way * bounds[1]:
            return leaves + SECOND // 2, [price]
    return stop, []


# ── layering ──────────────────────────────────────────────────────────────────────────────────


def layering(desk: Desk) -> Steps:
    """3 to 6 neighbouring ticks of 6 to 12 times the usual size, up within 0.3 s, pulled after 0.5 to 8 s."""
    apart = int(desk.between(1, 50) * MILLI)
    return (yield from _layers(desk, "layering", desk.count(3, 6), apart, desk.between(0.5, 8)))


def slow_layering(desk: Desk) -> Steps:
    """4 or 5 neighbouring ticks of 8 to 12 times the usual size, one every six seconds."""
    return (yield from _layers(desk, "slow_layering", desk.count(4, 5), 6 * SECOND, 2.0, lowest=8.0))


def _layers(desk: Desk, kind: str, levels: int, apart: int, seconds: float, lowest: float = 6.0) -> Steps:
    side, multiple = desk.side(), desk.between(lowest, 12)
    recording, way = desk.recording, sign(side)
    start, stop = desk.now, desk.now + (levels - 1) * apart + int(seconds * SECOND)
    usual = recording.usual(side, start)
    bounds = recording.bounds(side, start, stop + SECOND)
    if usual <= 0.0 or bounds is None or stop + SECOND >= desk.stop:
        return None
    edge, limit = bounds
    whole = int(multiple * usual) + 1
    room = (way * (limit - edge)) // desk.tick - levels + 1  # places for the best of them
    if room <= 0:
        return None
    best = limit - way * desk.tick * desk.count(1, room)
    prices = [best - way * desk.tick * k for k in range(levels)]
    if any(desk.book.size(side, p) >= whole // 2 for p in prices):
        return None
    orders = []
    for k, price in enumerate(prices):
        if k:
            yield desk.now + apart
        size = whole - desk.book.size(side, price)
        orders.append(desk.rest(side, price, max(1, size)))
    yield stop
    end = desk.now
    for order in orders:
        desk.lift(order)
    return Truth(
        kind=kind, side=side, low=min(prices), high=max(prices), start=start, end=end,
        size=sum(order.size for order in orders), outcome="pulled",
        numbers={"levels": levels, "multiple": multiple},
    )  # fmt: skip


# ── bursts ────────────────────────────────────────────────────────────────────────────────────


def burst(desk: Desk) -> Steps:
    """Trades of one side for 20 to 50 s, which make the minute 2.2 to 4.6 times the average of five."""
    return (yield from _burst(desk, "burst", both=False))


def two_sided_burst(desk: Desk) -> Steps:
    """The same volume, half of it bought and half of it sold."""
    return (yield from _burst(desk, "two_sided_burst", both=True))


def _burst(desk: Desk, kind: str, *, both: bool) -> Steps:
    side, ratio = desk.side(), desk.between(2.2, 4.6)
    recording = desk.recording
    start, stop = desk.now, desk.now + int(desk.between(20, 50) * SECOND)
    if stop + 2 * SECOND >= desk.stop or stop - recording.begin < 300 * SECOND:
        return None
    minute, five = (
        recording.traded(stop - 60 * SECOND, stop)[2],
        recording.traded(stop - 300 * SECOND, stop)[2],
    )
    extra = (ratio * five - 5 * minute) / (5 - ratio)
    if extra <= 0 or 5 * minute > 2 * five or recording.bounds(side, start, stop) is None:
        return None
    common = desk.usual_trade(0.95, 0.99)
    most = 60 if desk.by_order else 600
    trades = int(min(max(extra / common, 20), most))
    marks = [start + int(t) for t in sorted(desk.rng.uniform(0, stop - start, trades).tolist())]
    made: list[tuple[int, int, int]] = []  # time, aggressor, size
    # What each side still has to trade; a buyer takes what rests on the ask.
    left = {side: extra / 2 if both else extra, other(side): extra / 2 if both else 0.0}
    for k, mark in enumerate(marks):
        yield max(mark, desk.now)
        for aggressor in (side, other(side)):
            want = round(left[aggressor] / (trades - k))
            if want > 0:
                ts = desk.now
                size = yield from desk.print_trade(other(aggressor), want)
                left[aggressor] -= size
                made.append((ts, aggressor, size))
    # Within the minute after it too: what is five minutes old leaves the average meanwhile.
    moments = [_moment(desk, made, s * SECOND) for s in range(start // SECOND, stop // SECOND + 60)]
    ratio, share, leader = max(moments, key=lambda m: min(m[0] / 3.0, m[1] / 0.6))
    where = recording.bid if leader == ev.ASK else recording.ask
    price = int(where[recording.times.searchsorted(stop) - 1])
    return Truth(
        kind=kind, side=leader, low=price, high=price, start=start, end=desk.now,
        size=sum(m[2] for m in made), outcome="over", numbers={"ratio": ratio, "share": share},
    )  # fmt: skip


def _moment(desk: Desk, made: list[tuple[int, int, int]], ts: int) -> tuple[float, float, int]:
    """The minute's volume ÷ the average of five, its larger side's part, and that side."""
    recording = desk.recording
    if ts - recording.begin < 300 * SECOND:
        return 0.0, 0.0, ev.BID
    minute, five = recording.traded(ts - 60 * SECOND, ts), recording.traded(ts - 300 * SECOND, ts)
    now = [m for m in made if ts - 60 * SECOND < m[0] <= ts]
    total = minute[2] + sum(m[2] for m in now)
    bought = minute[0] + sum(m[2] for m in now if m[1] == ev.BID)
    sold = minute[1] + sum(m[2] for m in now if m[1] == ev.ASK)
    whole = five[2] + sum(m[2] for m in made if m[0] <= ts)
    if not whole or not total:
        return 0.0, 0.0, ev.BID
    return 5 * total / whole, max(bought, sold) / total, ev.BID if bought >= sold else ev.ASK


KINDS: Final[tuple[Kind, ...]] = (
    Kind(name="iceberg", detector="iceberg", place=iceberg, requires=Capability.MBO),
    Kind(
        name="replaced_order", detector="iceberg", place=replaced_order, requires=Capability.MBO,
        decoy=True,
    ),
    Kind(name="sweep", detector="sweep", place=sweep),
    Kind(name="one_level", detector="sweep", place=one_level, decoy=True),
    Kind(name="two_aggressors", detector="sweep", place=two_aggressors, decoy=True),
    Kind(
        name="wall", detector="wall", place=wall, also=("sweep",),
        least={"multiple": "wall_minor", "seconds": "wall_hold"},
    ),
    Kind(name="short_wall", detector="wall", place=short_wall, least={"seconds": "wall_hold"}),
    Kind(
        name="burst", detector="burst", place=burst, anywhere=True, grace=60 * SECOND, pause=300 * SECOND,
        least={"ratio": "burst_warning", "share": "burst_side_share"},
    ),
    Kind(
        name="two_sided_burst", detector="burst", place=two_sided_burst, anywhere=True,
        grace=60 * SECOND, pause=300 * SECOND, least={"ratio": "burst_warning", "share": "burst_side_share"},
    ),
    Kind(
        name="layering", detector="layering", place=layering, also=("wall",), reach=10, pause=32 * SECOND,
        least={"levels": "layering_levels", "multiple": "layering_multiple"},
    ),
    Kind(
        name="slow_layering", detector="layering", place=slow_layering, also=("wall",),
        reach=10, pause=32 * SECOND, decoy=True,
    ),
    *sizes.KINDS,
)  # fmt: skip


def kind(name: str) -> Kind:
    """Look a kind up by its name.

    Raises
    ------
    UnknownName
        With the names there are.
    """
    for one in KINDS:
        if one.name == name:
            return one
    raise UnknownName(f"No injection is called {name!r}; there are {', '.join(k.name for k in KINDS)}.")
