"""Compiled functions share `njit` and `hot` functions, never kernels: a kernel read back cannot be linked."""

from __future__ import annotations

import ast

from tests.rules.project import MODULES, Module

COMPILED = {"njit", "hot", "kernel"}


def decorators(function: ast.FunctionDef) -> set[str]:
    calls = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
    return {ast.unparse(call).rsplit(".", 1)[-1] for call in calls}


def compiled(module: Module) -> list[ast.FunctionDef]:
    """Functions of a module that are compiled."""
    nodes = (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef))
    return [node for node in nodes if decorators(node) & COMPILED]


def test_no_compiled_function_calls_a_kernel() -> None:
    kernels = {
        (module.name, node.name)
        for module in MODULES
        for node in compiled(module)
        if "kernel" in decorators(node)
    }
    assert len(kernels) > 10, "no kernels found: the rule looks in the wrong place"
    wrong = []
    for module in MODULES:
        known = {name for place, name in kernels if place == module.name} | {
            alias.asname or alias.name
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if (node.module, alias.name) in kernels
        }
        wrong += [
            f"{module.at(call)}: {function.name} calls the kernel {ast.unparse(call.func)}"
            for function in compiled(module)
            for call in ast.walk(ast.Module(function.body, []))
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in known
        ]
    assert wrong == []
