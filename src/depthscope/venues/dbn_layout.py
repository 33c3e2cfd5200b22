"""DBN records: their sizes, kinds and the few layouts read outside the kernels.

Source: the DBN specification (versions 1 to 3); a test compares every size and offset used
here and in `dbn_kernels` with those of the `databento-dbn` library.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from depthscope.market.instruments import Capability

UNDEF_U64: Final = 2**64 - 1
UNDEF_I32: Final = 2**31 - 1
MAX_RECORD_BYTES: Final = 255 * 4
NEWEST_VERSION: Final = 3

SCHEMAS: Final = (
    "mbo", "mbp-1", "mbp-10", "tbbo", "trades", "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d", "definition",
    "statistics", "status", "imbalance", "ohlcv-eod", "cmbp-1", "cbbo-1s", "cbbo-1m", "tcbbo", "bbo-1s",
    "bbo-1m",
)  # fmt: skip
STYPES: Final = (
    "instrument_id", "raw_symbol", "smart", "continuous", "parent", "nasdaq_symbol", "cms_symbol", "isin",
    "us_code", "bbg_comp_id", "bbg_comp_ticker", "figi", "figi_ticker", "listing_id", "issuer_id",
    "security_id",
)  # fmt: skip
MIXED: Final = "mixed"
SUFFIXES: Final = (".dbn", ".dbz", ".dbn.zst", ".dbn.frag", ".dbn.frag.zst", ".dbn.gz")

RT_TRADE: Final = 0x00
RT_MBP1: Final = 0x01
RT_MBP10: Final = 0x0A
RT_STATUS: Final = 0x12
RT_DEFINITION: Final = 0x13
RT_ERROR: Final = 0x15
RT_MAPPING: Final = 0x16
RT_SYSTEM: Final = 0x17
RT_MBO: Final = 0xA0
RT_CMBP1: Final = 0xB1
RT_TCBBO: Final = 0xC2

# Name and size in bytes (without ts_out) of every record type; several sizes = one a version.
RECORDS: Final[dict[int, tuple[str, tuple[int, ...]]]] = {
    RT_TRADE: ("trades", (48,)),
    RT_MBP1: ("mbp-1", (80,)),
    RT_MBP10: ("mbp-10", (368,)),
    0x11: ("ohlcv", (56,)),
    RT_STATUS: ("status", (40,)),
    RT_DEFINITION: ("definition", (360, 400, 520)),
    0x14: ("imbalance", (112,)),
    RT_ERROR: ("error", (80, 320)),
    RT_MAPPING: ("symbol-mapping", (80, 176)),
    RT_SYSTEM: ("system", (80, 320)),
    0x18: ("statistics", (64, 80)),
    0x20: ("ohlcv-1s", (56,)),
    0x21: ("ohlcv-1m", (56,)),
    0x22: ("ohlcv-1h", (56,)),
    0x23: ("ohlcv-1d", (56,)),
    0x24: ("ohlcv-eod", (56,)),
    RT_MBO: ("mbo", (56,)),
    RT_CMBP1: ("cmbp-1", (80,)),
    0xC0: ("cbbo-1s", (80,)),
    0xC1: ("cbbo-1m", (80,)),
    RT_TCBBO: ("tcbbo", (80,)),
    0xC3: ("bbo-1s", (80,)),
    0xC4: ("bbo-1m", (80,)),
}

# What the kernel does with a record type: a kind and bits, one int64 per type.
K_UNKNOWN: Final = 0
K_MBO: Final = 1
K_TRADE: Final = 2
K_TOP: Final = 3  # best bid and ask
K_TEN: Final = 4  # ten levels a side
K_STATUS: Final = 5
K_PYTHON: Final = 6  # handed over: definitions, symbol mappings, errors, system messages
K_COUNT: Final = 7  # carries nothing of a book: counted only
KIND_MASK: Final = 15
P_ACTION: Final = 16  # has an action: T is a trade
P_SEQUENCE: Final = 32
P_COUNTS: Final = 64  # order counts beside the sizes
P_LAST: Final = 128  # every record is a group of its own
P_RECV: Final = 256  # receive time in the third word (for the span of a file that is only counted)
P_IGNORE: Final = 512  # left out: a finer schema of the same file tells it already

_TOP: Final = {
    RT_MBP1: P_ACTION | P_SEQUENCE | P_COUNTS,
    RT_CMBP1: P_ACTION,
    0xC0: P_LAST,
    0xC1: P_LAST,
    RT_TCBBO: P_ACTION | P_LAST,
    0xC3: P_SEQUENCE | P_COUNTS | P_LAST,
    0xC4: P_SEQUENCE | P_COUNTS | P_LAST,
}
PROPERTIES: Final[dict[int, int]] = {
    **dict.fromkeys(RECORDS, K_COUNT),
    **{rtype: K_TOP | bits for rtype, bits in _TOP.items()},
    RT_MBO: K_MBO,
    RT_TRADE: K_TRADE | P_LAST,
    RT_MBP10: K_TEN,
    RT_STATUS: K_STATUS | P_LAST,
    RT_DEFINITION: K_PYTHON | P_RECV,
    RT_ERROR: K_PYTHON,
    RT_MAPPING: K_PYTHON,
    RT_SYSTEM: K_PYTHON,
    0x14: K_COUNT | P_RECV,
    0x18: K_COUNT | P_RECV,
}
GROUPED: Final = frozenset({RT_MBP1, RT_MBP10, RT_CMBP1})  # record LAST tells where a group ends
BOOK_TYPES: Final = frozenset(
    rtype for rtype, bits in PROPERTIES.items() if K_MBO <= bits & KIND_MASK <= K_STATUS
)

_AGGRESSOR = Capability.TRADES | Capability.AGGRESSOR
CAPABILITIES: Final[dict[int, Capability]] = {
    RT_MBO: _AGGRESSOR | Capability.L1 | Capability.L2 | Capability.MBO,
    RT_MBP10: _AGGRESSOR | Capability.L1 | Capability.L2 | Capability.DEPTH_LIMITED,
    RT_MBP1: _AGGRESSOR | Capability.L1,
    RT_CMBP1: _AGGRESSOR | Capability.L1,
    RT_TCBBO: _AGGRESSOR | Capability.L1,
    0xC0: Capability.L1,
    0xC1: Capability.L1,
    0xC3: Capability.L1,
    0xC4: Capability.L1,
    RT_TRADE: _AGGRESSOR,
    RT_STATUS: Capability(0),
}

_HEAD = {"publisher_id": ("<u2", 2), "instrument_id": ("<u4", 4), "ts_event": ("<u8", 8)}


def _layout(size: int, **fields: tuple[str, int]) -> np.dtype[np.void]:
    every = {**_HEAD, **fields}
    return np.dtype(
        {
            "names": list(every),
            "formats": [kind for kind, _ in every.values()],
            "offsets": [offset for _, offset in every.values()],
            "itemsize": size,
        }
    )


DEFINITION: Final = {
    360: _layout(
        360, ts_recv=("<u8", 16), min_price_increment=("<i8", 24), min_price_increment_amount=("<i8", 96),
        currency=("S4", 186), raw_symbol=("S22", 200), instrument_class=("S1", 325),
    ),
    400: _layout(
        400, ts_recv=("<u8", 16), min_price_increment=("<i8", 24), min_price_increment_amount=("<i8", 96),
        currency=("S4", 186), raw_symbol=("S71", 200), instrument_class=("S1", 374),
    ),
    520: _layout(
        520, ts_recv=("<u8", 16), min_price_increment=("<i8", 24), min_price_increment_amount=("<i8", 88),
        currency=("S4", 224), raw_symbol=("S71", 238), instrument_class=("S1", 487),
    ),
}  # fmt: skip
MAPPING: Final = {
    80: _layout(80, stype_in_symbol=("S22", 16), stype_out_symbol=("S22", 38)),
    176: _layout(176, stype_in_symbol=("S71", 17), stype_out_symbol=("S71", 89)),
}
ERROR: Final = {80: _layout(80, text=("S64", 16)), 320: _layout(320, text=("S302", 16), code=("u1", 318))}
ERROR_SKIPPED_RECORDS: Final = 7  # ErrorMsg.code: the gateway dropped records for a slow reader


def record_name(rtype: int) -> str:
    """Readable name of a record type."""
    return RECORDS[rtype][0] if rtype in RECORDS else f"record type 0x{rtype:02x}"


def text(raw: bytes) -> str:
    """Text of a NUL-padded field; bytes that are no text are shown, never fatal."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def fitting(layouts: dict[int, np.dtype[np.void]], size: int) -> np.dtype[np.void]:
    """Layout of a record of `size` bytes (it may be longer by the gateway's send time)."""
    return layouts[max(known for known in layouts if known <= size)]
