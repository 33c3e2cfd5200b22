"""What each detector was worth on recorded markets, shown beside what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["Estimate", "Measured", "measured"]

Estimate = tuple[float, float, float]
"""A value and its 95 % interval."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Worth of a detector on one recording, by injection (docs/MEASURED.md).

    Attributes
    ----------
    detector, symbol : str
    feed : {"orders", "levels"}
        How the recording was told.
    n : int
        Injections to be found.
    precision, recall, latency, hourly : (float, float, float) or None
        Value and 95 % interval; latency in seconds (median), hourly are alerts an hour on the clean
        stream. None where nothing was injected or said.
    """

    detector: str
    symbol: str
    feed: str
    n: int
    precision: Estimate | None
    recall: Estimate | None
    latency: Estimate | None
    hourly: Estimate | None

    def __str__(self) -> str:
        told = " told by levels" if self.feed == "levels" else ""
        if self.n == 0:
            return f"{self.symbol}{told}: not measured"
        precision = "no alert" if self.precision is None else f"precision {self.precision[0]:.2f}"
        recall = "" if self.recall is None else f", recall {self.recall[0]:.2f}"
        return f"{self.symbol}{told}: {precision}{recall} (n = {self.n})"


@cache
def _all() -> tuple[Measured, ...]:
    file = resources.files("depthscope.runtime") / "measured.json"

    def estimate(value: list[float] | None) -> Estimate | None:
        return None if value is None else (value[0], value[1], value[2])

    return tuple(
        Measured(
            line["detector"],
            line["symbol"],
            line["feed"],
            line["n"],
            *(estimate(line[name]) for name in ("precision", "recall", "latency", "hourly")),
        )
        for line in json.loads(file.read_text(encoding="utf-8"))
    )


def measured(detector: str) -> tuple[Measured, ...]:
    """Each recording a detector was measured on; empty for one that never was.

    Parameters
    ----------
    detector : str
    """
    return tuple(one for one in _all() if one.detector == detector)
