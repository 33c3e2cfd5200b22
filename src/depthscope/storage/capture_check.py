"""Checking a capture log, and making a damaged one whole again without losing anything of it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from depthscope.errors import InputError, OutputError
from depthscope.storage.capture_reader import CaptureReader, Gap
from depthscope.storage.disk import DISK, is_open_elsewhere
from depthscope.storage.frames import FrameKind, Packer
from depthscope.storage.segments import Header, list_segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from depthscope.storage.capture_reader import SegmentReport
    from depthscope.storage.disk import Disk
    from depthscope.storage.segments import Segment

__all__ = ["Repaired", "Verification", "repair", "verify"]

_PIECE: Final = 1 << 20  # bytes copied at once


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading a capture log from end to end told.

    Parameters
    ----------
    segments : list of SegmentReport
    """

    segments: list[SegmentReport]

    @property
    def gaps(self) -> list[Gap]:
        """All gaps, in order."""
        return [gap for segment in self.segments for gap in segment.gaps]

    @property
    def inputs(self) -> int:
        """Inputs that are there."""
        return sum(segment.inputs for segment in self.segments)

    @property
    def lost(self) -> int:
        """Inputs that are known to be missing."""
        return sum(gap.lost or 0 for gap in self.gaps)

    @property
    def sound(self) -> bool:
        """Whether every byte checks, and nothing is missing without a word."""
        return all(segment.sound for segment in self.segments)


def verify(path: Path, progress: Callable[[float, float], None] | None = None) -> Verification:
    """Read a capture log from end to end and check everything in it.

    Parameters
    ----------
    path : Path
        A folder or one segment.
    progress : callable, optional
        Called with bytes read and in all.

    Raises
    ------
    SourceMissing, FormatUnknown, InputError
        When there is no log, or it cannot be read.
    """
    reader = CaptureReader(path)
    for _ in reader:
        if progress is not None:
            progress(reader.bytes_read, reader.bytes_total)
    return Verification(reader.reports)


@dataclass(frozen=True, slots=True)
class Repaired:
    """A segment that was made whole.

    Parameters
    ----------
    path : Path
        The segment, whole again.
    kept : Path
        The damaged original.
    inputs : int
        Inputs in it.
    gaps : list of Gap
        What was wrong; all of it stands as gaps in the repaired segment.
    """

    path: Path
    kept: Path
    inputs: int
    gaps: list[Gap]


def repair(path: Path, disk: Disk = DISK) -> list[Repaired]:
    """Make damaged segments of a log whole: what is good is copied, what is not becomes a recorded gap.

    Sound segments are not touched. The damaged original stays beside, its name ending in ``.damaged``.

    Parameters
    ----------
    path : Path
        A folder or one segment.

    Raises
    ------
    InputError
        When a damaged segment is still being written.
    OutputError
        When a repaired one cannot be written; the original is as it was then.
    SourceMissing, FormatUnknown
        When there is no log.
    """
    segments = list_segments(path)
    known = {segment.session: segment.header.session for segment in segments if segment.header}
    done = []
    for segment, report in zip(segments, verify(path).segments, strict=True):
        wrong = [gap for gap in report.gaps if not gap.sound and gap.reason != "missing"]
        if not wrong:
            continue
        if is_open_elsewhere(segment.path):
            raise InputError(f"{segment.path} is still being written. Repair it when its session has ended.")
        try:
            kept = _rewrite(segment, report, known, disk)
        except OSError as error:
            raise OutputError(
                f"{segment.path} cannot be repaired: {error.strerror or error}. The damaged file is as it "
                f"was. Copy it to a disk with room and repair the copy."
            ) from error
        done.append(Repaired(segment.path, kept, report.inputs, wrong))
    return done


def _header(segment: Segment, report: SegmentReport, known: dict[str, bytes]) -> Header:
    """Return the segment's header; where it is damaged, what its name and contents say of it."""
    if segment.header is not None:
        return segment.header
    session = known.get(segment.session) or bytes.fromhex(segment.session).ljust(16, b"\0")
    first = next((gap.sequence for gap in report.gaps if gap.sequence), 0) or report.first or 1
    return Header(session, segment.number, segment.created, min(first, report.first or first))


def _rewrite(segment: Segment, report: SegmentReport, known: dict[str, bytes], disk: Disk) -> Path:
    path = segment.path
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    header = _header(segment, report, known)
    part.unlink(missing_ok=True)
    descriptor = disk.create(part)
    try:
        try:
            disk.write_all(descriptor, header.pack())
            _copy(path, header, report, descriptor, disk)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
        kept = _aside(path)
        disk.replace(part, path)
        disk.sync_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):  # it has its name: all went well
            part.unlink()
    return kept


def _copy(path: Path, header: Header, report: SegmentReport, descriptor: int, disk: Disk) -> None:
    """Copy the good frames, with a record wherever there was damage, and end with a seal."""
    packer = Packer(None)

    def record(gap: Gap) -> None:
        told = {"reason": gap.reason, "lost": gap.lost, "repaired": gap.detail}
        place = gap.sequence or header.first
        disk.write_all(descriptor, packer.pack(FrameKind.GAP, place, json.dumps(told).encode()))

    pieces: list[tuple[int, int, Gap | None]] = [(begin, end, None) for begin, end in report.good]
    pieces += [(gap.offset, gap.end, gap) for gap in report.gaps if not gap.sound and gap.end]
    with path.open("rb") as file:
        for begin, end, gap in sorted(pieces, key=lambda piece: piece[:2]):
            if gap is not None:
                record(gap)
                continue
            file.seek(begin)
            for left in range(end - begin, 0, -_PIECE):
                disk.write_all(descriptor, file.read(min(left, _PIECE)))
    if not report.sealed:
        last = max([report.last + 1, *(gap.sequence for gap in report.gaps)])
        told = {"segment": report.number, "next": last, "repaired": True}
        disk.write_all(descriptor, packer.pack(FrameKind.SEAL, last, json.dumps(told).encode()))


def _aside(path: Path) -> Path:
    """Give the damaged file a second name, so that there is no moment without it."""
    number = 0
    while True:
        kept = path.with_name(f"{path.name}.damaged{number or ''}")
        try:
            os.link(path, kept)
        except FileExistsError:
            number += 1
            continue
        except OSError:  # a file system without links
            path.rename(kept)
        return kept
