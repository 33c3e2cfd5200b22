"""Arrow tables of engine rows, each column with its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from depthscope.detectors.registry import all_detectors
from depthscope.features.registry import select
from depthscope.market.events import PRICE_SCALE, UNDEF_PRICE
from depthscope.market.layouts import PHASE_NAMES, STATE_NAMES
from depthscope.signals.signal import OUT as SIGNAL_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from depthscope.detectors.kit import Detector
    from depthscope.features.kit import Column
    from depthscope.market.instruments import Instrument

__all__ = ["Tables", "arrow_of", "arrow_text", "detections_batch"]

QUOTES: Final = ("best_bid", "best_ask", "bid_size", "ask_size")
ANCHORED: Final = ("cvd", "vwap", "hod", "lod")


def arrow_of(values: npt.NDArray[Any], kind: Any, missing: npt.NDArray[np.bool_] | None = None) -> Any:
    """Arrow array over numpy memory. `pyarrow.array` would import pandas where it is installed."""
    import pyarrow as pa

    validity, nulls = None, 0
    if missing is not None and missing.any():
        nulls = int(np.count_nonzero(missing))
        validity = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [validity, data], nulls)


def arrow_text(words: list[str]) -> Any:
    """Arrow array of strings, without pandas (see `arrow_of`)."""
    import pyarrow as pa

    raw = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(b"".join(raw)))


class Tables:
    """Turns engine batches into Arrow record batches of one schema."""

    def __init__(self, columns: tuple[Column, ...], by_event: bool, wanted: list[str] | None) -> None:
        import pyarrow as pa

        self.columns = columns
        self.by_event = by_event
        rank = {name: k for k, name in enumerate(QUOTES)}
        order = sorted(range(len(columns)), key=lambda k: rank.get(columns[k].name, len(rank)))
        if wanted is not None:
            names = {f.name: [c.name for c in f.columns] for f in select(wanted)}
            keep = {n for name in wanted for n in names.get(name, [name])} | set(QUOTES)
            keep |= {c.name for c in SIGNAL_COLUMNS}
            order = [k for k in order if columns[k].name in keep]
        self.order = order
        text = pa.dictionary(pa.int32(), pa.string())
        fields = [
            pa.field(
                "ts_event",
                pa.timestamp("ns", "UTC"),
                metadata={"unit": "UTC ns, venue time of the last group"},
            ),
            pa.field(
                "ts_recv",
                pa.timestamp("ns", "UTC"),
                metadata={"unit": "UTC ns, " + ("time of the group" if by_event else "the row's boundary")},
            ),
            pa.field("sequence", pa.uint64()),
            pa.field("symbol", text),
            pa.field("state", text),
        ]
        for k in order:
            c = columns[k]
            kind = text if c.labels else pa.int64() if c.integer else pa.float64()
            metadata = {"unit": c.unit}
            if c.name in ANCHORED:
                metadata["anchor"] = "session of the instrument's calendar"
            fields.append(pa.field(c.name, kind, metadata=metadata))
        if by_event:
            fields.append(pa.field("action", text, metadata={"unit": "action of the group's last record"}))
        self.schema = pa.schema(fields)

    def record_batch(
        self, meta: npt.NDArray[Any], values: npt.NDArray[np.float64], symbols: list[str]
    ) -> pa.RecordBatch:
        """One record batch of an engine batch's rows."""
        import pyarrow as pa

        def words(
            index: npt.NDArray[Any], names: list[str], missing: npt.NDArray[np.bool_] | None = None
        ) -> Any:
            return pa.DictionaryArray.from_arrays(
                arrow_of(index.astype(np.int32), pa.int32(), missing), arrow_text(names)
            )

        stamp = pa.timestamp("ns", "UTC")
        arrays = [
            arrow_of(meta["ts_event"], stamp),
            arrow_of(meta["ts"], stamp),
            arrow_of(meta["sequence"], pa.uint64()),
            words(meta["slot"], symbols),
            words(meta["state"], list(STATE_NAMES)),
        ]
        for k in self.order:
            c, line = self.columns[k], values[k]
            missing = np.isnan(line)
            if c.labels:
                arrays.append(words(np.where(missing, 0.0, line), list(c.labels), missing))
            elif c.integer:
                arrays.append(arrow_of(np.where(missing, 0.0, line).astype(np.int64), pa.int64(), missing))
            else:
                arrays.append(arrow_of(line, pa.float64(), missing))
        if self.by_event:
            seen, index = np.unique(meta["action"], return_inverse=True)
            arrays.append(words(index, [chr(code) for code in seen]))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def detections_batch(records: npt.NDArray[Any], instruments: Sequence[Instrument]) -> pa.RecordBatch:
    """Messages of detectors, a row each.

    Parameters
    ----------
    records : structured array of DETECTION
    instruments : sequence of Instrument
        By slot.

    Returns
    -------
    pyarrow.RecordBatch
        What `Detection` has, under the same names; ``evidence`` is JSON.
    """
    import pyarrow as pa

    kinds = {d.number: d for d in all_detectors()}
    number, slot = records["detector"].astype(np.int64), records["slot"].astype(np.int64)
    ratios = np.array([i.size_ratio for i in instruments], np.float64).reshape(-1, 2)[slot]
    unpriced = records["price"] == UNDEF_PRICE
    stamp = pa.timestamp("ns", "UTC")

    def of_kind(field: str, word: Callable[[Detector, int], str]) -> Any:
        codes = number << 32 | records[field].astype(np.int64)
        return _spelt(codes, lambda code: word(kinds[code >> 32], code & 0xFFFFFFFF))

    about = [(kinds[k].name, kinds[k].evidence) for k in number.tolist()]
    symbols = [instruments[k].symbol for k in slot.tolist()]
    told = zip(about, records["evidence"].tolist(), strict=True)
    rows = zip(about, symbols, records["number"].tolist(), strict=True)
    write = msgspec.json.Encoder().encode
    inferred, which = np.unique(number << 32 | slot, return_inverse=True)
    infers = np.array([kinds[c >> 32].infers(instruments[c & 0xFFFFFFFF]) for c in inferred.tolist()], bool)
    columns = {
        "ts": arrow_of(records["ts"], stamp),
        "opened": arrow_of(records["opened"], stamp),
        "id": arrow_text([f"{name}-{symbol}-{count}" for (name, _), symbol, count in rows]),
        "detector": _spelt(number, lambda code: kinds[code].name),
        "symbol": _spelt(slot, lambda code: instruments[code].symbol),
        "phase": _spelt(records["phase"].astype(np.int64), lambda code: PHASE_NAMES[code]),
        "side": arrow_text([chr(side) if side else "" for side in records["side"].tolist()]),
        "price": arrow_of(np.where(unpriced, 0, records["price"]) / PRICE_SCALE, pa.float64(), unpriced),
        "size": arrow_of(records["size"] * ratios[:, 0] / ratios[:, 1], pa.float64()),
        "strength": arrow_of(records["strength"], pa.float64()),
        "label": of_kind("label", lambda kind, code: kind.labels[code]),
        "outcome": of_kind("outcome", lambda kind, code: kind.outcomes[code]),
        "evidence": arrow_text(
            [write(dict(zip(names, values, strict=False))).decode() for (_, names), values in told]
        ),
        "inferred": pa.Array.from_buffers(
            pa.bool_(),
            len(records),
            [None, pa.py_buffer(np.packbits(infers[which].astype(bool), bitorder="little"))],
        ),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _spelt(codes: npt.NDArray[np.int64], word: Callable[[int], str]) -> pa.StringArray:
    """Strings of codes, of which there are few; the empty one says that there is none."""
    import pyarrow as pa

    few, which = np.unique(codes, return_inverse=True)
    words = [word(code) for code in few.tolist()]
    missing = np.array([not one for one in words], bool)[which]
    return arrow_text(words).take(arrow_of(which.astype(np.int32), pa.int32(), missing))
