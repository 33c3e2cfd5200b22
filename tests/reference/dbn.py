"""A second, independent reader of DBN v1 MBO files, for the engine tests: zstandard and one dtype."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zstandard

from depthscope.market.events import EVENT, Events

MBO = np.dtype(
    [
        ("length", "u1"), ("rtype", "u1"), ("publisher", "<u2"), ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"), ("price", "<i8"), ("size", "<u4"), ("flags", "u1"), ("channel", "u1"),
        ("action", "u1"), ("side", "u1"), ("ts_recv", "<u8"), ("ts_in_delta", "<i4"), ("sequence", "<u4"),
    ]
)  # fmt: skip


def read_mbo(path: Path) -> Events:
    """All records of a zstd-compressed MBO file as EVENT."""
    with path.open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert raw[:4] == b"DBN\x01"
    records = np.frombuffer(raw, MBO, offset=8 + int.from_bytes(raw[4:8], "little"))
    assert set(records["rtype"].tolist()) == {160}
    events = np.zeros(len(records), EVENT)
    for name in EVENT.names:
        if name in MBO.names:
            events[name] = records[name]
    return events
