"""A scorecard tells a good model from a worthless one, and says so in a report of one file."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from depthscope.research.fit import leaning, predict, standardised
from depthscope.research.labels import reveal
from depthscope.research.report import report_html
from depthscope.research.rows import Rows
from depthscope.research.scorecard import Card, _shuffled, score_rows
from depthscope.signals.model import Model, Term
from tests.research.markets import SECOND, planted, rows_of

TRUTH = (Term("queue_imbalance", 0.0, 1.0, 1.0), Term("spread", 0.0, 1.0, 0.5))


def said_by(model: Model, rows: Rows) -> Rows:
    """Rows with what the model says of each, as the engine would have it."""
    weights = np.array([t.weight for t in model.terms])
    up, down = predict(standardised(rows, model.terms), leaning(model.terms), weights, model.intercept)
    edge = np.abs(up - down) * model.move_bps - rows.half_spread / rows.mid * 1e4
    direction = np.where(edge > 0.0, np.sign(up - down), 0.0)
    confidence = np.choose(direction.astype(int) + 1, [down, 1 - up - down, up])
    return replace(rows, p_up=up, p_down=down, direction=direction, confidence=confidence)


@pytest.fixture(scope="module")
def good() -> Card:
    model = Model("true", SECOND, 0.0, TRUTH, -0.5, 2.0)
    rows, _ = planted(6_000, 21)
    return score_rows(said_by(model, rows), model)


def test_the_true_model_beats_what_costs_nothing(good: Card) -> None:
    by = {c.name: c for c in good.contenders}
    assert list(by) == ["true", "fitted here", "always neutral", "imbalance only", "last move", "shuffled"]
    true, neutral = by["true"], by["always neutral"]
    assert true.log_loss.high is not None and neutral.log_loss.low is not None
    assert true.log_loss.high < neutral.log_loss.low
    assert by["fitted here"].log_loss.value == pytest.approx(true.log_loss.value, abs=0.02)
    assert true.calibration_error.value is not None and true.calibration_error.value < 0.03
    assert true.ic.low is not None and true.ic.low > 0.3
    for name in ("last move", "shuffled"):
        found, base = by[name].log_loss.value, neutral.log_loss.value
        assert found is not None and base is not None and found > base - 0.01, f"{name} knows nothing"
        ic = by[name].ic
        assert ic.low is None or ic.high is None or ic.low < 0.0 < ic.high


def test_its_calls_pay(good: Card) -> None:
    assert good.overall.calls > 500
    assert good.overall.net_bps.low is not None and good.overall.net_bps.low > 0.0
    assert good.overall.hit_rate.value is not None and good.overall.hit_rate.value > 0.5
    assert sum(group.calls for group in good.bands) == good.overall.calls
    assert sum(group.rows for group in good.phases) == good.judged
    assert good.frequencies["up"] + good.frequencies["down"] + good.frequencies["neither"] == pytest.approx(
        1.0
    )
    curve = dict(good.markouts["calls"])
    assert curve[1.0].value == pytest.approx(good.overall.gross_bps.value)


def test_a_backward_model_is_worse_than_nothing_and_is_told() -> None:
    backward = tuple(replace(t, weight=-t.weight) for t in TRUTH)
    model = Model("backward", SECOND, 0.0, backward, -0.5, 2.0)
    rows, _ = planted(3_000, 22)
    card = score_rows(said_by(model, rows), model)
    assert any("no better than" in note for note in card.notes)
    assert card.overall.net_bps.high is not None and card.overall.net_bps.high < 0.0
    assert card.contenders[0].ic.high is not None and card.contenders[0].ic.high < 0.0


def test_a_silent_model_is_told_silent() -> None:
    model = Model("silent", SECOND, 0.0, (), -3.0, 0.0)
    rows, _ = planted(1_500, 23)
    card = score_rows(said_by(model, rows), model)
    assert card.overall.calls == 0
    assert card.overall.net_bps.value is None
    assert any("never said BUY or SELL" in note for note in card.notes)


def test_too_little_data_is_told() -> None:
    model = Model("m", 60 * SECOND, 0.0, TRUTH, -0.5, 2.0)
    card = score_rows(rows_of(np.full(30, 100.0)), model)
    assert card.judged == 0
    assert "Too little data" in card.notes[0]
    assert "no horizon ends inside it" in card.notes[0]
    assert "Too little data" in report_html([card])


def test_too_few_horizons_are_counted() -> None:
    model = Model("m", SECOND, 0.0, TRUTH, -0.5, 2.0)
    card = score_rows(rows_of(np.full(2, 100.0)), model)
    assert (card.judged, card.independent > 0) == (0, True)
    assert f"horizons that do not overlap: {card.independent}, too few" in card.notes[0]


@pytest.mark.parametrize("seed", range(12))
def test_the_control_is_never_the_fit_itself(seed: int) -> None:
    """Of two or three blocks of rows, chance often leaves all in place."""
    rows, _ = planted(70, 5)
    labels = reveal(rows, SECOND, 0.0)
    moved = _shuffled(rows, labels, seed).factors
    assert not np.array_equal(moved, rows.factors, equal_nan=True)
    assert sorted(moved[:, 0].tolist()) == sorted(rows.factors[:, 0].tolist())


def test_the_same_seed_gives_the_same_card(good: Card) -> None:
    model = Model("true", SECOND, 0.0, TRUTH, -0.5, 2.0)
    rows, _ = planted(6_000, 21)
    assert score_rows(said_by(model, rows), model) == good


def test_a_report_is_one_file_of_well_formed_html(good: Card) -> None:
    page = report_html([replace(good, symbol="<X & Y>")], "A <title>")
    assert report_html([replace(good, symbol="<X & Y>")], "A <title>") == page

    still_open: list[str] = []
    alone = {"meta", "path", "use", "rect", "image", "link", "line"}

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in alone:
                still_open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in alone:
                assert still_open.pop() == tag

    Balance().feed(page)
    assert still_open == []
    assert "&lt;X &amp; Y&gt;" in page and "A &lt;title&gt;" in page
    assert page.count("<svg") == 3
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "<script" not in page
    assert "–" in page or "[" in page
