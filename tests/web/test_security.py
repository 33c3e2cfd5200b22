"""Nobody but the page and holders of the token gets in: every route, every wrong combination."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from depthscope.errors import ConfigError
from depthscope.web.app import Address, create_app, serve
from depthscope.web.hub import Hub
from depthscope.web.secret import page_key
from depthscope.web.security import MAX_BODY, Gate
from tests.web.clients import api, cookie_of, wait_open
from tests.web.conftest import make_session, serving

pytestmark = pytest.mark.anyio

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
BODY = b'{"cmd":"pause"}'


def routes() -> list[str]:
    """Every path the application answers, found by asking it, static files included."""
    hub = Hub(make_session())
    guard = create_app(hub, Gate.make(["127.0.0.1"], 80, secure=False, key=b"k" * 32))
    found = {"/", "/js/main.js", "/app.css", "/nothing-here"}
    stack = list(guard.app.routes)
    while stack:
        route = stack.pop()
        stack += list(getattr(route, "routes", []) or [])
        original = getattr(route, "original_router", None)
        stack += list(getattr(original, "routes", []) or [])
        path = getattr(route, "path", "")
        if path and "{" not in path:
            found.add(path)
    hub._worker.stop(5)
    return sorted(found)


def raw(
    address: Address, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One request with exactly these headers and no other."""
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    out = (answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    connection.close()
    return out


def test_the_routes_are_all_found() -> None:
    found = routes()
    for path in (
        "/api/v1/health",
        "/api/v1/symbols",
        "/api/v1/book",
        "/api/v1/session",
        "/stream",
        "/openapi.json",
    ):
        assert path in found
    assert not {"/docs", "/redoc"} & set(found), "documentation pages load foreign scripts"


class Wall:
    """Values of each part of a request, and whether each is right."""

    def __init__(self, port: int, token: str, cookie: str) -> None:
        host, mine = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        name, value = cookie.split("=", 1)
        self.hosts = {
            host: True,
            f"localhost:{port}": True,
            "evil.example": False,
            "127.0.0.1": False,
            f"127.0.0.1:{port + 1}": False,
            f"{host}.evil.example": False,
            "": False,
        }
        self.origins = {
            None: None,
            mine: True,
            f"http://localhost:{port}": True,
            "null": False,
            "https://evil.example": False,
            f"http://127.0.0.1:{port + 1}": False,
            f"https://127.0.0.1:{port}": False,
            f"{mine}.evil.example": False,
        }
        self.tokens = {
            ("Cookie", cookie): "cookie",
            ("Authorization", f"Bearer {token}"): "bearer",
            None: None,
            ("Cookie", f"{name}="): None,
            ("Cookie", f"{name}={value}x"): None,
            ("Cookie", f"{name}={token}"): None,
            ("Cookie", f"{cookie}; {name}=other"): None,
            ("Authorization", "Bearer wrong"): None,
            ("Authorization", f"Basic {token}"): None,
            ("Authorization", f"Bearer {value}"): None,
        }
        self.kinds = {
            "application/json": True,
            "application/json; charset=utf-8": True,
            "text/plain": False,
            "application/x-www-form-urlencoded": False,
            "multipart/form-data": False,
            None: False,
        }

    def good(
        self, method: str, host: str, origin: str | None, token: Any, kind: str | None, marked: bool
    ) -> bool:
        """Whether a request may pass."""
        if not self.hosts[host] or self.origins[origin] is False or self.tokens[token] is None:
            return False
        if method in ("GET", "HEAD"):
            return True
        named = self.tokens[token] == "bearer" or origin is not None
        return self.kinds[kind] and marked and named

    def headers(
        self, host: str, origin: str | None, token: Any, kind: str | None, marked: bool
    ) -> list[tuple[str, str]]:
        """The request's headers."""
        found = [("Host", host)] if host else []
        found += [("Origin", origin)] if origin else []
        found += [token] if token else []
        found += [("Content-Type", kind)] if kind else []
        return found + ([("X-Depthscope", "1")] if marked else [])


async def ask(app: Any, method: str, path: str, headers: list[tuple[str, str]]) -> int:
    """Status of one request put to the application itself."""
    sent: list[dict[str, Any]] = []
    bodies = [{"type": "http.request", "body": BODY, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return bodies.pop() if bodies else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8050), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.untraced  # eighty thousand requests; the next tests go the same ways
async def test_the_whole_matrix_on_every_route() -> None:
    """method x Host x Origin x token x content type x header: whatever is not all right is refused."""
    session = make_session()
    hub = Hub(session)
    gate = Gate.make(["127.0.0.1", "localhost"], 8050, secure=False, key=b"k" * 32)
    app = create_app(hub, gate)
    wall = Wall(8050, gate.token, f"{gate.cookie_name}={gate.cookie}")
    passed = refused = 0
    try:
        for path in routes():
            for parts in itertools.product(
                METHODS, wall.hosts, wall.origins, wall.tokens, wall.kinds, (True, False)
            ):
                method, *rest = parts
                if method not in ("GET", "POST") and rest[3] != "application/json":
                    continue  # the others are treated as one of these two, which go through them all
                good = wall.good(method, *rest)
                if good and passed > 200:
                    continue
                status = await ask(app, method, path, wall.headers(*rest))
                passed, refused = passed + good, refused + (not good)
                assert (status in (403, 415, 421)) is (not good), (method, path, rest, status)
    finally:
        hub._worker.stop(5)
    assert passed > 200
    assert refused > 80_000


def test_one_thing_wrong_is_enough_on_the_wire(server: Address) -> None:
    """Every route and method of the real server, with all right but one part."""
    wait_open(server)
    wall = Wall(server.port, server.token, cookie_of(server))
    host, mine = next(iter(wall.hosts)), f"http://127.0.0.1:{server.port}"
    right = (host, mine, next(iter(wall.tokens)), "application/json", True)
    cases = [right]
    cases += [(h, *right[1:]) for h, ok in wall.hosts.items() if not ok]
    cases += [(host, o, *right[2:]) for o, ok in wall.origins.items() if ok is False]
    cases += [(host, mine, t, *right[3:]) for t, ok in wall.tokens.items() if ok is None]
    cases += [(*right[:3], k, True) for k, ok in wall.kinds.items() if not ok]
    cases += [(*right[:4], False), (host, None, *right[2:])]
    for path, method, case in itertools.product(routes(), METHODS, cases):
        good = wall.good(method, *case)
        # Without Host the HTTP parser answers before the body is read and may reset the connection.
        body = b"" if method in ("GET", "HEAD", "TRACE") or not case[0] else BODY
        status, headers, _ = raw(server, method, path, wall.headers(*case), body)
        if good:
            assert status not in (403, 415, 421), (method, path, case, status)
        else:
            assert status in (400, 403, 415, 421), (method, path, case, status)
            assert "set-cookie" not in headers
        if status != 400:  # 400 comes from the HTTP parser, which a request without Host does not pass
            assert headers["x-content-type-options"] == "nosniff"


def test_a_wrong_websocket_handshake_never_opens(server: Address) -> None:
    wait_open(server)
    from websockets.sync.client import connect

    host, mine = f"127.0.0.1:{server.port}", f"http://127.0.0.1:{server.port}"
    cookie = cookie_of(server)
    bearer = f"Bearer {server.token}"
    wrong = [
        (host, mine, {}),
        (host, None, {"Cookie": cookie}),
        (host, "null", {"Cookie": cookie}),
        (host, "https://evil.example", {"Cookie": cookie}),
        (host, f"http://127.0.0.1:{server.port + 1}", {"Cookie": cookie}),
        (host, "https://evil.example", {"Authorization": bearer}),
        ("evil.example", mine, {"Cookie": cookie}),
        ("evil.example", None, {"Authorization": bearer}),
        (host, mine, {"Cookie": cookie + "x"}),
        (host, mine, {"Cookie": cookie, "Sec-Fetch-Site": "same-site"}),
        (host, mine, {"Authorization": "Bearer nothing"}),
    ]
    for path in ("stream", "", "api/v1/session", "elsewhere"):
        for h, origin, headers in wrong:
            with pytest.raises(websockets.InvalidStatus) as refused:
                options = {"origin": origin, "additional_headers": headers, "open_timeout": 10}
                connect(f"ws://{h}/{path}", sock=_socket(server), **options)
            assert refused.value.response.status_code == 403
    for headers, origin in (({"Cookie": cookie}, mine), ({"Authorization": bearer}, None)):
        with connect(
            server.url.replace("http", "ws", 1) + "stream", origin=origin, additional_headers=headers
        ) as ws:
            assert json.loads(ws.recv(10))["t"] == "hello"
    with pytest.raises(websockets.InvalidStatus):
        connect(f"ws://{host}/elsewhere", origin=mine, additional_headers={"Cookie": cookie})


def _socket(address: Address):
    import socket

    return socket.create_connection(("127.0.0.1", address.port), timeout=10)


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(server: Address) -> None:
    answer = httpx.get(server.open_url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(rf"depthscope_{server.port}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", cookie)
    assert server.token not in cookie
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    for wrong in ("?token=", "?token=x", f"?token={server.token}&token=x", f"?TOKEN={server.token}"):
        assert httpx.get(server.url + wrong).status_code == 403
    assert httpx.get(f"{server.url}index.html?token={server.token}").status_code == 403
    assert httpx.get(f"{server.url}api/v1/health?token={server.token}").status_code == 403
    assert httpx.post(f"{server.url}?token={server.token}").status_code == 403
    page = httpx.get(server.url)
    assert page.status_code == 403
    assert "terminal printed" in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        (f"/?{'&'.join('a' * 9)}", None, 403),
        (f"/?{'a&' * 20_000}", None, 403),
        ("/?token=%ff%00%zz%ed%a0%80", None, 403),
        (f"/?token={'x' * 60_000}", None, 403),
        ("/%ff%00", None, 403),
        ("/", ("Cookie", b"{name}=\xff\xfe"), 403),
        ("/", ("Cookie", b";;=;=;{name};{name}=="), 403),
        ("/", ("Cookie", b"{name}=" + b"x" * 60_000), 403),
        ("/", ("Authorization", b"Bearer \xff"), 403),
        ("/", ("Authorization", b""), 403),
        ("/", ("Origin", b"http://\xff"), 403),
        ("/", ("Sec-Fetch-Site", b"\xff"), 403),
        ("/", ("Host", b"\xff\xfe"), 421),
    ],
)
def test_odd_requests_are_refused_like_any_without_a_token(
    server: Address,
    caplog: pytest.LogCaptureFixture,
    path: str,
    header: tuple[str, bytes] | None,
    status: int,
) -> None:
    headers: list[tuple[str, Any]] = [("Host", f"127.0.0.1:{server.port}")]
    if header is not None:
        name, value = header
        headers = headers if name != "Host" else []
        headers.append((name, value.replace(b"{name}", f"depthscope_{server.port}".encode())))
    found, answered, _ = raw(server, "GET", path, headers)
    assert found == status
    assert answered["x-content-type-options"] == "nosniff"
    assert answered["content-security-policy"].startswith("default-src 'none'")
    assert "set-cookie" not in answered
    assert "Traceback" not in caplog.text


def test_an_open_page_stays_let_in_when_the_server_is_started_again(server: Address) -> None:
    cookie = cookie_of(server)
    with serving(make_session()) as other:
        assert httpx.get(other.url, headers={"Cookie": cookie}).status_code == 403, (
            "another port, another cookie"
        )
        theirs, port = cookie_of(other), other.port
        assert other.token != server.token
    with serving(make_session(), port=port) as again:
        assert again.token != other.token, "the token is new at each start"
        assert httpx.get(again.url, headers={"Cookie": theirs}).status_code == 200
        assert httpx.get(other.open_url).status_code == 403, "the old address is not"
    with serving(make_session(), port=port, token="a-token-of-our-own") as mine:
        assert httpx.get(mine.url, headers={"Cookie": theirs}).status_code == 403


def test_the_key_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthscope.web.secret._folder", lambda: tmp_path / "state" / "depthscope")
    path = tmp_path / "state" / "depthscope" / "page.key"
    key = page_key()
    assert (len(key), page_key(), path.read_bytes()) == (32, key, key)
    if hasattr(os, "getuid"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        path.chmod(0o644)
        assert page_key() != key, "a key others could read is not used"
        assert path.stat().st_mode & 0o777 == 0o600
        key = page_key()
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        assert page_key() != key, "nor one behind a link"
    path.unlink()
    path.write_bytes(b"short")
    path.chmod(0o600)
    assert len(page_key()) == 32
    assert list(path.parent.iterdir()) == [path], "nothing is left lying about"
    path.unlink()
    path.mkdir()
    assert page_key() != page_key(), "where none can be kept, each start has its own"
    assert list(path.parent.iterdir()) == [path]
    monkeypatch.setattr("depthscope.web.secret._folder", lambda: None)
    assert page_key() != page_key()


def test_another_page_of_this_machine_shares_our_cookie_and_gets_nothing(server: Address) -> None:
    headers = {"Cookie": cookie_of(server)}
    for site, mode, path, status in (
        ("same-site", "cors", "api/v1/health", 403),
        ("cross-site", "no-cors", "api/v1/book", 403),
        ("same-site", "no-cors", "js/main.js", 403),
        ("same-site", "navigate", "api/v1/health", 403),
        ("same-site", "navigate", "", 200),
        ("same-origin", "cors", "api/v1/health", 200),
        ("none", "navigate", "", 200),
    ):
        answer = httpx.get(
            server.url + path, headers=headers | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        )
        assert answer.status_code == status, (site, mode, path)
        assert "access-control-allow-origin" not in answer.headers


def test_every_answer_carries_the_policy(server: Address) -> None:
    wait_open(server)
    with api(server) as client:
        for path in ("/", "/js/main.js", "/api/v1/health", "/nothing", "/openapi.json"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert f"connect-src 'self' ws://127.0.0.1:{server.port}" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "server" not in headers


def test_large_bodies_are_refused_told_or_found(server: Address) -> None:
    wait_open(server)
    head = {"X-Depthscope": "1", "Content-Type": "application/json"}
    with api(server) as client:
        assert client.post("/api/v1/session", content=b"x" * (MAX_BODY + 1), headers=head).status_code == 413
        chunked = client.post("/api/v1/session", content=(b"x" * 1000 for _ in range(20)), headers=head)
        assert chunked.status_code == 413, "a length that is not announced is found out"
        assert client.get("/api/v1/health").status_code == 200
    host, bearer = ("Host", f"127.0.0.1:{server.port}"), ("Authorization", f"Bearer {server.token}")
    assert raw(server, "POST", "/api/v1/session", [host, bearer, ("Content-Length", "-5")])[0] in (
        400,
        403,
        413,
    )


def test_a_body_that_never_comes_is_not_waited_for(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthscope.web.security._BODY_SECONDS", 0.2)
    host = ("Host", f"127.0.0.1:{server.port}")
    right = [host, ("Authorization", f"Bearer {server.token}"), ("X-Depthscope", "1")]
    json_body = [("Content-Type", "application/json"), ("Content-Length", "100")]
    assert raw(server, "POST", "/api/v1/session", [*right, *json_body])[0] == 408
    assert raw(server, "POST", "/api/v1/session", [host, *json_body])[0] == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_other_addresses_need_tls_and_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="this machine only"):
        serve(make_session(), host=host, port=0)
    with pytest.raises(ConfigError, match="this machine only"):
        serve(make_session(), host=host, port=0, token="x" * 32)
    with pytest.raises(ConfigError, match="this machine only"):
        serve(make_session(), host=host, port=0, tls=(Path("cert.pem"), Path("key.pem")))


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 characters"):
        serve(make_session(), port=0, token="hunter2")


def test_tls_serves_the_page_and_marks_the_cookie_secure(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    made = subprocess.run(
        [*f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext {names}".split(),
         "-keyout", key, "-out", cert],
        capture_output=True,
        check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    with serving(make_session(), tls=(cert, key), token="a-token-of-our-own") as address:
        assert address.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(cert))
        answer = httpx.get(address.open_url, verify=context)
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].endswith("; Secure")
        assert f"wss://127.0.0.1:{address.port}" in answer.headers["content-security-policy"]


def test_the_token_is_never_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    with serving(make_session()) as address:
        httpx.get(address.open_url)
        httpx.get(f"{address.url}x?token={address.token}")
        httpx.get(f"{address.url}%ff?token={address.token}", headers={"Host": "evil.example"})
        wait_open(address)
    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert not any(address.token in r.getMessage() for r in ours)
    out = capfd.readouterr()
    assert address.token not in out.out + out.err
    assert urlsplit(address.open_url).query == f"token={address.token}"
