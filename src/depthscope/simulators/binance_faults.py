"""Faults: what can go wrong, as small declared things with a time at which they strike.

``kind[=value][:target][@when][+duration][xCOUNT]``, for example ``drop:BTCUSDT@30s``,
``mute:BTCUSDT@1m+20s``, ``skew=-5s@10s``, ``503:depth x3``, ``storm=500ms@10s+30s``; blanks do not matter.

`when` is a time since the exchange opened; ``#120``: the 120th message of the stream; ``30s/60s``:
at 30 s and every 60 s after; ``~5s``: at random, 5 s apart in the mean; without it: at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from depthscope.errors import ConfigError, InputError
from depthscope.market.instruments import to_fixed
from depthscope.market.times import parse_duration
from depthscope.simulators.binance_garbage import VARIANTS
from depthscope.simulators.binance_rules import DAY, MINUTE, MS, NEVER, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KINDS", "Fault", "FaultKind", "parse_fault"]

CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
About = Literal["depth", "trades", "symbol", "links", "rest", "venue"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What one kind of fault does, and how it is written.

    Attributes
    ----------
    about : str
        What its target names: ``depth`` and ``trades`` strike messages of a symbol, ``symbol`` a
        symbol, ``links`` a route's connections, ``rest`` an endpoint or a symbol, ``venue`` nothing.
    does : str
        One sentence.
    value : callable, optional
        Reads the value; None: it takes none.
    usual : object
        Value when none is given; None: it must be given.
    duration : int
        Ns it lasts when nothing is said; 0: it strikes once, or so many messages or requests.
    """

    about: About
    does: str
    value: Callable[[str], Any] | None = None
    usual: Any = None
    duration: int = 0


def _duration(text: str) -> int:
    ns = parse_duration(text)
    if ns > 366 * DAY:
        raise InputError(f"{text!r} is longer than a year.")
    return ns


def _period(text: str) -> int:
    ns = _duration(text)
    if ns < MS:
        raise InputError(f"{text!r} is shorter than 1ms, the shortest time between two strikes.")
    return ns


def _signed(text: str) -> int:
    return (-1 if text.startswith("-") else 1) * _duration(text.lstrip("+-"))


def _close_code(text: str) -> int:
    code = int(text)
    if code not in CLOSE_CODES:
        raise InputError(f"{text!r} is no code a connection can be closed with.")
    return code


def _tick(text: str) -> int:
    tick = to_fixed(text)
    if not 0 < tick < 10**18:
        raise InputError(f"{text!r} is not a tick size.")
    return tick


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 10**6:
        raise InputError(f"{text!r} is not a number from 0 to a million.")
    return value


def _variant(text: str) -> str:
    if text not in VARIANTS:
        raise InputError(f"{text!r} is none of {', '.join(VARIANTS)}.")
    return text


