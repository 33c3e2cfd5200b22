"""A small seeded two-instrument L2 market as a Source, and a naive account of what it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from depthscope.errors import CorruptData
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.source import SourceInfo

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND + 7 * SECOND // 10  # not on a whole second
COLUMN = 50_000_000
CAPABLE = Capability.L1 | Capability.L2 | Capability.TRADES | Capability.AGGRESSOR
APPLE = Instrument("test", "APL", tick=250_000_000, lot=10**9, capabilities=CAPABLE, calendar="CME_Equity")
COIN = Instrument("test", "COIN", tick=100_000_000, lot=10**6, capabilities=CAPABLE)
INSTRUMENTS = {(1, 10): APPLE, (1, 11): COIN}


def make_events(
    seconds: float = 20.0, seed: int = 7, rate: float = 400.0, quiet: tuple[float, float] = (0, 0)
) -> ev.Events:
    """An opening snapshot of both books, then changes and trades; none within `quiet` (s)."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    mids = {10: 4000 * 4, 11: 20_000 * 10}  # in ticks
    ticks = {10: APPLE.tick, 11: COIN.tick}

    def add(ts: int, iid: int, action: int, side: int, tick: float, size: int, flags: int) -> None:
        price = ev.UNDEF_PRICE if action == ev.CLEAR else int(tick * ticks[iid])
        rows.append((ts - 1000, ts, 0, price, size, len(rows), iid, 0, 1, 0, action, side, flags, 0))

    for iid, mid in mids.items():
        add(START - SECOND, iid, ev.CLEAR, ev.NO_SIDE, 0, 0, ev.SNAPSHOT)
        for k in range(1, 41):
            for side, tick in ((ev.BID, mid - k), (ev.ASK, mid + k)):
                last = ev.LAST if k == 40 and side == ev.ASK else 0
                add(START - SECOND, iid, ev.LEVEL, side, tick, int(rng.integers(1, 500)), ev.SNAPSHOT | last)
    books = {
        iid: {
            s: {r[3] // ticks[iid] for r in rows if r[6] == iid and r[11] == s and r[10] == ev.LEVEL}
            for s in (ev.BID, ev.ASK)
        }
        for iid in mids
    }
    ts = START
    while True:
        ts += int(rng.exponential(SECOND / rate))
        if START + quiet[0] * SECOND <= ts < START + quiet[1] * SECOND:
            ts = START + int(quiet[1] * SECOND)
        if ts >= START + seconds * SECOND:
            break
        iid = int(rng.choice([10, 11], p=[0.8, 0.2]))
        bids, asks = books[iid][ev.BID], books[iid][ev.ASK]
        best_bid, best_ask = max(bids), min(asks)
        kind = rng.random()
        if kind < 0.2:
            buy = rng.random() < 0.5
            tick = (best_ask if buy else best_bid) + (0.5 if rng.random() < 0.1 else 0)
            side = ev.NO_SIDE if rng.random() < 0.1 else ev.BID if buy else ev.ASK
            size = int(rng.integers(1, 50))
            add(
                ts, iid, ev.TRADE, side, tick, size, ev.LAST | (ev.INFERRED_SIDE if rng.random() < 0.1 else 0)
            )
        elif kind < 0.3:  # a message of several levels: the best goes away, another comes
            up = rng.random() < 0.5
            gone = best_ask if up else best_bid
            mine, other = (asks, bids) if up else (bids, asks)
            if len(mine) > 10:
                mine.discard(gone)
                add(ts, iid, ev.LEVEL, ev.ASK if up else ev.BID, gone, 0, 0)
                nearer = max(other) + 1 if up else min(other) - 1
                other.add(nearer)
                add(ts, iid, ev.LEVEL, ev.BID if up else ev.ASK, nearer, int(rng.integers(1, 500)), ev.LAST)
        else:
            bid = rng.random() < 0.5
            tick = best_bid - int(rng.integers(0, 60)) if bid else best_ask + int(rng.integers(0, 60))
            books[iid][ev.BID if bid else ev.ASK].add(tick)
            add(ts, iid, ev.LEVEL, ev.BID if bid else ev.ASK, tick, int(rng.integers(1, 2000)), ev.LAST)
    return np.array(rows, ev.EVENT)


class TapeSource:
    """Events in memory, handed out in reused buffers as a file reader would.

    Parameters
    ----------
    events : array of EVENT
    chunk : int
        Events a chunk.
    damaged : bool
        Raise CorruptData after the last event.
    """

    def __init__(self, events: ev.Events, chunk: int = 512, *, damaged: bool = False) -> None:
        self._events, self._chunk, self._damaged = events, chunk, damaged
        self.info = SourceInfo(
            "folder/tape.test", "test", schema="l2", dataset="TEST", bytes_total=events.nbytes
        )

    @property
    def instruments(self) -> Mapping[tuple[int, int], Instrument]:
        """Both."""
        return INSTRUMENTS

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """One of the two."""
        return INSTRUMENTS[publisher, instrument_id]

    def chunks(self) -> Iterator[ev.Events]:
        """Chunks in four buffers used in turn: a reader that keeps one too long sees it change."""
        ring = [np.zeros(self._chunk, ev.EVENT) for _ in range(4)]
        for k, start in enumerate(range(0, len(self._events), self._chunk)):
            part = self._events[start : start + self._chunk]
            ring[k % 4][: len(part)] = part
            self.info.bytes_read = (start + len(part)) * ev.EVENT.itemsize
            yield ring[k % 4][: len(part)]
        if self._damaged:
            raise CorruptData("tape.test is damaged after its last event: copy it again.", len(self._events))


@dataclass
class Account:
    """What one symbol's 50-ms columns must hold, worked out the slow way."""

    bid: dict[int, int] = field(default_factory=dict)
    ask: dict[int, int] = field(default_factory=dict)
    levels: dict[int, dict[int, float]] = field(default_factory=dict)
    imbalance: dict[int, float] = field(default_factory=dict)
    ofi: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    cvd: dict[int, float] = field(default_factory=dict)
    prints: list[tuple[int, int, float, float, int]] = field(
        default_factory=list
    )  # col, tick, frac, size, side
    first: int = 0
    last: int = 0


def account(events: ev.Events, iid: int, start: int, end: int, origin: int) -> Account:
    """Replay one instrument with dicts. Columns from `start` to `end` (UTC ns), counted from `origin`."""
    instrument = INSTRUMENTS[1, iid]
    tick, unit = instrument.tick, instrument.lot / 1e9
    mine = [
        dict(zip(ev.EVENT.names or (), r, strict=True))
        for r in events[events["instrument_id"] == iid].tolist()
    ]
    book: dict[int, dict[int, int]] = {ev.BID: {}, ev.ASK: {}}
    out, cvd, before, k = Account(), 0.0, None, 0

    def top() -> tuple[int, int, int, int]:
        bid, ask = max(book[ev.BID]), min(book[ev.ASK])
        return bid, book[ev.BID][bid], ask, book[ev.ASK][ask]

    def apply(r: dict[str, int]) -> None:
        nonlocal before, cvd
        col = (r["ts_recv"] - origin) // COLUMN
        if r["action"] == ev.TRADE:
            side = {ev.BID: 1, ev.ASK: 2}.get(r["side"], 0)
            whole, rest = divmod(r["price"], tick)
            out.prints.append((col, whole, rest / tick, r["size"] * unit, side))
            cvd += r["size"] * unit * {1: 1, 2: -1, 0: 0}[side]
        elif r["action"] == ev.CLEAR:
            book[ev.BID].clear()
            book[ev.ASK].clear()
        elif r["size"]:
            book[r["side"]][r["price"]] = r["size"]
        else:
            book[r["side"]].pop(r["price"], None)
        if r["flags"] & ev.LAST and book[ev.BID] and book[ev.ASK]:
            now = top()
            if before is not None and r["ts_recv"] >= start:
                b0, qb0, a0, qa0 = before
                b1, qb1, a1, qa1 = now
                e = (b1 >= b0) * qb1 - (b1 <= b0) * qb0 - (a1 <= a0) * qa1 + (a1 >= a0) * qa0
                out.ofi[col] += e * unit
            before = now

    out.first, out.last = (start - origin) // COLUMN, (end - origin) // COLUMN - 1
    for col in range(out.first, out.last + 1):
        until = origin + (col + 1) * COLUMN
        while k < len(mine) and mine[k]["ts_recv"] < until:
            apply(mine[k])
            k += 1
        bid, _, ask, _ = top()
        out.bid[col], out.ask[col], out.cvd[col] = bid // tick, ask // tick, cvd
        sizes: dict[int, float] = defaultdict(float)
        for side in book.values():
            for price, lots in side.items():
                sizes[price // tick] += lots * unit
        out.levels[col] = dict(sizes)
        bids = sum(q for _, q in sorted(book[ev.BID].items(), reverse=True)[:5])
        asks = sum(q for _, q in sorted(book[ev.ASK].items())[:5])
        out.imbalance[col] = (bids - asks) / (bids + asks)
    return out
