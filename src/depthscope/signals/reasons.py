"""A row's signal with its reasons, for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depthscope.market.layouts import LIVE, STATE_NAMES
from depthscope.market.phases import Phase
from depthscope.signals.factors import BY_NAME
from depthscope.signals.model import CLIP, EXTENDED, LEAST, QUALITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.signals.model import Model, Term

__all__ = ["BANDS", "Reason", "Signal", "band_of", "contribution", "read_signal"]

WORDS = ("SELL", "NEUTRAL", "BUY")
BANDS = tuple(zip((*LEAST[::-1], 0.0), QUALITIES[::-1], strict=True))
"""Least confidence of each word (classic)."""
TOLD = 4
"""Reasons that are printed, the strongest."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One term of the model at one row.

    Attributes
    ----------
    factor : str
    contribution : float
        Its part in the log-odds of up against down; a stirring factor's, in those of any move.
    says : str
    value : float or None
        The factor as standardised, ±4 at most; None where it could not be known.
    leans : bool
        Whether it speaks for a side; stirring factors only make moves of either side likelier.
    """

    factor: str
    contribution: float
    says: str
    value: float | None
    leans: bool


@dataclass(frozen=True, slots=True)
class Signal:
    """What the model says of one row.

    Attributes
    ----------
    direction : {"BUY", "SELL", "NEUTRAL"} or None
        None where nothing may be said, see `why_not`.
    confidence, strength : float or None
        Probability of what `direction` says; |P(up) − P(down)|.
    p_up, p_down : float or None
    edge_bps : float or None
        Expected gain less cost, of the better side.
    band : str or None
        Word for the confidence: very strong, strong, moderate, weak.
    horizon : int
        ns.
    reasons : tuple of Reason
        Largest contribution first, leaning factors before stirring ones.
    calibrated : bool
        Whether probabilities are held to be frequencies; False for shipped weights.
    model, book : str
        Name of the model, state of the book.
    phase : str
        Session phase of the row; UNKNOWN where the calendar does not know.
    extended : bool
        Whether that is outside regular hours: thin books, of which the model may know little.
    baselines : {"regular", "extended"}
        Which means and scales factors were standardised with: ``extended`` where the model has some of
        its own for extended hours and the row is in them.
    why_not : str
        Why nothing is said, where nothing is.
    """

    direction: str | None
    confidence: float | None
    strength: float | None
    p_up: float | None
    p_down: float | None
    edge_bps: float | None
    band: str | None
    horizon: int
    reasons: tuple[Reason, ...]
    calibrated: bool
    model: str
    book: str
    phase: str = "UNKNOWN"
    extended: bool = False
    baselines: str = "regular"
    why_not: str = ""

    def __str__(self) -> str:
        if self.direction is None or self.confidence is None:
            return f"no signal: {self.why_not}"
        sure = "" if self.calibrated else ", uncalibrated"
        if self.extended:
            own = self.baselines == "extended"
            sure += ", extended hours" if own else ", extended hours by regular baselines"
        heard = [r for r in self.reasons if r.leans and r.contribution][:TOLD]
        why = "; ".join(f"{r.says} {r.contribution:+.2f}" for r in heard)
        return f"{self.direction} {self.confidence:.0%} ({self.band}{sure}){': ' + why if why else ''}"


def band_of(confidence: float) -> str:
    """Word for a confidence."""
    return next((word for least, word in BANDS if confidence >= least), BANDS[-1][1])


def contribution(term: Term, column: Callable[[str], float]) -> tuple[float | None, float]:
    """(standardised value or None, contribution to log-odds) of a term, as the kernel computes it."""
    factor = BY_NAME[term.factor]
    x = column(factor.column)
    if factor.less:
        x -= column(factor.less)
    if factor.over:
        over = sum(column(name) for name in factor.over)
        x = x / over if over > 0.0 else math.nan
    if math.isnan(x):
        return None, 0.0
    if factor.log:
        x = math.log1p(max(x, 0.0))
    value = min(max((x - term.mean) / term.scale, -CLIP), CLIP)
    return value, (2.0 if factor.leans else 1.0) * term.weight * value


def read_signal(model: Model, column: Callable[[str], float], state: int) -> Signal:
    """The signal of a row.

    Parameters
    ----------
    model : Model
        The one the row was made with.
    column : callable
        Value of a column by name, NaN where null.
    state : int
        The row's book state.
    """
    number = column("session_phase")
    phase = Phase.UNKNOWN if math.isnan(number) else Phase(int(number))
    reasons = []
    for term in model.terms_in(extended=phase in EXTENDED):
        value, part = contribution(term, column)
        factor = BY_NAME[term.factor]
        reasons.append(Reason(term.factor, part, factor.says, value, factor.leans))
    reasons.sort(key=lambda r: (not r.leans, -abs(r.contribution)))
    word = column("signal")
    said = not math.isnan(word)
    why_not = ""
    if not said:
        if state != LIVE:
            why_not = f"the book is {STATE_NAMES[state]}"
        elif phase == Phase.CLOSED:
            why_not = "the market is closed"
        else:
            why_not = "the book lacks a side or is crossed, or the venue does not trade continuously"
    confidence = column("signal_confidence")
    return Signal(
        direction=WORDS[int(word)] if said else None,
        confidence=confidence if said else None,
        strength=column("signal_strength") if said else None,
        p_up=column("p_up") if said else None,
        p_down=column("p_down") if said else None,
        edge_bps=column("signal_edge_bps") if said else None,
        band=band_of(confidence) if said else None,
        horizon=model.horizon,
        reasons=tuple(reasons) if said else (),
        calibrated=model.calibrated,
        model=model.name,
        book=STATE_NAMES[state],
        phase=phase.name,
        extended=phase in EXTENDED,
        baselines="extended" if model.extended and phase in EXTENDED else "regular",
        why_not=why_not,
    )
