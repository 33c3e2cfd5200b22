"""Messages look as recorded ones do: keys, kinds of value, order of levels, number of decimals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from depthscope.runtime.sources import open_source
from depthscope.simulators.binance_exchange import Exchange
from tests.simulators.market import START, body, connected, get, run, texts

ADDED = {"ps", "st", "nq"}  # since these recordings were made


def recorded(folder: Path) -> Iterator[Any]:
    """Messages of the recordings of the venue."""
    with gzip.open(folder / "btcusdt_20240808.gz", "rt", encoding="utf-8") as lines:
        for _, line in zip(range(3_000), lines, strict=False):
            yield json.loads(line.split(" ", 1)[1])
    for line in (folder / "BINANCE_FUTURES.ws.1.0").read_text(encoding="utf-8").splitlines():
        if ": {" in line:
            yield json.loads(line.split(": ", 1)[1])


def shape(value: Any) -> Any:
    """What a message is made of."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in ADDED}
    if isinstance(value, list):
        return ["level"] if value and isinstance(value[0], list) else []
    return type(value).__name__


@pytest.fixture(scope="module")
def ours(data_dir: Path) -> dict[str, Any]:
    """A message of each kind, made of the same recording."""
    path = data_dir / "binance" / "btcusdt_20240808.gz"
    exchange = Exchange(lambda: open_source(path, chunk=4_096), start=START)
    connected(exchange, "public", "btcusdt@depth@100ms", "btcusdt@bookTicker")
    connected(exchange, "market", "btcusdt@aggTrade")
    found = {data["e"]: data for _, data in texts(run(exchange, 20))}
    found["snapshot"] = body(get(exchange, "/fapi/v1/depth", symbol="BTCUSDT", limit=1000))
    return found


@pytest.mark.real_data
def test_messages_have_the_shape_of_recorded_ones(data_dir: Path, ours: dict[str, Any]) -> None:
    compared = set()
    for message in recorded(data_dir / "binance"):
        data = message.get("data", message)
        kind = data.get("e") or ("snapshot" if "lastUpdateId" in data else "")
        if kind in ours and all(data.get(side, [1]) for side in "ba"):
            assert shape(data) == shape(ours[kind]), kind
            compared.add(kind)
    assert compared == {"depthUpdate", "bookTicker", "aggTrade", "snapshot"}


@pytest.mark.real_data
def test_levels_are_written_as_recorded_ones(data_dir: Path, ours: dict[str, Any]) -> None:
    """BTCUSDT: two decimals of price, three of size; differences go upwards on both sides."""
    checked = 0
    for message in [*recorded(data_dir / "binance"), ours["depthUpdate"]]:
        data = message.get("data", message)
        if data.get("e") != "depthUpdate" or data["s"] != "BTCUSDT":
            continue
        for side in "ba":
            prices = [float(price) for price, _ in data[side]]
            assert prices == sorted(prices)
            for price, size in data[side]:
                assert (len(price.split(".")[1]), len(size.split(".")[1])) == (2, 3)
                checked += 1
    assert checked > 1_000
