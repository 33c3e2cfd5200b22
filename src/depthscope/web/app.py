"""The server: FastAPI on one port, started and stopped as one."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from depthscope.errors import ConfigError, InputError, PortInUse
from depthscope.ops.redact import forget, protect
from depthscope.web.api import json_response, make_router
from depthscope.web.assets import STATIC, Assets
from depthscope.web.hub import Hub
from depthscope.web.operations import Operations
from depthscope.web.recorder import Recorder
from depthscope.web.secret import page_key
from depthscope.web.security import Gate, Guard
from depthscope.web.server import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from depthscope.ops.snapshot import Snapshot
    from depthscope.runtime.market import Market

__all__ = ["Address", "create_app", "serve"]

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_GOODBYE: Final = 2.0  # seconds a page is given to take what is said at its closing


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running server is reached.

    Attributes
    ----------
    url : str
        Address of the page.
    open_url : str
        The same with the token: what a user opens. Show it in the terminal, log it nowhere.
    token : str
        For programs: ``Authorization: Bearer …``.
    port : int
    stop : callable
        Ends the server; may be called from any thread.
    """

    url: str
    open_url: str
    token: str
    port: int
    stop: Callable[[], None]


def create_app(
    hub: Hub,
    gate: Gate,
    *,
    depth_rows: int = 20,
    folder: Path | None = None,
    snapshot: Callable[[], Snapshot] | None = None,
) -> Any:
    """ASGI application of a hub, behind its guard.

    Parameters
    ----------
    hub : Hub
        Started once the server listens, so that importing the compiler delays nobody; stopped
        with the application.
    gate : Gate
    depth_rows : int
        Levels a side where a request names none.
    folder : Path, optional
        Static files; the package's own by default.
    snapshot : callable, optional
        What a live session says of its feeds, recorder and the rest; called in the event loop, so it
        only reads. The page's part is filled in here.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await hub.stop()

    assets = Assets(folder if folder is not None else STATIC)
    app = FastAPI(
        title="depthscope", docs_url=None, redoc_url=None, openapi_url="/openapi.json", lifespan=lifespan
    )
    operations = Operations(hub, snapshot)
    app.include_router(make_router(hub, depth_rows, operations))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        return json_response({"error": {"code": code, "message": str(error.detail)}}, error.status_code)

    @app.exception_handler(RequestValidationError)
    async def bad_request(_: Request, error: RequestValidationError) -> Response:
        told = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()[:4])
        return json_response({"error": {"code": "bad_request", "message": told}}, 400)

    @app.websocket("/stream")
    async def stream(ws: WebSocket) -> None:
        await ws.accept()
        client = hub.join()
        if client is None:
            await ws.close(4429, "too many pages are open")
            return

        async def receive() -> None:
            while client.closing is None:
                message = await ws.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 1005))
                try:
                    if message.get("text") is None:
                        raise InputError("Commands are JSON text, not bytes.")
                    await hub.command(client, message["text"])
                except InputError as error:
                    client.close(4400, str(error))

        async def transmit() -> None:
            while (item := await client.next_item()) is not None:
                await (ws.send_text(item) if isinstance(item, str) else ws.send_bytes(item))
            if client.closing is not None:
                code, reason = client.closing
                await ws.close(code, reason.encode()[:120].decode("utf-8", "ignore"))

        # Told to close, both of the others may be waiting: for a page that neither reads nor says anything.
        waiting = (transmit(), receive(), client.told_to_close())
        tasks = [asyncio.create_task(one) for one in waiting]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if client.closing is not None:  # what is said of it must go out, if the page takes it
                await asyncio.wait(tasks[:1], timeout=_GOODBYE)
        finally:
            hub.leave(client)
            for task in tasks:
                task.cancel()
            # A connection that broke ends both; there is nobody left to tell.
            await asyncio.gather(*tasks, return_exceptions=True)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        body, kind = operations.metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind, "cache-control": "no-store"})

    @app.get("/{name:path}", include_in_schema=False)
    @app.head("/{name:path}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Response:
        found = assets.respond(name, request)
        if found is None:
            raise HTTPException(404, "There is nothing at this address.")
        return found

    return Guard(app, gate)


def _listen(host: str, port: int) -> socket.socket:
    """Bind and listen.

    Raises
    ------
    PortInUse
        When another program has the port.
    ConfigError
        When the address cannot be used.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
    except OSError as error:
        raise ConfigError(f"The page cannot be served at {host}: {error.strerror or error}.") from error
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            why = "another program listens there" if error.errno == errno.EADDRINUSE else "it is not allowed"
            raise PortInUse(
                f"Port {port} of {host} cannot be used: {why}. "
                "Choose another with --port, or end the other program; nothing was started."
            ) from error
        raise ConfigError(
            f"The page cannot be served at {host}:{port}: {error.strerror or error}."
        ) from error
    return sock


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _plan(history_seconds: int) -> tuple[tuple[int, int], ...]:
    """Columns kept at each resolution: three minutes, an hour, and `history_seconds` at 1 s."""
    seconds = max(60, history_seconds)
    return ((50, 20 * min(180, seconds)), (250, 4 * min(3600, seconds)), (1000, seconds))


