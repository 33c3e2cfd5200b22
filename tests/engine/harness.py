"""Driving the engine in tests: chunked as a source would, and read back as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depthscope.engine import Engine
from depthscope.market import events as ev

MS = 1_000_000
RING = 4  # a source's buffers stay valid until three more were produced


@dataclass
class Table:
    """All rows of a run."""

    meta: npt.NDArray[Any]
    columns: dict[str, npt.NDArray[np.float64]]
    samples: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.meta)

    def where(self, mask: npt.NDArray[np.bool_]) -> Table:
        """Rows a mask selects."""
        samples = None if self.samples is None else self.samples[mask]
        return Table(self.meta[mask], {name: line[mask] for name, line in self.columns.items()}, samples)

    def of(self, slot: int) -> Table:
        """Rows of one instrument."""
        return self.where(self.meta["slot"] == slot)

    def digest(self) -> str:
        """Hash of every byte."""
        out = hashlib.sha256()
        for name in self.meta.dtype.names or ():
            out.update(name.encode() + np.ascontiguousarray(self.meta[name]).tobytes())
        for name in () if self.samples is None else self.samples.dtype.names or ():
            if name != "at":  # an index into scratch memory, different for each cut of the stream
                out.update(name.encode() + np.ascontiguousarray(self.samples[name]).tobytes())
        for name in sorted(self.columns):
            out.update(name.encode() + np.ascontiguousarray(self.columns[name]).tobytes())
        return out.hexdigest()


def collect(batches: Iterable[Any]) -> Table:
    """Copy batches out of the engine and join them."""
    metas, samples, columns = [], [], {}
    for batch in batches:
        metas.append(batch.meta)
        samples.append(batch.samples)
        for column, values in zip(batch.columns, batch.values, strict=True):
            columns.setdefault(column.name, []).append(values)
    return Table(
        np.concatenate(metas),
        {name: np.concatenate(parts) for name, parts in columns.items()},
        None if samples[0] is None else np.concatenate(samples),
    )


def buffered(events: ev.Events, sizes: Iterable[int]) -> Iterator[ev.Events]:
    """Cut `events` into a ring of buffers; each is overwritten when its time is over."""
    held: list[ev.Events] = []
    at = 0
    for size in sizes:
        piece = events[at : at + size].copy()
        at += size
        held.append(piece)
        if len(held) > RING:
            held.pop(0).view(np.uint8)[:] = 0xA5
        yield piece
    assert at >= len(events)


def cuts(n: int, size: int) -> list[int]:
    """Chunk sizes covering `n` events."""
    return [size] * (-(-n // size)) or [0]


def run(engine: Engine, events: ev.Events, size: int | None = None) -> Table:
    """Feed everything in chunks of `size` (whole when None) and finish."""
    sizes = cuts(len(events), size or max(len(events), 1))

    def batches() -> Iterator[Any]:
        for piece in buffered(events, sizes):
            yield engine.process(piece)
        yield engine.finish()

    return collect(batches())
