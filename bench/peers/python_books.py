"""Order books in Python as they are usually written: two dicts, SortedDict, a C sorted dict.

All keep an order dict and price -> size maps and take their columns as plain lists, the fastest form for a
Python loop. They read the book at LAST, where its groups end; two of them also after every event, as programs
do that know of no groups.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from bench.contestant import Contestant, Final, Job

if TYPE_CHECKING:
    from bench.data import Inputs

ADD, CANCEL, MODIFY, CLEAR = (ord(letter) for letter in "ACMR")
BID = ord("B")
TOP = 5


class _ListInput(Contestant):
    """Columns as lists, one pass of zip."""

    every_event: ClassVar[bool] = False  # read the book after every event, groups or not

    def load(self, inputs: Inputs, job: Job) -> int:
        events = inputs.events(job.stream, job.tiles, job.total)
        names = ("action", "side", "order_id", "price", "size", "flags")
        self.columns = [events[name].tolist() for name in names]
        self.orders: dict[int, tuple[Any, int, int]] = {}
        return len(events)

    def rows(self) -> Any:
        return zip(*self.columns, strict=True)


class SortedDictBook(_ListInput):
    """An order dict and a SortedDict a side: the usual exact Python book."""

    title = "SortedDict"
    work = "apply; best prices, weighted mid, top-5 imbalance and OFI at every LAST"
    package = "sortedcontainers"

    def setup(self) -> None:
        from sortedcontainers import SortedDict

        self.orders = {}
        # Bids are keyed by minus the price: the best of either side is its first item.
        self.bids, self.asks = SortedDict(), SortedDict()
        self.totals = (0, 0.0, 0.0)

    def run(self) -> None:
        orders, bids, asks, always = self.orders, self.bids, self.asks, self.every_event
        ofi, imbalance_sum, mid_sum = 0, 0.0, 0.0
        bid_before = ask_before = size_bid_before = size_ask_before = 0
        compare = False
        for action, side, order_id, price, size, flags in self.rows():
            if action == ADD:
                book, key = (bids, -price) if side == BID else (asks, price)
                orders[order_id] = (book, key, size)
                book[key] = book.get(key, 0) + size
            elif action == CANCEL:
                if order_id in orders:
                    book, key, had = orders[order_id]
                    gone = min(size, had)
                    if gone == had:
                        del orders[order_id]
                    else:
                        orders[order_id] = (book, key, had - gone)
                    left = book[key] - gone
                    if left:
                        book[key] = left
                    else:
                        del book[key]
            elif action == MODIFY:
                if order_id in orders:
                    book, key, had = orders[order_id]
                    left = book[key] - had
                    if left:
                        book[key] = left
                    else:
                        del book[key]
                book, key = (bids, -price) if side == BID else (asks, price)
                orders[order_id] = (book, key, size)
                book[key] = book.get(key, 0) + size
            elif action == CLEAR:
                orders.clear()
                bids.clear()
                asks.clear()
                compare = False
            if always or flags & 128:
                if bids and asks:
                    bid_keys, ask_keys = list(islice(bids, TOP)), list(islice(asks, TOP))
                    bid, ask = -bid_keys[0], ask_keys[0]
                    bid_sizes, ask_sizes = [bids[k] for k in bid_keys], [asks[k] for k in ask_keys]
                    bid_size, ask_size = bid_sizes[0], ask_sizes[0]
                    deep_bid, deep_ask = sum(bid_sizes), sum(ask_sizes)
                    imbalance_sum += (deep_bid - deep_ask) / (deep_bid + deep_ask)
                    mid_sum += (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
                    if compare:
                        if bid >= bid_before:
                            ofi += bid_size
                        if bid <= bid_before:
                            ofi -= size_bid_before
                        if ask <= ask_before:
                            ofi -= ask_size
                        if ask >= ask_before:
                            ofi += size_ask_before
                    bid_before, ask_before, size_bid_before, size_ask_before = bid, ask, bid_size, ask_size
                    compare = True
                else:
                    compare = False
        self.totals = (ofi, imbalance_sum, mid_sum)

    def final(self) -> Final:
        bids, asks = self.bids, self.asks
        key, bid_size = bids.peekitem(0)
        ask, ask_size = asks.peekitem(0)
        ofi, imbalance, mid = self.totals
        return Final(
            -key, ask, bid_size, ask_size, sum(bids.values()), sum(asks.values()), len(bids), len(asks),
            len(self.orders), ofi, imbalance, mid,
        )  # fmt: skip


class SortedDictEveryEvent(SortedDictBook):
    """The same, read after every event: for programs that do not know of groups."""

    work = "apply; best prices, weighted mid, top-5 imbalance and OFI at every event"
    every_event = True

    def final(self) -> Final:
        return replace(super().final(), ofi=None, imbalance5=None, weighted_mid=None)


class NaiveBook(_ListInput):
    """Two plain dicts, sorted whenever the book is read."""

    title = "two dicts, sort on read"
    work = "apply; best prices, weighted mid, top-5 imbalance and OFI at every LAST"

    def setup(self) -> None:
        self.orders = {}
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.totals = (0, 0.0, 0.0)

    def run(self) -> None:
        orders, bids, asks, always = self.orders, self.bids, self.asks, self.every_event
        ofi, imbalance_sum, mid_sum = 0, 0.0, 0.0
        before: tuple[int, int, int, int] | None = None
        for action, side, order_id, price, size, flags in self.rows():
            if action in (CANCEL, MODIFY) and order_id in orders:
                book, key, had = orders[order_id]
                gone = had if action == MODIFY else min(size, had)
                if gone == had:
                    del orders[order_id]
                else:
                    orders[order_id] = (book, key, had - gone)
                book[key] -= gone
                if not book[key]:
                    del book[key]
            if action in (ADD, MODIFY):
                book = bids if side == BID else asks
                orders[order_id] = (book, price, size)
                book[price] = book.get(price, 0) + size
            elif action == CLEAR:
                orders.clear()
                bids.clear()
                asks.clear()
                before = None
            if always or flags & 128:
                best_bids = sorted(bids, reverse=True)[:TOP]
                best_asks = sorted(asks)[:TOP]
                if best_bids and best_asks:
                    bid, ask = best_bids[0], best_asks[0]
                    bid_size, ask_size = bids[bid], asks[ask]
                    deep_bid = sum(bids[p] for p in best_bids)
                    deep_ask = sum(asks[p] for p in best_asks)
                    imbalance_sum += (deep_bid - deep_ask) / (deep_bid + deep_ask)
                    mid_sum += (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
                    if before is not None:
                        ofi += (bid >= before[0]) * bid_size - (bid <= before[0]) * before[2]
                        ofi += (ask >= before[1]) * before[3] - (ask <= before[1]) * ask_size
                    before = (bid, ask, bid_size, ask_size)
                else:
                    before = None
        self.totals = (ofi, imbalance_sum, mid_sum)

    def final(self) -> Final:
        bids, asks = self.bids, self.asks
        bid, ask = max(bids), min(asks)
        ofi, imbalance, mid = self.totals
        return Final(
            bid, ask, bids[bid], asks[ask], sum(bids.values()), sum(asks.values()), len(bids), len(asks),
            len(self.orders), ofi, imbalance, mid,
        )  # fmt: skip


class NaiveEveryEvent(NaiveBook):
    """The same, sorted after every event."""

    work = "apply; best prices, weighted mid, top-5 imbalance and OFI at every event"
    every_event = True

    def final(self) -> Final:
        return replace(super().final(), ofi=None, imbalance5=None, weighted_mid=None)


class OrderBookPackage(_ListInput):
    """The `order-book` package: sorted dicts in C. Orders are kept beside it, levels inside."""

    title = "order-book (C)"
    work = "apply; best prices at every LAST"
    package = "order_book"

    def setup(self) -> None:
        from order_book import OrderBook

        self.orders = {}
        self.book = OrderBook()

    def run(self) -> None:
        from order_book import OrderBook

        orders = self.orders
        bids, asks = self.book.bids, self.book.asks
        for action, side, order_id, price, size, flags in self.rows():
            if action == ADD:
                book = bids if side == BID else asks
                orders[order_id] = (book, price, size)
                book[price] = book[price] + size if price in book else size
            elif action == CANCEL:
                if order_id in orders:
                    book, key, had = orders[order_id]
                    gone = min(size, had)
                    if gone == had:
                        del orders[order_id]
                    else:
                        orders[order_id] = (book, key, had - gone)
                    left = book[key] - gone
                    if left:
                        book[key] = left
                    else:
                        del book[key]
            elif action == MODIFY:
                if order_id in orders:
                    book, key, had = orders[order_id]
                    left = book[key] - had
                    if left:
                        book[key] = left
                    else:
                        del book[key]
                book = bids if side == BID else asks
                orders[order_id] = (book, price, size)
                book[price] = book[price] + size if price in book else size
            elif action == CLEAR:
                orders.clear()
                self.book = OrderBook()
                bids, asks = self.book.bids, self.book.asks
            if flags & 128:
                bids.index(0)
                asks.index(0)

    def final(self) -> Final:
        bids, asks = self.book.bids.to_dict(), self.book.asks.to_dict()
        bid, bid_size = self.book.bids.index(0)
        ask, ask_size = self.book.asks.index(0)
        return Final(
            bid, ask, bid_size, ask_size, sum(bids.values()), sum(asks.values()), len(bids), len(asks),
            len(self.orders),
        )  # fmt: skip
