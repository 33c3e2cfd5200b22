"""The desk of faults: which are in force, and what they do to messages and requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from depthscope.simulators.binance_faults import KINDS
from depthscope.simulators.binance_garbage import VARIANTS
from depthscope.simulators.binance_rules import NEVER, SECOND
from depthscope.simulators.binance_text import encode
from depthscope.simulators.binance_wire import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.simulators.binance_faults import Fault
    from depthscope.simulators.binance_listing import Listing, Message, Snapshot

__all__ = ["Active", "Desk", "refusal"]

_DEPTH: Final = ("drop", "duplicate", "reorder", "unknown-level", "malformed")
_REQUESTS: Final = ("", 0)

Counted = tuple[str, int]  # what is counted for itself: symbol and number of its stream, or all requests


@dataclass(slots=True, eq=False)
class Active:
    """One fault in force.

    Attributes
    ----------
    fault : Fault
    until : int
        Exchange time it ends, :data:`NEVER` when it is counted instead.
    count : int
        How many messages (of each stream) or requests it strikes when it is counted.
    struck : dict of (str, int) to int
        Messages or requests struck.
    books : dict of str to Snapshot
        Books as they were when it struck, where it needs them.
    bids : list of (Listing, int)
        Where it put one lot by hand: of what, and the price (1e-9).
    """

    fault: Fault
    until: int
    count: int
    struck: dict[Counted, int] = field(default_factory=dict)
    books: dict[str, Snapshot] = field(default_factory=dict)
    bids: list[tuple[Listing, int]] = field(default_factory=list)

    def strikes(self, what: Counted, number: int = 0) -> bool:
        """Whether it strikes message `number` of a stream, or a request; it is counted then."""
        if number < self.fault.number or self.spent(what, number - 1):
            return False
        self.struck[what] = self.struck.get(what, 0) + 1
        return True

    def spent(self, what: Counted, number: int = 0) -> bool:
        """Whether it strikes nothing more of a stream whose last message was `number`, or no request."""
        fault = self.fault
        if fault.number:
            return number >= fault.number + fault.count - 1
        return not fault.duration and self.struck.get(what, 0) >= self.count


class Desk:
    """Faults in force, by kind.

    Parameters
    ----------
    listings : Mapping of str to Listing
        What is listed, by name.
    """

    def __init__(self, listings: Mapping[str, Listing]) -> None:
        self._listings = listings
        self._active: dict[str, list[Active]] = {}
        self._late: dict[Counted, bytes] = {}  # by stream: what is sent after its next message
        self._turn = 0

    def begin(self, fault: Fault, now: int) -> Active:
        """Put a fault in force; those of its kind that can strike nothing more are forgotten."""
        kept = [active for active in self._active.get(fault.kind, ()) if not self._over(active)]
        self._active[fault.kind] = kept
        for active in kept:
            if active.fault == fault and not fault.duration and not fault.number:
                active.count += fault.count  # again, before it has struck all of them
                return active
        made = Active(fault, now + fault.duration if 0 < fault.duration < NEVER else NEVER, fault.count)
        kept.append(made)
        return made

    def _over(self, active: Active) -> bool:
        """Whether a fault that is counted has struck everything it is about."""
        fault, about = active.fault, KINDS[active.fault.kind].about
        if fault.duration:  # it has an end of its own
            return False
        if about == "rest":
            return active.spent(_REQUESTS)
        return all(
            active.spent((listing.name, n), told)
            for listing in self._listings.values()
            if fault.hits(listing.name) and not listing.closed
            for n, told in enumerate(
                [listing.tape_count] if about == "trades" else [window.count for window in listing.windows]
            )
        )

    def end(self, active: Active) -> None:
        """Take a fault out of force."""
        self._active[active.fault.kind].remove(active)

    def find(self, kind: str, *names: str) -> Active | None:
        """The newest fault of a kind in force that is about one of `names`."""
        there = self._active.get(kind)
        if not there:  # as nearly always, and it is asked of every message
            return None
        for active in reversed(there):
            if active.fault.hits(*names):
                return active
        return None

    @property
    def strikes_depth(self) -> bool:
        """Whether a fault of depth messages is in force: they are then made though nobody listens."""
        return bool(self._late) or any(self._active.get(kind) for kind in _DEPTH)

    def report(self) -> list[dict[str, Any]]:
        """Faults in force and how often they have struck."""
        return [
            {
                "kind": kind,
                "target": active.fault.target,
                "until": active.until,
                "struck": sum(active.struck.values()),
            }
            for kind, listed in self._active.items()
            for active in listed
        ]

    # ── messages ──

    def depth(self, listing: Listing, window: int, message: Message) -> list[bytes]:
        """What is sent in place of the newest message of a window's depth stream."""
        stream, number = (listing.name, window), listing.windows[window].count
        held = self._late.pop(stream, None)
        if self._strikes("unknown-level", stream, number):
            # At the lowest price there is nobody has ever had an order.
            unknown = [listing.numbers.price(listing.instrument.tick), listing.numbers.size(0)]
            message = {**message, "b": [unknown, *message["b"]]}
        payload = encode(message)
        sent = [payload]
        damaged = self._strikes("malformed", stream, number)
        if damaged is not None:
            sent.insert(0, self._damage(damaged.fault.value, message))
        if self._strikes("duplicate", stream, number):
            sent.append(payload)
        if self._strikes("drop", stream, number):
            sent = []
        elif held is None and self._strikes("reorder", stream, number):
            self._late[stream], sent = payload, []
        return sent if held is None else [*sent, held]

    def drops_trade(self, listing: Listing) -> bool:
        """Whether the newest aggregate trade is not sent."""
        return self._strikes("drop-trade", (listing.name, 0), listing.tape_count) is not None

    def _strikes(self, kind: str, stream: Counted, number: int) -> Active | None:
        for active in self._active.get(kind, ()):
            if active.fault.hits(stream[0]) and active.strikes(stream, number):
                return active
        return None

    def _damage(self, variant: str, message: Message) -> bytes:
        if not variant:
            variant = list(VARIANTS)[self._turn % len(VARIANTS)]
            self._turn += 1
        return VARIANTS[variant](message)

    # ── requests ──

    def refuses(self, endpoint: str, symbol: str, now: int) -> Reply | None:
        """The refusal of a request by a fault, if one strikes it."""
        for kind in ("403", "418", "429", "503"):
            for active in self._active.get(kind, ()):
                if not active.fault.hits(endpoint, symbol) or not active.strikes(_REQUESTS):
                    continue
                if kind == "403":
                    return Reply(403, {"Content-Type": "text/html"}, b"<html><body>Forbidden</body></html>")
                if kind == "503":
                    return refusal(503, -1000, "Unknown error, please check your request or try again later.")
                wait = 30 if active.until == NEVER else max(1, -((now - active.until) // SECOND))
                text = "Too many requests." if kind == "429" else "Way too many requests; IP banned."
                return refusal(int(kind), -1003, text, {"Retry-After": str(wait)})
        return None

    def spoils(self, endpoint: str, symbol: str, reply: Reply) -> Reply:
        """A reply as it arrives: late, never, or cut."""
        for active in self._active.get("garbled", ()):
            if active.fault.hits(endpoint, symbol) and active.strikes(_REQUESTS):
                reply = reply._replace(body=reply.body[: len(reply.body) // 2])
        for active in self._active.get("slow", ()):
            if active.fault.hits(endpoint, symbol) and active.strikes(_REQUESTS):
                reply = reply._replace(delay=reply.delay + active.fault.value)
        for active in self._active.get("stall", ()):
            if active.fault.hits(endpoint, symbol) and active.strikes(_REQUESTS):
                reply = reply._replace(delay=NEVER)
        return reply


def refusal(status: int, code: int, text: str, headers: dict[str, str] | None = None) -> Reply:
    """Answer of a request that is not served."""
    return Reply(
        status, {"Content-Type": "application/json", **(headers or {})}, encode({"code": code, "msg": text})
    )
