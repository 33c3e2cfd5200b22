"""What detectors said, as objects with names instead of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from depthscope.detectors.registry import all_detectors
from depthscope.market.events import PRICE_SCALE, UNDEF_PRICE
from depthscope.market.layouts import PHASE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from depthscope.market.instruments import Instrument

__all__ = ["Detection", "messages"]


@dataclass(frozen=True, slots=True)
class Detection:
    """One message of a detector. Messages are append-only: a matter has one `id` from open to close.

    Attributes
    ----------
    ts : int
        When it was known: time of a group, or of a row's boundary, UTC ns.
    opened : int
        Time of the message that opened the matter, UTC ns.
    detector, symbol : str
    number : int
        Counts the detector's matters of this instrument, from 1.
    phase : {"open", "update", "close"}
    side : {"B", "A", ""}
        As the detector's page says: of the resting size, or of the aggressor.
    price : float or None
    size : float
        In the instrument's own units.
    strength : float
    label, outcome : str or None
        The detector's word for what it found, and on close how it ended.
    evidence : mapping of str to float
        The raw numbers.
    inferred : bool
        Whether it rests on aggressors the venue does not tell, but which were inferred.
    """

    ts: int
    opened: int
    detector: str
    symbol: str
    number: int
    phase: str
    side: str
    price: float | None
    size: float
    strength: float
    label: str | None
    outcome: str | None
    evidence: Mapping[str, float]
    inferred: bool = False

    @property
    def id(self) -> str:
        """What all messages of one matter have in common, such as ``iceberg-ESH4-3``."""
        return f"{self.detector}-{self.symbol}-{self.number}"


def messages(records: npt.NDArray[Any], instruments: Sequence[Instrument]) -> tuple[Detection, ...]:
    """Read DETECTION records; `instruments` by slot."""
    known = {d.number: d for d in all_detectors()} if len(records) else {}
    return tuple(_message(record, known, instruments) for record in records)


def _message(record: Any, known: Mapping[int, Any], instruments: Sequence[Instrument]) -> Detection:
    detector, instrument = known[int(record["detector"])], instruments[int(record["slot"])]
    times, over = instrument.size_ratio
    side, price = int(record["side"]), int(record["price"])
    return Detection(
        ts=int(record["ts"]),
        opened=int(record["opened"]),
        detector=detector.name,
        symbol=instrument.symbol,
        number=int(record["number"]),
        phase=PHASE_NAMES[int(record["phase"])],
        side=chr(side) if side else "",
        price=None if price == UNDEF_PRICE else price / PRICE_SCALE,
        size=int(record["size"]) * times / over,
        strength=float(record["strength"]),
        label=detector.labels[int(record["label"])] or None,
        outcome=detector.outcomes[int(record["outcome"])] or None,
        evidence=dict(zip(detector.evidence, record["evidence"].tolist(), strict=False)),
        inferred=detector.infers(instrument),
    )
