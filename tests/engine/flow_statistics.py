"""How much order flow explains price, from a table with one row per book state.

The arithmetic of DEFINITIONS section 5: windows of fixed length, level OFIs summed in each,
regressed on the mid's move over the window; and how well the queue imbalance ranks the next
mid move, one state drawn (seeded) per interval of constant mid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class States:
    """Book states in time order: times (ns), best prices and sizes, OFI of levels 1..10 at each."""

    time: I8
    bid: F8
    ask: F8
    bid_size: F8
    ask_size: F8
    ofi: F8  # (n, 10), since the previous state


def correlation2(x: F8, y: F8) -> float:
    """Squared Pearson correlation."""
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) ** 2 / ((x @ x) * (y @ y)))


def auc(score: F8, label: npt.NDArray[np.bool_]) -> float:
    """Probability that a positive outranks a negative, ties counted half."""
    below = np.sort(score[~label])
    wins = np.searchsorted(below, score[label], "left") + np.searchsorted(below, score[label], "right")
    return float(wins.sum() / 2 / (label.sum() * len(below)))


def _sums(window: I8, values: F8, n: int) -> F8:
    inside = (window >= 0) & (window < n)
    return np.bincount(window[inside], values[inside], n)


def statistics(
    states: States, trade_time: I8, trade_volume: F8, *, tick: float, origin: int, seconds: int
) -> dict[str, float]:
    """Every number of the table; `trade_volume` is signed by the aggressor."""
    step = seconds * 10**9
    window = (states.time - origin) // step
    n = int(window.max()) + 1
    mid = (states.bid + states.ask) / 2 / tick
    last = np.searchsorted(window, np.arange(n), "right") - 1  # last state of each window or before it
    move = np.diff(mid[last])
    ofi = np.column_stack([_sums(window, states.ofi[:, k], n) for k in range(states.ofi.shape[1])])[1:]
    volume = _sums((trade_time - origin) // step, trade_volume, n)[1:]
    depth = _sums(window, (states.bid_size + states.ask_size) / 2, n)[1:]
    depth /= np.maximum(np.bincount(window, minlength=n)[1:], 1)
    scaled = ofi / np.maximum(depth, 1e-12)[:, None]
    component = np.linalg.eigh(np.cov(scaled, rowvar=False))[1][:, -1]
    found = {
        "windows": float(len(move)),
        "ofi": correlation2(ofi[:, 0], move),
        "trades": correlation2(volume, move),
        "integrated": correlation2(scaled @ (component / np.abs(component).sum()), move),
        "next": correlation2(ofi[:-1, 0], move[1:]),
    }
    changes = np.flatnonzero(np.diff(mid)) + 1
    random = np.random.default_rng(0)
    drawn = np.array([random.integers(a, b) for a, b in zip([0, *changes[:-1]], changes, strict=True)])
    up = mid[changes] > mid[changes - 1]
    bid, ask = states.bid_size[drawn], states.ask_size[drawn]
    imbalance = (bid - ask) / (bid + ask)
    tight = np.round((states.ask[drawn] - states.bid[drawn]) / tick) == 1
    return found | {
        "moves": float(len(changes)),
        "auc": auc(imbalance, up),
        "auc_tight": auc(imbalance[tight], up[tight]),
    }
