"""Fitting a signal model: weights on early blocks, calibration on later ones, figures on the last.

Rows stand in order of time and are cut in three: 60 % to fit on, 20 % to calibrate on, 20 % to judge
by. At each cut rows are purged whose horizon reaches over it, so no outcome is on both sides. The
strength of regularisation is chosen walk-forward inside the first part alone.

Means and scales of factors are those of the instrument's regular hours, and of its extended hours for
rows in them, each from at least 1,000 rows (`APART`). With fewer in extended hours those of regular hours
serve there too; with fewer in regular hours, all rows make theirs.

The model is symmetric by construction: each row is used twice, once as it was and once upside down (leaning
factors and outcome with the other sign), so up and down share their weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.errors import InputError, MissingExtra, OutputError
from depthscope.research.labels import Labels, independent, reveal
from depthscope.research.metrics import Resampled, class_probabilities, log_loss, losses, reliability, squares
from depthscope.research.rows import NAMES, Rows
from depthscope.signals.factors import BY_NAME
from depthscope.signals.model import CLIP, Baseline, Model, Term

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["APART", "ENOUGH", "Baselines", "Fitted", "fit_model", "fit_terms", "predict", "walk_forward"]

Floats = npt.NDArray[np.float64]
ENOUGH: Final = 2_000  # independent labels behind the word calibrated
MOVES: Final = 100  # of them, those with a move beyond cost: what never happens calibrates nothing
LEAST: Final = 50  # independent labels to fit anything
APART: Final = 1_000  # rows behind means and scales of a kind of hours
STRENGTHS: Final = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Fitted:
    """A model and how it did on rows it had not seen.

    Attributes
    ----------
    model : Model
    metrics : mapping
        Figures on the last part, with intervals, beside those of the frequencies of the first part.
    """

    model: Model
    metrics: Mapping[str, Any]

    def save(self, path: str | Path) -> None:
        """Write the model file.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        try:
            Path(path).write_text(self.model.to_json(), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"The model cannot be written to {path}: {error.strerror or error}. Name a file in a folder "
                "that exists and that you may write to."
            ) from error


def standardised(rows: Rows, terms: Sequence[Term]) -> Floats:
    """(n, terms) array of clipped factors, 0 where unknown."""
    columns = []
    for term in terms:
        x = (rows.factors[:, NAMES.index(term.factor)] - term.mean) / term.scale
        columns.append(np.clip(np.nan_to_num(x, nan=0.0), -CLIP, CLIP))
    return np.column_stack(columns) if columns else np.zeros((len(rows), 0))


def scales(rows: Rows, names: Sequence[str]) -> tuple[Term, ...]:
    """Mean and scale of factors; those that never vary or are unknown are left out."""
    found = []
    for name in names:
        x = rows.factors[:, NAMES.index(name)]
        x = x[np.isfinite(x)]
        mean = 0.0 if BY_NAME[name].leans else float(x.mean()) if len(x) else 0.0
        scale = float(np.sqrt(np.mean((x - mean) ** 2))) if len(x) else 0.0
        if scale > 0.0:
            found.append(Term(name, mean, scale, 0.0))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Baselines:
    """Means and scales of an instrument's factors.

    Attributes
    ----------
    regular : tuple of Term
        Without weights.
    extended : tuple of Term
        The same factors in extended hours; none where `regular` serves there too.
    """

    regular: tuple[Term, ...]
    extended: tuple[Term, ...]

    def standardised(self, rows: Rows, names: Sequence[str]) -> Floats:
        """(n, names) array of clipped factors, each row by the baselines of its hours; 0 where unknown."""
        wide = np.zeros((len(rows), len(names)))
        outside = rows.extended if self.extended else np.zeros(len(rows), bool)
        for mask, terms in ((~outside, self.regular), (outside, self.extended)):
            known = [term for term in terms if term.factor in names]
            places = [names.index(term.factor) for term in known]
            wide[np.flatnonzero(mask)[:, None], places] = standardised(rows.part(mask), known)
        return wide


def baselines(rows: Rows, names: Sequence[str]) -> Baselines:
    """Means and scales of factors, by hours where there are rows enough.

    A factor that does not vary in extended hours keeps its regular ones there.
    """
    outside = rows.extended
    inside = rows.part(~outside) if np.count_nonzero(~outside) >= APART else rows
    regular = scales(inside, names)
    if np.count_nonzero(outside) < APART:
        return Baselines(regular, ())
    own = {term.factor: term for term in scales(rows.part(outside), names)}
    return Baselines(regular, tuple(own.get(term.factor, term) for term in regular))


