"""Binance USD-M futures, live: the machine between the feed's inputs and the engine's events.

No I/O, no clock: everything that can change a result comes as an :class:`~depthscope.market.inputs.Input`
and time is its ``ts_recv``. The feed (`binance_feed`) does what `requests` asks; a replay of the recorded
inputs gives the same events, requests and notices, byte for byte.

Events are the decoder's (`binance_decoder`), and besides: `N` for each CLOCK input, so that the grid goes
on when nothing is said; `X` for a book that is given up (silence, a lost connection, crossed for too long,
quarantine); `S` when trading in a symbol stops or goes on.
"""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any, Final

import msgspec

from depthscope.market import events as ev
from depthscope.market.inputs import Input, Kind
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_watch as w
from depthscope.venues.binance_core import Book
from depthscope.venues.binance_decoder import MOST_BYTES
from depthscope.venues.binance_health import health
from depthscope.venues.binance_info import listing, refusal
from depthscope.venues.binance_json import Rejected, Skipped, envelope
from depthscope.venues.binance_links import SECOND, Links, Slot
from depthscope.venues.binance_pulse import Pulse
from depthscope.venues.binance_requests import FetchInstruments, FetchTime, LiveConfig, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.events import Events
    from depthscope.market.inputs import Notice

__all__ = ["BinanceMachine"]

SKEW_NS: Final = SECOND
TIME_AGAIN_NS: Final = 30 * SECOND  # until the time is asked for again that was refused
MOST_CONTROL: Final = 65_536  # bytes of an answer to a control message


