"""Labels: what the market did after a row, known only once the horizon has passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from depthscope.research.rows import Rows

__all__ = ["Labels", "independent", "moves_after", "reveal"]

NEAR = 1e-9  # of the price: what two floats of one price may differ by


@dataclass(frozen=True)
class Labels:
    """Outcome of each row at one horizon.

    Attributes
    ----------
    horizon : int
        ns.
    move_bps : float64 array (n,)
        Change of mid over the horizon, in bps of the first; NaN where it was not seen.
    cost_bps : float64 array (n,)
        Half the spread plus the fee, at the row.
    outcome : int8 array (n,)
        1 up, -1 down (by more than the cost), 0 neither; 0 where not `known`.
    known : bool array (n,)
        Whether the row was usable and its horizon ends inside the data, with a book LIVE there.
    """

    horizon: int
    move_bps: npt.NDArray[np.float64]
    cost_bps: npt.NDArray[np.float64]
    outcome: npt.NDArray[np.int8]
    known: npt.NDArray[np.bool_]


def moves_after(rows: Rows, horizon: int) -> npt.NDArray[np.float64]:
    """Change of mid from each row to the last row at most a horizon later, in bps.

    NaN where the data ends before the horizon does, and where either book was not usable.
    """
    later = np.searchsorted(rows.ts, rows.ts + horizon, side="right") - 1
    seen = rows.ts + horizon <= rows.ts[-1] if len(rows) else np.zeros(0, bool)
    seen &= rows.usable & rows.usable[later] & (rows.mid != 0.0)
    move = np.full(len(rows), np.nan)
    move[seen] = (rows.mid[later] - rows.mid)[seen] / np.abs(rows.mid[seen]) * 1e4
    return move


def reveal(rows: Rows, horizon: int, fee_bps: float) -> Labels:
    """Label every row.

    Parameters
    ----------
    rows : Rows
    horizon : int
        ns.
    fee_bps : float
        Added to half the spread: the cost a move must exceed.
    """
    move = moves_after(rows, horizon)
    known = ~np.isnan(move)
    price = np.where(rows.mid == 0.0, np.nan, np.abs(rows.mid))
    cost = rows.half_spread / price * 1e4 + fee_bps
    beyond = np.abs(move) > cost + NEAR * 1e4
    outcome = np.where(known & beyond, np.sign(move), 0.0)
    return Labels(horizon, move, cost, np.nan_to_num(outcome).astype(np.int8), known)


def independent(rows: Rows, labels: Labels) -> int:
    """How many horizons that do not overlap the known rows hold."""
    times = rows.ts[labels.known]
    count, free = 0, -(2**62)
    while True:
        at = int(np.searchsorted(times, free))
        if at == len(times):
            return count
        count += 1
        free = int(times[at]) + labels.horizon
