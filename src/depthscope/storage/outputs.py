"""Files that appear whole or not at all: written beside, made durable, renamed."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from depthscope.errors import OutputError
from depthscope.storage.disk import DISK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Whole", "whole_file", "write_error"]


def write_error(path: Path, error: OSError) -> OutputError:
    """Say that a file cannot be written, and that nothing of it is left."""
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}. No partial file is left; make room or choose "
        f"another place, and run it again."
    )


class Whole:
    """A file being written under another name.

    Parameters
    ----------
    path : Path
        The name it will have.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            self.stream: IO[bytes] = self.part.open("wb")
        except OSError as error:
            raise write_error(path, error) from error

    def write(self, data: bytes) -> None:
        """Write bytes.

        Raises
        ------
        OutputError
            When the disk takes no more.
        """
        try:
            self.stream.write(data)
        except OSError as error:
            raise write_error(self.path, error) from error

    def end(self) -> None:
        """Make it durable and give it its name.

        Raises
        ------
        OutputError
            When that cannot be done.
        """
        try:
            self.stream.flush()
            os.fsync(self.stream.fileno())
            self.stream.close()
            DISK.replace(self.part, self.path)
            DISK.sync_folder(self.path.parent)
        except OSError as error:
            raise write_error(self.path, error) from error

    def abandon(self) -> None:
        """Leave nothing behind, unless it has ended."""
        with suppress(OSError):  # what is in its buffer is of no use
            self.stream.close()
        with suppress(OSError):  # it has its name
            self.part.unlink()


@contextmanager
def whole_file(path: Path) -> Iterator[Whole]:
    """Open a file beside `path`, which takes its name, durably, once the body has ended well.

    Raises
    ------
    OutputError
        When it cannot be written. Nothing is left behind then, nor when the body raises.
    """
    whole = Whole(path)
    try:
        yield whole
        whole.end()
    finally:
        whole.abandon()
