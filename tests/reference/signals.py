"""Signals in plain Python, from an engine's columns and what its detectors said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from depthscope.detectors.messages import Detection
from depthscope.signals.factors import BY_NAME
from depthscope.signals.model import Model

SECOND = 10**9
RESTING = ("iceberg", "refill", "absorption", "hidden")
AGGRESSIVE = ("sweep", "burst", "large_trader")
THIN = (2, 8, 9)  # numbers of PRE_MARKET, AFTER_HOURS and OVERNIGHT
Answer = dict[str, float]


def factor_value(name: str, column: Callable[[str], float]) -> float:
    """Raw value of a factor, NaN where it cannot be known."""
    factor = BY_NAME[name]
    x = column(factor.column) - (column(factor.less) if factor.less else 0.0)
    if factor.over:
        total = math.fsum(column(over) for over in factor.over)
        if math.isnan(total) or total <= 0.0:
            return math.nan
        x /= total
    return math.log1p(max(x, 0.0)) if factor.log and not math.isnan(x) else x


def probabilities(model: Model, column: Callable[[str], float]) -> tuple[float, float]:
    """(P(up), P(down)) of a row."""
    lean, stir = 0.0, model.intercept
    own = {}
    if column("session_phase") in THIN:
        own = {baseline.factor: baseline for baseline in model.extended}
    for term in model.terms:
        x = factor_value(term.factor, column)
        if math.isnan(x):
            continue
        base = own.get(term.factor, term)
        z = (x - base.mean) / base.scale
        z = max(-4.0, min(4.0, z))
        if BY_NAME[term.factor].leans:
            lean += term.weight * z
        else:
            stir += term.weight * z
    odds = [math.exp(stir + lean), math.exp(stir - lean), 1.0]
    up, down = odds[0] / sum(odds), odds[1] / sum(odds)
    a, b = model.platt
    if (a, b) != (1.0, 0.0):
        up, down = (1.0 / (1.0 + math.exp(-(a * math.log(p / (1.0 - p)) + b))) for p in (up, down))
    if up + down > 1.0:
        up, down = up / (up + down), down / (up + down)
    return up, down


def answer(model: Model, column: Callable[[str], float]) -> Answer:
    """Signal columns of a row that may have a signal."""
    up, down = probabilities(model, column)
    cost = column("spread_bps") / 2.0 + model.fee_bps
    edge = abs(up - down) * model.move_bps - cost
    word = (2.0 if up > down else 0.0) if edge > 0.0 else 1.0
    return {
        "signal": word,
        "signal_confidence": {0.0: down, 1.0: max(1.0 - up - down, 0.0), 2.0: up}[word],
        "signal_strength": abs(up - down),
        "signal_edge_bps": edge,
        "p_up": up,
        "p_down": down,
    }


def balances(said: Iterable[Detection], ts: int) -> tuple[int, int]:
    """(resting, aggressive) balance of what was opened in the last 60 whole seconds, of messages known."""
    now = ts // SECOND
    found = [0, 0]
    for message in said:
        if message.phase == "open" and now - 60 < message.ts // SECOND <= now:
            for kind, names in enumerate((RESTING, AGGRESSIVE)):
                if message.detector in names:
                    found[kind] += 1 if message.side == "B" else -1
    return found[0], found[1]


def wall_lean(said: Iterable[Detection], bid: float, ask: float, tick: float) -> float:
    """How much nearer the nearest open bid wall is than the nearest ask wall."""
    walls: dict[int, Detection] = {}
    for message in said:
        if message.detector == "wall":
            walls[message.number] = message
    near = {"B": 0.0, "A": 0.0}
    for wall in walls.values():
        if wall.phase != "close" and wall.price is not None:
            away = max(bid - wall.price if wall.side == "B" else wall.price - ask, 0.0) / tick
            near[wall.side] = max(near[wall.side], 1.0 / (1.0 + away))
    return near["B"] - near["A"]
