"""REST endpoints of the venue, and the simulator's own under ``/sim``."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from depthscope.errors import DepthscopeError
from depthscope.simulators.binance_books import ASKS, BIDS
from depthscope.simulators.binance_faults import parse_fault
from depthscope.simulators.binance_rules import MS, SECOND
from depthscope.simulators.binance_strikes import refusal
from depthscope.simulators.binance_text import encode
from depthscope.simulators.binance_wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.simulators.binance_exchange import Exchange
    from depthscope.simulators.binance_listing import Listing, Message, Snapshot

__all__ = ["ENDPOINTS", "answer"]

HOUR_MS: Final = 3_600_000
DEPTH_WEIGHTS: Final = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_JSON: Final = {"Content-Type": "application/json"}
_MOST_FAULTS: Final = 64  # in one POST


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class _Query:
    """Parameters of a request, read as the venue reads them."""

    def __init__(self, text: str) -> None:
        try:
            self._values = parse_qs(text, keep_blank_values=True, max_num_fields=32)
        except ValueError:
            raise _Refused(-1101, "Too many parameters sent for this endpoint.") from None
        for name, given in self._values.items():
            if len(given) > 1:
                raise _Refused(-1101, f"Duplicate values for parameter '{name}'.")

    def text(self, name: str) -> str:
        """A value, empty when it is not there."""
        return self._values.get(name, [""])[0]

    def number(self, name: str) -> int | None:
        """A whole number, None when it is not there."""
        if name not in self._values:
            return None
        text = self.text(name)
        if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
            raise _malformed(name)
        return int(text)


def _malformed(name: str) -> _Refused:
    return _Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _listing(exchange: Exchange, query: _Query) -> Listing:
    symbol = query.text("symbol")
    if not symbol:
        raise _malformed("symbol")
    listing = exchange.listings.get(symbol)
    if listing is None:
        raise _Refused(-1121, "Invalid symbol.")
    if listing.closed:
        raise _Refused(-1122, "Invalid symbol status.")
    return listing


def _some(exchange: Exchange, query: _Query, tell: Callable[[Listing], Message]) -> Any:
    """One symbol's answer, or a list of all when none is named."""
    if query.text("symbol"):
        return tell(_listing(exchange, query))
    return [tell(listing) for listing in exchange.listings.values() if not listing.closed]


# ── endpoints ──


def _ping(exchange: Exchange, query: _Query) -> Any:
    return {}


def _time(exchange: Exchange, query: _Query) -> Any:
    return {"serverTime": exchange.stamp(exchange.now)}


def _exchange_info(exchange: Exchange, query: _Query) -> Any:
    limit = exchange.rules.weight_per_minute
    return {
        "exchangeFilters": [],
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        ],
        "serverTime": exchange.stamp(exchange.now),
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [x.info(exchange.stamp(x.listed)) for x in exchange.listings.values()],
        "timezone": "UTC",
        "futuresType": "U_MARGINED",
    }


def _levels(listing: Listing, book: Snapshot, limit: int, rpi: bool) -> Message:
    """Best levels of a copied book, as text."""

    def more(price: int, lots: int) -> int:
        return lots + listing.rpi_lots(price) if rpi else lots

    bids = sorted(book.bids, reverse=True)[:limit]
    asks = sorted(book.asks)[:limit]
    return {
        "bids": listing.numbers.levels((price, more(price, book.bids[price])) for price in bids),
        "asks": listing.numbers.levels((price, more(price, book.asks[price])) for price in asks),
    }


def _depth(exchange: Exchange, query: _Query, rpi: bool = False) -> Any:
    listing = _listing(exchange, query)
    limit = query.number("limit")
    limit = (1000 if rpi else 500) if limit is None else limit
    if limit not in ((1000,) if rpi else DEPTH_WEIGHTS):
        raise _Refused(-4021, f"{limit} is not valid depth limit.")
    behind = exchange.desk.find("snapshot-behind", listing.name)
    book = behind.books.get(listing.name) if behind is not None else None
    if book is None:
        book = listing.snapshot()
    shallow = exchange.desk.find("beyond", listing.name)
    if shallow is not None:
        limit = min(limit, shallow.fault.value)
    return {
        "lastUpdateId": book.last_id,
        "E": exchange.stamp(exchange.now),
        "T": exchange.stamp(book.changed),
        **_levels(listing, book, limit, rpi),
    }


