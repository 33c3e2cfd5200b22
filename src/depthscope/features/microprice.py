"""Microprice: the mid plus what the imbalance at the best prices and the spread say of its next moves.

``microprice = mid + a·tick`` with a from a fitted table over states (imbalance bucket × spread), of which
Stoikov (2018) shows that it is the limit of expected future mids. With n buckets (odd) the bucket of a row is
⌊n·q_bid / (q_bid + q_ask)⌋ where the bid is the smaller, and its mirror image where the ask is; the
spread is that in whole ticks, the table's last line serving all wider ones.

``microprice_fitted`` is FITTED where a table was used. Where there is none for the instrument, the spread
is not positive, or the state never occurred in the data it was fitted on, ``microprice`` is
``weighted_mid`` and the label says WEIGHTED_MID. NaN and null when a side is empty.

The table comes from the setting ``microprice``: a `Microprice`, as `depthscope.research.microprice.fit`
makes it and `depthscope.research.microprice.load` reads it from a file. Without the setting nothing is
fitted. Tables know instruments by their symbols. Sizes and prices are those of displayed orders; a table
tells of the market and time it was fitted on, which it names.

How good it is, on the E-mini S&P 500 future ESH4 of 25 December 2023, fitted on 23:00:30 to 23:30 UTC and
measured on the half hour after it, in ticks: its own mean change over the next second, root mean square
over states of imbalance and spread, is 0.028 (weighted mid 0.046, mid 0.134), so it is nearer to a
martingale; the mean of the mid 10 s later less it is 0.141 (0.152, 0.202). The spread of single outcomes
hardly shrinks (0.734 against 0.747 of the mid over 10 s): it removes what is predictable in a quote, and
that is little.

Source: Stoikov (2018), "The micro-price: a high-frequency estimator of future prices".
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import InputError
from depthscope.features.kit import NAN, Column, Fitted, column, frame_of, infos, sample_rows
from depthscope.jit import Int, carray, njit
from depthscope.market.instruments import Capability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

MOST_BUCKETS: Final = 33
MOST_SPREADS: Final = 8
KIND: Final = "depthscope microprice 1"


@dataclass(frozen=True, slots=True)
class MicropriceTable:
    """Adjustments of one instrument, and what they were fitted on.

    Attributes
    ----------
    symbol : str
    adjustments : tuple of tuple
        In ticks: a line a spread (1, 2, … ticks, the last one for all wider), a number a bucket of
        imbalance, from few to many bids; None where the state never occurred.
    states, moves : int
        Pairs of consecutive book states it was fitted on, and those of them in which the mid moved.
    start, end : int
        Time of the first and last state, UTC ns.
    iterations : int
        Number of terms of the sum.
    """

    symbol: str
    adjustments: tuple[tuple[float | None, ...], ...]
    states: int
    moves: int
    start: int
    end: int
    iterations: int

    def __post_init__(self) -> None:
        lengths = {len(line) for line in self.adjustments}
        n = max(lengths, default=0)
        if len(lengths) != 1 or n % 2 == 0 or n > MOST_BUCKETS or len(self.adjustments) > MOST_SPREADS:
            raise InputError(
                f"The microprice table of {self.symbol} has {len(self.adjustments)} lines of "
                f"{sorted(lengths)} numbers; it needs 1 to {MOST_SPREADS} lines of one odd length up to "
                f"{MOST_BUCKETS}."
            )
        if not all(value is None or isfinite(value) for line in self.adjustments for value in line):
            raise InputError(f"The microprice table of {self.symbol} holds what is no finite number.")


@dataclass(frozen=True, slots=True)
class Microprice(Fitted):
    """Tables of some instruments, given to a run as the setting ``microprice``.

    Attributes
    ----------
    tables : tuple of MicropriceTable
    source : str
        What they were fitted on, in words.
    """

    tables: tuple[MicropriceTable, ...]
    source: str = ""

    def table(self, symbol: str) -> MicropriceTable | None:
        """Table of an instrument, None where there is none."""
        return next((table for table in self.tables if table.symbol == symbol), None)

    def to_json(self) -> str:
        """Text to keep."""
        return json.dumps({"kind": KIND, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Microprice:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            When the text is something else.
        """
        try:
            found = json.loads(text)
            if found.pop("kind") != KIND:
                raise ValueError
            tables = [
                MicropriceTable(**{**table, "adjustments": tuple(map(tuple, table["adjustments"]))})
                for table in found["tables"]
            ]
            return cls(tuple(tables), str(found["source"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"This is no microprice file of ours ({KIND!r}); fit one and save it with "
                "depthscope.research.microprice."
            ) from error


REQUIRES = Capability.L1
SETTINGS = {"microprice": Microprice}
STATE = np.dtype(
    [("buckets", "i8"), ("spreads", "i8"), ("table", "f8", (MOST_SPREADS, MOST_BUCKETS))]  # 0: not fitted
)
OUT = (
    Column("microprice", "price"),
    Column("microprice_fitted", "label", labels=("WEIGHTED_MID", "FITTED")),
)


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, Any]) -> None:
    """Take the table of one instrument, if there is one."""
    model = settings["microprice"]
    table = None if model is None else model.table(instrument.symbol)
    if table is not None:
        lines = np.array(table.adjustments, float)  # None becomes NaN
        record["spreads"], record["buckets"] = lines.shape
        record["table"][: lines.shape[0], : lines.shape[1]] = lines


@njit
def bucket_of(bid_size: Int, ask_size: Int, buckets: Int) -> Int:
    """Bucket of imbalance, from 0 (no bids) on: that of mirrored sizes is the mirrored one."""
    total = float(bid_size) + float(ask_size)
    if bid_size <= ask_size:
        return np.int64(buckets * bid_size / total)
    return buckets - 1 - np.int64(buckets * ask_size / total)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows, info = sample_rows(ctx), infos(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    price, fitted = column(ctx, out, 0), column(ctx, out, 1)
    for j in range(n):
        r = rows[j]
        if not (r.n_bid and r.n_ask):
            price[j] = fitted[j] = NAN
            continue
        s = states[r.slot]
        bid, ask = r.bid_price[0], r.ask_price[0]
        q_bid, q_ask = r.bid_size[0], r.ask_size[0]
        ticks = (ask - bid) // info[r.slot].tick_fixed
        adjustment = NAN
        if s.buckets and ticks > 0:
            adjustment = s.table[min(ticks, s.spreads) - 1, bucket_of(q_bid, q_ask, s.buckets)]
        if isnan(adjustment):
            price[j] = (bid * float(q_ask) + ask * float(q_bid)) / (float(q_bid) + float(q_ask)) / 1e9
            fitted[j] = 0.0
        else:
            price[j] = (bid + ask) / 2e9 + adjustment * info[r.slot].tick
            fitted[j] = 1.0
    return n
