"""What the exchange tells on its streams, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from depthscope.simulators.binance_listing import DEPTH_PERIODS, Listing, Message
from depthscope.simulators.binance_rules import MS, NEVER, SECOND
from depthscope.simulators.binance_text import encode

if TYPE_CHECKING:
    from depthscope.simulators.binance_exchange import Exchange

__all__ = ["Publisher"]

TRADES: Final = 100 * MS
TICKERS: Final = 5 * SECOND
_SUFFIXES: Final = (("@100ms",), ("", "@250ms"), ("@500ms",))  # of the depth windows
_PARTIAL: Final = (5, 10, 20)
_MARKS: Final = {SECOND: "@1s", 3 * SECOND: ""}


class _Streams(NamedTuple):
    """Names of the streams that tell of one window of a listing."""

    differences: tuple[str, ...]
    partial: dict[int, tuple[str, ...]]  # by number of levels
    rpi: str
    names: frozenset[str]  # all of them


def _streams(name: str, window: int) -> _Streams:
    suffixes = _SUFFIXES[window]
    differences = tuple(f"{name}@depth{suffix}" for suffix in suffixes)
    partial = {n: tuple(f"{name}@depth{n}{suffix}" for suffix in suffixes) for n in _PARTIAL}
    rpi = f"{name}@rpiDepth{suffixes[0]}"
    return _Streams(differences, partial, rpi, frozenset((*differences, *sum(partial.values(), ()), rpi)))


class Publisher:
    """Gathers what changes and tells it on the grid of each stream.

    Depth messages and aggregate trades go out at whole multiples of their period, for what has
    happened up to and including that moment; nothing goes out when nothing has changed.

    Attributes
    ----------
    next : int
        Exchange time of the next tick with something to tell.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._dirty: tuple[dict[Listing, None], ...] = tuple({} for _ in DEPTH_PERIODS)
        self._trading: dict[Listing, None] = {}
        self._quoted: dict[Listing, None] = {}
        self._depth_due = [NEVER] * len(DEPTH_PERIODS)
        self._trades_due = NEVER
        self._tickers_due = NEVER
        self._marks_due = dict.fromkeys(_MARKS, NEVER)
        self._streams: dict[tuple[str, int], _Streams] = {}  # by listing and window
        self._heard: set[int] = set()  # periods whose mark prices are listened to …
        self._asked = -1  # … as of this change of the subscriptions
        self._late: dict[str, int] = {}  # by symbol: when the last delayed message goes out
        self.next = NEVER

    # ── what happens ──

    def changed(self, listing: Listing, now: int) -> None:
        """Take note of a book that has changed; its best prices are told at once."""
        for window, period in enumerate(DEPTH_PERIODS):
            self._dirty[window][listing] = None
            if self._depth_due[window] == NEVER:
                self._depth_due[window] = self._soon(now, period)
        if listing.quoted():
            self._quoted[listing] = None
            stream = f"{listing.streams}@bookTicker"
            if stream in self._exchange.connections.listeners:
                stamp = self._exchange.stamp(now)
                self._send(listing.name, stream, encode(listing.ticker(stamp, stamp)), now)

    def traded(self, listing: Listing, now: int) -> None:
        """Take note of a trade."""
        self._trading[listing] = None
        if self._trades_due == NEVER:
            self._trades_due = self._soon(now, TRADES)

    def wake(self, now: int) -> None:
        """Begin the streams that tell something without any change, if somebody listens."""
        connections = self._exchange.connections
        listeners = connections.listeners
        if "!bookTicker" in listeners and self._tickers_due == NEVER:
            self._tickers_due = self._soon(now + 1, TICKERS)
        if self._asked != connections.changes:
            self._asked = connections.changes
            self._heard = {
                period
                for period, suffix in _MARKS.items()
                if any(n.endswith(f"@markPrice{suffix}") or n == f"!markPrice@arr{suffix}" for n in listeners)
            }
        for period in self._heard:
            if self._marks_due[period] == NEVER:
                self._marks_due[period] = self._soon(now + 1, period)

    def contract(self, listing: Listing, now: int) -> None:
        """Tell that a contract's terms or status have changed."""
        stamp = self._exchange.stamp
        message = {
            "e": "contractInfo", "E": stamp(now), "s": listing.name, "ps": listing.name, "ct": "PERPETUAL",
            "dt": 4_133_404_800_000, "ot": stamp(listing.listed), "cs": listing.status,
        }  # fmt: skip
        self._exchange.connections.send("!contractInfo", encode(message))

    # ── the grid ──

    def tick(self, at: int) -> None:
        """Tell everything that is due."""
        if self._trades_due <= at:
            self._trades_due = NEVER
            self._trades(at)
        for window in range(len(DEPTH_PERIODS)):
            if self._depth_due[window] <= at:
                self._depth_due[window] = NEVER
                dirty = list(self._dirty[window])
                self._dirty[window].clear()
                for listing in dirty:
                    self._depth(listing, window, at)
        for period in _MARKS:
            if self._marks_due[period] <= at:
                self._marks_due[period] = NEVER
                self._marks(period, at)
        if self._tickers_due <= at:
            self._tickers_due = NEVER
            self._tickers(at)
        self.wake(at)
        self._settle()

    def _soon(self, now: int, period: int) -> int:
        """The next whole multiple of a period, `now` itself included."""
        due = -(-now // period) * period
        self.next = min(self.next, due)
        return due

    def _settle(self) -> None:
        self.next = min(*self._depth_due, self._trades_due, self._tickers_due, *self._marks_due.values())

    # ── messages ──

    def _depth(self, listing: Listing, window: int, now: int) -> None:
        exchange, stamp = self._exchange, self._exchange.stamp
        listeners, struck = exchange.connections.listeners, exchange.desk.strikes_depth
        streams = self._streams.get((listing.name, window))
        if streams is None:
            streams = self._streams[listing.name, window] = _streams(listing.streams, window)
        if not struck and listeners.keys().isdisjoint(streams.names):
            listing.pass_over(window)  # nobody would see it
            return
        message = listing.depth(window, stamp(now), stamp(listing.changed))
        if message is None or listing.closed:
            return
        if struck or any(stream in listeners for stream in streams.differences):
            for payload in exchange.desk.depth(listing, window, message):
                for stream in streams.differences:
                    self._send(listing.name, stream, payload, now)
        for levels, names in streams.partial.items():
            if any(stream in listeners for stream in names):
                payload = encode(listing.partial(message, levels))
                for stream in names:
                    self._send(listing.name, stream, payload, now)
        if streams.rpi in listeners:
            self._send(listing.name, streams.rpi, encode(listing.with_rpi(message)), now)

    def _trades(self, now: int) -> None:
        listings = list(self._trading)
        self._trading.clear()
        for listing in listings:
            for trade in listing.tape(self._exchange.stamp):
                if self._exchange.desk.drops_trade(listing):
                    continue
                stream = f"{listing.streams}@aggTrade"
                if stream in self._exchange.connections.listeners and not listing.closed:
                    head = {"e": "aggTrade", "E": self._exchange.stamp(now), "s": listing.name}
                    self._send(
                        listing.name, stream, encode({**head, **listing.told(trade), **listing.keys()}), now
                    )

    def _mark(self, listing: Listing, now: int) -> Message:
        told, stamp = listing.mark(now), self._exchange.stamp
        return {
            "e": "markPriceUpdate", "E": stamp(now), "s": listing.name,
            "p": told["mark"], "ap": told["average"],
            "P": told["mark"], "i": told["index"], "r": told["rate"], "T": stamp(int(told["next"])),
            **listing.keys(),
        }  # fmt: skip

    def _marks(self, period: int, now: int) -> None:
        listeners, suffix = self._exchange.connections.listeners, _MARKS[period]
        listed = [one for one in self._exchange.listings.values() if not one.closed]
        for listing in listed:
            stream = f"{listing.streams}@markPrice{suffix}"
            if stream in listeners:
                self._send(listing.name, stream, encode(self._mark(listing, now)), now)
        everything = f"!markPrice@arr{suffix}"
        if everything in listeners:
            payload = encode([self._mark(listing, now) for listing in listed])
            self._exchange.connections.send(everything, payload)

    def _tickers(self, now: int) -> None:
        stamp = self._exchange.stamp
        for listing in self._quoted:
            if listing.closed:
                continue
            message = listing.ticker(stamp(now), stamp(listing.changed))
            self._send(listing.name, "!bookTicker", encode(message), now)
        self._quoted.clear()

    def _send(self, symbol: str, stream: str, payload: bytes, now: int) -> None:
        """Send unless the symbol is muted, later when it lags; nothing overtakes what was sent before."""
        exchange = self._exchange
        if exchange.desk.find("mute", symbol) is not None:
            return
        lag = exchange.desk.find("lag", symbol)
        due = max(self._late.get(symbol, 0), now if lag is None else now + lag.fault.value)
        if due <= now:
            exchange.connections.send(stream, payload)
            return
        self._late[symbol] = due
        exchange.at(due, lambda _: exchange.connections.send(stream, payload))