def _rpi_depth(exchange: Exchange, query: _Query) -> Any:
    return _depth(exchange, query, rpi=True)


def _trades(exchange: Exchange, query: _Query) -> Any:
    listing = _listing(exchange, query)
    limit = query.number("limit")
    limit = 500 if limit is None else limit
    if not 1 <= limit <= 1000:
        raise _Refused(-1130, "Data sent for parameter 'limit' is not valid.")
    first, start, end = query.number("fromId"), query.number("startTime"), query.number("endTime")
    newest = first is None and start is None and end is None
    if start is not None and end is not None:
        if end < start:
            raise _Refused(-1023, "Start time is greater than end time.")
        if end - start >= HOUR_MS:
            raise _Refused(-1127, "More than 1 hours between startTime and endTime.")
    oldest = (exchange.now + exchange.skew - exchange.rules.history) // MS
    start = oldest if start is None or start < oldest else start
    # In order of id; of time too, unless the venue's clock was set back meanwhile.
    told = list(listing.trades)
    low = bisect_left(told, start, key=lambda t: t.stamp)
    if first is not None:
        low = max(low, bisect_left(told, first, key=lambda t: t.number))
    high = len(told) if end is None else bisect_left(told, end + 1, key=lambda t: t.stamp)
    if newest:
        low = max(low, high - limit)
    return [listing.told(trade) for trade in told[low : min(high, low + limit)]]


def _premium(exchange: Exchange, query: _Query) -> Any:
    def tell(listing: Listing) -> Message:
        told = listing.mark(exchange.now)
        return {
            "symbol": listing.name, "markPrice": told["mark"], "indexPrice": told["index"],
            "estimatedSettlePrice": told["mark"], "lastFundingRate": told["rate"],
            "interestRate": "0.00010000", "nextFundingTime": exchange.stamp(int(told["next"])),
            "time": exchange.stamp(exchange.now),
        }  # fmt: skip

    return _some(exchange, query, tell)


def _tickers(exchange: Exchange, query: _Query) -> Any:
    def tell(listing: Listing) -> Message:
        told = listing.ticker(0, 0)
        return {
            "symbol": listing.name, "bidPrice": told["b"], "bidQty": told["B"], "askPrice": told["a"],
            "askQty": told["A"], "time": exchange.stamp(listing.changed), "lastUpdateId": listing.last_id,
        }  # fmt: skip

    return _some(exchange, query, tell)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An endpoint: what it costs and what it says."""

    name: str
    weight: Callable[[dict[str, list[str]]], int]
    tell: Callable[[Exchange, _Query], Any]


def _flat(weight: int) -> Callable[[dict[str, list[str]]], int]:
    return lambda _: weight


def _by_symbol(one: int, every: int) -> Callable[[dict[str, list[str]]], int]:
    return lambda values: one if values.get("symbol") else every


def _by_limit(values: dict[str, list[str]]) -> int:
    limit = values.get("limit", ["500"])[0]
    return DEPTH_WEIGHTS.get(int(limit) if re.fullmatch(r"[0-9]{1,4}", limit, re.ASCII) else 0, 2)


ENDPOINTS: Final = {
    "/fapi/v1/ping": _Endpoint("ping", _flat(1), _ping),
    "/fapi/v1/time": _Endpoint("time", _flat(1), _time),
    "/fapi/v1/exchangeInfo": _Endpoint("exchangeInfo", _flat(1), _exchange_info),
    "/fapi/v1/depth": _Endpoint("depth", _by_limit, _depth),
    "/fapi/v1/rpiDepth": _Endpoint("rpiDepth", _flat(20), _rpi_depth),
    "/fapi/v1/aggTrades": _Endpoint("aggTrades", _flat(20), _trades),
    "/fapi/v1/premiumIndex": _Endpoint("premiumIndex", _by_symbol(1, 10), _premium),
    "/fapi/v1/ticker/bookTicker": _Endpoint("bookTicker", _by_symbol(2, 5), _tickers),
}


def answer(exchange: Exchange, method: str, path: str, query: str, address: str, body: bytes) -> Reply:
    """Answer one request, at the exchange's present time."""
    if path == "/sim" or path.startswith("/sim/"):
        return _answer_sim(exchange, method, path, query, body)
    endpoint = ENDPOINTS.get(path)
    if endpoint is None or method != "GET":
        return refusal(404, -5000, f"Path {path}, Method {method} is invalid")
    try:
        values = parse_qs(query, max_num_fields=32)
    except ValueError:
        values = {}
    symbol = values.get("symbol", [""])[0]
    refused = exchange.desk.refuses(endpoint.name, symbol, exchange.now)
    if refused is not None:
        return refused
    denied = exchange.limits.charge(address, endpoint.weight(values), exchange.now)
    used = {"X-MBX-USED-WEIGHT-1M": str(exchange.limits.of(address, exchange.now).used)}
    if denied is not None:
        headers = {**used, "Retry-After": str(denied.retry_after)}
        limit = exchange.rules.weight_per_minute
        text = (
            f"Too many requests; current limit of IP({address}) is {limit} requests per minute. "
            "Please use the websocket for live updates to avoid polling the API."
            if denied.status == 429
            else f"Way too many requests; IP({address}) banned until {exchange.stamp(denied.until)}. "
            "Please use the websocket for live updates to avoid bans."
        )
        return refusal(denied.status, -1003, text, headers)
    try:
        reply = Reply(200, {**_JSON, **used}, encode(endpoint.tell(exchange, _Query(query))))
    except _Refused as why:
        reply = refusal(400, why.code, why.text, used)
    return exchange.desk.spoils(endpoint.name, symbol, reply)


