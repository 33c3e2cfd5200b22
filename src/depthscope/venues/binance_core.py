"""What a live Binance session knows of its symbols, and what can be done to one.

The base of the machine in `binance_live`: books with their states and reasons, notices, requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from depthscope.market import events as ev
from depthscope.market.inputs import Notice
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_watch as w
from depthscope.venues.binance_decoder import Decoder
from depthscope.venues.binance_info import status_code
from depthscope.venues.binance_links import Links
from depthscope.venues.binance_requests import FetchSnapshot, LiveConfig, Request
from depthscope.venues.binance_symbols import PUBLISHER
from depthscope.venues.binance_tops import Tops
from depthscope.venues.binance_watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

__all__ = ["Book", "Core", "State"]

State = Literal["SYNCING", "LIVE", "STALE"]

STEADY_NS: Final = 10_000_000_000  # a book that held so long has no bad history
MOST_SHORT: Final = 3  # attempts that count against one that did not hold so long, but was there
FACTS: Final = ("offset", "skew", "skewed", "time told", "ahead", "info attempt", "stalls")


@dataclass(slots=True)
class Book:
    """What the machine knows of one symbol besides its book."""

    state: State = "SYNCING"
    reason: str = "no instrument yet"
    since: int = 0
    tape: State = "SYNCING"
    tape_reason: str = "not connected"
    status: int = ev.STATUS_TRADING
    quarantined: bool = False
    gaps: int = 0
    resyncs: int = 0
    blind: int = 0  # updates before this time are not known
    fetched: int = 0  # when a snapshot was asked for that has not come; 0: none
    attempt: int = 0
    silent: int = 0  # when the silent stream was last woken; 0: it speaks
    woken: int = 0
    ahead: int = 0  # since when updates wait for the slower connection; 0: none do


class Core:
    """State of a session and the verbs that change it.

    Parameters
    ----------
    fast : bool
        Use the byte scanner (see `Decoder`).

    Attributes
    ----------
    requests : list of Request
        What the feed is to do; append-only until taken.
    notices : list of Notice
        Every transition and remark; append-only until taken.
    books : dict of str to Book
        By symbol, in the order of the configuration.
    ignored : dict of str to int
        Inputs nothing could be made of, by reason.
    """

    def __init__(self, *, fast: bool = True) -> None:
        self.decoder = Decoder(fast=fast, tracked=True)
        self.decoder.prepare()
        self.requests: list[Request] = []
        self.notices: list[Notice] = []
        self.ignored: dict[str, int] = {}
        self.config = LiveConfig(["NONE"])
        self.configured = False
        self.books: dict[str, Book] = {}
        self.links = Links(self.config, self.requests)
        self.watch = Watch()
        self.tops = Tops()
        self._joined: frozenset[str] = frozenset()  # slots two connections carry
        self._slot_of: dict[tuple[str, str], str] = {}  # (symbol, route) -> slot
        # When that is done next which is done now and then.
        self._times = {"minute": 0, "hour": 0, "info": 0, "time": 0}
        self.facts = dict.fromkeys(FACTS, 0)
        self._last = self._look = 0  # times of the last input and of the next look

    @property
    def instruments(self) -> Mapping[tuple[int, int], Instrument]:
        """Instruments met so far, by (publisher, instrument id)."""
        return self.decoder.instruments

    def _follow(self, now: int) -> None:
        """Turn what the decoder said of books into transitions, and what it needs into requests."""
        decoder = self.decoder
        for name, live, reason in decoder.moves:
            book = self.books[name]
            if live:
                book.resyncs += book.state == "STALE"
                book.fetched = 0
                self._book(name, "LIVE", reason, now)
            else:
                book.blind = now
                book.gaps += 1
                book.attempt = 0 if now - book.since >= STEADY_NS else min(book.attempt, MOST_SHORT)
                self._book(name, "STALE", reason, now)
        decoder.moves.clear()
        for request in decoder.requests:
            if request.kind == "snapshot" and request.symbol in self.books:
                self._fetch(request.symbol, request.reason, now)
        decoder.requests.clear()

    def _fetch(self, name: str, reason: str, now: int) -> None:
        book = self.books[name]
        book.fetched = now
        self.requests.append(FetchSnapshot(name, self.config.snapshot_limit, reason, now, book.attempt))
        book.attempt += 1

    def _grid(self, name: str, grid: dict[str, int], now: int) -> None:
        """Fix the tick and lot of a symbol, or quarantine it when they differ from those it has."""
        decoder, book = self.decoder, self.books[name]
        index = decoder.table.index.get(name)
        if index is None and self.links.slots:
            return  # listed only after the connections were planned: the next session takes it
        if index is None:
            decoder.wanted = (decoder.wanted or frozenset()) | {name}
            decoder.table.definitions[name] = {"tick": grid["tick"], "lot": grid["lot"]}
            index = decoder.meet(name)
            book.quarantined = False
            self.tops.hold(index + 1)
            self._book(name, "SYNCING", "not connected", now)
            self._notice(now, "instrument", name, "", f"tick {grid['tick']}, lot {grid['lot']} (1e-9)")
            return
        known = decoder.instruments[PUBLISHER, index + 1]
        if book.quarantined or (known.tick, known.lot) == (grid["tick"], grid["lot"]):
            return
        reason = (
            f"quarantined: its tick and lot changed from {known.tick}, {known.lot} to {grid['tick']}, "
            f"{grid['lot']} (1e-9); start a new session"
        )
        decoder.lose(name, now, reason)
        decoder.moves.clear()
        decoder.table.columns[index, b.S_STATE] = b.UNKNOWN
        decoder.table.unknown[name] = reason
        book.quarantined, book.fetched = True, 0
        self._row(index, ev.STATUS, now, ev.STATUS_HALT)
        book.gaps += 1
        self._book(name, "STALE", reason, now)
        self._tape(name, "STALE", reason, now)
        self._notice(now, "instrument", name, "alarm", reason)

    def _connect(self, now: int) -> None:
        """Plan the connections, once there is something to follow."""
        names = [name for name in self.decoder.table.names if name in self.books]
        if self.links.slots or not names:
            return
        self.links.plan(names, now)
        for slot in self.links.slots.values():
            for name in slot.symbols:
                self._slot_of[name, slot.route] = slot.name

    def _resync(self, name: str, reason: str, now: int) -> None:
        """Give a book up and fetch it anew."""
        if not self.books[name].quarantined:
            self._lose(name, reason, now)
            if not self.books[name].fetched:
                self.decoder.ask(name, reason)
            self._follow(now)

    def _carried(self, name: str) -> bool:
        slot = self.links.slots.get(self._slot_of.get((name, "public"), ""))
        return slot is not None and bool(self.links.ready(slot))

    def _restart(self, name: str, now: int, *kinds: int) -> None:
        index = self.decoder.table.index[name]
        for kind in kinds:
            self.watch.restart(index * w.KINDS + kind, now)

    def _status(self, name: str, word: str, now: int) -> None:
        book, code = self.books[name], status_code(word)
        if code != book.status and name in self.decoder.table.index:
            book.status = code
            self._row(self.decoder.table.index[name], ev.STATUS, now, code)
            self._restart(name, now, b.DEPTH_UPDATE, b.AGGREGATE_TRADE, b.BOOK_TICKER, b.MARK_PRICE)
            self._notice(now, "instrument", name, "", f"trading status {word[:32]}")

    def _row(self, index: int, action: int, now: int, aux: int) -> None:
        word7 = b.pack7(PUBLISHER, action, ev.NO_SIDE, ev.LAST)
        row = (now, now, 0, ev.UNDEF_PRICE, 0, 0, b.pack6(index + 1, aux), word7)
        self.decoder.out.append(np.array([row], np.int64))

    def _book(self, name: str, state: State, reason: str, now: int) -> None:
        book = self.books[name]
        if (state, reason) != (book.state, book.reason):
            book.state, book.reason, book.since = state, reason, now
            self._notice(now, "book", name, state, reason)

    def _hindered(self, name: str, reason: str, now: int) -> None:
        """Tell what keeps a book from coming; how long it has been away counts from when it went."""
        book = self.books[name]
        if reason != book.reason:
            book.reason = reason
            self._notice(now, "book", name, book.state, reason)

    def _tape(self, name: str, state: State, reason: str, now: int) -> None:
        book = self.books[name]
        if state != book.tape:
            book.tape, book.tape_reason = state, reason
            self._notice(now, "tape", name, state, reason)

    def _notice(self, now: int, about: str, subject: str, state: str, reason: str) -> None:
        self.notices.append(Notice(now, about, subject, state, reason))

    def _ignore(self, reason: str) -> None:
        self.ignored[reason] = self.ignored.get(reason, 0) + 1

    def _lose(self, name: str, reason: str, now: int) -> None:
        """Give a book up: it needs a snapshot taken from now on, or one that buffered updates prove."""
        self.books[name].blind = now
        self.decoder.lose(name, now, reason)
        self._follow(now)

    def _overtake(self, now: int, patience: int) -> None:
        """Give up waiting for the slower of two connections after `patience` ns."""
        for index, sync in enumerate(self.decoder.syncs):
            name = self.decoder.table.names[index]
            book = self.books[name]
            if sync.ahead and now - book.ahead >= patience:
                book.ahead = 0
                if sync.give_up(now, self.decoder.out):
                    book.gaps += 1
                    self._book(name, "STALE", "gap in both connections of a hand-over", now)
                    self.decoder.ask(name, "gap in both connections of a hand-over")
        self._follow(now)

    def links_view(self, now: int) -> list[dict[str, int | str | bool]]:
        """Each open connection: number, slot, age (ns), streams, whether all are confirmed."""
        slots = self.links.slots
        return [
            {"connection": k.number, "slot": k.slot, "age": now - k.opened,
             "streams": len(slots[k.slot].streams), "ready": bool(k.ready)}
            for k in self.links.links.values()
        ]  # fmt: skip
