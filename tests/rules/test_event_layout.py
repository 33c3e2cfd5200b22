"""The EVENT layout is frozen: recorded files hold these bytes."""

from __future__ import annotations

import numpy as np
import pytest

from depthscope.market import events

LAYOUT = {
    "ts_event": (0, "<i8"), "ts_recv": (8, "<i8"), "order_id": (16, "<u8"), "price": (24, "<i8"),
    "size": (32, "<i8"), "sequence": (40, "<u8"), "instrument_id": (48, "<u4"), "aux": (52, "<u4"),
    "publisher": (56, "<u2"), "cond": (58, "<u2"), "action": (60, "|u1"), "side": (61, "|u1"),
    "flags": (62, "|u1"), "reserved": (63, "|u1"),
}  # fmt: skip

# One record with a distinct value in every field, as it stands in a recorded file of version 1.
VALUES = {
    "ts_event": 1_703_545_200_123_456_789, "ts_recv": 1_703_545_200_123_999_999, "order_id": 2**64 - 2,
    "price": -37_630_000_000, "size": 12_345_678_901, "sequence": 2**63 + 5, "instrument_id": 17_077,
    "aux": 9, "publisher": 1, "cond": 0x21, "action": ord("M"), "side": ord("B"), "flags": 0x88,
    "reserved": 0,
}  # fmt: skip
BYTES = (
    "152d2e705535a417ff7636705535a417feffffffffffffff80c4133df7ffffff"
    "351cdcdf020000000500000000000080b542000009000000010021004d428800"
)


def test_size_and_offsets() -> None:
    assert events.EVENT.itemsize == 64
    assert {
        name: (events.EVENT.fields[name][1], events.EVENT.fields[name][0].str) for name in events.EVENT.names
    } == LAYOUT


def test_bytes_of_one_record() -> None:
    record = np.zeros(1, events.EVENT)
    for name, value in VALUES.items():
        record[name] = value
    assert record.tobytes().hex() == BYTES
    back = np.frombuffer(bytes.fromhex(BYTES), events.EVENT)[0]
    assert {name: int(back[name]) for name in VALUES} == VALUES


def test_round_trip_of_random_bytes() -> None:
    raw = np.random.default_rng(7).integers(0, 256, 64 * 1000, dtype=np.uint8).tobytes()
    records = np.frombuffer(raw, events.EVENT)
    copy = np.zeros(len(records), events.EVENT)
    for name in events.EVENT.names:
        copy[name] = records[name]
    assert copy.tobytes() == raw


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADD", 65), ("CANCEL", 67), ("MODIFY", 77), ("CLEAR", 82), ("TRADE", 84), ("FILL", 70), ("NONE", 78),
        ("LEVEL", 76), ("QUOTE", 81), ("STATUS", 83), ("LOST", 88), ("BID", 66), ("ASK", 65), ("NO_SIDE", 78),
        ("LAST", 128), ("TOB", 64), ("SNAPSHOT", 32), ("MBP", 16), ("BAD_TS_RECV", 8), ("MAYBE_BAD_BOOK", 4),
        ("PUBLISHER_SPECIFIC", 2), ("INFERRED_SIDE", 1), ("COND_NOT_LAST", 1), ("COND_NOT_VOLUME", 2),
        ("COND_NOT_HIGH_LOW", 4), ("COND_OFF_BOOK", 8), ("COND_ODD_LOT", 16), ("COND_LATE", 32),
        ("STATUS_TRADING", 0), ("STATUS_HALT", 1), ("STATUS_AUCTION", 2), ("STATUS_CLOSED", 3),
        ("UNDEF_PRICE", 2**63 - 1), ("PRICE_SCALE", 10**9),
    ],
)  # fmt: skip
def test_vocabulary(name: str, value: int) -> None:
    assert getattr(events, name) == value


def test_actions_are_all_named() -> None:
    named = {events.ADD, events.CANCEL, events.MODIFY, events.CLEAR, events.TRADE, events.FILL, events.NONE,
             events.LEVEL, events.QUOTE, events.STATUS, events.LOST}  # fmt: skip
    assert {ord(letter) for letter in events.ACTIONS} == named
