"""Machines: the live logic of each venue, by the name its CONFIG input goes by. A venue is one line."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

from depthscope.errors import CorruptData, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from depthscope.config import Settings
    from depthscope.market.inputs import Feed, Input, LiveMachine, Machine

__all__ = ["MACHINES", "feed_for", "machine_for", "venue_of"]

# Venue -> the module that has its `machine` and `feed`.
MACHINES: Final = {
    "binance": "depthscope.venues.binance_session",
}


def machine_for(venue: str) -> Machine:
    """A new machine of a venue, which knows nothing yet."""
    machine: Machine = import_module(MACHINES[venue]).machine()
    return machine


def feed_for(
    venue: str,
    symbols: Sequence[str],
    settings: Settings,
    sink: Callable[[Input], None],
    clock: Any,
    chance: Callable[[], float],
) -> tuple[Feed, LiveMachine, tuple[str, ...]]:
    """Feed and machine of a live session, and the symbols it follows.

    Raises
    ------
    UnknownName
        When there is no such venue.
    ConfigError
        When it cannot be followed with these settings.
    """
    if venue not in MACHINES:
        near = difflib.get_close_matches(venue, MACHINES, n=1)
        raise UnknownName(
            f"No venue {venue!r} can be followed live. "
            + (f"Did you mean {near[0]}? " if near else "")
            + f"Known: {', '.join(MACHINES)}."
        )
    made: tuple[Feed, LiveMachine, tuple[str, ...]] = import_module(MACHINES[venue]).feed(
        symbols, settings, sink, clock, chance
    )
    return made


def venue_of(config: bytes) -> str:
    """Which venue a CONFIG input is for.

    Raises
    ------
    CorruptData
        When it is for none that is known here.
    """
    try:
        told = msgspec.json.decode(config)
    except msgspec.DecodeError:
        told = None
    found = [name for name in MACHINES if isinstance(told, dict) and name in told]
    if len(found) != 1:
        raise CorruptData(
            f"The settings in the recording are for no venue known here (known: {', '.join(MACHINES)}). "
            "Read it with the version of depthscope that wrote it, or a later one."
        )
    return found[0]
