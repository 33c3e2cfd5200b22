"""Names of the venue: its routes and its streams."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ROUTES", "route_of"]

ROUTES: Final = ("public", "market", "private")

_SYMBOL: Final = re.compile(
    r"[a-z0-9_.\-]+@(?:"
    r"(?P<public>depth(?:5|10|20)?(?:@(?:100|250|500)ms)?|rpiDepth@500ms|bookTicker)"
    r"|(?P<market>aggTrade|markPrice(?:@1s)?)"
    r")"
)
_ALL: Final = {
    "!bookTicker": "public",
    "!markPrice@arr": "market",
    "!markPrice@arr@1s": "market",
    "!contractInfo": "market",
}


def route_of(name: str) -> str | None:
    """Route a stream's data is sent on; None for what this exchange does not play (accepted, and silent)."""
    found = _SYMBOL.fullmatch(name)
    return _ALL.get(name) if found is None else found.lastgroup
