"""What a kind of injection is written with: it sees the recorded book and writes records beside it.

Everything is written between two recorded groups. On an order feed injected orders have ids of their
own, and an injected aggressor takes whole levels, first in line first: what recorded orders rest there is
filled (F) and removed (C) with what was injected. Before the next recorded event that concerns
them they are entered again, in the same order and under their old ids, so that everything the recording
says of them later stays true. (An exchange would give new ids; this is the one liberty taken.) On a
level feed sizes are absolute: while an injected size rests, every recorded size at its price is
shown with it on top, and levels that were taken are set back to what the recording says by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.market import events as ev
from depthscope.research.recording import Recording, other, sign

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from depthscope.research.queue_book import Queue, QueueBook

MICRO: Final = 1_000
MILLI: Final = 1_000_000
BRIEF: Final = 5 * MILLI  # until a level is back that a single trade took
MOST_ORDERS: Final = 150  # in one injected execution
REFRESH: Final = (150 * MILLI, 400 * MILLI)  # until what was taken is entered again

Row = tuple[int, int, int, int, int]  # action, side, order id, price, size


@dataclass(slots=True)
class Rest:
    """An injected order that rests, or an injected size of a level feed.

    Attributes
    ----------
    since, until : int
        Records before which it appeared and was gone; `until` is -1 while it rests.
    """

    side: int
    price: int
    size: int
    order_id: int
    since: int
    until: int = -1


@dataclass(slots=True)
class Taken:
    """Whole levels an injected aggressor took: recorded orders in line, by price, and the size traded."""

    side: int
    queues: list[tuple[int, Queue]]
    size: int = 0


@dataclass(slots=True)
class Written:
    """Injected records, each with the index of the recorded one it comes before."""

    at: list[int] = field(default_factory=list)
    rows: list[tuple[int, ...]] = field(default_factory=list)
    rests: list[Rest] = field(default_factory=list)


class Desk:
    """The means of one seeded run of injections.

    Parameters
    ----------
    recording : Recording
    book : QueueBook
        The recorded book, moved on by whoever runs the desk.
    rng : numpy.random.Generator
    stop : int
        Everything must be over by this receive time.

    Attributes
    ----------
    now, at : int
        Receive time, and index of the first recorded event after it.
    written : Written
    """

    def __init__(self, recording: Recording, book: QueueBook, rng: np.random.Generator, stop: int) -> None:
        self.recording, self.book, self.rng, self.stop = recording, book, rng, stop
        self.by_order = recording.by_order
        self.tick = recording.instrument.tick
        self.now = self.at = 0
        self.written = Written()
        self._clock = 0
        self._ids = int(recording.events["order_id"].max()) + 1

    # ── chance ────────────────────────────────────────────────────────────────────────────

    def between(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`, evenly."""
        return float(self.rng.uniform(low, high))

    def log_between(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`, evenly on a logarithmic scale."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def count(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        return int(self.rng.integers(low, high + 1))

    def side(self) -> int:
        """Return a side of the book."""
        return ev.BID if self.rng.random() < 0.5 else ev.ASK

    def usual_order(self, low: float, high: float) -> int:
        """Size of an order of the stream between two quantiles."""
        return max(1, int(np.quantile(self.recording.order_sizes, self.between(low, high))))

    def usual_trade(self, low: float, high: float) -> int:
        """Size of a trade of the stream between two quantiles."""
        return max(1, int(np.quantile(self.recording.trade_sizes, self.between(low, high))))

    # ── the book and its future ───────────────────────────────────────────────────────────

    def untouched(self, side: int, price: int) -> int:
        """Nanoseconds until the recording next concerns a side at a price or better, or trades into it."""
        recording = self.recording
        if self.by_order:
            index = recording.next_touch(self.at, side, price)
        else:
            index = recording.next_trade(self.at, side)
        return min(recording.time_of(index), self.stop) - self.now

    def unchanged(self, side: int, price: int) -> int:
        """Nanoseconds until the recorded book next changes at a price of `side` or better."""
        recording = self.recording
        return recording.time_of(recording.next_touch(self.at, side, price)) - self.now

    def quiet(self, side: int, low: int, high: int) -> int:
        """Nanoseconds until the recording next concerns a side from `low` to `high`, or may trade there."""
        recording = self.recording
        return min(recording.time_of(recording.next_between(self.at, side, low, high)), self.stop) - self.now

    def front(self, side: int) -> int | None:
        """Price at which an injected order is first in line, or shares the best level."""
        best, far = self.book.prices(side, 1), self.book.prices(other(side), 1)
        if not best or not far:
            return None
        inside = best[0] + sign(side) * self.tick
        if sign(side) * (far[0] - inside) > 0 and self.rng.random() < 0.5:
            return inside
        return best[0]

    # ── writing ───────────────────────────────────────────────────────────────────────────

    def new_id(self) -> int:
        """Return an order id no recorded order has (0 on a level feed)."""
        self._ids += self.by_order
        return self._ids if self.by_order else 0

    def write(self, rows: Sequence[Row], ts_event: int | None = None) -> int:
        """Write a group; returns its venue time, which may be given for several to share it."""
        events = self.recording.events
        last = events[self.at - 1]
        later = self.recording.time_of(self.at)
        # Groups of one moment are a microsecond apart where the recording leaves them room.
        self._clock = min(max(self.now, self._clock + MICRO), max(later, self.now))
        lag = int(last["ts_recv"]) - int(last["ts_event"])
        if ts_event is None:
            ts_event = self._clock - lag
            if not self.by_order:
                ts_event = ts_event // MILLI * MILLI
        flags = int(last["flags"]) & ~ev.SNAPSHOT
        for k, (action, side, order, price, size) in enumerate(rows):
            ending = flags | ev.LAST if k == len(rows) - 1 else 0
            self.written.at.append(self.at)
            self.written.rows.append(
                (
                    ts_event, self._clock, order, price, size, int(last["sequence"]),
                    int(last["instrument_id"]), 0, int(last["publisher"]), 0, action, side, ending, 0,
                )
            )  # fmt: skip
        return ts_event

    def rest(self, side: int, price: int, size: int) -> Rest:
        """Enter an order, or put a size on top of a level."""
        found = Rest(side, price, size, self.new_id(), self.at)
        if self.by_order:
            self.write([(ev.ADD, side, found.order_id, price, size)])
        else:
            self.written.rests.append(found)
            self.write([(ev.LEVEL, side, 0, price, self.book.size(side, price) + size)])
        return found

    def lift(self, rest: Rest) -> None:
        """Take what is left of an injected order away."""
        rest.until = self.at
        if self.by_order:
            self.write([(ev.CANCEL, rest.side, rest.order_id, rest.price, rest.size)])
        else:
            self.write([(ev.LEVEL, rest.side, 0, rest.price, self.book.size(rest.side, rest.price))])

    def prices_to(self, side: int, price: int) -> list[int]:
        """Recorded and given prices of a side from the best to `price`, best first."""
        found = self.book.prices(side, 200)
        way = sign(side)
        return [p for p in found if way * p > way * price] + [price]

    def fits(self, side: int, prices: Sequence[int], time: int) -> bool:
        """Whether the recording leaves whole levels (best first) alone for `time` ns."""
        orders = sum(len(self.book.queue(side, price)) for price in prices)
        return orders <= MOST_ORDERS and self.untouched(side, prices[-1]) > time

    def strike(self, side: int, prices: Sequence[int], own: Rest | None = None) -> Taken:
        """Let one aggressor take whole levels of `side`, best first, and `own` among them for good."""
        taken = Taken(side, [(price, self.book.queue(side, price)) for price in prices])
        aggressor, stamp = self.new_id(), None
        fills: list[Row] = []
        gone: list[Row] = []
        for price, queue in taken.queues:
            line = list(queue)
            if own is not None and own.price == price:
                line.insert(self.book.ahead(side, price, own.since), (own.order_id, own.size))
            total = sum(size for _, size in line)
            trade = (ev.TRADE, other(side), aggressor, price, total)
            taken.size += total
            if self.by_order:
                fills += [trade, *((ev.FILL, side, order, price, size) for order, size in line)]
                gone += [(ev.CANCEL, side, order, price, size) for order, size in line]
            else:
                stamp = self.write([trade], stamp)
        if self.by_order:
            self.write([*fills, *gone])
        if own is not None:
            own.until = self.at
        return taken

    def vanish(self, taken: Taken) -> None:
        """On a level feed, where trades and levels come apart: show what was taken as gone."""
        if not self.by_order:
            self.write([(ev.LEVEL, taken.side, 0, price, 0) for price, _ in taken.queues])

    def withdraw(self, taken: Taken) -> None:
        """Cancel all that rests at some levels, without a trade, until it is given back."""
        if not self.by_order:
            self.vanish(taken)
            return
        for price, queue in taken.queues:
            for order, size in queue:
                self.write([(ev.CANCEL, taken.side, order, price, size)])

    def give_back(self, taken: Taken) -> None:
        """Enter recorded orders again, in the same order; set levels to what the recording says by now."""
        side = taken.side
        if not self.by_order:
            self.write([(ev.LEVEL, side, 0, price, self.book.size(side, price)) for price, _ in taken.queues])
            return
        for price, queue in taken.queues:
            for order, size in queue:
                self.write([(ev.ADD, side, order, price, size)])

    def take(
        self, side: int, prices: Sequence[int], own: Rest | None = None, wait: int = 0
    ) -> Generator[int, None, Taken | None]:
        """Strike, and give back after `wait` ns (0: 150 to 400 ms); None where there is no room for it."""
        wait = wait or int(self.between(*REFRESH))
        if not self.fits(side, prices, wait + 2 * MILLI):
            return None
        taken = self.strike(side, prices, own)
        yield self.now + min(MILLI, wait // 2)
        self.vanish(taken)
        yield self.now + wait
        self.give_back(taken)
        return taken

    def hit(self, rest: Rest, queue: Queue, size: int, shown: int) -> None:
        """Trade all in line before an injected order and `size` of it; then it shows `shown` (0: it goes)."""
        side, price = rest.side, rest.price
        total = size + sum(s for _, s in queue)
        rows: list[Row] = [(ev.TRADE, other(side), self.new_id(), price, total)]
        rows += [(ev.FILL, side, order, price, s) for order, s in (*queue, (rest.order_id, size))]
        rows += [(ev.CANCEL, side, order, price, s) for order, s in queue]
        rows.append(
            (ev.MODIFY, side, rest.order_id, price, shown)
            if shown
            else (ev.CANCEL, side, rest.order_id, price, rest.size)
        )
        self.write(rows)
        rest.size = shown
        if not shown:
            rest.until = self.at

    def print_trade(self, side: int, size: int) -> Generator[int, None, int]:
        """Trade about `size` at the best price of `side` and leave the book as it was; returns the size.

        On an order feed the level is taken, with an order injected at its back for what it lacks. On a
        level feed that order comes and goes between two depth messages: only the trade shows.
        """
        best = self.book.prices(side, 1)
        if not best:
            return 0
        if not self.by_order:
            self.write([(ev.TRADE, other(side), 0, best[0], size)])
            return size
        queue = self.book.queue(side, best[0])
        resting = sum(s for _, s in queue)
        if not self.fits(side, best, 2 * BRIEF):
            return 0
        own = self.rest(side, best[0], size - resting) if size > resting else None
        done = yield from self.take(side, best, own, BRIEF)
        return 0 if done is None else done.size
