"""Extended hours have baselines of their own, where a model has some: by hand, and fitted over days."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

import depthscope as ds
from depthscope.engine import Engine
from depthscope.features.batch import Batch
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import LIVE
from depthscope.market.phases import Phase
from depthscope.market.source import Key, SourceInfo
from depthscope.market.times import parse_time
from depthscope.research import fit
from depthscope.signals.model import Baseline, Model, Term
from depthscope.signals.reasons import Signal, read_signal
from tests.reference import signals as slow

SECOND = 10**9
HOUR = 3_600 * SECOND
TICK = 10**7

TERMS = (Term("queue_imbalance", 0.0, 0.5, 1.0), Term("spread", 4.0, 1.0, 0.5))
OWN = (Baseline("queue_imbalance", 0.0, 2.0), Baseline("spread", 5.0, 2.0))
PLAIN = Model("plain", 10 * SECOND, 0.0, TERMS, -1.0, 4.0)
KNOWING = replace(PLAIN, name="knowing", extended=OWN)


def quotes(times: list[int], calendar: str, model: Model) -> Batch:
    """Rows by event of a book of 75 lots at 100 and 25 at 101, told again at each time."""
    made = ev.empty_events(2 * len(times))
    for k, ts in enumerate(times):
        for side, price, size in ((0, 100, 75), (1, 101, 25)):
            one = made[2 * k + side]
            one["ts_event"] = one["ts_recv"] = ts
            one["action"], one["side"] = ev.LEVEL, (ev.BID, ev.ASK)[side]
            one["flags"] = ev.LAST if side else 0
            one["price"], one["size"], one["sequence"] = price * 10**9, size, 2 * k + side + 1
    instrument = Instrument("T", "X", 10**9, calendar=calendar, capabilities=Capability.L2)
    return Engine(lambda *_: instrument, every="event", features=[], signal=lambda _: model).process(made)


def p_up(lean: float, stir: float) -> float:
    """The model's formula."""
    up, down = math.exp(stir + lean), math.exp(stir - lean)
    return up / (up + down + 1.0)


def said(model: Model, batch: Batch, row: int) -> Signal:
    return read_signal(model, lambda name: float(batch[name][row]), LIVE)


def test_by_hand() -> None:
    """A Wednesday of CME: the night, the cash session, the afternoon after it."""
    hours = [parse_time(f"2024-01-03T{at}:00Z") for at in ("08:00", "15:00", "21:30")]
    # (75 - 25) / 100, and log(1 + spread of 1 at mid 100.5 in bps)
    imbalance, spread = 0.5, math.log1p(1e4 / 100.5)
    regular = p_up(imbalance / 0.5, -1.0 + 0.5 * (spread - 4.0) / 1.0)
    thin = p_up(imbalance / 2.0, -1.0 + 0.5 * (spread - 5.0) / 2.0)
    knowing, plain = (quotes(hours, "CME_Equity", model) for model in (KNOWING, PLAIN))
    assert [Phase(int(x)).name for x in knowing["session_phase"]] == ["OVERNIGHT", "MORNING", "AFTER_HOURS"]
    assert knowing["p_up"].tolist() == pytest.approx([thin, regular, thin], abs=1e-14)
    assert plain["p_up"].tolist() == pytest.approx([regular] * 3, abs=1e-14)

    night, day, without = said(KNOWING, knowing, 0), said(KNOWING, knowing, 1), said(PLAIN, plain, 0)
    assert (night.extended, night.baselines) == (True, "extended")
    assert (day.extended, day.baselines) == (False, "regular")
    assert (without.extended, without.baselines) == (True, "regular")
    assert "extended hours)" in str(night)
    assert "extended hours by regular baselines)" in str(without)
    assert "extended hours" not in str(day)
    for signal, scale in ((night, 2.0), (day, 0.5), (without, 0.5)):
        (reason,) = (r for r in signal.reasons if r.leans)
        assert reason.value == pytest.approx(imbalance / scale)
        assert reason.contribution == pytest.approx(2.0 * imbalance / scale)


