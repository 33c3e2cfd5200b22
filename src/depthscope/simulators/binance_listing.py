"""One listed contract: its book, its ids, its tape, and the messages that tell of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from depthscope.market import events as ev
from depthscope.market.instruments import to_fixed
from depthscope.simulators.binance_books import ASKS, BIDS, Best, Book, Row
from depthscope.simulators.binance_rules import DAY, MS, Chance, Rules
from depthscope.simulators.binance_text import Numbers, decimal_text, filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from depthscope.market.instruments import Instrument

__all__ = ["DEPTH_PERIODS", "Aggregate", "Listing", "Message", "Snapshot"]

DEPTH_PERIODS: Final = (100 * MS, 250 * MS, 500 * MS)  # one window of the book each
FUNDING: Final = DAY // 3
_EIGHT: Final = 8  # decimals of mark prices
_QUOTES: Final = ("USDT", "USDC", "BUSD", "USD")

Message = dict[str, Any]


@dataclass(slots=True)
class _Window:
    """Where the depth stream of one speed stands."""

    previous: int  # `u` of its last message
    first: int = 0  # id of the first change since, 0: none
    count: int = 0  # messages it has made


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a book.

    Attributes
    ----------
    last_id : int
        ``lastUpdateId``.
    changed : int
        Time of the last change, exchange ns.
    bids, asks : dict
        Price (1e-9) to lots.
    """

    last_id: int
    changed: int
    bids: dict[int, int]
    asks: dict[int, int]


