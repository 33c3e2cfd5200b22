"""JSON text of the stream: what clients may say, and what the server tells them.

Commands are decoded into strict types: unknown fields, wrong types, deep nesting and large
messages are refused with a reason, never guessed at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from depthscope.errors import DepthscopeError, InputError
from depthscope.market.instruments import Capability
from depthscope.ops.redact import redact_text
from depthscope.runtime.pacer import SPEED_MAX, SPEED_MIN
from depthscope.runtime.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument
    from depthscope.runtime.market import Market
    from depthscope.runtime.status import Status

__all__ = [
    "MAX_MESSAGE",
    "SPEEDS",
    "Ack",
    "Command",
    "Pause",
    "Ping",
    "Resume",
    "Seek",
    "SessionCommand",
    "Speed",
    "Sub",
    "apply_to",
    "encode",
    "hello",
    "parse",
    "parse_session",
    "session_message",
    "symbol_entry",
]

MAX_MESSAGE: Final = 4096
SPEEDS: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, "max")

_U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Ns = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}$")]


class Sub(msgspec.Struct, tag_field="cmd", tag="sub", forbid_unknown_fields=True):
    """Follow one symbol at one resolution."""

    symbol: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    res: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    since: _U32 | None = None
    epoch: _U32 | None = None
    cols: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2048


class Ack(msgspec.Struct, tag_field="cmd", tag="ack", forbid_unknown_fields=True):
    """What the client has taken in."""

    seq: _U32
    col: _U32


class Ping(msgspec.Struct, tag_field="cmd", tag="ping", forbid_unknown_fields=True):
    """Ask for a pong."""

    id: _U32 = 0


class Pause(msgspec.Struct, tag_field="cmd", tag="pause", forbid_unknown_fields=True):
    """Stop the market clock."""


class Resume(msgspec.Struct, tag_field="cmd", tag="resume", forbid_unknown_fields=True):
    """Let the market clock run."""


class Speed(msgspec.Struct, tag_field="cmd", tag="speed", forbid_unknown_fields=True):
    """Market seconds per wall second, or ``"max"``."""

    x: (
        Annotated[float, msgspec.Meta(ge=SPEED_MIN, le=SPEED_MAX)]
        | Annotated[str, msgspec.Meta(pattern="^max$")]
    )


class Seek(msgspec.Struct, tag_field="cmd", tag="seek", forbid_unknown_fields=True):
    """Go to a market time: `ts` (ns, decimal string) or `ms` (since 1970)."""

    ts: _Ns | None = None
    ms: Annotated[float, msgspec.Meta(ge=0, le=9e15)] | None = None

    def target(self) -> int:
        """UTC ns asked for.

        Raises
        ------
        InputError
            When neither or both are given, or the time is beyond what 64 bits hold.
        """
        if (self.ts is None) == (self.ms is None):
            raise InputError("A seek names one time: either ts (ns, as a string) or ms.")
        ns = int(self.ts) if self.ts is not None else round((self.ms or 0.0) * 1e6)
        if ns >= 2**63 - 1:
            raise InputError("The time to seek to is beyond the year 2262.")
        return ns


SessionCommand = Pause | Resume | Speed | Seek
Command = Sub | Ack | Ping | Pause | Resume | Speed | Seek

_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_session_commands: msgspec.json.Decoder[SessionCommand] = msgspec.json.Decoder(SessionCommand)


def _decode(decoder: msgspec.json.Decoder[Any], text: str | bytes) -> Any:
    if len(text) > MAX_MESSAGE:
        raise InputError(f"The message has {len(text)} bytes, at most {MAX_MESSAGE} are taken.")
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InputError(f"The message is not a command: {str(error)[:90]}.") from error


def parse(text: str | bytes) -> Command:
    """Decode a client's command.

    Raises
    ------
    InputError
        When it is malformed, unknown, out of range or too large.
    """
    command: Command = _decode(_commands, text)
    return command


def parse_session(body: str | bytes) -> SessionCommand:
    """Decode a command that moves the session.

    Raises
    ------
    InputError
        As :func:`parse`.
    """
    command: SessionCommand = _decode(_session_commands, body)
    return command


def apply_to(session: Market, command: SessionCommand) -> None:
    """Carry out a session command, in the session's thread.

    Raises
    ------
    InputError
        When the mode does not allow it or the time is malformed.
    BookUnavailable
        When there is nothing to seek in.
    """
    if not isinstance(session, Session):
        raise InputError("A live market cannot be paused, sped up or rewound; freeze your own view instead.")
    if isinstance(command, Pause):
        session.pause()
    elif isinstance(command, Resume):
        session.resume()
    elif isinstance(command, Speed):
        session.set_speed(math.inf if command.x == "max" else float(command.x))
    else:
        session.seek(command.target())


def encode(message: dict[str, Any]) -> str:
    """JSON text; numbers that are not finite become null."""
    return msgspec.json.encode(message).decode()


def symbol_entry(symbol_id: int, instrument: Instrument, levels: int, row: int = 1) -> dict[str, Any]:
    """What a client needs to draw a symbol."""
    size_places = -int(instrument.size(1).as_tuple().exponent)
    return {
        "id": symbol_id,
        "name": instrument.symbol,
        "venue": instrument.venue,
        "tick": str(instrument.price(instrument.tick)),
        "lot": str(instrument.size(1)),
        "decimals": instrument.price_decimals,
        "sizeDecimals": max(0, size_places),
        "levels": levels,
        "row": row,
        "capabilities": [c.name for c in Capability if c in instrument.capabilities],
        "calendar": instrument.calendar,
        "currency": instrument.currency,
        "multiplier": str(instrument.multiplier),
    }


def _time(name: str, ns: int | None) -> dict[str, Any]:
    return {name: None if ns is None else str(ns), f"{name}Ms": None if ns is None else ns / 1e6}


def _warm(status: Status) -> dict[str, Any] | None:
    return None if status.warm is None else dict(zip(("stage", "done", "of"), status.warm, strict=True))


def hello(
    session: Market,
    *,
    hz: float,
    origin: int | None,
    levels: int,
    plan: tuple[tuple[int, int], ...],
    rows: Mapping[int, int] | None = None,
) -> dict[str, Any]:
    """First message to a client, and again whenever something in it changes."""
    from depthscope.web.stream import CHUNK, VERSION

    status = session.status
    source: dict[str, Any] | None = None
    try:
        info = session.info
        source = {
            "name": info.path.replace("\\", "/").rsplit("/", 1)[-1],
            "format": info.format,
            "schema": info.schema,
            "dataset": info.dataset,
        }
    except DepthscopeError:  # not open yet: said by `state`
        source = None
    return {
        "t": "hello",
        "v": VERSION,
        "epoch": status.epoch,
        "hz": hz,
        "mode": status.mode,
        "state": status.state,
        **_time("origin", origin),
        "res": [{"id": i, "ms": ms, "cols": cols} for i, (ms, cols) in enumerate(plan)],
        "levels": levels,
        "chunk": CHUNK,
        "symbols": [
            symbol_entry(i, s, levels, (rows or {}).get(i, 1)) for i, s in enumerate(session.symbols)
        ],
        "span": {**_time("start", status.start), **_time("end", status.end)},
        "speeds": SPEEDS,
        "source": source,
        "warm": _warm(status),
        "error": None if status.error is None else redact_text(status.error),
        "server": _version(),
    }


def session_message(status: Status, clients: int) -> dict[str, Any]:
    """Where the session stands."""
    return {
        "t": "session",
        "epoch": status.epoch,
        "mode": status.mode,
        "state": status.state,
        **_time("ts", status.ts),
        "speed": "max" if math.isinf(status.speed) else status.speed,
        "effectiveSpeed": round(status.effective_speed, 3),
        **_time("start", status.start),
        **_time("end", status.end),
        "lagMs": round(status.lag_ms, 1),
        "eventsPerSec": round(status.events_per_sec, 1),
        "events": status.events,
        "progress": status.progress,
        "skippedMs": status.skipped_ms,
        "seekTo": None if status.seek_to is None else str(status.seek_to),
        "error": None if status.error is None else redact_text(status.error),
        "warm": _warm(status),
        "clients": clients,
    }


def _version() -> str:
    from importlib.metadata import version

    return version("depthscope")
