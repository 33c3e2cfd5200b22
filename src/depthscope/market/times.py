"""Durations and moments as users write them, in integer nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from depthscope.errors import InputError

UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "sec": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse_duration(text: str | int) -> int:
    """Nanoseconds of ``"100ms"``, ``"1.5s"``, ``"1min"``, or of a number of nanoseconds.

    Raises
    ------
    InputError
        When it is not a duration of at least a microsecond.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        value = Decimal(text)
    else:
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]*)\s*", str(text).lower())
        if not match or (match[2] or "ns") not in UNITS:
            raise InputError(
                f"{text!r} is not a duration: write a number and a unit, such as 100ms, 1s or 5min "
                f"(units: {', '.join(UNITS)})."
            )
        value = Decimal(match[1]) * UNITS[match[2] or "ns"]
    if value <= 0 or value != value.to_integral_value():
        raise InputError(f"{text!r} is not a positive whole number of nanoseconds.")
    if value < UNITS["us"]:
        bare = str(text).strip()
        unit = f" A number alone is nanoseconds: was {bare}ms or {bare}s meant?" if bare.isdigit() else ""
        raise InputError(f"{text!r} is shorter than 1us, the shortest duration.{unit}")
    return int(value)


def parse_every(every: str | int) -> int:
    """Grid step in nanoseconds, 0 for ``"event"``.

    Raises
    ------
    InputError
        When it is neither ``"event"`` nor a duration of at least a microsecond.
    """
    if every == "event":
        return 0
    try:
        return parse_duration(every)
    except InputError as error:
        raise InputError(f"{error} 'event' gives a row for each group of events.") from error


def parse_time(text: str | int) -> int:
    """UTC nanoseconds of an ISO 8601 time (UTC unless it names an offset) or of an integer.

    Raises
    ------
    InputError
        When it is neither.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    plain = str(text).strip()
    if re.fullmatch(r"[0-9]+", plain):
        return int(plain)
    match = re.fullmatch(r"(.*?)(?:\.([0-9]{1,9}))?(Z|[+-][0-9:]+)?", plain)
    try:
        base = datetime.fromisoformat((match[1] if match else plain) + ((match[3] or "") if match else ""))
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a time: write ISO 8601 such as 2023-12-25T23:30:00, or UTC nanoseconds."
        ) from error
    if base.tzinfo is None:
        base = base.replace(tzinfo=UTC)
    whole = base - datetime(1970, 1, 1, tzinfo=UTC)
    fraction = int(((match[2] or "") if match else "").ljust(9, "0") or 0)
    return (whole.days * 86_400 + whole.seconds) * 1_000_000_000 + whole.microseconds * 1_000 + fraction


def format_time(ns: int) -> str:
    """ISO 8601 UTC with nanoseconds."""
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 1_000_000_000:09d}Z"
