"""Driving the engine in tests: chunked as a source would, and read back as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import isinf, isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from depthscope.engine import META, Batch, Engine
from depthscope.market import events as ev
from depthscope.market.layouts import DETECTION, SAMPLE

MS = 1_000_000
RING = 4  # a source's buffers stay valid until three more were produced
BLOCK = 4_096  # rows hashed at a time

# `at` and `twin` are indices into scratch memory, different for each cut of the stream.
HASHED = [("meta", name) for name in META.names or ()]
HASHED += [("samples", name) for name in SAMPLE.names or () if name not in ("at", "twin")]


def close(got: float, want: float, rel: float, least: float = 0.0) -> bool:
    """Whether a number is the expected one, NaN and infinity included: pytest.approx is slow for so many."""
    if isnan(want) or isinf(want) or isnan(got):
        return got == want or (isnan(got) and isnan(want))
    return abs(got - want) <= max(rel * abs(want), least)


@dataclass
class Table:
    """All rows of a run, and what detectors said."""

    meta: npt.NDArray[Any]
    columns: dict[str, npt.NDArray[np.float64]]
    samples: npt.NDArray[Any]
    detections: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0, DETECTION))

    def __len__(self) -> int:
        return len(self.meta)

    def where(self, mask: npt.NDArray[np.bool_]) -> Table:
        """Rows a mask selects, without what was said."""
        return Table(
            self.meta[mask], {name: line[mask] for name, line in self.columns.items()}, self.samples[mask]
        )

    def of(self, slot: int) -> Table:
        """Rows of one instrument, and what was said of it."""
        said = self.detections[self.detections["slot"] == slot]
        return replace(self.where(self.meta["slot"] == slot), detections=said)

    def digest(self) -> str:
        """Hash of every byte."""
        hashes = Hashes()
        hashes.rows(self.meta, self.samples, np.array(list(self.columns.values())))
        hashes.said.update(self.detections.tobytes())
        return hashes.digest()


class Hashes:
    """Running hashes of every field, so that the cuts between batches leave no trace."""

    def __init__(self) -> None:
        self.fields = [hashlib.sha256() for _ in HASHED]
        self.lines: list[Any] = []
        self.said = hashlib.sha256()
        self.held: list[Batch] = []
        self.waiting = 0

    def add(self, batch: Batch) -> None:
        """Take a batch."""
        self.said.update(batch.detections.tobytes())
        if len(batch):
            self.held.append(batch)
            self.waiting += len(batch)
        if self.waiting >= BLOCK:
            self.flush()

    def flush(self) -> None:
        """Hash what is held."""
        if self.held:
            table = collect(self.held)
            self.held, self.waiting = [], 0
            self.rows(table.meta, table.samples, np.array(list(table.columns.values())))

    def rows(self, meta: npt.NDArray[Any], samples: npt.NDArray[Any], lines: npt.NDArray[np.float64]) -> None:
        """Hash some rows."""
        if not len(meta):
            return
        where = {"meta": meta, "samples": samples}
        for (part, name), one in zip(HASHED, self.fields, strict=True):
            one.update(np.ascontiguousarray(where[part][name]).tobytes())
        if not self.lines:
            self.lines = [hashlib.sha256() for _ in lines]
        for line, one in zip(lines, self.lines, strict=True):
            one.update(line.tobytes())

    def digest(self) -> str:
        """Hash of the hashes."""
        self.flush()
        return hashlib.sha256(
            b"".join(one.digest() for one in [*self.fields, *self.lines, self.said])
        ).hexdigest()


def collect(batches: Iterable[Batch]) -> Table:
    """Join batches."""
    held = list(batches)
    some = [batch for batch in held if len(batch)]
    said = np.concatenate([batch.detections for batch in held], dtype=DETECTION)
    names = [column.name for column in held[0].columns]
    if not some:
        return Table(np.zeros(0, META), {name: np.zeros(0) for name in names}, np.zeros(0, SAMPLE), said)
    values = np.concatenate([batch.values for batch in some], axis=1)
    samples = [batch.samples for batch in some if batch.samples is not None]
    return Table(
        np.concatenate([batch.meta for batch in some], dtype=META),  # else it works out a dtype, and slowly
        dict(zip(names, values, strict=True)),
        np.concatenate(samples, dtype=SAMPLE) if samples else np.zeros(values.shape[1], SAMPLE),
        said,
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


def cuts_of(events: ev.Events, size: int) -> Iterator[ev.Events]:
    """Chunks of `size`, through the ring."""
    return buffered(events, [size] * (-(-len(events) // size)))


def batches(engine: Engine, events: ev.Events, size: int | None = None) -> Iterator[Batch]:
    """Feed everything in chunks of `size` (whole when None) and finish."""
    for piece in cuts_of(events, size or max(len(events), 1)):
        yield engine.process(piece)
    yield engine.finish()


def run(engine: Engine, events: ev.Events, size: int | None = None) -> Table:
    """Every row of a run."""
    return collect(batches(engine, events, size))


def digest(engine: Engine, events: ev.Events, size: int | None = None) -> str:
    """Hash of a run, in little memory."""
    hashes = Hashes()
    for batch in batches(engine, events, size):
        hashes.add(batch)
    return hashes.digest()
