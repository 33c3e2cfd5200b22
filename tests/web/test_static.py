"""The page's files: no inline code, nothing from elsewhere, nothing missing, types sound."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from depthscope.web.assets import STATIC

from .browser import absent

ROOT = Path(__file__).resolve().parents[2]
JS = STATIC / "js"
JS_TESTS = Path(__file__).parent / "js"
CHECKER = ("typescript@5.9.3", "@types/node@20.19.1")


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.links: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside = tag
        if found := given.get("id"):
            self.ids.append(found)
        self.inline += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith("on")]
        self.links += [value for name in ("src", "href", "action") if (value := given.get(name))]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in {"script", "style"} and data.strip():
            self.inline.append(f"<{self.inside}> {data.strip()[:40]}")


@pytest.fixture(scope="module")
def page() -> Page:
    parser = Page()
    parser.feed((STATIC / "index.html").read_text("utf-8"))
    return parser


def sources() -> list[Path]:
    return sorted(JS.glob("*.js"))


def test_no_inline_code(page: Page) -> None:
    assert page.inline == []


def test_everything_named_is_here(page: Page) -> None:
    assert all((STATIC / link).is_file() for link in page.links), page.links
    for file in sources():
        for name in re.findall(r"from '([^']+)'|import\('([^']+)'\)", file.read_text("utf-8")):
            target = name[0] or name[1]
            assert target.startswith("./"), f"{file.name} imports {target}"
            assert (JS / target).is_file(), f"{file.name} imports {target}"


def test_ids_are_unique_and_known(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    for file in sources():
        for wanted in re.findall(r"element\('([a-z-]+)'", file.read_text("utf-8")):
            assert wanted in page.ids, f"{file.name} looks for #{wanted}"


def test_nothing_from_elsewhere_and_no_code_from_text() -> None:
    for file in [*sources(), STATIC / "app.css", STATIC / "index.html"]:
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|wss?://|@import|url\(", text), file.name
        assert not re.search(r"\beval\(|new Function|innerHTML|insertAdjacentHTML|document\.write", text), (
            file.name
        )


def test_every_module_is_checked_and_short() -> None:
    for file in sources():
        lines = file.read_text("utf-8").splitlines()
        assert lines[0] == "// @ts-check", file.name
        assert len(lines) < 400, file.name


def test_the_page_is_light() -> None:
    total = sum(p.stat().st_size for p in STATIC.rglob("*") if p.is_file())
    assert total < 300_000


def run(*command: str | Path, seconds: int = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=seconds, check=False
    )


def test_node_is_told_that_these_are_modules() -> None:
    """Node 18, the one of Debian 12, takes a `.js` file for CommonJS unless a package.json says otherwise."""
    assert json.loads((ROOT / "package.json").read_text("utf-8"))["type"] == "module"


def test_units_under_node() -> None:
    node = shutil.which("node")
    if node is None:
        absent("node is missing")
    # Folders as arguments, and what is printed by default, differ between versions of Node.
    files = sorted(JS_TESTS.glob("*.test.mjs"))
    done = run(str(node), "--test", "--test-reporter=tap", *files)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.M), done.stdout[-500:]


def test_types() -> None:
    """`tsc --checkJs --strict`; the checker comes from npm into a folder that git ignores."""
    node, npm, tools = shutil.which("node"), shutil.which("npm"), ROOT / ".venv-node"
    checker = tools / "node_modules" / "typescript" / "bin" / "tsc"
    if not checker.is_file():
        if npm is None or node is None:
            absent("npm is missing")
        tools.mkdir(exist_ok=True)
        # Once: a machine that cannot reach the registry would try for minutes.
        quiet = (
            "--no-save",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            "--fetch-retries=0",
            "--prefix",
            tools,
        )
        done = run(str(npm), "install", *quiet, *CHECKER, seconds=300)
        if done.returncode != 0:
            absent(f"the type checker cannot be installed: {done.stderr[-300:]}")
    for config in (ROOT / "jsconfig.json", JS_TESTS / "jsconfig.json"):
        assert json.loads(config.read_text("utf-8"))["compilerOptions"]["strict"] is True
        done = run(str(node), checker, "-p", config)
        assert done.returncode == 0, done.stdout
