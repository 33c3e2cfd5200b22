"""Trading calendars: which one an instrument follows, how far each is known, where its source errs.

The hours themselves come from pandas_market_calendars (:mod:`depthscope.market.hours`); here stands
what that library cannot say: which instrument follows what, the years its answers were checked for, and
the days on which it is wrong. ``docs/SESSIONS.md`` tells the same in prose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from depthscope.errors import InputError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ALWAYS_OPEN",
    "CALENDARS",
    "UNKNOWN_CALENDAR",
    "Calendar",
    "default_calendar",
    "find_calendar",
    "parse_calendars",
]

ALWAYS_OPEN: Final = "24/7"
UNKNOWN_CALENDAR: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Calendar:
    """One trading calendar.

    Attributes
    ----------
    name : str
        What :attr:`Instrument.calendar` says.
    family : str
        Which rules make phases of the hours: ``equities``, ``globex``, ``always``, ``unknown``.
    library : str
        Calendar of pandas_market_calendars that tells opens and closes; empty where none is needed.
    pauses : str
        Calendar of the same library that tells the pause inside a session; empty where there is none.
    first, last : date
        Whole UTC days between which (both included) the hours were checked. Outside, every phase is
        UNKNOWN. They begin and end while the market is closed, so that no session is cut.
    regular_only : bool
        Only regular days are known: where the equity-index calendar is irregular, this one is UNKNOWN.
    corrections : mapping of date to time or None
        Days on which the library is wrong: the true close by Chicago's clock, None for no session.
    """

    name: str
    family: str
    library: str = ""
    pauses: str = ""
    first: date = date.min
    last: date = date.max
    regular_only: bool = False
    corrections: Mapping[date, time | None] = field(default_factory=lambda: MappingProxyType({}), hash=False)


# The library closes every Good Friday from 2023 on at 08:15, which holds only where the jobs report comes
# out that day (2015, 2021, 2023, 2026); on the others nothing trades, as its own bond calendar says. On
# days of mourning it knows either no session or a whole one; CME closed index futures after the overnight
# session (press releases of 2 December 2018 and 30 December 2024).
_EQUITY_INDEX_CORRECTIONS: Final = MappingProxyType(
    {
        date(2018, 12, 5): time(8, 30),
        date(2024, 3, 29): None,
        date(2025, 1, 9): time(8, 30),
        date(2025, 4, 18): None,
        date(2027, 3, 26): None,
    }
)
_INDEX_HOURS: Final = "CME Globex Equity"

CALENDARS: Final[Mapping[str, Calendar]] = MappingProxyType(
    {
        row.name: row
        for row in (
            Calendar(UNKNOWN_CALENDAR, "unknown"),
            Calendar(ALWAYS_OPEN, "always"),
            # From 2000 on the library agrees with a second one but for the minutes it knows better.
            Calendar("NYSE", "equities", "NYSE", first=date(2000, 1, 2), last=date(2028, 1, 1)),
            # CME's hours of today began on 18 November 2012.
            Calendar(
                "CME_Equity", "globex", _INDEX_HOURS, "CME_Equity", date(2013, 1, 1), date(2028, 1, 1),
                corrections=_EQUITY_INDEX_CORRECTIONS,
            ),
            # Energy, metals, rates, currencies share the regular hours (energy and metals since September
            # 2015), but each group shortens holidays in its own way and no source agrees with another.
            Calendar(
                "CME_Globex", "globex", _INDEX_HOURS, first=date(2016, 1, 1), last=date(2028, 1, 1),
                regular_only=True, corrections=_EQUITY_INDEX_CORRECTIONS,
            ),
            # Bitcoin futures began on 18 December 2017; round-the-clock trading was announced for 2026.
            Calendar(
                "CME_Crypto", "globex", _INDEX_HOURS, first=date(2017, 12, 17), last=date(2025, 12, 31),
                regular_only=True, corrections=_EQUITY_INDEX_CORRECTIONS,
            ),
        )
    }
)  # fmt: skip

# Which instruments follow what: by dataset and futures root, else by the dataset's first part. Who is in
# neither is `unknown`, CME's grains and livestock for one: their hours are others.
_ROOTS: Final[Mapping[tuple[str, str], str]] = {
    ("GLBX.MDP3", root): name
    for name, roots in (
        ("CME_Equity", "ES MES NQ MNQ RTY M2K YM MYM EMD"),
        ("CME_Globex", "CL MCL NG GC MGC SI SIL HG MHG ZN ZB ZF ZT UB TN SR3 6E 6B"),
        ("CME_Crypto", "BTC MBT ETH MET"),
    )
    for root in roots.split()
}
_VENUES: Final[Mapping[str, str]] = {
    head: name
    for name, heads in (
        (ALWAYS_OPEN, "binance SYNTH"),
        (
            "NYSE",
            "XNAS XNYS XBOS XPSX XCHI XASE XCIS ARCX BATS BATY EDGA EDGX IEXG MEMX EPRL DBEQ EQUS "
            "OPRA LOBSTER",
        ),
    )
    for head in heads.split()
}


def default_calendar(venue: str, root: str) -> str:
    """Name of the calendar an instrument follows, by the shipped table.

    Parameters
    ----------
    venue : str
        Dataset or exchange (``GLBX.MDP3``, ``XNAS.ITCH``, ``binance``).
    root : str
        Symbol, for futures without month and year.

    Returns
    -------
    str
        A name in `CALENDARS`; ``unknown`` where the table says nothing.
    """
    return _ROOTS.get((venue, root)) or _VENUES.get(venue.split(".", 1)[0]) or UNKNOWN_CALENDAR


def find_calendar(name: str) -> Calendar:
    """Calendar of a name.

    Raises
    ------
    UnknownName
        When there is none.
    """
    found = CALENDARS.get(name)
    if found is None:
        near = get_close_matches(name, CALENDARS, 1, 0.0)[0]
        raise UnknownName(
            f"{name!r} is no trading calendar. The nearest is {near!r}; known: {', '.join(CALENDARS)}."
        )
    return found


def parse_calendars(text: str) -> dict[str, str]:
    """Read the `calendars` setting: who follows another calendar than the shipped table says.

    Parameters
    ----------
    text : str
        ``venue=calendar`` or ``venue/symbol=calendar``, separated by commas; the symbol of a future may be
        its root: ``GLBX.MDP3/CL=CME_Equity, binance=24/7``.

    Returns
    -------
    dict of str to str
        For :func:`depthscope.market.sessions.calendar_of`.

    Raises
    ------
    InputError
        When a part is not of that form or comes twice.
    UnknownName
        When a calendar does not exist.
    """
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        # From the right: a calendar's name has no equals sign, a symbol might.
        key, sign, name = (piece.strip() for piece in part.rpartition("="))
        if not (key and sign and name) or key in found:
            raise InputError(
                f"calendars: {part!r} {'comes twice' if key in found else 'is no assignment'}. Write "
                "venue=calendar or venue/symbol=calendar, separated by commas, such as "
                "GLBX.MDP3/CL=CME_Equity."
            )
        found[key] = find_calendar(name).name
    return found
