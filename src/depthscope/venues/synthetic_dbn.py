"""Synthetic markets as files: Databento's own format (DBN v3, MBO), with the truth beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import ConfigError, OutputError
from depthscope.market.source import SourceOptions
from depthscope.venues.synthetic import DATASET, SyntheticSource
from depthscope.venues.synthetic_spec import NS, SyntheticSpec, parse_spec
from depthscope.venues.synthetic_truth import write_truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument

__all__ = ["TRUTH_SUFFIX", "Written", "write_dbn"]

TRUTH_SUFFIX: Final = ".truth.jsonl"
RTYPE_MBO: Final = 160
LEVEL: Final = 3  # of zstd
CHUNK: Final = 65_536

MBO: Final = np.dtype(
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

SAME: Final = (
    "instrument_id", "ts_event", "order_id", "price", "size", "flags", "action", "side", "ts_recv",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """What :func:`write_dbn` wrote.

    Parameters
    ----------
    path, truth : Path
        The market and its injections.
    events, injections : int
        How many of each.
    """

    path: Path
    truth: Path
    events: int
    injections: int


def write_dbn(
    path: str | Path,
    spec: str | SyntheticSpec = "",
    progress: Callable[[int], None] | None = None,
) -> Written:
    """Write a synthetic market as a DBN v3 file, and its truth as ``<path>.truth.jsonl``.

    Tick and lot of the instruments follow from the data set's name and their symbols, as for
    any DBN file. Both files appear whole or not at all; existing ones are replaced.

    Parameters
    ----------
    path : str or Path
        ``….dbn`` or, compressed, ``….dbn.zst``.
    spec : str or SyntheticSpec
        What to generate; it must end (`minutes` or `events`).
    progress : callable, optional
        Called with the number of events written so far.

    Raises
    ------
    ConfigError
        When the name has another ending, the market never ends, or it has trading halts: MBO
        files have no record for those.
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    if isinstance(spec, str):
        spec = parse_spec(spec)
    if not path.name.endswith((".dbn", ".dbn.zst")):
        raise ConfigError(f"{path}: a synthetic market is written as .dbn or .dbn.zst; choose such a name.")
    if spec.minutes is None and spec.events is None:
        raise ConfigError("An endless synthetic market cannot be written to a file; give minutes or events.")
    if spec.halts:
        raise ConfigError(
            "Trading halts cannot be written to an MBO file, which has no record for them; leave out halts=1."
        )
    source = SyntheticSource(spec, SourceOptions(chunk=CHUNK))
    truth = path.with_name(path.name + TRUTH_SUFFIX)
    parts = [p.with_name(p.name + ".part") for p in (path, truth)]
    try:
        with parts[0].open("wb") as file:
            _write(file, source, path.name.endswith(".zst"), progress)
        by_id: dict[int, Instrument] = {number: x for (_, number), x in source.instruments.items()}
        injections = write_truth(parts[1], source.truth(), by_id)
        parts[0].replace(path)
        parts[1].replace(truth)
    except OSError as error:
        raise OutputError(
            f"{path} could not be written: {error.strerror or error}. Nothing was left there; name another "
            "place or free some room."
        ) from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return Written(path, truth, source.info.records, injections)


def _write(
    file: IO[bytes], source: SyntheticSource, compress: bool, progress: Callable[[int], None] | None
) -> None:
    import zstandard

    sink: Any = file
    if compress:
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        sink = compressor.stream_writer(file, closefd=False)
    with sink if compress else _Open():
        sink.write(header(source))
        for events in source.chunks():
            sink.write(memoryview(records(events)).cast("B"))
            if progress is not None:
                progress(source.info.records)


class _Open:
    """Leave an open file open."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _Interval:
    """Days on which a symbol had an instrument id."""

    start_date: date
    end_date: date
    symbol: str


@dataclass(frozen=True, slots=True)
class _Mapping:
    """A symbol and its instrument ids."""

    raw_symbol: str
    intervals: list[_Interval]


def header(source: SyntheticSource) -> bytes:
    """DBN v3 metadata of a synthetic market: data set, span, symbols and their ids."""
    import databento_dbn as dbn

    spec = source.spec
    first = datetime.fromtimestamp(spec.start_ns // NS, UTC).date()
    end, last = None, first + timedelta(days=36_500)
    if spec.minutes is not None:
        end = spec.start_ns + int(spec.minutes * 60 * NS) + NS  # the last receive times lie a little later
        last = datetime.fromtimestamp(end // NS, UTC).date() + timedelta(days=1)
    symbols = {str(number): x.symbol for (_, number), x in source.instruments.items()}
    mappings: Any = [_Mapping(symbol, [_Interval(first, last, number)]) for number, symbol in symbols.items()]
    metadata = dbn.Metadata(
        dataset=DATASET,
        start=spec.start_ns,
        end=end,
        stype_in=dbn.SType.from_str("raw_symbol"),
        stype_out=dbn.SType.from_str("instrument_id"),
        schema=dbn.Schema.from_str("mbo"),
        symbols=list(symbols.values()),
        partial=[],
        not_found=[],
        mappings=mappings,
        ts_out=False,
        limit=None,
        version=3,
    )
    return bytes(metadata.encode())


def records(events: Events) -> Any:
    """DBN MBO records of EVENTs; `sequence` keeps its lower 32 bits, as the format has no more."""
    out = np.zeros(len(events), MBO)
    out["length"], out["rtype"] = MBO.itemsize // 4, RTYPE_MBO
    out["publisher_id"] = events["publisher"]
    for name in SAME:
        out[name] = events[name]
    out["ts_in_delta"] = (events["ts_recv"] - events["ts_event"]) // 2
    out["sequence"] = events["sequence"] & 0xFFFF_FFFF
    return out
