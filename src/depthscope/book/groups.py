"""Groups: interleaved ones put in order (each contiguous, at the place of its LAST), open ones kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from depthscope.errors import InputError
from depthscope.jit import Int, direct, kernel
from depthscope.market.events import EVENT, LAST, Events, empty_events

if TYPE_CHECKING:
    from collections.abc import Iterator

# numpy copies records field by field, and takes microseconds to find out how; as bytes they are moved.
RAW: Final = np.dtype((np.void, EVENT.itemsize))
SHORT_RUN: Final = 256  # records that may be copied behind an open group to close it
LONGEST_GROUP: Final = 1 << 22


@kernel(types.int64(numba.from_dtype(EVENT)[::1], types.int64[::1], types.int64[::1]))
def _order(events: Any, order: Any, next_of: Any) -> Int:
    """Write the indices of complete groups in order, then of the rest; returns the number complete."""
    n = len(events)
    # Open groups: key, first and last record, chained through next_of.
    room = 16
    keys = np.empty(room, np.int64)
    heads = np.empty(room, np.int64)
    tails = np.empty(room, np.int64)
    used = 0
    done = 0
    for j in range(n):
        key = (np.int64(events[j].publisher) << 32) | np.int64(events[j].instrument_id)
        k = 0
        while k < used and keys[k] != key:
            k += 1
        next_of[j] = -1
        if k == used:
            if used == room:
                bigger = np.empty((3, 2 * room), np.int64)
                bigger[0, :room], bigger[1, :room], bigger[2, :room] = keys, heads, tails
                keys, heads, tails = bigger[0], bigger[1], bigger[2]
                room *= 2
            keys[k], heads[k], tails[k] = key, j, j
            used += 1
        else:
            next_of[tails[k]] = j
            tails[k] = j
        if events[j].flags & LAST:
            i = heads[k]
            while i >= 0:
                order[done] = i
                done += 1
                i = next_of[i]
            used -= 1
            keys[k], heads[k], tails[k] = keys[used], heads[used], tails[used]
    # What is left keeps its original order.
    open_record = np.zeros(n, np.bool_)
    for k in range(used):
        i = heads[k]
        while i >= 0:
            open_record[i] = True
            i = next_of[i]
    at = done
    for j in range(n):
        if open_record[j]:
            order[at] = j
            at += 1
    return done


def regroup(events: Events) -> tuple[Events, Events]:
    """Order records by the LAST of their group.

    Parameters
    ----------
    events : structured array (n,) of EVENT
        Records of any instruments, interleaved or not.

    Returns
    -------
    complete, rest : structured arrays
        Whole contiguous groups in the order of their LAST records, and the records of groups
        that have not ended, in their original order.
    """
    contiguous: npt.NDArray[Any] = np.ascontiguousarray(events)
    order = np.empty(len(contiguous), np.int64)
    done = int(direct(_order)(contiguous, order, np.empty(len(contiguous), np.int64)))
    ordered: Events = contiguous.view(RAW)[order].view(EVENT)
    return ordered[:done], ordered[done:]


class OpenGroups:
    """Records of groups whose LAST has not arrived.

    Attributes
    ----------
    n : int
        How many.
    """

    def __init__(self, kept: Events | None = None) -> None:
        self._held = empty_events(0) if kept is None else kept
        self.n = len(self._held)

    @property
    def held(self) -> Events:
        """The records, in order of arrival."""
        return self._held[: self.n]

    def keep(self, events: Events) -> None:
        """Hold records of groups that are not complete yet.

        Raises
        ------
        InputError
            When so many have come without LAST that the feed cannot have groups.
        """
        n = self.n + len(events)
        if n > LONGEST_GROUP:
            raise InputError(
                f"{n} records arrived without one marked LAST: this feed does not say where its groups end, "
                "so its book cannot be read. Check the decoder, or the file's flags with `depthscope info`."
            )
        if n > len(self._held):
            grown = empty_events(max(64, 2 * n))
            grown.view(RAW)[: self.n] = self.held.view(RAW)
            self._held = grown
        self._held.view(RAW)[self.n : n] = events.view(RAW)
        self.n = n

    def settle(self, events: Events) -> Events:
        """Order `events`, which stand for everything held; returns whole groups, keeps the rest."""
        ordered, rest = regroup(events)
        self._held, self.n = rest, len(rest)
        return ordered

    def closed_by(self, events: Events) -> Events | None:
        """Everything held with a few records behind it that may close it (valid until the next call).

        Nothing when a single record does not, which is then held too; None when more must be looked at.
        """
        if not events["flags"][-1] & LAST:
            if len(events) > 1:
                return None
            self.keep(events)
            return events[:0]
        if len(events) > SHORT_RUN:
            return None
        self.keep(events)
        whole, self.n = self.held, 0
        return whole

    def complete(self, events: Events) -> Iterator[Events]:
        """Put `events` after the records held, copying no more than needed.

        A piece must have been worked off (what it leaves open settled) before the next is asked for.
        """
        first = 0
        if self.n:
            for look in (SHORT_RUN, len(events)):  # usually the first few records hold one
                lasts = np.flatnonzero(events["flags"][:look] & LAST)
                if len(lasts):
                    break
            else:
                self.keep(events)
                return
            # Usually the first LAST closes what was open, and the rest can be read in place.
            first = int(lasts[0]) + 1
            self.keep(events[:first])
            whole, self.n = self.held, 0
            yield whole
            if self.n:
                self.keep(events[first:])
                ordered = self.settle(self.held)
                if len(ordered):
                    yield ordered
                return
        if first < len(events):
            yield np.ascontiguousarray(events[first:])
