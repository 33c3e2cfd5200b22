"""Batch: the rows an engine call completes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import UnknownName
from depthscope.market.layouts import DETECTION, SAMPLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from depthscope.features.kit import Column

_META_NAMES: Final = (
    "ts", "ts_event", "ts_recv", "sequence", "slot", "state", "incomplete", "action", "changed",
)  # fmt: skip

__all__ = ["META", "NOTHING_FOUND", "Batch", "heads_of", "joined", "meta_of", "nearest"]

# What a SAMPLE row begins with, so that taking it is one strided copy.
META: Final = np.dtype([(name, SAMPLE[name]) for name in _META_NAMES])
NOTHING_FOUND: Final = np.zeros(0, DETECTION)


def nearest(name: str, names: list[str], kind: str) -> str:
    """Sentence that a name is unknown, with the nearest known ones."""
    near = difflib.get_close_matches(name, names, n=3)
    return f"No {kind} is called {name!r}." + (f" Did you mean {', '.join(near)}?" if near else "")


def heads_of(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View of the bytes of SAMPLE rows that are META, a line a row."""
    raw: npt.NDArray[np.uint8] = samples.view(np.uint8).reshape(len(samples), SAMPLE.itemsize)
    return raw[:, : META.itemsize]


def meta_of(heads: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """META rows of their bytes."""
    return heads.copy().view(META)[:, 0]


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
    detections : structured array of DETECTION
        What detectors said meanwhile, in order of time; there may be some without any row.
    """

    meta: npt.NDArray[Any]
    values: npt.NDArray[np.float64]
    columns: tuple[Column, ...]
    samples: npt.NDArray[Any] | None = None
    detections: npt.NDArray[Any] = field(default_factory=lambda: NOTHING_FOUND)

    def __len__(self) -> int:
        return len(self.meta)

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        for k, column in enumerate(self.columns):
            if column.name == name:
                line: npt.NDArray[np.float64] = self.values[k]
                return line
        raise UnknownName(nearest(name, [c.name for c in self.columns], "column"))


def joined(pieces: Sequence[Batch]) -> Batch:
    """One batch of several, of one engine and in order."""
    samples = [p.samples for p in pieces if p.samples is not None]
    said = [p.detections for p in pieces if len(p.detections)]
    return Batch(
        np.concatenate([p.meta for p in pieces]),
        np.concatenate([p.values for p in pieces], axis=1),
        pieces[0].columns,
        np.concatenate(samples) if samples else None,
        np.concatenate(said) if said else NOTHING_FOUND,
    )
