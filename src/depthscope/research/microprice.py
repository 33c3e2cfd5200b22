"""Fit of the microprice: expected moves of the mid from each state of imbalance and spread.

The book after each group is in a state x (imbalance bucket × spread, see the feature ``microprice``).
Consecutive LIVE, two-sided, uncrossed books make a transition; each is counted twice, as it was and with
bids and asks exchanged, so that the chain is symmetric. With the probabilities Q of going from x to y
without a move of the mid, T of going from x to y with one, and E the expected move (R·K in the paper), in
ticks:

``G¹ = (1 − Q)⁻¹ E`` is the expected first move from x, ``B = (1 − Q)⁻¹ T`` the state after it, and the
adjustment is ``Σ_{k < iterations} Bᵏ G¹``. Symmetry makes the sum converge.

Source: Stoikov (2018), "The micro-price: a high-frequency estimator of future prices".
"""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from depthscope.api import features_batches, opened
from depthscope.errors import InputError
from depthscope.features.microprice import MOST_BUCKETS, MOST_SPREADS, Microprice, MicropriceTable
from depthscope.market.events import PRICE_SCALE
from depthscope.market.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depthscope.api import Sources

__all__ = ["Microprice", "MicropriceTable", "adjustments", "fit", "load", "save"]

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
COLUMNS: Final = ("best_bid", "best_ask", "bid_size", "ask_size", "spread_ticks")
LEAST_MOVES: Final = 50


def adjustments(stay: F8, move: F8, shift: F8, iterations: int = 6) -> F8:
    """Adjustment of each state, from counts of transitions.

    Parameters
    ----------
    stay, move : array (n, n)
        Number (or probability) of transitions from row to column without and with a move of the mid. No
        state may be left for ever without a move.
    shift : array (n,)
        Sum of the moves of the mid over the transitions from each state.
    iterations : int
        Number of terms.

    Returns
    -------
    array (n,)
        In the unit of `shift`; NaN for states without transitions, or from which no move was ever reached.
    """
    visits = stay.sum(axis=1) + move.sum(axis=1)
    moving = move.sum(axis=1) > 0.0
    for _ in range(len(visits)):
        moving = moving | ((stay > 0.0) & moving).any(axis=1)
    known = np.flatnonzero(moving)
    per_visit = 1.0 / visits[known]
    grid = np.ix_(known, known)
    left = np.eye(len(known)) - stay[grid] * per_visit[:, None]
    first = np.linalg.solve(left, shift[known] * per_visit)
    after = np.linalg.solve(left, move[grid] * per_visit[:, None])
    total, term = np.zeros(len(known)), first
    for _ in range(iterations):
        total, term = total + term, after @ term
    out = np.full(len(visits), np.nan)
    out[known] = total
    return out


class _Chain:
    """Transitions of one instrument, batch after batch."""

    def __init__(self, buckets: int, spreads: int) -> None:
        self.buckets, self.spreads = buckets, spreads
        n = buckets * spreads
        self.stay, self.move, self.shift = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
        self.last: tuple[int, int] | None = None  # state and mid (half ticks) of the latest row, if good
        self.start, self.end = 0, -1

    def add(self, time: I8, columns: dict[str, F8], good: npt.NDArray[np.bool_], tick: float) -> None:
        """Take rows by event."""
        if not len(time):
            return
        if good.any():
            self.start = self.start or int(time[good][0])
            self.end = int(time[good][-1])
        safe = {name: np.where(good, line, 1.0) for name, line in columns.items()}
        bid, ask = safe["bid_size"], safe["ask_size"]
        lesser = np.floor(self.buckets * np.minimum(bid, ask) / (bid + ask)).astype(np.int64)
        bucket = np.where(bid <= ask, lesser, self.buckets - 1 - lesser)
        spread = np.clip(np.rint(safe["spread_ticks"]).astype(np.int64), 1, self.spreads) - 1
        state = spread * self.buckets + bucket
        middle = np.rint((safe["best_bid"] + safe["best_ask"]) / tick).astype(np.int64)
        if self.last is not None:
            state, middle = (
                np.concatenate([[x], y]) for x, y in zip(self.last, (state, middle), strict=True)
            )
            good = np.concatenate([[True], good])
        self.last = (int(state[-1]), int(middle[-1])) if good[-1] else None
        pairs = np.flatnonzero(good[:-1] & good[1:])
        before, after = state[pairs], state[pairs + 1]
        moved = middle[pairs + 1] - middle[pairs]
        np.add.at(self.stay, (before[moved == 0], after[moved == 0]), 1.0)
        np.add.at(self.move, (before[moved != 0], after[moved != 0]), 1.0)
        np.add.at(self.shift, before, moved / 2.0)

    def table(self, symbol: str, iterations: int) -> MicropriceTable:
        """Adjustments by spread and bucket."""
        n = self.buckets * self.spreads
        mirror = np.arange(n).reshape(self.spreads, self.buckets)[:, ::-1].ravel()
        both = np.ix_(mirror, mirror)
        found = adjustments(
            self.stay + self.stay[both],
            self.move + self.move[both],
            self.shift - self.shift[mirror],
            iterations,
        )
        found = (found - found[mirror]) / 2.0  # equal but for rounding
        lines = found.reshape(self.spreads, self.buckets).tolist()
        moves = int(self.move.sum())
        return MicropriceTable(
            symbol=symbol,
            adjustments=tuple(tuple(None if isnan(x) else x for x in line) for line in lines),
            states=int(self.stay.sum()) + moves,
            moves=moves,
            start=self.start,
            end=self.end,
            iterations=iterations,
        )


