"""Whose trade it was, where the feed does not say: Lee and Ready against the quote before it.

* Quote rule: above mid a buyer took, below mid a seller. The quote is the latest one that was received before
  the trade's group and whose venue time is before the trade's: on many feeds what a trade did to the quote
  arrives before the trade does.
* At mid the tick rule: a price above the last different one is a buyer's, below it a seller's.

The side stays unknown where there is no such quote of both sides (among the latest QUOTES of different
prices since the book was last rebuilt), where it is crossed or the book not LIVE, for trades told late, and
at mid while no price has changed since the first trade or the last gap. Trades that cannot be the last price
(`COND_NOT_LAST`) are signed, but are no tick.

Source: Lee, C. and Ready, M. (1991), "Inferring trade direction from intraday data". How often it is right
is told in docs/NORMALIZATION.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.memory import quotes_of
from depthscope.book.primitives import natural
from depthscope.book.state import QUOTES
from depthscope.jit import Int, njit
from depthscope.market.events import ASK, BID, COND_LATE, COND_NOT_LAST, INFERRED_SIDE, UNDEF_PRICE
from depthscope.market.layouts import LIVE

TS, BEST_BID, BEST_ASK = 0, 1, 2  # columns of a quote


@njit
def forget_ticks(book: Any) -> None:
    """Trades were missed: the last price known is not the one before the next."""
    book.tick_price = UNDEF_PRICE
    book.tick_way = 0


@njit
def keep_quote(m: Int, book: Any, ts_event: Int, restart: bool) -> None:
    """Note the best prices a group left, by its venue time."""
    if restart:
        book.quote_n = 0
    bid = ask = np.int64(UNDEF_PRICE)
    if (
        book.state == LIVE
        and book.top_n[0]
        and book.top_n[1]
        and book.top_price[0, 0] <= book.top_price[1, 0]
    ):
        bid, ask = book.top_price[0, 0], book.top_price[1, 0]
    quotes = quotes_of(m)
    if book.quote_n > 0:
        newest = natural(book.quotes + ((book.quote_n - 1) & (QUOTES - 1)))
        if quotes[newest, BEST_BID] == bid and quotes[newest, BEST_ASK] == ask:
            return
    row = natural(book.quotes + (book.quote_n & (QUOTES - 1)))
    quotes[row, TS], quotes[row, BEST_BID], quotes[row, BEST_ASK] = ts_event, bid, ask
    book.quote_n += 1


@njit
def side_by_quote(m: Int, book: Any, event: Any, way: Int) -> Int:
    """Sign of a trade by the quote before it, 0 where that tells nothing."""
    quotes = quotes_of(m)
    k = book.quote_n - 1
    while k >= 0 and k >= book.quote_n - QUOTES:
        row = natural(book.quotes + (k & (QUOTES - 1)))
        if quotes[row, TS] < event.ts_event:
            bid, ask = quotes[row, BEST_BID], quotes[row, BEST_ASK]
            if bid == UNDEF_PRICE:
                return np.int64(0)
            above = (event.price - bid) - (ask - event.price)
            return way if above == 0 else np.int64(1) if above > 0 else np.int64(-1)
        k -= 1
    return np.int64(0)


@njit
def sign_trade(m: Int, book: Any, event: Any, live: Any) -> None:
    """Give a trade without a side the one it most likely has, flagged INFERRED_SIDE."""
    way = book.tick_way
    if book.tick_price != UNDEF_PRICE and event.price != book.tick_price:
        way = np.int64(1) if event.price > book.tick_price else np.int64(-1)
    if not event.cond & COND_NOT_LAST:
        book.tick_price = event.price
        book.tick_way = way
    if not live or event.side == BID or event.side == ASK or event.cond & COND_LATE:
        return
    sign = side_by_quote(m, book, event, way)
    if sign != 0:
        event.side = np.uint8(BID) if sign > 0 else np.uint8(ASK)
        event.flags = np.uint8(event.flags | INFERRED_SIDE)
