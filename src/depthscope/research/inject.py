"""Put events of known time, price, size and side into a real recorded stream.

Same recording, kinds and seed: same bytes. The recorded records all stay, in their order; on a level
feed the size of some is larger by what was injected at their price. By which rules records are written
is told in `depthscope.research.desk`, what is injected in `depthscope.research.kinds`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.book.groups import RAW
from depthscope.errors import InputError
from depthscope.market import events as ev
from depthscope.research.desk import Desk
from depthscope.research.kinds import KINDS, Kind, Truth, kind
from depthscope.research.queue_book import QueueBook
from depthscope.research.recording import SECOND, Recording, record

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from depthscope.api import Sources
    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key, SourceInfo

__all__ = ["Injected", "inject", "plan"]

PARTS: Final = ("second", "first", "all")
CHUNK: Final = 32_768
SPREAD: Final = 40.0  # seconds in which the first may come
TRIES: Final = 1_000  # places tried for one injection


@dataclass(frozen=True, slots=True)
class Injected:
    """An injected stream: a Source, and what is in it.

    Attributes
    ----------
    events : structured array of EVENT
        The whole stream.
    truth : tuple of Truth
        What was injected, in order of time.
    seed : tuple of int
    inserted : array of bool
        Which of `events` are injected.
    """

    recording: Recording
    events: Events
    truth: tuple[Truth, ...]
    seed: tuple[int, ...]
    inserted: Any

    @property
    def info(self) -> SourceInfo:
        """What the recording says about itself."""
        return self.recording.source.info

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments of the recording."""
        return self.recording.source.instruments

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the recording's instrument."""
        return self.recording.source.resolve(publisher, instrument_id)

    def chunks(self) -> Iterator[Events]:
        """Yield the stream."""
        for first in range(0, len(self.events), CHUNK):
            yield self.events[first : first + CHUNK]


def usable(recording: Recording, kinds: Iterable[str] | None) -> tuple[Kind, ...]:
    """Kinds by name (all for None) that the feed can carry."""
    chosen = KINDS if kinds is None else tuple(kind(name) for name in kinds)
    told = recording.instrument.capabilities
    return tuple(k for k in chosen if told & k.requires and not told & k.without)


def inject(
    source: Sources | Recording,
    kinds: Iterable[str] | None = None,
    *,
    seed: int | Sequence[int] = 0,
    n: int | None = None,
    part: str = "second",
) -> Injected:
    """Inject events into a recorded stream.

    Parameters
    ----------
    source : str, Path, Source or Recording
        A recording of one instrument.
    kinds : iterable of str, optional
        Names in `depthscope.research.kinds.KINDS`; all that the feed can carry for None.
    seed : int or sequence of int
        Decides everything.
    n : int, optional
        Most of each kind; as many as fit for None. How many fit is told by the truth.
    part : {"second", "first", "all"}
        Half of the recording's time to inject into. Settings are tuned on the first only.

    Returns
    -------
    Injected
        A Source, and its truth table.

    Raises
    ------
    InputError
        When the source has several instruments or no levels, or `part` is none of the three.
    UnknownName
        When a kind is unknown.

    Examples
    --------
    >>> stream = inject("day.mbo.dbn.zst", ["iceberg"], seed=7)   # doctest: +SKIP
    >>> stream.truth[0].outcome                                     # doctest: +SKIP
    """
    recording = source if isinstance(source, Recording) else record(source)
    seeds = (seed,) if isinstance(seed, int) else tuple(seed)
    return plan(recording, usable(recording, kinds), [seeds], n=n, part=part)[0].build()


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of injections before its stream is made."""

    desk: Desk
    truth: list[Truth]
    seed: tuple[int, ...]

    def build(self) -> Injected:
        """Make the stream."""
        recording, written = self.desk.recording, self.desk.written
        clean = recording.events
        if any(rest.until < 0 for rest in written.rests):
            raise AssertionError("an injected size was never taken away")
        at = np.array(written.at, np.int64)
        order = np.argsort(at, kind="stable")
        new = np.array(written.rows, ev.EVENT) if written.rows else ev.empty_events(0)
        places = at[order] + np.arange(len(at))
        inserted = np.zeros(len(clean) + len(at), np.bool_)
        inserted[places] = True
        events = ev.empty_events(len(inserted))
        events.view(RAW)[~inserted] = clean.view(RAW)
        events.view(RAW)[inserted] = new[order].view(RAW)
        real = np.flatnonzero(~inserted)
        for rest in written.rests:
            part = clean[rest.since : rest.until]
            here = (part["action"] == ev.LEVEL) & (part["side"] == rest.side) & (part["price"] == rest.price)
            events["size"][real[rest.since + np.flatnonzero(here)]] += rest.size
        return Injected(recording, events, tuple(self.truth), self.seed, inserted)


def plan(
    recording: Recording,
    kinds: Sequence[Kind],
    seeds: Sequence[tuple[int, ...]],
    *,
    n: int | None = None,
    part: str = "second",
) -> list[Plan]:
    """Plan runs of one recording, each by its own seed, in one pass over the recorded book."""
    if part not in PARTS:
        raise InputError(f"There is no part {part!r} of a recording; choose {', '.join(PARTS)}.")
    start = recording.half if part == "second" else recording.begin
    stop = recording.half if part == "first" else recording.end
    book = QueueBook(recording)
    plans: list[Plan] = []
    waiting: list[tuple[int, int, Generator[int, None, None]]] = []
    for k, seed in enumerate(seeds):
        made = Plan(Desk(recording, book, np.random.default_rng(seed), stop), [], seed)
        plans.append(made)
        heapq.heappush(waiting, (start, k, _steps(made, kinds, n)))
    while waiting:
        ts, k, steps = heapq.heappop(waiting)
        desk = plans[k].desk
        desk.now, desk.at = ts, recording.index_after(ts)
        book.advance(desk.at)
        wake = next(steps, None)
        if wake is not None:
            heapq.heappush(waiting, (max(wake, ts), k, steps))
    return plans


def _steps(made: Plan, kinds: Sequence[Kind], n: int | None) -> Generator[int, None, None]:
    """Place one injection after the other, in an order of chance, until there are enough or time is over."""
    desk = made.desk
    left = [one for one in kinds for _ in range(n)] if n is not None else []
    desk.rng.shuffle(left)
    # The first must not come at the same moment in every run.
    yield desk.now + int(desk.between(0, SPREAD) * SECOND)
    while desk.now < desk.stop and kinds and (left or n is None):
        one = left.pop() if n is not None else kinds[desk.count(0, len(kinds) - 1)]
        for _ in range(TRIES):
            found = yield from one.place(desk)
            if found is not None:
                made.truth.append(replace(found, kind=one.name))
                yield desk.now + one.pause + int(desk.between(1, 5) * SECOND)
                break
            yield desk.now + int(desk.log_between(0.02, 0.5) * SECOND)
            if desk.now >= desk.stop:
                return