def fit(
    source: Sources,
    *,
    symbols: Iterable[str] | None = None,
    buckets: int = 9,
    spreads: int = 3,
    iterations: int = 6,
    start: int | None = None,
    end: int | None = None,
) -> Microprice:
    """Fit the microprice of each instrument of a recording.

    Parameters
    ----------
    source : str, Path, list of them, or Source
        What `depthscope.features` takes.
    symbols : iterable of str, optional
        Only these instruments.
    buckets, spreads : int
        Buckets of imbalance (odd, so that balance has one) and spreads told apart (1, 2, … ticks, the last
        one for all wider).
    iterations : int
        Moves of the mid looked ahead.
    start, end : int, optional
        Use books of [start, end) alone, UTC ns of receive time. Use the table on data after `end`.

    Returns
    -------
    Microprice
        For the setting ``microprice``. Instruments whose mid moved fewer than 50 times have no table.

    Raises
    ------
    InputError
        When no instrument has data enough, or a number is out of range.

    Examples
    --------
    >>> from depthscope.research import microprice
    >>> model = microprice.fit("monday.mbo.dbn.zst")                                       # doctest: +SKIP
    >>> table = ds.features("tuesday.mbo.dbn.zst", settings={"microprice": model})          # doctest: +SKIP
    """
    if buckets % 2 == 0 or not 0 < buckets <= MOST_BUCKETS or not 0 < spreads <= MOST_SPREADS:
        raise InputError(
            f"buckets is an odd number up to {MOST_BUCKETS} and spreads one up to {MOST_SPREADS}, "
            f"not {buckets} and {spreads}."
        )
    if iterations < 1:
        raise InputError(f"iterations is at least 1, not {iterations}.")
    chains: dict[str, _Chain] = {}
    wanted = None if symbols is None else frozenset(symbols)
    data = opened(source, {"symbols": wanted})
    for batch in features_batches(data, "event", symbols=wanted, features=["spread"]):
        time: I8 = batch.column("ts_recv").cast("int64").to_numpy()
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in COLUMNS}
        good = (columns["spread_ticks"] > 0.0) & (np.array(batch.column("state").to_pylist()) == "LIVE")
        good &= (time >= (start or 0)) & (time < (2**63 - 1 if end is None else end))
        names = np.array(batch.column("symbol").to_pylist())
        for symbol in dict.fromkeys(names.tolist()):
            mine = names == symbol
            chain = chains.setdefault(symbol, _Chain(buckets, spreads))
            tick = next(x.tick for x in data.instruments.values() if x.symbol == symbol) / PRICE_SCALE
            chain.add(time[mine], {name: line[mine] for name, line in columns.items()}, good[mine], tick)
    tables = [
        chain.table(name, iterations) for name, chain in chains.items() if chain.move.sum() >= LEAST_MOVES
    ]
    if not tables:
        raise InputError(
            f"No instrument's mid moved {LEAST_MOVES} times between start and end; give a longer recording."
        )
    return Microprice(tuple(tables), _told(source))


def _told(source: Sources) -> str:
    """Names of files, without their folders."""
    if isinstance(source, Source):
        return ""
    paths = [source] if isinstance(source, str | Path) else source
    return ", ".join(Path(path).name for path in paths)


def save(model: Microprice, path: str | Path) -> None:
    """Write a model to a JSON file."""
    Path(path).write_text(model.to_json() + "\n", encoding="utf-8")


def load(path: str | Path) -> Microprice:
    """Read a model from a file that `save` wrote.

    Raises
    ------
    InputError
        When the file cannot be read or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The microprice file {path} cannot be read: {error}.") from error
    return Microprice.from_json(text)
