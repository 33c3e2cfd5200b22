"""Disks that fail: at a chosen call, or by losing what was not made durable."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import numpy as np

from depthscope.storage.disk import Disk

SECTOR = 512
FAULTS = ("full", "short", "broken", "no sync", "no folder sync", "no create")


class FaultyDisk(Disk):
    """Fails once (or from then on) at the `at`-th call of the kind its fault is of.

    Parameters
    ----------
    fault : str
        One of `FAULTS`.
    at : int
        Which call, from 1.
    lasting : bool
        Later calls fail too, until :meth:`mend`.
    """

    def __init__(self, fault: str, at: int, lasting: bool = False) -> None:
        self.fault, self._left, self._lasting = fault, at, lasting
        self.failed = False
        self.bad: set[int] = set()  # descriptors that have failed
        self.after_failure = 0  # writes and syncs of them, which must not be
        self._lock = threading.Lock()

    def mend(self) -> None:
        self._left = -1

    def _due(self, *faults: str) -> bool:
        with self._lock:
            if self.fault not in faults or self._left < 0:
                return False
            if self._left > 0:
                self._left -= 1
            if self._left:
                return False
            if not self._lasting:
                self._left = -1
            self.failed = True
            return True

    def create(self, path: Path) -> int:
        if self._due("no create"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> int:
        self.after_failure += descriptor in self.bad
        if self._due("full", "broken", "short"):
            if self.fault == "short" and len(data) > 1:
                super().write(descriptor, data[: len(data) // 2])
            self.bad.add(descriptor)
            code = errno.EIO if self.fault == "broken" else errno.ENOSPC
            raise OSError(code, "Input/output error" if code == errno.EIO else "No space left on device")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.after_failure += descriptor in self.bad
        if self._due("no sync"):
            self.bad.add(descriptor)
            raise OSError(errno.EIO, "Input/output error")

    def sync_folder(self, folder: Path) -> None:
        if self._due("no folder sync"):
            raise OSError(errno.EIO, "Input/output error")

    def close(self, descriptor: int) -> None:
        self.bad.discard(descriptor)
        super().close(descriptor)


class LosingDisk(Disk):
    """Remembers what is durable, and can lose the rest as a cut of power does: some sectors made it."""

    def __init__(self) -> None:
        self.paths: dict[int, Path] = {}
        self.durable: dict[Path, int] = {}
        self.named: set[Path] = set()
        self._lock = threading.Lock()

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        with self._lock:
            self.paths[descriptor] = path
            self.durable[path] = 0
        return descriptor

    def sync(self, descriptor: int) -> None:
        with self._lock:
            path = self.paths[descriptor]
        size = path.stat().st_size
        with self._lock:
            self.durable[path] = max(self.durable[path], size)

    def sync_folder(self, folder: Path) -> None:
        with self._lock:
            self.named |= {path for path in self.durable if path.parent == folder}

    def close(self, descriptor: int) -> None:
        with self._lock:
            del self.paths[descriptor]
        super().close(descriptor)

    def after_power_loss(self, target: Path, rng: np.random.Generator) -> None:
        """Write what a machine would find after losing its power now."""
        with self._lock:
            durable, named = dict(self.durable), set(self.named)
        for path, kept in durable.items():
            if path not in named and rng.random() < 0.5:
                continue  # its name never got to the disk
            data = bytearray(path.read_bytes())
            end = int(rng.integers(kept, len(data) + 1))  # so long the file has become
            for begin in range(kept - kept % SECTOR, end, SECTOR):
                first, last = max(begin, kept), min(begin + SECTOR, end)
                fate = rng.random()
                if fate < 0.3:
                    data[first:last] = bytes(last - first)
                elif fate < 0.5:
                    data[first:last] = rng.bytes(last - first)
            (target / path.name).write_bytes(data[:end])
