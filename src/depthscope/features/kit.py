"""What a feature file is written with.

A feature is one plain function ``update(ctx, n, state, out) -> int`` compiled to a C callback:

* ``LEVEL = "sample"``: `n` SAMPLE rows, one value per row and column;
* ``LEVEL = "event"``: `n` TRACE rows, with the SAMPLE rows that fall between them. ``TRACED`` says
  which events it needs rows of (`TRACE_TRADES`, `TRACE_FLOW`, `TRACE_EVERY`). `walk` goes through them.
  Who asks for additions, cancels or modifications of orders, for levels or for all groups sees every row
  there is; for others `n` is how many rows of the block they asked for, and `picked_rows` has their numbers.
  With ``WINDOWS``, the lengths its sums go back over, it also works from SAMPLE rows alone: it is
  then run so where each window is a whole number of grid steps, as a row's flow is enough. With
  ``GROUP_ROWS = True`` it is run from rows alone by event too, where there is one after each group.

It returns `n` when it is done, or the index it wants to be resumed at after the engine has
given it the room it missed (`missing_ring`). `state` is its own `STATE` record per instrument, kept by the
engine (so a snapshot is a copy); it must keep nothing anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from depthscope.book.primitives import natural, nearest_integer
from depthscope.jit import Int, carray, hot, njit, pointer
from depthscope.market.events import COND_NOT_VOLUME, EVENT, TRADE, UNDEF_PRICE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import SAMPLE, TRACE, TRACE_EVERY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from depthscope.market.instruments import Instrument

NAN: Final = float("nan")
UNDEF: Final = UNDEF_PRICE
SECOND: Final = 1_000_000_000

CONTEXT: Final = np.dtype(
    [
        ("events", "i8"),  # address of the chunk's EVENT records
        ("trace", "i8"),
        ("n_events", "i8"),
        ("n_trace", "i8"),
        ("picks", "i8"),  # address of the PICK records
        ("n_picks", "i8"),
        ("samples", "i8"),
        ("n_samples", "i8"),
        ("done", "i8"),  # rows of the sample buffer before these
        ("start", "i8"),  # where to begin
        ("picked", "i8"),  # address of the numbers of the TRACE rows to look at, 0 for all of them
        ("row", "i8"),  # SAMPLE row to begin with
        ("stride", "i8"),  # rows between columns of `out`
        ("columns", "i8"),  # address of these rows in the engine's first column
        ("info", "i8"),  # address of the INFO records
        ("n_slots", "i8"),
        ("by_event", "i8"),  # 1: a row includes its own time; 0: a boundary excludes it
        ("by_row", "i8"),  # 1: `n` SAMPLE rows and no TRACE rows
        ("rings", "i8"),
        ("ring_rows", "i8"),
        ("need_slot", "i8"),  # instrument whose ring is full, NO_ROOM (for messages) or NO_NEED
        ("need_ring", "i8"),  # which of the RINGs of its STATE, or NO_HOURS
        ("need_ts", "i8"),  # the moment its timetable does not reach
        # What detectors say (`detectors.kit`).
        ("found", "i8"),
        ("n_found", "i8"),
        ("found_room", "i8"),
        ("detector", "i8"),
        ("block", "i8"),
    ]
)

# Lists of the block's TRACE rows that match a mask. The first is of all, and has no addresses.
PICK: Final = np.dtype([("mask", "i8"), ("rows", "i8"), ("n", "i8")])

NO_NEED: Final = -1
NO_ROOM: Final = -2
NO_HOURS: Final = -1

INFO: Final = np.dtype(
    [
        ("tick", "f8"),
        ("size_mul", "f8"),
        ("size_div", "f8"),
        ("tick_fixed", "i8"),
        ("per_tick", "f8"),  # 1 / tick_fixed
        ("started", "i8"),
        # Its timetable (`clock`): STRETCH records, none before a kernel asks.
        ("hours", "i8"),
        ("n_hours", "i8"),
        ("utc_phase", "i8"),  # phase of its every moment where sessions are UTC days, else -1
    ]
)

RING: Final = np.dtype([("first", "i8"), ("cap", "i8"), ("head", "i8"), ("tail", "i8")])

# Each entry of a ring has a time and so many more numbers. Running totals serve any number of
# windows: a sum is the total less the one before the window's first entry.
RING_COLUMNS: Final = 8

SIGNATURE: Final = "int64(voidptr, int64, voidptr, CPointer(float64))"


class Fitted:
    """Base of what is fitted on data and given to a run as a setting."""

    __slots__ = ()


Setting = float | str | Fitted
"""What the value of a setting may be."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A feature or detector as the engine sees it: a file's exports.

    Parameters
    ----------
    name : str
        The file's name.
    level : {"sample", "event"}
    requires : Capability
        What a feed must offer; elsewhere columns are null and nothing is detected.
    traced : int
        Which events one of level event needs TRACE rows of (see `layouts`).
    windows : tuple of int
        Its windows in ns, when it can also work from SAMPLE rows alone.
    group_rows : bool
        Whether rows by event are enough too.
    state : numpy.dtype
        Memory per instrument.
    columns : tuple of Column
        A detector has none.
    number : int
        A detector's, 0 for a feature.
    on_inferred : bool
        Whether aggressors that are inferred will do where it requires them.
    update : callable
        The plain function that is compiled.
    prepare : callable, optional
        ``prepare(record, instrument, settings)`` fills an instrument's first state.
    settings : mapping
        Names and defaults of what may be configured: a number; the words to choose from, the default first;
        or a subclass of `Fitted`, of which there is none by default. `prepare` gets the number, the place of
        the chosen word, or what was fitted (None).
    doc : str
        The file's docstring.
    """

    name: str
    level: Literal["sample", "event"]
    requires: Capability
    traced: int
    windows: tuple[int, ...] = ()
    group_rows: bool = False
    state: np.dtype[Any]
    columns: tuple[Column, ...] = ()
    number: int = 0
    on_inferred: bool = False
    update: Callable[..., Any]
    prepare: Callable[[Any, Instrument, Mapping[str, float]], None] | None = None
    settings: Mapping[str, float | tuple[str, ...] | type[Fitted]] = field(default_factory=dict)
    doc: str = ""

    def able(self, instrument: Instrument) -> bool:
        """Whether an instrument's feed tells all it needs, or lets it be inferred."""
        return instrument.capabilities.covers(self.requires) or self.infers(instrument)

    def infers(self, instrument: Instrument) -> bool:
        """Whether it works there with aggressors that are inferred."""
        enough = (instrument.capabilities | Capability.AGGRESSOR).covers(self.requires)
        return self.on_inferred and instrument.infers and enough


