"""What a detector file is written with, besides `features.kit`.

A detector is one plain function ``update(ctx, n, state, out) -> int``, compiled and run like a
feature's, after all of them. It has no columns: it says messages, each with :func:`announce`. What
it has said is never changed; an open matter gets updates and one close, under the same number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.features.kit import NO_ROOM, Component, exports_of, frame_of, sample_rows
from depthscope.jit import Int, carray, njit, pointer
from depthscope.market.layouts import DETECTION, EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

SENSITIVITIES: Final = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector(Component):
    """A component that says messages.

    Parameters
    ----------
    evidence : tuple of str
        Names of the numbers its messages carry.
    labels, outcomes : tuple of str
        Its words for what it found and how that ended; the first is for none.
    presets : mapping of str to mapping
        Settings by sensitivity, where they differ from its `settings`, which are ``medium``.
    """

    evidence: tuple[str, ...]
    labels: tuple[str, ...] = ("",)
    outcomes: tuple[str, ...] = ("",)
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, module: ModuleType, number: int) -> Detector:
        """Read a detector file's exports; `number` is its place in `DETECTORS`, from 1."""
        if len(module.EVIDENCE) > EVIDENCE:
            raise ValueError(f"{module.__name__}: at most {EVIDENCE} numbers of evidence fit a message.")
        return cls(
            **exports_of(module),
            number=number,
            evidence=module.EVIDENCE,
            labels=getattr(module, "LABELS", ("",)),
            outcomes=getattr(module, "OUTCOMES", ("",)),
            presets=getattr(module, "PRESETS", {}),
        )


@njit
def crowded(ctx: Any, messages: int, j: int) -> Any:
    """Whether so many more messages do not fit: the caller must then return, row `j` being next."""
    frame = frame_of(ctx)
    if frame.n_found + messages <= frame.found_room:
        return False
    frame.need_slot = NO_ROOM
    frame.row = j
    return True


@njit
def say_at(ctx: Any, place: Int, ts: Int, slot: Int, phase: Int) -> Any:
    """Message at a place of the pass: ``2k + 1`` at TRACE row k, ``2 · at`` at a SAMPLE row."""
    frame = frame_of(ctx)
    said = carray(pointer(frame.found), frame.found_room, DETECTION)[frame.n_found]
    frame.n_found += 1
    said.ts = said.opened = ts
    said.slot = slot
    said.phase = phase
    said.detector = frame.detector
    said.block = frame.block
    said.place = place
    said.label = said.outcome = 0
    said.strength = 0.0
    for k in range(EVIDENCE):
        said.evidence[k] = 0.0
    return said


@njit
def say_at_event(ctx: Any, row: Any, k: int, phase: Int) -> Any:
    """Message about TRACE row `row`, number `k`; the caller fills in the rest (room: `crowded`)."""
    return say_at(ctx, 2 * np.int64(k) + 1, row.ts, np.int64(row.slot), phase)


@njit
def say_at_row(ctx: Any, j: int, phase: Int) -> Any:
    """Message at SAMPLE row `j`, which comes before the event at its ``at``."""
    row = sample_rows(ctx)[j]
    return say_at(ctx, 2 * row.at, row.ts, np.int64(row.slot), phase)
