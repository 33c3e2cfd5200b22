"""Weights of the integrated order-flow imbalance: the first principal component of ten levels.

Windows of fixed length lie one after the other from a start on. In each, the order-flow imbalance of levels
1 to 10 is summed over its book states (LIVE, both sides quoted, not crossed), and divided by the mean of
(best bid size + best ask size) / 2 over them. The weights are the eigenvector of the largest eigenvalue of
the ten quotients' covariance, divided by the sum of its absolute values, with the sign that makes their sum
positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.api import features_batches
from depthscope.errors import InputError
from depthscope.market.layouts import OFI_LEVELS
from depthscope.market.times import parse_every

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.api import Sources

__all__ = ["IntegratedOfi", "fit_integrated_ofi"]

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
LEVELS: Final = [f"ofi_l{k + 1}" for k in range(OFI_LEVELS)]
QUOTES: Final = ("best_bid", "best_ask", "bid_size", "ask_size")


@dataclass(frozen=True, slots=True)
class IntegratedOfi:
    """Fitted weights, and how much of the mid's moves the imbalances explain.

    Attributes
    ----------
    symbol : str
    weights : tuple of float
        Of levels 1 to 10; their absolute values add up to 1.
    window, start, end : int
        Length of a window, first and last time that was used, ns.
    windows : int
        Moves regressed on: windows less the first, before which no mid is known.
    share : float
        Part of the quotients' variance the component has.
    r2_ofi, r2_norm, r2_integrated : float
        Squared correlation of the move of the mid over a window with its level-1 imbalance, with that
        divided by depth, and with the integrated one. The last is in sample where the weights were fitted
        here, and all are partly mechanical: a best price that moves is both flow and move.
    r2_ofi_next, r2_norm_next, r2_integrated_next : float
        The same with the move over the next window.
    """

    symbol: str
    weights: tuple[float, ...]
    window: int
    start: int
    end: int
    windows: int
    share: float
    r2_ofi: float
    r2_norm: float
    r2_integrated: float
    r2_ofi_next: float
    r2_norm_next: float
    r2_integrated_next: float

    @property
    def settings(self) -> Mapping[str, float]:
        """The weights as feature settings."""
        return {f"integrated_ofi_w{k + 1}": weight for k, weight in enumerate(self.weights)}


def _r2(x: F8, y: F8) -> float:
    """Squared correlation, NaN where one of them is constant."""
    x, y = x - x.mean(), y - y.mean()
    with np.errstate(invalid="ignore"):
        return float((x @ y) ** 2 / ((x @ x) * (y @ y)))


def _principal(scaled: F8) -> tuple[F8, float]:
    """Weights of the first component and its share of the variance."""
    values, vectors = np.linalg.eigh(np.cov(scaled, rowvar=False))
    weights = vectors[:, -1] / np.abs(vectors[:, -1]).sum()
    return (weights if weights.sum() >= 0 else -weights), float(values[-1] / values.sum())


class _Windows:
    """Sums over windows, batch after batch."""

    def __init__(self, window: int, start: int | None, end: int | None) -> None:
        self.window, self.start, self.end = window, start, end
        self.first, self.last = 0, -1  # times used
        # A line a window: imbalance of ten levels, depth, states; and its last mid.
        self.sums = np.zeros((0, OFI_LEVELS + 2))
        self.mid = np.zeros(0)

    def add(self, batch: Any, clock: str, actions: str | None) -> None:
        """Take rows by event."""
        column = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in (*QUOTES, *LEVELS)}
        time: I8 = batch.column(clock).cast("int64").to_numpy()
        keep = np.array(batch.column("state").to_pylist()) == "LIVE"
        if actions is not None:
            keep &= np.isin(batch.column("action").to_pylist(), list(actions))
        keep &= column["best_bid"] < column["best_ask"]
        if self.start is None and keep.any():
            self.start = int(time[keep][0])
        keep &= time >= (self.start or 0)
        if self.end is not None:
            keep &= time < self.end
        if not keep.any():
            return
        time = time[keep]
        self.first = self.first or int(time[0])
        self.last = int(time[-1])
        window = (time - (self.start or 0)) // self.window
        new = int(window.max()) + 1 - len(self.mid)
        if new > 0:
            self.sums = np.pad(self.sums, ((0, new), (0, 0)))
            self.mid = np.pad(self.mid, (0, new), constant_values=np.nan)
        depth = (column["bid_size"] + column["ask_size"])[keep] / 2
        lines = [*(column[name][keep] for name in LEVELS), depth, np.ones(len(time))]
        for k, line in enumerate(lines):
            self.sums[:, k] += np.bincount(window, line, len(self.mid))
        self.mid[window] = (column["best_bid"] + column["best_ask"])[keep] / 2  # the last of a window stays

    def close(self) -> tuple[F8, F8, F8]:
        """Level-1 imbalances, scaled ones and moves of all windows with a mid before them."""
        known = np.flatnonzero(np.isfinite(self.mid))
        if not len(known):
            return np.zeros(0), np.zeros((0, OFI_LEVELS)), np.zeros(0)
        begin = known[0]
        # The mid of a window without a state is that of the one before.
        mid = self.mid[known[np.searchsorted(known, np.arange(begin, len(self.mid)), "right") - 1]]
        ofi, depth, states = np.split(self.sums[begin + 1 :], (OFI_LEVELS, OFI_LEVELS + 1), axis=1)
        scaled = ofi * states / np.where(states > 0.0, depth, 1.0)
        return ofi[:, 0], scaled, np.diff(mid)


def fit_integrated_ofi(
    source: Sources,
    window: str | int = "10s",
    *,
    symbol: str | None = None,
    start: int | None = None,
    end: int | None = None,
    clock: str = "ts_recv",
    actions: str | None = None,
    weights: tuple[float, ...] | None = None,
) -> IntegratedOfi:
    """Fit the weights of ``integrated_ofi_1s`` and ``integrated_ofi_10s`` on a recording.

    Parameters
    ----------
    source : str, Path, list of them, or Source
        What `depthscope.features` takes.
    window : str or int
        Length of a window.
    symbol : str, optional
        Which instrument, where there are several.
    start, end : int, optional
        Use book states of [start, end) alone, UTC ns; windows begin at `start`, or at the first state.
        Weights belong on data after `end`.
    clock : {"ts_recv", "ts_event"}
        Which time windows are cut by.
    actions : str, optional
        Only states after a group whose last record is one of these actions, as their letters (``"L"``:
        depth messages alone).
    weights : tuple of float, optional
        Weights to measure on these data, instead of fitting some: how to see what others explain.

    Returns
    -------
    IntegratedOfi

    Raises
    ------
    InputError
        When there are several instruments and none was named, or fewer than 20 windows.

    Examples
    --------
    >>> fitted = fit_integrated_ofi("monday.mbo.dbn.zst", "10s")                          # doctest: +SKIP
    >>> table = ds.features("tuesday.mbo.dbn.zst", "1s", settings=fitted.settings)          # doctest: +SKIP
    """
    step = parse_every(window)
    windows = _Windows(step, start, end)
    symbols: set[str] = set()
    chosen = None if symbol is None else [symbol]
    for batch in features_batches(source, "event", symbols=chosen, features=["ofi"]):
        symbols |= set(batch.column("symbol").to_pylist())
        if len(symbols) > 1:
            raise InputError(f"Choose one of these instruments by `symbol`: {', '.join(sorted(symbols))}.")
        windows.add(batch, clock, actions)
    ofi, scaled, move = windows.close()
    if len(move) < 20:
        raise InputError(
            f"There are {len(move)} windows with a move; 20 are needed. Give a longer recording."
        )
    component, share = _principal(scaled)
    used = component if weights is None else np.array(weights)
    norm, integrated = scaled[:, 0], scaled @ used
    return IntegratedOfi(
        symbol=symbols.pop(),
        weights=tuple(float(w) for w in used),
        window=step,
        start=windows.first,
        end=windows.last,
        windows=len(move),
        share=share,
        r2_ofi=_r2(ofi, move),
        r2_norm=_r2(norm, move),
        r2_integrated=_r2(integrated, move),
        r2_ofi_next=_r2(ofi[:-1], move[1:]),
        r2_norm_next=_r2(norm[:-1], move[1:]),
        r2_integrated_next=_r2(integrated[:-1], move[1:]),
    )
