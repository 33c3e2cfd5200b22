"""Accumulation and distribution: somebody takes a position while the price stays where it is.

At least `accumulation_count` (3) icebergs, absorptions or hidden orders of one side were opened in the last
`accumulation_minutes` (15) minutes, while the price moved by less than `accumulation_sds` (1) realised
standard deviation: (Σ dₖ)² < sds² · Σ dₖ², where dₖ are the changes of mid from one whole second to the
next over those minutes. A mid that did not move at all has held. Side B (whoever it is buys) is
ACCUMULATION, side A is DISTRIBUTION. Nothing is opened before a minute of rows.

It is not in `DETECTORS`, as it reads what detectors say: feed it an engine's batches. Detectors are
known by their names, any with ``iceberg``, ``absorption`` or ``hidden`` in them; the side is the label's
where that says BUYER or SELLER, else the message's. What is found is told as `Detection`, at rows with
a LIVE book of two sides: opened, updated with each further detection, and closed as

* ``over``: fewer than that many are left within those minutes;
* ``moved``: the price has moved by ten sevenths of what it may.

``price`` is that of the latest detection, ``size`` the sum of their sizes as last said, ``strength`` their
number. A walk moves by less than its standard deviation in two of three cases: that the
price held is no proof of anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Final

from depthscope.detectors.follow import Moves, Row, Said, Stream, kind_of
from depthscope.detectors.kit import SENSITIVITIES
from depthscope.detectors.messages import Detection
from depthscope.errors import UnknownName
from depthscope.features.kit import SECOND
from depthscope.market.events import PRICE_SCALE
from depthscope.market.layouts import OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from depthscope.features.batch import Batch
    from depthscope.market.instruments import Instrument

__all__ = ["PRESETS", "SETTINGS", "Accumulations"]

NAME: Final = "accumulation"
KEEP: Final = 0.7
FEWEST_SECONDS: Final = 60
LABELS: Final = {"B": "ACCUMULATION", "A": "DISTRIBUTION"}
SETTINGS: Final[Mapping[str, float]] = {
    "accumulation_count": 3.0,
    "accumulation_minutes": 15.0,
    "accumulation_sds": 1.0,
}
PRESETS: Final[Mapping[str, Mapping[str, float]]] = {
    "low": {"accumulation_count": 4.0},
    "high": {"accumulation_count": 2.0},
}


@dataclass(slots=True)
class Counted:
    """A detection that counts."""

    opened: int
    kind: str
    side: str
    price: int | None
    size: int


@dataclass(slots=True)
class Matter:
    """What is open on a side."""

    number: int
    opened: int
    newest: tuple[str, int]  # the latest detection it has told of


@dataclass(slots=True)
class Market:
    """What is known of one instrument."""

    instrument: Instrument
    moves: Moves
    counted: dict[tuple[str, int], Counted] = field(default_factory=dict)  # by detector and number
    open: dict[str, Matter] = field(default_factory=dict)  # by side
    count: int = 0


class Accumulations:
    """Accumulation and distribution of any number of instruments, from an engine's batches.

    Parameters
    ----------
    sensitivity : {"low", "medium", "high"}
        Preset of the settings.
    settings : mapping of str to float, optional
        Settings that differ from the preset.
    """

    def __init__(self, sensitivity: str = "medium", settings: Mapping[str, float] | None = None) -> None:
        if sensitivity not in SENSITIVITIES:
            raise UnknownName(f"No sensitivity is called {sensitivity!r}; choose {', '.join(SENSITIVITIES)}.")
        chosen = {**SETTINGS, **PRESETS.get(sensitivity, {}), **(settings or {})}
        unknown = sorted(set(chosen) - set(SETTINGS))
        if unknown:
            raise UnknownName(f"No setting is called {unknown[0]!r}; there are {', '.join(SETTINGS)}.")
        self._fewest = int(chosen["accumulation_count"])
        self._seconds = int(60 * chosen["accumulation_minutes"])
        self._sds = chosen["accumulation_sds"]
        self._stream = Stream()
        self._markets: dict[int, Market] = {}

    def update(self, batch: Batch, instruments: Sequence[Instrument]) -> tuple[Detection, ...]:
        """Take the next batch of an engine.

        Parameters
        ----------
        batch : Batch
            With its SAMPLE rows (``keep_samples=True``).
        instruments : sequence of Instrument
            By slot (``engine.slots``).

        Returns
        -------
        tuple of Detection
            What is told meanwhile.
        """
        found: list[Detection] = []
        for one in self._stream.take(batch):
            market = self._markets.get(one.slot)
            if market is None:
                market = self._markets[one.slot] = Market(instruments[one.slot], Moves(self._seconds))
            if isinstance(one, Said):
                self._hear(market, one)
            elif one.quoted:
                found += self._look(market, one)
        return tuple(found)

    def _hear(self, market: Market, said: Said) -> None:
        """Take a message that may count."""
        key, kind = (said.detector, said.number), kind_of(said.detector)
        if kind and said.phase == OPEN and said.buyer:
            market.counted[key] = Counted(said.ts, kind, said.buyer, said.price, said.size)
        elif key in market.counted:
            market.counted[key].size = said.size

    def _look(self, market: Market, row: Row) -> list[Detection]:
        """Take a quoted row."""
        market.moves.row(row)
        edge = row.ts - self._seconds * SECOND
        for key in [key for key, one in market.counted.items() if one.opened <= edge]:
            del market.counted[key]
        found: list[Detection] = []
        for side in LABELS:
            keys = [key for key, one in market.counted.items() if one.side == side]
            matter = market.open.get(side)
            if matter is not None:
                outcome = "over" if len(keys) < self._fewest else "" if self._held(market, KEEP) else "moved"
                if outcome:
                    del market.open[side]
                    found.append(self._tell(market, matter, row, side, "close", outcome))
                elif keys[-1] != matter.newest:
                    matter.newest = keys[-1]
                    found.append(self._tell(market, matter, row, side, "update", None))
            elif (
                len(keys) >= self._fewest
                and market.moves.seconds >= FEWEST_SECONDS
                and self._held(market, 1.0)
            ):
                market.count += 1
                matter = market.open[side] = Matter(market.count, row.ts, keys[-1])
                found.append(self._tell(market, matter, row, side, "open", None))
        return found

    def _held(self, market: Market, share: float) -> bool:
        """Whether the price moved by less than it may ÷ `share`."""
        moves, most = market.moves, self._sds / share
        return moves.moved == 0 or moves.moved * moves.moved < most * most * moves.squares

    def _tell(
        self, market: Market, matter: Matter, row: Row, side: str, phase: str, outcome: str | None
    ) -> Detection:
        """Tell how it stands."""
        mine = [one for one in market.counted.values() if one.side == side]
        prices = [one.price for one in mine if one.price is not None]
        times, over = market.instrument.size_ratio
        twice = 2 * market.instrument.tick
        evidence = {
            "detections": float(len(mine)),
            **{f"{kind}s": float(sum(o.kind == kind for o in mine)) for kind in ("iceberg", "absorption")},
            "hidden": float(sum(one.kind == "hidden" for one in mine)),
            "return_ticks": market.moves.moved / twice,
            "sd_ticks": sqrt(market.moves.squares) / twice,
            "seconds": (row.ts - mine[0].opened) / SECOND if mine else 0.0,
        }
        return Detection(
            ts=row.ts,
            opened=matter.opened,
            detector=NAME,
            symbol=market.instrument.symbol,
            number=matter.number,
            phase=phase,
            side=side,
            price=prices[-1] / PRICE_SCALE if prices else None,
            size=sum(one.size for one in mine) * times / over,
            strength=float(len(mine)),
            label=LABELS[side],
            outcome=outcome,
            evidence=evidence,
        )
