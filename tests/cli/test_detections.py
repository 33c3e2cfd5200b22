"""`depthscope detections`: messages out, clear errors for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import depthscope as ds
from tests.cli.conftest import Outcome

MARKET = "synthetic:seed=5,minutes=2,symbols=1"
Command = Callable[..., Outcome]


def test_messages_as_lines_of_json(command: Command) -> None:
    done = command("detections", MARKET, "--json")
    assert done.code == 0
    lines = [json.loads(line) for line in done.out.splitlines()]
    table = ds.detections(MARKET)
    assert [line["id"] for line in lines] == table["id"].to_pylist()
    assert {"wall", "sweep"} <= {line["detector"] for line in lines}
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)
    assert "levels" in json.loads(next(x for x in lines if x["detector"] == "sweep")["evidence"])


def test_a_file_of_chosen_detectors(command: Command, tmp_path: Path) -> None:
    done = command("detections", MARKET, "--detectors", "wall", "--sensitivity", "low", "--out", "w.parquet")
    assert done.code == 0, done.err
    table = pq.read_table(tmp_path / "w.parquet")
    assert set(table["detector"].to_pylist()) == {"wall"}
    high = command("detections", MARKET, "--detectors", "wall", "--sensitivity", "high", "--json")
    assert len(high.out.splitlines()) > table.num_rows
    strict = command("detections", MARKET, "--detectors", "wall", "--set", "wall_minor=50", "--json")
    assert strict.out == ""


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--detectors", "icebreg"), "iceberg"),
        (("--sensitivity", "extreme"), "medium"),
        (("--set", "wall_mynor=4"), "wall_minor"),
        (("--set", "wall_minor=high"), "is a number"),
        (("--set", "wall_minor"), "NAME=VALUE"),
        (("--every", "soon"), "--every"),
        (("--symbols", "NOPE"), "NOPE"),
    ],
)
def test_bad_input_is_refused(command: Command, tmp_path: Path, options: tuple[str, ...], what: str) -> None:
    done = command("detections", MARKET, *options, "--out", "w.parquet")
    assert done.code == 2
    assert what in done.err
    assert not list(tmp_path.glob("w.parquet*"))


def test_frames_carry_what_was_said_of_their_instrument() -> None:
    said = []
    for frame in ds.replay(MARKET, features=["mid"], detectors=["wall"], every="1s"):
        for message in frame.detections:
            assert message.ts <= frame.ts
            assert message.symbol == frame.symbol
            said.append(message.id)
    assert said
    assert set(said) <= set(ds.detections(MARKET, detectors=["wall"], every="1s")["id"].to_pylist())


def test_features_and_detections_of_one_pass(command: Command, tmp_path: Path) -> None:
    done = command(
        "features", MARKET, "--signal", "10s", "--out", "rows.parquet", "--detections", "found.parquet"
    )
    assert done.code == 0, done.err
    rows, found = pq.read_table(tmp_path / "rows.parquet"), pq.read_table(tmp_path / "found.parquet")
    assert "signal_confidence" in rows.column_names
    assert found.equals(ds.detections(MARKET))
    assert f"{found.num_rows:,} messages" in done.err
    told = command("features", MARKET, "--out", "r.csv", "--detections", "f.csv", "--json")
    assert json.loads(told.out)["detections"] == {"path": "f.csv", "rows": found.num_rows}


@pytest.mark.parametrize("name", ["-", "found.txt", "."])
def test_a_wrong_place_for_detections_leaves_nothing(command: Command, tmp_path: Path, name: str) -> None:
    done = command("features", MARKET, "--out", "rows.parquet", "--detections", name)
    assert done.code == 2
    assert "--detections" in done.err
    assert not list(tmp_path.glob("*.parquet*"))
