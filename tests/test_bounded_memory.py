"""Tables are streamed: many rows between two events cost time, not memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from depthscope.engine import SAMPLE_ROWS, Engine
from depthscope.runtime.sources import open_source
from tests.venues.dbn_files import NOON, mbo, write

HOUR = 3_600 * 10**9


@pytest.fixture
def quiet_file(tmp_path: Path) -> Path:
    """Two events two hours apart."""
    return write(tmp_path / "quiet.dbn", [mbo(NOON, order=1), mbo(NOON + 2 * HOUR, order=2)])


@pytest.mark.parametrize("every", ["10ms", "1s"])
def test_pieces_are_what_process_gives_at_once(quiet_file: Path, every: str) -> None:
    source = open_source(quiet_file)
    whole, parts = (Engine(source.resolve, every=every, features=["mid", "ofi_1s"]) for _ in range(2))
    for events in source.chunks():
        expected = whole.process(events)
        pieces = list(parts.pieces(events))
        assert max(map(len, pieces)) <= SAMPLE_ROWS
        np.testing.assert_array_equal(np.concatenate([p.meta for p in pieces]), expected.meta)
        joined = np.concatenate([p.values for p in pieces], axis=1)
        np.testing.assert_array_equal(joined, expected.values)
    assert len(expected) > 7_000


# What a process took counts what it was before: a copy of the one that started it. This one is small.
SMALL = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, text=True)
sys.exit(done.stderr) if done.returncode else print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.skipif(os.name == "nt", reason="no memory figures of a child process here")
def test_memory_does_not_grow_with_the_rows(quiet_file: Path, tmp_path: Path) -> None:
    def peak(every: str) -> int:
        """Peak resident memory of a command, bytes."""
        asked = ["features", str(quiet_file), "--every", every, "--out", "t.parquet"]
        command = [sys.executable, "-m", "depthscope", *asked]
        done = subprocess.run(
            [sys.executable, "-c", SMALL, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)

    peak("1s")  # compiles, where nothing is kept yet
    # 360,000 and 1,440,000 rows: 1,100 MB of values between them, if they were held. Fewer rows than some
    # groups of the file would not have filled its buffers yet, and the heap varies by 20 MB from run to run.
    few, many = peak("20ms"), peak("5ms")
    assert many - few < 100e6, (few, many)


def test_what_was_reserved_is_used_before_more_is_taken() -> None:
    """A live session takes memory for its windows when it begins: the same rows, in the same place."""
    source = open_source("synthetic:seed=5,minutes=1,symbols=2")
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    plain, reserved = (Engine(source.resolve, every="50ms", detectors=None) for _ in range(2))
    first = len(reserved._components.rings)
    reserved.process(events[:1_000])
    reserved.reserve(2)  # with windows that hold something already
    taken = len(reserved._components.rings), reserved._components.rings.ctypes.data
    assert first < taken[0]
    plain.process(events[:1_000])
    plain_rows, rows = plain.process(events[1_000:]), reserved.process(events[1_000:])
    assert (len(reserved._components.rings), reserved._components.rings.ctypes.data) == taken
    assert plain._components.ring_used > first, "these windows outgrow what an engine begins with"
    assert rows.meta.tobytes() == plain_rows.meta.tobytes()
    assert rows.values.tobytes() == plain_rows.values.tobytes()
    assert rows.detections.tobytes() == plain_rows.detections.tobytes()
