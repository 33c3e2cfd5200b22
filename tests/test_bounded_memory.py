"""Tables are streamed: many rows between two events cost time, not memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from depthscope.engine import PIECES, SAMPLE_ROWS, Engine
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
        assert max(map(len, pieces)) <= PIECES * SAMPLE_ROWS
        np.testing.assert_array_equal(np.concatenate([p.meta for p in pieces]), expected.meta)
        joined = np.concatenate([p.values for p in pieces], axis=1)
        np.testing.assert_array_equal(joined, expected.values)
    assert len(expected) > 7_000


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no memory figures of a child process here")
def test_memory_does_not_grow_with_the_rows(quiet_file: Path, tmp_path: Path) -> None:
    def peak(every: str) -> int:
        """Peak resident memory of a command, bytes."""
        asked = ["features", str(quiet_file), "--every", every, "--out", "t.parquet"]
        process = subprocess.Popen(
            [sys.executable, "-m", "depthscope", *asked],
            cwd=tmp_path, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        said = process.stderr.read().decode()
        process.stderr.close()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, said
        return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    peak("1s")  # compiles, where nothing is kept yet
    few, many = peak("1s"), peak("20ms")  # 7,200 and 360,000 rows, 190 MB of values if they were held
    assert many - few < 40e6, (few, many)
