"""What Binance says of its instruments: grids and trading states."""

from __future__ import annotations

from typing import Any, Final

from depthscope.market import events as ev
from depthscope.venues.binance_json import Rejected, Skipped, definitions, envelope

# Any other state is one in which nobody trades, and not for ever.
TRADING: Final = frozenset({"TRADING"})
OVER: Final = frozenset({"CLOSE", "PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING"})
AUCTION: Final = frozenset({"AUCTION_MATCH"})


def status_code(word: object) -> int:
    """Status code of an S event for the venue's word."""
    if word in TRADING:
        return ev.STATUS_TRADING
    if word in OVER:
        return ev.STATUS_CLOSED
    return ev.STATUS_AUCTION if word in AUCTION else ev.STATUS_HALT


def listing(message: dict[str, Any]) -> dict[str, tuple[dict[str, int], str]]:
    """Grid and state of each symbol of an ``exchangeInfo`` reply.

    Returns
    -------
    dict
        Symbol -> ({tick, lot} in 1e-9 units, the venue's word); only symbols with a sound grid.
    """
    grids = definitions(message)
    words: dict[str, str] = {}
    entries = message.get("symbols")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("symbol"), str):
            words[entry["symbol"]] = str(entry.get("status", "TRADING"))
    return {name: (grid, words.get(name, "TRADING")) for name, grid in grids.items()}


def refusal(status: object, body: bytes) -> str:
    """Why a reply is none, in words: what the network or the venue said, and what it means."""
    if status == 0:  # the feed's own word for no reply: the body says why
        said = body[:200].decode(errors="replace")
        return f"the venue cannot be reached ({said}); check the network and the address in the settings"
    try:
        told = envelope(body)
        said = f": {str(told.get('msg', ''))[:200]}" if told.get("msg") else ""
    except (Rejected, Skipped):
        said = ""
    words = {
        200: "the reply is damaged",
        403: "the venue's firewall refuses this address (403)",
        418: "the venue has banned this address (418); nothing is asked until that ends",
        429: "too many requests (429); the venue is left alone for as long as it asks",
        451: "the venue does not serve this place (451)",
    }
    word = words.get(status) if isinstance(status, int) else None
    return (word or f"the venue answers {status}") + said
