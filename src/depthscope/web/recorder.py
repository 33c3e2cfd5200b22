"""Recorder: the spectator that turns a session's book into columns, prints and figures for the page.

It looks at the book, never touches it. Prints come straight from the events; order-flow imbalance
and cumulative delta from the engine's rows, so the page shows the engine's own numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.market.events import ASK, BID, COND_NOT_VOLUME, INFERRED_SIDE, PRICE_SCALE, TRADE, UNDEF_PRICE
from depthscope.web.history import PLAN, History, Sample
from depthscope.web.said import Said
from depthscope.web.stream import INCOMPLETE, NO_TICK, NOT_LIVE, REPLAY, quantise

if TYPE_CHECKING:
    from depthscope.book.view import OrderBook
    from depthscope.engine import Batch
    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.runtime.market import Market

__all__ = ["Recorder", "Track"]

DAY: Final = 86_400_000_000_000
GRID: Final = 50_000_000  # of the session's engine
_TICK_LIMIT: Final = 2**31 - 2
_EAGER: Final = 4  # symbols recorded before anyone looks
_MOST: Final = 16  # symbols recorded at once
_IMBALANCE_LEVELS: Final = 5
_SAID: Final = 400  # messages of detectors kept for each symbol
# A column should span this share of the price; where 200 ticks do not, a level holds several ticks.
_SPAN: Final = 0.003
_ROWS: Final = tuple(k * 10**e for e in range(7) for k in (1, 2, 5))


@dataclass(slots=True)
class Track:
    """What is recorded of one symbol."""

    id: int
    instrument: Instrument
    history: History
    slot: int = -1
    base: int | None = None
    row_ts: int = 0  # boundary of the engine's last row
    row_cvd: float = 0.0  # the engine's last figure
    row_lots: int = 0  # signed lots from that figure to the last row, where that row had none
    since_ts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    since_lots: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    seq: int = 0
    prints: int = 0
    volume: float = 0.0
    last: int | None = None  # price of the last print, 1e-9
    row: npt.NDArray[np.float64] | None = None  # the engine's columns at its last row
    row_state: int = 0
    said: Said = field(default_factory=lambda: Said(_SAID))

    @property
    def unit(self) -> float:
        """A lot in public units."""
        return self.instrument.lot / PRICE_SCALE

    @property
    def cvd(self) -> float:
        """Cumulative delta now: the engine's last figure and the prints since."""
        return self.row_cvd + (self.row_lots + int(self.since_lots.sum())) * self.unit

    def state(self) -> tuple[Any, ...]:
        """Everything but the history, to come back to."""
        return (
            self.base, self.row_ts, self.row_cvd, self.row_lots, self.since_ts, self.since_lots,
            self.seq, self.prints, self.volume, self.last, self.row, self.row_state, self.said.newest(),
        )  # fmt: skip

    def restore(self, state: tuple[Any, ...]) -> None:
        """Put back what :meth:`state` gave."""
        (
            self.base, self.row_ts, self.row_cvd, self.row_lots, self.since_ts, self.since_lots,
            self.seq, self.prints, self.volume, self.last, self.row, self.row_state, said,
        ) = state  # fmt: skip
        self.said.replace(said)
        self.slot = -1


