"""A second decoder of the page's frames, written from docs/STREAM.md alone."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

NO_TICK = -(2**31)
TRADE_FIELDS = ("col", "tick", "tick_fraction", "size", "trade_seq", "side", "flags", "count")


def _take(data: bytes, at: int, kind: str, n: int) -> tuple[list[Any], int]:
    size = struct.calcsize(kind)
    assert at % min(size, 4) == 0, f"section at {at} is not aligned"
    return list(struct.unpack_from(f"<{n}{kind}", data, at)), at + n * size


def _trades(data: bytes, at: int, n: int) -> tuple[list[dict[str, Any]], int]:
    rows = [
        dict(zip(TRADE_FIELDS, struct.unpack_from("<IiffIBBH", data, at + 24 * k), strict=True))
        for k in range(n)
    ]
    return rows, at + 24 * n


def decode(data: bytes) -> dict[str, Any]:
    """Every field of a frame, by the names of the document."""
    kind, version, symbol, seq, server_ms = struct.unpack_from("<BBHId", data, 0)
    head = {"type": kind, "version": version, "symbol": symbol, "seq": seq, "server_ms": server_ms}
    return head | {1: _hist, 2: _tick, 3: _book}[kind](data)


def _tick(data: bytes) -> dict[str, Any]:
    names = (
        "col", "base_tick", "bid", "ask", "bid_size", "ask_size", "cvd", "imbalance", "nLevels", "nTrades",
        "flags", "ofi_first", "nOfi", "res",
    )  # fmt: skip
    out = dict(zip(names, struct.unpack_from("<IiiiffdfHHIIHH", data, 16), strict=True))
    out["size"], at = _take(data, 68, "f", out["nLevels"])
    out["ofi"], at = _take(data, at, "f", out["nOfi"])
    out["trades"], at = _trades(data, at, out["nTrades"])
    assert at == len(data), f"{len(data) - at} bytes too many"
    return out


def _book(data: bytes) -> dict[str, Any]:
    names = ("col", "base_tick", "bid", "ask", "nLevels", "flags")
    out = dict(zip(names, struct.unpack_from("<IiiiHH", data, 16), strict=True))
    out["size"], at = _take(data, 36, "f", out["nLevels"])
    assert at == len(data)
    return out


def _hist(data: bytes) -> dict[str, Any]:
    names = ("first", "nCols", "nLevels", "nTrades", "flags", "logK", "unit", "reserved")
    out = dict(zip(names, struct.unpack_from("<IIIIIffI", data, 16), strict=True))
    n, at = out["nCols"], 48
    for name, kind in (
        ("cvd", "d"),
        ("base", "i"),
        ("bid", "i"),
        ("ask", "i"),
        ("imbalance", "f"),
        ("ofi", "f"),
    ):
        out[name], at = _take(data, at, kind, n)
    out["trades"], at = _trades(data, at, out["nTrades"])
    out["q"], at = _take(data, at, "H", n * out["nLevels"])
    assert len(data) == at + (-at % 4)
    return out


def sizes(hist: dict[str, Any]) -> np.ndarray:
    """Sizes of a HIST frame, columns x levels, in public units."""
    q = np.array(hist["q"], np.float64).reshape(hist["nCols"], hist["nLevels"])
    return np.where(q == 0, 0.0, hist["unit"] * np.expm1(q / hist["logK"]))


def plain(value: Any) -> Any:
    """The same as JSON can hold it: NaN becomes null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
