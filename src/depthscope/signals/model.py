"""A signal model: weights of factors, what a move is, calibration, and where all that comes from.

With standardised factors ``x`` (leaning) and ``s`` (stirring), clipped to ±CLIP:

* lean ``a = Σ wᵢ·xᵢ``, stir ``b = b₀ + Σ vⱼ·sⱼ``;
* P(up), P(down), P(neither) ∝ ``exp(b + a)``, ``exp(b − a)``, ``1``.

A factor is standardised with the mean and scale of its term. In extended hours (`EXTENDED`: before and
after the cash session, overnight in futures), whose books are thinner, a model may have others, its
``extended`` baselines; weights stay the same.

So ``2a`` is the log-odds of up against down, and its terms are the reasons. Up and down share their
numbers: turned upside down, a market gives the opposite signal and the same confidence.

*Up* is: the mid moves up by more than the cost (half the spread plus ``fee_bps``) within the horizon, read
at its end. Calibration, where there is one, is Platt's: ``p′ = σ(A·logit(p) + B)`` for up and down alike.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from depthscope.errors import InputError
from depthscope.market.phases import Phase
from depthscope.market.times import parse_duration
from depthscope.signals.factors import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLIP", "EXTENDED", "FORMAT", "Baseline", "Model", "Term"]

FORMAT: Final = 1
QUALITIES: Final = ("weak", "moderate", "strong", "very strong")
LEAST: Final = (0.4, 0.6, 0.8)
"""Confidence from which each word but the first is said (classic)."""
CLIP: Final = 4.0
EXTENDED: Final = frozenset({Phase.PRE_MARKET, Phase.AFTER_HOURS, Phase.OVERNIGHT})
"""Session phases outside regular hours."""


@dataclass(frozen=True, slots=True)
class Term:
    """A factor's part in the model: ``weight · clip((x − mean) / scale)``."""

    factor: str
    mean: float
    scale: float
    weight: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a factor is in extended hours: its mean and scale there."""

    factor: str
    mean: float
    scale: float


@dataclass(frozen=True, slots=True)
class Model:
    """Everything a signal is computed with.

    Attributes
    ----------
    name : str
        Shown beside signals.
    horizon : int
        ns.
    fee_bps : float
        Part of the cost, besides half the spread.
    terms : tuple of Term
        Factors not named here play no part.
    intercept : float
        b₀.
    move_bps : float
        Mean size of the moves beyond cost it was fitted on: what a right call brings before cost.
    platt : tuple of float
        (A, B); (1, 0) changes nothing.
    calibrated : bool
        Whether enough independent labels stood behind the calibration.
    provenance : mapping
        Data, dates, counts, metrics: whatever tells where the numbers come from.
    extended : tuple of Baseline
        Means and scales of extended hours, one for each term in the order of `terms`; none where the
        model has none of its own for them, and terms' serve at all hours.
    """

    name: str
    horizon: int
    fee_bps: float
    terms: tuple[Term, ...]
    intercept: float
    move_bps: float
    platt: tuple[float, float] = (1.0, 0.0)
    calibrated: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)
    extended: tuple[Baseline, ...] = ()

    def __post_init__(self) -> None:
        numbers = [self.fee_bps, self.intercept, self.move_bps, *self.platt]
        for term in self.terms:
            if term.factor not in BY_NAME:
                raise InputError(
                    f"Model {self.name}: there is no factor called {term.factor!r}; known are "
                    f"{', '.join(BY_NAME)}. The file is of another version: fit it again."
                )
            if term.scale <= 0.0:
                raise InputError(f"Model {self.name}: the scale of {term.factor} must be positive.")
            numbers += [term.mean, term.scale, term.weight]
        for baseline in self.extended:
            if baseline.scale <= 0.0:
                raise InputError(
                    f"Model {self.name}: the scale of {baseline.factor} in extended hours must be positive."
                )
            numbers += [baseline.mean, baseline.scale]
        if self.extended and [b.factor for b in self.extended] != [term.factor for term in self.terms]:
            raise InputError(
                f"Model {self.name}: baselines of extended hours must be of the terms' factors, in order."
            )
        if len({term.factor for term in self.terms}) < len(self.terms):
            raise InputError(f"Model {self.name}: a factor is named twice.")
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(f"Model {self.name}: every number must be finite.")
        if self.horizon <= 0 or self.fee_bps < 0.0 or self.move_bps < 0.0:
            raise InputError(f"Model {self.name}: horizon must be positive, fee and move not negative.")

    def terms_in(self, *, extended: bool) -> tuple[Term, ...]:
        """Terms with the means and scales in force in extended hours, or in others.

        Parameters
        ----------
        extended : bool
        """
        if not self.extended or not extended:
            return self.terms
        pairs = zip(self.terms, self.extended, strict=True)
        return tuple(replace(term, mean=own.mean, scale=own.scale) for term, own in pairs)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON; ``extended`` only where there is any."""
        data = asdict(self)
        data["terms"] = [asdict(term) for term in self.terms]
        data["extended"] = [asdict(baseline) for baseline in self.extended]
        if not self.extended:
            del data["extended"]
        data["platt"] = list(self.platt)
        data["horizon"] = f"{self.horizon}ns"
        return {"format": FORMAT, **data}

    @classmethod
    def from_dict(cls, data: Any, where: str = "model") -> Model:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            When it is something else.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise InputError(
                f"{where} is no signal model of format {FORMAT}. Write one: depthscope fit FILE --out {where}"
            )
        try:
            return cls(
                name=str(data["name"]),
                horizon=parse_duration(data["horizon"]),
                fee_bps=float(data["fee_bps"]),
                terms=tuple(
                    Term(str(t["factor"]), float(t["mean"]), float(t["scale"]), float(t["weight"]))
                    for t in data["terms"]
                ),
                intercept=float(data["intercept"]),
                move_bps=float(data["move_bps"]),
                platt=(float(data["platt"][0]), float(data["platt"][1])),
                calibrated=data["calibrated"] is True,
                provenance=dict(data["provenance"]),
                extended=tuple(
                    Baseline(str(b["factor"]), float(b["mean"]), float(b["scale"]))
                    for b in data.get("extended", ())
                ),
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InputError(f"{where} is a damaged signal model: {error!r}. Fit it again.") from error

    def to_json(self) -> str:
        """As the text of a model file."""
        return json.dumps(self.to_dict(), indent=1) + "\n"
