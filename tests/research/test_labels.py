"""Labels are what happened after the horizon, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depthscope.research.labels import independent, moves_after, reveal
from tests.research.markets import SECOND, rows_of


def test_by_hand() -> None:
    rows = rows_of(np.array([100.0, 100.4, 101.0, 100.5, 99.0, 99.0]), half_spread=0.5)
    found = reveal(rows, 2 * SECOND, fee_bps=0.0)
    assert found.known.tolist() == [True, True, True, True, False, False]
    # 100 -> 101: +1; 100.4 -> 100.5: +0.1; 101 -> 99: -2; 100.5 -> 99: -1.5
    assert found.outcome.tolist() == [1, 0, -1, -1, 0, 0]
    assert found.move_bps[:4] == pytest.approx([100.0, 0.1 / 100.4 * 1e4, -2 / 101 * 1e4, -1.5 / 100.5 * 1e4])
    assert np.isnan(found.move_bps[4:]).all()
    assert found.cost_bps[0] == pytest.approx(50.0)


def test_a_move_of_just_the_cost_is_none() -> None:
    rows = rows_of(np.array([64_000.05, 64_000.10, 64_000.05]), half_spread=0.05)
    assert reveal(rows, SECOND, 0.0).outcome.tolist() == [0, 0, 0]
    assert reveal(rows, SECOND, 0.0).known.tolist() == [True, True, False]


def test_the_fee_is_part_of_the_cost() -> None:
    rows = rows_of(np.array([100.0, 101.0, 100.0]), half_spread=0.5)
    assert reveal(rows, SECOND, 49.0).outcome.tolist() == [1, -1, 0]
    assert reveal(rows, SECOND, 51.0).outcome.tolist() == [0, 0, 0]


def test_nothing_is_known_where_either_end_cannot_be_used() -> None:
    rows = rows_of(np.arange(100.0, 106.0))
    usable = np.array([True, True, False, True, True, True])
    found = reveal(replace(rows, usable=usable), SECOND, 0.0)
    assert found.known.tolist() == [True, False, False, True, True, False]


def test_a_gap_of_rows_takes_the_last_one_before_its_end() -> None:
    rows = rows_of(np.array([100.0, 101.0, 105.0]))
    sparse = replace(rows, ts=rows.ts + np.array([0, 0, 10 * SECOND]))
    assert moves_after(sparse, 5 * SECOND)[0] == pytest.approx(100.0)  # the row at 1 s stands at 5 s


def test_negative_prices() -> None:
    rows = rows_of(np.array([-10.0, -9.0, -10.0]), half_spread=0.25)
    found = reveal(rows, SECOND, 0.0)
    assert found.outcome.tolist() == [1, -1, 0]
    assert found.move_bps[0] == pytest.approx(1_000.0)


def test_a_mid_of_zero_has_no_label() -> None:
    rows = rows_of(np.array([0.0, 1.0, 2.0]), half_spread=0.25)
    assert reveal(rows, SECOND, 0.0).known.tolist() == [False, True, False]


def test_independent_horizons_do_not_overlap() -> None:
    rows = rows_of(np.full(100, 50.0))
    assert independent(rows, reveal(rows, 10 * SECOND, 0.0)) == 9
    assert independent(rows, reveal(rows, SECOND, 0.0)) == 99
    nothing = rows_of(np.zeros(0))
    assert independent(nothing, reveal(nothing, SECOND, 0.0)) == 0
