"""What a live Binance machine asks its feed to do, and what it tells its users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

__all__ = [
    "Close", "FetchInstruments", "FetchSnapshot", "FetchTime", "LiveConfig", "Notice", "Open", "Request",
    "Send",
]  # fmt: skip

Route = Literal["public", "market"]


@dataclass(frozen=True, slots=True)
class FetchSnapshot:
    """Fetch the depth of a symbol; `attempt` counts from 0 and sets the back-off."""

    symbol: str
    limit: int
    reason: str
    not_before: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class FetchInstruments:
    """Fetch ``exchangeInfo``."""

    reason: str
    not_before: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class FetchTime:
    """Fetch the venue's time."""

    reason: str
    not_before: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """Open a connection of a route, called `name`; the one that has the name stays open."""

    name: str
    route: Route
    reason: str
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection."""

    connection: int
    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send a control message on a connection."""

    connection: int
    payload: bytes


Request = FetchSnapshot | FetchInstruments | FetchTime | Open | Close | Send


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
        return msgspec.json.encode(
            {"ts": self.ts, "about": self.about, "subject": self.subject, "state": self.state,
             "reason": self.reason}
        )  # fmt: skip


class LiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part ``binance`` of a CONFIG input.

    Attributes
    ----------
    symbols : list of str
        What to follow, upper case; instrument ids are given in this order.
    depth_speed : {"100ms", "250ms", "500ms"}
        Cadence of the depth stream.
    snapshot_limit : int
        Levels a side of a snapshot.
    streams_per_connection : int
        Most streams one connection carries (the venue allows 200).
    handover_seconds : float
        Age at which a connection is replaced (the venue cuts it at 24 h).
    overlap_seconds : float
        How long both are listened to then.
    crossed_seconds : float
        How long a book may stay crossed before it is fetched anew.
    info_seconds, time_seconds : float
        How often instruments and the venue's time are fetched.
    """

    symbols: list[str]
    depth_speed: Literal["100ms", "250ms", "500ms"] = "100ms"
    snapshot_limit: int = 1000
    streams_per_connection: int = 200
    handover_seconds: float = 82_800.0
    overlap_seconds: float = 10.0
    crossed_seconds: float = 3.0
    info_seconds: float = 600.0
    time_seconds: float = 600.0

    def __post_init__(self) -> None:
        names = [name.upper() for name in self.symbols]
        if not names or len(set(names)) != len(names) or names != self.symbols:
            raise ValueError("symbols must be upper case, without repetition, and at least one")
        if self.snapshot_limit not in (5, 10, 20, 50, 100, 500, 1000):
            raise ValueError("snapshot_limit must be one of 5, 10, 20, 50, 100, 500, 1000")
        if not 2 <= self.streams_per_connection <= 200:
            raise ValueError("streams_per_connection must lie in 2 … 200")

    def payload(self) -> bytes:
        """The payload of a CONFIG input."""
        return msgspec.json.encode({"binance": self})
