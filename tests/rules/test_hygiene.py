"""What no file of the project may contain."""

from __future__ import annotations

import ast
import re
from dataclasses import fields

import pytest

from depthscope.config import ENVIRONMENT_ONLY, Settings
from tests.rules.project import ROOT, Module, tracked_files

# Spelled in pieces, so that this file does not contain what it forbids.
MACHINE_PATHS = re.compile(
    "|".join(f"/{name}/" for name in ("work", "root", "home/[a-z]+", "tmp", "Users/[a-z]+"))
)
HOSTS = "|".join(
    a + b
    for a, b in (
        ("py", "pi"), ("python", "hosted"), ("npm", "js"), ("yarn", "pkg"), ("un", "pkg"), ("js", "delivr"),
        ("cdn", "js"), ("con", "da"),
    )
)  # fmt: skip
ENDINGS = "|".join(("org", "com", "net", "cloudflare", "anaconda"))
REGISTRIES = re.compile(rf"\b({HOSTS})\.({ENDINGS})\b")
LEFTOVERS = re.compile(
    "|".join(f"\\b{a}{b}\\b" for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK")))
)
RECORDINGS = (".dbn", ".dbz", ".zst", ".parquet", ".gz", ".zip", ".cap", ".feather", ".arrow")


def texts() -> list[tuple[str, str]]:
    found = []
    for path in tracked_files():
        raw = path.read_bytes()
        if b"\0" not in raw[:4096]:
            found.append((str(path.relative_to(ROOT)), raw.decode("utf-8")))
    return found


@pytest.mark.parametrize(
    "pattern", [MACHINE_PATHS, REGISTRIES, LEFTOVERS], ids=["paths", "registries", "leftovers"]
)
def test_no_file_contains(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts()
        if name != "LICENSE"
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_every_variable_of_ours_is_known() -> None:
    """What any file calls DEPTHSCOPE_… is a setting or listed, or the command line would refuse it."""
    known = set(ENVIRONMENT_ONLY) | {f"DEPTHSCOPE_{f.name.upper()}" for f in fields(Settings)}
    own = {"tests/test_config.py"}  # tries names that are not
    found = {
        (n, v)
        for n, text in texts()
        if n not in own
        for v in re.findall(r"(?<!_)DEPTHSCOPE_[A-Z_]*[A-Z]", text)
    }
    assert {(name, variable) for name, variable in found if variable not in known} == set()


def test_no_recorded_data_is_kept() -> None:
    assert [str(p) for p in tracked_files() if p.suffix in RECORDINGS] == []


def test_no_large_file() -> None:
    assert [f"{p} {p.stat().st_size}" for p in tracked_files() if p.stat().st_size > 1_500_000] == []


def test_errors_are_not_swallowed(module: Module) -> None:
    """`except …: pass` hides faults; `contextlib.suppress` of a narrow error says what is meant."""
    found = [
        module.at(node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or all(isinstance(s, ast.Pass) for s in node.body))
    ]
    assert found == []


def test_broad_suppress_is_not_used(module: Module) -> None:
    found = [
        module.at(node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("suppress")
        and any(ast.unparse(a) in ("Exception", "BaseException") for a in node.args)
    ]
    assert found == []
