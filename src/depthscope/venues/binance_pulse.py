"""What time alone brings about in a live Binance session: silence, late answers, what is done now and then.

Time is the receive time of the inputs: nothing here reads a clock.
"""

from __future__ import annotations

from typing import Final

from depthscope.market import events as ev
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_watch as w
from depthscope.venues.binance_core import Book, Core
from depthscope.venues.binance_links import SECOND, depth_stream
from depthscope.venues.binance_requests import FetchInstruments, FetchTime

LOOK_NS: Final = 100_000_000  # how often time alone is looked at
STALL_NS: Final = SECOND  # inputs come at least every 100 ms; a longer pause is our own
FETCH_NS: Final = 180 * SECOND  # how long a snapshot may be on its way
SPEAK_NS: Final = SECOND  # after a subscription is confirmed, how long a first update is waited for
AGAIN_NS: Final = 10 * SECOND  # between attempts to wake a silent stream
MOST_AGAIN: Final = 3  # such attempts before the connection is replaced
AHEAD_NS: Final = 2 * SECOND  # in a hand-over, how long the slower connection is waited for


class Pulse(Core):
    """The part of the machine that time drives."""

    def _tick(self, now: int) -> None:
        self._look = now + LOOK_NS
        if not self.configured:
            return
        paused = now - self._last
        if self._last and paused > STALL_NS:
            self.facts["stalls"] += 1
            self.watch.excuse(paused)
            self._notice(now, "session", "", "alarm", f"nothing was taken in for {paused / 1e9:.1f} s")
        self.links.tick(now)
        for place in self.watch.silent(now):
            seconds = (now - int(self.watch.rows[place, w.W_LAST])) / 1e9
            self._silence(place, f"{w.STREAMS[place % w.KINDS]} silent for {seconds:.1f} s", now)
        for place in self.watch.contradicted():
            self._silence(place, "depth silent while the best prices change", now)
        if self._joined:
            self._overtake(now, AHEAD_NS)
        self._crossing(now)
        for name, book in self.books.items():
            if book.state != "LIVE":
                self._waiting(name, book, now)
            if book.tape == "STALE":
                self._untold(name, now)
        times, config = self._times, self.config
        if now >= times["minute"]:
            times["minute"] = now + 60 * SECOND
            self._minute(now)
        if now >= times["hour"]:
            times["hour"] = now + 3600 * SECOND
            self.watch.hour()
        if now >= times["info"]:
            times["info"] = now + int(config.info_seconds * SECOND)
            self.requests.append(FetchInstruments("from time to time", now))
        if now >= times["time"]:
            times["time"] = now + int(config.time_seconds * SECOND)
            self.requests.append(FetchTime("from time to time", now))

    def _silence(self, place: int, reason: str, now: int) -> None:
        """A stream that should speak is silent."""
        index, kind = divmod(place, w.KINDS)
        name = self.decoder.table.names[index]
        book = self.books[name]
        self.watch.restart(place, now)
        if book.status != ev.STATUS_TRADING or book.quarantined:
            return
        if kind == b.MARK_PRICE:
            self._tape(name, "STALE", reason, now)
            self.links.again(f"{name.lower()}@markPrice@1s")
            self.links.again(f"{name.lower()}@aggTrade")
        elif book.state == "LIVE":
            self._lose(name, reason, now)
            book.woken = 0
            self._wake(name, book, now)

    def _wake(self, name: str, book: Book, now: int) -> None:
        """Try to have a silent stream speak: subscribe anew, and now and then connect anew."""
        book.silent = now
        book.woken += 1
        slot = self.links.slots[self._slot_of[name, "public"]]
        if all(now - link.heard >= w.SILENT_NS for link in self.links.of(slot)):
            self.links.replace(slot, "the connection is silent", now)
        elif book.woken % (MOST_AGAIN + 1):
            self.links.again(depth_stream(name, self.config.depth_speed))
        else:
            self.links.replace(slot, f"{name} stays silent", now)

    def _waiting(self, name: str, book: Book, now: int) -> None:
        """What a book that is not LIVE waits for."""
        index = self.decoder.table.index.get(name)
        if index is None or book.quarantined or not self._carried(name):
            return
        if book.silent:
            if self.watch.rows[index * w.KINDS + b.DEPTH_UPDATE, w.W_SINCE]:
                book.silent = 0
            elif now - book.silent >= AGAIN_NS << min(book.woken - 1, 3):
                self._wake(name, book, now)
            return
        sync = self.decoder.syncs[index]
        if book.fetched and now - book.fetched > FETCH_NS:
            sync.asked, book.fetched = False, 0
        link = self.links.ready(self.links.slots[self._slot_of[name, "public"]])[-1]
        if not sync.asked and now - link.ready >= SPEAK_NS:
            self.decoder.ask(name, "nothing has changed since it was subscribed")
            self._follow(now)

    def _untold(self, name: str, now: int) -> None:
        """Whether a silent tape is told again."""
        index = self.decoder.table.index.get(name)
        slot = self.links.slots.get(self._slot_of.get((name, "market"), ""))
        if index is None or slot is None or self.books[name].quarantined or not self.links.ready(slot):
            return
        if self.watch.rows[index * w.KINDS + b.MARK_PRICE, w.W_SINCE]:
            self._tape(name, "LIVE", "markPrice speaks again", now)

    def _minute(self, now: int) -> None:
        for place, count, usual in self.watch.minute():
            index, kind = divmod(place, w.KINDS)
            about = f"{count} messages of {w.STREAMS[kind]} in a minute"
            word, more = ("alarm", f", usually {usual}") if usual else ("", ", as usual again")
            self._notice(now, "rate", self.decoder.table.names[index], word, about + more)
        ahead = int(self.watch.rows[:, w.W_AHEAD].max())
        if ahead > max(LOOK_NS, 2 * self.facts["ahead"]):
            self.facts["ahead"] = ahead
            self._notice(
                now, "clock", "", "alarm", f"venue time runs up to {ahead / 1e9:.3f} s ahead of ours"
            )

    def _crossing(self, now: int) -> None:
        """Fetch books anew that have been crossed for too long."""
        for index in self.tops.crossed(now, int(self.config.crossed_seconds * SECOND)):
            name = self.decoder.table.names[index]
            self.tops.forget(index)
            if self.books[name].status == ev.STATUS_TRADING:
                self._resync(name, f"crossed for more than {self.config.crossed_seconds:g} s", now)
