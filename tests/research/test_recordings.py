"""`fit` and `score` on the recorded files."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthscope.errors import InputError
from depthscope.research.judging import fit, score
from depthscope.research.rows import NAMES, gather

BTC = "binance/btcusdt_20240808.gz"
ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def test_btc_one_second_ahead(data_dir: Path) -> None:
    card = score(data_dir / BTC, model="1s")["BTCUSDT"]
    assert not card.calibrated
    assert 250 <= card.independent <= 300
    imbalance = next(c for c in card.contenders if c.name == "imbalance only")
    neutral = next(c for c in card.contenders if c.name == "always neutral")
    assert imbalance.log_loss.value is not None and neutral.log_loss.value is not None
    assert imbalance.log_loss.value < neutral.log_loss.value, "the queue imbalance foretells the next second"
    assert imbalance.ic.low is not None and imbalance.ic.low > 0.2
    last = next(c for c in card.contenders if c.name == "last move")
    assert last.ic.low is not None and last.ic.low < 0.0
    assert any("before fees" in note for note in card.notes)


def test_rows_of_a_closed_market_are_not_judged(data_dir: Path) -> None:
    rows = gather(data_dir / ES)["ESH4"]
    assert not rows.usable[rows.phase == "CLOSED"].any()
    assert rows.usable.sum() == pytest.approx(36_000, abs=20)
    assert rows.factors.shape == (len(rows), len(NAMES))


def test_bad_arguments(data_dir: Path) -> None:
    with pytest.raises(InputError, match="no factor"):
        fit(data_dir / BTC, factors=["nonsense"])
    with pytest.raises(InputError, match="fee"):
        fit(data_dir / BTC, fee_bps=-1.0)
    with pytest.raises(InputError, match="duration"):
        fit(data_dir / BTC, horizon="soon")
    with pytest.raises(InputError, match="cannot be read"):
        score(data_dir / BTC, model="nowhere.json")
