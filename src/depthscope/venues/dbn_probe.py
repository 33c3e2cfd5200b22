"""A first look at a DBN file's records: which types, and what each is to become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.market.events import LAST
from depthscope.venues import dbn_layout as layout

if TYPE_CHECKING:
    import numpy.typing as npt

    from depthscope.venues.dbn_header import Header
    from depthscope.venues.dbn_stream import ByteStream

PROBE_RECORDS: Final = 512  # records with book events
PROBE_BYTES: Final = 4 << 20  # of anything: a live capture opens with its symbol mappings

# Finest first: what an earlier one tells of an instrument, a later one only repeats.
FINENESS: Final = (
    layout.RT_MBO, layout.RT_MBP10, layout.RT_MBP1, layout.RT_CMBP1, layout.RT_TCBBO, 0xC3, 0xC4, 0xC0, 0xC1,
    layout.RT_TRADE,
)  # fmt: skip


class Probe:
    """The first records of a stream.

    Parameters
    ----------
    stream : ByteStream
        At the first record; it is read, not closed.
    ts_out : bool
        Whether each record carries the gateway's send time.

    Attributes
    ----------
    keys : dict of int to set
        (publisher, instrument) pairs by record type.
    records : int
        Records looked at.
    marks_last : bool
        Whether any record that may share a group marks its end.
    whole : bool
        Whether the file ended before the look did.
    left : int
        Bytes of a record that is not whole or not possible.
    """

    def __init__(self, stream: ByteStream, *, ts_out: bool) -> None:
        self.keys: dict[int, set[bytes]] = {}
        self.records = 0
        self.marks_last = False
        self.whole = False
        self.left = 0
        told = 0
        extra = 8 if ts_out else 0
        most = stream.produced + PROBE_BYTES
        while told < PROBE_RECORDS and stream.produced < most:
            head = stream.read(16)
            self.left = len(head)
            if len(head) < 16:
                self.whole = not head
                return
            size, rtype = head[0] * 4, head[1]
            known = layout.RECORDS.get(rtype)
            if size < 16 or size % 8 or (known and size - extra not in known[1]):
                return
            rest = stream.read(size - 16)
            if len(rest) < size - 16:
                return
            self.left = 0
            self.records += 1
            self.keys.setdefault(rtype, set()).add(head[2:8])
            if rtype in layout.BOOK_TYPES:
                told += 1
                if rtype in layout.GROUPED and rest[30 - 16] & LAST:
                    self.marks_last = True

    @property
    def book_types(self) -> list[int]:
        """Record types met that carry book events."""
        return [rtype for rtype in self.keys if rtype in layout.BOOK_TYPES]


def settle_properties(header: Header, probe: Probe, warnings: list[str]) -> npt.NDArray[np.int64]:
    """Decide what each record type of a file becomes; what is unusual is added to `warnings`."""
    table = np.zeros(256, np.int64)
    for rtype, bits in layout.PROPERTIES.items():
        table[rtype] = bits
    if header.schema == "tbbo":  # each is one trade and the quote before it
        table[layout.RT_MBP1] |= layout.P_LAST
    elif not probe.marks_last and any(rtype in layout.GROUPED for rtype in probe.keys):
        for rtype in layout.GROUPED:
            table[rtype] |= layout.P_LAST
        warnings.append("No record marks the end of its group: each record is taken as a group of its own.")
    types = [rtype for rtype in FINENESS if rtype in probe.keys]
    told: set[bytes] = set()
    for rtype in types:
        keys = probe.keys[rtype]
        if keys <= told:
            table[rtype] |= layout.P_IGNORE
        elif keys & told:
            warnings.append(
                f"{layout.record_name(rtype)} records repeat, for some instruments, what finer records tell: "
                f"their trades count twice."
            )
        told |= keys
    return table
