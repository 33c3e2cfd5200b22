"""An order book as Databento's documentation designs it: messages in per-price lists, SortedDicts of levels.

Written here from that design (orders by id, one list of messages a price in priority order, a SortedDict a
side, sizes summed when a level is read); both best levels are read at every LAST, as the documentation does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.contestant import Contestant, Final, Job

if TYPE_CHECKING:
    from bench.data import Inputs


class DatabentoBook(Contestant):
    """Design of Databento's order book example on its own message objects."""

    title = "Databento's documented design"
    work = "apply message objects; best level of both sides at every LAST"
    package = "databento"

    def load(self, inputs: Inputs, job: Job) -> int:
        import databento

        self.store = databento.DBNStore.from_file(inputs.dbn(job.stream, job.tiles, job.total))
        return sum(1 for _ in self.store)

    def setup(self) -> None:
        from sortedcontainers import SortedDict

        self.messages = list(self.store)  # a book of this design edits its messages: fresh ones for each run
        self.orders: dict[int, Any] = {}
        self.bids, self.asks = SortedDict(), SortedDict()

    def best(self, side: Any, last: int) -> tuple[int, int, int] | None:
        if not side:
            return None
        price, level = side.peekitem(last)
        return price, sum(order.size for order in level), len(level)

    def side(self, letter: str) -> Any:
        return self.bids if letter == "B" else self.asks

    def add(self, message: Any) -> None:
        self.orders[message.order_id] = message
        side = self.side(message.side)
        level = side.get(message.price)
        if level is None:
            side[message.price] = [message]
        else:
            level.append(message)

    def remove(self, order: Any) -> None:
        side = self.side(order.side)
        level = side[order.price]
        for at, other in enumerate(level):
            if other.order_id == order.order_id:
                del level[at]
                break
        if not level:
            del side[order.price]

    def apply(self, message: Any) -> None:
        action = message.action
        if action in ("T", "F", "N"):
            return
        if action == "A":
            self.add(message)
        elif action == "C":
            order = self.orders[message.order_id]
            order.size -= message.size
            if order.size == 0:
                del self.orders[message.order_id]
                self.remove(order)
        elif action == "M":
            order = self.orders.get(message.order_id)
            if order is None:
                self.add(message)
            elif order.price != message.price or message.size > order.size:
                self.remove(order)  # priority is lost
                self.add(message)
            else:
                order.size = message.size
        elif action == "R":
            self.orders.clear()
            self.bids.clear()
            self.asks.clear()

    def run(self) -> None:
        for message in self.messages:
            self.apply(message)
            if message.flags & 128:
                self.best(self.bids, -1)
                self.best(self.asks, 0)

    def final(self) -> Final:
        bid, ask = self.best(self.bids, -1), self.best(self.asks, 0)
        totals = [
            sum(order.size for level in side.values() for order in level) for side in (self.bids, self.asks)
        ]
        if bid is None or ask is None:
            return Final(orders=len(self.orders))
        return Final(
            bid[0], ask[0], bid[1], ask[1], *totals, len(self.bids), len(self.asks), len(self.orders)
        )
