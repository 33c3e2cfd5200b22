"""Shared fixtures: where the recordings are, and how a missing one is treated."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Deadlines measure the machine, not the code. HYPOTHESIS_PROFILE=nightly looks much longer where a
# test does not say itself how many cases it wants.
settings.register_profile("usual", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))

# Slow references are made of many small objects that live long: at its usual pace the collector of cycles, of
# which there are few, took up to a quarter of their time.
gc.set_threshold(50_000, 20, 20)

# Programs under test run as a user's do: output is buffered, and Ctrl+C or a closed terminal is heard, though
# a shell that put the tests into the background, or nohup, ignores it for everything below.
os.environ.pop("PYTHONUNBUFFERED", None)
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _kind = getattr(signal, _name, None)  # Windows has no SIGHUP
    if _kind is not None and signal.getsignal(_kind) is signal.SIG_IGN:
        signal.signal(_kind, _usual)

ROOT = Path(__file__).resolve().parent.parent


def recordings() -> Path:
    """Folder of the recordings (it may not exist)."""
    return Path(os.environ.get("DEPTHSCOPE_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The recordings, or a skip; a failure where DEPTHSCOPE_REQUIRE_DATA=1."""
    path = recordings()
    if not path.is_dir():
        message = f"no recordings at {path} (set DEPTHSCOPE_DATA)"
        if os.environ.get("DEPTHSCOPE_REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the browser, and leave out what talks to a real venue: ``-m integration`` asks for it."""
    # One worker drives the browser, and mostly waits: begun last, it would be waited for alone.
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)
    if "integration" in (config.option.markexpr or ""):
        return
    outside = [item for item in items if item.get_closest_marker("integration")]
    if outside:
        config.hook.pytest_deselected(items=outside)
        items[:] = [item for item in items if not item.get_closest_marker("integration")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "no recordings" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(f"real-data tests left out: {len(skipped)} (no recordings here)")
    reports = [r for found in terminalreporter.stats.values() for r in found if hasattr(r, "user_properties")]
    for line in sorted({str(text) for r in reports for name, text in r.user_properties if name == "proof"}):
        terminalreporter.write_line(f"proof: {line}")


# Comparisons with slow references spend their time in the tests' own Python, which tracing makes half as
# slow again; what they call of ours is covered by the tests of commands, the page and the public functions.
UNTRACED = ("engine", "detectors", "signals", "reference", "conformance", "simulators")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    if folder not in UNTRACED and not item.get_closest_marker("untraced"):
        return (yield)
    trace, threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        return (yield)
    finally:
        sys.settrace(trace)
        threading.settrace(threads)  # type: ignore[arg-type]
