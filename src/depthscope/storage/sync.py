"""Making what was written durable, beside the thread that writes: a slow disk delays only the promise."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from depthscope.storage.disk import Disk

__all__ = ["Output", "Syncer"]


@dataclass(slots=True, eq=False)
class Output:
    """A file that is being written.

    Parameters
    ----------
    path : Path
    descriptor : int
    sequence : int
        Last thing written to it as a whole frame.
    size : int
        Bytes written to it.
    full : bool
        It has grown to the size it was meant to have.
    ended : bool
        Who writes is done with it: it is closed once durable, or at once where it has failed. Never before,
        or what is written might go to another file that got the same descriptor.
    failed : bool
        Nothing more may be written to it, and nothing of it will be made durable.
    """

    path: Path
    descriptor: int
    sequence: int
    size: int = 0
    full: bool = False
    ended: bool = False
    failed: bool = False


class Syncer:
    """A thread that syncs outputs, oldest first, and closes those that have ended.

    Parameters
    ----------
    disk : Disk
    folder : Path
        Where the outputs are; its names are made durable with each new one.
    seconds : float
        Time between two syncs.
    moved : callable
        Called after each sync.
    fail : callable
        Called with what went wrong, once: the outputs are given up then.
    """

    def __init__(
        self,
        disk: Disk,
        folder: Path,
        seconds: float,
        moved: Callable[[], None],
        fail: Callable[[str], None],
    ) -> None:
        self.acknowledged = 0
        self._disk, self._folder, self._seconds = disk, folder, seconds
        self._moved, self._fail = moved, fail
        self._lock = threading.Lock()  # of the list below, never held during a sync
        self._outputs: list[tuple[Output, list[int]]] = []  # with the sizes that are durable
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="depthscope-sync", daemon=True)

    def start(self) -> None:
        """Begin to sync."""
        self._thread.start()

    def add(self, output: Output) -> None:
        """Take care of a new output from now on."""
        with self._lock:
            self._outputs.append((output, []))

    def wake(self) -> None:
        """Sync now rather than when it is time."""
        self._wake.set()

    def sync(self) -> None:
        """Make everything written so far durable.

        Raises
        ------
        OSError
            When the disk refuses. All outputs are given up: what was not durable before may be lost, and a
            second sync would only pretend that it is not.
        """
        with self._lock:
            outputs = list(self._outputs)
        try:
            for output, durable in outputs:
                if output.failed:
                    if output.ended:
                        self._drop([output])
                    continue
                # Read before the sync, which promises nothing about what is written during it.
                ended, sequence, size = output.ended, output.sequence, output.size
                if durable[-1:] != [size]:
                    self._disk.sync(output.descriptor)
                    if not durable:
                        self._disk.sync_folder(self._folder)
                    durable[:] = [size]
                self.acknowledged = max(self.acknowledged, sequence)
                if ended:
                    self._drop([output])
        except OSError:
            for output, _ in outputs:
                output.failed = True
            self._drop([output for output, _ in outputs if output.ended])
            raise

    def _drop(self, outputs: list[Output]) -> None:
        """Close outputs; only here, so that no descriptor is used once it is another file's."""
        with self._lock:
            ours = [output for output, _ in self._outputs if output in outputs]
            self._outputs = [pair for pair in self._outputs if pair[0] not in outputs]
        for output in ours:
            if output.failed:
                with suppress(OSError):  # that it has failed has been told
                    self._disk.close(output.descriptor)
            else:
                self._disk.close(output.descriptor)

    def give_up(self) -> None:
        """Close all outputs without another sync; for a syncer that was never started."""
        for output, _ in self._outputs:
            output.failed = True
        self._drop([output for output, _ in self._outputs])

    def _run(self) -> None:
        due = time.monotonic() + self._seconds
        while True:
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            ending = self._ending
            due = time.monotonic() + self._seconds
            try:
                self.sync()
            except OSError as error:
                self._fail(f"what was written could not be made durable: {error.strerror or error}")
            self._moved()
            if ending:
                return

    def close(self, timeout: float) -> bool:
        """Sync once more and end the thread; whether it did so in time."""
        self._ending = True
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()