class Recorder:
    """Records the first symbols and every symbol somebody watches, at most 16.

    Parameters
    ----------
    levels : int
        Ticks of a column.
    plan : tuple
        (ms, columns) of each resolution.
    """

    def __init__(self, levels: int = 200, plan: tuple[tuple[int, int], ...] = PLAN) -> None:
        self.n_levels, self.plan = levels, plan
        self.origin = 0
        self.tracks: dict[int, Track] = {}
        self.flags = REPLAY
        self.rows: dict[int, int] = {}  # symbol id -> ticks of a level, once its price is known
        self._session: Market | None = None
        self._keys: dict[int, int] = {}  # publisher << 32 | instrument_id -> symbol id
        self._rows: list[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []
        self._final = 0
        self._wanted: tuple[int, ...] = ()
        self._slots_seen = -1

    @property
    def session(self) -> Market:
        """The session being watched.

        Raises
        ------
        RuntimeError
            Before it has opened.
        """
        if self._session is None:
            raise RuntimeError("the recorder has no session yet")
        return self._session

    @property
    def ready(self) -> bool:
        """Whether the session has opened."""
        return self._session is not None

    # -- Spectator ----------------------------------------------------------------------------

    def begin(self, session: Market, start: int) -> None:
        """Hear where the market clock starts; column 0 is the UTC midnight before."""
        self._session = session
        self.origin = self._final = start // DAY * DAY
        self.flags = 0 if session.status.mode == "live" else REPLAY
        self.watch(())

    def watch(self, wanted: tuple[int, ...]) -> None:
        """Record these symbols besides the first few; unwatched ones make room."""
        self._wanted = wanted
        for symbol_id in self._missing():
            self._make_room()
            if len(self.tracks) < _MOST:
                track = self._track(symbol_id)
                track.history.advance(self.session.clock, self._sample(track))

    def _missing(self) -> list[int]:
        """Symbols to be recorded that are not."""
        session = self.session
        self._slots_seen = len(session.engine.slots)
        eager = [session.symbols.id_of(i) for i in session.engine.slots[:_EAGER]]
        both = dict.fromkeys((*self._wanted, *eager))
        return [s for s in both if s not in self.tracks and s < len(session.symbols)]

    def _make_room(self) -> None:
        for other in list(self.tracks):
            if len(self.tracks) >= _MOST and other not in self._wanted:
                del self.tracks[other]

    def _track(self, symbol_id: int) -> Track:
        live = self.session.status.mode == "live"
        history = History(self.origin, self.n_levels, self.plan, reserve=live)
        track = self.tracks[symbol_id] = Track(symbol_id, self.session.symbols[symbol_id], history)
        track.row_ts = self.session.clock
        return track

    def fed(self, events: Events, times: npt.NDArray[np.int64], batch: Batch) -> None:
        """Take prints from the events, OFI and CVD from the rows."""
        if len(self.session.engine.slots) != self._slots_seen:
            # A symbol's first events: it is recorded from the last column on, these prints included.
            for symbol_id in self._missing():
                if len(self.tracks) < _MOST:
                    self._track(symbol_id).history.until = self.session.clock
        self._take_prints(events, times)
        if len(batch.detections):  # they may come without any row
            for track in self.tracks.values():
                track.said.extend(batch.detections[batch.detections["slot"] == self._slot(track)])
        if len(batch):
            self._take_rows(batch)
        if len(times):
            # An event makes the engine close every boundary up to it, for all instruments.
            self._final = max(self._final, int(times[-1]) // GRID * GRID)
        else:  # the final flush: the column cut short by the end has no row
            self._settle_rows()

    def _take_rows(self, batch: Batch) -> None:
        slot, ts, ofi, cvd = batch.meta["slot"], batch.meta["ts"], batch["ofi"], batch["cvd"]
        for track in self.tracks.values():
            mine = np.flatnonzero(slot == self._slot(track))
            if not len(mine):
                continue
            track.row = batch.values[:, mine[-1]].copy()
            track.row_state = int(batch.meta["state"][mine[-1]])
            self._rows.append((track.id, ts[mine], ofi[mine]))
            total = float(cvd[mine[-1]])
            track.row_ts = int(ts[mine[-1]])
            later = track.since_ts >= track.row_ts
            if math.isnan(total):  # a feed not said to have trades: kept one by one its prints would pile up
                track.row_lots += int(track.since_lots[~later].sum())
            else:
                track.row_cvd, track.row_lots = total, 0
            track.since_ts, track.since_lots = track.since_ts[later], track.since_lots[later]

    def _slot(self, track: Track) -> int:
        """Slot of a track in the engine, -1 before its first event."""
        if track.slot < 0:
            slots = self.session.engine.slots
            if track.instrument in slots:
                track.slot = slots.index(track.instrument)
        return track.slot

    def advanced(self, ts: int) -> None:
        """Write columns up to `ts`."""
        for track in self.tracks.values():
            track.history.advance(ts, self._sample(track))
        self._settle_rows()

    def _settle_rows(self) -> None:
        for symbol_id, ts, values in self._rows:
            track = self.tracks.get(symbol_id)
            if track is not None:
                track.history.add_ofi(ts, values)
        self._rows.clear()
        for track in self.tracks.values():
            track.history.finalise(self._final)

    def snapshot(self) -> tuple[int, dict[int, tuple[Any, ...]]]:
        """Counters and anchors of every track (histories stay: they are cut on return)."""
        return self._final, {i: (t.state(), t.history.unfinished()) for i, t in self.tracks.items()}

    def restore(self, state: tuple[int, dict[int, tuple[Any, ...]]], ts: int) -> None:
        """Go back to `ts`. A symbol not recorded then starts anew."""
        self._rows.clear()
        self._slots_seen = -1
        self._final, tracks = state
        for symbol_id, track in list(self.tracks.items()):
            if symbol_id in tracks:
                own, flow = tracks[symbol_id]
                track.history.truncate(ts, flow)
                track.restore(own)
            else:
                del self.tracks[symbol_id]

    @property
    def held_bytes(self) -> int:
        """Memory that histories take up so far."""
        return sum(track.history.held_bytes for track in list(self.tracks.values()))

    # -- columns ------------------------------------------------------------------------------

    def book(self, track: Track) -> OrderBook | None:
        """Book of a track, None before its first event."""
        slot = self._slot(track)
        return self.session.engine.book(slot) if slot >= 0 else None

    def _sample(self, track: Track) -> Sample:
        book = self.book(track)
        n, tick, unit = self.n_levels, track.instrument.tick, track.unit
        flags = self.flags
        if book is None or book.state != "LIVE":
            flags |= NOT_LIVE | (INCOMPLETE if book is not None and book.incomplete else 0)
            return Sample(
                track.base or 0, NO_TICK, NO_TICK, 0.0, 0.0, track.cvd, float("nan"), flags,
                np.zeros(n, "<f4"), np.zeros(n, "<u2"),
            )  # fmt: skip
        if book.incomplete:
            flags |= INCOMPLETE
        bid_p, bid_q, _ = book.raw("bid", _IMBALANCE_LEVELS)
        ask_p, ask_q, _ = book.raw("ask", _IMBALANCE_LEVELS)
        bid = _tick(int(bid_p[0]), tick) if len(bid_p) else NO_TICK
        ask = _tick(int(ask_p[0]), tick) if len(ask_p) else NO_TICK
        bids, asks = float(bid_q.sum()), float(ask_q.sum())
        imbalance = (bids - asks) / (bids + asks) if len(bid_p) and len(ask_p) else float("nan")
        row = self._row(track, bid, ask)
        base = track.base = self._window(track.base, bid, ask, row)
        size = np.asarray(book.ladder(base, n * row).reshape(n, row).sum(axis=1), "<f4")
        return Sample(
            base, bid, ask,
            float(bid_q[0]) * unit if len(bid_q) else 0.0, float(ask_q[0]) * unit if len(ask_q) else 0.0,
            track.cvd, imbalance, flags, size, quantise(size / np.float32(unit)), row,
        )  # fmt: skip

    def _row(self, track: Track, bid: int, ask: int) -> int:
        """Ticks of a level, settled by the first price seen and kept: a history has one grid."""
        found = self.rows.get(track.id)
        if found is None:
            price = abs(ask if bid == NO_TICK else bid)
            if bid == ask == NO_TICK:
                return 1
            wide = (row for row in _ROWS if self.n_levels * row >= _SPAN * price)
            found = self.rows[track.id] = next(wide, _ROWS[-1])
        return found

    def near(self, track: Track) -> tuple[int, int, int, int, npt.NDArray[np.float32]] | None:
        """(base, bid, ask, flags, size) of the exact ticks round the mid; None where a level is one tick."""
        if self.rows.get(track.id, 1) == 1 or track.history.last is None:
            return None
        last, n = track.history.last, self.n_levels
        book = self.book(track)
        bid, ask = last.bid, last.ask
        if book is None or bid == ask == NO_TICK:
            return track.base or 0, bid, ask, last.flags, np.zeros(n, "<f4")
        mid = ask if bid == NO_TICK else bid if ask == NO_TICK else (bid + ask) // 2
        base = max(-_TICK_LIMIT, min(mid - n // 2, _TICK_LIMIT - n))
        return base, bid, ask, last.flags, np.asarray(book.ladder(base, n), "<f4")

    def _window(self, base: int | None, bid: int, ask: int, row: int = 1) -> int:
        """First tick of the column: the old one while the mid stays in its middle half."""
        if bid == NO_TICK and ask == NO_TICK:
            return base or 0
        mid = ask if bid == NO_TICK else bid if ask == NO_TICK else (bid + ask) // 2
        width = self.n_levels * row
        quarter = width // 4
        if base is not None and base % row == 0 and base + quarter <= mid < base + width - quarter:
            return base
        first = max(-_TICK_LIMIT, min(mid - width // 2, _TICK_LIMIT - width))
        return first // row * row if first >= row - _TICK_LIMIT else -(-first // row) * row

    # -- prints -------------------------------------------------------------------------------

    def _take_prints(self, events: Events, times: npt.NDArray[np.int64]) -> None:
        at = np.flatnonzero(events["action"] == TRADE)
        if not len(at):
            return
        trades, ts = events[at], times[at]
        good = (
            (trades["price"] != UNDEF_PRICE) & (trades["size"] > 0) & (trades["cond"] & COND_NOT_VOLUME == 0)
        )
        trades, ts = trades[good], ts[good]
        keys = trades["publisher"].astype(np.int64) << 32 | trades["instrument_id"]
        for key in np.unique(keys):
            track = self.tracks.get(self._symbol_of(int(key)))
            if track is not None:
                mine = keys == key
                self._add_prints(track, trades[mine], ts[mine])

    def _symbol_of(self, key: int) -> int:
        found = self._keys.get(key)
        if found is None:
            instrument = self.session.resolve(key >> 32, key & 0xFFFFFFFF)
            found = self._keys[key] = self.session.symbols.id_of(instrument)
        return found

    def _add_prints(self, track: Track, trades: Events, ts: npt.NDArray[np.int64]) -> None:
        tick = track.instrument.tick
        whole, rest = np.divmod(trades["price"], tick)
        size = trades["size"].astype(np.float64) * track.unit
        buys, sells = trades["side"] == BID, trades["side"] == ASK
        n = len(trades)
        track.history.add_trades(
            ts,
            {
                "tick": np.clip(whole, -_TICK_LIMIT, _TICK_LIMIT),
                "fraction": rest / tick,
                "size": size,
                "seq": np.arange(track.seq, track.seq + n),
                "side": buys * np.uint8(1) + sells * np.uint8(2),
                "flags": (trades["flags"] & INFERRED_SIDE).astype(np.uint8),
            },
        )
        lots = trades["size"] * (buys.astype(np.int8) - sells.astype(np.int8))
        track.since_ts = np.concatenate((track.since_ts, ts))
        track.since_lots = np.concatenate((track.since_lots, lots))
        track.seq += n
        track.prints += n
        track.volume += float(size.sum())
        track.last = int(trades["price"][-1])


def _tick(price: int, tick: int) -> int:
    """Tick index of a price, NO_TICK when a frame cannot hold it."""
    index = price // tick
    return index if -_TICK_LIMIT <= index <= _TICK_LIMIT else NO_TICK
