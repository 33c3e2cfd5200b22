"""The cache folder of what can be made again: read back exactly, made anew where it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from depthscope import kept as module
from depthscope.kept import Columns, cache_root, kept

YEAR: Columns = {"day": [1, 2, 5], "open": [-(2**62), 0, 2**62]}


class Maker:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Columns:
        self.asked += 1
        return YEAR


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEPTHSCOPE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "years"


def test_it_is_made_once(folder: Path) -> None:
    make = Maker()
    assert [kept("years", "one", make) for _ in range(3)] == [YEAR] * 3
    assert make.asked == 1
    assert kept("years", "two", make) == YEAR
    assert sorted(path.name for path in folder.iterdir()) == ["one", "two"], "nothing half-written stays"


def test_no_damage_is_believed(folder: Path) -> None:
    kept("years", "one", Maker())
    whole = (folder / "one").read_bytes()
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        for data in (bytes(broken), whole[:place]):
            (folder / "one").write_bytes(data)
            make = Maker()
            assert kept("years", "one", make) == YEAR
            assert make.asked == 1
    assert (folder / "one").read_bytes() == whole, "it was mended"


def test_a_folder_that_cannot_be_written_costs_only_time(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("in the way")
    make = Maker()
    assert [kept("years", "one", make) for _ in range(2)] == [YEAR] * 2
    assert make.asked == 2


def test_what_cannot_be_moved_into_place_is_taken_away(folder: Path) -> None:
    (folder / "one").mkdir(parents=True)
    assert kept("years", "one", Maker()) == YEAR
    assert [path.name for path in folder.iterdir()] == ["one"]


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(module, "cache_root", homeless)
    assert kept("years", "one", Maker()) == YEAR


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DEPTHSCOPE_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "depthscope"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_root() == Path.home() / ".cache" / "depthscope"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_root() == Path.home() / "Library" / "Caches" / "depthscope"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_root() == tmp_path / "depthscope" / "cache"


HOURS = """
import sys
from depthscope.market.sessions import timetable
table = timetable("CME_Equity", 1_703_000_000 * 10**9, 1_705_000_000 * 10**9)
print("pandas" in sys.modules, table.starts.tolist() + table.opens.tolist())
"""


def test_a_second_process_asks_no_library(tmp_path: Path) -> None:
    surroundings = {**os.environ, "DEPTHSCOPE_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", HOURS], env=surroundings, capture_output=True, text=True, check=True
        ).stdout.split(maxsplit=1)
        for _ in range(2)
    )
    assert (first[0], second[0]) == ("True", "False")
    assert first[1] == second[1]
