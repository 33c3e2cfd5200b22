"""Instrument definitions: in the data file itself, or in a definition file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.errors import DepthscopeError
from depthscope.market.events import UNDEF_PRICE
from depthscope.venues import dbn_layout as layout
from depthscope.venues.dbn_header import open_records, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from depthscope.market.source import SourceInfo

BATCH: Final = 4_096


@dataclass(frozen=True, slots=True)
class Definition:
    """What an instrument definition settles (0 and empty where it does not).

    Parameters
    ----------
    publisher, instrument_id : int
        As in the record.
    tick, tick_value : int
        Price increment, and the currency one is worth; 1e-9 units.
    ts : int
        Receive time, UTC nanoseconds.
    file : str
        Name of the definition file, empty for a record of the data file itself.
    """

    publisher: int
    instrument_id: int
    symbol: str
    tick: int
    tick_value: int
    currency: str
    ts: int
    file: str = ""


def read_definitions(records: bytes, size: int, file: str = "") -> Iterator[Definition]:
    """Yield the definitions in whole records of `size` bytes each, of any version."""
    known = layout.fitting(layout.DEFINITION, size)
    view = np.frombuffer(records, np.uint8).reshape(-1, size)[:, : known.itemsize]
    for row in np.ascontiguousarray(view).view(known).ravel():
        yield Definition(
            int(row["publisher_id"]),
            int(row["instrument_id"]),
            layout.text(bytes(row["raw_symbol"])),
            _defined(int(row["min_price_increment"])),
            _defined(int(row["min_price_increment_amount"])),
            layout.text(bytes(row["currency"])),
            min(int(row["ts_recv"]), 2**63 - 1),
            file,
        )


def _defined(value: int) -> int:
    return value if 0 < value < UNDEF_PRICE else 0


def read_beside(path: Path, dataset: str, info: SourceInfo) -> list[Definition]:
    """Definitions for `dataset` in the files called ``*definition*`` next to a data file.

    A sidecar that cannot be read is named in `info.warnings` and left out.
    """
    found: list[Definition] = []
    for beside in sorted(path.parent.glob("*definition*")):
        if beside == path or not beside.name.lower().endswith(layout.SUFFIXES):
            continue
        try:
            header = read_header(beside, brief=True)
            if header.schema == "definition" and header.dataset == dataset:
                found += _read_all(beside)
        except (DepthscopeError, OSError) as error:
            info.warnings.append(f"Definitions beside the file were left out: {error}")
    return found


def _read_all(path: Path) -> Iterator[Definition]:
    _, stream = open_records(path, brief=True)
    try:
        first = stream.read(16)
        size = first[0] * 4 if first else 0
        if size < min(layout.DEFINITION):
            return
        data = first + stream.read(BATCH * size - len(first))
        while len(data) >= size:
            whole = data[: len(data) // size * size]
            heads = np.frombuffer(whole, np.uint8).reshape(-1, size)[:, :2]
            good = (heads[:, 0] == size // 4) & (heads[:, 1] == layout.RT_DEFINITION)
            n = len(good) if good.all() else int(np.argmin(good))
            yield from read_definitions(whole[: n * size], size, path.name)
            if n < len(good):
                return
            data = stream.read(BATCH * size)
    finally:
        stream.close()