class Listing:
    """A contract as the exchange keeps it.

    Parameters
    ----------
    name : str
        Under which it is listed.
    instrument : Instrument
    seed : int
        Its ids jump by seeded steps.
    rules : Rules
    now : int
        Exchange time of its listing, ns.

    Attributes
    ----------
    streams : str
        What the names of its streams begin with.
    status : str
        Contract status; ``TRADING`` in ordinary times.
    closed : bool
        Delisted: its book stands still and is told to nobody.
    trades : deque of Aggregate
        Aggregate trades told so far, the most recent ones.
    tape_count : int
        How many there have been.
    """

    def __init__(self, name: str, instrument: Instrument, seed: int, rules: Rules, now: int) -> None:
        self.name, self.instrument = name, instrument
        self.streams = name.lower()
        self.numbers = Numbers(instrument)
        self.book = Book(len(DEPTH_PERIODS), instrument.allows_negative)
        self.status, self.closed = "TRADING", False
        self.tick = instrument.tick
        self.listed = now
        self._rules = rules
        self._chance = Chance(seed, name)
        self.last_id = 1_000_000_000_000 + self._chance.below(10**9)
        self.changed = now
        self.windows = [_Window(self.last_id) for _ in DEPTH_PERIODS]
        self.trades: deque[Aggregate] = deque(maxlen=rules.history_rows)
        self.tape_count = 0
        self._fresh: list[Aggregate] = []  # complete, and not told yet
        self._trade_id = 10_000_000 + self._chance.below(10**6)
        self._aggregate_id = 1_000_000 + self._chance.below(10**5)
        self._open: Aggregate | None = None
        self._told: tuple[Best, Best] = (None, None)
        self._mark, self._average = 0, 0

    # ── the market moves ──

    def begin(self, now: int) -> None:
        """Begin at an exchange time with the book as it is: nothing of it is news."""
        self.listed = self.changed = now
        for touched in self.book.touched:
            touched.clear()

    def mark_changed(self, now: int) -> None:
        """Give the book, just changed, its next id."""
        self.last_id += 1 + self._chance.below(40)
        self.changed = now
        for window in self.windows:
            if not window.first:
                window.first = self.last_id

    def quoted(self) -> bool:
        """Whether the best bid and ask differ from those of the last call."""
        best = (self.book.best(BIDS), self.book.best(ASKS))
        if best == self._told:
            return False
        self._told = best
        bid, ask = best
        if bid is not None and ask is not None:
            self._mark = (bid[0] + ask[0]) // 2
            self._average += (self._mark - self._average) // 64 if self._average else self._mark
        return True

    def trade(self, row: Row, now: int) -> None:
        """Take a trade: it continues the aggregate being gathered, or closes it."""
        price, lots, cond, side = row[3], row[4], row[9], row[11]
        if cond & ev.COND_OFF_BOOK or lots <= 0 or price == ev.UNDEF_PRICE:
            return  # insurance fund, auto-deleveraging, reports from elsewhere: not on this tape
        if side == ev.NO_SIDE:
            bid = self.book.best(BIDS)
            maker = bid is not None and price <= bid[0]
        else:
            maker = side == ev.ASK  # the buyer was the maker: a seller took
        self._trade_id += 1
        open_ = self._open
        if open_ is not None and (open_.price, open_.maker) != (price, maker):
            self.close_trades()
            open_ = None
        if open_ is None:
            open_ = self._open = Aggregate(price, maker, self._trade_id)
        open_.lots += lots
        if self._rules.rpi:
            open_.hidden += self._chance.below(lots + 1) if self._chance.below(4) == 0 else 0
        open_.last, open_.time = self._trade_id, now

    def close_trades(self) -> None:
        """Close the aggregate being gathered: its 100 ms are over, or another price or side came."""
        made = self._open
        if made is None:
            return
        self._open = None
        self._aggregate_id += 1
        made.number = self._aggregate_id
        self._fresh.append(made)

    def tape(self, stamp: Callable[[int], int]) -> Iterator[Aggregate]:
        """Aggregates not told yet, the one being gathered included; `stamp` gives the venue's ms."""
        self.close_trades()
        fresh, self._fresh = self._fresh, []
        for made in fresh:
            made.stamp = stamp(made.time)
            self.trades.append(made)
            self.tape_count += 1
            yield made

    def told(self, trade: Aggregate) -> Message:
        """An aggregate trade as history and stream tell it."""
        text = self.numbers
        return {
            "a": trade.number, "p": text.price(trade.price), "q": text.size(trade.lots + trade.hidden),
            "nq": text.size(trade.lots), "f": trade.first, "l": trade.last, "T": trade.stamp,
            "m": trade.maker,
        }  # fmt: skip

    # ── messages ──

    def keys(self, *, pair: bool = False) -> Message:
        """Keys added in 2026: the kind of contract, on streams of the book its pair too."""
        if not self._rules.extra_keys:
            return {}
        return {"ps": self.name, "st": 1} if pair else {"st": 1}

    def depth(self, window: int, now: int, changed: int) -> Message | None:
        """Difference since the last message of a window (E and T in ms); None when nothing changed."""
        state, touched = self.windows[window], self.book.touched[window]
        if not state.first:
            return None
        bids = sorted(price for side, price in touched if side == BIDS)  # upwards, as the venue has it
        asks = sorted(price for side, price in touched if side == ASKS)
        has_bid, has_ask = self.book.sides
        message = {
            "e": "depthUpdate", "E": now, "T": changed, "s": self.name,
            "U": state.first, "u": self.last_id, "pu": state.previous,
            "b": self.numbers.levels((price, has_bid.get(price, 0)) for price in bids),
            "a": self.numbers.levels((price, has_ask.get(price, 0)) for price in asks),
            **self.keys(pair=True),
        }  # fmt: skip
        self.pass_over(window)
        return message

    def pass_over(self, window: int) -> None:
        """Go on as if the difference of a window had been told."""
        state = self.windows[window]
        if state.first:
            self.book.touched[window].clear()
            state.previous, state.first = self.last_id, 0
            state.count += 1

    def partial(self, envelope: Message, levels: int) -> Message:
        """Best levels in the envelope of a difference."""
        return {
            **envelope,
            "b": self.numbers.levels(self.book.top(BIDS, levels)),
            "a": self.numbers.levels(self.book.top(ASKS, levels)),
        }

    def with_rpi(self, envelope: Message) -> Message:
        """Add retail price improvement orders to the levels of a difference."""

        def more(levels: list[list[str]], side: int) -> list[list[str]]:
            book = self.book.sides[side]
            prices = [to_fixed(text) for text, _ in levels]
            return self.numbers.levels((p, book[p] + self.rpi_lots(p) if p in book else 0) for p in prices)

        return {**envelope, "b": more(envelope["b"], BIDS), "a": more(envelope["a"], ASKS)}

    def rpi_lots(self, price: int) -> int:
        """Lots of retail price improvement orders at a level: every seventh tick has some."""
        ticks = price // self.instrument.tick
        return 1 + ticks % 5 if self._rules.rpi and ticks % 7 == 0 else 0

    def ticker(self, now: int, changed: int) -> Message:
        """Best bid and ask, streamed and asked for; a side without orders is all zeros."""
        (bid, bid_lots), (ask, ask_lots) = self.book.best(BIDS) or (0, 0), self.book.best(ASKS) or (0, 0)
        text = self.numbers
        return {
            "e": "bookTicker", "u": self.last_id, "E": now, "T": changed, "s": self.name,
            "b": text.price(bid), "B": text.size(bid_lots),
            "a": text.price(ask), "A": text.size(ask_lots), **self.keys(pair=True),
        }  # fmt: skip

    def mark(self, now: int) -> dict[str, str | int]:
        """Mark and index price, their average, the funding rate and the next funding time (ns)."""
        return {
            "mark": decimal_text(self._mark // 10 * 10, _EIGHT),
            "index": decimal_text((self._mark - self.instrument.tick) // 10 * 10, _EIGHT),
            "average": decimal_text(self._average // 10 * 10, _EIGHT),
            "rate": "0.00010000",
            "next": (now // FUNDING + 1) * FUNDING,
        }

    def snapshot(self) -> Snapshot:
        """Copy the book as it is now."""
        return Snapshot(self.last_id, self.changed, dict(self.book.sides[BIDS]), dict(self.book.sides[ASKS]))

    def published(self, window: int) -> Snapshot:
        """Copy the book as the last message of a window left it."""
        bids, asks = self.book.before(window)
        return Snapshot(self.windows[window].previous, self.changed, bids, asks)

    def info(self, listed: int) -> Message:
        """Entry of exchangeInfo (`listed` in ms)."""
        quote = next((q for q in _QUOTES if self.name.endswith(q) and self.name != q), "USDT")
        base = self.name.removesuffix(quote)
        return {
            "symbol": self.name, "pair": self.name, "contractType": "PERPETUAL",
            "deliveryDate": 4_133_404_800_000, "onboardDate": listed, "status": self.status,
            "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
            "baseAsset": base, "quoteAsset": quote, "marginAsset": quote,
            "pricePrecision": self.numbers.price_places,
            "quantityPrecision": self.numbers.size_places,
            "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN",
            "underlyingSubType": [], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
            "marketTakeBound": "0.05", "maxMoveOrderLimit": 10_000,
            "filters": filters(self.tick, self.instrument.lot),
            "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        }  # fmt: skip


@dataclass(slots=True)
class Aggregate:
    """Fills of one price and taker side within 100 ms, one after the other.

    Attributes
    ----------
    price : int
        1e-9.
    maker : bool
        Whether the buyer was the maker.
    first, last : int
        Trade ids.
    lots, hidden : int
        Filled against the book, and besides against retail price improvement orders.
    time, stamp : int
        Of the last fill: exchange ns, and ms of the venue's clock.
    number : int
        Id of the aggregate.
    """

    price: int
    maker: bool
    first: int
    last: int = 0
    lots: int = 0
    hidden: int = 0
    time: int = 0
    stamp: int = 0
    number: int = 0
