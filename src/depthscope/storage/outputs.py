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

__all__ = ["Whole", "unwound_by_signals", "whole_file", "writing"]


@contextmanager
def writing(name: object) -> Iterator[None]:
    """Tell what a failure to write means.

    A pipe whose reader has gone is no failure: that `BrokenPipeError` goes on.

    Raises
    ------
    OutputError
        With the name, the reason, and that nothing of it is left.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"{name} cannot be written: {error.strerror or error}. No partial file is left; make room or "
            "choose another place, and run it again."
        ) from error


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
        with writing(self._name):
            self.stream: IO[bytes] = self.part.open("wb")

    def write(self, data: bytes) -> None:
        """Write bytes.

        Raises
        ------
        OutputError
            When the disk takes no more.
        """
        with writing(self._name):
            self.stream.write(data)

    def sync(self) -> None:
        """Make what was written durable: it may be read back from `part` then.

        Raises
        ------
        OutputError
            When that cannot be done.
        """
        with writing(self._name):
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def end(self) -> None:
        """Make it durable and give it its name.

        Raises
        ------
        OutputError
            When that cannot be done.
        """
        self.sync()
        with writing(self._name):
            self.stream.close()
            DISK.replace(self.part, self.path)
            DISK.sync_folder(self.path.parent)

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
