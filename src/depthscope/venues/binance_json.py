"""The slow, complete reading of Binance messages: what the byte scanner is not sure about.

Decides whether a message is usable, skippable or damaged, by the same rules as the scanner:
numbers are strings of plain decimal digits, taken exactly or not at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from depthscope.market.events import ASK, BID, LEVEL, UNDEF_PRICE
from depthscope.venues import binance_layout as b

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]

# Events of the venue that say nothing about book or tape. Any other name is counted as one
# reason, so that a hostile feed cannot grow the table of reasons.
NO_BOOK_EVENT: Final = frozenset({
    "24hrMiniTicker", "24hrTicker", "assetIndexUpdate", "compositeIndex", "continuous_kline", "contractInfo",
    "forceOrder", "indexPriceUpdate", "kline", "markPriceUpdate", "tradingSession",
})  # fmt: skip
_DECIMAL: Final = re.compile(rf"[0-9]+(?:\.[0-9]{{1,{b.DECIMALS}}})?", re.ASCII)
_FULL_BOOK: Final = re.compile(r"@(rpiDepth|depth[0-9])", re.IGNORECASE)


class Skipped(Exception):
    """The message is sound but carries no event; the text is the reason counted."""


class Rejected(Exception):
    """The message is damaged or absurd; the text is the reason counted."""


def envelope(frame: bytes) -> dict[str, Any]:
    """Return the message of a frame, out of its combined-stream wrapper if it has one.

    Raises
    ------
    Rejected
        When the frame is not a JSON object.
    Skipped
        When its stream repeats the whole book (``@depth5``, ``@rpiDepth``).
    """
    try:
        message = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed JSON") from error
    if not isinstance(message, dict):
        raise Rejected("not a JSON object")
    data = message.get("data")
    if "data" not in message:
        return message
    stream = message.get("stream", "")
    if isinstance(stream, str) and (found := _FULL_BOOK.search(stream)):
        raise Skipped("partial depth stream" if found[1].lower().startswith("depth") else "RPI depth stream")
    if isinstance(data, list):
        raise Skipped("list of summaries")
    if not isinstance(data, dict):
        raise Rejected("not a JSON object")
    return data


def symbol_of(message: dict[str, Any], key: str = "s") -> str:
    """Symbol of a message.

    Raises
    ------
    Rejected
        When there is none, or no name a venue would use.
    """
    name = message.get(key)
    if not isinstance(name, str) or not name.isprintable() or " " in name:
        raise Rejected("bad symbol")
    if not 1 <= len(name.encode()) <= b.SYMBOL_BYTES:
        raise Rejected("bad symbol")
    return name


def whole(message: dict[str, Any], key: str) -> int:
    """Return an update id or trade id.

    Raises
    ------
    Rejected
        When it is not an unsigned integer of at most 18 digits.
    """
    value: object = message.get(key)
    if type(value) is not int or not 0 <= value < 10**b.DIGITS:
        raise Rejected("bad id")
    return value


def when(message: dict[str, Any], ts_recv: int) -> int:
    """Venue time in ns: `T` (matching engine), else `E` (sent), else the receive time.

    Raises
    ------
    Rejected
        When a time is there but is no millisecond count.
    """
    for key in ("T", "E"):
        value = message.get(key, 0)
        if type(value) is not int or not 0 <= value <= b.MOST_MS:
            raise Rejected("bad time")
        if value:
            return value * b.NS_A_MS
    return ts_recv


def sent(message: dict[str, Any], ts_recv: int) -> int:
    """Time in ns a message was sent (`E`), else the receive time: for messages whose `T` is no past time.

    Raises
    ------
    Rejected
        When it is no millisecond count.
    """
    return when({"E": message.get("E", 0)}, ts_recv)


def _digits(text: object, what: str) -> int:
    """1e-9 integer of a decimal string."""
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise Rejected(f"bad {what}")
    head, _, tail = text.partition(".")
    if len(head) + len(tail) > b.DIGITS:
        raise Rejected(f"bad {what}")
    scale: int = 10 ** (b.DECIMALS - len(tail))
    return int(head + tail) * scale


def price(text: object) -> int:
    """Return the exact 1e-9 integer of a price; 0 is allowed here and means none.

    Raises
    ------
    Rejected
        When it is not a plain decimal of at most nine decimals that fits.
    """
    fixed = _digits(text, "price")
    if fixed >= UNDEF_PRICE:
        raise Rejected("bad price")
    return fixed


def lots(text: object, lot: int) -> int:
    """Whole lots of a size.

    Parameters
    ----------
    text : str
        A plain decimal.
    lot : int
        Size increment, 1e-9 units.

    Raises
    ------
    Rejected
        When it is no plain decimal, not a multiple of the lot, or absurdly large.
    """
    count, rest = divmod(_digits(text, "size"), lot)
    if rest:
        raise Rejected("size off the lot grid")
    if count > b.MOST_LOTS:
        raise Rejected("bad size")
    return count


def level_rows(
    sides: tuple[object, object], lot: int, instrument_id: int, publisher: int, flags: int = 0
) -> Rows:
    """Return L rows of the bid and ask lists of a message, without times and sequence.

    Parameters
    ----------
    sides : (bids, asks)
        Lists of ``[price, size, …]``.
    lot : int
        Size increment, 1e-9 units.
    instrument_id, publisher, flags : int
        Go into every row.

    Raises
    ------
    Rejected
        When anything in them is not a level.
    """
    if not all(isinstance(levels, list) for levels in sides):
        raise Rejected("bad level")
    flat: list[tuple[int, int, int]] = []
    for side, levels in zip((BID, ASK), sides, strict=True):
        word7 = b.pack7(publisher, LEVEL, side, flags)
        for level in levels:  # type: ignore[attr-defined]
            if not isinstance(level, list) or len(level) < 2:
                raise Rejected("bad level")
            fixed = price(level[0])
            if fixed == 0:
                raise Rejected("bad price")
            flat.append((fixed, lots(level[1], lot), word7))
    rows = np.zeros((len(flat), 8), np.int64)
    if flat:
        rows[:, [3, 4, 7]] = flat
        rows[:, 6] = b.pack6(instrument_id)
    return rows


def definitions(message: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Ticks and lots of an ``exchangeInfo`` reply: symbol -> {tick, lot}, 1e-9 units.

    Symbols whose filters are missing or unreadable are left out.
    """
    found: dict[str, dict[str, int]] = {}
    entries = message.get("symbols")
    for entry in entries if isinstance(entries, list) else []:
        try:
            filters = {f["filterType"]: f for f in entry["filters"]}
            tick = _digits(filters["PRICE_FILTER"]["tickSize"], "price")
            lot = _digits(filters["LOT_SIZE"]["stepSize"], "size")
            name = symbol_of(entry, "symbol")
        except (KeyError, TypeError, Rejected):
            continue
        if tick > 0 and lot > 0:
            found[name] = {"tick": tick, "lot": lot}
    return found
