"""depthscope, books alone: the outputs a researcher reads first, at every event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contestant import Contestant, Final, Job
from bench.ours.common import CHUNK, final_of, instrument

if TYPE_CHECKING:
    from bench.data import Inputs


def _reader() -> Any:
    """Loop over TRACE rows: weighted mid and top-5 imbalance of each, sums at LAST for the check."""
    from numba import njit

    @njit(nogil=True, error_model="numpy")  # type: ignore[misc]
    def read(rows: Any, out: Any, sums: Any) -> None:
        undefined = 2**63 - 1
        for i in range(len(rows)):
            row = rows[i]
            if row.bid != undefined and row.ask != undefined:
                near = row.bid_size + row.ask_size
                mid = (np.float64(row.bid) * row.ask_size + np.float64(row.ask) * row.bid_size) / near
                deep = row.bid_size5 + row.ask_size5
                imbalance = (row.bid_size5 - row.ask_size5) / deep
                if row.last:
                    sums[0] += row.ofi
                    sums[1] += imbalance
                    sums[2] += mid
            else:
                mid = imbalance = np.nan
            out[i, 0] = mid
            out[i, 1] = imbalance

    return read


class Stage1(Contestant):
    """`Engine.trace_blocks`: best prices, top-5 sums, OFI; weighted mid and imbalance are made of them."""

    title = "depthscope"
    work = "apply; best prices, weighted mid, top-5 imbalance and OFI at every event"
    package = "depthscope"

    def load(self, inputs: Inputs, job: Job) -> int:
        self.events = inputs.events(job.stream, job.tiles, job.total)
        self.stream = job.stream
        self.read = _reader()
        self.out = np.zeros((1 << 16, 2))
        self.setup()
        self._drive(self.events[:CHUNK])  # compiles
        return len(self.events)

    def setup(self) -> None:
        from depthscope.engine import Engine

        self.engine = Engine(instrument(self.stream), features=[])
        self.sums = np.zeros(3)

    def _drive(self, events: np.ndarray) -> None:
        read, out, sums = self.read, self.out, self.sums
        for _, rows in self.engine.trace_blocks(events):
            read(rows, out, sums)

    def run(self) -> None:
        events = self.events
        for first in range(0, len(events), CHUNK):
            self._drive(events[first : first + CHUNK])

    def final(self) -> Final:
        final = final_of(self.engine)
        final.ofi, final.imbalance5, final.weighted_mid = (
            int(self.sums[0]),
            float(self.sums[1]),
            float(self.sums[2]),
        )
        return final
