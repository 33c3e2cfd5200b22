"""Reading a capture log: every input that is whole, in order, and a record of everything that is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from depthscope.storage.batches import Batch, read_inputs
from depthscope.storage.disk import is_open_elsewhere
from depthscope.storage.frames import Damage, Frame, FrameKind, FrameReader
from depthscope.storage.segments import HEADER_BYTES, list_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depthscope.market.inputs import Input
    from depthscope.storage.segments import Segment

__all__ = ["REASONS", "CaptureReader", "Gap", "SegmentReport", "read_capture", "unrepeated"]

# What a gap is, and what it means.
REASONS: Final = {
    "overflow": "the writer's queue was full: the disk was too slow",
    "failure": "writing had failed; recording went on here",
    "stopped": "recording had been stopped; it went on here",
    "restart": "another session begins here",
    "missing": "inputs are not there, and nothing says why: a segment is gone or was replaced",
    "damage": "bytes that are no frames",
    "torn": "the segment ends in the middle of a write: its process or machine went down",
    "unsealed": "the segment ends without a seal: its process or machine went down, or its end was cut off",
    "open": "the segment is still being written",
}
HARMLESS: Final = frozenset(("restart", "unsealed", "open"))


@dataclass(frozen=True, slots=True)
class Gap:
    """Inputs that are not there, between what was read before and what comes next.

    Parameters
    ----------
    reason : str
        One of `REASONS`.
    path : Path
        Segment in which it was found.
    sequence : int
        Of the input that comes next, as far as is known.
    lost : int or None
        How many inputs are missing; None where nothing tells.
    offset, end : int
        Bytes of the segment it takes up; both 0 where it takes none.
    recorded : bool
        Whether the log itself says so: the writer knew, or a repair did.
    detail : str
        What exactly was found.
    """

    reason: str
    path: Path
    sequence: int
    lost: int | None = None
    offset: int = 0
    end: int = 0
    recorded: bool = False
    detail: str = ""

    @property
    def sound(self) -> bool:
        """Whether a log that nothing has happened to may have it."""
        return self.recorded or self.reason in HARMLESS

    def __str__(self) -> str:
        lost = "" if self.lost is None else f", {self.lost:,} inputs lost"
        where = f" at byte {self.offset:,}" if self.end else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.path.name}{where}: {REASONS.get(self.reason, self.reason)}{detail}{lost}"


@dataclass(slots=True)
class SegmentReport:
    """What was read of a segment.

    Attributes
    ----------
    path : Path
    session : str
    number, inputs, frames, size : int
        `size` in bytes.
    first, last : int
        Sequences of its first and last input, 0 without any.
    start, end : int
        Receive times of them, UTC ns.
    sealed : bool
    gaps : list of Gap
    good : list of (int, int)
        Bytes of the file that are good frames, in runs from and up to.
    """

    path: Path
    session: str
    number: int
    inputs: int = 0
    frames: int = 0
    size: int = 0
    first: int = 0
    last: int = 0
    start: int = 0
    end: int = 0
    sealed: bool = False
    gaps: list[Gap] = field(default_factory=list)
    good: list[tuple[int, int]] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with its bytes or missing without a word."""
        return all(gap.sound for gap in self.gaps)


