"""Limits by address: REST weights and bans, connection attempts and bans from the streams."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from depthscope.simulators.binance_rules import MINUTE, SECOND, Rules

__all__ = ["Address", "Limits", "Refusal"]

_MOST_ADDRESSES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an address is not served: 429 or 418, for how many seconds, until when (exchange ns)."""

    status: int
    retry_after: int
    until: int


@dataclass(slots=True)
class Address:
    """What one address has used."""

    minute: int = -1
    used: int = 0
    refused: int = 0  # requests answered 429 in this minute
    ban: int = 0  # length of its last ban, ns
    banned: int = 0  # until when
    attempts: deque[int] = field(default_factory=deque)  # times of its connection attempts
    strikes: int = 0
    stream_ban: int = 0
    stream_banned: int = 0


class Limits:
    """Every address the exchange has heard of (the most recent ones).

    Parameters
    ----------
    rules : Rules
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._known: dict[str, Address] = {}

    def of(self, address: str, now: int) -> Address:
        """State of an address, its minute begun anew when that has passed."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _MOST_ADDRESSES:
                del self._known[next(iter(self._known))]
            known = self._known[address] = Address()
        if known.minute != now // MINUTE:
            known.minute, known.used, known.refused = now // MINUTE, 0, 0
        return known

    def charge(self, address: str, weight: int, now: int) -> Refusal | None:
        """Count one request; a refusal when the address is banned or has used too much."""
        state = self.of(address, now)
        if now < state.banned:
            # Going on in spite of a ban is what makes bans grow.
            state.refused += 1
            if state.refused > self._rules.patience:
                self.ban(state, now)
            return _refusal(418, state.banned, now)
        state.used += weight
        if state.used <= self._rules.weight_per_minute:
            return None
        state.refused += 1
        if state.refused > self._rules.patience:
            self.ban(state, now)
            return _refusal(418, state.banned, now)
        return _refusal(429, (state.minute + 1) * MINUTE, now)

    def ban(self, state: Address, now: int) -> None:
        """Ban an address, for longer than the last time."""
        state.refused = 0
        state.ban = _longer(state.ban, self._rules)
        state.banned = max(state.banned, now + state.ban)

    def attempt(self, address: str, now: int) -> Refusal | None:
        """Count one attempt to connect; a refusal when the address is banned or tries too often."""
        state = self.of(address, now)
        if now < state.stream_banned:
            return _refusal(418, state.stream_banned, now)
        attempts = state.attempts
        while attempts and attempts[0] <= now - 5 * MINUTE:
            attempts.popleft()
        if len(attempts) >= self._rules.connects_per_5_minutes:
            return _refusal(429, attempts[0] + 5 * MINUTE, now)
        attempts.append(now)
        return None

    def strike(self, address: str, now: int) -> None:
        """Note that a connection was cut for sending too much; repeated, the address is banned."""
        state = self.of(address, now)
        state.strikes += 1
        if state.strikes >= self._rules.strikes:
            state.strikes = 0
            state.stream_ban = _longer(state.stream_ban, self._rules)
            state.stream_banned = now + state.stream_ban

    def report(self) -> dict[str, dict[str, int]]:
        """Used weight and bans, by address."""
        return {
            name: {"used": a.used, "banned_until": a.banned, "stream_banned_until": a.stream_banned}
            for name, a in self._known.items()
        }


def _longer(last: int, rules: Rules) -> int:
    return min(max(2 * last, rules.first_ban), rules.longest_ban)


def _refusal(status: int, until: int, now: int) -> Refusal:
    return Refusal(status, max(1, -((now - until) // SECOND)), until)
