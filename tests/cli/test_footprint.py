"""`depthscope footprint`: rows out, clear errors for what is wrong."""

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
    done = command("footprint", MARKET, "--json")
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    table = ds.footprint(MARKET)
    assert [line["price"] for line in lines] == table["price"].to_pylist()
    assert [line["buy_imbalance"] for line in lines] == table["buy_imbalance"].to_pylist()


def test_a_file(command: Command, tmp_path: Path) -> None:
    done = command("footprint", MARKET, "--bar", "30s", "--min-volume", "50", "--out", "f.parquet", "--json")
    assert done.code == 0, done.err
    table = pq.read_table(tmp_path / "f.parquet")
    assert done.document["rows"] == table.num_rows
    assert done.document["columns"] == table.column_names
    assert table.to_pylist() == ds.footprint(MARKET, "30s", min_volume=50).to_pylist()
    told = command("footprint", MARKET, "--out", "f.csv")
    assert f"{ds.footprint(MARKET).num_rows:,} rows, 18 columns" in told.err


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--bar", "soon"), "--bar"),
        (("--imbalance", "0"), "imbalance"),
        (("--min-volume", "-1"), "min_volume"),
        (("--stacked", "0"), "stacked"),
        (("--symbols", "NOPE"), "NOPE"),
    ],
)
def test_bad_input_is_refused(command: Command, tmp_path: Path, options: tuple[str, ...], what: str) -> None:
    done = command("footprint", MARKET, *options, "--out", "f.parquet")
    assert done.code == 2
    assert what in done.err
    assert not list(tmp_path.glob("f.parquet*"))
