"""The documents are true: links lead somewhere, commands and options exist, examples run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from depthscope.cli.app import app
from tests.rules.project import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])
WANTED = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/NORMALIZATION.md",
    "docs/ADD_A_VENUE.md", "docs/ADD_A_FEATURE.md", "docs/MIGRATION.md",
)  # fmt: skip


def blocks(path: Path, language: str) -> list[str]:
    """Fenced code blocks of one language."""
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def slug(heading: str) -> str:
    """Anchor a heading gets where Markdown is shown."""
    text = re.sub(r"[`*]", "", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("name", WANTED)
def test_document_is_there(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8")) > 500


def test_decisions_are_numbered_without_gap() -> None:
    numbers = sorted(int(p.name[:4]) for p in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            broken.append(target)
        elif anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            if anchor not in {slug(h) for h in headings}:
                broken.append(target)
    assert broken == []


def command_lines() -> list[tuple[str, str]]:
    """Every `depthscope …` line in a shell block of a document."""
    found = []
    for path in DOCUMENTS:
        for block in (*blocks(path, "bash"), *blocks(path, "console"), *blocks(path, "sh")):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                for part in re.split(r"\s[|&;]{1,2}\s", re.sub(r"^\$ ", "", line.strip())):
                    if re.match(r"depthscope(\s|$)", part.strip()):
                        found.append((str(path.relative_to(ROOT)), part.split(" #")[0].strip()))
    return found


def test_some_command_lines_are_found() -> None:
    assert len(command_lines()) >= 5


@pytest.mark.parametrize(("where", "line"), command_lines())
def test_commands_and_options_exist(where: str, line: str) -> None:
    group: Any = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    if not words or words[0].startswith("-"):
        return
    assert words[0] in group.commands, f"{where}: no command {words[0]}"
    command = group.commands[words[0]]
    if hasattr(command, "commands"):  # a group of commands: the second word names one
        assert words[1] in command.commands, f"{where}: no command {words[0]} {words[1]}"
        command = command.commands[words[1]]
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {
        "--help",
        "-h",
    }
    unknown = [w for w in words[1:] if re.match(r"--?[a-z]", w) and w.split("=")[0] not in known]
    assert unknown == [], f"{where}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"`make ([a-z]+)[^`]*`", text)
    for block in (*blocks(path, "bash"), *blocks(path, "console"), *blocks(path, "sh")):
        named += re.findall(r"^(?:\$ )?make ([a-z]+)", block, re.M)
    assert set(named) - targets == set()
