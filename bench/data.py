"""Inputs of the bench: one real CME file, repeated, and the synthetic market.

The recording never leaves DEPTHSCOPE_DATA; what is derived from it goes to a cache folder outside the
repository.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import tempfile
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from depthscope.market.events import CLEAR, EVENT, NO_SIDE, SNAPSHOT, UNDEF_PRICE

ROOT = Path(__file__).resolve().parent.parent
ES_FILE = Path("databento", "esh4-glbx-mdp3-20231225.mbo.dbn.zst")
BTC_FILE = Path("binance", "btcusdt_20240808.gz")
HOUR = 3_600_000_000_000
SECOND = 1_000_000_000

# The 56 bytes of a DBN MBO record (the layout is the same in DBN versions 1 to 3).
MBO = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "u1"),
        ("side", "u1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
_SHARED = (
    "ts_event",
    "ts_recv",
    "order_id",
    "price",
    "size",
    "sequence",
    "instrument_id",
    "action",
    "side",
    "flags",
)


class MissingInput(Exception):
    """An input cannot be had here; the message says why."""


def data_folder() -> Path:
    """Folder of the recordings."""
    return Path(os.environ.get("DEPTHSCOPE_DATA", ROOT.parent / "shared" / "data"))


def cache_folder() -> Path:
    """Where derived inputs live: DEPTHSCOPE_BENCH_CACHE, or a folder of the system's temporary directory."""
    named = os.environ.get("DEPTHSCOPE_BENCH_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / "depthscope-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def recording(name: Path) -> Path:
    """Path of one recording.

    Raises
    ------
    MissingInput
        When it is not there.
    """
    path = data_folder() / name
    if not path.is_file():
        raise MissingInput(f"{name} is not in {data_folder()} (set DEPTHSCOPE_DATA)")
    return path


class Inputs:
    """Event streams by name.

    ``es`` (real spacing), ``es-busy`` (all tiles in one hour), ``es-day`` (in one trading day of 23 hours),
    ``synthetic``.
    """

    names = ("es", "es-busy", "es-day", "synthetic")

    @cached_property
    def _es(self) -> np.ndarray:
        """One tile: `R`, the opening snapshot brought to one second before trading, the session."""
        import databento

        store = databento.DBNStore.from_file(recording(ES_FILE))
        source = store.to_ndarray()
        tile = np.zeros(len(source) + 1, EVENT)
        body = tile[1:]
        for field in _SHARED:
            column = source[field]
            body[field] = column.view("u1") if column.dtype.kind == "S" else column
        body["publisher"] = source["publisher_id"]
        snapshot = (body["flags"] & SNAPSHOT) != 0
        opening = int(body["ts_recv"][~snapshot][0]) - SECOND
        body["ts_recv"][snapshot] = opening
        body["ts_event"][snapshot] = np.minimum(body["ts_event"][snapshot], opening)
        tile[0] = body[0]
        tile[0]["action"], tile[0]["side"] = CLEAR, NO_SIDE
        tile[0]["order_id"], tile[0]["size"], tile[0]["price"] = 0, 0, UNDEF_PRICE
        tile[0]["ts_event"] = opening
        return tile

    def _tiled(self, tiles: int, busy_of: int | None, hours: int = 1) -> np.ndarray:
        one = self._es
        n = len(one)
        out = np.tile(one, tiles)
        index = np.repeat(np.arange(tiles, dtype=np.int64), n)
        ids = one["order_id"]
        width = int(ids.max() - ids[ids > 0].min()) + 1
        out["order_id"] += np.where(out["order_id"] > 0, (index * width).astype(np.uint64), np.uint64(0))
        sequences = int(one["sequence"].max()) + 1
        out["sequence"] += (index * sequences).astype(np.uint64)
        start = int(one["ts_recv"][0])
        span = int(one["ts_recv"][-1]) - start + SECOND
        out["ts_recv"] += index * span
        out["ts_event"] += index * span
        if busy_of is not None:  # squeeze all tiles into so many hours, order and proportions kept
            factor = -(-span * busy_of // (hours * HOUR))
            for clock in ("ts_recv", "ts_event"):
                out[clock] = start + (out[clock] - start) // factor
        return out

    def events(self, name: str, tiles: int, total: int = 60) -> np.ndarray:
        """EVENT array of `tiles` repetitions; for ``synthetic`` of as many events as those would be.

        `total` is the number of tiles that make up the busy hour, or the day.
        """
        if name == "es":
            return self._tiled(tiles, None)
        if name == "es-busy":
            return self._tiled(tiles, total)
        if name == "es-day":
            return self._tiled(tiles, total, hours=23)
        if name == "synthetic":
            from bench.synthetic import synthetic_events

            return synthetic_events(tiles)
        raise MissingInput(f"no input is called {name!r}; there are {', '.join(self.names)}")

    def dbn(self, name: str, tiles: int, total: int = 60) -> Path:
        """The same events as a .dbn.zst file in the cache folder (made on first use)."""
        path = cache_folder() / f"{name}-{tiles}of{total}.mbo.dbn.zst"
        if not path.is_file():
            events = self.events(name, tiles, total)
            # A CME symbol in both cases: readers settle the tick (0.25) from it.
            write_dbn(path, events, {int(events["instrument_id"][0]): "ESH4"})
        return path


def write_dbn(path: Path, events: np.ndarray, symbols: dict[int, str], dataset: str = "GLBX.MDP3") -> None:
    """Write MBO events as zstd-compressed DBN, whole or not at all; `symbols` by instrument id."""
    import datetime as dt

    import databento_dbn as dbn
    import zstandard

    rows = np.zeros(len(events), MBO)
    rows["length"], rows["rtype"] = MBO.itemsize // 4, 160
    for field in _SHARED:
        rows[field] = events[field]
    rows["publisher_id"] = events["publisher"]
    start, end = int(events["ts_recv"][0]), int(events["ts_recv"][-1]) + 1
    first = dt.datetime.fromtimestamp(start / 1e9, dt.UTC).date()
    last = dt.datetime.fromtimestamp(end / 1e9, dt.UTC).date() + dt.timedelta(days=1)
    mappings = [
        SimpleNamespace(
            raw_symbol=name,
            intervals=[SimpleNamespace(start_date=first, end_date=last, symbol=str(instrument))],
        )
        for instrument, name in symbols.items()
    ]
    header = dbn.Metadata(
        dataset=dataset,
        start=start,
        end=end,
        stype_in=dbn.SType.RAW_SYMBOL,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=dbn.Schema.MBO,
        symbols=list(symbols.values()),
        mappings=mappings,
        version=1,
    )
    scratch = path.with_suffix(f".{os.getpid()}.part")
    try:
        with (
            scratch.open("wb") as raw,
            zstandard.ZstdCompressor(3, write_checksum=True).stream_writer(raw) as out,
        ):
            out.write(bytes(header))
            view = memoryview(rows).cast("B")
            for at in range(0, len(view), 1 << 22):
                out.write(view[at : at + (1 << 22)])
        scratch.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            scratch.unlink()


def depth_messages() -> list[tuple[int, bytes]]:
    """Receive time and body of each Binance depth message of the recording, its REST snapshot among them."""
    found = []
    with gzip.open(recording(BTC_FILE), "rb") as lines:
        for line in lines:
            stamp, _, body = line.rstrip(b"\n").partition(b" ")
            if b'"depthUpdate"' in body[:120] or body.startswith(b'{"lastUpdateId"'):
                found.append((int(stamp), body))
    return found
