"""Playback: any stream of EVENTs as groups in the exchange's own time."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from depthscope.errors import ConfigError, CorruptData, EmptyData
from depthscope.market.events import LAST
from depthscope.simulators.binance_rules import NEVER, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key
    from depthscope.simulators.binance_books import Row

__all__ = ["EventSource", "Group", "Playback", "Played"]


class Played(Protocol):
    """What is played: every Source is one, and so is :class:`EventSource`."""

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments known so far."""
        ...

    def chunks(self) -> Iterable[Events]:
        """Yield EVENT arrays in receive order."""
        ...

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events."""
        ...


class EventSource:
    """Events in memory as something to play.

    Parameters
    ----------
    chunks : sequence of EVENT arrays
    instruments : Mapping of (publisher, instrument id) to Instrument
    """

    def __init__(self, chunks: Iterable[Events], instruments: Mapping[Key, Instrument]) -> None:
        self._chunks = list(chunks)
        self.instruments = instruments

    def chunks(self) -> Iterable[Events]:
        """Yield the arrays."""
        return iter(self._chunks)

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key."""
        return self.instruments[publisher, instrument_id]


class Group(NamedTuple):
    """One group of one instrument.

    Attributes
    ----------
    time : int
        When it happens on the exchange, UTC ns.
    key : tuple of int, optional
        Whose it is; None: the recording starts again, every book is cleared.
    rows : list of tuple
    warm : bool
        Part of what is skipped: it makes the book and is told to nobody.
    """

    time: int
    key: Key | None
    rows: list[Row]
    warm: bool


class Playback:
    """Groups of a source, one after the other, in exchange time.

    A group happens when its last record was received: ``start + (ts_recv - first - skip) / speed``,
    where :meth:`begin` says what `start` is. What is skipped comes first, at time 0 and flagged warm.

    Parameters
    ----------
    source : callable
        Opens what is played; called again for each pass when `loop`.
    speed : str or int or float
        Market seconds a second, 0.1 to 1000.
    skip : int
        Market time (ns) at the beginning that is played at once.
    loop : bool
        Begin again at the end, one second later.

    Attributes
    ----------
    keys : list of (publisher, instrument id)
        Instruments met in the first chunk.
    passes, events : int
        Times begun, and events read.
    damage : CorruptData, optional
        Why the recording ended before its end.
    """

    def __init__(
        self, source: Callable[[], Played], *, speed: str | float = 1, skip: int = 0, loop: bool = False
    ) -> None:
        self._open, self._start, self._skip, self._loop = source, 0, skip, loop
        self._slower, self._faster = _speed(speed).as_integer_ratio()[::-1]
        self.played = source()
        self.damage: CorruptData | None = None
        self.passes = 1
        self.events = 0
        chunks = iter(self.played.chunks())
        opening = next(chunks, None)
        self.keys = [] if opening is None else _keys(opening)
        self._rows = self._flat(chunks if opening is None else chain([opening], chunks))
        self._open_groups: dict[Key, list[Row]] = {}
        self._first: int | None = None
        self._last = 0
        self._next: Group | None = None
        self._read()
        if self._next is None:
            raise EmptyData("There is nothing to play: the source holds no event.")

    def peek(self) -> int:
        """Time of the next group; :data:`NEVER` after the last."""
        return NEVER if self._next is None else self._next.time

    def warming(self) -> bool:
        """Whether the next group is one that is skipped."""
        return self._next is not None and self._next.warm

    def begin(self, start: int) -> None:
        """Settle the exchange time (ns) of the first event that is not skipped."""
        self._start = self._last = start
        if self._next is not None:
            self._next = self._next._replace(time=start + self._next.time)
            self._last = self._next.time

    def take(self) -> Group:
        """Take the next group; only when there is one."""
        group = self._next
        if group is None:
            raise EmptyData("The recording has ended.")
        self._read()
        return group

    def close(self) -> None:
        """Let go of what is being read; nothing more happens."""
        self._rows.close()
        self._next, self._loop = None, False

    def _flat(self, chunks: Iterable[Events]) -> Generator[Row, None, None]:
        try:
            for chunk in chunks:
                yield from chunk.tolist()
        except CorruptData as error:
            self.damage, self._loop = error, False

    def _read(self) -> None:
        for row in self._rows:
            self.events += 1
            key = (row[8], row[6])
            if not row[12] & LAST:
                self._open_groups.setdefault(key, []).append(row)
                if self._first is None:
                    self._first = row[1]
                continue
            rows = self._open_groups.pop(key, [])
            rows.append(row)
            if self._first is None:
                self._first = row[1]
            past = row[1] - self._first - self._skip
            at = self._start + max(past, 0) * self._slower // self._faster
            self._last = max(self._last, at)  # a receive time going back happens now
            self._next = Group(self._last, key, rows, past < 0)
            return
        self._next = self._again()

    def _again(self) -> Group | None:
        """Begin the recording again; what is left of it is the clearing of the books."""
        if not self._loop or self._first is None:
            return None
        self.played = self._open()
        self.passes += 1
        self._rows = self._flat(self.played.chunks())
        self._open_groups.clear()
        self._first, self._skip = None, 0
        self._start = self._last = self._last + SECOND
        return Group(self._last, None, [], False)


def _keys(chunk: Events) -> list[Key]:
    """Instruments of a chunk in order of appearance."""
    pairs = zip(chunk["publisher"].tolist(), chunk["instrument_id"].tolist(), strict=True)
    return list(dict.fromkeys(pairs))


def _speed(speed: str | float) -> Fraction:
    try:
        value = Fraction(str(speed))
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not Fraction(1, 10) <= value <= 1000:
        raise ConfigError(f"Speed {speed} is out of range: give 0.1 to 1000.")
    return value
