"""What consumers of an engine's batches share: rows and messages of an instrument in the order of time.

A message counts from the first row of its instrument with a later time on. So what is made of them
is the same however the stream was cut, as a message may come one batch after the row of its time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from depthscope.detectors.registry import all_detectors
from depthscope.errors import InputError
from depthscope.features.kit import SECOND
from depthscope.market.events import PRICE_SCALE, UNDEF_PRICE
from depthscope.market.layouts import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depthscope.features.batch import Batch

__all__ = ["Moves", "Row", "Said", "Stream", "kind_of"]

RESTING: Final = ("iceberg", "absorption", "hidden")


def kind_of(detector: str) -> str:
    """What a detector of hidden interest is about, by its name: one of `RESTING`, else ``""``."""
    return next((kind for kind in RESTING if kind in detector), "")


@dataclass(frozen=True, slots=True)
class Row:
    """What consumers read of a SAMPLE row; prices are 1e-9 fixed, sizes lots.

    Attributes
    ----------
    ts, slot : int
    bid, ask : int
        Best prices, 0 unless `quoted`.
    quoted : bool
        Whether the book is LIVE and has two sides.
    volume : int
        Traded since the row before.
    traded : int
        Mean price of that, 0 without volume.
    """

    ts: int
    slot: int
    bid: int
    ask: int
    quoted: bool
    volume: int
    traded: int


@dataclass(frozen=True, slots=True)
class Said:
    """What consumers read of a DETECTION record, with words for numbers.

    Attributes
    ----------
    ts, opened, slot, number, phase : int
    detector, label, outcome : str
    side : {"B", "A", ""}
        As the detector says.
    price : int or None
        1e-9 fixed.
    size : int
        Lots.
    """

    ts: int
    opened: int
    slot: int
    number: int
    phase: int
    detector: str
    label: str
    outcome: str
    side: str
    price: int | None
    size: int

    @property
    def buyer(self) -> str:
        """Side of who is behind it: what the label says (``BUYER``, ``SELLER``), else `side`."""
        label = self.label.upper()
        return "B" if "BUYER" in label else "A" if "SELLER" in label else self.side


class Stream:
    """Puts the rows and messages of batches in order.

    Messages wait for a later row of their instrument.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Said]] = {}
        self._known: dict[int, Any] = {}

    def take(self, batch: Batch) -> Iterator[Row | Said]:
        """Yield what a batch brings, an instrument's messages before its first later row.

        Raises
        ------
        InputError
            When the batch has rows without the SAMPLE rows.
        """
        for record in batch.detections:
            said = self._said(record)
            self._waiting.setdefault(said.slot, deque()).append(said)
        if not len(batch):
            return
        if batch.samples is None:
            raise InputError("The rows of this batch are not kept; make the engine with keep_samples=True.")
        for row in _rows(batch.samples):
            waiting = self._waiting.get(row.slot)
            while waiting and waiting[0].ts < row.ts:
                yield waiting.popleft()
            yield row

    def _said(self, record: Any) -> Said:
        self._known = self._known or {d.number: d for d in all_detectors()}
        about, side, price = self._known[int(record["detector"])], int(record["side"]), int(record["price"])
        return Said(
            ts=int(record["ts"]),
            opened=int(record["opened"]),
            slot=int(record["slot"]),
            number=int(record["number"]),
            phase=int(record["phase"]),
            detector=about.name,
            label=about.labels[int(record["label"])],
            outcome=about.outcomes[int(record["outcome"])],
            side=chr(side) if chr(side) in "AB" else "",
            price=None if price == UNDEF_PRICE else price,
            size=int(record["size"]),
        )


def _rows(samples: Any) -> Iterator[Row]:
    """Read SAMPLE rows, a column at a time."""
    quoted = (samples["state"] == LIVE) & (samples["n_bid"] > 0) & (samples["n_ask"] > 0)
    volume = samples["buy_volume"] + samples["sell_volume"] + samples["unknown_volume"]
    lines = (
        samples["ts"].tolist(),
        samples["slot"].tolist(),
        samples["bid_price"][:, 0].tolist(),
        samples["ask_price"][:, 0].tolist(),
        quoted.tolist(),
        volume.tolist(),
        samples["notional"].tolist(),
    )
    for ts, slot, bid, ask, good, lots, notional in zip(*lines, strict=True):
        traded = round(notional / lots * PRICE_SCALE) if lots else 0
        yield Row(ts, slot, bid if good else 0, ask if good else 0, good, lots, traded)


@dataclass(slots=True)
class Moves:
    """Changes of mid from one whole second to the next, over the last so many seconds.

    The mid of a second is that of the last quoted row before its end; a second without one repeats
    the one before. Twice the mid (bid + ask) is what is counted, so that all sums are exact.

    Attributes
    ----------
    window : int
        Seconds.
    moved, squares : int
        Sum of the changes of twice the mid, and of their squares.
    """

    window: int
    moved: int = 0
    squares: int = 0
    _changes: deque[tuple[int, int]] = field(default_factory=deque)
    _first: int | None = None
    _second: int = 0
    _at: int = 0  # twice the mid at the end of the second before
    _now: int = 0

    def row(self, row: Row) -> None:
        """Take a quoted row."""
        second = (row.ts - 1) // SECOND
        if self._first is None:
            self._first, self._second, self._at = second, second, row.bid + row.ask
        if second > self._second:
            change = self._now - self._at
            if change:
                self._changes.append((self._second, change))
                self.moved += change
                self.squares += change * change
            self._second, self._at = second, self._now
            while self._changes and self._changes[0][0] < second - self.window:
                _, old = self._changes.popleft()
                self.moved -= old
                self.squares -= old * old
        self._now = row.bid + row.ask

    @property
    def seconds(self) -> int:
        """How many seconds the sums are over."""
        return 0 if self._first is None else min(self._second - self._first, self.window)
