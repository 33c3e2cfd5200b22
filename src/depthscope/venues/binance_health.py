"""Figures of a live Binance session for operations. Nothing depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from depthscope.market import events as ev
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_watch as w

if TYPE_CHECKING:
    from depthscope.venues.binance_core import Core

SHOWN: Final = (b.DEPTH_UPDATE, b.AGGREGATE_TRADE, b.BOOK_TICKER, b.MARK_PRICE)
WORDS: Final = {
    ev.STATUS_TRADING: "TRADING", ev.STATUS_HALT: "HALT",
    ev.STATUS_AUCTION: "AUCTION", ev.STATUS_CLOSED: "CLOSED",
}  # fmt: skip


def health(core: Core, now: int) -> dict[str, Any]:
    """Figures of a session (see `BinanceMachine.health`)."""
    symbols = {}
    for name, book in core.books.items():
        index = core.decoder.table.index.get(name)
        symbols[name] = {
            "state": book.state, "reason": book.reason, "since": book.since,
            "tape": book.tape, "tape_reason": book.tape_reason,
            "status": WORDS[book.status], "quarantined": book.quarantined,
            "gaps": book.gaps, "resyncs": book.resyncs,
            "streams": {} if index is None else {
                w.STREAMS[kind]: _stream(core.watch, index * w.KINDS + kind, now) for kind in SHOWN
            },
        }  # fmt: skip
    return {
        "symbols": symbols,
        "links": core.links_view(now),
        "counters": core.decoder.counters(),
        "rejected": dict(core.decoder.rejected),
        "skipped": dict(core.decoder.skipped),
        "ignored": dict(core.ignored),
        "strange": dict(core.decoder.strange),
        "skew": core.facts["skew"] if core.facts["time told"] else None,
        "wall_offset": core.facts["offset"],
        "stalls": core.facts["stalls"],
    }


def _stream(watch: w.Watch, place: int, now: int) -> dict[str, int | None]:
    row = watch.rows[place]
    count = int(row[w.W_COUNT])
    return {
        "messages": count, "age": now - int(row[w.W_LAST]) if count else None,
        "median": watch.median(place) or None, "missed": max(0, int(row[w.W_MISSED])),
        "repeated": int(row[w.W_REPEATED]), "ahead": int(row[w.W_AHEAD]),
        "lag_p50": watch.lag(place, 0.5), "lag_p99": watch.lag(place, 0.99),
    }  # fmt: skip
