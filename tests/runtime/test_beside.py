"""Work beside the caller: results in order, failures where they are asked for, nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from depthscope.runtime.beside import LAG, beside


def test_results_come_in_order_and_are_not_far_behind() -> None:
    given = 0

    def jobs() -> Iterator[tuple[int]]:
        nonlocal given
        for k in range(20):
            given = k + 1
            yield (k,)

    got = []
    for result in beside(lambda k: k * k, jobs()):
        got.append(result)
        assert given - len(got) <= LAG
    assert got == [k * k for k in range(20)]


def test_a_failure_is_raised_here() -> None:
    def work(k: int) -> int:
        if k == 2:
            raise ValueError("two")
        return k

    got = []
    with pytest.raises(ValueError, match="two"):
        for result in beside(work, ((k,) for k in range(9))):
            got.append(result)
    assert got == [0, 1]


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    results = beside(lambda k: k, ((k,) for k in range(9)))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
