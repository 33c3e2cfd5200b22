"""Files that appear whole or not at all: written beside, made durable, renamed."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn

from depthscope.errors import OutputError
from depthscope.storage.disk import DISK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Whole", "unwound_by_signals", "whole_file", "write_error"]


def write_error(name: object, error: OSError) -> OutputError:
    """Say that a file cannot be written, and that nothing of it is left."""
    return OutputError(
        f"{name} cannot be written: {error.strerror or error}. No partial file is left; make room or choose "
        f"another place, and run it again."
    )


class Whole:
    """A file being written under another name.

    Parameters
    ----------
    path : Path
        The name it will have.
    option : str
        The option that named it, for messages.
    """

    def __init__(self, path: Path, option: str = "") -> None:
        self.path = path
        self._name = f"{option} {path}".strip()
        self.part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            self.stream: IO[bytes] = self.part.open("wb")
        except OSError as error:
            raise write_error(self._name, error) from error

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
            raise write_error(self._name, error) from error

    def sync(self) -> None:
        """Make what was written durable: it may be read back from `part` then.

        Raises
        ------
        OutputError
            When that cannot be done.
        """
        try:
            self.stream.flush()
            os.fsync(self.stream.fileno())
        except OSError as error:
            raise write_error(self._name, error) from error

    def end(self) -> None:
        """Make it durable and give it its name.

        Raises
        ------
        OutputError
            When that cannot be done.
        """
        self.sync()
        try:
            self.stream.close()
            DISK.replace(self.part, self.path)
            DISK.sync_folder(self.path.parent)
        except OSError as error:
            raise write_error(self._name, error) from error

    def abandon(self) -> None:
        """Leave nothing behind, unless it has ended."""
        with suppress(OSError):  # what is in its buffer is of no use
            self.stream.close()
        with suppress(OSError):  # it has its name
            self.part.unlink()


@contextmanager
def unwound_by_signals() -> Iterator[None]:
    """Let a signal that would end the process on the spot unwind the body first.

    Ctrl+C does so by itself. What is ignored, under nohup for example, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: Any) -> NoReturn:
        raise SystemExit(128 + number)

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [kind for kind in kinds if signal.getsignal(kind) == signal.SIG_DFL]
    for kind in ours:
        signal.signal(kind, leave)
    try:
        yield
    finally:
        for kind in ours:
            signal.signal(kind, signal.SIG_DFL)


@contextmanager
def whole_file(path: Path, option: str = "") -> Iterator[Whole]:
    """Open a file beside `path`, which takes its name, durably, once the body has ended well.

    Raises
    ------
    OutputError
        When it cannot be written. Nothing is left behind then, nor when the body raises or the process is
        told to end.
    """
    whole = Whole(path, option)
    try:
        with unwound_by_signals():
            yield whole
            whole.end()
    finally:
        whole.abandon()
