"""Input: what a live session is fed, as it came, before anything decodes it.

A live session is a function of its inputs: they are recorded first, and a replay that steps the
same machine through the same inputs gives the same bytes. So everything that can change a result
is an input: what a venue sent, what the session noticed of its links and clocks, how it was
configured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument

__all__ = ["Feed", "Input", "Kind", "LiveMachine", "Machine", "Notice"]


class Kind(IntEnum):
    """What an input is. Numbers are part of the capture format: never reuse one.

    ==========  ===========================================================================
    WS          a message of a stream connection, byte for byte
    REST        a reply: one JSON line ``{"url", "status", "sent", "symbol"?}`` (status 0: there was none, the
                body says why), then the body
    CLOCK       JSON ``{"wall": ns}``: the receive clock moved on; wall time beside it
    LINK        JSON ``{"event": "open" | "lost" | "closed" | "ended", "name", "reason"?, "ready"?}``
    STATUS      JSON ``{"event", "symbol"?, "reason"?}``: what the session noticed or was told
    INSTRUMENT  JSON ``{"publisher", "id", "symbol", "tick", "lot"}``, tick and lot in 1e-9
    CONFIG      JSON ``{"<venue>": {"symbols": [...], ...}}``: the venue's settings in force
    BLOB        one JSON line ``{"name", "sha256"}``, then the bytes (a model, a baseline)
    ==========  ===========================================================================
    """

    WS = 1
    REST = 2
    CLOCK = 3
    LINK = 4
    STATUS = 5
    INSTRUMENT = 6
    CONFIG = 7
    BLOB = 8


class Input(NamedTuple):
    """One input.

    Attributes
    ----------
    kind : Kind
        What it is.
    connection : int
        Number of the connection it came by (0: none), unique within a session: a connection that is
        opened again has another number.
    ts_recv : int
        Receive time, UTC ns: session start plus monotonic elapsed time, so it never goes back.
    payload : bytes
        See :class:`Kind`.
    """

    kind: Kind
    connection: int
    ts_recv: int
    payload: bytes


class Machine(Protocol):
    """A venue's live logic without any I/O: inputs in, events and requests out.

    The feed that owns sockets hands it every input, in order, after the capture log has it, and
    does what it requests. Replay hands it the recorded ones and does nothing.
    """

    @property
    def instruments(self) -> Mapping[tuple[int, int], Instrument]:
        """Instruments met so far, by (publisher, instrument id)."""
        ...

    def step(self, received: Input) -> None:
        """Take one input; :meth:`take` gives the events it made."""
        ...

    def take(self) -> Events:
        """Events of all steps since the last call; valid until the next call of `step`."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """Everything it knows, as plain values."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Become what :meth:`snapshot` described."""
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of the append-only record of what happened to a session.

    Attributes
    ----------
    ts : int
        Receive time, UTC ns.
    about : {"book", "tape", "link", "instrument", "rate", "clock", "rest", "session"}
        What it is about. ``book`` and ``tape`` are transitions of state; the rest are remarks.
    subject : str
        Symbol, stream or connection; empty for the session.
    state : str
        LIVE, SYNCING or STALE of a transition; else "" or ``alarm``.
    reason : str
        Why, for people.
    """

    ts: int
    about: str
    subject: str
    state: str
    reason: str

    def line(self) -> bytes:
        """One line of JSON, without the newline."""
        return msgspec.json.encode(asdict(self))


class LiveMachine(Machine, Protocol):
    """A machine as a live session uses it, which also hears what it has to say."""

    @property
    def notices(self) -> Sequence[Notice]:
        """Notices that have not been taken."""
        ...

    def take_notices(self) -> list[Notice]:
        """Notices since the last call."""
        ...

    def opening(self, now: int) -> list[Input]:
        """Inputs that, after its settings, let a machine begin in the middle of this session."""
        ...

    def health(self, now: int) -> dict[str, Any]:
        """Figures for operations at receive time `now`; nothing depends on them."""
        ...


class Room(Protocol):
    """An `asyncio.Event`, as far as it matters here."""

    def set(self) -> None:
        """There is room."""
        ...

    def clear(self) -> None:
        """There is none."""
        ...


class Feed(Protocol):
    """What owns a venue's sockets: it gives inputs to its sink, in order, and does what the machine requests.

    Attributes
    ----------
    room : Room
        Cleared by whoever cannot take more: no socket is read until it is set again.
    figures : dict of str to int
        What was counted.
    """

    room: Room
    figures: dict[str, int]

    async def run(self) -> None:
        """Feed until :meth:`stop`; raises what the sink raised."""
        ...

    def stop(self) -> None:
        """Have :meth:`run` end."""
        ...

    def give(self, kind: Kind, payload: bytes) -> None:
        """Hand an input of the session itself to the sink, at the present time."""
        ...
