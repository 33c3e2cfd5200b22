"""What every measured program offers: load, setup, run, final state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bench.data import Inputs


@dataclass(frozen=True)
class Job:
    """One contestant's task: which stream, how many tiles of it, and the total that fixes the busy hour."""

    stream: str
    tiles: int
    total: int


@dataclass
class Final:
    """Book after the last event: prices 1e-9 fixed, sizes in lots, None where it cannot be read."""

    best_bid: int | None = None
    best_ask: int | None = None
    bid_size: int | None = None
    ask_size: int | None = None
    bid_total: int | None = None
    ask_total: int | None = None
    bid_levels: int | None = None
    ask_levels: int | None = None
    orders: int | None = None
    ofi: int | None = None  # sum over the whole run
    imbalance5: float | None = None  # sum over the states where both sides are present
    weighted_mid: float | None = None  # sum over the same states, in 1e-9 price units
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


class Contestant(ABC):
    """One program doing one piece of work.

    `load` makes its input in its own best form (untimed, once), `setup` makes a fresh book (untimed, before
    every run), `run` is timed, `final` is read after a run.
    """

    title: ClassVar[str]
    work: ClassVar[str]  # what is done per event, in words
    unit: ClassVar[str] = "events"
    package: ClassVar[str] = ""  # distribution whose version is reported

    @abstractmethod
    def load(self, inputs: Inputs, job: Job) -> int:
        """Prepare the input; the number of source events it stands for."""

    def setup(self) -> None:  # noqa: B027  (a program may need none)
        """Make a fresh state."""

    @abstractmethod
    def run(self) -> None:
        """The timed part."""

    def final(self) -> Final | None:
        """State after the last run, when there is a book to read."""
        return None

    def extra(self) -> dict[str, object]:
        """Further figures of the last run."""
        return {}
