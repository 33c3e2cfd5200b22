"""What an injection is told as: its truth, and its kind."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from depthscope.market.instruments import Capability
from depthscope.research.recording import SECOND

if TYPE_CHECKING:
    from depthscope.research.desk import Desk

NOTHING: Final = Capability(0)

Steps = Generator[int, None, "Truth | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One injected event, as it really came out.

    Attributes
    ----------
    kind : str
        Name in `depthscope.research.kinds.KINDS`.
    side : int
        As detectors say it: of the resting size, or of the aggressor.
    low, high : int
        Prices it touched, 1e-9 fixed.
    start, end : int
        Receive times of its first record and of its last (before recorded orders are given back).
    size : int
        Lots placed or traded.
    outcome : str
        How it ended, in its detector's words; empty where that is not said.
    numbers : mapping of str to float
        What decides whether a detector should see it.
    """

    kind: str
    side: int
    low: int
    high: int
    start: int
    end: int
    size: int
    outcome: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of injection.

    Attributes
    ----------
    name : str
    detector : str
        Which detector it is for (as an event or as a decoy).
    place : callable
        Writes one.
    requires : Capability
        What the feed must tell, any of it.
    without : Capability
        What the feed must not tell.
    decoy : bool
        The detector must not say anything of it.
    least : mapping of str to str
        Numbers of its truths that must reach a setting of the detector, or it is a decoy too.
    also : tuple of str
        Detectors that are right to say something of it, by their own definition.
    anywhere : bool
        The detector's price says nothing of where it is.
    reach : int
        Ticks by which the detector's price may lie outside: it spans levels, recorded ones among them.
    grace : int
        Nanoseconds after its end in which it may still be found.
    pause : int
        Nanoseconds to leave after one.
    """

    name: str
    detector: str
    place: Callable[[Desk], Steps]
    requires: Capability = Capability.L2 | Capability.MBO
    without: Capability = NOTHING
    decoy: bool = False
    least: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    anywhere: bool = False
    reach: int = 0
    grace: int = SECOND
    pause: int = SECOND
