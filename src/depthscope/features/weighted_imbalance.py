"""Imbalance with levels weighted by their rank, and the book-pressure gauge.

``weighted_imbalance = Σ wₖ(bₖ − aₖ) / Σ wₖ(bₖ + aₖ)`` with ``wₖ = decayᵏ`` over the best 20
levels, leaving out levels smaller than ``min_volume_threshold`` (public size).
``book_pressure`` is the same rescaled to 0…1. NaN when a side is empty or no level counts.

Defaults: ``decay`` 0.8 and a threshold of 10 contracts on ES, 0 elsewhere (the values stated
by the tools our users come from).
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.features.kit import NAN, Column, column, frame_of, sample_rows, twin_of
from depthscope.jit import carray
from depthscope.market.instruments import Capability, Instrument, futures_root
from depthscope.market.layouts import SAMPLE_LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRES = Capability.L1
SETTINGS = {"decay": 0.8, "min_volume_threshold": NAN}
STATE = np.dtype([("decay", "f8"), ("threshold", "i8")])
OUT = (Column("weighted_imbalance", "-1…1"), Column("book_pressure", "0…1"))


def threshold_lots(instrument: Instrument, threshold: float) -> int:
    """Smallest number of lots that counts, of a public size; NaN is the instrument's default."""
    if np.isnan(threshold):
        es = instrument.venue == "GLBX.MDP3" and futures_root(instrument.symbol) == "ES"
        threshold = 10.0 if es else 0.0
    multiplier, divisor = instrument.size_ratio
    return min(ceil(Fraction(min(threshold, 1e12)) * divisor / multiplier), 2**62)


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Settle the weights of one instrument."""
    record["decay"] = settings["decay"]
    # In lots, as the rows are: the ratio has no unit, and the smallest size that counts is exact.
    record["threshold"] = threshold_lots(instrument, settings["min_volume_threshold"])


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    imbalance, pressure = column(ctx, out, 0), column(ctx, out, 1)
    for j in range(n):
        same = twin_of(ctx, rows, j)
        if same != j:
            imbalance[j], pressure[j] = imbalance[same], pressure[same]
            continue
        r = rows[j]
        s = states[r.slot]
        weight = 1.0
        bid = ask = 0.0
        for k in range(SAMPLE_LEVELS):
            b, a = r.bid_size[k], r.ask_size[k]
            if b >= s.threshold:
                bid += weight * b
            if a >= s.threshold:
                ask += weight * a
            weight *= s.decay
        if r.n_bid and r.n_ask and bid + ask > 0.0:
            imbalance[j] = (bid - ask) / (bid + ask)
            pressure[j] = 0.5 * (imbalance[j] + 1.0)
        else:
            imbalance[j] = pressure[j] = NAN
    return n
