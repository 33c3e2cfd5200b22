"""Model files: what is written is read, and what is damaged is refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from depthscope.errors import InputError
from depthscope.research.fit import Fitted
from depthscope.runtime.models import default_model, load_model, model_named
from depthscope.signals.model import Baseline, Model, Term

GOOD = Model("m", 10**10, 0.5, (Term("spread", 1.0, 2.0, 0.1),), -1.0, 0.7, (0.9, 0.1), True, {"data": ["x"]})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    Fitted(GOOD, {}).save(file)
    assert load_model(file) == GOOD
    assert model_named(file) == GOOD
    assert model_named(str(file)) == GOOD
    assert model_named(GOOD) is GOOD
    assert model_named(None) == model_named("10s") == default_model("10s")


def test_baselines_of_extended_hours_are_saved_and_may_be_absent(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    own = replace(GOOD, extended=(Baseline("spread", 3.0, 4.0),))
    Fitted(own, {}).save(file)
    assert load_model(file) == own
    assert own.terms_in(extended=True) == (Term("spread", 3.0, 4.0, 0.1),)
    assert own.terms_in(extended=False) == own.terms
    assert GOOD.terms_in(extended=True) == GOOD.terms
    assert "extended" not in GOOD.to_dict(), "a file without them is as it was before there were any"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "format 1"),
        ({"terms": [{"factor": "nonsense", "mean": 0, "scale": 1, "weight": 1}]}, "nonsense"),
        ({"terms": [{"factor": "spread", "mean": 0, "scale": 0, "weight": 1}]}, "scale"),
        ({"terms": [{"factor": "spread", "mean": 0, "scale": 1, "weight": 1}] * 2}, "twice"),
        ({"terms": [{"factor": "spread"}]}, "damaged"),
        ({"intercept": float("nan")}, "finite"),
        ({"horizon": "soon"}, "duration"),
        ({"fee_bps": -1}, "not negative"),
        ({"platt": [1]}, "damaged"),
        ({"extended": [{"factor": "spread", "mean": 0, "scale": 0}]}, "extended hours must be positive"),
        ({"extended": [{"factor": "tape", "mean": 0, "scale": 1}]}, "of the terms' factors"),
        ({"extended": [{"factor": "spread", "mean": 0, "scale": 1}] * 2}, "in order"),
        ({"extended": [{"factor": "spread", "mean": float("inf"), "scale": 1}]}, "finite"),
        ({"extended": [{"factor": "spread"}]}, "damaged"),
        ({"extended": 1}, "damaged"),
    ],
)
def test_damage_is_told(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps(GOOD.to_dict() | change))
    with pytest.raises(InputError, match=says):
        load_model(file)


def test_no_json_and_no_file(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    with pytest.raises(InputError, match="cannot be read"):
        load_model(file)
    file.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        load_model(file)
    file.write_text("[]")
    with pytest.raises(InputError, match="no signal model"):
        load_model(file)
