"""Which features there are."""

from __future__ import annotations

import difflib
import importlib
from functools import cache, partial
from typing import TYPE_CHECKING

from depthscope.errors import UnknownName
from depthscope.features import FEATURES
from depthscope.features.components import compiled
from depthscope.features.kit import Feature
from depthscope.jit import step_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from depthscope.features.kit import Component
    from depthscope.jit import Step

__all__ = ["all_features", "feature", "pending", "register", "select"]

_registered: dict[str, Feature] = {}


def register(module: ModuleType) -> Feature:
    """Add a feature written outside the package.

    Parameters
    ----------
    module : module
        A feature file, imported (see docs/ADD_A_FEATURE.md).

    Returns
    -------
    Feature
    """
    made = Feature.of(module)
    taken = {c.name for f in all_features() if f.name != made.name for c in f.columns}
    clash = taken & {c.name for c in made.columns}
    if clash:
        raise UnknownName(f"Feature {made.name}: the column names {sorted(clash)} are taken; choose others.")
    _registered[made.name] = made
    return made


@cache
def _shipped() -> tuple[Feature, ...]:
    return tuple(Feature.of(importlib.import_module(f"depthscope.features.{name}")) for name in FEATURES)


def all_features() -> tuple[Feature, ...]:
    """Return every feature, shipped and registered, in column order."""
    return (*_shipped(), *_registered.values())


def feature(name: str) -> Feature:
    """Look a feature up by its name or by one of its columns.

    Raises
    ------
    UnknownName
        With the nearest names.
    """
    everything = all_features()
    for found in everything:
        if name == found.name or any(name == column.name for column in found.columns):
            return found
    names = sorted({f.name for f in everything} | {c.name for f in everything for c in f.columns})
    near = difflib.get_close_matches(name, names, n=3)
    raise UnknownName(
        f"No feature or column is called {name!r}." + (f" Did you mean {', '.join(near)}?" if near else "")
    )


def select(names: Iterable[str] | None) -> tuple[Feature, ...]:
    """Features that make the asked columns, in column order; all of them for None."""
    if names is None:
        return all_features()
    wanted = {feature(name).name for name in ([names] if isinstance(names, str) else names)}
    return tuple(f for f in all_features() if f.name in wanted)


def pending(features: Iterable[Component]) -> list[Step]:
    """Compilations features or detectors need."""
    return [step_of(f.name, f.update, partial(compiled, f.update)) for f in features]
