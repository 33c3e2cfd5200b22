"""The exchange: books, streams, REST and faults in one place, without any input or output.

Time is an argument: every call says what time it is on the exchange (UTC ns), and nothing happens
that a call did not bring about. The same seed and the same calls give the same bytes.
"""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING

from depthscope.errors import NoBookData, UnknownInstrument, UnknownName
from depthscope.market.events import CLEAR, LAST, NO_SIDE, TRADE, UNDEF_PRICE
from depthscope.market.instruments import Capability
from depthscope.simulators.binance_acts import Acts
from depthscope.simulators.binance_connections import GOING_AWAY, POLICY, Connections, parse_target
from depthscope.simulators.binance_faults import Fault, parse_fault
from depthscope.simulators.binance_limits import Limits
from depthscope.simulators.binance_listing import DEPTH_PERIODS, Listing, Snapshot
from depthscope.simulators.binance_playback import Playback
from depthscope.simulators.binance_publisher import Publisher
from depthscope.simulators.binance_rest import answer
from depthscope.simulators.binance_rules import MS, NEVER, Rules
from depthscope.simulators.binance_strikes import Desk, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from depthscope.market.source import Key
    from depthscope.simulators.binance_playback import Group, Played
    from depthscope.simulators.binance_wire import Out, Reply

__all__ = ["Exchange"]

_CLEARED = (0, 0, 0, UNDEF_PRICE, 0, 0, 0, 0, 0, 0, CLEAR, NO_SIDE, LAST, 0)  # a row that clears a book


