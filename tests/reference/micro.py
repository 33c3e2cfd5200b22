"""Features of flow at several levels, straight from their definitions and a desk's whole history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import nan

from depthscope.features.ofi_scaled import WEIGHTS
from depthscope.market import events as ev
from depthscope.market.layouts import OFI_LEVELS
from tests.reference.engine import Desk, Past, Row

Values = dict[str, float]
SECOND = 10**9
DEFAULTS = {f"integrated_ofi_w{k + 1}": weight for k, weight in enumerate(WEIGHTS)}


class SlowMicro:
    """Features of one desk, row after row."""

    def __init__(
        self, desk: Desk, *, by_event: bool, settings: Mapping[str, float | str] | None = None
    ) -> None:
        self.desk, self.by_event = desk, by_event
        self.settings = DEFAULTS | dict(settings or {})
        self.lot = Fraction(desk.instrument.lot, ev.PRICE_SCALE)

    def __call__(self, row: Row) -> Values:
        """Every feature at a row."""
        return self.scaled(row)

    def window(self, row: Row, seconds: int) -> Iterable[Past]:
        """Groups of [t - w, t) at a boundary, of (t - w, t] at a row by event."""
        edge = row.ts - seconds * SECOND + (1 if self.by_event else 0)
        return [past for past in self.desk.history[: row.seen] if past.ts >= edge]

    def scaled(self, row: Row) -> Values:
        """Order-flow imbalance of each level over the mean size at the best prices."""
        out = {}
        for seconds in (1, 10):
            pasts = self.window(row, seconds)
            good = [past.near.quoted_size for past in pasts if past.near.quoted]
            levels = []
            for k in range(OFI_LEVELS):
                flow = sum(past.levels[k] for past in pasts)
                depth = Fraction(sum(good), 2 * len(good)) if good else Fraction(1)
                value = float(flow / depth) if good else 0.0
                levels.append(value if row.bids and row.asks else nan)
            weights = [float(self.settings[f"integrated_ofi_w{k + 1}"]) for k in range(OFI_LEVELS)]
            out[f"ofi_{seconds}s_norm"] = levels[0]
            out[f"integrated_ofi_{seconds}s"] = sum(w * x for w, x in zip(weights, levels, strict=True))
            if seconds == 10:
                out |= {f"ofi_norm_l{k + 1}_10s": value for k, value in enumerate(levels)}
        return out
