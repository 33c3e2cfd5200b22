"""Random small markets whose prices stay and go, for detectors that need minutes of them."""

from __future__ import annotations

import numpy as np

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from tests.strategies.streams import CAPABILITIES, L2, MBO, START, Stream

TICK = 10**7
MS = 1_000_000


def noisy_market(seed: int, n: int = 6_000, gap: int = 300, *, levels: bool = False) -> Stream:
    """A book of orders around a best price that wanders, hit by bursts of trades.

    Trades come alone, with their fills in a group, at, off and beyond the best prices; the book is
    now and then crossed, one-sided, cleared or lost. With `levels` it is told by levels, not by orders.
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[int, str, str, int, int, int, int, int]] = []
    now, bid, oid, flow = START, 10_000, 0, 0
    best: dict[str, tuple[int, int, int]] = {}  # id, tick, size

    def put(action: str, side: str, price: int, size: int, order: int, *, last: bool, cond: int = 0) -> None:
        rows.append((now, action, side, price, size, order, ev.LAST if last else 0, cond))

    def quote(side: str, tick: int, *, last: bool = True) -> None:
        nonlocal oid
        size = int(random.integers(1, 30))
        if side in best:
            put("C", side, best[side][1] * TICK, best[side][2], best[side][0], last=False)
        oid += 1
        best[side] = oid, tick, size
        put("A", side, tick * TICK, size, oid, last=last)

    quote("B", bid)
    quote("A", bid + 1)
    while len(rows) < n:
        now += int(random.exponential(gap * MS)) if random.random() < 0.7 else 0
        kind = random.random()
        spread = 1 + int(random.random() < 0.2)
        if kind < 0.12:
            step = int(random.choice([1, 1, 1, 2, 3, -1]))
            bid += step if flow > 0 else -step
            flow = 0
            quote("B", bid)
            quote("A", bid + spread)
        elif kind < 0.3:
            quote("B", bid) if random.random() < 0.5 else quote("A", bid + spread)
        elif kind < 0.97:
            buys = random.random() < 0.5
            side, rest = ("B", "A") if buys else ("A", "B")
            off = int(random.choice([0, 0, 0, 0, 0, 0, 1, -1, 2, 3]))
            tick = best[rest][1] + (off if buys else -off) if rest in best else bid
            price = tick * TICK + (TICK // 2 if random.random() < 0.03 else 0)
            size = int(random.choice([1, 1, 2, 3, 5, 8, 40]))
            flow += size if buys else -size
            cond = int(random.choice([0] * 30 + [ev.COND_NOT_VOLUME, ev.COND_OFF_BOOK, ev.COND_LATE]))
            taker = side if random.random() < 0.97 else "N"
            inside = random.random() < 0.5
            put("T", taker, price, size, 0, last=not inside, cond=cond)
            if inside:
                if random.random() < 0.5:
                    put("T", taker, price, 1 + size // 2, 0, last=False)
                quote(rest, best[rest][1] if rest in best else bid)
        elif kind < 0.972:
            put("R", "N", 0, 0, 0, last=True)
            best.clear()
        elif kind < 0.974:
            put("X", "N", 0, 0, 0, last=True)
            put("R", "N", 0, 0, 0, last=True)
            best.clear()
        elif kind < 0.976 and "A" in best:
            put("C", "A", best["A"][1] * TICK, best["A"][2], best["A"][0], last=True)
            del best["A"]
        if len(best) < 2:
            now += int(random.exponential(gap * MS))
            for side, tick in (("B", bid), ("A", bid + 1)):
                if side not in best and random.random() < 0.9:
                    quote(side, tick)
    events = ev.empty_events(len(rows))
    events["publisher"] = events["instrument_id"] = 1
    for record, row in zip(events, rows, strict=True):
        ts, action, side, price, size, order, flags, cond = row
        record["ts_recv"] = record["ts_event"] = ts
        record["action"], record["side"] = ord(action), ord(side)
        record["price"], record["size"], record["order_id"] = price, size, order
        record["flags"], record["cond"] = flags, cond
        if levels and action in "AC":
            record["action"], record["size"] = ord("L"), size if action == "A" else 0
    depth = CAPABILITIES[L2] | Capability.AGGRESSOR if levels else CAPABILITIES[MBO]
    instrument = Instrument("test", "S", TICK, capabilities=depth)
    return Stream(events, {(1, 1): instrument})
