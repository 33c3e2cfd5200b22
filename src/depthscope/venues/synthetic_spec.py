"""Specification of a synthetic market, and its text form ``seed=7,minutes=60,symbols=2``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final

from depthscope.errors import ConfigError, UnknownName
from depthscope.venues.synthetic_presets import DEFAULT_COUNT, DEFAULT_MINUTES, LISTINGS, MOST

PRESETS: Final = tuple(LISTINGS)
START: Final = "2026-01-05T14:30:00Z"
NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SyntheticSpec:
    """What to generate.

    Parameters
    ----------
    seed : int
        Any 64-bit integer; the whole market follows from it.
    preset : str
        ``demo`` (a future, a perpetual, shares), ``busy`` (10 million events in 6.5 hours) or
        ``universe`` (2,000 light shares).
    symbols : int, optional
        Instruments, the first ones of the preset. Default: 3, 1 or 2,000.
    minutes : Decimal, optional
        Length of market time; None for an endless stream. Default (not a number): 60, 390 or 10.
    events : int, optional
        Stop after the group that holds this event.
    start : str
        Opening time, ISO 8601, UTC when no offset is given.
    rate : Decimal
        Multiple of the usual event rate.
    inject : Decimal
        Multiple of the usual rate of injections; 0 for none.
    halts : bool
        Whether trading halts occur.
    """

    seed: int = 7
    preset: str = "demo"
    symbols: int | None = None
    minutes: Decimal | None = Decimal("NaN")
    events: int | None = None
    start: str = START
    rate: Decimal = Decimal(1)
    inject: Decimal = Decimal(1)
    halts: bool = False

    def __post_init__(self) -> None:
        if self.preset not in LISTINGS:
            raise UnknownName(
                f"No synthetic preset is called {self.preset!r}. The presets are {', '.join(PRESETS)}."
            )
        if self.minutes is not None and self.minutes.is_nan():
            object.__setattr__(self, "minutes", Decimal(DEFAULT_MINUTES[self.preset]))
        if self.symbols is None:
            object.__setattr__(self, "symbols", DEFAULT_COUNT[self.preset])
        checks = (
            ("seed", -(2**63) <= self.seed < 2**64, "a 64-bit integer"),
            (
                "symbols",
                1 <= (self.symbols or 0) <= MOST[self.preset],
                f"from 1 to {MOST[self.preset]} in the {self.preset} preset",
            ),
            ("minutes", self.minutes is None or 0 < self.minutes <= 5_000_000, "above 0, or inf"),
            ("events", self.events is None or self.events > 0, "above 0"),
            ("rate", Decimal("0.01") <= self.rate <= 100, "from 0.01 to 100"),
            ("inject", 0 <= self.inject <= 100, "from 0 to 100"),
        )
        for name, good, range_ in checks:
            if not good:
                raise ConfigError(f"synthetic: {name} must be {range_}, got {getattr(self, name)}.")
        _ = self.start_ns

    @property
    def start_ns(self) -> int:
        """Opening time in UTC nanoseconds."""
        try:
            moment = datetime.fromisoformat(self.start)
        except ValueError as error:
            raise ConfigError(
                f"synthetic: start must be an ISO 8601 time such as {START}, got {self.start!r}."
            ) from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if not 1970 <= moment.year <= 2200:
            raise ConfigError(f"synthetic: start must lie between 1970 and 2200, got {self.start!r}.")
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * NS + since.microseconds * 1_000

    def __str__(self) -> str:
        """Return the specification as text that :func:`parse_spec` reads back."""
        minutes = "inf" if self.minutes is None else f"{self.minutes}"
        parts = [
            f"seed={self.seed}",
            f"preset={self.preset}",
            f"symbols={self.symbols}",
            f"minutes={minutes}",
        ]
        if self.events is not None:
            parts.append(f"events={self.events}")
        plain = SyntheticSpec()
        changed = [n for n in ("start", "rate", "inject") if getattr(self, n) != getattr(plain, n)]
        parts += [f"{name}={getattr(self, name)}" for name in changed]
        if self.halts:
            parts.append("halts=1")
        return "synthetic:" + ",".join(parts)


def _number(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ConfigError(f"synthetic: {name} must be a number, got {text!r}.") from error
    if not value.is_finite():
        raise ConfigError(f"synthetic: {name} must be a finite number, got {text!r}.")
    return value


def _whole(name: str, text: str) -> int:
    value = _number(name, text)
    if value != value.to_integral_value() or abs(value) > 2**64:
        raise ConfigError(f"synthetic: {name} must be a whole number, got {text!r}.")
    return int(value)


def parse_spec(text: str, base: SyntheticSpec | None = None) -> SyntheticSpec:
    """Read ``seed=7,minutes=60,symbols=2`` (with or without the leading ``synthetic:``).

    A word without ``=`` names the preset: ``synthetic:universe,symbols=100``.

    Raises
    ------
    UnknownName
        For an unknown option or preset; the nearest names are given.
    ConfigError
        For a value that cannot be used.
    """
    text = text.removeprefix("synthetic:").strip()
    names = [f.name for f in fields(SyntheticSpec)]
    found: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = (x.strip() for x in part.partition("="))
        if not equals:
            name, value = "preset", name
        if name not in names:
            near = get_close_matches(name, names, 1)
            raise UnknownName(
                f"synthetic has no option {name!r}{f'; did you mean {near[0]}?' if near else '.'} "
                f"The options are {', '.join(names)}."
            )
        if name in found:
            raise ConfigError(f"synthetic: {name} is given twice.")
        if name in ("seed", "symbols", "events"):
            found[name] = _whole(name, value)
        elif name == "minutes":
            found[name] = None if value in ("inf", "forever") else _number(name, value)
        elif name in ("rate", "inject"):
            found[name] = _number(name, value)
        elif name == "halts":
            if value not in ("0", "1"):
                raise ConfigError(f"synthetic: halts must be 0 or 1, got {value!r}.")
            found[name] = value == "1"
        else:
            found[name] = value
    return SyntheticSpec(**found) if base is None else replace(base, **found)
