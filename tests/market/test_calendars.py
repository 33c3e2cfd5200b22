"""Which instrument follows which calendar, and how that is overridden."""

from __future__ import annotations

from datetime import date

import pytest

from depthscope.errors import InputError, UnknownName
from depthscope.market.calendars import CALENDARS, UNKNOWN_CALENDAR, find_calendar, parse_calendars
from depthscope.market.hours import date_of, day_of
from depthscope.market.instruments import TICK_TABLE, VENUE_TABLE, Instrument, find_instrument

TICK = 10**7


@pytest.mark.parametrize(
    ("venue", "symbol", "calendar"),
    [
        ("GLBX.MDP3", "ESH4", "CME_Equity"),
        ("GLBX.MDP3", "ES.c.0", "CME_Equity"),
        ("GLBX.MDP3", "CLH4", "CME_Globex"),
        ("GLBX.MDP3", "6EZ4", "CME_Globex"),
        ("GLBX.MDP3", "MBTZ4", "CME_Crypto"),
        ("GLBX.MDP3", "ZCH4", "unknown"),  # grains keep hours of their own
        ("XNAS.ITCH", "AAPL", "NYSE"),
        ("EQUS.MINI", "SPY", "NYSE"),
        ("LOBSTER", "AMZN", "NYSE"),
        ("OPRA.PILLAR.XCBO", "AAPL  240119C00150000", "NYSE"),
        ("binance", "BTCUSDT", "24/7"),
        ("binance", "SOMETHINGNEWUSDT", "24/7"),
        ("SYNTH.MBO", "SYNES", "24/7"),
        ("IFEU.IMPACT", "BRN FMF0024!", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_who_follows_what(venue: str, symbol: str, calendar: str) -> None:
    assert find_instrument(venue, symbol, tick=TICK).calendar == calendar


def test_an_instrument_made_by_hand_promises_no_calendar() -> None:
    assert Instrument("somewhere", "X", TICK).calendar == UNKNOWN_CALENDAR


def test_everything_in_the_shipped_tables_has_a_calendar() -> None:
    shipped = [*TICK_TABLE, *((venue, "X") for venue in VENUE_TABLE)]
    found = {(venue, symbol): find_instrument(venue, symbol).calendar for venue, symbol in shipped}
    assert [key for key, name in found.items() if name == UNKNOWN_CALENDAR or name not in CALENDARS] == []


def test_names_are_keys() -> None:
    assert all(find_calendar(name).name == name for name in CALENDARS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" , ,", {}),
        ("binance=unknown", {"binance": "unknown"}),
        (
            "GLBX.MDP3/CL = CME_Equity ,binance=24/7",
            {"GLBX.MDP3/CL": "CME_Equity", "binance": "24/7"},
        ),
        ("X/A=B=NYSE", {"X/A=B": "NYSE"}),
    ],
)
def test_the_setting_is_read(text: str, expected: dict[str, str]) -> None:
    assert parse_calendars(text) == expected


@pytest.mark.parametrize("text", ["NYSE", "=NYSE", "binance=", "binance", "a=NYSE,b"])
def test_a_part_that_assigns_nothing(text: str) -> None:
    with pytest.raises(InputError, match=r"calendars: .* is no assignment. Write venue=calendar"):
        parse_calendars(text)


def test_a_part_that_comes_twice() -> None:
    with pytest.raises(InputError, match="'a=24/7' comes twice"):
        parse_calendars("a=NYSE,a=24/7")


def test_a_calendar_that_does_not_exist() -> None:
    with pytest.raises(UnknownName, match=r"'CME' is no trading calendar. The nearest is 'CME_"):
        parse_calendars("GLBX.MDP3=CME")


@pytest.mark.parametrize("day", [date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(1678, 5, 5)])
def test_days_are_counted_from_1970(day: date) -> None:
    assert date_of(day_of(day)) == day
    assert day_of(date(1970, 1, 2)) == 1
