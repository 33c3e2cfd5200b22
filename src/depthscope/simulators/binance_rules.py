"""What the simulated exchange enforces: its limits, as one settled value, and its chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DAY", "MINUTE", "MS", "NEVER", "SECOND", "Chance", "Rules"]

MS: Final = 1_000_000
SECOND: Final = 1_000 * MS
MINUTE: Final = 60 * SECOND
DAY: Final = 86_400 * SECOND
NEVER: Final = 1 << 62  # a time that does not come

_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of the venue; times are ns. The defaults are the real venue's where it documents them.

    Parameters
    ----------
    weight_per_minute : int
        REST weight an address may use in a minute of the venue's clock.
    patience : int
        Requests answered 429 within one minute before the address is banned (418).
    first_ban, longest_ban : int
        A ban doubles from the first to the longest.
    messages_per_second : int
        Messages a connection may send in a second, pings and pongs included; more cuts it.
    strikes : int
        Connections of an address cut for that before its address is banned from the streams.
    streams_per_connection : int
        Streams one connection may carry.
    connects_per_5_minutes : int
        Connections an address may open in five minutes (the spot documentation's number).
    ping_every, pong_within : int
        How often the venue pings; a connection that answered none for the latter is cut.
    life : int
        Age at which a connection is cut.
    history, history_rows : int
        How far back aggregate trades are told, in time and in number a symbol.
    extra_keys : bool
        Send the keys added in 2026 (``ps``, ``st``).
    rpi : bool
        Retail price improvement orders: `q` of a trade exceeds `nq`, and the rpi streams differ.
    """

    weight_per_minute: int = 2_400
    patience: int = 10
    first_ban: int = 2 * MINUTE
    longest_ban: int = 3 * DAY
    messages_per_second: int = 10
    strikes: int = 3
    streams_per_connection: int = 200
    connects_per_5_minutes: int = 300
    ping_every: int = 3 * MINUTE
    pong_within: int = 10 * MINUTE
    life: int = DAY
    history: int = 2 * DAY
    history_rows: int = 50_000
    extra_keys: bool = True
    rpi: bool = False


class Chance:
    """Seeded numbers (splitmix64): the same on every platform and in every version.

    Parameters
    ----------
    *seeds : int or str
        What the sequence depends on.
    """

    def __init__(self, *seeds: int | str) -> None:
        self._state = 0x9E3779B97F4A7C15
        for byte in "/".join(map(str, seeds)).encode():
            self._state = (self._state ^ byte) * 0x100000001B3 & _MASK

    def bits(self) -> int:
        """Next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """Next integer from 0 to `n` - 1 (the bias of the remainder is below 2**-40 here)."""
        return self.bits() % n
