"""What users install, and that the pins are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import depthscope
from tests.rules.project import PACKAGE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_every_package_file(wheel: zipfile.ZipFile) -> None:
    there = {
        str(path.relative_to(PACKAGE.parent).as_posix())
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    packed = set(wheel.namelist())
    assert there - packed == set()
    assert any(name.startswith("depthscope/web/static/") and name.endswith(".js") for name in packed)
    assert any(name.startswith("depthscope/web/static/") and name.endswith(".html") for name in packed)
    assert "depthscope/py.typed" in packed


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    assert [n for n in wheel.namelist() if not re.match(r"depthscope(-[\d.]+\.dist-info)?/", n)] == []


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert any(n.endswith("licenses/LICENSE") for n in wheel.namelist())


def test_version_is_one() -> None:
    assert depthscope.__version__ == PROJECT["version"]
    assert f"[{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in found)
    return found


def test_every_dependency_is_pinned() -> None:
    """The whole closure of core and dev, as installed here, stands in constraints.txt."""
    pinned, seen = pins(), set[tuple[str, frozenset[str]]]()

    def visit(requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            return
        seen.add((name, frozenset(requirement.extras)))
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            pytest.fail(f"{requirement} is not installed: run `make lint` once")
        for text in found.requires or []:
            child = Requirement(text)
            extras = ("", *requirement.extras)
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras):
                visit(child)

    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for text in (t for group in groups for t in group):
        if not text.startswith("depthscope["):
            visit(Requirement(text))
    assert sorted({name for name, _ in seen} - set(pinned)) == []


def test_pins_satisfy_the_declared_ranges() -> None:
    pinned = pins()
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for text in (t for group in groups for t in group if not t.startswith("depthscope[")):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text


def test_continuous_integration_is_executable() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_shell_and_batch_start_files() -> None:
    done = subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    raw = Path(ROOT / "depthscope.bat").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") > 10


def test_make_targets() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "bench", "lint", "nightly", "clean"):
        assert re.search(rf"^{target}:", text, re.M), target
