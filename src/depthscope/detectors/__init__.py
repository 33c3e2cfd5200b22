"""Detectors: one file each. To add one, write the file and add its name below."""

from __future__ import annotations

from typing import Final

DETECTORS: Final = (
    "iceberg",
    "sweep",
    "wall",
    "burst",
    "exhaustion",
    "layering",
    "liquidity_gap",
    "absorption",
    "hidden",
    "large_trader",
    "refill",
)
"""Names of the detector files. Places are never reused: records carry them as numbers from 1."""
