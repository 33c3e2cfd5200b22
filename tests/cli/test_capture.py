"""`depthscope capture …` and `depthscope archive`: what they say, write and end with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from depthscope.market.inputs import Input, Kind
from depthscope.runtime.sources import open_source
from depthscope.storage.capture import CaptureWriter
from tests.cli.conftest import Outcome
from tests.storage.made_events import all_of
from tests.venues.binance_world import World

Command = Callable[..., Outcome]
START = 1_723_161_255_030_314_667


def depth(number: int) -> bytes:
    told = {
        "e": "depthUpdate", "E": 1_723_161_255_030 + number, "T": 1_723_161_255_030 + number, "s": "BTCUSDT",
        "U": 100 + number, "u": 100 + number, "pu": 99 + number, "b": [["58710.20", f"0.0{number % 9}1"]],
        "a": [],
    }  # fmt: skip
    return json.dumps({"stream": "btcusdt@depth@0ms", "data": told}, separators=(",", ":")).encode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of a short session, with two segments."""
    folder = tmp_path / "log"
    body = b'{"lastUpdateId":100,"E":1,"T":1,"bids":[["58700.00","1.000"]],"asks":[["58800.00","2.000"]]}'
    with CaptureWriter(folder, segment_seconds=0.15) as writer:
        writer.append(Input(Kind.CONFIG, 0, START, b'{"speed":"0ms"}'))
        writer.append(Input(Kind.WS, 1, START, depth(0)))
        writer.append(
            Input(Kind.REST, 0, START + 5, b'{"url":"/fapi/v1/depth?symbol=BTCUSDT","status":200}\n' + body)
        )
        for number in range(1, 200):
            writer.append(Input(Kind.WS, 1, START + number * 1_000_000, depth(number)))
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A log of what a live session took in, with two segments."""
    world = World(["BTCUSDT"])
    world.run(8)
    with CaptureWriter(tmp_path / "session", wait=True, segment_seconds=5) as writer:
        for received in world.inputs:
            writer.append(received)
    return tmp_path / "session"


def damage(folder: Path) -> Path:
    path = sorted(folder.glob("*.cap"))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(data)
    return path


def test_verify_and_info_of_a_sound_log(command: Command, log: Path) -> None:
    done = command("capture", "verify", str(log))
    assert done.code == 0
    assert "202 inputs in 2 segments" in done.out
    assert done.out.endswith("sound\n")
    told = command("capture", "info", str(log), "--json").document
    assert told["kinds"] == {"config": 1, "ws": 200, "rest": 1}
    assert (told["sound"], told["inputs"], told["lost"], told["connections"]) == (True, 202, 0, 1)
    assert (told["start"], told["end"]) == (START, START + 199_000_000)
    assert "ws: 200 inputs" in command("capture", "info", str(log)).out


def test_a_damaged_log_is_told_repaired_and_sound(command: Command, log: Path) -> None:
    path = damage(log)
    done = command("capture", "verify", str(log), "--json")
    assert done.code == 2
    assert done.document["sound"] is False
    assert done.document["gaps"][0]["reason"] == "damage"
    assert "capture repair" in " ".join(done.err.split())
    assert command("capture", "info", str(log)).code == 2
    refused = command("capture", "export", str(log), "--out", "x.gz")
    assert refused.code == 2
    assert "Repair the log first" in " ".join(refused.err.split())
    assert not Path("x.gz").exists()
    done = command("capture", "repair", str(log), "--json")
    assert done.code == 0
    assert done.document[0]["kept"] == f"{path.name}.damaged"
    assert command("capture", "verify", str(log)).code == 0
    assert "nothing to repair" in command("capture", "repair", str(log)).err
    assert command("capture", "export", str(log), "--out", "x.gz").code == 0


def test_repair_says_what_it_did(command: Command, log: Path) -> None:
    damage(log)
    done = command("capture", "repair", str(log))
    assert "inputs kept; the damaged file is" in done.err
    assert "bytes that are no frames" in done.err


def test_export_to_lines(command: Command, log: Path) -> None:
    lines = command("capture", "export", str(log), "--out", "x.gz", "--json")
    assert lines.document == {
        "path": "x.gz", "format": "lines", "lines": 201, "skipped": {"config": 1}, "gaps": 0,
    }  # fmt: skip
    done = command("capture", "export", str(log), "--out", "x.raw")
    assert "left out: 1 config inputs" in done.err
    read = [all_of(open_source(target).chunks()).tobytes() for target in ("x.gz", "x.raw")]
    assert read[0] == read[1] != b""


def test_exported_events_are_those_of_the_session(command: Command, session: Path) -> None:
    source = open_source(session)
    events = all_of(source.chunks()).tobytes()
    assert events
    for target in ("x.events", "parquet"):
        done = command("capture", "export", str(session), "--out", target)
        assert done.code == 0, done.err
        archived = open_source(target)
        assert all_of(archived.chunks()).tobytes() == events
        assert dict(archived.instruments) == dict(source.instruments)
        assert archived.info.notes["archived from"] == "capture"
    told = command("capture", "export", str(session), "--out", "y.events", "--json").document
    assert (told["format"], told["instruments"], told["gaps"]) == ("events", 1, 0)


def test_events_of_a_damaged_log_are_not_exported(command: Command, session: Path) -> None:
    path = sorted(session.glob("*.cap"))[1]
    path.write_bytes(path.read_bytes()[:-5])  # torn: what comes before could be read
    done = command("capture", "export", str(session), "--out", "x.events")
    assert (done.code, "capture repair" in " ".join(done.err.split())) == (2, True)
    assert not Path("x.events").exists()
    assert not list(session.glob("*.archived"))


@pytest.mark.parametrize("target", ["x.gz", "x.events", "x.csv", "file"])
def test_export_never_overwrites(command: Command, log: Path, target: str) -> None:
    Path(target).write_text("mine")
    done = command("capture", "export", str(log), "--out", target)
    assert done.code == 2
    assert Path(target).read_text() == "mine"


def test_what_is_no_log(command: Command, tmp_path: Path) -> None:
    done = command("capture", "verify", "absent")
    assert (done.code, "There is no file or folder absent" in done.err) == (2, True)
    done = command("capture", "info", str(tmp_path))
    assert (done.code, "no segment" in " ".join(done.err.split())) == (2, True)
    (tmp_path / "notes.txt").write_text("hello")
    done = command("capture", "repair", "notes.txt")
    assert (done.code, "is no segment" in " ".join(done.err.split())) == (2, True)


def test_archive_to_both(command: Command, log: Path) -> None:
    command("capture", "export", str(log), "--out", "x.raw")
    done = command("archive", "x.raw", "--out", "x.events")
    assert done.code == 0
    assert "read back and equal" in done.err
    told = command("archive", "x.events", "--out", "parquet", "--json").document
    assert (told["format"], told["instruments"], told["files"]) == ("parquet", 1, 1)
    assert command("info", "parquet", "--json").document["events"] == told["events"]
    assert command("info", "x.events", "--json").document["format"] == "events"
    again = command("archive", "x.raw", "--out", "x.events")
    assert (again.code, "exists already" in again.err) == (2, True)
    other = command("archive", "x.raw", "--out", "x.csv")
    assert (other.code, "neither" in other.err) == (2, True)


def test_what_is_odd_about_a_recording_is_said_with_what_is_made_of_it(
    command: Command, session: Path
) -> None:
    """A segment that was cut off reads as far as it goes: rows of it must not look like all there was."""
    last = sorted(session.glob("*.cap"))[-1]
    last.write_bytes(last.read_bytes()[:-40])
    for words in (
        ("features", str(session), "--features", "mid", "--out", "x.csv"),
        ("detections", str(session), "--out", "y.csv"),
        ("archive", str(session), "--out", "x.events"),
    ):
        done = command(*words)
        assert done.code == 0
        assert f"note: {last.name}" in done.err, words
        assert "ends in the middle of a write" in done.err


def test_export_names_all_it_writes(command: Command, log: Path) -> None:
    done = command("capture", "export", str(log), "--out", "x.foo")
    assert done.code == 2
    assert all(ending in done.err for ending in (".gz", ".raw", ".txt", ".events", "Parquet"))


def test_prune_keeps_what_is_not_archived_unless_told(command: Command, log: Path) -> None:
    before = sorted(log.glob("*.cap"))
    assert len(before) == 2
    done = command("capture", "prune", str(log), "--max-size", "1KB")
    assert done.code == 0
    assert "0 of 2 segments deleted" in done.err
    assert f"{before[0].name} and all later ones are kept: nothing says that it is archived" in done.err
    done = command("capture", "prune", str(log), "--max-size", "100 B", "--unarchived", "--dry-run", "--json")
    assert [one["segment"] for one in done.document] == [path.name for path in before]
    assert sorted(log.glob("*.cap")) == before
    kept = before[1].stat().st_size
    done = command("capture", "prune", str(log), "--max-size", f"{kept}B", "--max-age", "30d", "--unarchived")
    assert done.code == 0
    assert "1 of 2 segments deleted" in done.err
    assert sorted(log.glob("*.cap")) == before[1:]
    assert before[0].name in (log / "retention.jsonl").read_text()


def test_prune_deletes_what_export_has_archived(command: Command, session: Path) -> None:
    before = sorted(session.glob("*.cap"))
    assert command("capture", "export", str(session), "--out", "x.raw").code == 0
    done = command("capture", "prune", str(session), "--max-size", "1KB")
    assert "0 of 2 segments deleted" in done.err, "lines are the venue's messages alone, not the session"
    assert command("capture", "export", str(session), "--out", "x.events").code == 0
    done = command("capture", "prune", str(session), "--max-size", f"{before[1].stat().st_size}B", "--json")
    assert [one["segment"] for one in done.document] == [before[0].name]
    assert done.document[0]["archived"].endswith("x.events")
    assert sorted(session.glob("*.cap")) == before[1:]


@pytest.mark.parametrize("words", [(), ("--max-size", "50"), ("--max-size", "-1GB"), ("--max-age", "soon")])
def test_prune_needs_to_know_what_is_kept(command: Command, log: Path, words: tuple[str, ...]) -> None:
    done = command("capture", "prune", str(log), *words, "--unarchived")
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert len(list(log.glob("*.cap"))) == 2
