"""Static files: what is served, how, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from depthscope.web.app import Address
from depthscope.web.assets import STATIC, Assets
from tests.web.clients import api
from tests.web.test_security import raw

pytestmark = pytest.mark.anyio


def test_static_files_types_and_validators(server: Address) -> None:
    with api(server) as client:
        for path, kind in (
            ("/", "text/html"),
            ("/index.html", "text/html"),
            ("/app.css", "text/css"),
            ("/js/main.js", "text/javascript"),
        ):
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers["cache-control"] == "no-cache"
            again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert client.head(path).status_code == 200
        assert client.post("/", headers={"X-Depthscope": "1"}, json={}).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "secret.py",
        ".hidden.js",
        "../outside.js",
        "%2e%2e/outside.js",
        "js/../../outside.js",
        "js//main.js",
        "js/",
        "js",
        "js\\main.js",
        "..%5coutside.js",
        "js/main.js%00.js",
        "c:/windows/win.ini",
        "//evil.example/x.js",
    ],
)
def test_nothing_else_is_served(server: Address, path: str) -> None:
    head = [("Host", f"127.0.0.1:{server.port}"), ("Authorization", f"Bearer {server.token}")]
    assert raw(server, "GET", f"/{path}", head)[0] in (400, 404)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "key.js").write_text("secret", encoding="utf-8")
    try:
        (tmp_path / "in" / "link.js").symlink_to(tmp_path / "key.js")
    except OSError:
        pytest.skip("no links on this system")
    assert Assets(tmp_path / "in").find("link.js") is None


def test_the_shipped_page_loads_nothing_from_elsewhere() -> None:
    files = [p for p in STATIC.rglob("*") if p.suffix in (".html", ".css", ".js")]
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        foreign = [
            u
            for u in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text)
            if "www.w3.org/" not in u + "/"
        ]
        assert not foreign, f"{path.name} names {foreign}"
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", page), "an inline script would be blocked by the policy"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)
