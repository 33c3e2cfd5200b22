"""Names of the venue: its routes, its streams and what they ask for, its endpoints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from depthscope.simulators.binance_rules import MS, SECOND

__all__ = ["ENDPOINT_NAMES", "ROUTES", "Stream", "parse_stream"]

Kind = Literal["depth", "partial", "rpi", "ticker", "tickers", "trades", "mark", "marks", "contracts"]

ROUTES: Final = ("public", "market", "private")
ENDPOINT_NAMES: Final = (
    "ping", "time", "exchangeInfo", "depth", "rpiDepth", "aggTrades", "premiumIndex", "bookTicker",
)  # fmt: skip

_SYMBOL: Final = re.compile(
    r"(?P<symbol>[a-z0-9_.\-]+)@(?:"
    r"(?P<depth>depth(?P<levels>5|10|20)?(?:@(?P<speed>100ms|250ms|500ms))?)"
    r"|(?P<rpi>rpiDepth@500ms)"
    r"|(?P<ticker>bookTicker)"
    r"|(?P<trades>aggTrade)"
    r"|(?P<mark>markPrice(?P<fast>@1s)?)"
    r")"
)
_ALL: Final[dict[str, tuple[Kind, str, int]]] = {
    "!bookTicker": ("tickers", "public", 5 * SECOND),
    "!markPrice@arr": ("marks", "market", 3 * SECOND),
    "!markPrice@arr@1s": ("marks", "market", SECOND),
    "!contractInfo": ("contracts", "market", 0),
}
_SPEEDS: Final = {"100ms": 100 * MS, "250ms": 250 * MS, "500ms": 500 * MS}


@dataclass(frozen=True, slots=True)
class Stream:
    """What a stream name asks for.

    Attributes
    ----------
    kind : str
    route : str
        Where its data is sent; on another route it is accepted and stays silent.
    symbol : str
        Upper case; empty for streams of all symbols.
    period : int
        Ns between messages, 0 for streams told at once.
    levels : int
        Of a partial depth stream.
    """

    kind: Kind
    route: str
    symbol: str = ""
    period: int = 0
    levels: int = 0


def parse_stream(name: str) -> Stream | None:
    """Stream of a name; None for what this exchange does not play (accepted, and silent)."""
    if name in _ALL:
        kind, route, period = _ALL[name]
        return Stream(kind, route, "", period)
    found = _SYMBOL.fullmatch(name)
    if found is None:
        return None
    symbol = found["symbol"].upper()
    if found["depth"]:
        period = _SPEEDS[found["speed"] or "250ms"]
        if found["levels"]:
            return Stream("partial", "public", symbol, period, int(found["levels"]))
        return Stream("depth", "public", symbol, period)
    if found["rpi"]:
        return Stream("rpi", "public", symbol, 500 * MS)
    if found["ticker"]:
        return Stream("ticker", "public", symbol)
    if found["trades"]:
        return Stream("trades", "market", symbol)
    return Stream("mark", "market", symbol, SECOND if found["fast"] else 3 * SECOND)
