"""DBN files written with the vendor's library, and what their records must become, the slow way."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import numpy as np
import zstandard

from depthscope.market.events import EVENT, LAST, SNAPSHOT, UNDEF_PRICE, Events

UNDEF_TIME = 2**64 - 1
DAY = 86_400 * 10**9
NOON = 19_700 * DAY + DAY // 2  # 2023-12-09 12:00 UTC
Mapping = dict[str, list[tuple[date, date, str]]]


def header(
    schema: str | None = "mbo",
    version: int = 3,
    dataset: str = "GLBX.MDP3",
    mappings: Mapping | None = None,
    stype_in: str = "raw_symbol",
    stype_out: str = "instrument_id",
    start: int = NOON - DAY // 2,
    end: int | None = NOON + DAY // 2,
    ts_out: bool = False,
) -> bytes:
    """Metadata bytes; without mappings, ESH4 is instrument 5 on every day."""
    if mappings is None:
        mappings = {"ESH4": [(date(2020, 1, 1), date(2030, 1, 1), "5")]}
    rows = [
        SimpleNamespace(
            raw_symbol=name,
            intervals=[SimpleNamespace(start_date=a, end_date=b, symbol=s) for a, b, s in intervals],
        )
        for name, intervals in mappings.items()
    ]
    return bytes(
        dbn.Metadata(
            dataset,
            start,
            dbn.SType.from_str(stype_in) if stype_in else None,
            dbn.SType.from_str(stype_out),
            dbn.Schema.from_str(schema) if schema else None,
            symbols=list(mappings),
            mappings=rows,
            end=end,
            ts_out=ts_out,
            version=version,
        )
    )


def write(path: Path, records: list[Any], *, head: bytes | None = None, frames: int = 1) -> Path:
    """A file of these records (or raw bytes), compressed when its name ends in .zst."""
    body = b"".join(bytes(record) for record in records)
    raw = (header() if head is None else head) + body
    if path.name.endswith(".zst"):
        step = -(-len(raw) // frames)
        raw = b"".join(zstandard.compress(raw[i : i + step]) for i in range(0, len(raw), step))
    path.write_bytes(raw)
    return path


def mbo(
    ts: int = NOON, action: str = "A", side: str = "B", price: int = 10**9, size: int = 1, order: int = 1,
    flags: int = LAST, number: int = 5, publisher: int = 1, sequence: int = 0, ts_event: int | None = None,
    **more: Any,
) -> dbn.MBOMsg:  # fmt: skip
    """One order record."""
    return dbn.MBOMsg(
        publisher, number, ts if ts_event is None else ts_event, order, price, size,
        dbn.Action.from_str(action), dbn.Side.from_str(side), ts, flags=flags, sequence=sequence, **more,
    )  # fmt: skip


def decode(path: Path) -> list[Any]:
    """The records of a file as the vendor's library reads them, metadata left out."""
    raw = path.read_bytes()
    if raw[:4] == b"\x28\xb5\x2f\xfd":
        raw = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read()
    has_metadata = raw.startswith(b"DBN")
    version = {90: 1, 100: 2, 130: 3}.get(raw[0], 3)
    more = {} if has_metadata else {"input_version": version}
    decoder = dbn.DBNDecoder(has_metadata=has_metadata, **more)
    decoder.write(raw)
    records = decoder.decode()
    return records[1:] if has_metadata else records