def solved(solver: Any, x: Floats, outcome: npt.NDArray[Any]) -> Any:
    """A scikit-learn solver, fitted on one thread.

    For problems this small BLAS threads spend their time waiting for each other: on two busy cores a fit
    took six times as long with them.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        return solver.fit(x, outcome)


def fit_terms(
    x: Floats, leans: npt.NDArray[np.bool_], outcome: npt.NDArray[np.int8], strength: float
) -> tuple[Floats, float]:
    """(weights, intercept) of the symmetric model by penalised maximum likelihood.

    Parameters
    ----------
    x : float64 array (n, terms)
        Standardised factors.
    leans : bool array (terms,)
    outcome : int8 array (n,)
        -1, 0, 1.
    strength : float
        Inverse of the penalty (scikit-learn's ``C``).
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("Fitting needs scikit-learn: pip install 'depthscope[research]'.") from error
    moved = outcome != 0
    if not x.shape[1] or not moved.any() or moved.all():
        # Frequencies, kept off 0 and 1 by half a count, are all there is to learn.
        share = (moved.sum() + 0.5) / (len(moved) + 1.0)
        return np.zeros(x.shape[1]), float(np.log(share / 2.0 / (1.0 - share)))
    mirror = np.where(leans, -1.0, 1.0)
    both = np.concatenate([x, x * mirror])
    words = np.concatenate([outcome, -outcome]).astype(int)
    solver = solved(LogisticRegression(C=strength, max_iter=500, tol=1e-8), both, words)
    order = {int(c): k for k, c in enumerate(solver.classes_)}
    coefficients, intercepts = solver.coef_, solver.intercept_
    up, down, neither = (coefficients[order[c]] for c in (1, -1, 0))
    weights = np.where(leans, (up - down) / 2.0, (up + down) / 2.0 - neither)
    base = (intercepts[order[1]] + intercepts[order[-1]]) / 2.0 - intercepts[order[0]]
    return weights, float(base)


def predict(
    x: Floats, leans: npt.NDArray[np.bool_], weights: Floats, intercept: float
) -> tuple[Floats, Floats]:
    """(P(up), P(down)) of standardised factors, as `depthscope.signals.model` has it."""
    lean = x[:, leans] @ weights[leans]
    stir = intercept + x[:, ~leans] @ weights[~leans]
    up, down = np.exp(np.minimum(stir + lean, 700.0)), np.exp(np.minimum(stir - lean, 700.0))
    total = 1.0 + up + down
    return up / total, down / total


def leaning(terms: Sequence[Term]) -> npt.NDArray[np.bool_]:
    """Which terms lean."""
    return np.array([BY_NAME[term.factor].leans for term in terms], bool)


def cut(ts: npt.NDArray[np.int64], at: float) -> int:
    """Time at a share of the rows."""
    return int(ts[min(int(len(ts) * at), len(ts) - 1)])


def walk_forward(
    rows: Rows,
    labels: Labels,
    names: Sequence[str],
    *,
    blocks: int = 6,
    strength: float = 1e-2,
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Predict each block of rows by a model fitted on the blocks before it, purged.

    Parameters
    ----------
    rows, labels
        Of one instrument.
    names : sequence of str
        Factors to use; none gives the frequencies of earlier blocks.
    blocks : int
        Contiguous blocks of equal numbers of known rows; the first is only learned from.
    strength : float
        See `fit_terms`.

    Returns
    -------
    index : int64 array (m,)
        Rows predicted.
    p : float64 array (m, 3)
        P(down), P(neither), P(up).
    """
    known = np.flatnonzero(labels.known)
    edges = [int(len(known) * k / blocks) for k in range(blocks + 1)]
    indices, predicted = [], []
    for k in range(1, blocks):
        ahead = known[edges[k] : edges[k + 1]]
        if not len(ahead):
            continue
        past = known[: edges[k]]
        past = past[rows.ts[past] + labels.horizon <= rows.ts[ahead[0]]]
        if not len(past):
            continue
        learned = rows.part(past)
        own = baselines(learned, names)
        known_factors = [term.factor for term in own.regular]
        leans = leaning(own.regular)
        x = own.standardised(learned, known_factors)
        weights, base = fit_terms(x, leans, labels.outcome[past], strength)
        p = predict(own.standardised(rows.part(ahead), known_factors), leans, weights, base)
        indices.append(ahead)
        predicted.append(class_probabilities(*p))
    if not indices:
        return np.zeros(0, np.int64), np.zeros((0, 3))
    return np.concatenate(indices), np.concatenate(predicted)


def chosen_strength(rows: Rows, labels: Labels, names: Sequence[str]) -> float:
    """The strength whose walk-forward log-loss is least."""

    def loss(strength: float) -> float:
        index, p = walk_forward(rows, labels, names, blocks=4, strength=strength)
        return log_loss(p, labels.outcome[index]) if len(index) else np.inf

    return min(STRENGTHS, key=loss)


def platt(p_up: Floats, p_down: Floats, outcome: npt.NDArray[np.int8]) -> tuple[float, float]:
    """(A, B) of ``σ(A·logit(p) + B)`` fitted on forecasts of up and of down together (Platt 1999).

    (1, 0), no change, where one kind of outcome is all there was.
    """
    from sklearn.linear_model import LogisticRegression

    p = np.clip(np.concatenate([p_up, p_down]), 1e-9, 1.0 - 1e-9)
    happened = np.concatenate([outcome == 1, outcome == -1])
    if happened.all() or not happened.any():
        return 1.0, 0.0
    score = np.log(p / (1.0 - p))
    solver = solved(LogisticRegression(C=1e6, max_iter=500, tol=1e-10), score[:, None], happened)
    a, b = float(solver.coef_[0, 0]), float(solver.intercept_[0])
    return (a, b) if a > 0.0 else (1.0, 0.0)  # forecasts that point the wrong way are not turned about


def apply_platt(p: Floats, ab: tuple[float, float]) -> Floats:
    """Platt's map, as the kernel has it."""
    if ab == (1.0, 0.0):
        return p
    q = np.clip(p, 1e-12, 1.0 - 1e-12)
    mapped: Floats = 1.0 / (1.0 + np.exp(-(ab[0] * np.log(q / (1.0 - q)) + ab[1])))
    return mapped


def fit_model(
    rows: Rows | Sequence[Rows],
    *,
    horizon: int,
    fee_bps: float = 0.0,
    name: str = "",
    factors: Sequence[str] = NAMES,
    seed: int = 1,
    provenance: Mapping[str, Any] | None = None,
) -> Fitted:
    """Fit, calibrate and judge a model.

    Parameters
    ----------
    rows : Rows or sequence of them
        One instrument, or several to pool (each cut in three and scaled on its own).
    horizon : int
        ns.
    fee_bps : float
        Fee of a trade, part of the cost.
    name : str
        Of the model; the symbols by default.
    factors : sequence of str
        Those to use.
    seed : int
        Of the bootstrap.
    provenance : mapping, optional
        What to write into the model besides counts and metrics.

    Raises
    ------
    InputError
        When there are fewer than 50 independent labels, or no mid moved beyond the cost.
    """
    instruments = [rows] if isinstance(rows, Rows) else list(rows)
    parts: list[list[tuple[Rows, Labels]]] = [[], [], []]
    free = [0, 0, 0]
    for one in instruments:
        labels = reveal(one, horizon, fee_bps)
        if not labels.known.any():
            continue
        times = one.ts[labels.known]
        edges = [-(2**62), cut(times, 0.6), cut(times, 0.8), 2**62]
        for k in range(3):
            inside = labels.known & (one.ts >= edges[k]) & (one.ts + horizon <= edges[k + 1])
            piece = one.part(inside)
            parts[k].append((piece, reveal_part(labels, inside)))
            free[k] += independent(piece, parts[k][-1][1])
    if sum(free) < LEAST or not all(free):
        raise InputError(
            f"There are {sum(free)} labels of {horizon / 1e9:g} s that do not overlap, and a fit needs at "
            f"least {LEAST}. Give it longer recordings, or a shorter --horizon."
        )
    train, later, last = ([p for p in part if len(p[0])] for part in parts)
    if not any(labels.outcome.any() for _, labels in train):
        raise InputError(
            f"No mid moved by more than the cost within {horizon / 1e9:g} s (half the spread and a fee of "
            f"{fee_bps:g} bps): there is nothing to learn. Look farther ahead, or give longer recordings."
        )
    by_symbol = {piece.symbol: baselines(piece, factors) for piece, _ in train}
    terms, strength, weights, base = _train(train, by_symbol, factors)
    leans = leaning(terms)
    used = [term.factor for term in terms]

    def say(part: list[tuple[Rows, Labels]]) -> tuple[Floats, Floats]:
        x = [by_symbol[piece.symbol].standardised(piece, used) for piece, _ in part]
        said = [predict(wide, leans, weights, base) for wide in x]
        return np.concatenate([s[0] for s in said]), np.concatenate([s[1] for s in said])

    outcomes = [np.concatenate([labels.outcome for _, labels in part]) for part in (train, later, last)]
    ab = platt(*say(later), outcomes[1])
    p_up, p_down = (apply_platt(p, ab) for p in say(last))
    over = np.maximum(p_up + p_down, 1.0)
    p = class_probabilities(p_up / over, p_down / over)
    ts = np.concatenate([piece.ts for piece, _ in last])
    moving = sum(free[k] * float(np.mean(outcomes[k] != 0)) for k in (1, 2))
    calibrated = free[1] + free[2] >= ENOUGH and moving >= MOVES
    metrics = _judge(p, outcomes[2], outcomes[0], ts, horizon, seed)
    moves = np.concatenate([np.abs(labels.move_bps[labels.outcome != 0]) for _, labels in train])
    model = Model(
        name=name or "+".join(piece.symbol for piece, _ in train),
        horizon=horizon,
        fee_bps=fee_bps,
        terms=tuple(
            Term(t.factor, t.mean, t.scale, round(float(w), 6)) for t, w in zip(terms, weights, strict=True)
        ),
        intercept=base,
        move_bps=float(moves.mean()) if len(moves) else 0.0,
        platt=ab,
        calibrated=calibrated,
        provenance={
            **(provenance or {}),
            "symbols": [one.symbol for one in instruments],
            "independent_labels": {"fit": free[0], "calibration": free[1], "judged": free[2]},
            "enough_for_calibrated": ENOUGH,
            "regularisation": strength,
            "extended_rows": int(sum(piece.extended.sum() for piece, _ in train)),
            "metrics": metrics,
        },
        extended=_extended(by_symbol, terms),
    )
    return Fitted(model, metrics)


def reveal_part(labels: Labels, inside: npt.NDArray[np.bool_]) -> Labels:
    """Labels of some rows."""
    return Labels(
        labels.horizon,
        labels.move_bps[inside],
        labels.cost_bps[inside],
        labels.outcome[inside],
        labels.known[inside],
    )


def _pooled(sets: Sequence[tuple[Term, ...]], name: str) -> Term | None:
    """Mean and scale of a factor over instruments, None where none knows it."""
    own = [term for found in sets for term in found if term.factor == name]
    if not own:
        return None
    return Term(name, float(np.mean([t.mean for t in own])), float(np.mean([t.scale for t in own])), 0.0)


def _extended(by_symbol: Mapping[str, Baselines], terms: Sequence[Term]) -> tuple[Baseline, ...]:
    """Baselines of extended hours over the instruments that have some; none where none has."""
    sets = [own.extended for own in by_symbol.values() if own.extended]
    if not sets:
        return ()
    found = [_pooled(sets, term.factor) or term for term in terms]
    return tuple(Baseline(term.factor, term.mean, term.scale) for term in found)


def _train(
    train: list[tuple[Rows, Labels]], by_symbol: Mapping[str, Baselines], factors: Sequence[str]
) -> tuple[tuple[Term, ...], float, Floats, float]:
    """(terms with mean scales, strength, weights, intercept) of the first parts."""
    longest = max(train, key=lambda part: len(part[0]))
    strength = chosen_strength(*longest, factors)
    pooled = (_pooled([own.regular for own in by_symbol.values()], name) for name in factors)
    terms = tuple(term for term in pooled if term is not None)
    used = [term.factor for term in terms]
    x = np.concatenate([by_symbol[piece.symbol].standardised(piece, used) for piece, _ in train])
    outcome = np.concatenate([labels.outcome for _, labels in train])
    weights, base = fit_terms(x, leaning(terms), outcome, strength)
    return terms, strength, weights, base


def _judge(
    p: Floats,
    outcome: npt.NDArray[np.int8],
    before: npt.NDArray[np.int8],
    ts: npt.NDArray[np.int64],
    horizon: int,
    seed: int,
) -> dict[str, Any]:
    """Figures of forecasts beside those of the frequencies of an earlier part, with intervals."""
    moved = (np.count_nonzero(before) + 0.5) / (len(before) + 1.0)
    base = np.tile([moved / 2.0, 1.0 - moved, moved / 2.0], (len(p), 1))
    order = np.argsort(ts, kind="stable")
    p, base, outcome = p[order], base[order], outcome[order]
    drawn = Resampled(ts[order], 3 * horizon, seed)
    forecasts, happened = p[:, [2, 0]], np.column_stack([outcome == 1, outcome == -1])
    bins = reliability(forecasts.ravel(), happened.ravel())
    return {
        "rows": len(p),
        "log_loss": drawn.mean(losses(p, outcome)).to_dict(),
        "log_loss_frequencies": drawn.mean(losses(base, outcome)).to_dict(),
        "brier": drawn.mean(squares(p, outcome)).to_dict(),
        "brier_frequencies": drawn.mean(squares(base, outcome)).to_dict(),
        "calibration_error": drawn.calibration_error(forecasts, happened).to_dict(),
        "reliability": [[b.forecast, b.frequency, b.count] for b in bins],
        "seed": seed,
    }