def exports_of(module: ModuleType) -> dict[str, Any]:
    """What feature and detector files export alike, as arguments of a `Component`."""
    level = getattr(module, "LEVEL", "sample")
    return {
        "name": module.__name__.rpartition(".")[2],
        "level": level,
        "requires": module.REQUIRES,
        "traced": getattr(module, "TRACED", TRACE_EVERY) if level == "event" else 0,
        "windows": getattr(module, "WINDOWS", ()),
        "group_rows": getattr(module, "GROUP_ROWS", False),
        "on_inferred": getattr(module, "ON_INFERRED", False),
        "state": getattr(module, "STATE", np.dtype([("none", "i8")])),
        "update": module.update,
        "prepare": getattr(module, "prepare", None),
        "settings": getattr(module, "SETTINGS", {}),
        "doc": module.__doc__ or "",
    }


class Feature(Component):
    """A component with columns."""

    __slots__ = ()

    @classmethod
    def of(cls, module: ModuleType) -> Feature:
        """Read a feature file's exports."""
        return cls(**exports_of(module), columns=module.OUT)


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
    return carray(pointer(frame_of(ctx).trace), frame_of(ctx).n_trace, TRACE)


@njit
def picked_rows(ctx: Any, n: int) -> Any:
    """Return the numbers of the `n` TRACE rows to look at, where they are not all."""
    return carray(pointer(frame_of(ctx).picked), n, np.int32)


@njit
def event_rows(ctx: Any) -> Any:
    """Return the chunk's EVENT records: that of a TRACE row is number ``row.event``."""
    return carray(pointer(frame_of(ctx).events), frame_of(ctx).n_events, EVENT)


@njit
def counted(ctx: Any, t: Any) -> Any:
    """Whether TRACE row `t` is a trade that counts for volume."""
    return t.action == TRADE and not event_rows(ctx)[natural(t.event)].cond & COND_NOT_VOLUME


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
def columns_of(ctx: Any) -> Any:
    """Return the engine's columns, row `j` of column `c` at ``c * stride + j`` (its length says nothing).

    Those of components before the caller are written.
    """
    return carray(pointer(frame_of(ctx).columns), frame_of(ctx).stride, np.float64)


