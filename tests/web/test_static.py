"""The page's files: no inline code, nothing from elsewhere, nothing missing, types sound."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from depthscope.web.assets import STATIC

ROOT = Path(__file__).resolve().parents[2]
JS = STATIC / "js"
TYPESCRIPT = "5.9.3"


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


def test_types() -> None:
    """`tsc --checkJs --strict`; the checker comes from npm into a folder that git ignores."""
    npm, tools = shutil.which("npm"), ROOT / ".venv-node"
    checker = tools / "node_modules" / "typescript" / "bin" / "tsc"
    if not checker.is_file():
        if npm is None:
            pytest.skip("no npm here")
        install = [
            npm,
            "install",
            "--no-save",
            "--no-package-lock",
            "--prefix",
            str(tools),
            f"typescript@{TYPESCRIPT}",
            "@types/node@20",
        ]
        tools.mkdir(exist_ok=True)
        done = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            message = f"the type checker cannot be installed: {done.stderr[-300:]}"
            pytest.fail(message) if os.environ.get("DEPTHSCOPE_REQUIRE_BROWSER") == "1" else pytest.skip(
                message
            )
    for config in (ROOT / "jsconfig.json", ROOT / "tests" / "web" / "js" / "jsconfig.json"):
        assert json.loads(config.read_text("utf-8"))["compilerOptions"]["strict"] is True
        node = shutil.which("node")
        assert node is not None
        done = subprocess.run(
            [node, str(checker), "-p", str(config)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout
