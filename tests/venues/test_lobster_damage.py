"""LOBSTER files that are damaged, incomplete or not what they are called."""

from __future__ import annotations

import gzip
import random
import zipfile
from pathlib import Path

import pytest

from depthscope.errors import (
    ConfigError,
    CorruptData,
    EmptyData,
    InputError,
    SourceMissing,
    UnknownName,
)
from depthscope.market.source import SourceOptions
from depthscope.runtime.formats import recognise
from depthscope.venues import lobster, read_head
from tests.venues.dict_book import all_events
from tests.venues.lobster_feed import Market
from tests.venues.test_lobster import hand_written, in_mode, opened, packed


def test_missing_partner_is_named(tmp_path: Path) -> None:
    path = Market(1, 5).run(5).write(tmp_path)
    book = path.with_name(path.name.replace("message", "orderbook"))
    text = book.read_bytes()
    book.unlink()
    with pytest.raises(SourceMissing, match="has no orderbook file of the same symbol, day and level"):
        opened(path)
    for name in (book.name.replace("06-21", "06-22"), book.name.replace("_5.csv", "_10.csv")):
        other = path.with_name(name)
        other.write_bytes(text)
        with pytest.raises(SourceMissing, match=rf"beside it is only {name}"):
            opened(path)
        with pytest.raises(SourceMissing, match="no message file"):
            opened(other)
        other.unlink()
    zipped = tmp_path / "half.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(path, path.name)
    with pytest.raises(SourceMissing, match="no orderbook file to go with it"):
        opened(zipped)


@pytest.mark.parametrize("short", ["message", "orderbook"])
def test_row_counts_that_differ_are_damage_after_what_fits(tmp_path: Path, short: str) -> None:
    path = Market(1, 5).run(60).write(tmp_path)
    whole = b"".join(c.tobytes() for c in opened(path).chunks())
    file = path.with_name(path.name.replace("message", short))
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:40]))
    got = b""
    with pytest.raises(CorruptData, match=f"the {short} file ends after row 40 while") as caught:
        for chunk in opened(path).chunks():
            got += chunk.tobytes()
    assert caught.value.records == 40
    assert whole.startswith(got) and len(got) > len(whole) // 2


BAD_MESSAGES = [
    "garbage", "", "34200.1,1,2,3", "34200.1,8,2,3,4,1", "34200.1,0,2,3,4,1", "34200.1,1,2,-3,4,1",
    "34200.1,1,2,0,4,1", "34200.1,1,2,3,-4,1", "34200.1,1,2,3,4,2", "34200.1,1,2,3,4,1,null,x",
    "-1.5,1,2,3,4,1", "34200.,1,2,3,4,1", "99999.1,1,2,3,4,1", "34200.1,1,2,3,4.5,1", "34200.1,1,2,3,nan,1",
    "34200.1,1,2,9999999999999999999,4,1", "34200.1,7,0,0,5,-1", "34200.1, 1,2,3,4,1", "1e4,1,2,3,4,1",
]  # fmt: skip
BAD_ROWS = [
    "x", "", "1,2,3", "2239500,100,2231800,100", "2239500,100,2231800,100,2239900,50,2230700,200,1",
    "2239500,-1,2231800,100,2239900,50,2230700,200", "2239500,0,2231800,100,2239900,50,2230700,200",
    "2239500,100,2231800,100,2239400,50,2230700,200", "2239500,100,2231800,100,2239900,50,2231900,200",
    "2239500,100,2231800,100,2239500,50,2230700,200", "9999999999,0,2231800,100,2239900,50,2230700,200",
    "9999999999,5,2231800,100,9999999999,0,2230700,200", "-5,100,2231800,100,2239900,50,2230700,200",
    "2239500,100,2231800,100,2239900,50,2230700,1.5",
]  # fmt: skip


@pytest.mark.parametrize("mode", lobster.MODES)
@pytest.mark.parametrize("row", [1, 3])
@pytest.mark.parametrize("bad", BAD_MESSAGES)
def test_garbage_messages(tmp_path: Path, bad: str, row: int, mode: str) -> None:
    path = hand_written(tmp_path, ["34200.1,5,0,7,2235000,-1"] * 4)
    lines_ = path.read_text().splitlines()
    lines_[row - 1] = bad
    path.write_text("\n".join(lines_) + "\n")
    with pytest.raises(
        CorruptData, match=f"row {row} of the message file is not six sound numbers"
    ) as caught:
        all_events(in_mode(path, mode))
    assert caught.value.records == row - 1 if row > 1 else caught.value.records == 0


