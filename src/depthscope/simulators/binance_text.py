"""Numbers and messages as the venue writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from depthscope.market.events import PRICE_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depthscope.market.instruments import Instrument

__all__ = ["Numbers", "decimal_text", "encode", "places_of", "wrapped"]

_MOST_CACHED: Final = 65_536

encode: Final = msgspec.json.Encoder().encode


def wrapped(stream: str, payload: bytes) -> bytes:
    """One message of a combined connection."""
    return b'{"stream":' + encode(stream) + b',"data":' + payload + b"}"


def places_of(step: int) -> int:
    """Decimals needed to print any multiple of `step` (1e-9)."""
    places = 9
    while places and step % 10 == 0:
        step //= 10
        places -= 1
    return places


def decimal_text(fixed: int, places: int) -> str:
    """Exact text of a 1e-9 integer with at least `places` decimals, more where it needs them."""
    whole, part = divmod(abs(fixed), PRICE_SCALE)
    digits = f"{part:09d}"
    kept = max(places, len(digits.rstrip("0")))
    sign = "-" if fixed < 0 else ""
    return f"{sign}{whole}.{digits[:kept]}" if kept else f"{sign}{whole}"


def precision(tick: int) -> int:
    """Decimals in which prices on a tick (1e-9) are told."""
    return min(places_of(tick) + 1, 8)


class Numbers:
    """Prices and sizes of one instrument as text.

    Prices have a decimal more than the tick needs, as most of the venue's do: BTCUSDT moves by 0.10
    and is told as 61800.20. exchangeInfo tells that number as ``pricePrecision``.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.lot = instrument.lot
        self.price_places = precision(instrument.tick)
        self.size_places = places_of(instrument.lot)
        self._prices: dict[int, str] = {}
        self._sizes: dict[int, str] = {}

    def price(self, fixed: int) -> str:
        """Text of a price in 1e-9 units."""
        text = self._prices.get(fixed)
        if text is None:
            if len(self._prices) >= _MOST_CACHED:
                self._prices.clear()
            text = self._prices[fixed] = decimal_text(fixed, self.price_places)
        return text

    def size(self, lots: int) -> str:
        """Text of a number of lots."""
        text = self._sizes.get(lots)
        if text is None:
            if len(self._sizes) >= _MOST_CACHED:
                self._sizes.clear()
            text = self._sizes[lots] = decimal_text(lots * self.lot, self.size_places)
        return text

    def levels(self, levels: Iterable[tuple[int, int]]) -> list[list[str]]:
        """Text of (price, lots) pairs."""
        return [[self.price(price), self.size(lots)] for price, lots in levels]


def filters(tick: int, lot: int) -> list[dict[str, Any]]:
    """Filters of exchangeInfo for a price and a size increment (1e-9)."""
    price, size = precision(tick), places_of(lot)

    def step(n: int, unit: int, places: int) -> str:
        return decimal_text(n * unit, places)

    return [
        {
            "filterType": "PRICE_FILTER",
            "maxPrice": step(20_000_000, tick, price),
            "minPrice": step(1, tick, price),
            "tickSize": step(1, tick, price),
        },
        {
            "filterType": "LOT_SIZE",
            "maxQty": step(1_000_000, lot, size),
            "minQty": step(1, lot, size),
            "stepSize": step(1, lot, size),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "maxQty": step(120_000, lot, size),
            "minQty": step(1, lot, size),
            "stepSize": step(1, lot, size),
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "50"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierDecimal": "4",
            "multiplierDown": "0.9500",
            "multiplierUp": "1.0500",
        },
    ]
