"""The features and detectors of one engine: compiled functions, state of every instrument, memory."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope import jit
from depthscope.errors import InputError, UnknownName
from depthscope.features.clock import covered, utc_phase
from depthscope.features.driver import TABLE, TRACE_ROWS
from depthscope.features.kit import CONTEXT, INFO, NO_HOURS, NO_ROOM, PICK, RING, RING_COLUMNS, SIGNATURE
from depthscope.market.layouts import DETECTION, TRACE_GROUPS, trace_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from depthscope.features.kit import Component, Setting
    from depthscope.market.instruments import Instrument

__all__ = ["Components", "compiled"]

OFTEN: Final = TRACE_GROUPS | trace_mask("ACML")  # who asks for these looks at all rows: few are spared
RESERVE: Final = 32_768  # entries; instruments of the synthetic market at twice its pace come to 18,000 each


@cache
def compiled(update: Callable[..., Any]) -> Any:
    """Compiled form of a component's function."""
    has_columns = "OUT" in update.__globals__  # a feature: what detectors cost lies elsewhere
    return jit.compile_cfunc(update, SIGNATURE, hard=has_columns)


def settled(members: Iterable[Component], given: Mapping[str, Setting]) -> dict[str, Any]:
    """Value of every setting, as `prepare` gets it.

    Raises
    ------
    UnknownName
        When a given setting belongs to nothing here.
    InputError
        When it is not of the wanted kind, or not one of the words.
    """
    defaults = {name: default for f in members for name, default in f.settings.items()}
    for name in given:
        if name not in defaults:
            near = difflib.get_close_matches(name, sorted(defaults), n=3)
            raise UnknownName(
                f"Nothing has a setting called {name!r}."
                + (f" Did you mean {', '.join(near)}?" if near else "")
            )
    found: dict[str, Any] = {}
    for name, default in defaults.items():
        if isinstance(default, type):
            if not isinstance(given.get(name), default | None):
                raise InputError(f"The setting {name} is a fitted {default.__name__}, not {given[name]!r}.")
            found[name] = given.get(name)
            continue
        value = given.get(name, default[0] if isinstance(default, tuple) else default)
        if isinstance(default, tuple):
            if value not in default:
                raise InputError(f"The setting {name} is one of {', '.join(default)}, not {value!r}.")
            value = default.index(str(value))
        elif not isinstance(value, int | float):
            raise InputError(f"The setting {name} is a number, not {value!r}.")
        found[name] = float(value)
    return found


