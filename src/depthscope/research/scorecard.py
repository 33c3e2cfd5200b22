"""Scorecard: how good a model's signals were on recorded data, beside what costs nothing.

Every figure is of rows a forecast was made for before its outcome was seen. What is compared stands on
the same rows: the model as given; the same factors fitted here, block by block on the blocks before; and

* ``always neutral``: the frequencies of the blocks before;
* ``imbalance only``: the queue imbalance alone, fitted likewise;
* ``last move``: the move of the last horizon alone, fitted likewise;
* ``shuffled``: the factors of this fit in a wrong order of time, which must be worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from depthscope.research.fit import walk_forward
from depthscope.research.labels import Labels, independent, moves_after, reveal
from depthscope.research.metrics import (
    Bin,
    Interval,
    Resampled,
    class_probabilities,
    losses,
    reliability,
    squares,
)
from depthscope.research.rows import NAMES
from depthscope.signals.reasons import BANDS, band_of

if TYPE_CHECKING:
    from depthscope.research.rows import Rows
    from depthscope.signals.model import Model

__all__ = ["MARKOUTS", "Card", "Contender", "Group", "score_rows"]

Floats = npt.NDArray[np.float64]
SECOND: Final = 10**9
MARKOUTS: Final = tuple(int(s * SECOND) for s in (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300))
BLOCKS: Final = 6
LAST_MOVE: Final = "queue_change"  # the place the last move takes when it stands in for a factor


@dataclass(frozen=True)
class Contender:
    """One way to forecast, judged.

    Attributes
    ----------
    name : str
    log_loss, brier, calibration_error, ic : Interval
        Nats; 0…2; expected calibration error 0…1; Spearman's correlation of P(up) − P(down) with the move.
    bins : tuple of Bin
        Reliability of P(up) and P(down) together.
    """

    name: str
    log_loss: Interval
    brier: Interval
    calibration_error: Interval
    ic: Interval
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Group:
    """BUY and SELL signals of one session phase or confidence band.

    Attributes
    ----------
    name : str
    rows, calls : int
        All of the group; those that said BUY or SELL.
    hit_rate : Interval
        Share of calls whose move beyond cost came, in their direction.
    gross_bps, net_bps : Interval
        Mean move in the call's direction; the same less the cost.
    """

    name: str
    rows: int
    calls: int
    hit_rate: Interval
    gross_bps: Interval
    net_bps: Interval


@dataclass(frozen=True)
class Card:
    """Scorecard of one instrument.

    Attributes
    ----------
    symbol, model : str
    calibrated : bool
        What the model says of itself.
    horizon : int
        ns.
    fee_bps : float
    rows, judged, independent : int
        Rows of the grid; those judged; horizons among them that do not overlap.
    frequencies : dict of str to float
        How often the mid moved up, down, neither, beyond cost.
    mean_cost_bps, mean_move_bps : float
        Cost, and absolute move, of the judged rows.
    contenders : tuple of Contender
        The model first.
    overall : Group
    phases, bands : tuple of Group
    markouts : dict of str to list of (seconds, Interval)
        Mean move in the direction of ``calls``, and of the tenth of rows with the strongest lean
        (``strongest tenth``), after each time, bps.
    notes : tuple of str
        What must be known to read the figures.
    data : tuple of dict
        What was read: names, and hashes of files.
    span : (int, int) or None
        Time of the first and the last judged row, UTC ns.
    """

    symbol: str
    model: str
    calibrated: bool
    horizon: int
    fee_bps: float
    rows: int
    judged: int
    independent: int
    frequencies: dict[str, float]
    mean_cost_bps: float
    mean_move_bps: float
    contenders: tuple[Contender, ...]
    overall: Group
    phases: tuple[Group, ...]
    bands: tuple[Group, ...]
    markouts: dict[str, list[tuple[float, Interval]]]
    notes: tuple[str, ...] = field(default=())
    data: tuple[dict[str, str], ...] = field(default=())
    span: tuple[int, int] | None = None


def score_rows(rows: Rows, model: Model, *, seed: int = 1) -> Card:
    """Judge a model on the rows of one instrument, which were made with it.

    Parameters
    ----------
    rows : Rows
        From `gather` with this model.
    model : Model
    seed : int
        Of bootstrap and shuffling.
    """
    labels = reveal(rows, model.horizon, model.fee_bps)
    index, fitted = walk_forward(rows, labels, NAMES, blocks=BLOCKS)
    if not len(index):
        return _empty(rows, model, labels)
    mine = rows.part(index)
    outcome, move, cost = labels.outcome[index], labels.move_bps[index], labels.cost_bps[index]
    drawn = Resampled(mine.ts, max(3 * model.horizon, 10 * SECOND), seed)
    forecasts = {
        model.name: class_probabilities(mine.p_up, mine.p_down),
        "fitted here": fitted,
        "always neutral": walk_forward(rows, labels, (), blocks=BLOCKS)[1],
        "imbalance only": walk_forward(rows, labels, ("queue_imbalance",), blocks=BLOCKS)[1],
        "last move": walk_forward(_last_move(rows, model.horizon), labels, (LAST_MOVE,), blocks=BLOCKS)[1],
        "shuffled": walk_forward(_shuffled(rows, labels, seed), labels, NAMES, blocks=BLOCKS)[1],
    }
    contenders = tuple(_judge(name, p, outcome, move, drawn) for name, p in forecasts.items())
    groups = _Groups(mine, outcome, move, cost, drawn)
    everything = np.ones(len(mine), bool)
    return Card(
        symbol=rows.symbol,
        model=model.name,
        calibrated=model.calibrated,
        horizon=model.horizon,
        fee_bps=model.fee_bps,
        rows=len(rows),
        judged=len(mine),
        independent=independent(mine, _part(labels, index)),
        frequencies={
            word: float(np.mean(outcome == number))
            for word, number in (("up", 1), ("down", -1), ("neither", 0))
        },
        mean_cost_bps=float(cost.mean()),
        mean_move_bps=float(np.abs(move).mean()),
        contenders=contenders,
        overall=groups.of("all", everything),
        phases=tuple(groups.of(str(name), mine.phase == name) for name in dict.fromkeys(mine.phase.tolist())),
        bands=tuple(groups.of(word, groups.band == word) for _, word in BANDS),
        markouts=_markouts(rows, index, drawn),
        notes=_notes(model, mine, contenders),
        span=(int(mine.ts[0]), int(mine.ts[-1])),
    )


def _part(labels: Labels, index: npt.NDArray[np.int64]) -> Labels:
    return Labels(
        labels.horizon,
        labels.move_bps[index],
        labels.cost_bps[index],
        labels.outcome[index],
        labels.known[index],
    )


def _last_move(rows: Rows, horizon: int) -> Rows:
    """The same rows with the last horizon's move in the place of a factor."""
    before = np.searchsorted(rows.ts, rows.ts - horizon, side="right") - 1
    seen = (before >= 0) & rows.usable & rows.usable[before]
    move = np.where(seen, rows.mid - rows.mid[before], np.nan)
    factors = rows.factors.copy()
    factors[:, NAMES.index(LAST_MOVE)] = move
    return replace(rows, factors=factors)


