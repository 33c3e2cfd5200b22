"""Room on the disk: levels with a clear word for each, and recording that ends before there is none."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from depthscope.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from depthscope.storage.capture_writer import CaptureWriter

__all__ = ["SpaceLevel", "SpaceLimits", "SpaceStatus", "SpaceWatch", "ended", "space_level"]


class SpaceLevel(IntEnum):
    """How much room there is."""

    ENOUGH = 0
    LOW = 1  # somebody should see to it
    CRITICAL = 2  # recording ends


@dataclass(frozen=True, slots=True)
class SpaceLimits:
    """Free bytes below which a level begins; it ends a quarter above.

    Parameters
    ----------
    low, critical : int

    Raises
    ------
    ConfigError
        When they are not in order.
    """

    low: int = 5 << 30
    critical: int = 1 << 30

    def __post_init__(self) -> None:
        if not 0 < self.critical <= self.low:
            raise ConfigError(
                f"Free space of {self.critical:,} bytes (critical) and {self.low:,} (low): the first must be "
                f"positive and at most the second."
            )

    @property
    def resume(self) -> int:
        """Free bytes from which recording goes on that ended for lack of room."""
        return ended(self.critical)


def ended(limit: int) -> int:
    """Free bytes from which a level is over that began below `limit`."""
    return limit + limit // 4


def space_level(free: int, limits: SpaceLimits, before: SpaceLevel = SpaceLevel.ENOUGH) -> SpaceLevel:
    """Level of some free bytes. A level that was reached is left only with a quarter more than its limit.

    Examples
    --------
    >>> space_level(100, SpaceLimits(low=90, critical=50)).name
    'ENOUGH'
    >>> space_level(100, SpaceLimits(low=90, critical=50), SpaceLevel.LOW).name
    'LOW'
    """
    for level, limit in ((SpaceLevel.CRITICAL, limits.critical), (SpaceLevel.LOW, limits.low)):
        if free < (ended(limit) if before >= level else limit):
            return level
    return SpaceLevel.ENOUGH


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """Room on the disk of a folder.

    Parameters
    ----------
    folder : Path
    level : SpaceLevel
    free, total : int
        Bytes.
    resume : int
        Free bytes from which recording goes on that has stopped for lack of room.
    """

    folder: Path
    level: SpaceLevel
    free: int
    total: int
    resume: int

    def __str__(self) -> str:
        consequence = {
            SpaceLevel.ENOUGH: "",
            SpaceLevel.LOW: ": make room, or recording will stop",
            SpaceLevel.CRITICAL: f": recording has stopped until {self.resume / 2**30:,.2f} GiB are free; "
            "the session goes on",
        }[self.level]
        return (
            f"{self.free / 2**30:,.1f} of {self.total / 2**30:,.1f} GiB free for {self.folder}{consequence}"
        )


class SpaceWatch:
    """Watches the disk of a capture log and stops and resumes its writer. Poll it every few seconds.

    Parameters
    ----------
    folder : Path
    limits : SpaceLimits, optional
    writer : CaptureWriter, optional
        Stopped where the level becomes critical, resumed where it is so no more.
    on_change : callable, optional
        Called with the status where the level changes.
    usage : callable
        Gives (total, used, free) bytes of a folder's disk.

    Attributes
    ----------
    status : SpaceStatus or None
        As of the last poll.
    """

    def __init__(
        self,
        folder: Path,
        limits: SpaceLimits | None = None,
        *,
        writer: CaptureWriter | None = None,
        on_change: Callable[[SpaceStatus], None] | None = None,
        usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage,
    ) -> None:
        self._folder, self._limits = folder, limits or SpaceLimits()
        self._writer, self._on_change, self._usage = writer, on_change, usage
        self._stopped = False
        self.status: SpaceStatus | None = None

    def poll(self) -> SpaceStatus:
        """Look at the disk and act.

        Raises
        ------
        OSError
            When the folder is not there any more.
        """
        before = SpaceLevel.ENOUGH if self.status is None else self.status.level
        total, _, free = self._usage(self._folder)
        level = space_level(free, self._limits, before)
        self.status = SpaceStatus(self._folder, level, free, total, self._limits.resume)
        if self._writer is not None:
            if self.status.level == SpaceLevel.CRITICAL and self._writer.failure is None:
                self._writer.stop(str(self.status))
                self._stopped = True
            elif self.status.level < SpaceLevel.CRITICAL and self._stopped:
                self._stopped = False
                self._writer.resume()
        if self.status.level != before and self._on_change is not None:
            self._on_change(self.status)
        return self.status
