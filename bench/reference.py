"""The judge: the slowest, plainest book there is, read once at the end.

A dict of orders and two dicts of sizes by price. It shares no code with depthscope or with any peer.
"""

from __future__ import annotations

import json
import sys

from bench.contestant import Final
from bench.data import Inputs


def final_state(stream: str, tiles: int, total: int) -> Final:
    """Book after the last event of a stream."""
    events = Inputs().events(stream, tiles, total)
    orders: dict[int, list[int]] = {}
    sizes: dict[int, dict[int, int]] = {ord("B"): {}, ord("A"): {}}

    def change(side: int, price: int, by: int) -> None:
        book = sizes[side]
        book[price] = book.get(price, 0) + by
        if book[price] == 0:
            del book[price]

    names = ("action", "side", "order_id", "price", "size")
    for code, side, order_id, price, size in zip(*(events[name].tolist() for name in names), strict=True):
        action = chr(code)
        if action == "R":
            orders.clear()
            for book in sizes.values():
                book.clear()
        elif action == "A" or (action == "M" and order_id not in orders):
            orders[order_id] = [side, price, size]
            change(side, price, size)
        elif action == "M":
            was = orders[order_id]
            change(was[0], was[1], -was[2])
            orders[order_id] = [side, price, size]
            change(side, price, size)
        elif action == "C" and order_id in orders:
            was = orders[order_id]
            gone = min(size, was[2])
            change(was[0], was[1], -gone)
            was[2] -= gone
            if was[2] == 0:
                del orders[order_id]
    bids, asks = sizes[ord("B")], sizes[ord("A")]
    bid, ask = max(bids), min(asks)
    return Final(
        bid,
        ask,
        bids[bid],
        asks[ask],
        sum(bids.values()),
        sum(asks.values()),
        len(bids),
        len(asks),
        len(orders),
    )


if __name__ == "__main__":
    print(json.dumps(final_state(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).as_dict()))
