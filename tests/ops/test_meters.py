"""Meters: bounded memory, exact counts, percentiles beside sorted lists."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.ops.meters import BacklogAge, LatencyHistogram, MemoryWatch, RateWatch
from depthscope.ops.process import resident_bytes

SECOND = 10**9


def nearest_rank(values: list[int], share: float) -> int:
    """The definition: the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return next(v for i, v in enumerate(ordered, 1) if i >= round(share * len(ordered), 6))


@given(
    st.lists(st.integers(-(2**40), 2**62), min_size=1), st.sampled_from([0.01, 0.5, 0.9, 0.99, 0.999, 1.0])
)
def test_percentiles_are_at_most_a_bucket_above_the_exact_ones(values: list[int], share: float) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    exact, told = nearest_rank(values, share), histogram.percentile(share)
    assert told is not None
    assert exact <= told <= exact + abs(exact) / 32 + 1
    assert (histogram.count, histogram.total) == (len(values), sum(values))
    assert (histogram.low, histogram.high) == (min(values), max(values))


@given(st.lists(st.integers(-(2**30), 2**40)), st.integers(0, 40))
def test_counts_up_to_a_power_of_two_are_exact(values: list[int], octave: int) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    assert histogram.at_most(octave) == sum(value <= 2**octave for value in values)


def test_a_histogram_takes_no_more_memory_the_more_it_counts() -> None:
    histogram = LatencyHistogram()
    chance = random.Random(5)
    for _ in range(20_000):
        histogram.record(int(chance.lognormvariate(15, 3)) - 1000)
    for octave in range(64):
        for ns in (1 << octave, (1 << octave) + 1, -(1 << octave)):
            histogram.record(ns)
    assert len(histogram._counts) <= 2 * 1_888


def test_an_empty_histogram_knows_nothing() -> None:
    histogram = LatencyHistogram()
    assert (histogram.percentile(0.5), histogram.low, histogram.high) == (None, None, None)
    assert histogram.at_most(20) == 0
    histogram.record(5, times=3)
    assert histogram.count == 3


def test_a_rate_is_told_beside_the_usual_one() -> None:
    watch = RateWatch(window_ns=10 * SECOND)
    total = 0
    for second in range(0, 91):
        watch.observe(second * SECOND, total)
        total += 50
    assert watch.rate == 50.0
    assert watch.expected == 50.0
    for second in range(91, 111):
        watch.observe(second * SECOND, total)
        total += 10
    assert watch.rate == 10.0
    assert watch.expected == 50.0


def test_a_rate_is_unknown_at_first_and_after_a_restart_of_the_count() -> None:
    watch = RateWatch(expected=20.0)
    assert (watch.rate, watch.expected) == (None, 20.0)
    watch.observe(0, 1_000)
    watch.observe(11 * SECOND, 0)  # counted anew
    assert watch.rate is None
    watch.observe(21 * SECOND, 100)
    assert watch.rate == 10.0
    assert RateWatch().expected is None


def test_memory_is_measured_against_what_it_was_after_the_warm_up() -> None:
    watch = MemoryWatch()
    for second in range(0, 400):
        watch.observe(second * SECOND, 100 + min(second, 300) * 3)  # grows to 1000 while it warms up
        assert (watch.baseline is None) == (second < 360)
    assert watch.baseline == 1000
    assert watch.growth == 0.0
    watch.observe(500 * SECOND, 1_600)
    assert watch.growth == pytest.approx(0.6)
    assert watch._samples == []


def test_histories_that_fill_are_no_growth_but_are_held() -> None:
    watch = MemoryWatch()
    for second in range(0, 4_000):
        watch.observe(second * SECOND, 1_000 + second, filling=second)  # as far as it is meant to
    assert (watch.rss, watch.baseline, watch.growth) == (4_999, 1_000, 0.0)
    watch.observe(4_000 * SECOND, 5_600, filling=4_000)
    assert (watch.rss, watch.growth) == (5_600, pytest.approx(0.6))


def test_memory_that_is_not_told_makes_no_baseline() -> None:
    watch = MemoryWatch(warmup_ns=0, settle_ns=0)
    watch.observe(0, None)
    assert (watch.rss, watch.baseline, watch.growth) == (None, None, None)


def test_the_memory_of_this_process(tmp_path: object) -> None:
    size = resident_bytes()
    assert size is None or 10_000_000 < size < 100_000_000_000
    assert resident_bytes(tmp_path / "none") is None  # type: ignore[operator]


def test_the_age_of_what_waits() -> None:
    age = BacklogAge()
    assert age.observe(0, 0, 0) is None
    assert age.observe(100, 5, 0) == 0
    assert age.observe(200, 8, 0) == 100
    assert age.observe(300, 8, 4) == 200, "the fifth came by 100"
    assert age.observe(400, 9, 5) == 200, "the sixth came by 200"
    assert age.observe(500, 9, 9) is None
    assert age.observe(600, 9, 9) is None
    for k in range(10_000):
        assert age.observe(1_000 + k, 10 + k, 9) == k
    assert len(age._marks) <= BacklogAge.MAX_MARKS
    assert age.observe(20_000, 10_009, 10_009) is None
