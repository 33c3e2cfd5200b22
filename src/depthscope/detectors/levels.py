"""Support and resistance: prices that have held before, and what becomes of them.

A level is a price with signs that it holds. Each of these is one sign:

* ``wall``: a wall was closed as ``held``;
* ``iceberg``, ``absorption``, ``hidden``: a detector with that word in its name opened a matter there;
* ``cluster``: much was traded there (`level_signs.Clusters`);
* ``swing``: mid turned there (`level_signs.Swings`);
* a touch that held.

A sign within half a zone of a level of its side belongs to that level, any other makes one. A level has
one sign of each kind, renewed by every later one, and as many held touches as there were. The **zone** is
the larger of `zone_ticks` (2) ticks and `zone_bps` (0.5) bps of the first mid, in whole ticks. Below mid a
level is a support, above it a resistance. The **score** is the sum of its signs, each of which has
halved as often as `half_life` (900) seconds have passed since. A level whose score has fallen under
`least` (0.1) is forgotten at the next whole minute, and so is the lowest one of more than `most` (100).

How far the market is from a level is read from the best price of its side, the bid for a support.
Events are

* ``touched``: it has come within half a zone, having been two zones away before;
* ``held``: it is two zones away again after a touch, without breaking the level;
* ``broken``: it has been a zone or more beyond for `break_seconds` (5) in all rows. The level then
  changes sides, with half its score and no touches: a broken support is a resistance.

Prices and sums are exact integers, scores float64. Rows are what is looked at; messages count from the
next row on (`follow.py`). Where the book is not LIVE or lacks a side, nothing is judged, and the time
beyond a level begins anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from depthscope.detectors.follow import Row, Said, Stream, kind_of
from depthscope.detectors.level_signs import MINUTE, RESISTANCE, SUPPORT, Clusters, Swings
from depthscope.errors import InputError, UnknownName
from depthscope.features.kit import SECOND
from depthscope.market.events import PRICE_SCALE
from depthscope.market.layouts import CLOSE, OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from depthscope.features.batch import Batch
    from depthscope.market.instruments import Instrument

__all__ = ["Level", "LevelEvent", "Levels"]

EVENTS_KEPT: Final = 10_000
HELD: Final = "held"  # touches that held, among the kinds of signs
SIDES: Final = {SUPPORT: "B", RESISTANCE: "A"}
ARRIVED, AWAY, TOUCHED = range(3)  # made or crossed when near; two zones away; touched since


@dataclass(frozen=True, slots=True)
class Level:
    """A support or resistance.

    Attributes
    ----------
    price : float
    side : {"B", "A"}
        B is a support, A a resistance.
    score : float
    touches : int
        Since it has been on this side.
    kinds : tuple of str
        Of its signs, in order of their first.
    since : int
        Time of its first sign, UTC ns.
    """

    price: float
    side: str
    score: float
    touches: int
    kinds: tuple[str, ...]
    since: int


@dataclass(frozen=True, slots=True)
class LevelEvent:
    """What happened at a level.

    Attributes
    ----------
    ts : int
        Time of the row that shows it, UTC ns.
    symbol : str
    event : {"touched", "held", "broken"}
    price : float
    side : {"B", "A"}
        What the level was when it happened.
    score : float
        After it.
    touches : int
        Up to it, itself included.
    """

    ts: int
    symbol: str
    event: str
    price: float
    side: str
    score: float
    touches: int


@dataclass(slots=True)
class Place:
    """A level as it is followed."""

    price: int
    side: int
    since: int
    signs: dict[str, tuple[float, int]] = field(default_factory=dict)  # kind: what it counts, and when
    touches: int = 0
    state: int = ARRIVED
    beyond: int | None = None  # since when

    def distance(self, row: Row) -> int:
        """How far the market is before the level; negative beyond it."""
        return row.bid - self.price if self.side == SUPPORT else self.price - row.ask

    def settle(self, row: Row, zone: int) -> None:
        """Begin anew where the market is."""
        self.state = AWAY if self.distance(row) >= 2 * zone else ARRIVED
        self.beyond = None

    def scored(self, ts: int, half_life: float) -> float:
        """Score at a time."""
        return sum(weight * float(0.5 ** ((ts - at) / half_life)) for weight, at in self.signs.values())

    def hold(self, ts: int, half_life: float) -> None:
        """Add a touch that held to those before."""
        weight, at = self.signs.get(HELD, (0.0, ts))
        self.signs[HELD] = weight * 0.5 ** ((ts - at) / half_life) + 1.0, ts

    def halve(self) -> None:
        """Let all its signs count half as much."""
        self.signs = {kind: (0.5 * weight, at) for kind, (weight, at) in self.signs.items()}


@dataclass(slots=True)
class Market:
    """Levels of one instrument."""

    instrument: Instrument
    zone: int
    half: int
    swings: Swings
    clusters: Clusters
    row: Row  # the last quoted one
    ts: int
    minute: int
    places: list[Place] = field(default_factory=list)


class Levels:
    """Support and resistance of any number of instruments, from an engine's batches.

    Parameters
    ----------
    zone_ticks, zone_bps : float
        How close prices are one level.
    half_life : float
        Seconds in which a sign halves.
    least : float
        Score under which a level is forgotten.
    most : int
        Levels an instrument has at once.
    break_seconds : float
        How long the market is beyond a broken level.
    swing_window : int
        Seconds over which an extreme is one.
    swing_ticks, swing_sds : float
        Reversal that confirms it, in ticks and in standard deviations of a minute; the larger counts.
    cluster_minutes : int
        Over which volume is summed.
    cluster_multiple : float
        Volume of a cluster ÷ mean.

    Examples
    --------
    >>> engine = Engine(source.resolve, detectors=None, keep_samples=True)   # doctest: +SKIP
    >>> levels = Levels()                                                     # doctest: +SKIP
    >>> for events in source.chunks():                                        # doctest: +SKIP
    ...     levels.update(engine.process(events), engine.slots)
    >>> levels.current("ESH4")                                                # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        zone_ticks: float = 2.0,
        zone_bps: float = 0.5,
        half_life: float = 900.0,
        least: float = 0.1,
        most: int = 100,
        break_seconds: float = 5.0,
        swing_window: int = 300,
        swing_ticks: float = 4.0,
        swing_sds: float = 2.0,
        cluster_minutes: int = 30,
        cluster_multiple: float = 3.0,
    ) -> None:
        wanted = {
            "half_life": half_life,
            "least": least,
            "most": most,
            "swing_window": swing_window,
            "cluster_minutes": cluster_minutes,
            "cluster_multiple": cluster_multiple,
        }
        wrong = [name for name, value in wanted.items() if not value > 0]
        if wrong:
            raise InputError(f"Levels: {', '.join(wrong)} must be positive.")
        self._zone_ticks, self._zone_bps = zone_ticks, zone_bps
        self._half_life = half_life * SECOND
        self._least, self._most = least, most
        self._break = int(break_seconds * SECOND)
        self._swing = swing_window, swing_ticks, swing_sds
        self._cluster = cluster_minutes, cluster_multiple
        self._stream = Stream()
        self._markets: dict[int, Market] = {}
        self._events: deque[LevelEvent] = deque(maxlen=EVENTS_KEPT)

    @property
    def events(self) -> tuple[LevelEvent, ...]:
        """The last 10,000 events, in order of time."""
        return tuple(self._events)

    def current(self, symbol: str) -> list[Level]:
        """Levels of `symbol` at its last row, the highest score first.

        Raises
        ------
        UnknownName
            When no quoted row of it has come.
        """
        for market in self._markets.values():
            if market.instrument.symbol == symbol:
                found = [
                    Level(
                        place.price / PRICE_SCALE,
                        SIDES[place.side],
                        place.scored(market.ts, self._half_life),
                        place.touches,
                        tuple(kind for kind in place.signs if kind != HELD),
                        place.since,
                    )
                    for place in market.places
                ]
                return sorted(
                    (one for one in found if one.score >= self._least),
                    key=lambda one: (-one.score, one.price),
                )
        raise UnknownName(f"No quoted row of {symbol!r} has come yet, so it has no levels.")

    def update(self, batch: Batch, instruments: Sequence[Instrument]) -> tuple[LevelEvent, ...]:
        """Take the next batch of an engine.

        Parameters
        ----------
        batch : Batch
            With its SAMPLE rows (``keep_samples=True``).
        instruments : sequence of Instrument
            By slot (``engine.slots``).

        Returns
        -------
        tuple of LevelEvent
            What happened meanwhile.
        """
        found: list[LevelEvent] = []
        for one in self._stream.take(batch):
            market = self._markets.get(one.slot)
            if isinstance(one, Said):
                if market is not None:
                    self._hear(market, one)
            elif market is not None:
                found += self._look(market, one)
            elif one.quoted:
                self._markets[one.slot] = self._begin(one, instruments[one.slot])
        self._events.extend(found)
        return tuple(found)

    def _begin(self, row: Row, instrument: Instrument) -> Market:
        """Settle an instrument's zone at its first quoted row."""
        tick = instrument.tick
        bps = int(abs(row.bid + row.ask) * self._zone_bps / 20_000) // tick
        zone = max(round(self._zone_ticks), bps, 1) * tick
        half = max(zone // tick // 2, 1) * tick
        window, ticks, sds = self._swing
        swings = Swings(tick, window, ticks, sds)
        clusters = Clusters(tick, half, *self._cluster)
        swings.row(row)
        clusters.row(row)
        return Market(instrument, zone, half, swings, clusters, row, row.ts, (row.ts - 1) // MINUTE)

    def _hear(self, market: Market, said: Said) -> None:
        """Take a message that may be a sign."""
        held = said.detector == "wall" and said.phase == CLOSE and said.outcome == "held"
        kind = "wall" if held else kind_of(said.detector) if said.phase == OPEN else ""
        if not kind or said.price is None:
            return
        row = market.row
        before = row.bid + row.ask - 2 * said.price
        if before or said.side:
            support = before > 0 or (not before and said.side == "B")
            self._sign(market, said.ts, SUPPORT if support else RESISTANCE, said.price, kind)

    def _sign(self, market: Market, ts: int, side: int, price: int, kind: str) -> None:
        """Add a sign to the level it belongs to, or make one."""
        near = [p for p in market.places if p.side == side and abs(p.price - price) <= market.half]
        if near:
            place = min(near, key=lambda p: abs(p.price - price))
        else:
            place = Place(price, side, ts)
            place.settle(market.row, market.zone)
            market.places.append(place)
        place.signs[kind] = 1.0, ts
        if len(market.places) > self._most:
            market.places.remove(min(market.places, key=lambda p: p.scored(ts, self._half_life)))

    def _look(self, market: Market, row: Row) -> list[LevelEvent]:
        """Take a row."""
        market.ts = row.ts
        found: list[LevelEvent] = []
        if row.quoted:
            still = (row.bid, row.ask) == (market.row.bid, market.row.ask)
            market.row = row
            for place in market.places:
                if not still or place.distance(row) <= -market.zone:
                    found += self._judge(market, place, row)
            for side, price in market.swings.row(row):
                self._sign(market, row.ts, side, price, "swing")
        else:
            for place in market.places:
                place.beyond = None
        for price in market.clusters.row(row):
            before = market.row.bid + market.row.ask - 2 * price
            if before:
                self._sign(market, row.ts, SUPPORT if before > 0 else RESISTANCE, price, "cluster")
        if (row.ts - 1) // MINUTE != market.minute:
            market.minute = (row.ts - 1) // MINUTE
            market.places = [p for p in market.places if p.scored(row.ts, self._half_life) >= self._least]
        return found

    def _judge(self, market: Market, place: Place, row: Row) -> list[LevelEvent]:
        """Find out what a row means for a level."""
        found: list[LevelEvent] = []
        distance = place.distance(row)
        if place.state == AWAY and distance <= market.half:
            place.state = TOUCHED
            place.touches += 1
            found.append(self._event(market, place, row.ts, "touched"))
        elif place.state != AWAY and distance >= 2 * market.zone:
            held = place.state == TOUCHED
            place.state = AWAY
            if held:
                place.hold(row.ts, self._half_life)
                found.append(self._event(market, place, row.ts, "held"))
        if distance > -market.zone:
            place.beyond = None
        elif place.beyond is None:
            place.beyond = row.ts
        if place.beyond is not None and row.ts - place.beyond >= self._break:
            place.halve()
            found.append(self._event(market, place, row.ts, "broken"))
            place.side, place.touches = -place.side, 0
            place.settle(row, market.zone)
        return found

    def _event(self, market: Market, place: Place, ts: int, event: str) -> LevelEvent:
        return LevelEvent(
            ts,
            market.instrument.symbol,
            event,
            place.price / PRICE_SCALE,
            SIDES[place.side],
            place.scored(ts, self._half_life),
            place.touches,
        )
