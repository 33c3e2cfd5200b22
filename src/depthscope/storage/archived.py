"""What both kinds of event archive share: instruments as plain values, their origin, being a source."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from depthscope.errors import ConfigError, CorruptData, UnknownName
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.source import SourceInfo, instrument_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from depthscope.market.source import Key, Source, SourceOptions

__all__ = ["About", "Archive", "instrument_from_json", "instrument_to_json"]


def instrument_to_json(key: Key, instrument: Instrument) -> dict[str, Any]:
    """An instrument and its key as plain values; numbers of 1e-9 units stay integers."""
    return {
        "publisher": key[0],
        "id": key[1],
        "venue": instrument.venue,
        "symbol": instrument.symbol,
        "tick": instrument.tick,
        "lot": instrument.lot,
        "multiplier": str(instrument.multiplier),
        "currency": instrument.currency,
        "calendar": instrument.calendar,
        "capabilities": [one.name for one in Capability if one in instrument.capabilities],
        "allows_negative": instrument.allows_negative,
    }


def instrument_from_json(told: Any) -> tuple[Key, Instrument]:
    """Read what `instrument_to_json` wrote.

    Raises
    ------
    ValueError
        When it is nothing of the kind.
    """
    try:
        capabilities = Capability(0)
        for name in told["capabilities"]:
            capabilities |= Capability[name]
        instrument = Instrument(
            str(told["venue"]),
            str(told["symbol"]),
            int(told["tick"]),
            int(told["lot"]),
            multiplier=Decimal(told["multiplier"]),
            currency=str(told["currency"]),
            calendar=str(told["calendar"]),
            capabilities=capabilities,
            allows_negative=bool(told["allows_negative"]),
        )
        return (int(told["publisher"]), int(told["id"])), instrument
    except (KeyError, TypeError, ArithmeticError) as error:
        raise ValueError(f"no instrument: {error!r}") from error


@dataclass(slots=True)
class About:
    """Where archived events come from.

    Parameters
    ----------
    format, schema, dataset : str
        As `SourceInfo` has them.
    warnings : list of str
        What its reader had to say.
    skipped : dict of str to int
        Records that gave no event, by reason.
    """

    format: str = ""
    schema: str = ""
    dataset: str = ""
    warnings: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source) -> About:
        """What a source says of itself by now."""
        info = source.info
        return cls(info.format, info.schema, info.dataset, list(info.warnings), dict(info.skipped))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> About:
        """Read them back; what is not there is empty."""
        return cls(**{name: told[name] for name in cls.__slots__ if name in told})


class Archive:
    """An archive being read: its instruments as a caller wants them, and what it says of itself.

    Parameters
    ----------
    path : Path
    options : SourceOptions
        A `tick` wins over the archived one. A `lot` must be the archived one: sizes are counted in it.
    format : str
        Its name in `SourceInfo.format`.

    Attributes
    ----------
    info : SourceInfo
        Filled in as the archive is read.

    Raises
    ------
    ConfigError
        When `options.extra` names an option (archives have none).
    """

    def __init__(self, path: Path, options: SourceOptions, format: str) -> None:
        if options.extra:
            raise ConfigError(f"Archives take no option {', '.join(sorted(options.extra))}.")
        self.path = path
        self._options = options
        self._found: dict[Key, Instrument] = {}
        self.info = SourceInfo(str(path), format)

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments of the archive."""
        return self._found

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When the archive does not name it.
        """
        return instrument_of(self._found, publisher, instrument_id, self.path)

    def _add(self, key: Key, instrument: Instrument) -> None:
        """Enter an instrument; of two with one key the first stays.

        Raises
        ------
        ConfigError
            When a lot is asked for that is not its own.
        """
        lot, tick = self._options.lot, self._options.tick
        if lot is not None and lot != instrument.lot:
            its = Decimal(instrument.lot).scaleb(-9)
            raise ConfigError(
                f"{self.path} counts sizes of {instrument.symbol} in lots of {its:f}: "
                f"another lot would change them. Leave --lot out, or archive the original again with it."
            )
        if tick is not None:
            instrument = replace(instrument, tick=tick)
        self._found.setdefault(key, instrument)

    def _check_symbols(self) -> None:
        """Refuse symbols that are not in the archive, once all its instruments are entered.

        Raises
        ------
        UnknownName
            With the nearest names.
        """
        there = sorted({instrument.symbol for instrument in self._found.values()})
        for name in sorted((self._options.symbols or set()) - set(there)):
            near = difflib.get_close_matches(name, there, n=3) or there[:3]
            raise UnknownName(f"{self.path} holds no symbol {name}. It holds {', '.join(near)}.")

    def _tell(self, about: About) -> None:
        """Say in `info` where the events come from."""
        info = self.info
        info.schema, info.dataset = about.schema, about.dataset
        info.notes["archived from"] = about.format
        info.warnings += about.warnings
        for reason, count in about.skipped.items():
            info.notes[f"left out: {reason}"] = f"{count:,}"

    def _corrupt(self, what: str, done: int = 0) -> CorruptData:
        """What is raised where the archive is damaged after `done` events."""
        return CorruptData(
            f"{what}. {done:,} events were read up to there. What came before the damage is good; for the "
            f"rest archive the original again.",
            done,
        )
