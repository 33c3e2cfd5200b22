"""Figures beside the heatmap."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from depthscope.market.instruments import Capability

if TYPE_CHECKING:
    from depthscope.book.view import OrderBook
    from depthscope.market.instruments import Instrument
    from depthscope.web.recorder import Recorder, Track

__all__ = ["info_message", "session_phase"]

_ORDERS: Final = 20


def _number(lots: int, instrument: Instrument) -> int | float:
    exact = instrument.size(lots)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def info_message(recorder: Recorder, track: Track) -> dict[str, Any]:
    """Return figures of one symbol at the market clock. Undefined ones are None."""
    session, instrument = recorder.session, track.instrument
    status, book = session.status, recorder.book(track)
    message: dict[str, Any] = {
        "t": "info",
        "sym": track.id,
        "ts": str(session.clock),
        "tsMs": session.clock / 1e6,
        "state": "WAITING" if book is None else book.state,
        "stateReason": None,
        "incomplete": False if book is None else bool(book.incomplete),
        "bestBid": None, "bestAsk": None, "bidSize": None, "askSize": None,
        "mid": None, "spread": None, "spreadTicks": None, "spreadBps": None,
        "last": None if track.last is None else str(instrument.price(track.last)),
        "ofi1s": _ofi_1s(track),
        "cvd": track.cvd,
        "imbalance": None,
        "trades": track.prints,
        "volume": track.volume,
        "lagMs": round(status.lag_ms, 1),
        "eventsPerSec": round(status.events_per_sec, 1),
        "orders": None,
        "counters": {},
        "session": session_phase(instrument.calendar, session.clock),
    }  # fmt: skip
    if book is None:
        return message
    counters = session.engine.counters(track.slot)
    message["counters"] = counters
    told = None if book.state == "LIVE" else session.reason(instrument.symbol)
    message["stateReason"] = told or _reason(book, counters)
    if book.state == "LIVE":
        message |= _prices(book, instrument)
        if track.history.last is not None and not math.isnan(track.history.last.imbalance):
            message["imbalance"] = track.history.last.imbalance
        if Capability.MBO in instrument.capabilities:
            tick = instrument.tick
            message["orders"] = {"bids": _counts(book, "bid", tick), "asks": _counts(book, "ask", tick)}
    return message


def _prices(book: OrderBook, instrument: Instrument) -> dict[str, Any]:
    out: dict[str, Any] = {}
    bid_p, bid_q, _ = book.raw("bid", 1)
    ask_p, ask_q, _ = book.raw("ask", 1)
    if len(bid_p):
        out["bestBid"] = str(instrument.price(int(bid_p[0])))
        out["bidSize"] = _number(int(bid_q[0]), instrument)
    if len(ask_p):
        out["bestAsk"] = str(instrument.price(int(ask_p[0])))
        out["askSize"] = _number(int(ask_q[0]), instrument)
    if len(bid_p) and len(ask_p):
        bid, ask = int(bid_p[0]), int(ask_p[0])
        out["mid"] = (bid + ask) / 2e9
        out["spread"] = float(instrument.price(ask - bid))
        out["spreadTicks"] = (ask - bid) / instrument.tick
        out["spreadBps"] = 2e4 * (ask - bid) / (bid + ask) if bid + ask else None
    return out


def _counts(book: OrderBook, side: Literal["bid", "ask"], tick: int) -> list[list[int]]:
    prices, _, orders = book.raw(side, _ORDERS)
    return [[int(p) // tick, int(n)] for p, n in zip(prices, orders, strict=True)]


def _ofi_1s(track: Track) -> float | None:
    """Order-flow imbalance of the last second for which it is known."""
    level = track.history.levels[0]
    values = level.ofi(max(level.tail, level.final - 1000 // level.ms), level.final)
    return float(np.nansum(values)) if len(values) else None


def _reason(book: OrderBook, counters: dict[str, int]) -> str | None:
    """Say in a few words why a book is not LIVE, or what it lacks."""
    if book.state == "STALE":
        return "the feed lost messages; waiting for a new snapshot"
    if book.state == "SYNCING":
        return "waiting for a snapshot or the first quotes"
    if book.incomplete and Capability.DEPTH_LIMITED in book.instrument.capabilities:
        return "the feed tells the best levels only"
    if book.incomplete:
        unknown = {k: n for k, n in counters.items() if k.startswith("unknown") and n}
        told = ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in unknown.items())
        return "the recording began mid-session" + (f" ({told})" if told else "")
    return None


# -- where a session stands by the clock ------------------------------------------------------


def _nth_sunday(year: int, month: int, n: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (n - 1))


def _us_offset(moment: datetime, standard: int) -> timedelta:
    """UTC offset of a US zone: daylight time from March's second Sunday to November's first, 02:00 local."""
    starts = _nth_sunday(moment.year, 3, 2) + timedelta(hours=2 - standard)
    ends = _nth_sunday(moment.year, 11, 1) + timedelta(hours=1 - standard)
    return timedelta(hours=standard + (1 if starts <= moment < ends else 0))


def session_phase(calendar: str, ts: int) -> dict[str, Any]:
    """Name the trading phase at a market time, by the clock alone (holidays are not known).

    Parameters
    ----------
    calendar : str
        ``24/7``, ``NYSE`` or one of CME's; the phase is None for others.
    ts : int
        UTC ns.

    Returns
    -------
    dict
        `calendar`, `phase`, `extended` (outside regular hours).
    """
    moment = datetime.fromtimestamp(ts // 1_000_000_000, UTC)
    phase: str | None = None
    if calendar == "24/7":
        phase = "24/7"
    elif calendar.startswith("CME_"):
        local = moment + _us_offset(moment, -6)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if day == 5 or (day == 6 and minute < 1020) or (day == 4 and minute >= 960):
            phase = "CLOSED"
        elif 960 <= minute < 1020:
            phase = "BREAK"
        else:
            phase = "RTH" if day < 5 and 510 <= minute < 900 else "ETH"
    elif calendar == "NYSE":
        local = moment + _us_offset(moment, -5)
        minute = local.hour * 60 + local.minute
        if local.weekday() >= 5 or not 240 <= minute < 1200:
            phase = "CLOSED"
        else:
            phase = "PRE" if minute < 570 else "RTH" if minute < 960 else "POST"
    return {"calendar": calendar, "phase": phase, "extended": phase in ("ETH", "PRE", "POST")}
