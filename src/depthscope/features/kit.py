"""What a feature file is written with.

A feature is one plain function ``update(ctx, n, state, out) -> int`` compiled to a C callback:

* ``LEVEL = "sample"``: `n` SAMPLE rows, one value per row and column;
* ``LEVEL = "event"``: `n` TRACE rows, with the SAMPLE rows that fall between them.

It returns `n` when it is done, or the index it wants to be resumed at after the engine has
given its ring more room. `state` is its own `STATE` record per instrument, kept by the
engine (so a snapshot is a copy); it must keep nothing anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from depthscope.jit import Int, carray, njit, pointer
from depthscope.market.events import EVENT, UNDEF_PRICE
from depthscope.market.layouts import SAMPLE, TRACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from depthscope.market.instruments import Capability, Instrument

NAN: Final = float("nan")
UNDEF: Final = UNDEF_PRICE
SECOND: Final = 1_000_000_000

CONTEXT: Final = np.dtype(
    [
        ("events", "i8"),  # address of the EVENT of the first TRACE row
        ("trace", "i8"),
        ("n_events", "i8"),
        ("samples", "i8"),
        ("n_samples", "i8"),
        ("done", "i8"),  # rows of the sample buffer before these
        ("start", "i8"),  # where to begin
        ("resumed", "i8"),  # 1: rows up to `start` have been written
        ("stride", "i8"),  # rows between columns of `out`
        ("info", "i8"),  # address of the INFO records
        ("n_slots", "i8"),
        ("by_event", "i8"),  # 1: a row includes its own time; 0: a boundary excludes it
        ("rings", "i8"),
        ("ring_rows", "i8"),
        ("need_slot", "i8"),
    ]
)

INFO: Final = np.dtype(
    [("tick", "f8"), ("size_mul", "f8"), ("size_div", "f8"), ("tick_fixed", "i8"), ("started", "i8")]
)

RING: Final = np.dtype([("first", "i8"), ("cap", "i8"), ("head", "i8"), ("tail", "i8")])

SIGNATURE: Final = "int64(voidptr, int64, voidptr, CPointer(float64))"


@dataclass(frozen=True, slots=True)
class Column:
    """One output of a feature.

    Parameters
    ----------
    name : str
        Column name, with its window where it has one (``ofi_1s``).
    unit : str
        ``price``, ``size``, ``bps``, ``ticks``, ``count``, ``ratio``, ``-1…1`` and the like.
    labels : tuple of str, optional
        The column is one of these words: the kernel writes the index, NaN is null.
    integer : bool
        The column is a count; tables show it as an integer.
    """

    name: str
    unit: str
    labels: tuple[str, ...] = ()
    integer: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as the engine sees it: a file's exports.

    Parameters
    ----------
    name : str
        The file's name.
    level : {"sample", "event"}
    requires : Capability
        What a feed must offer; elsewhere the columns are null.
    state : numpy.dtype
        Memory per instrument.
    columns : tuple of Column
    update : callable
        The plain function that is compiled.
    prepare : callable, optional
        ``prepare(record, instrument, settings)`` fills an instrument's first state.
    settings : mapping
        Names and defaults of what may be configured.
    doc : str
        The file's docstring.
    """

    name: str
    level: Literal["sample", "event"]
    requires: Capability
    state: np.dtype[Any]
    columns: tuple[Column, ...]
    update: Callable[..., Any]
    prepare: Callable[[Any, Instrument, Mapping[str, float]], None] | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    doc: str = ""

    @classmethod
    def of(cls, module: ModuleType) -> Feature:
        """Read a feature file's exports."""
        return cls(
            name=module.__name__.rpartition(".")[2],
            level=getattr(module, "LEVEL", "sample"),
            requires=module.REQUIRES,
            state=getattr(module, "STATE", np.dtype([("none", "i8")])),
            columns=module.OUT,
            update=module.update,
            prepare=getattr(module, "prepare", None),
            settings=getattr(module, "SETTINGS", {}),
            doc=module.__doc__ or "",
        )


@njit
def frame_of(ctx: Any) -> Any:
    """Return the CONTEXT record of this call."""
    return carray(ctx, 1, CONTEXT)[0]


@njit
def sample_rows(ctx: Any) -> Any:
    """Return the SAMPLE rows of this call."""
    return carray(pointer(frame_of(ctx).samples), frame_of(ctx).n_samples, SAMPLE)


@njit
def twin_of(ctx: Any, rows: Any, j: int) -> Any:
    """Row before `j` whose book (levels, sizes, depths) is the same, `j` itself where none is at hand.

    Most rows of a fine grid see no change: what is a function of the book alone can be copied.
    """
    k = rows[j].twin - frame_of(ctx).done
    return k if k >= 0 else np.int64(j)


@njit
def trace_rows(ctx: Any) -> Any:
    """Return the TRACE rows of this call."""
    return carray(pointer(frame_of(ctx).trace), frame_of(ctx).n_events, TRACE)


@njit
def event_rows(ctx: Any) -> Any:
    """Return the EVENT records the TRACE rows belong to, index by index."""
    return carray(pointer(frame_of(ctx).events), frame_of(ctx).n_events, EVENT)


@njit
def infos(ctx: Any) -> Any:
    """Return the INFO record of every instrument: tick and size scale."""
    return carray(pointer(frame_of(ctx).info), frame_of(ctx).n_slots, INFO)


@njit
def column(ctx: Any, out: Any, k: int) -> Any:
    """Return output column `k`, one value per SAMPLE row."""
    return carray(out, (k + 1) * frame_of(ctx).stride)[
        k * frame_of(ctx).stride : k * frame_of(ctx).stride + frame_of(ctx).n_samples
    ]


@njit
def as_price(fixed: Int) -> float:
    """Price of a 1e-9 integer, NaN when undefined."""
    return NAN if fixed == UNDEF else fixed / 1e9


@njit
def as_size(lots: Any, info: Any) -> Any:
    """Public size of a number of lots."""
    return lots * info.size_mul / info.size_div


@njit
def first_row(ctx: Any, rows: Any) -> int:
    """First SAMPLE row an event-level function still has to write (see `start`)."""
    j = 0
    if frame_of(ctx).resumed:
        while j < frame_of(ctx).n_samples and rows[j].at <= frame_of(ctx).start:
            j += 1
    return j


@njit
def window_edge(ctx: Any, ts: Int, window: Int) -> Int:
    """Oldest time inside a window that ends at row time `ts`.

    A grid row covers [ts - window, ts); a row by event covers (ts - window, ts].
    """
    return ts - window + frame_of(ctx).by_event


@njit
def ring_rows(ctx: Any) -> Any:
    """Return the shared (time, value) memory of all rings."""
    return carray(pointer(frame_of(ctx).rings), (frame_of(ctx).ring_rows, 2), np.int64)


@njit
def ring_full(ring: Any) -> Any:
    """Whether a push needs room first."""
    return ring.head - ring.tail >= ring.cap


@njit
def ring_push(memory: Any, ring: Any, ts: Int, value: Int) -> None:
    """Append (time, value)."""
    row = ring.first + (ring.head & (ring.cap - 1))
    memory[row, 0] = ts
    memory[row, 1] = value
    ring.head += 1


@njit
def ring_row(ring: Any, k: Int) -> Int:
    """Memory row of entry number `k`."""
    return ring.first + (k & (ring.cap - 1))
