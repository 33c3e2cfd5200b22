"""Lee and Ready's rules, one trade at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from depthscope.market import events as ev

KEPT = 64  # quotes of different prices that are looked back at

Quote = tuple[int, int] | None  # bid and ask, where both are there and in order


@dataclass
class LeeReady:
    """Signs trades whose side nobody told, by the quote before them and the prices of those before them."""

    prices: list[int] = field(default_factory=list)  # of trades that can be the last price, gaps apart
    quotes: list[tuple[int, Quote]] = field(default_factory=list)  # with their venue times, as received

    def gap(self) -> None:
        """Trades were missed."""
        self.prices = []

    def quote(self, ts_event: int, quote: Quote, *, restart: bool) -> None:
        """Take what a group left quoted; after a restart nothing before it is a quote."""
        if restart:
            self.quotes = []
        if not self.quotes or self.quotes[-1][1] != quote:
            self.quotes.append((ts_event, quote))

    def before(self, ts_event: int) -> Quote:
        """The latest quote of an earlier venue time."""
        return next((quote for ts, quote in reversed(self.quotes[-KEPT:]) if ts < ts_event), None)

    def tick(self, price: int) -> int:
        """1 when the last different price is lower, -1 when it is higher, 0 without one."""
        different = next((other for other in reversed(self.prices) if other != price), None)
        return 0 if different is None else 1 if price > different else -1

    def side(self, ts_event: int, price: int, told: int, cond: int, *, live: bool = True) -> int:
        """Side of a trade: the one told, else buy, sell or none."""
        way = self.tick(price)
        if not cond & ev.COND_NOT_LAST:
            self.prices.append(price)
        quote = self.before(ts_event)
        if told in (ev.BID, ev.ASK) or cond & ev.COND_LATE or not live or quote is None:
            return told
        if 2 * price != sum(quote):
            way = 1 if 2 * price > sum(quote) else -1
        return {1: ev.BID, -1: ev.ASK, 0: told}[way]
