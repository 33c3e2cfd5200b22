"""A recording played by the simulator over real sockets gives the samples that reading the file gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import depthscope as ds
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.inputs import Kind
from depthscope.market.source import Source
from depthscope.runtime.sources import open_source
from depthscope.storage.capture import Gap, read_capture
from tests.live.venue import Venue

SECONDS = 12
LEVELS = ("bid_price", "bid_size", "ask_price", "ask_size")
MS = 1_000_000


def samples_of(source: Source, until: int | None = None) -> Any:
    """A row after each change of the book, with its best 20 levels a side."""
    engine = Engine(source.resolve, every="event", features=["mid"], keep_samples=True)
    found = []
    for events in source.chunks():
        book = events[(events["action"] == ev.LEVEL) | (events["action"] == ev.CLEAR)]
        if until is not None and len(book) and book["ts_recv"][0] > until:
            break
        found.append(engine.process(book.copy()).samples)
    return np.concatenate([rows for rows in found if rows is not None])


@pytest.mark.real_data
@pytest.mark.untraced
def test_recorded_btc_over_sockets_is_the_file(data_dir: Path, tmp_path: Path) -> None:
    """After each depth message the best 20 levels a side are the file's as of when it was published."""
    path = data_dir / "binance" / "btcusdt_20240808.gz"
    with Venue(source=lambda: open_source(path, chunk=4_096)) as venue:
        frames = list(
            ds.live(
                "BTCUSDT", duration=f"{SECONDS}s", record=tmp_path, config=venue.settings, features=["mid"]
            )
        )
        start = venue.exchange.start
    assert frames[-1].state == "LIVE"
    published = {}
    for received in read_capture(tmp_path):
        if not isinstance(received, Gap) and received.kind == Kind.WS and b"depthUpdate" in received.payload:
            told = json.loads(received.payload)["data"]
            published[told["u"]] = told["E"]

    file = open_source(path, chunk=4_096)
    first = int(next(iter(file.chunks()))["ts_recv"][0])
    wanted = samples_of(open_source(path, chunk=4_096), until=first + (SECONDS + 5) * 1_000 * MS)
    offset = start - first
    compared = 0
    for row in samples_of(open_source(tmp_path)):
        if int(row["sequence"]) not in published:
            continue  # a snapshot
        at = published[int(row["sequence"])] * MS - offset  # when it was published, in the file's own time
        near = np.searchsorted(wanted["ts"], [at - MS, at + MS], "right") - 1
        same = [
            all(np.array_equal(row[name], wanted[k][name]) for name in LEVELS)
            for k in range(max(0, near[0]), near[1] + 1)
        ]
        assert any(same), int(row["sequence"])
        compared += 1
    assert compared > 0.8 * SECONDS * 10
