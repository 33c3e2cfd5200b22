"""Checkpoints: engine states kept along the way so that a session can go back."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import numpy as np

__all__ = ["Checkpoint", "Checkpoints", "memory_of"]

SECOND: Final = 1_000_000_000
_FIRST_GAP: Final = 30 * SECOND
_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment to return to.

    Attributes
    ----------
    ts : int
        Market time (UTC ns), a whole second: every event before it is applied, none after.
    index : int
        Events applied since the beginning of the source.
    clamp : int
        Receive time of the last of them.
    engine, spectator : object
        Their own snapshots; an engine of None stands for one begun anew (at the first checkpoint).
    size : int
        Bytes they take.
    """

    ts: int
    index: int
    clamp: int
    engine: Any
    spectator: Any
    size: int


def memory_of(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes of the arrays and byte strings reachable through containers and plain objects."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return int(thing.nbytes)
    if isinstance(thing, bytes | bytearray):
        return len(thing)
    if isinstance(thing, dict):
        return sum(memory_of(v, seen) for v in thing.values())
    if isinstance(thing, list | tuple | set):
        return sum(memory_of(v, seen) for v in thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        return sum(memory_of(getattr(thing, f.name), seen) for f in fields(thing))
    held = getattr(thing, "__dict__", None)
    if held is None:
        held = {s: getattr(thing, s, None) for s in getattr(type(thing), "__slots__", ())}
    return sum(memory_of(v, seen) for v in held.values())


class Checkpoints:
    """At most 64 checkpoints within a memory limit, the first always among them.

    They start 30 s of market time apart; when the limit is met every second one goes and the
    distance doubles, so a long session keeps an even spread.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[Checkpoint] = []
        self.gap = _FIRST_GAP

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(c.size for c in self._kept)

    def due(self, ts: int) -> bool:
        """Whether a checkpoint at `ts` would be far enough from those before it."""
        return not self._kept or ts - self._kept[-1].ts >= self.gap

    def room_for(self, size: int) -> bool:
        """Whether one of `size` bytes is worth its memory: several must fit."""
        return size <= self._limit // 4

    def add(self, checkpoint: Checkpoint) -> None:
        """Keep it, thinning out the others when it is one too many. Older ones must come first."""
        self._kept.append(checkpoint)
        while len(self._kept) > 2 and (len(self._kept) > _MOST or self.size > self._limit):
            self._kept = self._kept[::2]
            self.gap *= 2

    def before(self, ts: int) -> Checkpoint:
        """Return the last one at or before `ts`, the first when there is none."""
        found = self._kept[0]
        for checkpoint in self._kept:
            if checkpoint.ts > ts:
                break
            found = checkpoint
        return found
