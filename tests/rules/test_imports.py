"""Imports point one way (docs/ARCHITECTURE.md), wherever in a file they stand."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.rules.project import MODULES, Module

# Layer -> layers it may import, besides itself. Root modules count as layers of one file.
BASE = {"errors"}
CORE = BASE | {"kept", "jit", "market"}
COMPUTE = CORE | {"book"}
DOMAIN = CORE | {"book", "features", "detectors", "signals", "engine"}
EDGES = {"venues", "simulators", "storage", "options", "strategies", "execution"}
COMPOSITION = DOMAIN | EDGES | {"config"}
PUBLIC = COMPOSITION | {
    "runtime", "api", "frame", "tables", "bars", "findings", "liquidity", "market_state", "moments",
}  # fmt: skip
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "config": BASE,
    "kept": BASE,
    "jit": BASE | {"kept"},
    "market": BASE | {"kept", "jit"},
    "book": CORE,
    "features": COMPUTE,
    "detectors": COMPUTE | {"features"},
    "signals": COMPUTE | {"features", "detectors"},
    "engine": COMPUTE | {"features", "detectors", "signals"},
    "venues": CORE,
    "simulators": CORE,
    "storage": CORE,
    "options": CORE,
    "strategies": CORE,
    "execution": CORE,
    "runtime": COMPOSITION,
    "tables": DOMAIN,
    "frame": DOMAIN,
    "api": COMPOSITION | {"runtime", "tables", "frame"},
    "findings": COMPOSITION | {"runtime", "api", "tables"},
    "market_state": DOMAIN,
    "live_frames": COMPOSITION | {"runtime", "api", "frame"},
    "moments": COMPOSITION | {"runtime", "api", "market_state"},
    "bars": COMPOSITION | {"runtime", "api", "tables"},
    "liquidity": COMPOSITION | {"runtime", "api", "tables"},
    "research": PUBLIC,
    "ops": PUBLIC,
    "web": PUBLIC | {"ops"},
    "cli": PUBLIC | {"research", "ops", "web"},
    "__main__": {"cli"},
    "": {
        "api",
        "bars",
        "findings",
        "frame",
        "liquidity",
        "live_frames",
        "moments",
        "detectors",
        "engine",
        "book",
        "market",
        "errors",
        "research",
        "runtime",
        "signals",
    },  # the package's own __init__
}


def imported_names(tree: ast.Module, module: str, is_package: bool) -> list[tuple[ast.AST, str]]:
    """Every dotted name a module imports, relative ones resolved, function-level ones too."""
    found: list[tuple[ast.AST, str]] = []
    parts = module.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = parts if is_package else parts[:-1]
                anchor = anchor[: len(anchor) - (node.level - 1)]
                base = ".".join([*anchor, base] if base else anchor)
            found += [(node, f"{base}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = ast.unparse(node.func)
            if function.endswith(("import_module", "__import__")) and isinstance(node.args[0].value, str):
                found.append((node, node.args[0].value))
    return found


def violations(module: Module) -> list[str]:
    allowed = ALLOWED.get(module.layer)
    if allowed is None:
        return [f"{module.name}: layer {module.layer!r} has no place in the import rule"]
    wrong = []
    for node, name in imported_names(module.tree, module.name, module.path.name == "__init__.py"):
        parts = name.split(".")
        if parts[0] != "depthscope" or len(parts) < 2:
            continue
        target = parts[1]
        if target not in ALLOWED:  # a name of the package's root, such as __version__
            target = ""
        if target != module.layer and target not in allowed:
            wrong.append(
                f"{module.at(node)} imports {name}: {module.layer or 'root'} may not use {target or 'root'}"
            )
    return wrong


def test_imports_point_one_way(module: Module) -> None:
    assert violations(module) == []


def test_the_rule_sees_late_and_relative_imports() -> None:
    source = """
def f():
    from depthscope.web import app
    from ..cli import main
    import importlib
    importlib.import_module("depthscope.runtime.live")
"""
    names = {name for _, name in imported_names(ast.parse(source), "depthscope.book.kernel", False)}
    assert {"depthscope.web.app", "depthscope.cli.main", "depthscope.runtime.live"} <= names


def test_the_rule_itself_has_no_cycle() -> None:
    done: set[str] = set()

    def visit(layer: str, path: tuple[str, ...]) -> None:
        assert layer not in path, " -> ".join((*path, layer))
        if layer in done:
            return
        for below in ALLOWED[layer]:
            visit(below, (*path, layer))
        done.add(layer)

    for layer in ALLOWED:
        visit(layer, ())


HEAVY = (
    "numba",
    "llvmlite",
    "pyarrow",
    "fastapi",
    "uvicorn",
    "pandas",
    "pandas_market_calendars",
    "databento",
    "databento_dbn",
    "websockets",
    "structlog",
    "prometheus_client",
)


def loaded_after(code: str) -> set[str]:
    """Top-level modules present after `code` ran in a fresh interpreter."""
    script = f"{code}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stdout.split("\n")[-2].split())


def test_importing_the_package_is_light() -> None:
    assert loaded_after("import depthscope").isdisjoint(HEAVY)


def test_session_phases_ask_for_their_library_when_used() -> None:
    loaded = loaded_after("import depthscope.market.sessions")
    assert loaded.isdisjoint({"pandas", "pandas_market_calendars", "numba"})


def test_the_command_table_is_lighter_still() -> None:
    loaded = loaded_after("import depthscope.cli.app")
    assert loaded.isdisjoint({*HEAVY, "numpy", "rich", "msgspec"})


@pytest.mark.parametrize("layer", sorted({m.layer for m in MODULES}))
def test_every_layer_is_in_the_rule(layer: str) -> None:
    assert layer in ALLOWED


@pytest.mark.parametrize(
    "first", ["", "depthscope.Engine", "depthscope.replay", "import depthscope.features.kit"]
)
def test_features_is_the_function_whatever_was_imported_first(first: str) -> None:
    lines = ["import depthscope", first, "from depthscope.features import registry"]
    code = "\n".join([*lines, "print(depthscope.features.__code__.co_name)"])
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "features", done.stderr
