"""Which features there are, and their compiled form."""

from __future__ import annotations

import difflib
import importlib
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from depthscope import jit
from depthscope.errors import InputError, UnknownName
from depthscope.features import FEATURES
from depthscope.features.driver import TABLE
from depthscope.features.kit import CONTEXT, INFO, RING, RING_COLUMNS, SIGNATURE, Feature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from depthscope.market.instruments import Instrument

__all__ = ["FeatureSet", "all_features", "feature", "register", "select"]

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
    _compiled.cache_clear()
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
    wanted = {feature(name).name for name in names}
    return tuple(f for f in all_features() if f.name in wanted)


@cache
def _compiled(name: str) -> Any:
    return jit.compile_cfunc(feature(name).update, SIGNATURE)


def pending(features: Iterable[Feature]) -> list[tuple[str, Callable[[], object]]]:
    """Compilations the features still need, each with a call that does it."""
    return [(f.name, partial(_compiled, f.name)) for f in features]


def settled(features: Iterable[Feature], given: Mapping[str, float | str]) -> dict[str, float]:
    """Value of every setting, as `prepare` gets it.

    Raises
    ------
    UnknownName
        When a given setting belongs to no feature.
    InputError
        When it is a word where a number is wanted, or not one of the words.
    """
    defaults = {name: default for f in features for name, default in f.settings.items()}
    for name in given:
        if name not in defaults:
            near = difflib.get_close_matches(name, sorted(defaults), n=3)
            raise UnknownName(
                f"No feature has a setting called {name!r}."
                + (f" Did you mean {', '.join(near)}?" if near else "")
            )
    found = {}
    for name, default in defaults.items():
        value = given.get(name, default[0] if isinstance(default, tuple) else default)
        if isinstance(default, tuple):
            if value not in default:
                raise InputError(f"The setting {name} is one of {', '.join(default)}, not {value!r}.")
            value = default.index(str(value))
        elif isinstance(value, str):
            raise InputError(f"The setting {name} is a number, not {value!r}.")
        found[name] = float(value)
    return found


class FeatureSet:
    """The features of one engine: compiled functions, state of every instrument, rings."""

    def __init__(
        self, features: tuple[Feature, ...], every: int, settings: Mapping[str, float | str] | None = None
    ) -> None:
        self.features = features
        self.columns = tuple(column for f in features for column in f.columns)
        self.settings = settled(features, settings or {})
        self.states: list[npt.NDArray[Any]] = [np.zeros(0, f.state) for f in features]
        self.info = np.zeros(0, INFO)
        self.rings = np.zeros((1024, RING_COLUMNS), np.int64)
        self.ring_used = 0
        self.free: dict[int, list[int]] = {}
        self.frame = np.zeros(1, CONTEXT)
        self.frame["by_event"] = every == 0
        self.traced = 0  # which events need TRACE rows
        self.table = np.zeros(max(1, len(features)), TABLE)
        first = 0
        for row, f in zip(self.table, features, strict=False):
            row["address"] = _compiled(f.name).address
            row["column"] = first
            by_row = f.level == "sample" or (
                not any(w % every for w in f.windows) and bool(f.windows) if every else f.group_rows
            )
            row["by_event"] = not by_row
            self.traced |= 0 if by_row else f.traced
            first += len(f.columns)
        self.bind()

    def bind(self) -> None:
        """Write the addresses of states, rings and instrument facts where kernels look."""
        for row, state in zip(self.table, self.states, strict=False):
            row["state"] = state.ctypes.data
        frame = self.frame[0]
        frame["info"], frame["n_slots"] = self.info.ctypes.data, len(self.info)
        frame["rings"], frame["ring_rows"] = self.rings.ctypes.data, len(self.rings)

    def add(self, instrument: Instrument) -> None:
        """Make room for one more instrument."""
        slot = len(self.info)
        info = np.zeros(1, INFO)
        info["tick"], info["tick_fixed"] = instrument.tick / 1e9, instrument.tick
        info["size_mul"], info["size_div"] = instrument.size_ratio
        self.info = np.concatenate([self.info, info])
        for k, f in enumerate(self.features):
            if slot == len(self.states[k]):  # twice as long, as some records are kilobytes
                grown = np.zeros(max(1, 2 * slot), f.state)
                grown[:slot] = self.states[k]
                self.states[k] = grown
            if f.prepare is not None:
                f.prepare(self.states[k][slot], instrument, self.settings)
        self.bind()

    def grow_ring(self, component: int, slot: int) -> None:
        """Double one instrument's ring of one feature."""
        ring = self.states[component][slot]["ring"]
        first, cap, head, tail = (int(ring[name]) for name in ("first", "cap", "head", "tail"))
        new_cap = max(16, 2 * cap)
        spare = self.free.get(new_cap)
        if spare:
            new = spare.pop()
        else:
            new = self.ring_used
            self.ring_used += new_cap
            if self.ring_used > len(self.rings):
                grown = np.zeros((2 * self.ring_used, RING_COLUMNS), np.int64)
                grown[:new] = self.rings[:new]
                self.rings = grown
        if head > tail:
            old = np.arange(tail, head)
            self.rings[new + (old & (new_cap - 1))] = self.rings[first + (old & (cap - 1))]
        if cap:
            self.free.setdefault(cap, []).append(first)
        ring["first"], ring["cap"] = new, new_cap
        self.bind()

    def copy(self) -> FeatureSet:
        """Deep copy of the state (compiled functions are shared)."""
        twin = FeatureSet.__new__(FeatureSet)
        twin.features, twin.columns, twin.settings = self.features, self.columns, self.settings
        twin.traced = self.traced
        twin.states = [state.copy() for state in self.states]
        twin.info, twin.rings, twin.ring_used = self.info.copy(), self.rings.copy(), self.ring_used
        twin.free = {cap: list(firsts) for cap, firsts in self.free.items()}
        twin.frame, twin.table = self.frame.copy(), self.table.copy()
        twin.bind()
        return twin


__all__ += ["RING", "pending"]
