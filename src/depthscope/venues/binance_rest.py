"""When Binance may be asked: one budget of REST weight an address, back-off, and the queue of requests.

Pure logic: time is an argument (ns of the receive clock) and chance is handed in.

The venue allows 2,400 of weight a minute and bans who goes on after 429. Here no rolling minute uses more
than half of it, whatever happens, so none of the venue's minutes does either; what the venue says is used
beyond our own (others behind the same address) counts against us; 429 and 418 stop everything until the
time they name.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from depthscope.venues.binance_requests import FetchInstruments, FetchSnapshot, FetchTime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["REST", "SNAPSHOT", "SOCKET", "Backoff", "Budget", "Call", "RestQueue"]

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
MOST_WEIGHT: Final = 1_200  # a minute: half of what the venue allows
DEPTH_WEIGHT: Final = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
MOST_IN_FLIGHT: Final = 4
FIRST_BAN: Final = 2 * MINUTE  # where a ban does not say its end
LONGEST_BAN: Final = 3 * 24 * 60 * MINUTE
_UNTIL: Final = re.compile(rb"banned until (\d{13})\b")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double, with full jitter (each anywhere between nothing and its bound).

    Parameters
    ----------
    first, most : float
        Bound of the first delay and of all, seconds.
    """

    first: float
    most: float

    def delay(self, attempt: int, chance: Callable[[], float]) -> int:
        """Ns to wait before an attempt; none before attempt 0.

        Parameters
        ----------
        attempt : int
            How many failed before it.
        chance : callable
            Gives numbers in [0, 1).
        """
        if attempt <= 0:
            return 0
        bound = min(self.most, self.first * 2.0 ** min(attempt - 1, 16))
        return int(chance() * bound * SECOND)


SOCKET: Final = Backoff(1.0, 30.0)
REST: Final = Backoff(1.0, 60.0)
# A book waits for it. What holds many books back is the budget, and a ban says how long it lasts.
SNAPSHOT: Final = Backoff(1.0, 15.0)


class Budget:
    """REST weight of one address.

    Attributes
    ----------
    peak : int
        Most that was used within a rolling minute, as far as we know.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._spent: deque[tuple[int, int]] = deque()  # (time, weight)
        self._others = 0  # weight the venue counted beyond ours
        self._others_until = 0
        self.blocked_until = 0
        self._bans = 0

    def used(self, now: int) -> int:
        """Weight used in the minute before `now`, which may lie ahead."""
        return self._own(now) + (self._others if now < self._others_until else 0)

    def _own(self, now: int) -> int:
        return sum(weight for at, weight in self._spent if at > now - MINUTE)

    def free_at(self, weight: int, now: int) -> int:
        """When a request of that weight may be sent; `now` when at once."""
        if now < self.blocked_until:
            return self.blocked_until
        over = self.used(now) + weight - MOST_WEIGHT
        if over <= 0:
            return now
        soonest = self._others_until if now < self._others_until else 0
        for at, spent in self._spent:
            over -= spent if at > now - MINUTE else 0
            if over <= 0:
                return max(at + MINUTE, now + 1)
        return max(soonest, now + 1)

    def spend(self, weight: int, now: int) -> None:
        """Note that a request is sent."""
        while self._spent and self._spent[0][0] <= now - MINUTE:
            self._spent.popleft()
        self._spent.append((now, weight))
        self.peak = max(self.peak, self.used(now))

    def learn(self, status: int, headers: Mapping[str, str], body: bytes, now: int) -> None:
        """Take from a reply what it says of limits.

        Parameters
        ----------
        status : int
            HTTP status; 0 when there was no reply.
        headers : mapping of str to str
            Names in lower case.
        body : bytes
            Looked at for the end of a ban.
        now : int
            Receive time.
        """
        said = headers.get("x-mbx-used-weight-1m", "")
        if said.isascii() and said.isdigit():
            self._others = max(0, int(said[:9]) - self._own(now))
            self._others_until = now + MINUTE
            self.peak = max(self.peak, self.used(now))
        if status not in (418, 429):
            if status == 200:
                self._bans = 0
            return
        self._bans += 1
        text = headers.get("retry-after", "")
        if text.isascii() and text.isdigit():
            wait = int(text[:9]) * SECOND
        elif status == 418:
            wait = FIRST_BAN << min(self._bans - 1, 12)
        else:
            wait = MINUTE
        if status == 418 and (found := _UNTIL.search(body)):
            wait = max(wait, int(found[1]) * 1_000_000 - now)
        self.blocked_until = max(self.blocked_until, now + min(max(wait, SECOND), LONGEST_BAN))


@dataclass(frozen=True, slots=True)
class Call:
    """One REST request.

    Attributes
    ----------
    key : str
        What it is for: a later one of the same key replaces it while it waits.
    path : str
        Path and query.
    symbol : str
        Of a snapshot; else empty.
    weight : int
        What it costs.
    due : int
        Not before this time.
    """

    key: str
    path: str
    symbol: str
    weight: int
    due: int


class RestQueue:
    """Requests that wait for their time and for the budget; one that waits is never doubled.

    Parameters
    ----------
    budget : Budget
        Of the address.
    chance : callable
        Gives numbers in [0, 1) for the jitter.
    """

    def __init__(self, budget: Budget, chance: Callable[[], float]) -> None:
        self.budget, self._chance = budget, chance
        self._waiting: dict[str, Call] = {}
        self.in_flight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: FetchSnapshot | FetchInstruments | FetchTime, now: int) -> None:
        """Take a request of the machine."""
        backoff = SNAPSHOT if isinstance(request, FetchSnapshot) else REST
        due = max(request.not_before, now) + backoff.delay(request.attempt, self._chance)
        if isinstance(request, FetchSnapshot):
            path = f"/fapi/v1/depth?symbol={request.symbol}&limit={request.limit}"
            call = Call(f"depth {request.symbol}", path, request.symbol, DEPTH_WEIGHT[request.limit], due)
        elif isinstance(request, FetchInstruments):
            call = Call("exchangeInfo", "/fapi/v1/exchangeInfo", "", 1, due)
        else:
            call = Call("time", "/fapi/v1/time", "", 1, due)
        self._waiting[call.key] = call

    def take(self, now: int) -> Call | None:
        """Return a request to be sent now, if there is one: light ones first, then the longest due."""
        if self.in_flight >= MOST_IN_FLIGHT:
            return None
        ready = [c for c in self._waiting.values() if c.due <= now]
        if not ready:
            return None
        call = min(ready, key=lambda c: (c.weight > 1, c.due))
        if self.budget.free_at(call.weight, now) > now:
            return None
        del self._waiting[call.key]
        self.budget.spend(call.weight, now)
        self.in_flight += 1
        return call

    def wake_at(self, now: int) -> int | None:
        """When :meth:`take` may give something; None: not before something is added or comes back."""
        if not self._waiting or self.in_flight >= MOST_IN_FLIGHT:
            return None
        asked = {(c.weight, max(c.due, now)) for c in self._waiting.values()}  # many are of one kind
        return min(self.budget.free_at(weight, due) for weight, due in asked)

    def done(self, status: int, headers: Mapping[str, str], body: bytes, now: int) -> None:
        """Note that a request came back, or failed (status 0)."""
        self.in_flight -= 1
        self.budget.learn(status, headers, body, now)
