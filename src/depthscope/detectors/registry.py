"""Which detectors there are."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from depthscope.detectors import DETECTORS
from depthscope.detectors.kit import SENSITIVITIES, Detector
from depthscope.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["all_detectors", "chosen", "detector"]


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Return every detector, in the order of their numbers."""
    return tuple(
        Detector.of(importlib.import_module(f"depthscope.detectors.{name}"), number)
        for number, name in enumerate(DETECTORS, 1)
    )


def detector(name: str) -> Detector:
    """Look a detector up by its name.

    Raises
    ------
    UnknownName
        With the nearest names.
    """
    for found in all_detectors():
        if found.name == name:
            return found
    near = difflib.get_close_matches(name, DETECTORS, n=3)
    raise UnknownName(
        f"No detector is called {name!r}."
        + (f" Did you mean {', '.join(near)}?" if near else f" There are {', '.join(DETECTORS)}.")
    )


def chosen(names: Iterable[str] | None, sensitivity: str = "medium") -> tuple[Detector, ...]:
    """Detectors by name (all for None), with the settings of a sensitivity."""
    if sensitivity not in SENSITIVITIES:
        raise UnknownName(f"No sensitivity is called {sensitivity!r}; choose {', '.join(SENSITIVITIES)}.")
    if isinstance(names, str):
        names = [names]
    wanted = None if names is None else {detector(name).name for name in names}
    return tuple(
        replace(d, settings={**d.settings, **d.presets.get(sensitivity, {})})
        for d in (all_detectors() if wanted is None or wanted else ())
        if wanted is None or d.name in wanted
    )
