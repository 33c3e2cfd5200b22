"""`depthscope liquidity`: rows out, clear errors for what is wrong."""

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


def test_rows_as_lines_of_json(command: Command) -> None:
    done = command("liquidity", MARKET, "--levels", 3, "--json")
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    table = ds.liquidity_profile(MARKET, levels=3)
    assert len(lines) > 10
    for name in ("side", "price", "size", "share"):
        assert [line[name] for line in lines] == table[name].to_pylist()


def test_a_file(command: Command, tmp_path: Path) -> None:
    done = command("liquidity", MARKET, "--every", "30s", "--window", "1m", "--out", "f.parquet", "--json")
    assert done.code == 0, done.err
    table = pq.read_table(tmp_path / "f.parquet")
    assert done.document["rows"] == table.num_rows
    assert done.document["columns"] == table.column_names
    assert table.to_pylist() == ds.liquidity_profile(MARKET, "30s", window="1m").to_pylist()
    told = command("liquidity", MARKET, "--out", "f.csv")
    assert f"{ds.liquidity_profile(MARKET).num_rows:,} rows, 6 columns" in told.err


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--every", "soon"), "--every"),
        (("--window", "never"), "--window"),
        (("--levels", "21"), "levels"),
        (("--symbols", "NOPE"), "NOPE"),
    ],
)
def test_bad_input_is_refused(command: Command, tmp_path: Path, options: tuple[str, ...], what: str) -> None:
    done = command("liquidity", MARKET, *options, "--out", "f.parquet")
    assert done.code == 2
    assert what in done.err
    assert not list(tmp_path.glob("f.parquet*"))
