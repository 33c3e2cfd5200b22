"""A fit finds what was planted, judges itself on rows it had not seen, and knows when it knows too little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depthscope.errors import InputError
from depthscope.research.fit import (
    APART,
    ENOUGH,
    fit_model,
    fit_terms,
    leaning,
    platt,
    predict,
    scales,
    standardised,
    walk_forward,
)
from depthscope.research.labels import reveal
from depthscope.research.metrics import log_loss
from depthscope.research.rows import NAMES
from tests.research.markets import SECOND, planted, rows_of

USED = ("queue_imbalance", "spread")


def test_planted_weights_are_found() -> None:
    rows, truth = planted(40_000, 1)
    labels = reveal(rows, SECOND, 0.0)
    terms = scales(rows, USED)
    x = standardised(rows, terms)
    weights, base = fit_terms(x[labels.known], leaning(terms), labels.outcome[labels.known], 1e3)
    assert weights == pytest.approx([1.0, 0.5], abs=0.03)
    assert base == pytest.approx(-0.5, abs=0.03)
    up, down = predict(x, leaning(terms), weights, base)
    assert np.abs(up - truth[:, 2]).max() < 0.03
    assert np.abs(down - truth[:, 0]).max() < 0.03


def test_a_market_upside_down_has_the_same_weights() -> None:
    rows, _ = planted(3_000, 2)
    labels = reveal(rows, SECOND, 0.0)
    terms = scales(rows, USED)
    x, leans = standardised(rows, terms), leaning(terms)
    there = fit_terms(x, leans, labels.outcome, 0.1)
    back = fit_terms(x * np.where(leans, -1.0, 1.0), leans, -labels.outcome, 0.1)
    assert there[0] == pytest.approx(back[0], abs=1e-5)
    assert there[1] == pytest.approx(back[1], abs=1e-5)


def test_a_model_of_many_labels_is_calibrated_and_better_than_frequencies() -> None:
    rows, _ = planted(12_000, 3)
    fitted = fit_model(rows, horizon=SECOND, factors=USED)
    model, metrics = fitted.model, fitted.metrics
    assert model.calibrated
    assert model.provenance["independent_labels"]["calibration"] >= ENOUGH / 2
    assert metrics["log_loss"]["high"] < metrics["log_loss_frequencies"]["low"]
    assert metrics["brier"]["high"] < metrics["brier_frequencies"]["low"]
    assert metrics["calibration_error"]["value"] < 0.03
    assert model.platt[0] == pytest.approx(1.0, abs=0.1)
    assert model.platt[1] == pytest.approx(0.0, abs=0.1)
    assert model.move_bps == pytest.approx(2.0, rel=0.05)  # 2 of about 10,000


def test_too_few_labels_refuse_the_word_calibrated() -> None:
    rows, _ = planted(3_000, 4)
    model = fit_model(rows, horizon=SECOND, factors=USED).model
    free = model.provenance["independent_labels"]
    assert free["calibration"] + free["judged"] < ENOUGH
    assert not model.calibrated


def test_hardly_any_labels_are_refused() -> None:
    rows, _ = planted(45, 5)
    with pytest.raises(InputError, match="at least 50"):
        fit_model(rows, horizon=SECOND)


def test_no_outcome_is_on_both_sides_of_a_cut() -> None:
    rows, _ = planted(2_000, 6)
    horizon = 50 * SECOND
    labels = reveal(rows, horizon, 0.0)
    index, p = walk_forward(rows, labels, USED, blocks=4)
    assert (np.diff(index) > 0).all()
    # Change everything at and after the beginning of the last block: forecasts of earlier blocks stay.
    known = np.flatnonzero(labels.known)
    edge = known[int(len(known) * 3 / 4)]
    changed = rows.mid.copy()
    changed[edge:] = changed[edge:][::-1] + 500.0
    other = replace(rows, mid=changed)
    index_2, p_2 = walk_forward(other, reveal(other, horizon, 0.0), USED, blocks=4)
    early = index < edge
    assert index[early].tolist() == index_2[index_2 < edge].tolist()
    assert np.array_equal(p[early], p_2[index_2 < edge])


def test_walk_forward_without_factors_is_the_frequencies_so_far() -> None:
    rows, _ = planted(600, 7)
    labels = reveal(rows, SECOND, 0.0)
    index, p = walk_forward(rows, labels, (), blocks=3)
    first = index[0]
    past = labels.outcome[:first]  # the label of the last of them ends just then
    share = (np.count_nonzero(past) + 0.5) / (len(past) + 1.0)
    assert p[0] == pytest.approx([share / 2, 1 - share, share / 2])
    assert log_loss(p, labels.outcome[index]) > 0.0


def test_forecasts_that_point_the_wrong_way_are_not_turned_about() -> None:
    rng = np.random.default_rng(9)
    p = rng.uniform(0.05, 0.45, 4_000)
    wrong = np.where(rng.random(4_000) < 0.5 - p, 1, 0).astype(np.int8)
    assert platt(p, p[::-1], np.where(wrong, 1, -wrong[::-1])) == (1.0, 0.0)
    assert platt(p, p, np.zeros(4_000, np.int8)) == (1.0, 0.0)


def test_overconfident_forecasts_are_drawn_in() -> None:
    rows, truth = planted(20_000, 10, weight=1.5)
    outcome = reveal(rows, SECOND, 0.0).outcome
    logit = np.log(truth / (1.0 - truth))
    bold = 1.0 / (1.0 + np.exp(-2.0 * logit))
    a, b = platt(bold[:, 2], bold[:, 0], outcome)
    assert a == pytest.approx(0.5, abs=0.05)
    assert b == pytest.approx(0.0, abs=0.05)


def test_several_instruments_are_pooled_each_in_its_own_scale() -> None:
    one, _ = planted(6_000, 11)
    two, _ = planted(6_000, 12)
    k = NAMES.index("queue_imbalance")
    factors = two.factors.copy()
    factors[:, k] *= 1_000.0
    loud = replace(two, symbol="Y", factors=factors)
    model = fit_model([one, loud], horizon=SECOND, factors=USED).model
    weight = next(t.weight for t in model.terms if t.factor == "queue_imbalance")
    assert weight == pytest.approx(1.0, abs=0.1)
    assert model.name == "X+Y"


def test_extended_hours_are_scaled_on_their_own() -> None:
    """Five times as loud there, a factor has the same weight; too few rows of them have no scale."""
    rows, _ = planted(12_000, 13)
    k = NAMES.index("queue_imbalance")
    for outside, own in ((np.arange(12_000) % 4 == 0, True), (np.arange(12_000) % 12 == 0, False)):
        factors = rows.factors.copy()
        factors[outside, k] *= 5.0
        mixed = replace(rows, factors=factors, phase=np.where(outside, "OVERNIGHT", "MORNING"))
        model = fit_model(mixed, horizon=SECOND, factors=USED).model
        assert model.terms[0].scale == pytest.approx(1.0, rel=0.05), "of regular hours alone"
        if own:
            assert [b.factor for b in model.extended] == list(USED)
            assert model.extended[0].scale == pytest.approx(5.0, rel=0.05)
            assert model.terms[0].weight == pytest.approx(1.0, abs=0.1)
        else:
            assert model.provenance["extended_rows"] < APART
            assert model.extended == ()


def test_only_extended_hours_make_both() -> None:
    rows, _ = planted(6_000, 14)
    model = fit_model(replace(rows, phase=np.full(6_000, "OVERNIGHT")), horizon=SECOND, factors=USED).model
    assert [(b.factor, b.mean, b.scale) for b in model.extended] == [
        (t.factor, t.mean, t.scale) for t in model.terms
    ]


def test_a_market_that_never_moves() -> None:
    lean = np.random.default_rng(1).normal(size=3_000)
    rows = rows_of(np.full(3_000, 100.0), factors={"queue_imbalance": lean})
    with pytest.raises(InputError, match="nothing to learn"):
        fit_model(rows, horizon=SECOND)
