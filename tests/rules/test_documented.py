"""Every public name says what it is; the ones users call say what they take, give and raise."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re

import pytest

import depthscope
from tests.rules.project import Module

LIMIT = 500  # lines a module may have (aim: 400)

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def undocumented(body: list[ast.stmt], prefix: str) -> list[str]:
    """Public classes, functions and methods without a docstring."""
    missing = []
    for node in body:
        if not isinstance(node, Documented) or node.name.startswith("_"):
            continue
        decorators = [ast.unparse(d) for d in node.decorator_list]
        if any(d.endswith((".setter", "overload")) for d in decorators):
            continue
        if ast.get_docstring(node) is None:
            missing.append(f"{prefix}{node.name} (line {node.lineno})")
        if isinstance(node, ast.ClassDef):
            missing += undocumented(node.body, f"{prefix}{node.name}.")
    return missing


def test_module_and_public_names_have_docstrings(module: Module) -> None:
    assert ast.get_docstring(module.tree), f"{module.path} has no docstring"
    assert undocumented(module.tree.body, "") == []


def test_module_is_short(module: Module) -> None:
    assert len(module.text.splitlines()) <= LIMIT


def test_root_exports_are_explicit() -> None:
    names = depthscope.__all__
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(depthscope, name)] == []
    assert set(names) <= set(dir(depthscope))


def test_an_unknown_root_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        depthscope.no_such_name  # noqa: B018


def sections(text: str) -> dict[str, str]:
    """Numpydoc sections of a docstring: title -> body."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def described(body: str) -> set[str]:
    """Names a Parameters section describes (`a, b : int` describes two)."""
    found: set[str] = set()
    for line in body.splitlines():
        match = re.match(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*) *(?::|$)", line)
        if match:
            found |= {name.strip().lstrip("*") for name in match[1].split(",")}
    return found


def callables() -> list[tuple[str, object]]:
    """Public functions and classes of the root, and the public methods of the classes."""
    found: list[tuple[str, object]] = []
    for name in depthscope.__all__:
        value = getattr(depthscope, name)
        if inspect.isclass(value):
            found.append((name, value))
            found += [
                (f"{name}.{attribute}", member)
                for attribute, member in vars(value).items()
                if not attribute.startswith("_") and inspect.isfunction(member)
            ]
        elif inspect.isfunction(value):
            found.append((name, value))
    return found


@pytest.mark.parametrize(("name", "value"), callables(), ids=lambda v: v if isinstance(v, str) else "")
def test_public_callables_describe_their_parameters(name: str, value: object) -> None:
    text = inspect.getdoc(value)
    assert text, f"{name} has no docstring"
    if inspect.isclass(value) and (
        issubclass(value, Exception | enum.Enum) or value.__init__ is object.__init__
    ):
        return
    try:
        signature = inspect.signature(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return
    wanted = {p for p in signature.parameters if p not in ("self", "cls") and not p.startswith("_")}
    has = sections(text)
    given = described(has.get("Parameters", "")) | described(has.get("Attributes", ""))
    if inspect.isclass(value) and not dataclasses.is_dataclass(value) and "Parameters" not in has:
        return  # users get it from us, they do not make it
    same = re.search(r"Parameters are those of `(\w+)`", text)
    if same:
        given |= described(sections(inspect.getdoc(getattr(depthscope, same[1])) or "")["Parameters"])
    if len(wanted) == 1 and "Parameters" not in has:
        given |= set(re.findall(r"`(\w+)`", text))  # one parameter may stand in the sentence
    assert wanted <= given, f"{name}: {sorted(wanted - given)} not described"