# ── the simulator's own ──


def _answer_sim(exchange: Exchange, method: str, path: str, query: str, body: bytes) -> Reply:
    try:
        if (method, path) == ("GET", "/sim/book"):
            told = _sim_book(exchange, _Query(query))
        elif (method, path) == ("GET", "/sim/status"):
            told = _sim_status(exchange)
        elif (method, path) == ("POST", "/sim/fault"):
            told = _sim_fault(exchange, body)
        else:
            return refusal(404, -5000, f"Path {path}, Method {method} is invalid")
    except _Refused as why:
        return refusal(400, why.code, why.text)
    except DepthscopeError as error:
        return refusal(400, -1130, str(error))
    return Reply(200, dict(_JSON), encode(told))


def _sim_book(exchange: Exchange, query: _Query) -> Any:
    symbol = query.text("symbol")
    if not symbol:
        raise _malformed("symbol")
    book = exchange.book(symbol, query.text("speed") or None)
    every = max(len(book.bids), len(book.asks), 1)
    return {
        "symbol": symbol,
        "lastUpdateId": book.last_id,
        **_levels(exchange.listings[symbol], book, every, False),
    }


def _sim_status(exchange: Exchange) -> Any:
    return {
        "time": exchange.now,
        "elapsed_s": (exchange.now - exchange.start) / SECOND,
        "events": exchange.playback.events,
        "passes": exchange.playback.passes,
        "symbols": {
            x.name: {
                "status": x.status, "lastUpdateId": x.last_id, "trades": x.tape_count,
                "bids": len(x.book.sides[BIDS]), "asks": len(x.book.sides[ASKS]),
                "depthMessages": [window.count for window in x.windows],
            }
            for x in exchange.listings.values()
        },
        "connections": [
            {"number": c.number, "route": c.route, "address": c.address, "streams": list(c.streams)}
            for c in exchange.connections.open.values()
        ],
        "addresses": exchange.limits.report(),
        "faults": exchange.desk.report(),
        "unlisted": exchange.unlisted,
        "damage": None if exchange.playback.damage is None else str(exchange.playback.damage),
    }  # fmt: skip


def _sim_fault(exchange: Exchange, body: bytes) -> Any:
    """Inject the faults of a body, one a line."""
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    if not 1 <= len(lines) <= _MOST_FAULTS:
        raise _Refused(-1130, f"Write 1 to {_MOST_FAULTS} faults, one a line, such as drop:BTCUSDT.")
    faults = [parse_fault(line) for line in lines]
    for fault in faults:  # all or none
        exchange.acts.check_target(fault)
    return {"faults": [exchange.inject(fault, exchange.now).kind for fault in faults]}
