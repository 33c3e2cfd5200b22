"""EVENT rows as columns that other programs understand, and back without loss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.market.events import EVENT, PRICE_SCALE, UNDEF_PRICE
from depthscope.storage.archived import instrument_from_json
from depthscope.storage.frames import crc32c

if TYPE_CHECKING:
    import numpy.typing as npt

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key

    Rows = npt.NDArray[np.int64]

__all__ = ["META", "columns_of", "digest_of", "events_of", "meta_from", "meta_of", "schema_of"]

META: Final = b"depthscope.archive"
VERSION: Final = 1
_TIMES: Final = ("ts_event", "ts_recv")
_LETTERS: Final = ("action", "side")
_NUMBERS: Final = ("order_id", "sequence", "instrument_id", "publisher", "aux", "cond", "flags", "reserved")
_COLUMNS: Final = (
    "row", *_TIMES, *_LETTERS, "price", "size", "price_fixed", "lots", *_NUMBERS,
)  # fmt: skip


def schema_of() -> Any:
    """Arrow schema of an archive's files.

    ``row`` is the event's place among all of its archive, all symbols. ``price`` and ``size`` are for
    people (units of the instrument, null where there is no price); ``price_fixed`` (1e-9 units) and ``lots``
    are exact.
    """
    import pyarrow as pa

    stamp, letter = pa.timestamp("ns", "UTC"), pa.dictionary(pa.int32(), pa.string())
    types = {
        "row": pa.int64(),
        **dict.fromkeys(_TIMES, stamp),
        **dict.fromkeys(_LETTERS, letter),
        "price": pa.float64(),
        "size": pa.float64(),
        "price_fixed": pa.int64(),
        "lots": pa.int64(),
        **{name: pa.from_numpy_dtype(EVENT[name]) for name in _NUMBERS},
    }
    return pa.schema([pa.field(name, types[name], nullable=name == "price") for name in _COLUMNS])


def columns_of(rows: Rows, events: Events, instrument: Instrument) -> Any:
    """Arrow table of some events of one instrument."""
    import pyarrow as pa

    schema = schema_of()
    absent = events["price"] == UNDEF_PRICE
    multiply, divide = instrument.size_ratio
    made: dict[str, Any] = {
        "row": rows,
        "price": pa.array(events["price"] / PRICE_SCALE, pa.float64(), mask=absent),
        "size": events["size"] * (multiply / divide) if divide == 1 else events["size"] * multiply / divide,
        "price_fixed": events["price"],
        "lots": events["size"],
        **{name: events[name] for name in _NUMBERS},
    }
    for name in _TIMES:
        made[name] = pa.array(np.ascontiguousarray(events[name])).cast(schema.field(name).type)
    for name in _LETTERS:
        few, which = np.unique(events[name], return_inverse=True)
        words = pa.array([chr(code) for code in few.tolist()], pa.string())
        made[name] = pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), words)
    arrays = [
        made[name] if isinstance(made[name], pa.Array) else pa.array(np.ascontiguousarray(made[name]))
        for name in _COLUMNS
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def events_of(table: Any) -> tuple[Rows, Events]:
    """Places and EVENT rows of a table that `columns_of` made.

    Raises
    ------
    ValueError
        When its columns are not those.
    """
    import pyarrow as pa

    events = np.zeros(table.num_rows, EVENT)
    try:
        for name in _NUMBERS:
            events[name] = table.column(name).to_numpy()
        for name in _TIMES:
            events[name] = table.column(name).cast(pa.int64()).to_numpy()
        events["price"] = table.column("price_fixed").to_numpy()
        events["size"] = table.column("lots").to_numpy()
        for name in _LETTERS:
            column = table.column(name)
            if not pa.types.is_dictionary(column.type):
                column = column.dictionary_encode()
            at = 0
            for chunk in column.chunks:
                codes = np.array([ord(word) for word in chunk.dictionary.to_pylist()], np.uint8)
                events[name][at : at + len(chunk)] = codes[chunk.indices.to_numpy()]
                at += len(chunk)
        rows: Rows = np.ascontiguousarray(table.column("row").to_numpy()).astype(np.int64, copy=False)
    except (KeyError, TypeError, IndexError, OverflowError, pa.ArrowException) as error:
        raise ValueError(f"columns that are not an archive's ({error})") from error
    return rows, events


def digest_of(rows: Rows, events: Events) -> int:
    """CRC32C of places and rows."""
    return crc32c(
        np.ascontiguousarray(events).view(np.uint8), crc32c(np.ascontiguousarray(rows).view(np.uint8))
    )


def meta_of(instrument: dict[str, Any], digests: list[int]) -> bytes:
    """Metadata of a file: its instrument, and a digest of every row group's events; checked itself."""
    text = json.dumps({"version": VERSION, "instrument": instrument, "digests": digests}, sort_keys=True)
    return f"{crc32c(text.encode()):08x} {text}".encode()


def meta_from(value: bytes) -> tuple[Key, Instrument, list[int]]:
    """Read what `meta_of` wrote.

    Raises
    ------
    ValueError
        When it is nothing of the kind, or damaged.
    """
    check, _, text = value.partition(b" ")
    if check != f"{crc32c(text):08x}".encode():
        raise ValueError("metadata that does not fit its checksum")
    told = json.loads(text)
    if told.get("version") != VERSION:
        raise ValueError(f"version {told.get('version')} of the archive, where this program reads {VERSION}")
    key, instrument = instrument_from_json(told["instrument"])
    return key, instrument, [int(one) for one in told["digests"]]
