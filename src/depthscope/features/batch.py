"""Batch: the rows an engine call completes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import UnknownName
from depthscope.market.instruments import Capability

if TYPE_CHECKING:
    import numpy.typing as npt

    from depthscope.features.kit import Column

__all__ = ["META", "Batch", "nearest", "satisfying"]

META: Final = np.dtype(
    [
        ("ts", "i8"),
        ("ts_event", "i8"),
        ("ts_recv", "i8"),
        ("sequence", "u8"),
        ("slot", "u4"),
        ("state", "u1"),
        ("incomplete", "u1"),
        ("action", "u1"),
        ("changed", "u1"),
    ]
)


def nearest(name: str, names: list[str], kind: str) -> str:
    """Sentence that a name is unknown, with the nearest known ones."""
    near = difflib.get_close_matches(name, names, n=3)
    return f"No {kind} is called {name!r}." + (f" Did you mean {', '.join(near)}?" if near else "")


def satisfying(requires: Capability) -> Capability:
    """Capabilities any of which meets a requirement: more depth implies less."""
    order = (Capability.L1, Capability.L2, Capability.MBO)
    if requires in order:
        found = Capability(0)
        for c in order[order.index(requires) :]:
            found |= c
        return found
    return requires


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows produced by one call.

    Attributes
    ----------
    meta : structured array (n,)
        ``ts`` (boundary, or group time by event), ``ts_event``, ``ts_recv``, ``sequence`` of
        the last group applied, ``slot``, ``state``, ``incomplete``, ``action``, ``changed``.
    values : float64 array (columns, n)
        One line per feature column, NaN where undefined.
    columns : tuple of Column
        Names and units of the lines.
    samples : structured array (n,) or None
        The SAMPLE rows, when the engine keeps them.
    """

    meta: npt.NDArray[Any]
    values: npt.NDArray[np.float64]
    columns: tuple[Column, ...]
    samples: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.meta)

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        for k, column in enumerate(self.columns):
            if column.name == name:
                line: npt.NDArray[np.float64] = self.values[k]
                return line
        raise UnknownName(nearest(name, [c.name for c in self.columns], "column"))
