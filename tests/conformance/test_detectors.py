"""Every detector, shipped or to come, keeps the contract of docs/ADD_A_DETECTOR.md."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from depthscope.detectors import DETECTORS
from depthscope.detectors.kit import SENSITIVITIES, Detector
from depthscope.detectors.registry import all_detectors, chosen, detector
from depthscope.engine import Engine
from depthscope.errors import UnknownName
from depthscope.features.registry import all_features
from depthscope.market.events import Events
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import CLOSE, OPEN, UPDATE
from depthscope.runtime.sources import open_source


@pytest.fixture(params=all_detectors(), ids=lambda d: d.name)
def each(request: pytest.FixtureRequest) -> Detector:
    return request.param


@cache
def stream() -> tuple[tuple[Events, ...], dict[tuple[int, int], Instrument]]:
    """Some minutes of the synthetic market, two instruments."""
    source = open_source("synthetic:seed=5,minutes=12,symbols=2")
    chunks = tuple(chunk.copy() for chunk in source.chunks())
    return chunks, dict(source.instruments)


@cache
def said(name: str | None, sensitivity: str = "medium", has: Capability | None = None) -> npt.NDArray[Any]:
    """Messages of one detector, or of all together."""
    chunks, instruments = stream()

    def resolve(publisher: int, number: int) -> Instrument:
        found = instruments[publisher, number]
        if has is None:
            return found
        return Instrument(found.venue, found.symbol, found.tick, found.lot, capabilities=has)

    engine = Engine(resolve, features=[], detectors=None if name is None else [name], sensitivity=sensitivity)
    return np.concatenate([*(engine.process(c).detections for c in chunks), engine.finish().detections])


def test_places_are_numbers(each: Detector) -> None:
    assert DETECTORS[each.number - 1] == each.name
    assert detector(each.name) is each


def test_it_documents_itself(each: Detector) -> None:
    assert len(each.doc.split()) > 40
    assert each.evidence
    assert len(set(each.evidence)) == len(each.evidence)
    for words in (each.labels, each.outcomes):
        assert words[0] == "", "the first word is for none"
        for word in words[1:]:
            assert word in each.doc, f"{word!r} is not explained"
    for name in each.settings:
        assert name.startswith(f"{each.name}_"), "settings are shared by all: they carry the detector's name"
        assert f"`{name}`" in each.doc or name.removeprefix(f"{each.name}_") in each.doc


def test_presets_change_settings_there_are(each: Detector) -> None:
    assert set(each.presets) <= {"low", "high"}
    for values in each.presets.values():
        assert set(values) <= set(each.settings)
    others = {name for f in all_features() for name in f.settings}
    assert not others & set(each.settings)


def test_matters_are_opened_once_and_closed_at_most_once(each: Detector) -> None:
    found = said(each.name)
    assert len(found), "the synthetic market has none of these"
    assert (np.diff(found["ts"]) >= 0).all()
    for slot in np.unique(found["slot"]):
        mine = found[found["slot"] == slot]
        opened: dict[int, int] = {}
        closed: set[int] = set()
        for record in mine:
            number, phase = int(record["number"]), int(record["phase"])
            if phase == OPEN:
                assert number == len(opened) + 1
                opened[number] = int(record["ts"])
            else:
                assert phase in (UPDATE, CLOSE)
                assert number in opened
            assert number not in closed
            assert record["opened"] == opened[number]
            if phase == CLOSE:
                closed.add(number)
            else:
                assert record["outcome"] == 0


def test_numbers_are_finite_and_words_are_known(each: Detector) -> None:
    found = said(each.name)
    assert np.isfinite(found["evidence"]).all()
    assert np.isfinite(found["strength"]).all()
    assert (found["size"] >= 0).all()
    assert (found["detector"] == each.number).all()
    assert set(found["label"].tolist()) <= set(range(len(each.labels)))
    assert set(found["outcome"].tolist()) <= set(range(len(each.outcomes)))
    assert not found["evidence"][:, len(each.evidence) :].any()


def test_the_others_make_no_difference(each: Detector) -> None:
    together = said(None)
    assert together[together["detector"] == each.number].tobytes() == said(each.name).tobytes()


def test_nothing_is_said_of_a_feed_that_cannot_support_it(each: Detector) -> None:
    assert not len(said(each.name, "medium", Capability(0)))


def test_sensitivities_order(each: Detector) -> None:
    opens = [int((said(each.name, level)["phase"] == OPEN).sum()) for level in SENSITIVITIES]
    assert opens == sorted(opens)
    if not each.presets:
        assert len(set(opens)) == 1


def test_wrong_names_are_refused() -> None:
    with pytest.raises(UnknownName, match="iceberg"):
        detector("icebreg")
    with pytest.raises(UnknownName, match="medium"):
        chosen(None, "extreme")
    assert chosen([]) == ()
