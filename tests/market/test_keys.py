"""KeySet against a plain dict, and the marks put between records."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from depthscope.market.events import CLEAR, LAST, NO_SIDE, UNDEF_PRICE, empty_events
from depthscope.market.keys import KeySet, mark

NUMBERS = st.one_of(st.integers(0, 3), st.sampled_from([2**32 - 1, 2**31]))
KEYS = st.tuples(st.one_of(st.integers(0, 2), st.just(2**16 - 1)), NUMBERS)


def events_of(keys: list[tuple[int, int]]) -> np.ndarray:
    events = empty_events(len(keys))
    if keys:
        events["publisher"], events["instrument_id"] = np.array(keys).T
    return events


@settings(deadline=None)
@given(st.lists(st.lists(KEYS, max_size=20), max_size=8))
def test_keys_come_once_in_order_of_appearance(chunks: list[list[tuple[int, int]]]) -> None:
    keys, seen = KeySet(), {}
    for chunk in chunks:
        fresh = list(dict.fromkeys(key for key in chunk if key not in seen))
        seen.update(dict.fromkeys(chunk))
        assert keys.add(events_of(chunk)) == fresh
    assert list(keys) == list(seen) and len(keys) == len(seen)


def test_more_keys_than_it_starts_with() -> None:
    rng = np.random.default_rng(1)
    wanted = [tuple(row) for row in rng.integers(0, [2**16, 2**32], (20_000, 2)).tolist()]
    keys = KeySet()
    fresh = [
        key for start in range(0, 20_000, 3_000) for key in keys.add(events_of(wanted[start : start + 3_000]))
    ]
    assert fresh == list(dict.fromkeys(wanted)) == list(keys)
    assert keys.add(events_of(wanted)) == []


def test_marks_are_groups_of_their_own() -> None:
    events = mark(CLEAR, [(1, 5), (2, 2**32 - 1)], 77)
    assert events["publisher"].tolist() == [1, 2]
    assert events["instrument_id"].tolist() == [5, 2**32 - 1]
    assert set(events["ts_recv"].tolist()) == set(events["ts_event"].tolist()) == {77}
    for name, value in (("action", CLEAR), ("flags", LAST), ("side", NO_SIDE), ("price", UNDEF_PRICE)):
        assert (events[name] == value).all()
    assert len(mark(CLEAR, [], 77)) == 0
