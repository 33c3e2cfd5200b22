"""A tiny real venue on loopback: HTTP and WebSocket servers that answer as they are told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from depthscope.ops.checks_venue import Target

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Venue:
    """What is answered, and what was asked.

    `replies` overrides a path's usual answer; `routes` are those that take streams.
    """

    target: Target
    replies: dict[str, Answer] = field(default_factory=dict)
    offset: float = 0.0
    delay: float = 0.0
    routes: tuple[str, ...] = ("public", "market")
    ws_status: int = 404
    mute: bool = False
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str) -> Answer:
        if path in self.replies:
            return self.replies[path]
        bodies: dict[str, Any] = {
            "/fapi/v1/ping": {},
            "/fapi/v1/time": {"serverTime": int((time.time() + self.offset) * 1e3)},
            "/fapi/v1/exchangeInfo": {
                "symbols": [
                    {"symbol": "BTCUSDT", "status": "TRADING"},
                    {"symbol": "LUNAUSDT", "status": "SETTLING"},
                ]
            },
        }
        if path not in bodies:
            return 404, {}, b'{"code":-5000,"msg":"no such path"}'
        return 200, {"X-MBX-USED-WEIGHT-1M": "7"}, json.dumps(bodies[path]).encode()


@contextmanager
def running() -> Iterator[Venue]:
    """Both servers, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            venue.asked.append(self.path)
            venue.headers.append(dict(self.headers.items()))
            time.sleep(venue.delay)
            status, headers, body = venue.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    def gate(_: ServerConnection, request: Request) -> Response | None:
        venue.asked.append(request.path)
        if request.path.split("/")[1] in venue.routes:
            return None
        headers = Headers({"Retry-After": "60", "Content-Length": "0"})
        return Response(venue.ws_status, HTTPStatus(venue.ws_status).phrase, headers, b"")

    def talk(connection: ServerConnection) -> None:
        if not venue.mute:
            connection.send('{"e":"depthUpdate","s":"BTCUSDT"}')
        for _ in connection:
            continue

    rest = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    streams = serve(talk, "127.0.0.1", 0, process_request=gate)
    venue = Venue(
        Target(
            "binance",
            f"http://127.0.0.1:{rest.server_address[1]}",
            f"ws://127.0.0.1:{streams.socket.getsockname()[1]}",
        )
    )
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in (rest, streams)]
    for thread in threads:
        thread.start()
    try:
        yield venue
    finally:
        rest.shutdown()
        rest.server_close()
        streams.shutdown()
        for thread in threads:
            thread.join(5)
