"""Frames are the same however the events come in pieces."""

from __future__ import annotations

import pytest

import depthscope as ds
from depthscope.errors import StaleFrame
from depthscope.runtime.sources import open_source

SOURCE = "synthetic:seed=3,minutes=4,symbols=2"


def told(chunk: int) -> list[tuple[object, ...]]:
    source = open_source(SOURCE, chunk=chunk)
    frames = ds.replay(source, every="1s", features=["mid"], detectors=None)
    return [(f.ts, f.symbol, f["mid"], tuple(d.id + d.phase for d in f.detections)) for f in frames]


def test_detections_of_a_frame_do_not_depend_on_where_events_are_cut() -> None:
    """A message that comes at the end of a chunk, without a row, is its instrument's next frame's."""
    whole = told(1 << 20)
    said = [what for *_, what in whole if what]
    assert len(said) > 20
    for chunk in (311, 4_096):
        assert told(chunk) == whole


def test_no_detection_is_lost_between_frames() -> None:
    """What frames tell is what `detections` lists, up to the last frame."""
    frames = list(ds.replay(SOURCE, every="1s", features=["mid"], detectors=None))
    last = {f.symbol: f.ts for f in frames}
    of_frames = sorted((d.ts, d.id, d.phase) for f in frames for d in f.detections)
    table = ds.detections(SOURCE, every="1s").to_pylist()
    listed = sorted((r["ts"].value, r["id"], r["phase"]) for r in table)
    assert of_frames == [row for row in listed if row[0] <= last[row[1].split("-")[1]]]


def test_a_book_is_gone_when_iteration_moves_on() -> None:
    frames = ds.replay(SOURCE, every="1s", features=["mid"])
    first = next(frames)
    assert first.book.best_bid is not None
    next(frames)
    with pytest.raises(StaleFrame):
        _ = first.book
