"""All of ours pass the look-ahead tester, and it catches leaks that were put in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import depthscope as ds
from depthscope.errors import InputError
from depthscope.market import events as ev
from depthscope.market.layouts import CLOSE, OPEN
from depthscope.research.lookahead import Computation, Replayed, Said, everything, find_lookahead, of_table

MARKET = "synthetic:seed=8,minutes=3,symbols=2"


@pytest.mark.parametrize("every", ["100ms", "event"])
def test_ours_pass_on_a_synthetic_market(every: str) -> None:
    found = find_lookahead(everything(every), MARKET, cuts=4, seed=3)
    assert found == (), "\n".join(map(str, found))


def test_ours_pass_on_the_recordings(data_dir: Path) -> None:
    for name in ("binance/btcusdt_20240808.gz", "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"):
        found = find_lookahead(everything("1s"), data_dir / name, cuts=2, seed=4)
        assert found == (), "\n".join(map(str, found))


def test_a_table_of_features_passes() -> None:
    def smooth(table: pa.Table) -> Any:
        mid = np.array(table["mid"].to_pylist(), float)
        return np.convolve(np.nan_to_num(mid), [0.5, 0.5])[: len(mid)]  # this row and the one before

    assert find_lookahead(of_table(smooth, features=["mid"]), MARKET, cuts=3) == ()


def test_a_feature_smoothed_with_later_rows_is_caught() -> None:
    def centred(table: pa.Table) -> Any:
        mid = np.nan_to_num(np.array(table["mid"].to_pylist(), float))
        return np.convolve(mid, np.ones(3) / 3, mode="same")

    found = find_lookahead(of_table(centred, features=["mid"]), MARKET, cuts=3)
    assert {leak.test for leak in found} >= {"prefix"}
    assert all(leak.name == "centred" for leak in found)
    assert "looks ahead" in str(found[0])


def test_a_score_by_the_mean_of_the_whole_day_is_caught() -> None:
    def scores(table: pa.Table) -> Mapping[str, Any]:
        ofi = np.nan_to_num(np.array(table["ofi_1s"].to_pylist(), float))
        return {"ofi_score": ofi - ofi.mean(), "ofi_raw": ofi}

    found = find_lookahead(of_table(scores, features=["ofi_1s"]), MARKET, cuts=3)
    assert {leak.name for leak in found} == {"ofi_score"}
    assert {leak.test for leak in found} == {"prefix", "perturbation"}


def outcomes_written_back(every: str) -> Computation:
    """Ours, but each opening message is told how its matter ended."""
    ours = everything(every, features=["mid"])

    def run(events: ev.Events, resolve: Any) -> dict[str, Said]:
        found = dict(ours(events, resolve))
        ts, said = found["detections"]
        said = said.copy()
        matter = [tuple(r) for r in said[["detector", "slot", "number"]].tolist()]
        ended = {m: int(r["outcome"]) for m, r in zip(matter, said, strict=True) if r["phase"] == CLOSE}
        for m, r in zip(matter, said, strict=True):
            if r["phase"] == OPEN:
                r["outcome"] = ended.get(m, 0)
        found["detections"] = ts, said
        return found

    return run


def test_an_outcome_that_leaks_back_is_caught() -> None:
    found = find_lookahead(outcomes_written_back("100ms"), MARKET, cuts=6)
    assert {leak.name for leak in found} == {"detections"}


def test_a_number_of_rows_that_depends_on_the_future_is_caught() -> None:
    ours = everything("1s", features=["mid"], detectors=())

    def run(events: ev.Events, resolve: Any) -> dict[str, Said]:
        ts, values = ours(events, resolve)["mid"]
        keep = np.flatnonzero(values < np.nanmean(values))
        return {"low": (ts[keep], values[keep])}

    assert find_lookahead(run, "synthetic:seed=8,minutes=3,symbols=1", cuts=6)


def test_the_same_seed_cuts_at_the_same_moments() -> None:
    def clock(table: pa.Table) -> Any:
        return np.full(table.num_rows, table.num_rows)

    one, two = (find_lookahead(of_table(clock, features=["mid"]), MARKET, seed=5) for _ in range(2))
    assert one == two
    assert one


def test_an_empty_stream_has_no_cut() -> None:
    nothing = Replayed(ev.empty_events(0), ds.open_source(MARKET).resolve)
    with pytest.raises(InputError, match="no moment at which it can be cut"):
        find_lookahead(everything("1s"), nothing)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda table: table["mid"].to_numpy()[:3], "3 values for a table"),
        (lambda table: None, "returned NoneType"),
        (lambda table: 1.0, "returned float"),
    ],
)
def test_what_cannot_be_tested_is_no_clean_bill(function: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        find_lookahead(of_table(function, "1s"), MARKET, cuts=1)


def test_without_a_cut_nothing_is_tested() -> None:
    with pytest.raises(InputError, match="cuts is 0"):
        find_lookahead(everything("1s"), MARKET, cuts=0)


def test_words_are_compared_by_what_they_say() -> None:
    def word(table: Any) -> list[str | None]:
        return [None if mid is None else "high" if mid > 5000 else "low" for mid in table["mid"].to_pylist()]

    assert find_lookahead(of_table(word, "1s"), MARKET, cuts=2) == ()

    def whole_day(table: Any) -> list[str]:
        return [f"{table.num_rows} rows"] * table.num_rows

    assert find_lookahead(of_table(whole_day, "1s"), MARKET, cuts=2)
