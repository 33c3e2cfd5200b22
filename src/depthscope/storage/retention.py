"""What a capture log keeps: segments that have been archived go, oldest first, by age and size.

Only segments that have ended are ever deleted, and only from the front, so that what is left has no hole.
Each deletion is written down in ``retention.jsonl`` before it happens.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from depthscope.errors import ConfigError, InputError, OutputError
from depthscope.storage.disk import DISK, is_open_elsewhere
from depthscope.storage.frames import FrameKind, FrameReader
from depthscope.storage.outputs import whole_file
from depthscope.storage.segments import HEADER_BYTES, SUFFIX, list_segments

if TYPE_CHECKING:
    from pathlib import Path

    from depthscope.storage.segments import Segment

__all__ = ["JOURNAL", "Deletion", "Retention", "Surplus", "has_ended", "mark_archived", "retain", "surplus"]

JOURNAL: Final = "retention.jsonl"
MARK: Final = ".archived"


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept.

    Parameters
    ----------
    max_bytes : int, optional
        Most bytes of all segments together.
    max_age_seconds : float, optional
        Longest time since a segment was begun.
    unarchived : bool
        Whether segments may be deleted that nothing says are archived.

    Raises
    ------
    ConfigError
        When a limit is negative.
    """

    max_bytes: int | None = None
    max_age_seconds: float | None = None
    unarchived: bool = False

    def __post_init__(self) -> None:
        if (self.max_bytes or 0) < 0 or (self.max_age_seconds or 0) < 0:
            raise ConfigError("What a capture log keeps cannot be limited to less than nothing.")


@dataclass(frozen=True, slots=True)
class Deletion:
    """A segment that goes.

    Parameters
    ----------
    segment : str
        Name of its file.
    size : int
        Bytes.
    created : int
        When it was begun, UTC ns.
    reason : str
        ``age`` or ``size``.
    archived : str
        The archive's run that has its events; empty when nothing says so.
    """

    segment: str
    size: int
    created: int
    reason: str
    archived: str


class Surplus(NamedTuple):
    """What a policy deletes, and what it would but for something that has to be seen to.

    Parameters
    ----------
    going : list of Deletion
        Oldest first.
    kept : str
        Why the next one that is too old, or too much, stays; empty when there is none.
    """

    going: list[Deletion]
    kept: str


def has_ended(path: Path, followed: bool = False) -> bool:
    """Whether nothing more is written to a segment.

    It is sealed, or, where its process went down between two writes, whole to its last byte and `followed`.
    Either way nobody has it open. Contents of its frames are not checked.

    Parameters
    ----------
    path : Path
        The segment.
    followed : bool
        Whether its log goes on in another one.
    """
    if is_open_elsewhere(path):
        return False
    reader = FrameReader(path, HEADER_BYTES)
    try:
        last = None
        for _, offset in reader.outline(HEADER_BYTES):
            last = offset
        size = path.stat().st_size
        if last is None:
            return followed and size == HEADER_BYTES
        frame = reader.at(last)
        return frame is not None and frame.end == size and (followed or frame.kind == FrameKind.SEAL)
    finally:
        reader.close()


def mark_archived(path: Path, run: str, followed: bool = False) -> None:
    """Note beside a segment that its events are in an archive, read back and durable.

    Parameters
    ----------
    path : Path
        The segment.
    run : str
        Which run of the archive.
    followed : bool
        Whether its log goes on in another segment.

    Raises
    ------
    InputError
        When the segment has not ended: there may be more in it than was archived.
    OutputError
        When the note cannot be written.
    """
    if not has_ended(path, followed):
        raise InputError(f"{path} has not ended: what is archived of it may not be all of it.")
    with whole_file(path.with_name(path.name + MARK)) as out:
        out.write(json.dumps({"run": run, "size": path.stat().st_size}).encode())


def _archived(path: Path, size: int) -> str:
    """The run a segment was archived in, empty when nothing says so."""
    try:
        told = json.loads(path.with_name(path.name + MARK).read_bytes())
        return str(told["run"]) if told["size"] == size else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # no mark, or none that can be believed: keep the segment


def surplus(segments: list[Segment], policy: Retention, now: int) -> Surplus:
    """What a policy would delete.

    Parameters
    ----------
    segments : list of Segment
        As :func:`~depthscope.storage.segments.list_segments` gives them.
    policy : Retention
    now : int
        Wall clock, UTC ns.
    """
    sizes = [segment.path.stat().st_size for segment in segments]
    total = sum(sizes)
    going: list[Deletion] = []
    for segment, size in zip(segments, sizes, strict=True):
        old = policy.max_age_seconds is not None and now - segment.created > policy.max_age_seconds * 1e9
        much = policy.max_bytes is not None and total > policy.max_bytes
        if not (old or much):
            break
        run = _archived(segment.path, size)
        kept = "" if run or policy.unarchived else "nothing says that it is archived"
        if not kept and not has_ended(segment.path, followed=segment is not segments[-1]):
            open_ = is_open_elsewhere(segment.path)
            kept = "it is being written" if open_ else "its end is damaged: `depthscope capture repair` first"
        if kept:  # what comes later stays too: no holes
            return Surplus(going, f"{segment.path.name} and all later ones are kept: {kept}")
        going.append(Deletion(segment.path.name, size, segment.created, "age" if old else "size", run))
        total -= size
    return Surplus(going, "")


def retain(folder: Path, policy: Retention, now: int) -> Surplus:
    """Delete what a policy does not keep, each after it has been written down.

    Parameters
    ----------
    folder : Path
        The capture log.
    policy : Retention
    now : int
        Wall clock, UTC ns.

    Raises
    ------
    OutputError
        When the journal cannot be written, or a file not deleted; later ones are kept then.
    """
    if not any(folder.glob(f"*{SUFFIX}")):
        return Surplus([], "")
    found = surplus(list_segments(folder), policy, now)
    for one in found.going:
        path = folder / one.segment
        try:
            with (folder / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps({"deleted": now, **asdict(one)}) + "\n")
                journal.flush()
                os.fsync(journal.fileno())
            path.unlink()
            path.with_name(path.name + MARK).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{path} could not be deleted, or the journal beside it not written: "
                f"{error.strerror or error}. It and all later ones are kept."
            ) from error
    if found.going:
        DISK.sync_folder(folder)
    return found
