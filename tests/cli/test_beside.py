"""Compiling in a second process on a first run."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from depthscope import jit
from depthscope.cli.beside import compiling, is_cold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALLEST = ["depthscope.venues.binance_watch"]


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing kept yet, here and in every process we start."""
    monkeypatch.setenv("DEPTHSCOPE_CACHE_DIR", str(tmp_path))
    jit.cache_folder.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    jit.cache_folder.cache_clear()


def test_a_second_process_keeps_what_it_compiles(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert is_cold(SMALLEST)
    with compiling(SMALLEST) as process:
        assert process is not None
        process.join(120)
        assert process.exitcode == 0
    assert list(cold.rglob("*.nbi")), "its machine code is on disk"
    assert not is_cold(SMALLEST)
    with compiling(SMALLEST) as process:
        assert process is None, "nothing is left to gain"


def test_it_ends_with_the_body(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(RuntimeError, match="the body failed"), compiling(SMALLEST) as process:
        raise RuntimeError("the body failed")
    assert process is not None
    assert not process.is_alive()


def test_one_core_compiles_alone(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with compiling(SMALLEST) as process:
        assert process is None


def test_where_nothing_can_be_kept_nothing_is_gained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "cache_folder", lambda: None)
    assert not is_cold(SMALLEST)


def test_many_threads_may_ask_for_the_folder_at_once(cold: Path) -> None:
    """They did, when a page opened; one saw the other's probe vanish, and nothing was kept any more."""
    ask = jit.cache_folder.__wrapped__
    with ThreadPoolExecutor(8) as pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        found = set(pool.map(lambda _: ask(), range(400)))
    assert found == {cold / "kernels"}
    assert list((cold / "kernels").iterdir()) == []