@pytest.mark.parametrize("calendar", ["24/7", "unknown"])
def test_hours_that_nobody_calls_extended_are_regular(calendar: str) -> None:
    batch = quotes([parse_time("2024-01-03T08:00:00Z")], calendar, KNOWING)
    other = quotes([parse_time("2024-01-03T08:00:00Z")], calendar, PLAIN)
    assert batch["p_up"].tolist() == other["p_up"].tolist()
    assert not np.isnan(batch["p_up"]).any()


class Days:
    """A Source of a US stock: a quote every 20 s from 04:00 to 20:00 New York time, day after day.

    In extended hours sizes are five times as lopsided as in the cash session and the spread is
    thrice as wide; mid follows the lopsidedness measured by its hours.
    """

    def __init__(self, days: tuple[str, ...], seed: int = 3) -> None:
        self.instrument = Instrument("T", "STK", TICK, calendar="NYSE", capabilities=Capability.L2)
        self.info = SourceInfo("days", "test")
        rng = np.random.default_rng(seed)
        rows: list[tuple[int, int, int, int]] = []
        middle = 10_000
        for day in days:
            begin = parse_time(f"{day}T09:00:00Z")  # New York winter time
            for ts in range(begin, begin + 16 * HOUR, 20 * SECOND):
                cash = 5.5 * HOUR <= ts - begin < 12 * HOUR
                lean = float(rng.uniform(-1.0, 1.0))
                size = round(500 * (1.0 + lean * (0.1 if cash else 0.5)))
                half = 1 if cash else 3
                rows += [(ts, ev.BID, middle - half, size), (ts, ev.ASK, middle + half, 1_000 - size)]
                middle += 8 * int(np.sign(lean)) * int(rng.random() < abs(lean))
        self.events = ev.empty_events(2 * len(rows))
        held = {ev.BID: 0, ev.ASK: 0}
        k = 0
        for ts, side, price, size in rows:  # each side's old level goes, the new one comes
            for at, lots in ((held[side] or price, 0), (price, size)):
                one = self.events[k]
                one["ts_event"] = one["ts_recv"] = ts
                one["action"], one["side"], one["price"], one["size"] = ev.LEVEL, side, at * TICK, lots
                one["sequence"], k = k + 1, k + 1
            held[side] = price
        self.events["flags"][3::4] = ev.LAST

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        return {(0, 0): self.instrument}

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        return self.instrument

    def chunks(self) -> Iterator[ev.Events]:
        yield self.events


USED = ("queue_imbalance", "spread")


def test_a_fit_over_days_has_baselines_of_both_hours_and_the_engine_uses_them() -> None:
    source = Days(("2024-01-03", "2024-01-04"))
    model = ds.fit(source, horizon="20s", every="20s", factors=USED).model
    assert [b.factor for b in model.extended] == [t.factor for t in model.terms] == list(USED)
    regular, extended = model.terms[0], model.extended[0]
    assert regular.scale == pytest.approx(0.1 / math.sqrt(3), rel=0.05)  # of a uniform distribution
    assert extended.scale == pytest.approx(0.5 / math.sqrt(3), rel=0.05)
    assert model.terms[1].mean == pytest.approx(math.log1p(2.0), abs=0.05)
    assert model.extended[1].mean == pytest.approx(math.log1p(6.0), abs=0.05)
    assert regular.weight > 0.2
    assert model.provenance["extended_rows"] >= fit.APART
    assert Model.from_dict(json.loads(model.to_json())) == model

    engine = Engine(source.resolve, every="20s", features=[], signal=lambda _: model)
    batch = engine.process(source.events)
    words = {"extended": 0, "regular": 0}
    for j in range(0, len(batch), 7):
        if np.isnan(batch["p_up"][j]):
            continue
        up, down = slow.probabilities(model, lambda name, j=j: float(batch[name][j]))  # type: ignore[misc]
        assert (batch["p_up"][j], batch["p_down"][j]) == pytest.approx((up, down), abs=1e-12)
        words[said(model, batch, j).baselines] += 1
    assert min(words.values()) > 100


def test_a_fit_on_few_rows_of_extended_hours_has_none_of_their_own() -> None:
    model = ds.fit(Days(("2024-01-03", "2024-01-04")), horizon="1m", every="1m", factors=USED).model
    assert 0 < model.provenance["extended_rows"] < fit.APART
    assert model.extended == ()
