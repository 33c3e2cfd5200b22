"""Session phases: what part of which trading day a moment belongs to.

A :class:`Timetable` is computed ahead, once for a calendar and a span of time, and is nothing but sorted
integers; from then on a phase is one binary search, the same in every process. Compiled loops take the
arrays and :mod:`depthscope.market.lookup`, people take :meth:`Timetable.at`:

>>> from depthscope.market.times import parse_time
>>> moment = parse_time("2023-11-24T17:45:00")
>>> session = timetable("NYSE", moment, moment + 1).at(moment)
>>> session.phase.name, session.date.isoformat(), session.minute  # a half day: the close is at 13:00
('CLOSE', '2023-11-24', 525)

Phases, calendars and what is not known: ``docs/SESSIONS.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import InputError
from depthscope.market.calendars import find_calendar
from depthscope.market.hours import DAY_NS, date_of, day_of, trade_days, trading_hours
from depthscope.market.instruments import futures_root
from depthscope.market.phases import (
    NO_DATE,
    NO_TIME,
    Phase,
    Piece,
    always,
    between,
    equities,
    globex,
    regular,
    unknown,
)
from depthscope.market.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from depthscope.market.calendars import Calendar
    from depthscope.market.hours import Hours
    from depthscope.market.instruments import Instrument

__all__ = ["NO_DATE", "NO_TIME", "Phase", "Session", "Timetable", "calendar_of", "timetable"]

# Days asked for beyond a span on either side: more than the longest closure (six days, September 2001),
# so that the pieces around the span do not depend on where it was cut.
_MARGIN: Final = 15
_MINUTE: Final = 60_000_000_000
# Where dates, nanoseconds and the margin still fit: 1678 to 2261.
_FIRST_DAY: Final = -106_500
_LAST_DAY: Final = 106_500


@dataclass(frozen=True, slots=True)
class Session:
    """Where a moment stands. Times are UTC nanoseconds.

    Attributes
    ----------
    calendar : str
        Which calendar says so.
    phase : Phase
        Part of the day; ``UNKNOWN`` where the calendar does not know.
    phase_start, phase_end : int
        First moment of this phase, and the first moment after it.
    date : date or None
        The session: trading day in New York, trade date of CME, UTC day. None while closed between sessions.
    open, close : int or None
        Of the session: the regular session of equities, first open and last close of a future's trade
        date, midnights of a market that never closes.
    anchor : int or None
        Moment from which totals of the session count.
    since_start : int or None
        Nanoseconds since the day's clock began: 04:00 New York for equities, the open of a future
        (17:00 Chicago), midnight UTC.
    """

    calendar: str
    phase: Phase
    phase_start: int
    phase_end: int
    date: date | None
    open: int | None
    close: int | None
    anchor: int | None
    since_start: int | None

    @property
    def seconds(self) -> float | None:
        """Seconds since the day's clock began."""
        return None if self.since_start is None else self.since_start / 1e9

    @property
    def minute(self) -> int | None:
        """Whole minutes since the day's clock began: the key under which days compare (relative volume).

        No session spans a change of clocks, so one key is one local time of day all year round.
        """
        return None if self.since_start is None else self.since_start // _MINUTE


@dataclass(frozen=True, slots=True, eq=False)
class Timetable:
    """Phases of one calendar for a span of time: N stretches without gap or overlap.

    The arrays are read-only. Stretch `i` holds the moments from ``starts[i]`` up to the next start (`end`
    for the last).

    Attributes
    ----------
    calendar : str
        Its name.
    starts : array of int64, shape (N,)
        UTC ns, strictly ascending; the first may lie before the span asked for.
    end : int
        First moment that is not covered, UTC ns.
    phases : array of uint8, shape (N,)
        Codes of :class:`Phase`.
    dates : array of int32, shape (N,)
        Session, in days since 1970-01-01; `NO_DATE` while closed between sessions.
    anchors, origins, opens, closes : array of int64, shape (N,)
        Of the session, UTC ns (see :class:`Session`; the day's clock begins at `origins`); `NO_TIME`
        where `dates` is `NO_DATE`. Totals begin anew where an anchor other than `NO_TIME` differs from the
        last one.
    """

    calendar: str
    starts: Any
    end: int
    phases: Any
    dates: Any
    anchors: Any
    origins: Any
    opens: Any
    closes: Any

    def __len__(self) -> int:
        return len(self.starts)

    def locate(self, times: Any) -> Any:
        """Index of the stretch each moment lies in.

        Parameters
        ----------
        times : int or array of int64
            UTC ns.

        Returns
        -------
        int64 or array of int64
            -1 where the timetable does not reach.
        """
        times = np.asarray(times, np.int64)
        found = np.searchsorted(self.starts, times, "right") - 1
        return np.where(times < self.end, found, -1)

    def at(self, ts: int) -> Session:
        """Where one moment stands.

        Parameters
        ----------
        ts : int
            UTC ns.

        Returns
        -------
        Session

        Raises
        ------
        InputError
            When the timetable does not reach that far.
        """
        i = int(self.locate(ts))
        if i < 0:
            raise InputError(
                f"{format_time(ts)} lies outside this timetable of {self.calendar}, which reaches from "
                f"{format_time(int(self.starts[0]))} to {format_time(self.end)}. Ask for a longer one."
            )
        start = int(self.starts[i])
        end = int(self.starts[i + 1]) if i + 1 < len(self) else self.end
        phase, day = Phase(self.phases[i]), int(self.dates[i])
        if day == NO_DATE and phase is Phase.CLOSED:
            return Session(self.calendar, phase, start, end, None, None, None, None, None)
        return Session(
            self.calendar, phase, start, end, date_of(day), int(self.opens[i]), int(self.closes[i]),
            int(self.anchors[i]), ts - int(self.origins[i]),
        )  # fmt: skip


