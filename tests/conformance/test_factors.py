"""Every factor of signals, shipped or to come, is explained, known and leans as it says."""

from __future__ import annotations

import pytest

from depthscope.features.registry import all_features
from depthscope.runtime.models import HORIZONS, default_model
from depthscope.signals.factors import FACTORS, OWN, Factor
from depthscope.signals.signal import OUT


@pytest.fixture(params=FACTORS, ids=lambda f: f.name)
def factor(request: pytest.FixtureRequest) -> Factor:
    return request.param


def test_it_is_made_of_columns_there_are(factor: Factor) -> None:
    columns = {c.name for f in all_features() for c in f.columns} | {c.name for c in OUT}
    assert set(factor.columns) <= columns
    assert set(OWN) <= columns


def test_it_says_what_it_means(factor: Factor) -> None:
    assert factor.says
    assert factor.says == factor.says.strip()


def test_what_stirs_is_never_negative_or_signed(factor: Factor) -> None:
    if not factor.leans:
        assert factor.log, "what stirs is a size: its logarithm is taken"


@pytest.mark.parametrize("horizon", HORIZONS)
def test_shipped_weights_are_of_factors_there_are(horizon: str) -> None:
    names = [term.factor for term in default_model(horizon).terms]
    assert len(set(names)) == len(names)
    assert set(names) <= {f.name for f in FACTORS}
