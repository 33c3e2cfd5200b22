"""Kernels called past their dispatcher."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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
    assert all(step.function != "plus_first" for step in jit.pending())


@pytest.mark.parametrize(
    "given", [(), (1,), (None, np.zeros(1, np.int64)), (1, 2), (1, np.zeros(1, np.int8))]
)
def test_direct_refuses_what_cannot_be_converted(given: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        jit.direct(plus_first)(*given)


def test_direct_is_for_kernels_alone() -> None:
    with pytest.raises(ValueError, match="is no kernel"):
        jit.direct(jit.njit(lambda a: a))


CALLER = """
import numba, sys
from numba import types
from depthscope import jit

@jit.kernel(types.int64(types.int64))
def twice(a):
    return 2 * a

@jit.njit
def caller(a):
    return twice(a) + 1

print(twice(21), end=" ")
if sys.argv[1:]:
    print(caller(20))
"""


TABLE = """
import numpy as np
from numba import types
from depthscope import jit

LARGE = np.arange(2_000_000)

@jit.kernel(types.int64(types.int64))
def look_up(a):
    return LARGE[a]

print(look_up(41))
"""


def run(script: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "DEPTHSCOPE_CACHE_DIR": str(cache)}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)


def test_a_kernel_read_back_runs_and_cannot_be_linked(tmp_path: Path) -> None:
    """What would inline it must not get the empty code that is kept in its place."""
    script, cache = tmp_path / "caller.py", tmp_path / "cache"
    script.write_text(CALLER)
    assert run(script, cache).stdout == "42 "
    (kept,) = cache.rglob("*.nbc")
    written = kept.stat().st_mtime_ns
    assert run(script, cache).stdout == "42 "
    assert kept.stat().st_mtime_ns == written, "it was read, not compiled again"
    linked = run(script, cache, "link")
    assert linked.returncode != 0
    assert "twice is a kernel: compiled code cannot call it" in linked.stderr


STARTED = """
import sys
import numpy as np
from numba import types
from depthscope import jit

@jit.njit
def spread(values):
    held = np.empty(len(values))  # memory of numba's runtime
    for k in range(len(values)):
        held[k] = values[k] - np.median(values)
    return held

@jit.kernel(types.float64(types.float64[::1]))
def widest(values):
    if len(values) == 0:
        raise ValueError("nothing to look at")
    return np.max(np.abs(spread(values)))

@jit.kernel(types.float64(types.float64[::1]))
def narrowest(values):
    return np.min(np.abs(spread(values)))

chosen = {"widest": widest, "narrowest": narrowest}
for name in sys.argv[1:]:
    for _ in range(1000):
        found = chosen[name](np.array([1.0, 2.0, 9.0]))
    print(name, found)
try:
    widest(np.zeros(0))
except ValueError as error:
    print(error)
print(sorted({"numba.np.linalg", "numba.cpython.unicode", "scipy.linalg"} & set(sys.modules)))
"""


def test_reading_kernels_back_takes_nothing_of_the_compiler(tmp_path: Path) -> None:
    """It would import numba's writers of code for arrays and linear algebra, and SciPy with them."""
    script, cache = tmp_path / "started.py", tmp_path / "cache"
    script.write_text(STARTED)
    said = "widest 7.0\nnothing to look at\n"
    first = run(script, cache, "widest")
    assert first.stdout.startswith(said), first.stderr
    assert "numba.np.linalg" in first.stdout, "the compiler needs it: the check sees what it should"
    again = run(script, cache, "widest")
    assert again.stdout == said + "[]\n", again.stderr
    # What is compiled after something was read back shares functions with it.
    mixed = run(script, cache, "widest", "narrowest")
    assert mixed.stdout.startswith("widest 7.0\nnarrowest 0.0\nnothing to look at\n"), mixed.stderr
    assert run(script, cache, "widest", "narrowest").stdout.endswith("look at\n[]\n")


def test_a_kernel_that_cannot_be_kept_runs_and_says_so(tmp_path: Path) -> None:
    """One that looks things up in a large table knows it by its address, which is another one next time."""
    script, cache = tmp_path / "table.py", tmp_path / "cache"
    script.write_text(TABLE)
    done = run(script, cache)
    assert done.stdout == "41\n", done.stderr
    assert 'Cannot cache compiled function "look_up"' in done.stderr
    assert str(script) in done.stderr
    assert not list(cache.rglob("*.nbc"))


def test_many_threads_may_ask_for_the_folder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They did, when a page opened; one saw the other's probe vanish, and nothing was kept any more."""
    monkeypatch.setenv("DEPTHSCOPE_CACHE_DIR", str(tmp_path))
    ask = jit.cache_folder.__wrapped__
    with ThreadPoolExecutor(8) as pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        found = set(pool.map(lambda _: ask(), range(400)))
    assert found == {tmp_path / "kernels"}
    assert list((tmp_path / "kernels").iterdir()) == []