class Expected:
    """Records into EVENT rows, one rule after the other, as the reader's documentation says."""

    def __init__(self, schema: str, marks_last: bool = True) -> None:
        self.schema = schema
        self.marks_last = marks_last
        self.rows: list[tuple[Any, ...]] = []
        self.clock = 0
        self.ten: dict[tuple[int, int], dict[str, dict[int, tuple[int, int]]]] = {}

    def add(self, record: Any) -> None:
        recv = getattr(record, "ts_recv", UNDEF_TIME)
        event = record.ts_event
        if recv >= 2**63:
            recv = event if event < 2**63 else self.clock
        if event >= 2**63:
            event = recv
        self.clock = max(self.clock, recv)
        head = (event, recv, record)
        if isinstance(record, dbn.MBOMsg):
            self.put(head, str(record.action), str(record.side), record.price, record.size, record.order_id,
                     flags=int(record.flags))  # fmt: skip
        elif isinstance(record, dbn.StatusMsg):
            self.status(head)
        else:
            self.market(head)

    def put(
        self, head: Any, action: str, side: str, price: int, size: int, order: int = 0, aux: int = 0,
        flags: int = 0,
    ) -> None:  # fmt: skip
        event, recv, record = head
        sequence = getattr(record, "sequence", 0)
        self.rows.append(
            (event, recv, order, price, size, sequence, record.instrument_id, aux, record.publisher_id, 0,
             ord(action), ord(side), flags & ~1, 0)
        )  # fmt: skip

    def status(self, head: Any) -> None:
        action = int(head[2].action)
        if action == 7:
            code = 0
        elif action in (8, 9, 10, 15):
            code = 1
        elif action in (1, 2, 3, 4, 5, 6, 11):
            code = 2
        elif action in (12, 13):
            code = 3
        elif action == 0 and head[2].is_trading is not None:
            code = 0 if head[2].is_trading else 1
        else:
            self.put(head, "N", "N", UNDEF_PRICE, 0, flags=LAST)
            return
        self.put(head, "S", "N", UNDEF_PRICE, 0, aux=code, flags=LAST)

    def market(self, head: Any) -> None:
        record = head[2]
        first = len(self.rows)
        flags = int(record.flags) & ~LAST
        action = str(getattr(record, "action", ""))
        if action == "T":
            told = "T" if record.price != UNDEF_PRICE else "N"
            self.put(head, told, str(record.side), record.price, record.size, flags=flags)
        if action == "R":
            self.put(head, "R", "N", UNDEF_PRICE, 0, flags=flags)
        if isinstance(record, dbn.MBP10Msg):
            self.levels(head, action, flags)
        elif not isinstance(record, dbn.TradeMsg):
            level = record.levels[0] if isinstance(record.levels, list) else record.levels
            counted = hasattr(level, "bid_ct")
            for side, price, size, count in (
                ("B", level.bid_px, level.bid_sz, level.bid_ct if counted else 0),
                ("A", level.ask_px, level.ask_sz, level.ask_ct if counted else 0),
            ):
                self.put(head, "Q", side, price, size if price != UNDEF_PRICE else 0, aux=count, flags=flags)
        if len(self.rows) == first:
            self.put(head, "N", "N", UNDEF_PRICE, 0, flags=flags)
        grouped = self.schema in ("mbp-1", "mbp-10", "cmbp-1") and self.marks_last
        if not grouped or int(record.flags) & LAST:
            last = list(self.rows[-1])
            last[12] |= LAST
            self.rows[-1] = tuple(last)

    def levels(self, head: Any, action: str, flags: int) -> None:
        record = head[2]
        key = (record.publisher_id, record.instrument_id)
        if key not in self.ten:
            flags |= SNAPSHOT
            if action != "R":
                self.put(head, "R", "N", UNDEF_PRICE, 0, flags=flags)
        old = {"B": {}, "A": {}} if action == "R" else self.ten.get(key, {"B": {}, "A": {}})
        new: dict[str, dict[int, tuple[int, int]]] = {"B": {}, "A": {}}
        for level in record.levels:
            if level.bid_px != UNDEF_PRICE:
                new["B"][level.bid_px] = (level.bid_sz, level.bid_ct)
            if level.ask_px != UNDEF_PRICE:
                new["A"][level.ask_px] = (level.ask_sz, level.ask_ct)
        for side in "BA":
            for price in old[side]:
                if price not in new[side]:
                    self.put(head, "L", side, price, 0, flags=flags)
            for price, (size, count) in new[side].items():
                if old[side].get(price) != (size, count):
                    self.put(head, "L", side, price, size, aux=count, flags=flags)
        self.ten[key] = new

    @property
    def events(self) -> Events:
        return np.array(self.rows, EVENT)


def expected(records: list[Any], schema: str, marks_last: bool = True) -> Events:
    """What a file of these records must give."""
    build = Expected(schema, marks_last)
    for record in records:
        build.add(record)
    return build.events
