"""Stream connections: routes, subscriptions, control messages, and the rules that cut them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from depthscope.simulators.binance_names import ROUTES, route_of
from depthscope.simulators.binance_rules import SECOND, Rules
from depthscope.simulators.binance_text import encode, wrapped
from depthscope.simulators.binance_wire import Out

__all__ = ["Connection", "Connections", "Target", "parse_target"]

POLICY: Final = 1008  # WebSocket close codes
GOING_AWAY: Final = 1001
_METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_MOST_ID: Final = 64  # characters of an id


@dataclass(frozen=True, slots=True)
class Target:
    """What the address of a stream connection asks for."""

    route: str
    combined: bool
    streams: list[str]


def parse_target(target: str) -> Target | None:
    """Route, mode and streams of an address such as ``/public/stream?streams=a/b``; None: not served."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if not steps or steps[0] not in ROUTES:
        return None
    mode = steps[1] if len(steps) > 1 else "ws"
    if mode == "ws":
        return Target(steps[0], False, steps[2:])
    if mode == "stream" and len(steps) == 2:
        named = parse_qs(parts.query).get("streams", [""])[0]
        return Target(steps[0], True, [name for name in named.split("/") if name])
    return None


@dataclass(slots=True)
class Connection:
    """One open connection."""

    number: int
    route: str
    combined: bool
    address: str
    opened: int
    answered: int  # when it last answered a ping, or was opened
    streams: dict[str, None] = field(default_factory=dict)  # names, as they were asked for
    recent: deque[int] = field(default_factory=deque)  # times of what it sent in the last second
    pings: deque[bytes] = field(default_factory=lambda: deque(maxlen=8))


class Connections:
    """Every open connection and who listens to what.

    Parameters
    ----------
    rules : Rules
    out : list of Out
        Where messages are put.
    """

    def __init__(self, rules: Rules, out: list[Out]) -> None:
        self._rules, self._out = rules, out
        self._number = 0
        self.open: dict[int, Connection] = {}
        self.listeners: dict[str, dict[int, Connection]] = {}  # by stream name, where it is served
        self.changes = 0  # of `listeners`
        self.quiet: set[str] = set()  # routes on which nothing is sent

    def add(self, target: Target, address: str, now: int) -> Connection:
        """Open a connection; its address's streams are subscribed."""
        self._number += 1
        made = Connection(self._number, target.route, target.combined, address, now, now)
        self.open[made.number] = made
        self._subscribe(made, target.streams)
        return made

    def remove(self, number: int) -> Connection | None:
        """Forget a connection; None when it is not known (any more)."""
        gone = self.open.pop(number, None)
        if gone is not None:
            for name in gone.streams:
                self._leave(gone, name)
        return gone

    def send(self, stream: str, payload: bytes) -> None:
        """Send a payload to everyone who listens to a stream."""
        combined = b""
        for number, connection in self.listeners.get(stream, {}).items():
            if connection.route in self.quiet:
                continue
            if connection.combined:
                combined = combined or wrapped(stream, payload)
                self._out.append(Out(number, combined))
            else:
                self._out.append(Out(number, payload))

    def end(self, number: int, kind: str, code: int, reason: str) -> None:
        """Cut a connection: ``close`` with a code, or ``abort`` without a word."""
        if self.remove(number) is not None:
            self._out.append(Out(number, reason.encode(), kind, code))

    def ping(self, connection: Connection, stamp: int) -> None:
        """Send a ping that carries the venue's time (ms)."""
        payload = b"%d" % stamp
        connection.pings.append(payload)
        if connection.route in self.quiet:
            return
        self._out.append(Out(connection.number, payload, "ping"))

    def pong(self, connection: Connection, payload: bytes, now: int) -> None:
        """Take a pong: one that repeats a ping's payload answers it, others are allowed and idle."""
        if payload in connection.pings:
            connection.pings.clear()
            connection.answered = now

    def crowded(self, connection: Connection, now: int) -> bool:
        """Count one message of a client; whether it has sent too many within a second."""
        recent = connection.recent
        while recent and recent[0] <= now - SECOND:
            recent.popleft()
        recent.append(now)
        return len(recent) > self._rules.messages_per_second

    # ── control messages ──

    def command(self, connection: Connection, payload: bytes) -> None:
        """Obey one control message and answer it."""
        self._out.append(Out(connection.number, encode(self._answer(connection, payload))))

    def _answer(self, connection: Connection, payload: bytes) -> dict[str, Any]:
        try:
            asked = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _refusal(3, f"Invalid JSON: {error}")
        if not isinstance(asked, dict):
            return _refusal(2, "Invalid request: an object is expected")
        number = asked.get("id")
        known = isinstance(number, int | str) and not isinstance(number, bool)
        if not known or len(str(number)) > _MOST_ID:
            return _refusal(2, "Invalid request: request ID must be an unsigned integer or a string")
        method, params = asked.get("method"), asked.get("params", [])
        if method not in _METHODS:
            listed = ", ".join(f"`{name}`" for name in _METHODS)
            return _refusal(
                2, f"Invalid request: unknown variant `{method}`, expected one of {listed}", number
            )
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(connection.streams), "id": number}
        if not isinstance(params, list):
            return _refusal(2, "Invalid request: params must be a list", number)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return _property(connection, method, params, number)
        if not params or not all(isinstance(name, str) for name in params):
            return _refusal(2, "Invalid request: params must be a list of stream names", number)
        if method == "UNSUBSCRIBE":
            for name in params:
                connection.streams.pop(name, None)
                self._leave(connection, name)
        elif not self._subscribe(connection, params):
            most = self._rules.streams_per_connection
            return _refusal(2, f"Invalid request: a connection carries at most {most} streams", number)
        return {"result": None, "id": number}

    def _subscribe(self, connection: Connection, names: list[str]) -> bool:
        """Subscribe all of the names, or none when there are too many."""
        if len({*connection.streams, *names}) > self._rules.streams_per_connection:
            return False
        for name in names:
            connection.streams[name] = None
            # The wrong route and unknown names are accepted; nothing is ever sent there.
            if route_of(name) == connection.route:
                self.listeners.setdefault(name, {})[connection.number] = connection
                self.changes += 1
        return True

    def _leave(self, connection: Connection, name: str) -> None:
        listening = self.listeners.get(name)
        if listening is not None:
            listening.pop(connection.number, None)
            self.changes += 1
            if not listening:
                del self.listeners[name]


def _property(connection: Connection, method: str, params: list[Any], number: Any) -> dict[str, Any]:
    if not params or params[0] != "combined":
        return _refusal(0, "Unknown property", number)
    if method == "GET_PROPERTY":
        return {"result": connection.combined, "id": number}
    if len(params) != 2 or not isinstance(params[1], bool):
        return _refusal(1, "Invalid value type: expected Boolean", number)
    connection.combined = params[1]
    return {"result": None, "id": number}


def _refusal(code: int, text: str, number: int | str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": number}
