"""Kernels called past their dispatcher."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import types

from depthscope import jit


@jit.kernel(types.int64(types.int64, types.int64[::1]))
def plus_first(a: Any, b: Any) -> Any:
    """Add something, which is all that is wanted here."""
    return a + b[0]


def test_direct_calls_what_the_dispatcher_would() -> None:
    call = jit.direct(plus_first)
    numbers = np.array([7], np.int64)
    for a in (0, -1, 2**62, -(2**63)):
        assert call(a, numbers) == plus_first(a, numbers) == a + 7
    assert jit.direct(plus_first) is call
    assert all(build.func.__self__ is not plus_first for _, build in jit.pending())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given", [(), (1,), (None, np.zeros(1, np.int64)), (1, 2), (1, np.zeros(1, np.int8))]
)
def test_direct_refuses_what_cannot_be_converted(given: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        jit.direct(plus_first)(*given)


def test_direct_is_for_kernels_alone() -> None:
    with pytest.raises(ValueError, match="is no kernel"):
        jit.direct(jit.njit(lambda a: a))
