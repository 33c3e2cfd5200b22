"""What a signal is judged by: rows of the grid as columns of numbers, instrument by instrument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.api import chunks_of, opened
from depthscope.engine import Engine
from depthscope.market.layouts import LIVE
from depthscope.market.phases import Phase
from depthscope.signals.factors import BY_NAME, FACTORS
from depthscope.signals.model import EXTENDED, Model, Term

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from depthscope.api import Progress, Sources
    from depthscope.features.kit import Setting
    from depthscope.market.instruments import Instrument

__all__ = ["NAMES", "Rows", "gather", "raw_factor"]

Floats = npt.NDArray[np.float64]
NAMES: Final = tuple(factor.name for factor in FACTORS)
KEPT: Final = ("mid", "spread", "session_phase", "p_up", "p_down", "signal", "signal_confidence")


@dataclass(frozen=True)
class Rows:
    """Rows of one instrument, in order of time.

    Attributes
    ----------
    symbol : str
    ts : int64 array (n,)
        Boundaries, UTC ns.
    usable : bool array (n,)
        Whether a signal was made: the book LIVE with two sides, the venue trading, the market not closed.
    mid, half_spread : float64 array (n,)
        In price units, NaN where there is none.
    factors : float64 array (n, len(NAMES))
        Raw factors, NaN where unknown.
    p_up, p_down, confidence : float64 array (n,)
        What the model said.
    direction : float64 array (n,)
        1 for BUY, -1 for SELL, 0 for NEUTRAL, NaN for nothing.
    phase : array of str (n,)
        Session phase of each row.
    """

    symbol: str
    ts: npt.NDArray[np.int64]
    usable: npt.NDArray[np.bool_]
    mid: Floats
    half_spread: Floats
    factors: Floats
    p_up: Floats
    p_down: Floats
    direction: Floats
    confidence: Floats
    phase: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def extended(self) -> npt.NDArray[np.bool_]:
        """Which rows are in extended hours."""
        return np.isin(self.phase, [phase.name for phase in EXTENDED])

    def part(self, index: Any) -> Rows:
        """Rows at an index, mask or slice."""
        arrays = {name: getattr(self, name)[index] for name in self.__dataclass_fields__ if name != "symbol"}
        return replace(self, **arrays)


def observer() -> Model:
    """A model that says nothing, for making every column a fit needs."""
    terms = tuple(Term(name, 0.0, 1.0, 0.0) for name in NAMES)
    return Model("observer", 10**10, 0.0, terms, 0.0, 0.0)


def raw_factor(name: str, column: Callable[[str], Floats]) -> Floats:
    """A factor before standardising, NaN where it cannot be known."""
    factor = BY_NAME[name]
    x = column(factor.column).astype(float)
    if factor.less:
        x = x - column(factor.less)
    if factor.over:
        over = np.sum([column(c) for c in factor.over], axis=0)
        x = np.divide(x, over, out=np.full(len(x), np.nan), where=over > 0.0)
    return np.log1p(np.maximum(x, 0.0)) if factor.log else x


def gather(
    source: Sources,
    model_of: Callable[[Instrument], Model] | None = None,
    *,
    every: str | int = "100ms",
    symbols: Iterable[str] | None = None,
    sensitivity: str = "medium",
    settings: Mapping[str, Setting] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> dict[str, Rows]:
    """Run the engine over recorded data and keep what judging a signal needs.

    Parameters
    ----------
    source, every, symbols, settings, threads, progress
        As for `depthscope.features`.
    model_of : callable, optional
        Model by instrument; without one, only factors and prices are of use.
    sensitivity : {"low", "medium", "high"}
        Of the detectors whose messages are factors.

    Returns
    -------
    dict of str to Rows
        By symbol.
    """
    chosen = None if symbols is None else frozenset([symbols] if isinstance(symbols, str) else symbols)
    data = opened(source, {"symbols": chosen})
    engine = Engine(
        data.resolve,
        every=every,
        features=["mid", "spread"],
        detectors=(),
        sensitivity=sensitivity,
        symbols=chosen,
        settings=settings,
        signal=model_of or (lambda instrument: observer()),
    )
    place = {column.name: k for k, column in enumerate(engine.columns)}
    kept = sorted({place[name] for name in KEPT} | {place[c] for f in FACTORS for c in f.columns})
    row_of = {k: at for at, k in enumerate(kept)}
    metas, values = [], []
    for events in chunks_of(data, threads, progress):
        for batch in engine.pieces(events):
            metas.append(batch.meta[["ts", "slot", "state"]].copy())
            values.append(batch.values[kept])
    batch = engine.finish()
    metas.append(batch.meta[["ts", "slot", "state"]].copy())
    values.append(batch.values[kept])
    meta, value = np.concatenate(metas), np.concatenate(values, axis=1)
    found = {}
    for slot, instrument in enumerate(engine.slots):
        mine = meta["slot"] == slot
        if mine.any():

            def column(name: str, mine: Any = mine) -> Floats:
                line: Floats = value[row_of[place[name]], mine]
                return line

            found[instrument.symbol] = _rows(instrument, meta[mine], column)
    return found


def _rows(instrument: Instrument, meta: npt.NDArray[Any], column: Callable[[str], Floats]) -> Rows:
    ts = meta["ts"].astype(np.int64)
    direction = column("signal") - 1.0
    words = np.array([phase.name for phase in Phase])
    numbers = np.nan_to_num(column("session_phase"), nan=float(Phase.UNKNOWN)).astype(int)
    return Rows(
        symbol=instrument.symbol,
        ts=ts,
        usable=(meta["state"] == LIVE) & ~np.isnan(direction),
        mid=column("mid").astype(float),
        half_spread=column("spread") / 2.0,
        factors=np.column_stack([raw_factor(name, column) for name in NAMES]),
        p_up=column("p_up").astype(float),
        p_down=column("p_down").astype(float),
        direction=direction,
        confidence=column("signal_confidence").astype(float),
        phase=words[numbers],
    )