def serve(
    session: Market,
    *,
    host: str = "127.0.0.1",
    port: int = 8050,
    token: str | None = None,
    open_browser: bool = False,
    ready: Callable[[Address], None] | None = None,
    tls: tuple[Path, Path] | None = None,
    page_hz: float = 20.0,
    history_seconds: int = 86_400,
    depth_rows: int = 20,
    folder: Path | None = None,
    snapshot: Callable[[], Snapshot] | None = None,
) -> None:
    """Serve the page of a session until SIGINT or SIGTERM.

    Parameters
    ----------
    session : Market
        Not yet open; the page is served before it is.
    host, port : str, int
        Where to listen. Port 0 takes a free one.
    token : str, optional
        Random by default.
    open_browser : bool
        Open the page in the user's browser.
    ready : callable, optional
        Told the address once the server listens. It carries the token: print it, log it nowhere.
    tls : tuple of Path, optional
        Certificate and key. Without them only loopback addresses are served.
    page_hz : float
        Updates a second.
    history_seconds : int
        Heatmap history kept at 1-s columns.
    depth_rows : int
        Levels a side where a request names none.
    folder : Path, optional
        Static files; the package's own by default.
    snapshot : callable, optional
        What a live session says of itself, for its health and metrics.

    Raises
    ------
    PortInUse
        When another program listens there.
    ConfigError
        When the address is not loopback and TLS or the token is missing, or cannot be bound.
    """
    if not _is_loopback(host) and (tls is None or not token):
        raise ConfigError(
            f"The page is served on this machine only: {host} is open to others and needs TLS and a "
            "token of your own. Leave --host out, or tunnel the port over SSH."
        )
    if not 0 <= port <= 65535:
        raise ConfigError(f"Port {port} does not exist: give one from 1 to 65535, or 0 for a free one.")
    if token is not None and len(token) < 16:
        raise ConfigError("A token must have at least 16 characters; leave it out for a random one.")
    sock = _listen(host, port)
    with contextlib.closing(sock):
        port = int(sock.getsockname()[1])
        shown = f"[{host}]" if ":" in host else host
        names = {shown, *LOOPBACK} if _is_loopback(host) else {shown}
        gate = Gate.make(names, port, secure=tls is not None, key=page_key(), token=token)
        protect(gate.token)
        protect(gate.cookie)
        hub = Hub(session, Recorder(plan=_plan(history_seconds)), hz=page_hz)
        app = create_app(hub, gate, depth_rows=depth_rows, folder=folder, snapshot=snapshot)
        url = f"{'http' if tls is None else 'https'}://{shown}:{port}/"

        def listening(stop: Callable[[], None]) -> None:
            address = Address(url, f"{url}?token={gate.token}", gate.token, port, stop)
            if ready is not None:
                ready(address)
            hub.start()
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address.open_url,), daemon=True).start()

        try:
            run(app, sock, listening, tls)
        finally:
            forget(gate.token)  # it opens nothing any more
