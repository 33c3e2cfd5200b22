"""The ring of messages equals a deque of them."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from depthscope.market.layouts import DETECTION
from depthscope.web.said import Said


def records(first: int, n: int) -> np.ndarray:
    """`n` messages with numbers from `first` on."""
    found = np.zeros(n, DETECTION)
    found["number"] = np.arange(first, first + n)
    return found


@given(st.integers(1, 9), st.lists(st.integers(0, 25), max_size=12))
def test_it_keeps_the_newest_in_order(most: int, parts: list[int]) -> None:
    said, kept, n = Said(most), deque[int](maxlen=most), 0
    for part in parts:
        new = records(n, part)
        said.extend(new)
        kept.extend(new["number"].tolist())
        n += part
        assert len(said) == len(kept)
        assert said.newest()["number"].tolist() == list(kept)


def test_what_is_read_does_not_change_and_comes_back() -> None:
    said = Said(4)
    said.extend(records(0, 6))
    before = said.newest()
    said.extend(records(6, 3))
    assert before["number"].tolist() == [2, 3, 4, 5]
    assert said.newest()["number"].tolist() == [5, 6, 7, 8]
    said.replace(before)
    assert said.newest()["number"].tolist() == [2, 3, 4, 5]
