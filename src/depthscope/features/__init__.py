"""Features: one file each. To add one, write the file and add its name below."""

from __future__ import annotations

from typing import Final

FEATURES: Final = (
    "quotes",
    "mid",
    "microprice",
    "spread",
    "imbalance",
    "weighted_imbalance",
    "imbalance_ratio",
    "depth",
    "ofi",
    "ofi_window",
    "ofi_scaled",
    "depth_delta",
    "pulled_stacked",
    "liquidity_score",
    "flow",
    "tape",
    "large_prints",
    "phase",
    "session",
    "volume_profile",
    "footprint",
    "rvol",
    "tape_percentile",
    "cvd_trend",
    "vpin",
    "realised_volatility",
    "data_quality",
)
"""Names of the feature files, in the order of their columns in tables."""
