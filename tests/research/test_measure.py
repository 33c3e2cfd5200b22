"""Measuring from end to end, on a small quiet market and on the recordings."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import pytest

from depthscope.errors import ConfigError, UnknownName
from depthscope.research.measure import measure
from depthscope.research.recording import Recording, record
from tests.research.streams import Quiet
from tests.rules.project import ROOT

ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


@pytest.fixture(scope="module")
def quiet() -> Recording:
    return record(Quiet(seconds=300))


def test_a_quiet_market_hides_nothing(quiet: Recording) -> None:
    found = measure(quiet, ["iceberg", "sweep"], n=20, runs=3)
    for name in ("iceberg", "sweep"):
        score = found[name]
        assert score.n >= 20
        assert (score.found, score.false, score.repeats) == (score.n, 0, 0)
        assert (score.recall.value, score.precision.value) == (1.0, 1.0)
        assert score.clean == 0
        assert score.latency.value < 1.0
    decoys = {k.kind: k for s in found.scores for k in s.kinds}
    assert decoys["one_level"].decoys > 0
    assert decoys["one_level"].fooled == decoys["two_aggressors"].fooled == 0


def test_the_sensitivity_decides_what_is_a_decoy(quiet: Recording) -> None:
    low, high = (measure(quiet, ["wall"], sensitivity=s, n=500, runs=2)["wall"] for s in ("low", "high"))
    assert low.runs == high.runs == 2
    totals = [sum(k.real + k.decoys for k in s.kinds) for s in (low, high)]
    assert totals[0] == totals[1]
    assert low.n < high.n


def test_it_repeats_itself(quiet: Recording) -> None:
    one, two = (measure(quiet, ["sweep"], n=5, seed=9).to_dict() for _ in range(2))
    assert json.dumps(one) == json.dumps(two)


def test_what_nothing_is_injected_for_has_its_alerts_an_hour() -> None:
    found = measure(Quiet(by_order=False, seconds=120), ["exhaustion", "iceberg"], n=1, runs=1)
    assert found["exhaustion"].hourly.value == 0.0
    assert math.isnan(found["exhaustion"].recall.value)
    assert math.isnan(found["iceberg"].hourly.value)  # levels show no orders
    table = found.table()
    assert "| exhaustion | 0 | 0 | – | – |" in table


def test_the_table_has_a_line_a_detector_and_a_kind(quiet: Recording) -> None:
    lines = measure(quiet, ["sweep", "wall"], n=2, runs=1).table().splitlines()
    assert [line.split("|")[1].strip() for line in lines if line][2:4] == ["sweep", "wall"]
    assert sum("| sweep |" in line for line in lines[1:]) == 1 + 3


def test_wrong_arguments_are_refused(quiet: Recording) -> None:
    with pytest.raises(ConfigError):
        measure(quiet, n=0)
    with pytest.raises(UnknownName):
        measure(quiet, ["no such"])


@pytest.mark.real_data
def test_es_detectors_are_worth_something(data_dir: Path) -> None:
    found = measure(str(data_dir / ES), ["iceberg", "sweep", "wall"], n=40)
    for score in found.scores:
        assert score.n >= 40
        assert score.precision.value >= 0.9
        assert score.recall.value >= 0.8
    assert found["iceberg"].clean == 3


def test_the_page_is_made_of_measurements(quiet: Recording) -> None:
    spec = importlib.util.spec_from_file_location("docs_measured", ROOT / "docs" / "measured.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    found = measure(quiet, ["sweep"], n=2, runs=1)
    text = page.section(found)
    assert text.startswith("## ORD\n")
    assert found.table() in text
    assert "seed 1" in text
    shipped = (ROOT / "docs" / "MEASURED.md").read_text(encoding="utf-8")
    assert shipped.startswith(page.ABOUT)
    assert shipped.endswith(page.LIMITS + "\n")