class CaptureReader:
    """A capture log read in order. Iterating gives a `Batch` of inputs, or a `Gap`, at a time.

    What a torn or damaged log gives is exactly what was written, without the frames that are damaged:
    never a part of a frame, never an input twice.

    Parameters
    ----------
    path : Path or sequence of Segment
        A folder or one segment, or the segments themselves.

    Attributes
    ----------
    reports : list of SegmentReport
        Of the segments read so far.
    bytes_read, bytes_total : int
        Progress.

    Raises
    ------
    SourceMissing, FormatUnknown, InputError
        When there is no log, or it cannot be read.
    """

    def __init__(self, path: Path | Sequence[Segment]) -> None:
        self.segments = list_segments(path) if isinstance(path, Path) else list(path)
        self.bytes_total = sum(segment.path.stat().st_size for segment in self.segments)
        self.bytes_read = 0
        self.reports: list[SegmentReport] = []
        self._expected = 0  # sequence that comes next

    def __iter__(self) -> Iterator[Batch | Gap]:
        """Read from the beginning."""
        self.bytes_read, self.reports, self._expected = 0, [], 0
        session: str | None = None
        for segment in self.segments:
            report = SegmentReport(segment.path, segment.session, segment.number)
            self.reports.append(report)
            if segment.session != session or not session:
                if session is not None:
                    yield self._noted(report, Gap("restart", segment.path, 0))
                self._expected = 0 if segment.header is None else segment.header.first
                session = segment.session
            before = self.bytes_read
            yield from self._read(segment, report)
            self.bytes_read = before + report.size

    def _read(self, segment: Segment, report: SegmentReport) -> Iterator[Batch | Gap]:
        path = segment.path
        report.size = path.stat().st_size
        being_written = is_open_elsewhere(path)
        if segment.header is None:
            short = report.size < HEADER_BYTES
            reason = "torn" if short else "damage"
            end = min(report.size, HEADER_BYTES)
            yield self._noted(report, Gap(reason, path, self._expected, None, 0, end, detail=segment.damage))
            if short:
                return
        frames = FrameReader(path, HEADER_BYTES, self._expected)
        before = self.bytes_read
        damage: Damage | None = None
        for found in frames:
            if isinstance(found, Damage):
                damage = found
                continue
            if report.sealed:
                damage = damage or Damage(found.offset, found.end, "a frame after the seal", True)
                continue
            report.frames += 1
            content: Any
            try:
                content = _content(found)
            except ValueError as error:
                damage = Damage(found.offset, found.end, str(error), False)
                continue
            gap = self._gap(path, found, content, damage)
            damage = None
            joined = report.good and report.good[-1][1] == found.offset
            report.good.append((report.good.pop()[0] if joined else found.offset, found.end))
            self._expected = found.sequence
            if gap is not None:
                yield self._noted(report, gap)
            if found.kind == FrameKind.SEAL:
                report.sealed = True
            elif isinstance(content, Batch):
                if not content.opening:
                    self._expected += len(content)
                    _count(report, content)
                yield content
            frames.expected = self._expected
            self.bytes_read = before + found.end
        yield from self._end(report, damage, being_written)

    def _gap(self, path: Path, frame: Frame, content: Any, damage: Damage | None) -> Gap | None:
        """What is missing before a frame."""
        lost = frame.sequence - self._expected if self._expected else 0  # where it began, nothing tells
        gap = Gap("missing", path, frame.sequence, lost)
        if damage is not None:
            return replace(gap, reason="damage", offset=damage.offset, end=damage.end, detail=damage.reason)
        if frame.kind == FrameKind.GAP:
            unknown = content.get("lost", 0) is None and not lost
            return replace(gap, reason=content["reason"], lost=None if unknown else lost, recorded=True)
        if frame.kind == FrameKind.SEAL and lost:
            return replace(gap, reason="overflow", recorded=True)
        return gap if lost else None

    def _end(self, report: SegmentReport, damage: Damage | None, being_written: bool) -> Iterator[Gap]:
        """What there is to say of a segment's end."""
        gap = Gap("unsealed", report.path, self._expected)
        if being_written and not report.sealed:
            yield self._noted(report, replace(gap, reason="open"))
        elif damage is not None:
            reason = "torn" if damage.tail and not report.sealed else "damage"
            gap = replace(gap, reason=reason, offset=damage.offset, end=damage.end, detail=damage.reason)
            yield self._noted(report, gap)
        elif not report.sealed:
            yield self._noted(report, gap)

    def _noted(self, report: SegmentReport, gap: Gap) -> Gap:
        report.gaps.append(gap)
        return gap


def _content(frame: Frame) -> Any:
    """What a frame says: a batch, or the object of its JSON.

    Raises
    ------
    ValueError
        When that is nothing this version writes.
    """
    kind = frame.kind
    if kind in (FrameKind.INPUTS, FrameKind.OPENING):
        return read_inputs(frame.content, frame.sequence, kind == FrameKind.OPENING)
    if kind not in (FrameKind.GAP, FrameKind.SEAL):
        raise ValueError("a frame that has no place in a capture log")
    told = json.loads(frame.content)
    if not isinstance(told, dict) or (kind == FrameKind.GAP and not isinstance(told.get("reason"), str)):
        raise ValueError("a record that says nothing")
    return told


def _count(report: SegmentReport, batch: Batch) -> None:
    if not report.inputs:
        report.first, report.start = batch.sequence, batch.ts_recv[0]
    report.inputs += len(batch)
    report.last, report.end = batch.sequence + len(batch) - 1, batch.ts_recv[-1]


def unrepeated(reader: CaptureReader) -> Iterator[Batch | Gap]:
    """What a reader gives, but what segments repeat at their start only where reading begins.

    Parameters
    ----------
    reader : CaptureReader

    Raises
    ------
    SourceMissing, FormatUnknown, InputError
        When the log cannot be read.
    """
    begun = False
    for item in reader:
        if isinstance(item, Gap):
            yield item
        elif not (begun and item.opening):
            begun = not item.opening  # an opening may take several batches
            yield item


def read_capture(path: Path | Sequence[Segment]) -> Iterator[Input | Gap]:
    """Yield the inputs of a capture log, and a `Gap` wherever any are missing.

    What segments repeat at their start is given only where reading begins.

    Parameters
    ----------
    path : Path or sequence of Segment
        A folder or one segment, or the segments themselves.

    Raises
    ------
    SourceMissing, FormatUnknown, InputError
        When there is no log, or it cannot be read.
    """
    for item in unrepeated(CaptureReader(path)):
        if isinstance(item, Gap):
            yield item
        else:
            yield from item
