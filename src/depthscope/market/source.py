"""Source: what every reader offers to the engine, whatever it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from depthscope.errors import ConfigError, UnknownInstrument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument

Key = tuple[int, int]  # (publisher, instrument_id)


@dataclass(slots=True)
class SourceInfo:
    """What a source says about itself, filled in as it is read.

    Attributes
    ----------
    path, format, schema, dataset : str
        Where it came from and what it is (``dbn``, ``binance``, ``lobster``, ``synthetic``).
    bytes_total, bytes_read : int
        Compressed size and progress, for progress bars (0 when unknown).
    records : int
        Records read so far, of any kind.
    skipped : dict of str to int
        Records that carry no book event, by reason (counted, never silent).
    warnings : list of str
        Truncation, clamped times and the like, in plain sentences.
    notes : dict of str to str
        Anything else worth showing in `info`.
    """

    path: str
    format: str
    schema: str = ""
    dataset: str = ""
    bytes_total: int = 0
    bytes_read: int = 0
    records: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a caller may ask of any reader; each ignores what has no meaning for it.

    Parameters
    ----------
    tick, lot : int, optional
        Price and size increment in 1e-9 units; they win over definitions and the shipped table.
    symbols : frozenset of str, optional
        Symbols that must exist in the data (`UnknownName` otherwise). Events are *not*
        filtered by it: the engine selects.
    chunk : int
        Most events a chunk holds.
    continuous : bool
        Books live on from one file of a list to the next instead of being reset.
    extra : Mapping of str to str
        Options of one venue only, by name; a reader rejects names it does not know.

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    tick: int | None = None
    lot: int | None = None
    symbols: frozenset[str] | None = None
    chunk: int = 32_768
    continuous: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ConfigError(f"chunk must be at least 1 event, got {self.chunk}.")
        for name, value in (("tick", self.tick), ("lot", self.lot)):
            if value is not None and value <= 0:
                raise ConfigError(f"{name} must be positive, got {value} (in units of 1e-9).")


@dataclass(slots=True)
class Scan:
    """What counting a source from end to end tells, without building any book.

    Attributes
    ----------
    records : dict of str to int
        Records by kind.
    actions : dict of str to int
        Events by action letter (empty where the data holds no book event).
    start, end : int
        Receive time of the first record and the latest of any record, UTC nanoseconds; 0 without records.
    keys : list of (publisher, instrument_id)
        Instruments met, in order of appearance.
    """

    records: dict[str, int] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    start: int = 0
    end: int = 0
    keys: list[Key] = field(default_factory=list)


def instrument_of(
    instruments: Mapping[Key, Instrument], publisher: int, instrument_id: int, where: object
) -> Instrument:
    """Return the instrument of a key, for sources that have met all they can resolve.

    Raises
    ------
    UnknownInstrument
        When none has that key; `where` is named as the place that was looked at.
    """
    found = instruments.get((publisher, instrument_id))
    if found is None:
        raise UnknownInstrument(f"{where}: no instrument {publisher}/{instrument_id} has appeared.")
    return found


@runtime_checkable
class Source(Protocol):
    """A finite stream of events in receive order, and the instruments in it."""

    info: SourceInfo

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments known so far. May grow while chunks are read, never change."""
        ...

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays. Each stays valid until three more have been produced.

        Raises
        ------
        CorruptData
            After yielding all that was readable before the damage.
        """
        ...

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When nothing names its tick.
        """
        ...