KINDS: Final[dict[str, FaultKind]] = {
    "drop": FaultKind("depth", "A depth message is not sent: the next one's pu names an id nobody saw."),
    "duplicate": FaultKind("depth", "A depth message is sent twice."),
    "reorder": FaultKind("depth", "A depth message is sent after the one that follows it."),
    "unknown-level": FaultKind("depth", "A depth message also removes a level (quantity 0) nobody ever had."),
    "malformed": FaultKind(
        "depth", "A damaged copy is sent before a depth message; each variant in turn without a value.",
        _variant, "",
    ),
    "drop-trade": FaultKind("trades", "An aggregate trade is not sent: the next one's id skips one."),
    "mute": FaultKind(
        "symbol", "No stream of the symbol is sent; connections stay open.", duration=10 * SECOND
    ),
    "lag": FaultKind(
        "symbol", "The symbol's streams arrive late by the value: snapshots are ahead of them.",
        _duration, 2 * SECOND, 10 * SECOND,
    ),
    "snapshot-behind": FaultKind(
        "symbol", "Snapshots show the book as it was when the fault struck.", duration=10 * SECOND
    ),
    "beyond": FaultKind(
        "symbol", "Snapshots hold so many levels a side, whatever was asked: the rest only the stream tells.",
        _count, 10, 10 * SECOND,
    ),
    "crossed": FaultKind(
        "symbol", "A bid so many ticks above the best ask; 100 ms is one message of @100ms.",
        _count, 5, 100 * MS,
    ),
    "halt": FaultKind(
        "symbol", "Trading stops: exchangeInfo says the value, nothing moves until it ends.",
        str, "SETTLING", 30 * SECOND,
    ),
    "tick": FaultKind("symbol", "exchangeInfo tells another tick size.", _tick),
    "delist": FaultKind(
        "symbol", "The symbol is closed: silent, and refused by REST; exchangeInfo says CLOSE."
    ),
    "disconnect": FaultKind("links", "Connections break without a closing frame."),
    "close": FaultKind("links", "Connections are closed with the code.", _close_code, 1001),
    "storm": FaultKind(
        "links", "Connections break again and again, so far apart.", _period, SECOND, 30 * SECOND
    ),
    "refuse": FaultKind("links", "New connections get 503.", duration=10 * SECOND),
    "freeze": FaultKind(
        "links", "Connections stay open and nothing comes, pongs included.", duration=30 * SECOND
    ),
    "nopong": FaultKind(
        "links", "Pongs of clients do not arrive: they are cut as if they never answered.", duration=NEVER
    ),
    "life": FaultKind(
        "links", "Connections are cut at this age instead of 24 h.", _duration, MINUTE, NEVER
    ),
    "429": FaultKind(
        "rest", "Requests are answered 429; Retry-After is what is left of it (30 s with xCOUNT).",
        duration=10 * SECOND,
    ),
    "418": FaultKind(
        "rest", "Requests are answered 418; Retry-After is what is left of it (30 s with xCOUNT).",
        duration=2 * MINUTE,
    ),
    "403": FaultKind(
        "rest", "Requests are answered 403 and a web page, as by a firewall.", duration=10 * SECOND
    ),
    "503": FaultKind("rest", "Requests are answered 503, outcome unknown.", duration=10 * SECOND),
    "slow": FaultKind("rest", "Replies take so long.", _duration, 3 * SECOND, 10 * SECOND),
    "stall": FaultKind("rest", "Replies never come.", duration=10 * SECOND),
    "garbled": FaultKind("rest", "Replies are cut in half.", duration=10 * SECOND),
    "skew": FaultKind("venue", "The venue's clock is off by the value.", _signed, None, NEVER),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, settled.

    Attributes
    ----------
    kind : str
        A key of :data:`KINDS`.
    value : object
    target : str
        ``*`` for all.
    at : int
        Ns since the exchange opened; -1: at once.
    number : int
        Message number at which it strikes instead, 0: none.
    every, mean : int
        Ns between strikes: exactly, or at random in the mean; 0: it strikes once.
    duration : int
        Ns it lasts, 0: until `count` messages or requests were struck.
    count : int
    """

    kind: str
    value: Any = None
    target: str = "*"
    at: int = -1
    number: int = 0
    every: int = 0
    mean: int = 0
    duration: int = 0
    count: int = 1

    def hits(self, *names: str) -> bool:
        """Whether its target is one of `names`."""
        return self.target == "*" or self.target in names


_TEXT: Final = re.compile(
    r"(?P<kind>[a-z0-9]+(?:-[a-z]+)?)(?:=(?P<value>[^:@]+?))?(?::(?P<target>[\w.*-]+?))?"
    r"(?:@(?:now|#(?P<number>\d{1,12})|~(?P<mean>[\d.]+[a-z]+)|(?P<at>[\d.]+[a-z]+)(?:/(?P<every>[\d.]+[a-z]+))?))?"
    r"(?:\+(?P<duration>[\d.]+[a-z]+?))?(?:x(?P<count>\d{1,9}))?"
)


def parse_fault(text: str) -> Fault:
    """Read a fault as users write it.

    Raises
    ------
    ConfigError
        When it is not written as the module's docstring says.
    """
    found = _TEXT.fullmatch(re.sub(r"\s", "", text))
    if found is None:
        raise ConfigError(
            f"Fault {text!r} cannot be read: write kind[=value][:target][@when][+duration][xCOUNT], for "
            "example drop:BTCUSDT@30s or mute:BTCUSDT@1m+20s."
        )
    kind = KINDS.get(found["kind"])
    if kind is None:
        raise ConfigError(f"Fault {text!r}: there is no {found['kind']!r}; there are {', '.join(KINDS)}.")
    try:
        fault = Fault(
            found["kind"],
            _value(kind, found["value"]),
            _target(kind, found["target"]),
            -1 if found["at"] is None else _time(found["at"]),
            int(found["number"] or 0),
            0 if found["every"] is None else _period(found["every"]),
            0 if found["mean"] is None else _period(found["mean"]),
            _time(found["duration"] or "0s") or (0 if found["count"] else kind.duration),
            int(found["count"] or 1),
        )
    except (InputError, ValueError) as error:
        raise ConfigError(f"Fault {text!r}: {error}") from error
    if fault.number and kind.about not in ("depth", "trades"):
        raise ConfigError(f"Fault {text!r}: only faults of messages strike at a message number.")
    if (found["number"] and not fault.number) or fault.count < 1:
        raise ConfigError(f"Fault {text!r}: messages are counted from 1.")
    if kind.about in ("symbol", "links", "venue") and found["count"]:
        raise ConfigError(f"Fault {text!r}: it strikes for a time, not a number of messages; write +10s.")
    return fault


def _time(text: str) -> int:
    return 0 if re.fullmatch(r"0+(\.0+)?[a-z]+", text) else _duration(text)


def _value(kind: FaultKind, text: str | None) -> Any:
    if text is None:
        if kind.value is not None and kind.usual is None:
            raise InputError("it needs a value, written =value after its name.")
        return kind.usual
    if kind.value is None:
        raise InputError(f"it takes no value, so ={text} means nothing.")
    return kind.value(text)


def _target(kind: FaultKind, text: str | None) -> str:
    if kind.about == "venue" and text not in (None, "*"):
        raise InputError("it is about the whole venue and takes no target.")
    if text is None or kind.about in ("links", "rest"):
        return text or "*"
    return text.upper()