class Components:
    """Features, then detectors: what the driver walks over."""

    def __init__(
        self,
        members: tuple[Component, ...],
        every: int,
        settings: Mapping[str, Setting] | None = None,
    ) -> None:
        self.members = members
        self.columns = tuple(column for f in members for column in f.columns)
        self.settings = settled(members, settings or {})
        self.states: list[npt.NDArray[Any]] = [np.zeros(0, f.state) for f in members]
        self.info = np.zeros(0, INFO)
        self.calendars: list[str] = []  # of each instrument
        self.hours: dict[str, npt.NDArray[Any]] = {}  # calendar -> what INFO records point at
        self.rings = np.zeros((1024, RING_COLUMNS), np.int64)
        self.ring_used = 0
        self.free: dict[int, list[int]] = {}
        self.found = np.zeros(64, DETECTION)
        self.lacking = np.zeros((0, len(members)), bool)  # by instrument: what its feed cannot support
        self.lacked = np.zeros(0, np.int64)  # members that some instrument's feed cannot support
        self.frame = np.zeros(1, CONTEXT)
        self.frame["by_event"] = every == 0
        self.traced = 0  # which events need TRACE rows
        self.table = np.zeros(max(1, len(members)), TABLE)
        masks: list[int] = []  # that TRACE rows are listed by
        first = 0
        for row, f in zip(self.table, members, strict=False):
            row["address"] = compiled(f.update).address
            row["column"] = first
            row["detector"] = f.number
            by_row = f.level == "sample" or (
                not any(w % every for w in f.windows) and bool(f.windows) if every else f.group_rows
            )
            row["by_event"] = not by_row
            first += len(f.columns)
            if by_row:
                continue
            self.traced |= f.traced
            if not f.traced & OFTEN:
                masks += [] if f.traced in masks else [f.traced]
                row["pick"] = 1 + masks.index(f.traced)
        self.picks = np.zeros(1 + len(masks), PICK)
        self.picks["mask"][1:] = masks
        self.picked = np.zeros((len(masks), TRACE_ROWS), np.int32)
        self.bind()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all, in order."""
        return tuple(f.name for f in self.members)

    def bind(self) -> None:
        """Write the addresses of states, rings and instrument facts where kernels look."""
        for row, state in zip(self.table, self.states, strict=False):
            row["state"] = state.ctypes.data
        frame = self.frame[0]
        frame["info"], frame["n_slots"] = self.info.ctypes.data, len(self.info)
        self.picks["rows"][1:] = [line.ctypes.data for line in self.picked]
        frame["picks"], frame["n_picks"] = self.picks.ctypes.data, len(self.picks)
        self._bind_rings()
        self._bind_found()

    def _bind_rings(self) -> None:
        frame = self.frame[0]
        frame["rings"], frame["ring_rows"] = self.rings.ctypes.data, len(self.rings)

    def _bind_found(self) -> None:
        frame = self.frame[0]
        frame["found"], frame["found_room"] = self.found.ctypes.data, len(self.found)

    def add(self, instrument: Instrument) -> None:
        """Make room for one more instrument."""
        slot = len(self.info)
        info = np.zeros(1, INFO)
        info["tick"], info["tick_fixed"] = instrument.tick / 1e9, instrument.tick
        info["per_tick"] = 1.0 / instrument.tick
        info["size_mul"], info["size_div"] = instrument.size_ratio
        info["utc_phase"] = utc_phase(instrument.calendar)
        self.info = np.concatenate([self.info, info])
        self.calendars.append(instrument.calendar)
        if instrument.calendar in self.hours:
            self.point(slot)
        able = [f.able(instrument) for f in self.members]
        self.lacking = np.concatenate([self.lacking, ~np.array([able], bool).reshape(1, -1)])
        self.lacked = np.flatnonzero(self.lacking.any(axis=0))
        for k, f in enumerate(self.members):
            if slot == len(self.states[k]):  # twice as long, as some records are kilobytes
                grown = np.zeros(max(1, 2 * slot), f.state)
                grown[:slot] = self.states[k]
                self.states[k] = grown
            if f.prepare is not None:
                f.prepare(self.states[k][slot], instrument, self.settings)
        self.bind()

    def unavailable(self, slot: int) -> tuple[str, ...]:
        """Names of what an instrument's feed cannot support."""
        return tuple(f.name for f, lacks in zip(self.members, self.lacking[slot], strict=True) if lacks)

    def blank(self, values: npt.NDArray[np.float64], slots: npt.NDArray[Any]) -> None:
        """Put NaN where the feed of a row's instrument cannot support a column's feature."""
        for k in self.lacked:
            first, n = int(self.table[k]["column"]), len(self.members[k].columns)
            values[first : first + n, self.lacking[slots, k]] = np.nan

    def serve(self, component: int) -> None:
        """Make the room a component stopped for."""
        slot, ring = int(self.frame[0]["need_slot"]), int(self.frame[0]["need_ring"])
        if slot == NO_ROOM:
            self.found = np.concatenate([self.found, np.zeros_like(self.found)])  # a block says little
            self._bind_found()
        elif ring == NO_HOURS:
            self.fetch_hours(slot, int(self.frame[0]["need_ts"]))
        else:
            self.grow_ring(component, slot, ring)

    def fetch_hours(self, slot: int, ts: int) -> None:
        """Get the timetable of an instrument's calendar around a moment; only now is a calendar read."""
        calendar = self.calendars[slot]
        self.hours[calendar] = covered(calendar, ts)
        for other, name in enumerate(self.calendars):
            if name == calendar:
                self.point(other)

    def point(self, slot: int) -> None:
        """Let an instrument's INFO record point at the timetable of its calendar."""
        hours = self.hours[self.calendars[slot]]
        self.info[slot]["hours"], self.info[slot]["n_hours"] = hours.ctypes.data, len(hours)

    def take_found(self) -> npt.NDArray[Any]:
        """DETECTION records since the last call, in order of time, of feeds that support them."""
        n = int(self.frame[0]["n_found"])
        self.frame[0]["n_found"] = 0
        found = self.found[:n]
        if n == 1 and not len(self.lacked):  # as nearly always where events come one by one
            found = found.copy()
            found["block"] = found["place"] = 0
            return found
        # Passes follow one another; within one, what detectors say comes detector by detector.
        found = found[np.lexsort((found["slot"], found["ts"], found["place"], found["block"]))]
        found["block"] = found["place"] = 0
        if len(self.lacked):
            member = {f.number: k for k, f in enumerate(self.members) if f.number}
            of = np.array([member[number] for number in found["detector"].tolist()], int)
            found = found[~self.lacking[found["slot"], of]]
        return found

    def grow_ring(self, component: int, slot: int, number: int = 0) -> None:
        """Double one of an instrument's rings of one component."""
        dtype = self.members[component].state
        names = [name for name in dtype.names or () if dtype[name] == RING]
        ring = self.states[component][slot][names[number]]
        first, cap, head, tail = (int(ring[name]) for name in ("first", "cap", "head", "tail"))
        new_cap = max(16, 2 * cap)
        spare = self.free.get(new_cap)
        if spare:
            new = spare.pop()
        else:
            new = self.ring_used
            self.ring_used += new_cap
            if self.ring_used > len(self.rings):
                self.lengthen(2 * self.ring_used)
        if cap:
            for turn in range(tail // cap * cap, head, cap):  # two at most, each in one piece
                begin, end = max(tail, turn), min(head, turn + cap)
                to, of, n = new + begin % new_cap, first + begin % cap, end - begin
                self.rings[to : to + n] = self.rings[of : of + n]
            self.free.setdefault(cap, []).append(first)
        ring["first"], ring["cap"] = new, new_cap

    def lengthen(self, entries: int) -> None:
        """Make the memory of rings longer, where it lies if the system can; what is new is written.

        Kernels alone look at it, by the address they are told here.
        """
        self.rings.resize((entries, RING_COLUMNS), refcheck=False)
        self._bind_rings()

    def reserve(self, instruments: int) -> None:
        """Have the system give the memory that rings of so many busy instruments come to need, now.

        Without it they take it when a window holds more than ever before, which a long run calls growth.
        """
        entries = instruments * RESERVE
        if entries > len(self.rings):
            self.lengthen(entries)

    def copy(self) -> Components:
        """Deep copy of the state (compiled functions are shared)."""
        twin = Components.__new__(Components)
        twin.members, twin.columns, twin.settings = self.members, self.columns, self.settings
        twin.traced = self.traced
        twin.states = [state.copy() for state in self.states]
        twin.info, twin.rings, twin.ring_used = self.info.copy(), self.rings.copy(), self.ring_used
        twin.calendars, twin.hours = list(self.calendars), dict(self.hours)  # timetables never change
        twin.free = {cap: list(firsts) for cap, firsts in self.free.items()}
        twin.found, twin.lacking, twin.lacked = self.found.copy(), self.lacking.copy(), self.lacked.copy()
        twin.picks, twin.picked = self.picks.copy(), self.picked.copy()
        twin.frame, twin.table = self.frame.copy(), self.table.copy()
        twin.bind()
        return twin
