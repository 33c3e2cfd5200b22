"""Every feature, shipped or to come, keeps the contract of docs/ADD_A_FEATURE.md."""

from __future__ import annotations

import inspect
import re
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from depthscope.engine import Batch, Engine
from depthscope.features import FEATURES
from depthscope.features.kit import Feature
from depthscope.features.registry import all_features, feature, select
from depthscope.market.events import Events
from depthscope.market.instruments import Capability, Instrument
from depthscope.runtime.sources import open_source

SHIPPED = [f for f in all_features() if f.name in FEATURES]
COMPARE_DAYS = ("rvol", "tape_percentile")
UNITS = re.compile(r"[a-z]+(/[a-z]+)?|-?[01]…1")


@pytest.fixture(params=SHIPPED, ids=lambda f: f.name)
def each(request: pytest.FixtureRequest) -> Feature:
    return request.param


@cache
def stream() -> tuple[tuple[Events, ...], dict[tuple[int, int], Instrument]]:
    """A minute of the synthetic market, two instruments."""
    source = open_source("synthetic:seed=5,minutes=1,symbols=2")
    chunks = tuple(chunk.copy() for chunk in source.chunks())
    return chunks, dict(source.instruments)


def rows(features: list[str] | None, every: str, capabilities: Capability | None = None) -> Batch:
    chunks, instruments = stream()

    def resolve(publisher: int, number: int) -> Instrument:
        found = instruments[publisher, number]
        if capabilities is None:
            return found
        return Instrument(found.venue, found.symbol, found.tick, found.lot, capabilities=capabilities)

    engine = Engine(resolve, every=every, features=features)
    batches = [*(engine.process(chunk) for chunk in chunks), engine.finish()]
    return Batch(
        np.concatenate([b.meta for b in batches]),
        np.concatenate([b.values for b in batches], axis=1),
        engine.columns,
    )


@cache
def everything(every: str) -> Batch:
    return rows(None, every)


def lines(batch: Batch, names: list[str]) -> npt.NDArray[np.float64]:
    return np.array([batch[name] for name in names])


def test_it_is_listed_once() -> None:
    assert len(set(FEATURES)) == len(FEATURES) == len(SHIPPED)
    names = [c.name for c in chain.from_iterable(f.columns for f in SHIPPED)]
    assert len(set(names)) == len(names)


def test_it_says_what_it_computes(each: Feature) -> None:
    first, _, rest = each.doc.partition("\n")
    assert len(first) > 15
    assert first.endswith(".")
    assert len(rest.strip()) > 60, "formula, undefined values, source"
    for column in each.columns:
        stem = re.sub(r"(_l?\d+(bps|s)?)+$", "", column.name)
        assert stem.removeprefix("bid_").removeprefix("ask_") in each.doc, f"{column.name} is not mentioned"


def test_its_columns_have_names_and_units(each: Feature) -> None:
    for column in each.columns:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
        assert UNITS.fullmatch(column.unit), column.unit
        assert not (column.labels and column.integer)
        assert all(label == label.upper() for label in column.labels)


def test_its_contract(each: Feature) -> None:
    assert each.requires, "a feature that needs nothing of the feed reads nothing"
    assert each.level in ("sample", "event")
    assert list(inspect.signature(each.update).parameters) == ["ctx", "n", "state", "out"]
    assert inspect.getdoc(each.update)
    assert (each.prepare is not None) >= bool(each.settings)


def test_it_is_found_by_its_name_and_its_columns(each: Feature) -> None:
    assert feature(each.name) is each
    assert {f.name for f in select([c.name for c in each.columns])} == {each.name}


@pytest.mark.parametrize("every", ["1s", "event"])
def test_alone_it_computes_what_it_computes_among_others(each: Feature, every: str) -> None:
    alone = rows([each.name], every)
    names = [c.name for c in each.columns]
    assert [c.name for c in alone.columns] == names
    np.testing.assert_array_equal(alone.meta, everything(every).meta)
    np.testing.assert_array_equal(alone.values, lines(everything(every), names))


@cache
def half_hour() -> Batch:
    """Rows of half an hour: some windows are minutes long."""
    source = open_source("synthetic:seed=5,minutes=30,symbols=1")
    engine = Engine(source.resolve, every="1s")
    batches = [*(engine.process(chunk) for chunk in source.chunks()), engine.finish()]
    return Batch(
        np.concatenate([b.meta for b in batches]),
        np.concatenate([b.values for b in batches], axis=1),
        engine.columns,
    )


@cache
def week() -> Batch:
    """Rows of five days of a quiet share: some compare days."""
    source = open_source("synthetic:universe,symbols=1,minutes=7200,rate=0.05,inject=0")
    engine = Engine(source.resolve, every="1m", features=list(COMPARE_DAYS))
    batches = [*(engine.process(chunk) for chunk in source.chunks()), engine.finish()]
    return Batch(
        np.concatenate([b.meta for b in batches]),
        np.concatenate([b.values for b in batches], axis=1),
        engine.columns,
    )


def market_of(each: Feature) -> Batch:
    """Rows in which a feature has something to say."""
    return week() if each.name in COMPARE_DAYS else half_hour()


def test_it_says_something_of_a_real_market(each: Feature) -> None:
    market = market_of(each)
    defined = np.isfinite(lines(market, [c.name for c in each.columns])).mean(axis=1)
    assert (defined > 0.5).all(), dict(zip([c.name for c in each.columns], defined, strict=True))


def test_words_and_counts_are_whole(each: Feature) -> None:
    for column in each.columns:
        values = market_of(each)[column.name]
        values = values[np.isfinite(values)]
        if column.labels:
            assert set(values.tolist()) <= set(map(float, range(len(column.labels))))
        if column.integer:
            assert (values == np.floor(values)).all()
            assert (values >= 0).all()
        if column.unit in ("0…1", "-1…1"):
            assert values.min() >= (0.0 if column.unit == "0…1" else -1.0)
            assert values.max() <= 1.0


NEEDS = [(f, c) for f in SHIPPED for c in Capability if c in f.requires]


@pytest.mark.parametrize(("needy", "lacking"), NEEDS, ids=lambda v: v.name)
def test_it_is_null_where_the_feed_cannot_tell(needy: Feature, lacking: Capability) -> None:
    full = Capability.TRADES | Capability.L1 | Capability.L2 | Capability.MBO | Capability.AGGRESSOR
    deeper = {Capability.L1: Capability.L2 | Capability.MBO, Capability.L2: Capability.MBO}
    poor = rows([needy.name], "1s", full & ~(lacking | deeper.get(lacking, lacking)))
    assert len(poor)
    assert np.isnan(poor.values).all()


def test_nothing_of_a_feature_depends_on_the_process(each: Feature) -> None:
    again: Any = rows([each.name], "1s")
    assert again.values.tobytes() == rows([each.name], "1s").values.tobytes()
