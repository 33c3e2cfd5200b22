"""Source: what every reader offers to the engine, whatever it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

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
