"""The desk of faults: which are in force, and what they do to messages and requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from depthscope.simulators.binance_garbage import VARIANTS
from depthscope.simulators.binance_rules import NEVER, SECOND
from depthscope.simulators.binance_text import encode
from depthscope.simulators.binance_wire import Reply

if TYPE_CHECKING:
    from depthscope.simulators.binance_faults import Fault
    from depthscope.simulators.binance_listing import Message, Snapshot

__all__ = ["Active", "Desk", "refusal"]

_DEPTH: Final = ("drop", "duplicate", "reorder", "unknown-level", "malformed")


@dataclass(slots=True)
class Active:
    """One fault in force.

    Attributes
    ----------
    fault : Fault
    until : int
        Exchange time it ends, :data:`NEVER` when it is counted instead.
    struck : dict of str to int
        Messages (by stream) or requests struck.
    books : dict of str to Snapshot
        Books as they were when it struck, where it needs them.
    """

    fault: Fault
    until: int
    struck: dict[str, int] = field(default_factory=dict)
    books: dict[str, Snapshot] = field(default_factory=dict)

    def strikes(self, what: str, number: int = 0) -> bool:
        """Whether it strikes message `number` of a stream, or a request; it is counted then."""
        fault = self.fault
        if fault.number and not fault.number <= number < fault.number + fault.count:
            return False
        so_far = self.struck.get(what, 0)
        if not fault.duration and so_far >= fault.count:
            return False
        self.struck[what] = so_far + 1
        return True


class Desk:
    """Faults in force, by kind."""

    def __init__(self) -> None:
        self._active: dict[str, list[Active]] = {}
        self._late: dict[str, bytes] = {}  # by stream: what is sent after its next message
        self._turn = 0

    def begin(self, fault: Fault, now: int) -> Active:
        """Put a fault in force."""
        made = Active(fault, now + fault.duration if 0 < fault.duration < NEVER else NEVER)
        self._active.setdefault(fault.kind, []).append(made)
        return made

    def end(self, active: Active) -> None:
        """Take a fault out of force."""
        self._active[active.fault.kind].remove(active)

    def find(self, kind: str, *names: str) -> Active | None:
        """The newest fault of a kind in force that is about one of `names`."""
        for active in reversed(self._active.get(kind, ())):
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

    def depth(
        self, symbol: str, stream: str, number: int, message: Message, unknown: list[str]
    ) -> list[bytes]:
        """What is sent in place of message `number` of a depth stream.

        `unknown` is a level, as text, that the book has never had.
        """
        held = self._late.pop(stream, None)
        if self._strikes("unknown-level", symbol, stream, number):
            message = {**message, "b": [unknown, *message["b"]]}
        payload = encode(message)
        sent = [payload]
        damaged = self._strikes("malformed", symbol, stream, number)
        if damaged is not None:
            sent.insert(0, self._damage(damaged.fault.value, message))
        if self._strikes("duplicate", symbol, stream, number):
            sent.append(payload)
        if self._strikes("drop", symbol, stream, number):
            sent = []
        elif held is None and self._strikes("reorder", symbol, stream, number):
            self._late[stream], sent = payload, []
        return sent if held is None else [*sent, held]

    def drops_trade(self, symbol: str, number: int) -> bool:
        """Whether an aggregate trade is not sent."""
        return self._strikes("drop-trade", symbol, symbol, number) is not None

    def _strikes(self, kind: str, symbol: str, stream: str, number: int) -> Active | None:
        for active in self._active.get(kind, ()):
            if active.fault.hits(symbol) and active.strikes(stream, number):
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
                if not active.fault.hits(endpoint, symbol) or not active.strikes("rest"):
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
            if active.fault.hits(endpoint, symbol) and active.strikes("rest"):
                reply = reply._replace(body=reply.body[: len(reply.body) // 2])
        for active in self._active.get("slow", ()):
            if active.fault.hits(endpoint, symbol) and active.strikes("rest"):
                reply = reply._replace(delay=reply.delay + active.fault.value)
        for active in self._active.get("stall", ()):
            if active.fault.hits(endpoint, symbol) and active.strikes("rest"):
                reply = reply._replace(delay=NEVER)
        return reply


def refusal(status: int, code: int, text: str, headers: dict[str, str] | None = None) -> Reply:
    """Answer of a request that is not served."""
    return Reply(
        status, {"Content-Type": "application/json", **(headers or {})}, encode({"code": code, "msg": text})
    )
