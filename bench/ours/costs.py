"""What each feature and each detector costs, alone and with what it needs, over the bare books."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import Any

import numpy as np

from bench.data import Inputs
from bench.ours.common import CHUNK, instrument, shipped
from depthscope.detectors.registry import all_detectors
from depthscope.engine import Engine
from depthscope.features.registry import all_features

ROUNDS = 5
BUSY_TILES, SPACED_TILES = 10, 2


def seconds(engine: Engine, events: np.ndarray) -> tuple[float, int]:
    """Time of one pass and the rows it made."""
    rows = 0
    start = time.perf_counter()
    for first in range(0, len(events), CHUNK):
        rows += len(engine.process(events[first : first + CHUNK]))
    return time.perf_counter() - start, rows


def cost(options: dict[str, Any], streams: list[np.ndarray]) -> tuple[float, float]:
    """ns an event and ns a row: two streams with many and with few events a row give two equations.

    Runs with and without the component take turns, and medians of the differences are solved for.
    """
    left, right = [], []
    for events in streams:
        differences, rows = [], 0
        for _ in range(ROUNDS):
            bare, rows = seconds(Engine(instrument("es"), every="100ms", features=()), events)
            full, _ = seconds(Engine(instrument("es"), every="100ms", **options), events)
            differences.append(full - bare)
        left.append([len(events), rows])
        right.append(1e9 * median(differences))
    solved = np.linalg.solve(np.array(left, np.float64), np.array(right))
    return float(solved[0]), float(solved[1])


def main() -> None:
    inputs = Inputs()
    streams = [inputs.events("es-busy", BUSY_TILES, BUSY_TILES), inputs.events("es", SPACED_TILES)]
    members: list[tuple[str, str, dict[str, Any]]] = [
        ("feature", f.name, {"features": [f.name]}) for f in all_features()
    ]
    members += [("detector", d.name, {"features": (), "detectors": [d.name]}) for d in all_detectors()]
    members += [
        ("signal", "signal, with all it reads", {"features": (), "signal": shipped}),
        ("all", "everything", {"features": None, "detectors": None, "signal": shipped}),
    ]
    found = []
    for kind, name, options in members:
        seconds(Engine(instrument("es"), every="100ms", **options), streams[0][:CHUNK])  # compiles
        event, row = cost(options, streams)
        found.append({"kind": kind, "name": name, "event_ns": event, "row_ns": row})
    print(json.dumps({"rounds": ROUNDS, "events": [len(s) for s in streams], "members": found}))


if __name__ == "__main__":
    main()