class BinanceMachine(Pulse):
    """State machine of a live session (`depthscope.market.inputs.Machine`)."""

    def step(self, received: Input) -> None:
        """Take one input; :meth:`take` gives the events it made."""
        kind, connection, now, payload = received
        if not b.LEAST_NS <= now <= b.MOST_NS:
            self._ignore("bad receive time")
            return
        now = max(now, self._last)
        if now >= self._look:
            self._tick(now)
        self._last = now
        if kind == 1:
            self._message(connection, now, payload)
        elif kind == Kind.REST:
            self._reply(now, payload)
        elif kind == Kind.CLOCK:
            self._clock(now, payload)
        elif kind == Kind.LINK:
            self._link(connection, now, payload)
        elif kind == Kind.STATUS:
            self._told(now, payload)
        elif kind == Kind.INSTRUMENT:
            self._instrument(now, payload)
        elif kind == Kind.CONFIG:
            self._configure(now, payload)

    def take(self) -> Events:
        """Events made since the last call; valid until three more were taken."""
        return self.decoder.take()

    def take_requests(self) -> list[Request]:
        """Requests made since the last call."""
        taken = self.requests.copy()
        self.requests.clear()
        return taken

    def take_notices(self) -> list[Notice]:
        """Notices made since the last call."""
        taken = self.notices.copy()
        self.notices.clear()
        return taken

    # ── messages of the streams ──

    def _message(self, connection: int, now: int, payload: bytes) -> None:
        decoder = self.decoder
        link = self.links.links.get(connection)
        if link is None:
            self._ignore("message of a connection that is not open")
            return
        link.heard = now
        out = decoder.out
        before = out.n
        decoder.step(payload, now)
        answer = self.watch.note(decoder.place, self.watch.at, now)
        if answer < 0:
            if len(payload) <= MOST_CONTROL and (b'"id"' in payload or b"contractInfo" in payload):
                self._control(connection, now, payload)
        elif answer & 1:
            out.n = before
        else:
            if out.n > before:
                self.tops.note(out.buffer.place, before, out.n)
            if link.slot in self._joined:
                self._beside((answer >> 1) // w.KINDS, now)
        if decoder.moves or decoder.requests:
            self._follow(now)

    def _control(self, connection: int, now: int, payload: bytes) -> None:
        try:
            message = envelope(payload)
        except (Rejected, Skipped):
            return
        if message.get("e") == "contractInfo":
            name = message.get("s")
            if isinstance(name, str) and name in self.books and "cs" in message:
                self._status(name, str(message["cs"]), now)
            return
        slot, wrong = self.links.control(connection, message, now)
        if wrong:
            self._notice(now, "link", str(connection), "alarm", f"control message refused: {wrong}")
        if slot is not None:
            self._notice(now, "link", slot.name, "LIVE", f"connection {connection} carries its streams")
            for name in slot.symbols:
                if slot.route == "market":
                    if not self.books[name].quarantined:
                        self._tape(name, "LIVE", "subscribed", now)
                elif self.books[name].state != "LIVE":
                    self.books[name].blind = now
                    self._restart(name, now, b.DEPTH_UPDATE, b.BOOK_TICKER)

    def _beside(self, index: int, now: int) -> None:
        """While two connections carry a symbol: go on with what was ahead and follows now."""
        sync = self.decoder.syncs[index]
        sync.catch_up(now, self.decoder.out)
        book = self.books[self.decoder.table.names[index]]
        book.ahead = (book.ahead or now) if sync.ahead else 0

    # ── replies, links, clocks and what the session tells ──

    def _reply(self, now: int, payload: bytes) -> None:
        head, _, body = payload.partition(b"\n")
        try:
            header = envelope(head)
            status, url = header.get("status"), str(header.get("url"))
        except (Rejected, Skipped):
            self._ignore("reply without a header")
            return
        if "/depth" in url:
            self._depth_reply(header, now, body)
        elif "/exchangeInfo" in url:
            self._info_reply(status, now, body)
        elif "/time" not in url:
            self._ignore("reply of another endpoint")
        elif status == 200:
            self._time_reply(header.get("sent"), now, body)
        else:
            self._times["time"] = min(self._times["time"], now + TIME_AGAIN_NS)

    def _depth_reply(self, header: dict[str, Any], now: int, body: bytes) -> None:
        decoder, name = self.decoder, header.get("symbol")
        status, sent = header.get("status"), header.get("sent")
        good = status == 200
        if not isinstance(name, str) or name not in self.books or name not in decoder.table.index:
            self._ignore("snapshot of a symbol that was not asked for")
            return
        book, sync = self.books[name], decoder.syncs[decoder.table.index[name]]
        asked, book.fetched = book.fetched, 0
        taken = sent if type(sent) is int else asked  # the snapshot is no older than that
        # Without an update to compare it with, a snapshot counts only if nothing was missed since.
        sure = sync.live or sync.pending or (self._carried(name) and taken >= book.blind)
        if book.quarantined or not sure:
            sync.asked = False
            return
        beside = sync.live  # a refresh: the book stays as it is, whatever comes
        if good:
            before = decoder.out.n
            decoder.step(body, now, name)
            self.tops.note(decoder.out.buffer.place, before, decoder.out.n)
        why = "the snapshot was damaged" if good else f"no snapshot: {refusal(status, body)}"
        if not sync.live and not decoder.requests:
            sync.asked = False
            decoder.ask(name, why)
            self._hindered(name, why, now)
        self._follow(now)
        if beside and good:
            book.attempt = 0
        elif beside:
            self._notice(now, "rest", name, "alarm", f"{why}; the book goes on, and is asked for again")
            self._fetch(name, why, now)

    def _info_reply(self, status: object, now: int, body: bytes) -> None:
        if not self.configured:
            self._ignore("instruments before the configuration")
            return
        found: dict[str, tuple[dict[str, int], str]] = {}
        if status == 200 and len(body) <= MOST_BYTES:
            with contextlib.suppress(Rejected, Skipped):  # then it names no instruments, as told below
                found = listing(envelope(body))
        if not found:
            self.facts["info attempt"] += 1
            why = refusal(status, body)
            self._notice(now, "rest", "exchangeInfo", "alarm", f"no instruments: {why}; asked again")
            self.requests.append(FetchInstruments("no usable reply", now, self.facts["info attempt"]))
        else:
            self.facts["info attempt"] = 0
            self._settle(found, now)

    def _settle(self, found: Mapping[str, tuple[dict[str, int], str]], now: int) -> None:
        """Fix the grids of symbols that have none; compare those of the others."""
        for name in self.config.symbols:
            book = self.books[name]
            if name not in found:
                if name in self.decoder.table.index:
                    self._status(name, "CLOSE", now)
                else:
                    self._book(name, "STALE", "quarantined: the venue does not list it", now)
                    book.quarantined = True
                continue
            grid, word = found[name]
            self._grid(name, grid, now)
            if not book.quarantined:
                self._status(name, word, now)
        self._connect(now)

    def _time_reply(self, sent: object, now: int, body: bytes) -> None:
        try:
            server = envelope(body).get("serverTime")
        except (Rejected, Skipped):
            server = None
        if type(server) is not int or not 0 < server <= b.MOST_MS:
            self._ignore("time reply without a time")
            return
        middle = (now + sent) // 2 if type(sent) is int and 0 <= now - sent <= 10 * SECOND else now
        facts = self.facts
        facts["time told"] = 1
        facts["skew"] = server * b.NS_A_MS - (middle + facts["offset"])
        if (abs(facts["skew"]) > SKEW_NS) != bool(facts["skewed"]):
            facts["skewed"] ^= 1
            word, what = ("alarm", "; set this machine's clock right") if facts["skewed"] else ("", "")
            told = f"the venue's clock less ours: {facts['skew'] / 1e9:.3f} s{what}"
            self._notice(now, "clock", "", word, told)

    def _clock(self, now: int, payload: bytes) -> None:
        try:
            wall = envelope(payload).get("wall")
        except (Rejected, Skipped):
            wall = None
        if type(wall) is int and b.LEAST_NS <= wall <= b.MOST_NS:
            offset = wall - now
            if abs(offset - self.facts["offset"]) > SKEW_NS:
                self._notice(
                    now, "clock", "", "alarm", f"wall time is {offset / 1e9:.3f} s from receive time"
                )
            self.facts["offset"] = offset
        else:
            self._ignore("clock without wall time")
        if self.decoder.instruments:
            self._row(0, ev.NONE, now, 0)

    def _link(self, connection: int, now: int, payload: bytes) -> None:
        try:
            told = envelope(payload)
        except (Rejected, Skipped):
            self._ignore("damaged link input")
            return
        event, name, reason = told.get("event"), str(told.get("name")), str(told.get("reason", ""))[:200]
        if event == "open":
            self._connect(now)  # planned before, unless this is read from the middle of a session
            slot = self.links.opened(connection, name, now, ready=bool(told.get("ready")))
            if slot is None:
                self._ignore("link that was not asked for")
                return
            self._notice(now, "link", name, "", f"connection {connection} opened")
            self._join()
        elif event in ("lost", "closed"):
            known = connection in self.links.links
            slot = self.links.lost(connection, name, now)
            self._notice(
                now, "link", name, "", f"connection {connection} {event}: {reason or 'no reason given'}"
            )
            self._join()
            if slot is not None:
                self._gone(slot, reason, now)
            elif known:
                self._overtake(now, 0)
        elif event == "ended":  # books stay as they are: nothing was missed up to here
            self.links.lost(connection, name, now)
            self._notice(now, "link", name, "", f"connection {connection} ended: {reason}")
        else:
            self._ignore("damaged link input")

    def _gone(self, slot: Slot, reason: str, now: int) -> None:
        """Nothing carries a slot's streams any more."""
        why = f"connection lost: {reason or 'no reason given'}"
        if slot.route == "market":
            for name in slot.symbols:
                self._tape(name, "STALE", why, now)
                self._restart(name, now, b.AGGREGATE_TRADE, b.MARK_PRICE)
            return
        for name in slot.symbols:
            if not self.books[name].quarantined:
                self._lose(name, why, now)
                self._restart(name, now, b.DEPTH_UPDATE, b.BOOK_TICKER)
                self.books[name].silent = 0
                if self.books[name].state == "SYNCING":
                    self._book(name, "SYNCING", why, now)

    def _join(self) -> None:
        """Tell the books which symbols two connections carry."""
        links = self.links
        self._joined = frozenset(name for name, slot in links.slots.items() if len(links.of(slot)) > 1)
        for slot in links.slots.values():
            if slot.route == "public":
                for name in slot.symbols:
                    self.decoder.syncs[self.decoder.table.index[name]].joined = slot.name in self._joined

    def _told(self, now: int, payload: bytes) -> None:
        """Take what the session noticed: ``halt``, ``resume``, ``resync``, ``refresh``; else it is a remark.

        ``refresh`` fetches snapshots beside books that stay as they are: a recording can be read from there.
        """
        try:
            told = envelope(payload)
        except (Rejected, Skipped):
            self._ignore("damaged status input")
            return
        event, name = str(told.get("event"))[:64], told.get("symbol")
        reason = str(told.get("reason", ""))[:200]
        names = [name] if isinstance(name, str) else list(self.books)
        known = [n for n in names if n in self.books and n in self.decoder.table.index]
        self._notice(now, "session", str(name or ""), "", f"{event}: {reason}" if reason else event)
        if event in ("halt", "resume"):
            for n in known:
                self._status(n, "TRADING" if event == "resume" else "HALT", now)
        elif event == "refresh":
            for n in known:
                if not self.books[n].quarantined and not self.books[n].fetched:
                    self.books[n].attempt = 0  # nothing has failed
                    self._fetch(n, reason or "asked for", now)
        elif event == "resync":
            for n in known:
                self._resync(n, reason or "asked for", now)

    def _instrument(self, now: int, payload: bytes) -> None:
        try:
            told = envelope(payload)
        except (Rejected, Skipped):
            told = {}
        name, tick, lot = told.get("symbol"), told.get("tick"), told.get("lot")
        if not isinstance(name, str) or type(tick) is not int or type(lot) is not int or min(tick, lot) <= 0:
            self._ignore("damaged instrument input")
        elif name not in self.books:
            self._ignore("instrument that was not asked for")
        elif max(tick, lot) >= 10**18:
            self._ignore("damaged instrument input")
        else:
            self._grid(name, {"tick": tick, "lot": lot}, now)

    def _configure(self, now: int, payload: bytes) -> None:
        try:
            told = msgspec.json.decode(payload)
            config = msgspec.convert(told["binance"], LiveConfig)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError):
            self._ignore("configuration that cannot be used")
            return
        if self.configured:
            if config != self.config:
                self._ignore("second configuration")
                self._notice(now, "session", "", "alarm", "a second configuration was ignored")
            return
        self.config, self.configured = config, True
        self.links = Links(config, self.requests)
        self.watch.hold(len(config.symbols))
        self.decoder.wanted = frozenset()
        for name in config.symbols:
            self.books[name] = Book(since=now)
        for task, seconds in (("minute", 60.0), ("hour", 3600.0), ("info", config.info_seconds),
                              ("time", config.time_seconds)):  # fmt: skip
            self._times[task] = now + int(seconds * SECOND)
        self.requests += [FetchTime("start", now), FetchInstruments("start", now)]

    # ── state in and out ──

    def opening(self, now: int) -> list[Input]:
        """Inputs that let a machine begin in the middle of this session: instruments, open connections.

        After its settings, that is; books then come with the next snapshots.
        """
        found = [
            Input(Kind.INSTRUMENT, 0, now, msgspec.json.encode(
                {"publisher": key[0], "id": key[1], "symbol": i.symbol, "tick": i.tick, "lot": i.lot}
            ))
            for key, i in self.instruments.items()
        ]  # fmt: skip
        for link in self.links.links.values():
            told = {"event": "open", "name": link.slot, "ready": bool(link.ready), "reason": "open before"}
            found.append(Input(Kind.LINK, link.number, now, msgspec.json.encode(told)))
        return found

    def health(self, now: int) -> dict[str, Any]:
        """Figures for operations; nothing depends on them.

        Parameters
        ----------
        now : int
            Receive time, UTC ns.

        Returns
        -------
        dict
            ``symbols``: of each, states with reasons, counters and per stream the age of the last message,
            median interval and lag quantiles (ns, None without any); and counters of the whole session.
            ``skew``: the venue's clock less ours (ns), None before it has told its time.
        """
        return health(self, now)

    def snapshot(self) -> dict[str, Any]:
        """Everything the machine knows, as plain values; events not taken yet are not part of it."""
        return copy.deepcopy({
            "decoder": self.decoder.snapshot(), "requests": self.requests, "notices": self.notices,
            "ignored": self.ignored, "config": self.config, "configured": self.configured,
            "books": self.books, "links": self.links.save(),
            "watch": self.watch.rows, "tops": self.tops.save(), "slot_of": self._slot_of,
            "times": self._times, "facts": self.facts, "last": self._last, "look": self._look,
        })  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Become what :meth:`snapshot` described; output not taken is dropped."""
        state = copy.deepcopy(state)
        self.decoder.restore(state["decoder"])
        self.requests[:], self.notices[:] = state["requests"], state["notices"]
        self.ignored, self.config, self.books = state["ignored"], state["config"], state["books"]
        self.configured = state["configured"]
        self.links = Links(self.config, self.requests)
        self.links.load(state["links"])
        self.watch.load(state["watch"])
        self.tops.load(state["tops"])
        self._slot_of, self._times, self.facts = state["slot_of"], state["times"], state["facts"]
        self._last, self._look = state["last"], state["look"]
        self._join()