def calendar_of(instrument: Instrument, overrides: Mapping[str, str] | None = None) -> str:
    """Name of the calendar an instrument follows.

    Parameters
    ----------
    instrument : Instrument
        Its own `calendar` holds unless overridden.
    overrides : mapping of str to str, optional
        By ``venue/symbol``, ``venue/root``, venue, or the venue's first part, in that order (what
        :func:`depthscope.market.calendars.parse_calendars` reads).
    """
    venue, symbol = instrument.venue, instrument.symbol
    for key in (f"{venue}/{symbol}", f"{venue}/{futures_root(symbol)}", venue, venue.split(".", 1)[0]):
        if overrides and key in overrides:
            return overrides[key]
    return instrument.calendar


def timetable(calendar: str, start: int, end: int) -> Timetable:
    """Phases of a calendar from `start` up to `end`.

    Costs a few milliseconds the first time, nothing for the same days again; for a year that was never
    asked for on this machine about a second more. Two timetables agree wherever both reach.

    Parameters
    ----------
    calendar : str
        A name in :data:`depthscope.market.calendars.CALENDARS`. ``unknown`` is counted in UTC days whose
        phase is UNKNOWN, as is what lies outside the years a calendar is known for.
    start, end : int
        UTC ns; `end` is excluded.

    Returns
    -------
    Timetable
        It covers the span; its first and last stretch are whole.

    Raises
    ------
    UnknownName
        When there is no such calendar.
    InputError
        When the span is empty or lies outside the years 1679 to 2261.
    """
    found = find_calendar(calendar)
    first, last = start // DAY_NS, (end - 1) // DAY_NS
    if not (end > start and first >= _FIRST_DAY and last <= _LAST_DAY):
        raise InputError(
            f"No timetable from {start} to {end}: the end must be after the start, and both must be UTC "
            "nanoseconds of the years 1679 to 2261."
        )
    whole = _build(found, first - _MARGIN, last + _MARGIN)
    i = int(whole.locate(start))
    j = int(np.searchsorted(whole.starts, end, "left"))
    return Timetable(
        found.name,
        whole.starts[i:j],
        int(whole.starts[j]),
        *(
            column[i:j]
            for column in (
                whole.phases, whole.dates, whole.anchors, whole.origins, whole.opens, whole.closes,
            )
        ),
    )  # fmt: skip


@lru_cache(maxsize=64)
def _build(calendar: Calendar, first: int, last: int) -> Timetable:
    """Everything from one UTC day to another; what stands at the two ends may be cut short."""
    pieces = list(_filled(_known(calendar, first, last)))
    columns = list(zip(*pieces, strict=True))

    def array(column: Iterable[int], kind: type) -> Any:
        made: Any = np.array(column, kind)
        made.flags.writeable = False
        return made

    starts, ends, phases, days, *times = columns
    return Timetable(
        calendar.name,
        array(starts, np.int64),
        ends[-1],
        array(phases, np.uint8),
        array(days, np.int32),
        *(array(column, np.int64) for column in times),
    )


def _known(calendar: Calendar, first: int, last: int) -> Iterator[Piece]:
    """Pieces in order of time; between them it is closed."""
    start, end = first * DAY_NS, (last + 1) * DAY_NS
    if calendar.family == "always":
        yield from always(start, end)
        return
    if calendar.family == "unknown":
        yield from unknown(start, end)
        return
    known_from, known_until = day_of(calendar.first), day_of(calendar.last) + 1
    begin, stop = known_from * DAY_NS, known_until * DAY_NS
    yield from unknown(start, min(end, begin))
    asked = max(first, known_from - _MARGIN), min(last, known_until + _MARGIN)
    if asked[0] <= asked[1]:
        for piece in _open(calendar, *asked):
            if begin <= piece.start and piece.end <= stop:  # none straddles, see Calendar
                yield piece
    yield from unknown(max(start, stop), end)


def _open(calendar: Calendar, first: int, last: int) -> Iterator[Piece]:
    """What the library's hours make, in order of time."""
    hours = trading_hours(calendar, first, last)
    if calendar.family == "equities":
        yield from equities(hours)
        return
    cash: dict[int, Hours] = {h.day: h for h in trading_hours(find_calendar("NYSE"), first, last)}
    days = trade_days(first, last)
    if not calendar.regular_only:
        yield from globex(hours, cash, days)
        return
    legs, open_questions = regular(hours, first, last)
    yield from sorted(
        [*globex(legs, cash, days), *(piece for span in open_questions for piece in unknown(*span))]
    )


def _filled(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Put the closed stretches in."""
    piece: Piece | None = None
    for before, piece in pairwise(pieces):
        yield before
        if before.end < piece.start:
            yield between(before, piece)
    if piece is not None:
        yield piece