def _shuffled(rows: Rows, labels: Labels, seed: int) -> Rows:
    """The same rows with the factors of other times, in blocks, so that they hang together as before."""
    known = np.flatnonzero(labels.known)
    rng = np.random.default_rng(seed)
    pieces = np.array_split(known, max(len(known) // 50, 2))
    places = rng.permutation(len(pieces))
    while np.array_equal(places, np.arange(len(pieces))):  # often so of two or three
        places = rng.permutation(len(pieces))
    order = np.concatenate([pieces[k] for k in places])
    factors = rows.factors.copy()
    factors[known] = rows.factors[order]
    return replace(rows, factors=factors)


def _judge(name: str, p: Floats, outcome: npt.NDArray[np.int8], move: Floats, drawn: Resampled) -> Contender:
    forecasts = p[:, [2, 0]]
    happened = np.column_stack([outcome == 1, outcome == -1])
    return Contender(
        name=name,
        log_loss=drawn.mean(losses(p, outcome)),
        brier=drawn.mean(squares(p, outcome)),
        calibration_error=drawn.calibration_error(forecasts, happened),
        ic=drawn.information_coefficient(p[:, 2] - p[:, 0], move),
        bins=reliability(forecasts.ravel(), happened.ravel()),
    )


class _Groups:
    """Figures of calls, group by group, on the same bootstrap draws."""

    def __init__(
        self,
        rows: Rows,
        outcome: npt.NDArray[np.int8],
        move: Floats,
        cost: Floats,
        drawn: Resampled,
    ) -> None:
        self.direction = rows.direction
        self.hit = (outcome == rows.direction).astype(float)
        self.gross = move * rows.direction
        self.net = self.gross - cost
        self.drawn = drawn
        self.band = np.array([band_of(confidence) for confidence in rows.confidence.tolist()])

    def of(self, name: str, member: npt.NDArray[np.bool_]) -> Group:
        """Figures of some rows."""
        calls = member & (self.direction != 0.0)
        return Group(
            name=name,
            rows=int(member.sum()),
            calls=int(calls.sum()),
            hit_rate=self.drawn.mean(self.hit, calls),
            gross_bps=self.drawn.mean(self.gross, calls),
            net_bps=self.drawn.mean(self.net, calls),
        )


def _markouts(
    rows: Rows, index: npt.NDArray[np.int64], drawn: Resampled
) -> dict[str, list[tuple[float, Interval]]]:
    direction = rows.direction[index]
    lean = (rows.p_up - rows.p_down)[index]
    strong = np.abs(lean) >= np.quantile(np.abs(lean), 0.9)
    groups = {"calls": direction, "strongest tenth": np.where(strong, np.sign(lean), 0.0)}
    found: dict[str, list[tuple[float, Interval]]] = {name: [] for name in groups}
    for horizon in MARKOUTS:
        move = moves_after(rows, horizon)[index]
        for name, side in groups.items():
            found[name].append((horizon / SECOND, drawn.mean(move * side, (side != 0.0) & ~np.isnan(move))))
    return found


def _notes(model: Model, rows: Rows, contenders: tuple[Contender, ...]) -> tuple[str, ...]:
    notes = []
    if model.fee_bps == 0.0:
        notes.append("The fee is 0: cost is half the spread alone, and every figure is before fees.")
    if not model.calibrated:
        notes.append("The model is uncalibrated: its probabilities are not to be read as frequencies.")
    if not np.any(rows.direction):
        notes.append(
            "It never said BUY or SELL of the judged rows: at none did the expected gain beat half the "
            "spread plus the fee."
        )
    mine, neutral = contenders[0].log_loss, next(c for c in contenders if c.name == "always neutral").log_loss
    if mine.value is not None and neutral.value is not None and mine.value >= neutral.value:
        notes.append("Its log-loss is no better than that of always saying how often things happen.")
    return tuple(notes)


def _empty(rows: Rows, model: Model, labels: Labels) -> Card:
    nothing = Interval(None, None, None, 0)
    apart = independent(rows, labels)
    why = (
        f"horizons that do not overlap: {apart}, too few to fit on some and to judge on others"
        if apart
        else "no horizon ends inside it with a usable book before and after"
    )
    return Card(
        symbol=rows.symbol, model=model.name, calibrated=model.calibrated, horizon=model.horizon,
        fee_bps=model.fee_bps, rows=len(rows), judged=0, independent=apart,
        frequencies={}, mean_cost_bps=0.0, mean_move_bps=0.0, contenders=(),
        overall=Group("all", 0, 0, nothing, nothing, nothing), phases=(), bands=(), markouts={},
        notes=(f"Too little data: {why}.",),
    )  # fmt: skip
