"""The synthetic market as bench input: one busy future, and two thousand light shares."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

import depthscope.venues as venues
from bench.data import cache_folder

TILE = 68_793  # events of one ES tile: both streams are counted in the same measure


def _generated(spec: str) -> np.ndarray:
    """Events of a specification, kept in the cache folder for as long as the generator stays the same."""
    from depthscope.venues.synthetic import open_spec

    digest = hashlib.sha256(spec.encode())
    for source in sorted(Path(venues.__file__).parent.glob("synthetic*.py")):
        digest.update(source.read_bytes())
    path = cache_folder() / f"synthetic-{digest.hexdigest()[:12]}.npy"
    if not path.is_file():
        events = np.concatenate([chunk.copy() for chunk in open_spec(spec).chunks()])
        scratch = path.with_suffix(f".{os.getpid()}.part.npy")
        np.save(scratch, events)
        scratch.replace(path)
    return np.load(path)


def synthetic_events(tiles: int) -> np.ndarray:
    """Events of one future (tick 0.25) with partial cancels, icebergs, sweeps: as many as `tiles` of ES."""
    events = _generated(f"synthetic:busy,seed=7,symbols=1,events={tiles * TILE}")
    events["publisher"] = 1
    return events


def universe_events(minutes: str) -> np.ndarray:
    """Events of two thousand light shares."""
    return _generated(f"synthetic:universe,seed=7,minutes={minutes}")
