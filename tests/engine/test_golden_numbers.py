"""DEFINITIONS section 5 from `features(every="event")`: how much order flow explains, to ±0.002."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import depthscope as ds
from depthscope.market.layouts import OFI_LEVELS
from tests.engine.flow_statistics import States, statistics

pytestmark = pytest.mark.real_data

SECOND = 10**9
ES_OPEN = 1_703_545_230 * SECOND  # 30 s after the open of 2023-12-25
ES_END = 1_703_548_800 * SECOND
LEVELS = [f"ofi_l{k + 1}" for k in range(OFI_LEVELS)]
ES = {
    "windows": 356, "ofi": 0.4593, "trades": 0.3494, "integrated": 0.8292, "next": 0.0060,
    "moves": 1549, "auc": 0.7889, "auc_tight": 0.9364,
}  # fmt: skip
BTC = {
    "windows": 344, "ofi": 0.4324, "trades": 0.1603, "integrated": 0.3612, "next": 0.0032,
    "moves": 480, "auc": 0.8564, "auc_tight": 0.8695,
}  # fmt: skip


def by_event(path: Path) -> dict[str, Any]:
    """Columns of a table with one row per group, as numpy arrays (times in ns)."""
    table = ds.features(path, every="event", features=["quotes", "ofi", "flow"])
    out = {name: table[name].to_numpy() for name in ("best_bid", "best_ask", "bid_size", "ask_size", "delta")}
    out |= {name: table[name].cast("int64").to_numpy() for name in ("ts_event", "ts_recv")}
    out["action"] = np.array(table["action"].to_pylist())
    out["ofi"] = np.column_stack([table[name].to_numpy() for name in LEVELS])
    return out


def states(rows: dict[str, Any], time: str, chosen: Any) -> States:
    """Book states among the rows: chosen ones that are neither crossed nor one-sided."""
    chosen = chosen & (rows["best_bid"] < rows["best_ask"])
    sides = (rows[name][chosen] for name in ("best_bid", "best_ask", "bid_size", "ask_size"))
    return States(rows[time][chosen], *sides, rows["ofi"][chosen])


def agree(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found == {name: pytest.approx(value, abs=0.002) for name, value in expected.items()}


def test_es_10_s(data_dir: Path) -> None:
    rows = by_event(data_dir / "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst")
    inside = (rows["ts_recv"] >= ES_OPEN) & (rows["ts_recv"] < ES_END)
    found = statistics(
        states(rows, "ts_recv", inside), rows["ts_recv"], rows["delta"], tick=0.25, origin=ES_OPEN, seconds=10
    )
    agree(found, ES)


def test_btc_1_s(data_dir: Path) -> None:
    rows = by_event(data_dir / "binance/btcusdt_20240808.gz")
    depth_row = rows["action"] == "L"
    # The snapshot and the buffered messages it released are one moment; the protocol starts after it.
    snapshot = rows["ts_recv"][depth_row][0]
    depth = states(rows, "ts_event", depth_row & (rows["ts_recv"] > snapshot))
    assert len(depth.time) == 6_545
    origin = int(depth.time[0])
    found = statistics(depth, rows["ts_event"], rows["delta"], tick=0.1, origin=origin, seconds=1)
    agree(found, BTC)
