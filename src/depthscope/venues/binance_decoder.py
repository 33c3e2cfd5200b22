"""Decoder of Binance USD-M futures: recorded or live messages in, EVENT rows and requests out.

A deterministic state machine without I/O. The same frames with the same receive times give the
same events, live or replayed.

How the venue's messages become events (publisher 1; instrument ids from 1 in order of appearance):

=================  ==================================================================================
depthUpdate        one `L` a level, LAST on the last; no level: one `N`. ``sequence = u``
REST snapshot      `R`, then one `L` a level, flagged SNAPSHOT, LAST on the last. ``sequence = lastUpdateId``
gap, disconnect    `X` for each symbol that was in sync; then nothing of its book until a snapshot
trade, aggTrade    `T`; ``m`` true means the buyer was the maker, hence a SELL aggressor (side ``A``).
                   ``sequence`` is the trade id. Of the two streams the first seen of a symbol is used
bookTicker         two `Q`, bid then ask, LAST on the second. ``sequence = u``; price and size 0: no side
=================  ==================================================================================

``ts_event`` is ``T`` (matching engine), else ``E``, else the receive time. The size of an aggTrade
is ``nq`` where present: it leaves out fills against retail price improvement orders, as the book
does. A trade whose ``X`` is not ``MARKET`` (insurance fund, ADL) is off the book and counts for
nothing else. Sizes are whole lots and prices 1e-9 integers, exactly, or the message is rejected.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from depthscope.jit import direct
from depthscope.market import events as ev
from depthscope.venues import binance_json as j
from depthscope.venues import binance_layout as b
from depthscope.venues.binance_json import Rejected, Skipped
from depthscope.venues.binance_layout import DONE, LEAST_NS, MOST_NS, ROOM
from depthscope.venues.binance_levels import plain_rows
from depthscope.venues.binance_scan import scan_lines, scan_message
from depthscope.venues.binance_symbols import PUBLISHER, SymbolTable
from depthscope.venues.binance_sync import BookSync, Request, Snapshot, Update
from depthscope.venues.lines import PADDING
from depthscope.venues.rows import RowRing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument

__all__ = ["MOST_BYTES", "Decoder", "Request"]

MOST_BYTES: Final = 4 << 20  # of one message
TOO_LONG: Final = "longer than 4 MiB"
MOST_STRANGE: Final = 64
OFF_BOOK: Final = ev.COND_OFF_BOOK | ev.COND_NOT_LAST | ev.COND_NOT_VOLUME | ev.COND_NOT_HIGH_LOW


class Decoder:
    """State machine of one capture or one live feed.

    Parameters
    ----------
    tick, lot : int, optional
        Increments in 1e-9 units of *every* symbol; they win over definitions and the shipped table.
    only_symbol : str, optional
        Symbol of REST snapshots that name none.
    capacity : int
        Rows an output buffer holds at first.
    fast : bool
        Use the byte scanner. Without it every message takes the slow path, with the same result.
    tracked : bool
        Keep `moves`.

    Attributes
    ----------
    wanted : frozenset of str, optional
        The only symbols taken; all when None.
    strange : dict of str to int
        Messages of the first 64 symbols that are not wanted.
    place : int
        Address of the state that scanner and decoder share, for compiled code beside them.
    moves : list of (str, bool, str)
        Symbol, whether its book is LIVE now, and why; append-only until taken, empty unless `tracked`.
    requests : list of Request
        Append-only until the feed takes them (and clears the list).
    skipped, rejected : dict of str to int
        Messages that gave no event, by reason: sound ones, and damaged or absurd ones.
    """

    def __init__(
        self, *, tick: int | None = None, lot: int | None = None, only_symbol: str | None = None,
        capacity: int = 16_384, fast: bool = True, tracked: bool = False,
    ) -> None:  # fmt: skip
        self.only_symbol, self.fast, self.tracked = only_symbol, fast, tracked
        self.wanted: frozenset[str] | None = None
        self.strange: dict[str, int] = {}
        self.moves: list[tuple[str, bool, str]] = []
        self._state = np.zeros(b.STATE, np.int64)
        self._state[b.T_LAG_LEAST], self._state[b.T_LAG_MOST] = b.MOST_NS, -b.MOST_NS
        self.place: int = self._state.ctypes.data
        self.table = SymbolTable(self._state, tick, lot)
        self._hold(16_384)
        self._scan_message: Any = None  # compiled when the first message comes
        self.out = RowRing(capacity, self.place)
        self.requests: list[Request] = []
        self.skipped: dict[str, int] = {}
        self.rejected: dict[str, int] = {}
        self.syncs: list[BookSync] = []
        self._books = {"gaps": 0, "snapshots": 0}

    @property
    def instruments(self) -> Mapping[tuple[int, int], Instrument]:
        """Instruments met so far, by (publisher, instrument id)."""
        return self.table.instruments

    def counters(self) -> dict[str, int]:
        """Frames, depth messages, level changes, trades, quotes, snapshots, gaps, times going back."""
        c = self._state
        return {
            "frames": int(c[b.N_FRAMES]), "depth messages": int(c[b.N_DEPTH]),
            "level changes": int(c[b.N_LEVELS]), "trades": int(c[b.N_TRADES]), "quotes": int(c[b.N_QUOTES]),
            "receive times going back": int(c[b.N_BACK]), **self._books,
        }  # fmt: skip

    def clock(self) -> dict[str, int]:
        """Ns: largest step back of the receive time; least and most of receive minus venue time."""
        back, least, most = self._state[b.T_BACK_MOST : b.T_LAG_MOST + 1].tolist()
        return {"back": back, "least lag": least, "most lag": most} if least <= most else {"back": back}

    def waiting(self) -> dict[str, int]:
        """Depth updates buffered for a snapshot, by symbol (those with any)."""
        return {n: len(k.pending) for n, k in zip(self.table.names, self.syncs, strict=True) if k.pending}

    def state(self, symbol: str) -> Literal["SYNCING", "LIVE", "UNKNOWN"]:
        """Whether the book of `symbol` is in sync; UNKNOWN when never met or without a tick."""
        index = self.table.index.get(symbol)
        code = b.UNKNOWN if index is None else int(self.table.columns[index, b.S_STATE])
        return "LIVE" if code == b.LIVE else "SYNCING" if code == b.SYNCING else "UNKNOWN"

    # ── input ──

    def step(self, frame: bytes, ts_recv: int, symbol: str | None = None) -> int:
        """Take one message.

        Parameters
        ----------
        frame : bytes
            A stream message, wrapped or bare, or the body of a REST reply.
        ts_recv : int
            Receive time, UTC ns.
        symbol : str, optional
            What a REST snapshot is of: its body does not say.

        Returns
        -------
        int
            Events written; :meth:`take` gives them. `requests` may have grown too.
        """
        out, before = self.out, self.out.n
        if not 0 < len(frame) <= MOST_BYTES:
            self.reject(TOO_LONG if frame else "empty")
            return 0
        if not LEAST_NS <= ts_recv <= MOST_NS:
            self.reject("bad receive time")
            return 0
        scan, answer = self._scan_message, ROOM if self.fast else b.UNSURE
        if scan is not None:  # nearly every message ends here, without the call of a method
            result: int = scan(out.buffer.place, frame, ts_recv, before)
            out.n, answer = result >> 2, result & 3
        if answer == ROOM:
            answer = self._scan_frame(frame, ts_recv)
        if answer == DONE:
            return out.n - before
        self._state[b.N_FRAMES] += 1
        if answer == b.RULE:
            head = self._state[: b.N_FRAMES].tolist()
            rows = self.out.rows[before : before + head[b.H_LEVELS]].copy()
            update = Update(head[b.H_FIRST], head[b.H_FINAL], head[b.H_PREVIOUS], head[b.H_TIME], rows)
            index = (head[b.H_SYMBOL] - b.AT_SYMBOLS) // b.SYMBOL_COLUMNS
            self._depth(index, update, ts_recv)
            return self.out.n - before
        self._keep_time(ts_recv, None)
        self._state[b.H_KIND] = 0  # what the scanner read of a message it left alone tells nobody anything
        try:
            self._slow(j.envelope(frame), ts_recv, symbol)
        except Skipped as why:
            _count(self.skipped, str(why))
        except Rejected as why:
            _count(self.rejected, str(why))
        return self.out.n - before

    def lines(
        self, buf: npt.NDArray[np.uint8], start: int, stop: int, framing: int, until: int
    ) -> tuple[int, int]:
        """Take whole lines as far as the scanner can on its own.

        Parameters
        ----------
        buf : uint8[stop + PADDING]
            Lines; ``buf[stop - 1]`` is a newline.
        start, stop : int
            Where to read.
        framing : {NANOS, SECONDS}
            How lines begin.
        until : int
            Stop before the first line received later, UTC ns.

        Returns
        -------
        position, answer : int
            First byte not used, and DONE, ROOM (take the events and go on) or UNSURE (the line at
            `position` is for :meth:`step`).
        """
        if not self.fast:
            return start, b.UNSURE
        out = self.out
        result = scan_lines(out.buffer.place, buf.ctypes.data, start, stop, framing, until, out.n)
        out.n, answer = result >> 2, result & 3
        if answer == b.ROOM and out.n == 0:
            out.grow()
        return int(self._state[b.H_POS]), b.UNSURE if answer == b.RULE else answer

    def disconnect(self, ts_recv: int, symbols: frozenset[str] | None = None) -> int:
        """Note a lost connection: `X` for each book in sync, of `symbols` or of all; give their number."""
        before = self.out.n
        for name in self.table.names:
            if symbols is None or name in symbols:
                self.lose(name, ts_recv, "connection lost")
        return self.out.n - before

    def lose(self, symbol: str, ts_recv: int, reason: str) -> None:
        """Give up the book of a symbol: `X` if it is in sync, and nothing of it until a snapshot."""
        index = self.table.index[symbol]
        sync = self.syncs[index]
        if sync.live:
            self._books["gaps"] += 1
            sync.lost(ts_recv, self.out, ts_recv, int(sync.state[b.S_LAST]))
            self._move(index, False, reason)
        sync.forget()

    def ask(self, symbol: str, reason: str) -> None:
        """Ask for a snapshot, unless one was asked for that has not come."""
        self._ask(self.table.index[symbol], reason)

    def learn(self, found: Mapping[str, Mapping[str, int]]) -> None:
        """Take ticks and lots (1e-9 units). A symbol that has appeared keeps what it has."""
        for name, definition in found.items():
            if name not in self.table.index or name in self.table.unknown:
                self.table.definitions[name] = dict(definition)
                if name in self.table.index:
                    self.table.settle(name)

    def reject(self, reason: str) -> None:
        """Count a damaged frame."""
        self._state[b.N_FRAMES] += 1
        _count(self.rejected, reason)

    def take(self) -> Events:
        """Return the events written since the last call; valid until three more were taken."""
        return self.out.take()

    # ── state in and out ──

    def snapshot(self) -> dict[str, Any]:
        """Everything the decoder knows, as plain values; events not taken yet are not part of it."""
        return copy.deepcopy({
            "table": self.table.save(),
            "syncs": [
                (list(k.pending), k.held, k.asked, k.buffered, k.joined, k.ahead) for k in self.syncs
            ],
            "counts": self._state[b.N_FRAMES : b.AT_SLOTS], "books": self._books,
            "skipped": self.skipped, "rejected": self.rejected, "requests": self.requests,
            "wanted": self.wanted, "strange": self.strange, "moves": self.moves,
        })  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Become what :meth:`snapshot` described; output not taken is dropped."""
        state = copy.deepcopy(state)
        self.table.load(state["table"])
        self._state[b.N_FRAMES : b.AT_SLOTS], self._books = state["counts"], state["books"]
        self.skipped, self.rejected, self.requests = state["skipped"], state["rejected"], state["requests"]
        self.wanted, self.strange, self.moves = state["wanted"], state["strange"], state["moves"]
        self.syncs = [
            BookSync(self.table.columns[i], PUBLISHER, self.skipped, deque(pending), *rest)
            for i, (pending, *rest) in enumerate(state["syncs"])
        ]
        self.out.n = 0

    # ── the scanner ──

    def prepare(self) -> None:
        """Have the scanner compiled before the first message comes."""
        self._scan_message = direct(scan_message) if self.fast else None

    def _scan_frame(self, frame: bytes, ts_recv: int) -> int:
        if self._scan_message is None:
            self.prepare()
        out, scan = self.out, self._scan_message
        while True:
            result: int = scan(out.buffer.place, frame, ts_recv, out.n)
            out.n = result >> 2
            if result & 3 != ROOM:
                return result & 3
            if len(frame) > self._state[b.H_LONGEST]:
                self._hold(2 * len(frame))
            else:
                out.grow()

    def _hold(self, longest: int) -> None:
        """Make the text that messages are copied to: no message may be longer than it."""
        self._scratch = np.zeros(longest + PADDING, np.uint8)
        self._state[b.H_SCRATCH], self._state[b.H_LONGEST] = self._scratch.ctypes.data, longest

    # ── the slow path ──

    def _slow(self, message: dict[str, Any], ts_recv: int, symbol: str | None) -> None:
        kind = message.get("e")
        if kind == "depthUpdate":
            self._slow_depth(message, ts_recv)
        elif kind == "bookTicker":
            self._slow_quote(message, ts_recv)
        elif kind in ("trade", "aggTrade"):
            self._slow_trade(message, ts_recv)
        elif isinstance(kind, str):
            if kind == "markPriceUpdate" and self.tracked:
                self._met(self._index(j.symbol_of(message)), b.MARK_PRICE, j.sent(message, ts_recv), 0)
            raise Skipped(kind if kind in j.NO_BOOK_EVENT else "other event")
        elif "lastUpdateId" in message:
            self._slow_snapshot(message, ts_recv, symbol)
        elif isinstance(message.get("symbols"), list):
            self.learn(j.definitions(message))
            raise Skipped("exchange information")
        elif "error" in message or ("code" in message and "msg" in message):
            raise Skipped("error reply")
        elif "result" in message:
            raise Skipped("control reply")
        else:
            raise Skipped("other message")

    def _met(self, index: int, kind: int, ts_event: int, number: int) -> None:
        """Say of what a message was, where the scanner says it."""
        state = self._state
        state[b.H_SYMBOL] = b.AT_SYMBOLS + index * b.SYMBOL_COLUMNS
        state[b.H_KIND], state[b.H_TIME] = kind, ts_event
        state[b.H_FINAL] = state[b.H_ID] = state[b.H_AGG_ID] = number

    def _move(self, index: int, live: bool, reason: str) -> None:
        if self.tracked:
            self.moves.append((self.table.names[index], live, reason))

    def _index(self, name: str) -> int:
        """Index of a symbol with a known grid."""
        if self.wanted is not None and name not in self.wanted:
            if name in self.strange or len(self.strange) < MOST_STRANGE:
                _count(self.strange, name)
            raise Skipped("symbol that was not asked for")
        index = self.meet(name)
        if name in self.table.unknown:
            raise Skipped("no tick is known for the symbol")
        return index

    def meet(self, name: str) -> int:
        """Index of a symbol, with its grid settled when it is new."""
        index = self.table.add(name)
        if index is None:
            raise Skipped("more symbols than the table holds")
        if index == len(self.syncs):
            self.syncs.append(BookSync(self.table.columns[index], PUBLISHER, self.skipped))
            if name in self.table.unknown:
                self.requests.append(Request("instrument", name, self.table.unknown[name]))
        return index

    def _lot(self, index: int) -> int:
        return int(self.table.columns[index, b.S_LOT])

    def _slow_depth(self, message: dict[str, Any], ts_recv: int) -> None:
        index = self._index(j.symbol_of(message))
        if "pu" not in message:
            raise Rejected("depth update without pu: not a USD-M futures stream")
        first, final, previous = (j.whole(message, key) for key in ("U", "u", "pu"))
        ts_event = j.when(message, ts_recv)
        if first > final:
            raise Rejected("bad id")
        try:
            sides = (message.get("b"), message.get("a"))
            rows = j.level_rows(sides, self._lot(index), index + 1, PUBLISHER)
        except Rejected:
            # What it would have changed is unknown, so the book is wrong from here on.
            sync = self.syncs[index]
            if sync.live:
                self._books["gaps"] += 1
                sync.lost(ts_recv, self.out, ts_event, final)
                self._move(index, False, "a depth update was damaged")
                self._ask(index, "a depth update was damaged")
            raise
        self._met(index, b.DEPTH_UPDATE, ts_event, final)
        self._depth(index, Update(first, final, previous, ts_event, rows), ts_recv)

    def _depth(self, index: int, update: Update, ts_recv: int) -> None:
        self._keep_time(ts_recv, update.ts_event)
        self._state[b.N_DEPTH] += 1
        self._state[b.N_LEVELS] += len(update.rows)
        sync = self.syncs[index]
        before = int(sync.state[b.S_LAST])
        reason = "no snapshot yet"
        if sync.update(update, ts_recv, self.out):
            self._books["gaps"] += 1
            self._books["snapshots"] += sync.live
            reason = f"pu {update.previous} does not follow u {before}"
            self._move(index, False, reason)
            if sync.live:
                self._move(index, True, "a newer snapshot was at hand")
        if not sync.live:
            self._ask(index, reason)

    def _ask(self, index: int, reason: str) -> None:
        if not self.syncs[index].asked:
            self.syncs[index].asked = True
            self.requests.append(Request("snapshot", self.table.names[index], reason))

    def _slow_snapshot(self, message: dict[str, Any], ts_recv: int, symbol: str | None) -> None:
        names = self.table.names
        name = symbol or self.only_symbol or (names[0] if len(names) == 1 else None)
        if name is None and "symbol" in message:
            name = j.symbol_of(message, "symbol")
        if name is None:
            raise Skipped("snapshot that names no symbol")
        index = self._index(name)
        last_id, ts_event = j.whole(message, "lastUpdateId"), j.when(message, ts_recv)
        sides = (message.get("bids"), message.get("asks"))
        rows = plain_rows(sides, self._state, index, b.SNAPSHOT_BITS | PUBLISHER) if self.fast else None
        if rows is None:
            rows = j.level_rows(sides, self._lot(index), index + 1, PUBLISHER, ev.SNAPSHOT)
        sync = self.syncs[index]
        if sync.snapshot(Snapshot(last_id, ts_event, rows), ts_recv, self.out):
            self._books["snapshots"] += 1
            self._move(index, True, f"snapshot {last_id}")
        elif not sync.live:
            self._ask(index, "the snapshot is older than the depth updates")

    def _slow_quote(self, message: dict[str, Any], ts_recv: int) -> None:
        index = self._index(j.symbol_of(message))
        sequence, ts_event = j.whole(message, "u"), j.when(message, ts_recv)
        rows = []
        for side, flags, keys in ((ev.BID, 0, "bB"), (ev.ASK, ev.LAST, "aA")):
            fixed, size = j.price(message.get(keys[0])), j.lots(message.get(keys[1]), self._lot(index))
            if fixed == 0 and size:
                raise Rejected("bad price")
            word7 = b.pack7(PUBLISHER, ev.QUOTE, side, flags)
            rows.append((ts_event, ts_recv, 0, fixed or ev.UNDEF_PRICE, size, sequence, index + 1, word7))
        self._keep_time(ts_recv, ts_event)
        self._state[b.N_QUOTES] += 1
        self._met(index, b.BOOK_TICKER, ts_event, sequence)
        self.out.append(np.array(rows, np.int64))

    def _slow_trade(self, message: dict[str, Any], ts_recv: int) -> None:
        single = message["e"] == "trade"
        index = self._index(j.symbol_of(message))
        row = self.table.columns[index]
        stream = b.SINGLE_TRADES if single else b.AGGREGATE_TRADES
        if row[b.S_TRADES] not in (b.NO_TRADES, stream):
            raise Skipped("trade beside aggTrade" if single else "aggTrade beside trade")
        sequence, ts_event = j.whole(message, "t" if single else "a"), j.when(message, ts_recv)
        off_book = single and message.get("X", "MARKET") != "MARKET"
        normal = not single and "nq" in message
        fixed = j.price(message.get("p"))
        size = j.lots(message.get("nq" if normal else "q"), self._lot(index))
        if off_book and not (fixed and size):
            raise Skipped("trade without a fill")
        if normal and fixed and not size:
            raise Skipped("aggTrade of retail price improvement orders only")
        if not fixed or not size:
            raise Rejected("bad size" if fixed else "bad price")
        maker = message.get("m")
        if maker is not None and not isinstance(maker, bool):
            raise Rejected("bad aggressor")
        row[b.S_TRADES] = stream
        side = ev.NO_SIDE if maker is None else ev.ASK if maker else ev.BID
        word7 = b.pack7(PUBLISHER, ev.TRADE, side, ev.LAST, OFF_BOOK if off_book else 0)
        self._keep_time(ts_recv, ts_event)
        self._state[b.N_TRADES] += 1
        self._met(index, b.SINGLE_TRADE if single else b.AGGREGATE_TRADE, ts_event, sequence)
        self.out.append(np.array([(ts_event, ts_recv, 0, fixed, size, sequence, index + 1, word7)], np.int64))

    def _keep_time(self, ts_recv: int, ts_event: int | None) -> None:
        clock = self._state
        if ts_event is not None:
            clock[b.T_LAG_LEAST] = min(clock[b.T_LAG_LEAST], ts_recv - ts_event)
            clock[b.T_LAG_MOST] = max(clock[b.T_LAG_MOST], ts_recv - ts_event)
        back = int(clock[b.T_LAST]) - ts_recv
        if back > 0:
            self._state[b.N_BACK] += 1
            clock[b.T_BACK_MOST] = max(clock[b.T_BACK_MOST], back)
        clock[b.T_LAST] = ts_recv


def _count(table: dict[str, int], reason: str) -> None:
    table[reason] = table.get(reason, 0) + 1
