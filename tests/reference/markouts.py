"""Markouts straight from their definition, from whole arrays of rows and messages."""

from __future__ import annotations

from typing import Any

from depthscope.market.layouts import LIVE, OPEN

Told = tuple[int, int, int, float]  # number, horizon, time it was known, ticks


def told(samples: Any, said: Any, horizons: list[int], tick: int) -> list[Told]:
    """Markouts of one detector and instrument, in the order in which they are known."""
    rows = [
        (
            int(row["ts"]),
            (int(row["bid_price"][0]) + int(row["ask_price"][0])) / 2
            if row["state"] == LIVE and row["n_bid"] and row["n_ask"]
            else None,
        )
        for row in samples
    ]
    found = []
    for record in said:
        later = [k for k, (ts, _) in enumerate(rows) if ts > record["ts"]]
        if record["phase"] != OPEN or not later or rows[later[0]][1] is None:
            continue
        began, base = rows[later[0]]
        for horizon in horizons:
            ends = [(ts, mid) for ts, mid in rows[later[0] :] if ts >= began + horizon]
            if ends and ends[0][1] is not None:
                sign = -1 if record["side"] == ord("A") else 1
                moved = sign * (ends[0][1] - base) / tick
                found.append((int(record["number"]), horizon, ends[0][0], moved))
    return sorted(found, key=lambda one: (one[2], one[1], one[0]))
