"""Made-up rows with a known truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depthscope.research.rows import NAMES, Rows

SECOND = 10**9
START = 1_700_000_000 * SECOND


def rows_of(
    mid: npt.NDArray[np.float64],
    *,
    step: int = SECOND,
    factors: dict[str, npt.NDArray[np.float64]] | None = None,
    half_spread: float = 0.5,
    phase: str = "CONTINUOUS",
) -> Rows:
    """Rows of a market whose mid is given, all usable."""
    n = len(mid)
    raw = np.full((n, len(NAMES)), np.nan)
    for name, values in (factors or {}).items():
        raw[:, NAMES.index(name)] = values
    return Rows(
        symbol="X",
        ts=START + np.arange(n, dtype=np.int64) * step,
        usable=np.ones(n, bool),
        mid=mid.astype(float),
        half_spread=np.full(n, half_spread),
        factors=raw,
        p_up=np.full(n, 0.2),
        p_down=np.full(n, 0.2),
        direction=np.zeros(n),
        confidence=np.full(n, 0.6),
        phase=np.full(n, phase),
    )


def planted(
    n: int, seed: int, *, weight: float = 1.0, bias: float = -0.5
) -> tuple[Rows, npt.NDArray[np.float64]]:
    """A market whose next move follows the symmetric model exactly.

    Each row's factor ``queue_imbalance`` (standard normal) leans with `weight`, ``spread`` stirs with
    half of it; the mid then moves two up, two down or stays. Returns the rows and (n, 3) true
    probabilities of down, neither, up one row ahead.
    """
    rng = np.random.default_rng(seed)
    lean, stir = rng.normal(size=n), rng.normal(size=n)
    odds = np.column_stack(
        [
            np.exp(bias + 0.5 * weight * stir - weight * lean),
            np.ones(n),
            np.exp(bias + 0.5 * weight * stir + weight * lean),
        ]
    )
    truth = odds / odds.sum(axis=1, keepdims=True)
    move = (rng.random(n)[:, None] > np.cumsum(truth, axis=1)).sum(axis=1) - 1
    mid = 10_000.0 + 2.0 * np.concatenate([[0], np.cumsum(move[:-1])])
    return rows_of(mid, factors={"queue_imbalance": lean, "spread": stir}), truth
