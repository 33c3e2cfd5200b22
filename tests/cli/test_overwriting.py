"""What is read is never overwritten, and two outputs are two files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome

Command = Callable[..., Outcome]


@pytest.fixture
def recording(small_file: Path, tmp_path: Path) -> Path:
    """A recording under a name that an output may have."""
    path = tmp_path / "day.csv"
    shutil.copy(small_file, path)
    return path


@pytest.mark.parametrize("command_name", ["features", "detections", "footprint", "liquidity"])
@pytest.mark.parametrize("named", ["day.csv", "./day.csv", "*.csv", "."])
def test_a_recording_is_not_overwritten(
    command: Command, recording: Path, command_name: str, named: str
) -> None:
    before = recording.read_bytes()
    os.link(recording, recording.with_name("again.csv"))
    done = command(command_name, named, "--out", "day.csv")
    assert done.code == 2
    assert "--out day.csv is a file that is read" in " ".join(done.err.split())
    assert recording.read_bytes() == before


def test_nor_are_models_and_companions(command: Command, recording: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.csv"
    model.write_text("{}")
    done = command("features", "synthetic:minutes=1", "--signal", "m.csv", "--out", "m.csv")
    assert done.code == 2
    assert "is a file that is read" in done.err
    assert model.read_text() == "{}"
    twin = tmp_path / "X_orderbook_5.csv"
    twin.write_text("x")
    (tmp_path / "X_message_5.csv").write_text("x")
    done = command("features", "X_message_5.csv", "--out", "X_orderbook_5.csv")
    assert done.code == 2
    assert "is a file that is read" in " ".join(done.err.split())
    assert twin.read_text() == "x"


def test_reports_and_models_too(command: Command, recording: Path) -> None:
    before = recording.read_bytes()
    recording.rename(recording.with_name("day.html"))
    done = command("score", "day.html", "--report", "day.html")
    assert done.code == 2
    assert "--report day.html is a file that is read" in " ".join(done.err.split())
    recording.with_name("day.html").rename(recording.with_name("day.json"))
    done = command("fit", "day.json", "--out", "day.json")
    assert done.code == 2
    assert "--out day.json is a file that is read" in " ".join(done.err.split())
    assert recording.with_name("day.json").read_bytes() == before


@pytest.mark.parametrize("other", ["o.parquet", "./o.parquet", "folder/../o.parquet"])
def test_two_outputs_are_two_files(command: Command, tmp_path: Path, other: str) -> None:
    (tmp_path / "folder").mkdir()
    kept = tmp_path / "o.parquet"
    kept.write_bytes(b"kept")
    done = command("features", "synthetic:minutes=1", "--out", "o.parquet", "--detections", other)
    assert done.code == 2
    assert "--out and --detections name the same file" in " ".join(done.err.split())
    assert kept.read_bytes() == b"kept"


def test_an_older_output_is_replaced(command: Command, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("old")
    done = command("features", "synthetic:minutes=0.1,symbols=1", "--every", "1s", "--out", "o.csv")
    assert done.code == 0
    assert "best_bid" in (tmp_path / "o.csv").read_text()
