"""Signals equal a slow one in plain Python, keep silent where they must, and give their reasons."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import depthscope as ds
from depthscope.detectors.messages import messages
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import STATE_NAMES
from depthscope.runtime.models import default_model
from depthscope.runtime.sources import open_source
from depthscope.signals.factors import BY_NAME, FACTORS
from depthscope.signals.model import Model, Term
from depthscope.signals.reasons import band_of
from tests.reference import signals as slow

SIGNAL = ("signal", "signal_confidence", "signal_strength", "signal_edge_bps", "p_up", "p_down")
SECOND = 10**9
B, A, L = ev.BID, ev.ASK, ev.LEVEL


def lively(**changes: Any) -> Model:
    """A model in which every factor has a say and calls are made."""
    terms = tuple(Term(f.name, 0.0 if f.leans else 1.0, 0.5, 0.15 if f.leans else 0.3) for f in FACTORS)
    return replace(Model("lively", 10 * SECOND, 0.05, terms, -1.0, 4.0), **changes)


@pytest.mark.parametrize(("every", "minutes"), [("100ms", 2), ("event", 0.5)])
@pytest.mark.parametrize("platt", [(1.0, 0.0), (0.7, -0.3)])
def test_every_row_equals_the_slow_one(every: str, minutes: float, platt: tuple[float, float]) -> None:
    model = lively(platt=platt)
    source = open_source(f"synthetic:seed=11,minutes={minutes},symbols=2")
    engine = Engine(source.resolve, every=every, features=[], signal=lambda _: model)
    said: dict[int, list[Any]] = {0: [], 1: []}
    heard: set[float] = set()
    place = {c.name: k for k, c in enumerate(engine.columns)}
    for events in source.chunks():
        for batch in engine.frames(events):
            for message, record in zip(
                messages(batch.detections, engine.slots), batch.detections, strict=True
            ):
                said[int(record["slot"])].append(message)
            for j in range(0, len(batch), 1 if every == "100ms" else 50):
                meta = batch.meta[j]
                slot, ts = int(meta["slot"]), int(meta["ts"])
                values = {name: float(batch.values[k, j]) for name, k in place.items()}
                mine = [m for m in said[slot] if m.ts <= ts]
                known = [m for m in mine if m.ts > ts - 62 * SECOND]
                if every == "100ms":  # one row a batch: everything said so far is known at it
                    assert (values["detection_balance"], values["aggression_balance"]) == slow.balances(
                        known, ts
                    )
                if math.isnan(values["signal"]):
                    assert all(math.isnan(values[name]) for name in SIGNAL)
                    continue
                tick = engine.slots[slot].tick / 1e9
                expected = slow.answer(model, values.__getitem__)
                for name in SIGNAL:
                    assert values[name] == pytest.approx(expected[name], abs=1e-12), name
                heard.add(values["signal"])
                if every == "100ms":
                    book = engine.book(slot)
                    lean = slow.wall_lean(mine, float(book.best_bid), float(book.best_ask), tick)
                    assert values["wall_lean"] == pytest.approx(lean, abs=1e-9)
                word = engine.columns[place["signal_quality"]].labels[int(values["signal_quality"])]
                assert word == band_of(values["signal_confidence"])
    assert heard == {0.0, 1.0, 2.0}, "the model says all three words, so that all are compared"


def quotes(*actions: tuple[int, int, int, int, int], start: int = 1_700_000_000 * SECOND) -> ev.Events:
    """LEVEL and STATUS events: (ms, action, side, price in ticks, size or status)."""
    made = ev.empty_events(len(actions))
    for k, (ms, action, side, price, size) in enumerate(actions):
        made[k]["ts_event"] = made[k]["ts_recv"] = start + ms * 10**6
        made[k]["action"], made[k]["side"], made[k]["flags"] = action, side, ev.LAST
        made[k]["price"] = price * 10**9
        if action == ev.STATUS:
            made[k]["aux"] = size
        else:
            made[k]["size"] = size
        made[k]["sequence"] = k + 1
    return made


def words(events: ev.Events, model: Model | None = None) -> list[float]:
    """The `signal` column by event."""
    instrument = Instrument(
        "TEST", "X", 10**9, capabilities=Capability.L2 | Capability.TRADES | Capability.AGGRESSOR
    )
    engine = Engine(lambda *_: instrument, every="event", features=[], signal=lambda _: model or lively())
    batch = engine.process(events)
    return [float(x) for x in batch["signal"]]


def test_it_says_nothing_where_it_must_not() -> None:
    S, X = ev.STATUS, ev.LOST
    found = words(
        quotes(
            (0, L, B, 100, 5),  # one side
            (1, L, A, 101, 5),  # both
            (2, S, ev.NO_SIDE, 0, ev.STATUS_HALT),
            (3, L, B, 100, 9),  # halted
            (4, S, ev.NO_SIDE, 0, ev.STATUS_AUCTION),
            (5, L, B, 100, 8),  # in an auction
            (6, S, ev.NO_SIDE, 0, ev.STATUS_TRADING),
            (7, L, B, 100, 7),  # again
            (8, L, B, 102, 7),  # crossed
            (9, L, B, 102, 0),
            (10, X, ev.NO_SIDE, 0, 0),  # lost: stale
        )
    )
    spoken = [not math.isnan(word) for word in found]
    assert spoken == [False, True, False, False, False, False, True, True, False, True, False]


def test_it_says_nothing_of_a_closed_market() -> None:
    """CME on Christmas evening of 2023: trading begins at 23:00 UTC."""
    opening = 1_703_545_200 * SECOND
    events = quotes((0, L, B, 100, 5), (1, L, A, 101, 5), (2, L, B, 100, 6), start=opening - 3 * SECOND)
    later = quotes((0, L, B, 100, 7), (1, L, B, 100, 8), start=opening)
    later["sequence"] += 10
    instrument = Instrument("GLBX.MDP3", "ESH4", 10**9, calendar="CME_Equity", capabilities=Capability.L2)
    engine = Engine(lambda *_: instrument, every="event", features=[], signal=lambda _: lively())
    batch = engine.process(np.concatenate([events, later]))
    assert np.isnan(batch["signal"]).tolist() == [True, True, True, False, False]


def test_the_market_upside_down_gives_the_opposite() -> None:
    up = quotes((0, L, B, 100, 90), (1, L, A, 101, 10), (2, L, B, 99, 50), (3, L, A, 102, 5))
    down = quotes((0, L, A, 100, 90), (1, L, B, 99, 10), (2, L, A, 101, 50), (3, L, B, 98, 5))
    model = lively(fee_bps=0.0, move_bps=400.0)
    assert words(up, model)[1:] == [2.0, 2.0, 2.0]
    assert words(down, model)[1:] == [0.0, 0.0, 0.0]


def test_reasons_are_the_log_odds() -> None:
    model = lively()
    frames = 0
    for frame in ds.replay(
        "synthetic:seed=4,minutes=1,symbols=1", every="1s", features=["mid"], signal=model
    ):
        signal = frame.signal
        if signal.direction is None:
            assert signal.why_not
            assert STATE_NAMES[1] != signal.book or "lacks a side" in signal.why_not
            continue
        frames += 1
        total = sum(reason.contribution for reason in signal.reasons if reason.leans)
        assert signal.p_up is not None and signal.p_down is not None
        assert total == pytest.approx(math.log(signal.p_up / signal.p_down), abs=1e-9)
        sizes = [abs(reason.contribution) for reason in signal.reasons if reason.leans]
        assert sizes == sorted(sizes, reverse=True)
        assert signal.confidence == pytest.approx(
            {"BUY": signal.p_up, "SELL": signal.p_down, "NEUTRAL": 1 - signal.p_up - signal.p_down}[
                signal.direction
            ]
        )
        assert "uncalibrated" in str(signal)
        assert signal.direction in str(signal)
    assert frames > 30


def test_a_replay_without_a_model_has_no_signal() -> None:
    frame = next(iter(ds.replay("synthetic:seed=4,minutes=1,symbols=1", features=["mid"])))
    with pytest.raises(InputError, match="signal='10s'"):
        _ = frame.signal


def test_tables_have_signal_columns_beside_those_asked_for() -> None:
    table = ds.features("synthetic:seed=4,minutes=1,symbols=1", every="1s", features=["mid"], signal="10s")
    names = table.column_names
    assert set(SIGNAL) <= set(names)
    assert "ofi_1s" not in names, "what signals are made of is not in the table unless it was asked for"
    assert set(table["signal"].to_pylist()) <= {"BUY", "SELL", "NEUTRAL", None}
    p_up, p_down = (np.array(table[name].to_pylist(), float) for name in ("p_up", "p_down"))
    spoken = ~np.isnan(p_up)
    assert spoken.sum() > 30
    assert ((p_up + p_down)[spoken] <= 1.0 + 1e-12).all()
    without = ds.features("synthetic:seed=4,minutes=1,symbols=1", every="1s", features=["mid"])
    assert table["mid"].to_pylist() == without["mid"].to_pylist()


def test_an_unknown_factor_adds_nothing() -> None:
    """Without trades the tape's factors are unknown; without them the answer is the same."""
    events = quotes((0, L, B, 100, 90), (1, L, A, 101, 10))
    volatility = [t for t in lively().terms if t.factor == "volatility"]
    rest = tuple(t for t in lively().terms if t.factor != "volatility")
    assert volatility
    full = lively(fee_bps=0.0, move_bps=400.0)
    assert words(events, full) == pytest.approx(words(events, replace(full, terms=rest)), nan_ok=True)


@pytest.mark.parametrize(
    ("confidence", "word"),
    [(0.8, "very strong"), (0.79, "strong"), (0.4, "moderate"), (0.0, "weak"), (-1e-17, "weak")],
)
def test_bands(confidence: float, word: str) -> None:
    assert band_of(confidence) == word


def test_shipped_weights_are_uncalibrated_and_say_where_they_come_from() -> None:
    for horizon, seconds in (("1s", 1), ("10s", 10), ("60s", 60)):
        model = default_model(horizon)
        assert model.horizon == seconds * SECOND
        assert not model.calibrated
        assert model.platt == (1.0, 0.0)
        assert model.provenance["data"]
        assert {term.factor for term in model.terms} <= set(BY_NAME)
    with pytest.raises(InputError, match="10s"):
        default_model("3s")
