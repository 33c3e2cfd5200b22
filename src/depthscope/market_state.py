"""The state of a market at one moment, as one document with stable names.

``{"timestamp", "MARKET_STATE", "ACCOUNT_STATE", "ACTIVE_ORDERS"}``: what an automated trader or a language
model reads. Names are those of older tools; what is unknown is None, and ``WHY`` says why.
docs/state.schema.json is the JSON schema.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from depthscope.errors import BookUnavailable
from depthscope.features.registry import all_features
from depthscope.market.events import ASK, BID, PRICE_SCALE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, STATE_NAMES
from depthscope.market.times import format_time
from depthscope.signals.reasons import Signal, read_signal

if TYPE_CHECKING:
    import numpy.typing as npt

    from depthscope.engine import Batch, Engine
    from depthscope.signals.model import Model

__all__ = ["MarketState", "StateKeeper", "StateReport", "state_schema"]

STACK: Final = 3
WALLS: Final = 5


class Wall(msgspec.Struct, frozen=True):
    """An open wall; `distance_pct` is from mid, in percent."""

    side: str
    price: float
    size: float
    tier: str
    distance_pct: float | None


class Absorption(msgspec.Struct, frozen=True):
    """The newest absorption still open; `side` is that of the resting size, B or A."""

    side: str
    volume: float
    price: float


class Bar(msgspec.Struct, frozen=True):
    """The current footprint bar."""

    delta: float | None
    volume: float | None
    poc: float | None


class SignalState(msgspec.Struct, frozen=True):
    """What the model says; `reasons` are parts of the log-odds of up against down.

    `baselines` are ``regular`` or, where the model has some for extended hours, ``extended``.
    """

    direction: str | None
    confidence: float | None
    strength: float | None
    p_up: float | None
    p_down: float | None
    edge_bps: float | None
    quality: str | None
    extended: bool
    baselines: str
    horizon_seconds: float
    calibrated: bool
    model: str
    reasons: dict[str, float]


class MarketState(msgspec.Struct, frozen=True, rename="upper"):
    """One instrument at a row's boundary. Prices and sizes are in its own units.

    `aggressor` is ``told`` or ``inferred``: where sides of trades come from, and all that is made of them.
    """

    symbol: str
    venue: str
    book_state: str
    book_incomplete: bool
    data_quality: str | None
    aggressor: str | None
    time_session: str | None
    bid: float | None
    ask: float | None
    last: float | None
    mid: float | None
    weighted_mid: float | None
    microprice: float | None
    spread: float | None
    spread_bps: float | None
    l2_imbalance: float | None
    l2_imbalance_label: str | None
    bid_stack: list[list[float]]
    ask_stack: list[list[float]]
    dom_walls: list[Wall]
    ofi_1s: float | None
    ofi_10s: float | None
    tape_velocity: str | None
    tape_velocity_tps: float | None
    tape_velocity_percentile: float | None
    tape_sentiment: str | None
    tape_delta_1s: float | None
    tape_delta_5s: float | None
    large_prints_1m: int | None
    buy_pressure_10s: float | None
    cvd_session: float | None
    cvd_trend: str | None
    cvd_slope_5m: float | None
    hod: float | None
    lod: float | None
    vwap: float | None
    poc: float | None
    vah: float | None
    val: float | None
    footprint_curr_bar: Bar | None
    realised_volatility_60s: float | None
    absorption_detected: Absorption | None
    signal: SignalState | None
    why: dict[str, str]
    unavailable: list[str]


class StateReport(msgspec.Struct, frozen=True):
    """The whole document. What needs an account is None until there is one."""

    timestamp: str
    market: MarketState = msgspec.field(name="MARKET_STATE")
    account: None = msgspec.field(name="ACCOUNT_STATE", default=None)
    orders: None = msgspec.field(name="ACTIVE_ORDERS", default=None)


# Name in the document -> column; numbers first, words after them.
NUMBERS: Final = {
    "bid": "best_bid", "ask": "best_ask", "last": "last", "mid": "mid", "weighted_mid": "weighted_mid",
    "microprice": "microprice", "spread": "spread", "spread_bps": "spread_bps",
    "l2_imbalance": "imbalance_ratio", "ofi_1s": "ofi_1s", "ofi_10s": "ofi_10s",
    "tape_velocity_tps": "tape_velocity", "tape_velocity_percentile": "tape_velocity_percentile",
    "tape_delta_1s": "delta_1s", "tape_delta_5s": "delta_5s",
    "large_prints_1m": "large_prints_1m", "buy_pressure_10s": "buy_pressure_10s", "cvd_session": "cvd",
    "cvd_slope_5m": "cvd_slope_5m", "hod": "hod", "lod": "lod", "vwap": "vwap",
    "poc": "poc", "vah": "vah", "val": "val", "realised_volatility_60s": "realised_volatility_60s",
}  # fmt: skip
LABELS: Final = {
    "time_session": "session_phase", "l2_imbalance_label": "imbalance_label",
    "tape_velocity": "tape_velocity_label", "tape_sentiment": "tape_sentiment", "cvd_trend": "cvd_trend",
    "data_quality": "data_quality",
}  # fmt: skip
OF_THE_BOOK: Final = (
    "bid", "ask", "mid", "weighted_mid", "microprice", "spread", "spread_bps", "l2_imbalance",
    "l2_imbalance_label", "ofi_1s", "ofi_10s",
)  # fmt: skip
# What null means where the feed tells what is needed and the book is LIVE.
MEANS: Final = {
    "last": "no trade in this session yet",
    "hod": "no trade in this session yet",
    "lod": "no trade in this session yet",
    "vwap": "no trade in this session yet",
    "poc": "no trade in this session yet",
    "vah": "no trade in this session yet",
    "val": "no trade in this session yet",
    "tape_sentiment": "fewer than 5 trades with a known aggressor in 10 s",
    "tape_velocity_percentile": "no day before tells of this time of day",
    "large_prints_1m": "too few prints yet to know what is large here",
    "buy_pressure_10s": "no trade with a known aggressor in 10 s",
    "cvd_slope_5m": "less than a minute of trade yet",
    "cvd_trend": "less than a minute of trade yet",
    "realised_volatility_60s": "less than a minute of mids yet",
}


class StateKeeper:
    """Keeps what :meth:`state` tells, fed with an engine's batches.

    Parameters
    ----------
    engine : Engine
        Made with all features and detectors and ``keep_samples=True``.
    model : Model, optional
        The one the engine's signals are made with.
    """

    def __init__(self, engine: Engine, model: Model | None = None) -> None:
        self._engine, self._model = engine, model
        self._place = {column.name: k for k, column in enumerate(engine.columns)}
        self._labels = {column.name: column.labels for column in engine.columns}
        self._source = {c.name: f.name for f in all_features() for c in f.columns}
        self._rows: dict[int, tuple[Any, npt.NDArray[np.float64], Any]] = {}
        self._walls: dict[tuple[int, int], Any] = {}
        self._absorbed: dict[tuple[int, int], Any] = {}

    def update(self, batch: Batch) -> None:
        """Take the rows and messages of a batch.

        Parameters
        ----------
        batch : Batch
        """
        from depthscope.detectors import DETECTORS

        kept = {DETECTORS.index("wall") + 1: self._walls, DETECTORS.index("absorption") + 1: self._absorbed}
        for record in batch.detections:
            matters = kept.get(int(record["detector"]))
            if matters is not None:
                key = int(record["slot"]), int(record["number"])
                if record["phase"] == CLOSE:
                    matters.pop(key, None)
                else:
                    matters[key] = record.copy()
        slots = batch.meta["slot"]
        for slot in np.unique(slots):
            at = int(np.flatnonzero(slots == slot)[-1])
            sample = None if batch.samples is None else batch.samples[at].copy()
            self._rows[int(slot)] = batch.meta[at].copy(), batch.values[:, at].copy(), sample

    def state(self, symbol: str | int) -> StateReport:
        """State of an instrument at its last row.

        Parameters
        ----------
        symbol : str or int
            Or its slot.

        Raises
        ------
        BookUnavailable
            When it has had no row yet.
        """
        slot = self._engine.slot(symbol)
        if slot not in self._rows:
            raise BookUnavailable(
                f"{symbol} has had no row yet: there is no state to tell. A row needs a boundary of the grid "
                "after its first event, and an event after that."
            )
        meta, values, sample = self._rows[slot]
        instrument = self._engine.slots[slot]
        unavailable = self._engine.unavailable(slot)
        live = int(meta["state"]) == LIVE

        def number(column: str) -> float | None:
            value = float(values[self._place[column]]) if column in self._place else math.nan
            return None if math.isnan(value) else value

        def word(column: str) -> str | None:
            value = number(column)
            return None if value is None else self._labels[column][int(value)]

        found: dict[str, Any] = {name: number(column) for name, column in NUMBERS.items()}
        found |= {name: word(column) for name, column in LABELS.items()}
        if not live:  # what a book that is not LIVE shows is no state of the market
            found |= dict.fromkeys(OF_THE_BOOK)
            sample = None
        why = {}
        for name, column in (NUMBERS | LABELS).items():
            if found[name] is None:
                feature = self._source.get(column, column)
                if feature in unavailable:
                    why[name.upper()] = "the feed does not tell what it needs"
                elif not live:
                    why[name.upper()] = f"the book is {STATE_NAMES[int(meta['state'])]}"
                else:
                    why[name.upper()] = MEANS.get(name, "a side of the book is empty")
        if found["large_prints_1m"] is not None:
            found["large_prints_1m"] = int(found["large_prints_1m"])
        aggressor = "told" if instrument.capabilities & Capability.AGGRESSOR else None
        if instrument.infers:
            aggressor = "inferred"
        if aggressor is None:
            why["AGGRESSOR"] = "the feed tells neither it nor trades and quotes to infer it from"
        if "absorption" in unavailable:
            why["ABSORPTION_DETECTED"] = "the feed does not tell what it needs"
        absorbed = self._absorption(slot)
        if absorbed is None:
            why.setdefault("ABSORPTION_DETECTED", "none is open")
        heard = None
        if self._model is not None:
            place = self._place
            heard = read_signal(self._model, lambda name: float(values[place[name]]), int(meta["state"]))
        if heard is not None and heard.direction is None:
            why["SIGNAL.DIRECTION"] = heard.why_not
        if number("bar_poc") is None:
            why["FOOTPRINT_CURR_BAR.POC"] = "nothing traded in this bar yet"
        if "wall" in unavailable:
            why["DOM_WALLS"] = "the feed does not tell what it needs"
        if self._model is None:
            why["SIGNAL"] = "no model was given"
        market = MarketState(
            symbol=instrument.symbol,
            venue=instrument.venue,
            book_state=STATE_NAMES[int(meta["state"])],
            book_incomplete=bool(meta["incomplete"]),
            aggressor=aggressor,
            bid_stack=_stack(sample, "bid", instrument.size_ratio),
            ask_stack=_stack(sample, "ask", instrument.size_ratio),
            dom_walls=self._nearest(slot, found["mid"], sample) if live else [],
            footprint_curr_bar=Bar(number("bar_delta"), number("bar_volume"), number("bar_poc")),
            absorption_detected=absorbed,
            signal=None if heard is None else _signal_state(heard),
            why=why,
            unavailable=list(unavailable),
            **found,
        )
        return StateReport(format_time(int(meta["ts"])), market)

    def _nearest(self, slot: int, mid: float | None, sample: Any) -> list[Wall]:
        """Walls, the nearest first, with their size now where the row shows it."""
        now = _sizes(sample)
        times, over = self._engine.slots[slot].size_ratio
        walls = []
        for (of, _), record in self._walls.items():
            if of == slot:
                price = int(record["price"]) / PRICE_SCALE
                away = None if not mid else abs(price - mid) / abs(mid) * 100.0
                tier = ("", "MINOR", "MAJOR")[int(record["label"])]
                size = now.get((int(record["side"]), int(record["price"])), int(record["size"]))
                walls.append(Wall(chr(record["side"]), price, size * times / over, tier, away))
        return sorted(walls, key=lambda w: (w.distance_pct or 0.0, w.price))[:WALLS]

    def _absorption(self, slot: int) -> Absorption | None:
        times, over = self._engine.slots[slot].size_ratio
        mine = [record for (of, _), record in self._absorbed.items() if of == slot]
        if not mine:
            return None
        newest = max(mine, key=lambda record: (int(record["opened"]), int(record["number"])))
        return Absorption(
            chr(newest["side"]), int(newest["size"]) * times / over, int(newest["price"]) / PRICE_SCALE
        )


def _signal_state(said: Signal) -> SignalState:
    """What a signal says, without its stirring terms."""
    return SignalState(
        direction=said.direction,
        confidence=said.confidence,
        strength=said.strength,
        p_up=said.p_up,
        p_down=said.p_down,
        edge_bps=said.edge_bps,
        quality=said.band,
        extended=said.extended,
        baselines=said.baselines,
        horizon_seconds=said.horizon / 1e9,
        calibrated=said.calibrated,
        model=said.model,
        reasons={r.factor: r.contribution for r in said.reasons if r.leans and r.contribution},
    )


def _sizes(sample: Any) -> dict[tuple[int, int], int]:
    """Size in lots by side and price of a row's levels."""
    if sample is None:
        return {}
    found = {}
    for side, name in ((BID, "bid"), (ASK, "ask")):
        for k in range(int(sample[f"n_{name}"])):
            found[side, int(sample[f"{name}_price"][k])] = int(sample[f"{name}_size"][k])
    return found


def _stack(sample: Any, side: str, ratio: tuple[int, int]) -> list[list[float]]:
    """The best prices of a side with their sizes."""
    if sample is None:
        return []
    n = min(int(sample[f"n_{side}"]), STACK)
    prices, sizes = sample[f"{side}_price"][:n].tolist(), sample[f"{side}_size"][:n].tolist()
    return [[p / PRICE_SCALE, q * ratio[0] / ratio[1]] for p, q in zip(prices, sizes, strict=True)]


def state_schema() -> dict[str, Any]:
    """JSON schema of the document."""
    return msgspec.json.schema(StateReport)
