"""Time comes from events: what the deterministic packages and the decoders may not touch."""

from __future__ import annotations

import ast

import pytest

from tests.rules.project import MODULES, Module

DETERMINISTIC = {"market", "book", "features", "detectors", "signals", "engine"}

CLOCK_MODULES = {"time", "sched", "timeit"}  # datetime only tells the time when asked: see the calls
CHANCE_MODULES = {"random", "secrets", "uuid"}
OUTSIDE_MODULES = {
    "logging", "structlog", "socket", "ssl", "asyncio", "threading", "multiprocessing", "subprocess",
    "urllib", "http", "httpx", "requests", "websockets", "select", "signal", "tempfile", "shutil", "glob",
    "sqlite3",
}  # fmt: skip
CLOCK_CALLS = (
    ".now", ".utcnow", ".today", "time.time", "time.time_ns", ".monotonic", ".monotonic_ns", ".perf_counter",
    ".perf_counter_ns", ".sleep",
)  # fmt: skip
CHANCE_CALLS = (
    "np.random.rand", "np.random.randn", "np.random.randint", "np.random.seed", "np.random.random",
    "np.random.choice", "np.random.normal", "os.urandom",
)  # fmt: skip
OUTSIDE_CALLS = (
    "open", "print", "input", ".read_text", ".read_bytes", ".write_text", ".write_bytes", ".mkdir",
    ".unlink", "os.environ.get", "os.getenv",
)  # fmt: skip


def imported_roots(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node, (node.module or "").split(".")[0]))
    return found


def called(tree: ast.AST) -> list[tuple[ast.Call, str]]:
    return [(node, ast.unparse(node.func)) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name.endswith(p) if p.startswith(".") else name == p for p in patterns)


def faults(tree: ast.AST, *, outside: bool) -> list[tuple[int, str]]:
    """(line, what) of everything a deterministic module may not do."""
    modules = CLOCK_MODULES | CHANCE_MODULES | (OUTSIDE_MODULES if outside else set())
    wrong = [(node.lineno, f"import {name}") for node, name in imported_roots(tree) if name in modules]
    for node, name in called(tree):
        forbidden = CLOCK_CALLS + CHANCE_CALLS + (OUTSIDE_CALLS if outside else ())
        unseeded = name.endswith(("default_rng", "RandomState", "SeedSequence", "PCG64", "Philox"))
        if matches(name, forbidden) or (unseeded and not (node.args or node.keywords)):
            wrong.append((node.lineno, f"{name}()"))
    return wrong


CORE_MODULES = [m for m in MODULES if m.layer in DETERMINISTIC]
VENUE_MODULES = [m for m in MODULES if m.layer == "venues"]


@pytest.mark.parametrize("module", CORE_MODULES, ids=lambda m: m.name)
def test_core_has_no_clock_chance_or_outside_world(module: Module) -> None:
    found = [f"{module.path.name}:{line} {what}" for line, what in faults(module.tree, outside=True)]
    assert found == []


@pytest.mark.parametrize("module", VENUE_MODULES, ids=lambda m: m.name)
def test_venues_read_files_but_no_clock_and_no_chance(module: Module) -> None:
    found = [f"{module.path.name}:{line} {what}" for line, what in faults(module.tree, outside=False)]
    assert found == []


def test_decoder_classes_do_no_io() -> None:
    """A class named …Decoder is a state machine: the feed or the reader does its I/O."""
    decoders = [
        (module, node)
        for module in VENUE_MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Decoder")
    ]
    assert decoders, "no decoder found: has the naming convention changed?"
    found = [
        f"{module.path.name}:{line} {what}"
        for module, node in decoders
        for line, what in faults(node, outside=True)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "now = datetime.now(UTC)",
        "day = date.today()",
        "import random",
        "import logging",
        "x = np.random.default_rng()",
        "x = np.random.rand(3)",
        "print('hello')",
        "data = open('file')",
        "now = clock.monotonic_ns()",
        "text = path.read_text()",
    ],
)
def test_the_check_finds(line: str) -> None:
    assert faults(ast.parse(line), outside=True)


@pytest.mark.parametrize(
    "line", ["x = np.random.default_rng(seed)", "x = np.random.Generator(np.random.PCG64(7))"]
)
def test_a_seeded_generator_is_fine(line: str) -> None:
    assert faults(ast.parse(line), outside=True) == []
