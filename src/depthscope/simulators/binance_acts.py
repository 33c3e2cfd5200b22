"""Faults as acts: when each strikes, what it does then, and how it is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from depthscope.errors import UnknownName
from depthscope.simulators.binance_books import ASKS, BIDS
from depthscope.simulators.binance_faults import KINDS, Fault
from depthscope.simulators.binance_names import ROUTES
from depthscope.simulators.binance_rest import ENDPOINTS
from depthscope.simulators.binance_rules import NEVER, Chance

if TYPE_CHECKING:
    from depthscope.simulators.binance_exchange import Exchange
    from depthscope.simulators.binance_listing import Listing
    from depthscope.simulators.binance_strikes import Active

__all__ = ["Acts"]

_ABOUT_SYMBOLS: Final = ("depth", "trades", "symbol")


class Acts:
    """Schedules faults of one exchange and carries them out."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._count = 0

    def schedule(self, fault: Fault, now: int) -> None:
        """Have a fault strike at its time.

        Raises
        ------
        UnknownName
            When it is about a symbol, route or endpoint that is not there.
        """
        self.check_target(fault)
        self._count += 1
        chance = Chance(self._exchange.seed, "fault", self._count)

        def next_after(at: int) -> int:
            return at + (fault.every or 1 + chance.below(2 * fault.mean))

        def strike(at: int) -> None:
            self._strike(fault, at)
            if fault.every or fault.mean:
                self._exchange.at(next_after(at), strike)

        if fault.mean:
            self._exchange.at(next_after(now), strike)
        elif fault.at >= 0 and self._exchange.start + fault.at > now:
            self._exchange.at(self._exchange.start + fault.at, strike)
        else:
            strike(now)

    def check_target(self, fault: Fault) -> None:
        """Refuse a fault about what is not there.

        Raises
        ------
        UnknownName
            When there is no such symbol, route or endpoint.
        """
        about = KINDS[fault.kind].about
        if fault.target == "*":
            return
        if about in _ABOUT_SYMBOLS:
            self._exchange.find(fault.target)
        elif about == "links" and fault.target not in ROUTES:
            raise UnknownName(f"There is no route {fault.target!r}; there are {', '.join(ROUTES)}.")
        elif about == "rest":
            endpoints = [endpoint.name for endpoint in ENDPOINTS.values()]
            if fault.target not in {*self._exchange.listings, *endpoints}:
                raise UnknownName(
                    f"{fault.target!r} is neither a symbol listed here nor one of {', '.join(endpoints)}."
                )

    def _listings(self, fault: Fault) -> list[Listing]:
        return [x for x in self._exchange.listings.values() if fault.hits(x.name) and not x.closed]

    def _strike(self, fault: Fault, now: int) -> None:
        exchange = self._exchange
        match fault.kind:
            case "disconnect" | "close":
                self._cut(fault)
            case "tick":
                for listing in self._listings(fault):
                    listing.tick = fault.value
                    exchange.publisher.contract(listing, now)
            case "delist":
                for listing in self._listings(fault):
                    listing.status, listing.closed = "CLOSE", True
                    exchange.publisher.contract(listing, now)
            case _:
                self._begin(fault, now)

    def _begin(self, fault: Fault, now: int) -> None:
        """Put a fault in force, and have it end."""
        exchange = self._exchange
        active = exchange.desk.begin(fault, now)
        match fault.kind:
            case "halt":
                for listing in self._listings(fault):
                    listing.status = fault.value
                    exchange.held.setdefault(listing.name, [])
                    exchange.publisher.contract(listing, now)
            case "skew":
                exchange.skew = fault.value
            case "snapshot-behind":
                active.books = {x.name: x.snapshot() for x in self._listings(fault)}
            case "crossed":
                self._cross(active)
            case "freeze":
                self._freeze()
            case "storm":
                self._storm(active, now)
            case "life":
                for connection in exchange.connections.open.values():
                    if fault.hits(connection.route):
                        exchange.expire(connection.number, max(now, connection.opened + fault.value))
        if active.until != NEVER:
            exchange.at(active.until, lambda at: self._end(active, at))

    def _end(self, active: Active, now: int) -> None:
        """Take a fault out of force, and undo what it did."""
        exchange = self._exchange
        exchange.desk.end(active)
        match active.fault.kind:
            case "halt":
                for listing in self._listings(active.fault):
                    if exchange.desk.find("halt", listing.name) is None:
                        listing.status = "TRADING"
                        exchange.publisher.contract(listing, now)
                        for group in exchange.held.pop(listing.name, []):
                            exchange.play(group)
            case "skew":
                newest = exchange.desk.find("skew", "*")
                exchange.skew = newest.fault.value if newest is not None else 0
            case "crossed":
                for listing, price in active.bids:
                    exchange.add_by_hand(listing, BIDS, price, -1)
            case "freeze":
                self._freeze()

    def _cut(self, fault: Fault) -> None:
        links = self._exchange.connections
        for connection in list(links.open.values()):
            if fault.hits(connection.route):
                if fault.kind == "close":
                    links.end(connection.number, "close", fault.value, "")
                else:
                    links.end(connection.number, "abort", 0, "")

    def _storm(self, active: Active, now: int) -> None:
        if now < active.until:
            self._cut(active.fault)
            self._exchange.at(now + active.fault.value, lambda at: self._storm(active, at))

    def _freeze(self) -> None:
        desk = self._exchange.desk
        self._exchange.connections.quiet = {r for r in ROUTES if desk.find("freeze", r) is not None}

    def _cross(self, active: Active) -> None:
        """Bid one lot above the best ask."""
        for listing in self._listings(active.fault):
            best = listing.book.best(ASKS)
            if best is not None:
                price = best[0] + active.fault.value * listing.instrument.tick
                self._exchange.add_by_hand(listing, BIDS, price, 1)
                active.bids.append((listing, price))
