"""What a signal is made of. To add a factor, add its line below.

A factor is a column, made comparable between instruments: less another column, over one or
two more, through log(1 + x). **Lean** factors point up or down, and a market turned upside down
turns their sign; **stir** factors tell how much is going on, whichever way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Factor:
    """One term of the model.

    Attributes
    ----------
    name : str
    column : str
        Feature column it is read from, or one of the signal's own (`OWN`).
    leans : bool
        Whether it points up (positive) or down; else it stirs.
    less : str
        Column taken off first, where it is named.
    over : tuple of str
        Columns whose sum it is divided by.
    log : bool
        Whether log(1 + x) is taken.
    says : str
        What a positive contribution means, for reasons.
    """

    name: str
    column: str
    leans: bool = True
    less: str = ""
    over: tuple[str, ...] = ()
    log: bool = False
    says: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column it needs."""
        return tuple(name for name in (self.column, self.less, *self.over) if name)


DEPTH: Final = ("bid_depth_5", "ask_depth_5")

# Columns the signal itself makes, of detections above all (see `signals.signal`).
OWN: Final = ("detection_balance", "aggression_balance", "wall_lean", "level_lean")

FACTORS: Final = (
    Factor("queue_imbalance", "queue_imbalance", says="size at the best prices"),
    Factor("depth_imbalance", "depth_imbalance", says="size of the best five levels"),
    Factor("weighted_imbalance", "weighted_imbalance", says="size of all levels, the near ones most"),
    Factor("microprice", "microprice", less="mid", over=("spread",), says="the microprice"),
    Factor("queue_change", "ofi", over=DEPTH, says="how the best queues just changed"),
    Factor("ofi_1s", "ofi_1s_norm", says="order flow over 1 s"),
    Factor("ofi_10s", "ofi_10s_norm", says="order flow over 10 s"),
    Factor("delta_5s", "delta_5s", over=DEPTH, says="aggressors over 5 s"),
    Factor("delta_60s", "delta_60s", over=DEPTH, says="aggressors over 60 s"),
    Factor("detections", "detection_balance", says="what rests unseen, last minute"),
    Factor("aggression", "aggression_balance", says="sweeps and bursts, last minute"),
    Factor("walls", "wall_lean", says="the nearest wall"),
    Factor("levels", "level_lean", says="support and resistance"),
    Factor("spread", "spread_bps", leans=False, log=True, says="spread"),
    Factor("volatility", "realised_volatility_60s", leans=False, log=True, says="volatility, last minute"),
    Factor("tape", "tape_velocity", leans=False, log=True, says="speed of the tape"),
)
"""The factors, leaning ones first."""

BY_NAME: Final = {factor.name: factor for factor in FACTORS}


def needed_columns() -> tuple[str, ...]:
    """Feature columns that signals need."""
    names = (*(name for factor in FACTORS for name in factor.columns), "spread_bps", "session_phase")
    return tuple(dict.fromkeys(name for name in names if name not in OWN))