@njit
def put(ctx: Any, out: Any, k: int, j: int, value: float) -> None:
    """Write row `j` of output column `k`."""
    stride = frame_of(ctx).stride
    carray(out, (k + 1) * stride)[k * stride + j] = value


@hot
def walk(ctx: Any, n: int, states: Any, out: Any, take: Any, look: Any) -> int:
    """Go through TRACE and SAMPLE rows in the order of time: what `update` of level event returns.

    Each of `n` TRACE rows is given to ``take(ctx, states, t, k, j)``, row `t` with its number `k`, and each
    SAMPLE row `j` to ``look(ctx, states, j, out)`` once all TRACE rows before it are. Either returns
    False when it must wait for room, having changed nothing, and is called again when there is. From
    SAMPLE rows alone (``by_row``) there are no TRACE rows, and `look` takes the row's own flow first.
    """
    rows, trace = sample_rows(ctx), trace_rows(ctx)
    samples, by_row, many = frame_of(ctx).n_samples, frame_of(ctx).by_row, frame_of(ctx).n_trace
    picked, whole = picked_rows(ctx, n), frame_of(ctx).picked == 0
    j = int(frame_of(ctx).row)
    p = int(frame_of(ctx).start)
    while True:
        stop = np.int64(0) if by_row else rows[j].at if j < samples else many
        while p < n:
            k = np.int64(p) if whole else np.int64(picked[natural(p)])
            if k >= stop:
                break
            if not take(ctx, states, trace[natural(k)], k, j):
                return p
            p += 1
        if j == samples:
            return n
        if not look(ctx, states, j, out):
            return p
        j += 1


@njit
def tick_below(price: Int, info: Any) -> Int:
    """Number of ticks of a price, rounded down: `price // tick` without the division."""
    ticks = nearest_integer(price * info.per_tick)
    return ticks if 0 <= price - ticks * info.tick_fixed < info.tick_fixed else price // info.tick_fixed


@njit
def as_price(fixed: Int) -> float:
    """Price of a 1e-9 integer, NaN when undefined."""
    return NAN if fixed == UNDEF else fixed / 1e9


@njit
def as_size(lots: Any, info: Any) -> Any:
    """Public size of a number of lots."""
    return lots * info.size_mul / info.size_div


@njit
def missing_ring(ctx: Any, slot: Int, ring: int, j: int) -> None:
    """Note that an instrument's ring is full, and which SAMPLE row is next; the caller returns."""
    frame = frame_of(ctx)
    frame.need_slot = slot
    frame.need_ring = ring
    frame.row = j


@njit
def missing_hours(ctx: Any, slot: Int, ts: Int, j: int) -> None:
    """Note that an instrument's timetable does not reach a moment, as `missing_ring` does of a ring."""
    missing_ring(ctx, slot, NO_HOURS, j)
    frame_of(ctx).need_ts = ts


@njit
def window_edge(ctx: Any, ts: Int, window: Int) -> Int:
    """Oldest time inside a window that ends at row time `ts`.

    A grid row covers [ts - window, ts); a row by event covers (ts - window, ts].
    """
    return ts - window + frame_of(ctx).by_event


@njit
def ring_rows(ctx: Any) -> Any:
    """Return the shared memory of all rings, RING_COLUMNS numbers an entry."""
    return carray(pointer(frame_of(ctx).rings), (frame_of(ctx).ring_rows, RING_COLUMNS), np.int64)


@njit
def ring_full(ring: Any) -> Any:
    """Whether a push needs room first."""
    return ring.head - ring.tail >= ring.cap


@njit
def ring_push(memory: Any, ring: Any, ts: Int) -> Int:
    """Append an entry with its time; returns its memory row, whose other columns are the caller's."""
    row = natural(ring.first + (ring.head & (ring.cap - 1)))
    memory[row, 0] = ts
    ring.head += 1
    return row


@njit
def ring_row(ring: Any, k: Int) -> Int:
    """Memory row of entry number `k`."""
    return natural(ring.first + (k & (ring.cap - 1)))


@njit
def expire(memory: Any, ring: Any, tail: Int, edge: Int) -> Int:
    """First entry from number `tail` on that is not older than `edge`."""
    while tail < ring.head and memory[ring_row(ring, tail), 0] < edge:
        tail += 1
    return tail


@njit
def total_before(memory: Any, ring: Any, tail: Int, k: Int) -> Int:
    """Running total in column `k` before entry number `tail`, which the ring must still hold."""
    return memory[ring_row(ring, tail - 1), k] if tail > 0 else np.int64(0)
