"""Calls to a disk whose failure matters, in one place: tests give a capture log a disk that fails."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["DISK", "Disk", "is_open_elsewhere"]

_FLAGS: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)


class Disk:
    """Plain system calls. Every one may raise OSError; none is tried twice."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist yet, locked for as long as it is open; its descriptor."""
        descriptor = os.open(path, _FLAGS, 0o644)
        if sys.platform != "win32":
            # A reader that looks whether it is locked holds it for a moment: wait. Some network file
            # systems know no locks; the file is ours alone all the same, since we have made it.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        """Write what fits; how many bytes that were."""
        return os.write(descriptor, data)

    def write_all(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`."""
        done = self.write(descriptor, data)
        while done < len(data):
            done += self.write(descriptor, data[done:])

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file off after `size` bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return when what was written survives a loss of power."""
        if sys.platform == "win32" or sys.platform == "darwin":
            os.fsync(descriptor)
        else:
            os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in a folder survive a loss of power."""
        if sys.platform == "win32":  # folders cannot be opened there; its file systems log names
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give a file another name, in one step."""
        source.replace(target)


DISK: Final = Disk()


def is_open_elsewhere(path: Path) -> bool:
    """Whether a writer (of this or another process) still has a file open.

    Writers hold a lock that ends with their process. Where the system has none (Windows), an open
    file cannot be renamed or deleted in the first place.
    """
    if sys.platform == "win32":
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks cannot tell
            return False
    return False