class Exchange:
    """A Binance USD-M futures exchange that plays a recording.

    Parameters
    ----------
    source : callable
        Opens what is played (a :class:`~depthscope.market.source.Source` or an
        :class:`~depthscope.simulators.binance_playback.EventSource`); called again for each pass
        of a loop.
    start : int or callable
        Exchange time at which the first event plays, UTC ns; a callable is asked once what is
        skipped has been built.
    seed : int
        Of the ids' jumps and of faults at random times.
    speed : str or int or float
        Market seconds a second, 0.1 to 1000. Streams keep their pace: at speed 10 a depth message
        tells of ten times as much.
    skip : int
        Market time (ns) that has already happened at `start`: it makes the books and is told to nobody.
    loop : bool
        Begin again at the end.
    symbols : Mapping of str to str, optional
        Symbols of the recording that are listed, each with the name it is listed under; all of
        them, under their own names, when left out.
    faults : iterable of str or Fault
    rules : Rules
        Limits.

    Attributes
    ----------
    now : int
        Exchange time, UTC ns: the latest any call has told.
    listings : dict of str to Listing
        What is listed, by name.
    unlisted : list of str
        What of the recording cannot be listed, and why.

    Raises
    ------
    EmptyData
        When the source holds no event.
    NoBookData
        When nothing at its beginning can be listed.
    """

    def __init__(
        self, source: Callable[[], Played], *, start: int | Callable[[], int], seed: int = 0,
        speed: str | float = 1, skip: int = 0, loop: bool = False, symbols: Mapping[str, str] | None = None,
        faults: Iterable[str | Fault] = (), rules: Rules | None = None,
    ) -> None:  # fmt: skip
        self.rules = rules or Rules()
        self.seed, self.start, self.now = seed, 0, 0
        self.skew = 0  # the venue's clock minus exchange time, ns
        self._names = dict(symbols) if symbols else None
        self._out: list[Out] = []
        self._timers: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = 0
        self.listings: dict[str, Listing] = {}
        self.unlisted: list[str] = []
        self._by_key: dict[Key, Listing | None] = {}
        self.held: dict[str, list[Group]] = {}  # what happens to a halted symbol once it trades again
        self.connections = Connections(self.rules, self._out)
        self.limits = Limits(self.rules)
        self.desk = Desk(self.listings)
        self.playback = Playback(source, speed=speed, skip=skip, loop=loop)
        self.publisher = Publisher(self)
        self.acts = Acts(self)
        for key in dict.fromkeys([*self.playback.played.instruments, *self.playback.keys]):
            self._listing(key)
        if not self.listings:
            raise NoBookData(" ".join(["Nothing of this recording can be listed.", *self.unlisted[:3]]))
        while self.playback.warming():
            group = self.playback.take()
            listing = None if group.key is None else self._listing(group.key)
            if listing is not None:
                for row in group.rows:
                    listing.book.apply(row)
        self.start = self.now = start if isinstance(start, int) else start()
        self.playback.begin(self.start)
        for listing in self.listings.values():
            listing.begin(self.start)
        for fault in faults:
            self.inject(fault, self.start)

    # ── time ──

    def advance(self, now: int) -> list[Out]:
        """Let time pass until `now`; what is to be sent since the last call, in order."""
        self.run(now)
        out = list(self._out)
        self._out.clear()
        return out

    def run(self, now: int) -> None:
        """Let time pass until `now`, a time before the last one counting as that."""
        while True:
            group = self.playback.peek()
            timer = self._timers[0][0] if self._timers else NEVER
            at = min(group, timer, self.publisher.next)
            if at > now:
                break
            self.now = max(self.now, at)
            if timer == at:
                heapq.heappop(self._timers)[2](self.now)
            elif group == at:
                self.play(self.playback.take())
            else:
                self.publisher.tick(at)
        self.now = max(self.now, now)

    def next_time(self) -> int:
        """When something happens next by itself: a virtual clock may go there in one step."""
        timer = self._timers[0][0] if self._timers else NEVER
        return min(self.playback.peek(), timer, self.publisher.next)

    def at(self, time: int, do: Callable[[int], None]) -> None:
        """Have something done at a time; what is asked first is done first."""
        self._order += 1
        heapq.heappush(self._timers, (time, self._order, do))

    def stamp(self, time: int) -> int:
        """Milliseconds of the venue's own clock at an exchange time."""
        return (time + self.skew) // MS

    def close(self) -> None:
        """Let go of the recording: nothing more happens on the market."""
        self.playback.close()

    # ── the market ──

    def play(self, group: Group) -> None:
        """Let one group of the recording happen."""
        if group.key is None:
            for key in list(self._by_key):
                self.play(group._replace(key=key, rows=[_CLEARED]))
            return
        listing = self._listing(group.key)
        if listing is None or listing.closed:
            return
        if listing.name in self.held:
            self.held[listing.name].append(group)
            return
        before = listing.book.changes
        for row in group.rows:
            if row[10] != TRADE:
                listing.book.apply(row)
            else:
                listing.trade(row, self.now)
                self.publisher.traded(listing, self.now)
        if listing.book.changes != before:
            self._moved(listing)

    def add_by_hand(self, listing: Listing, side: int, price: int, lots: int) -> None:
        """Add lots to a level by hand, or take them back; it is told as a change of the market."""
        listing.book.add_by_hand(side, price, lots)
        self._moved(listing)

    def _moved(self, listing: Listing) -> None:
        if listing.closed:
            return
        listing.mark_changed(self.now)
        self.publisher.changed(listing, self.now)

    def _listing(self, key: Key) -> Listing | None:
        """The listing of a key of the recording; None when it is not played."""
        if key in self._by_key:
            return self._by_key[key]
        try:
            instrument = self.playback.played.resolve(*key)
        except UnknownInstrument as error:
            self.unlisted.append(str(error))
            self._by_key[key] = None
            return None
        if self._names is None:
            name: str | None = re.sub(r"[^A-Z0-9_.\-]", "", instrument.symbol.upper()) or f"SYMBOL{key[1]}"
        else:
            name = self._names.get(instrument.symbol)
        if not instrument.capabilities.covers(Capability.L2):
            self.unlisted.append(f"{instrument.symbol}: no depth is recorded of it.")
            name = None
        if name is not None and name not in self.listings:
            self.listings[name] = Listing(name, instrument, self.seed, self.rules, self.now)
        found = None if name is None else self.listings[name]
        self._by_key[key] = found
        return found

    def find(self, symbol: str) -> Listing:
        """Listing of a name.

        Raises
        ------
        UnknownName
            When there is none.
        """
        try:
            return self.listings[symbol]
        except KeyError:
            listed = ", ".join(list(self.listings)[:8])
            raise UnknownName(f"{symbol} is not listed here; listed are {listed}.") from None

    def book(self, symbol: str, speed: str | None = None) -> Snapshot:
        """Copy of a whole book: as it is, or as the last depth message of a speed left it.

        Parameters
        ----------
        symbol : str
        speed : {"100ms", "250ms", "500ms"}, optional

        Raises
        ------
        UnknownName
            When there is no such symbol or speed.
        """
        listing = self.find(symbol)
        if speed is None:
            return listing.snapshot()
        windows = {f"{period // MS}ms": n for n, period in enumerate(DEPTH_PERIODS)}
        if speed not in windows:
            raise UnknownName(f"There is no depth stream of {speed!r}; there are {', '.join(windows)}.")
        return listing.published(windows[speed])

    # ── connections ──

    def connect(self, target: str, address: str, now: int) -> int | Reply:
        """Open a stream connection.

        Parameters
        ----------
        target : str
            Path and query, such as ``/public/stream?streams=btcusdt@depth@100ms``.
        address : str
            Of the client.
        now : int

        Returns
        -------
        int or Reply
            Number of the connection, or the HTTP reply that refuses it.
        """
        self.run(now)
        asked = parse_target(target)
        if asked is None:
            return refusal(404, -5000, f"Path {target.split('?', maxsplit=1)[0]} is not served.")
        if self.desk.find("refuse", asked.route) is not None:
            return refusal(503, -1008, "Server is currently overloaded.")
        denied = self.limits.attempt(address, self.now)
        if denied is not None:
            headers = {"Retry-After": str(denied.retry_after)}
            return refusal(denied.status, -1003, "Too many connection attempts.", headers)
        if len({*asked.streams}) > self.rules.streams_per_connection:
            return refusal(400, -1130, "Too many streams.")
        made = self.connections.add(asked, address, self.now)
        self.at(self.now + self.rules.ping_every, lambda at: self._ping(made.number, at))
        life = self.desk.find("life", made.route)
        self.expire(made.number, self.now + (life.fault.value if life else self.rules.life))
        self.publisher.wake(self.now)
        return made.number

    def disconnect(self, connection: int, now: int) -> None:
        """Take note that the client has gone."""
        self.run(now)
        self.connections.remove(connection)

    def receive(self, connection: int, payload: bytes, now: int, kind: str = "text") -> None:
        """Take a frame of a client.

        Parameters
        ----------
        connection : int
            One that is not known any more is ignored.
        payload : bytes
        now : int
        kind : {"text", "ping", "pong"}
            Pings are answered by the transport, unless :meth:`frozen`.
        """
        self.run(now)
        sender = self.connections.open.get(connection)
        if sender is None or self.frozen(connection):
            return
        if self.connections.crowded(sender, self.now):
            self.limits.strike(sender.address, self.now)
            self.connections.end(connection, "close", POLICY, "Too many requests")
        elif kind == "text":
            self.connections.command(sender, payload)
            self.publisher.wake(self.now)
        elif kind == "pong" and self.desk.find("nopong", sender.route) is None:
            self.connections.pong(sender, payload, self.now)

    def frozen(self, connection: int) -> bool:
        """Whether a connection stands still: nothing is sent on it, not even pongs."""
        known = self.connections.open.get(connection)
        return known is not None and known.route in self.connections.quiet

    def expire(self, connection: int, at: int) -> None:
        """Cut a connection at a time, if it is still open then."""
        self.at(at, lambda _: self.connections.end(connection, "close", GOING_AWAY, "Connection expired"))

    def _ping(self, number: int, now: int) -> None:
        connection = self.connections.open.get(number)
        if connection is None:
            return
        deadline = connection.answered + self.rules.pong_within
        if now >= deadline:
            self.connections.end(number, "close", POLICY, "Pong timeout")
            return
        self.connections.ping(connection, self.stamp(now))
        self.at(min(now + self.rules.ping_every, deadline), lambda at: self._ping(number, at))

    # ── REST ──

    def request(self, method: str, path: str, query: str, address: str, now: int, body: bytes = b"") -> Reply:
        """Answer a REST request.

        Parameters
        ----------
        method, path, query : str
            ``GET``, ``/fapi/v1/depth``, ``symbol=BTCUSDT&limit=1000``. Paths under ``/sim`` are the
            simulator's own and cost nothing.
        address : str
            Of the client: weights and bans are its.
        now : int
        body : bytes
            Of a POST.
        """
        self.run(now)
        return answer(self, method, path, query, address, body)

    # ── faults ──

    def inject(self, fault: str | Fault, now: int) -> Fault:
        """Have a fault strike, at its time.

        Raises
        ------
        ConfigError
            When it cannot be read.
        UnknownName
            When its symbol is not listed.
        """
        self.run(now)
        settled = parse_fault(fault) if isinstance(fault, str) else fault
        self.acts.schedule(settled, self.now)
        return settled