@pytest.mark.parametrize("row", [1, 3])
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_garbage_book_rows(tmp_path: Path, bad: str, row: int) -> None:
    path = hand_written(tmp_path, ["34200.1,5,0,7,2235000,-1"] * 4)
    book = path.with_name(path.name.replace("message", "orderbook"))
    lines_ = book.read_text().splitlines()
    lines_[row - 1] = bad
    book.write_text("\n".join(lines_) + "\n")
    if row == 1 and bad in {"2239500,100,2231800,100"}:
        row = 2  # a sound row of one level: the next one has more
    with pytest.raises(CorruptData, match=f"row {row} of the orderbook file is not sound levels"):
        all_events(opened(path))


@pytest.mark.parametrize("empty", ["message", "orderbook"])
def test_empty_files(tmp_path: Path, empty: str) -> None:
    path = Market(1, 5).run(5).write(tmp_path)
    path.with_name(path.name.replace("message", empty)).write_bytes(b"")
    with pytest.raises(EmptyData, match=f"the {empty} file holds no row"):
        opened(path)


@pytest.mark.parametrize("date", ["2012-13-45", "2012-02-30", "0000-00-00"])
def test_impossible_dates(tmp_path: Path, date: str) -> None:
    with pytest.raises(InputError, match=f"{date} in a LOBSTER file name is no day of the calendar"):
        opened(Market(1, 5).run(5).write(tmp_path, date=date))


def test_a_file_of_another_name_is_not_guessed(tmp_path: Path) -> None:
    path = Market(1, 5).run(5).write(tmp_path)
    other = path.rename(tmp_path / "messages.csv")
    assert recognise(other, read_head(other)) is None
    with pytest.raises(InputError, match="not named as LOBSTER names files"):
        opened(other)


def test_options(tmp_path: Path) -> None:
    path = Market(1, 5).run(5).write(tmp_path)
    with pytest.raises(ConfigError, match="not depth"):
        opened(path, extra={"depth": "5"})
    with pytest.raises(ConfigError, match="lobster_mode is one of book, messages, not 'orders'"):
        in_mode(path, "orders")
    assert opened(path, symbols=frozenset({"AMZN"}), tick=10**5).resolve(1, 1).tick == 10**5
    with pytest.raises(UnknownName, match="has AMZN only, not AAPL"):
        opened(path, symbols=frozenset({"AAPL", "AMZN"}))


def test_truncated_and_flipped_archives_are_contained(tmp_path: Path) -> None:
    path = Market(4, 5).run(3_000).write(tmp_path)
    whole = b"".join(c.tobytes() for c in opened(path).chunks())
    zipped = packed(path, tmp_path)
    data = zipped.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(data[: len(data) // 2])
    venue = recognise(cut, read_head(cut))
    assert venue is not None and venue.FORMAT == "lobster"
    with pytest.raises(CorruptData, match="list of files at the end of the zip is missing"):
        venue.open_file(cut, SourceOptions())
    rng = random.Random(3)
    for k in range(60):
        damaged = bytearray(data)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        flipped = tmp_path / f"flip{k}.zip"
        flipped.write_bytes(damaged)
        got = b""
        try:
            for chunk in opened(flipped).chunks():
                got += chunk.tobytes()
        except InputError:
            continue
        assert got == whole  # the flip struck what no row depends on


def test_truncated_gzip_gives_what_was_readable(tmp_path: Path) -> None:
    path = Market(4, 5).run(3_000).write(tmp_path)
    whole = b"".join(c.tobytes() for c in opened(path).chunks())
    folder = tmp_path / "gz"
    folder.mkdir()
    for file in (path, path.with_name(path.name.replace("message", "orderbook"))):
        data = gzip.compress(file.read_bytes())
        (folder / f"{file.name}.gz").write_bytes(data if "message" in file.name else data[: len(data) // 2])
    got = b""
    with pytest.raises(CorruptData, match="compressed data is damaged") as caught:
        for chunk in opened(folder / f"{path.name}.gz").chunks():
            got += chunk.tobytes()
    assert whole.startswith(got)
    assert len(got) > len(whole) // 4
    assert 3_000 // 4 < caught.value.records < 3_000
