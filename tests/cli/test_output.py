"""Tables appear complete or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from depthscope.cli import output
from depthscope.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def batches(n: int, rows: int = 10) -> list[pa.RecordBatch]:
    return [
        pa.record_batch(
            {"ts": pa.array(range(i * rows, (i + 1) * rows)), "mid": pa.array([None, *[0.5] * (rows - 1)])}
        )
        for i in range(n)
    ]


def write(target: str, items: list[pa.RecordBatch], **options: bool) -> output.TableWriter:
    with output.table_output(target, **options) as writer:
        for batch in items:
            writer.write(batch)
    return writer


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("t.parquet", pyarrow.parquet.read_table),
        ("t.csv", pyarrow.csv.read_csv),
        ("t.arrow", lambda path: pa.ipc.open_file(path).read_all()),
        ("T.PARQUET", pyarrow.parquet.read_table),
    ],
)
def test_formats(tmp_path: Path, name: str, read) -> None:
    writer = write(str(tmp_path / name), batches(7))
    table = read(str(tmp_path / name))
    assert table["ts"].to_pylist() == list(range(70))
    assert table["mid"].null_count == 7
    assert (writer.rows, writer.columns) == (70, ["ts", "mid"])
    assert names(tmp_path) == [name]


def test_small_batches_are_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "GROUP_ROWS", 100)
    write(str(tmp_path / "t.parquet"), batches(25))
    assert pyarrow.parquet.ParquetFile(tmp_path / "t.parquet").num_row_groups == 3


def test_an_existing_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), output.table_output(str(path)) as writer:
        writer.write(batches(1)[0])
        raise RuntimeError("halfway")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["t.csv"]
    write(str(path), batches(1))
    assert path.read_text().startswith('"ts","mid"')


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), output.table_output(str(tmp_path / "t.parquet")) as writer:
        writer.write(batches(1)[0])
        raise KeyboardInterrupt
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["t.xlsx", "t", ".parquet"])
def test_unknown_endings(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="ending says the format"):
        write(str(tmp_path / name), batches(1))
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["t.csv", "t"])
def test_a_folder_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write(str(tmp_path / name), batches(1))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write(str(tmp_path / "none" / "t.csv"), batches(1))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part file is a link to a device without room: what writing to a full disk does."""
    part = tmp_path / f".t.csv.{os.getpid()}.part"
    part.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        write(str(tmp_path / "t.csv"), batches(2000, 100))
    assert names(tmp_path) == []


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write("-", batches(2))
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert lines[0] == '"ts","mid"'
    assert lines[1:3] == ["0,", "1,0.5"]
    assert len(lines) == 21


def test_lines_of_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write("-", batches(2), lines_of_json=True)
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert rows[:2] == [{"ts": 0, "mid": None}, {"ts": 1, "mid": 0.5}]
    assert len(rows) == 20
