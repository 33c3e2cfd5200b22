"""HTTP routes: read-only views of the session, and the four commands that move its clock."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from depthscope.errors import BookUnavailable, DepthscopeError, InputError, UnknownName
from depthscope.ops.redact import redact_text
from depthscope.web import messages

if TYPE_CHECKING:
    from depthscope.web.hub import Hub
    from depthscope.web.operations import Operations

__all__ = ["json_response", "make_router"]

MAX_LEVELS: Final = 10_000
_COMMANDS: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["cmd"],
                    "properties": {
                        "cmd": {"enum": ["pause", "resume", "speed", "seek"]},
                        "x": {"description": "speed: 0.1 to 1000, or max"},
                        "ts": {"type": "string", "description": "seek: UTC ns"},
                        "ms": {"type": "number", "description": "seek: ms since 1970"},
                    },
                }
            }
        },
    }
}


def json_response(body: Any, status: int = 200) -> Response:
    """JSON answer; numbers that are not finite become null."""
    return Response(
        msgspec.json.encode(body), status, {"cache-control": "no-store"}, media_type="application/json"
    )


def error_response(error: DepthscopeError) -> Response:
    """Answer of an error: 404 for unknown names, 409 where there is nothing yet, 400 for the rest."""
    status = 404 if isinstance(error, UnknownName) else 409 if isinstance(error, BookUnavailable) else 400
    code = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(error).__name__).lstrip("_")
    return json_response({"error": {"code": code, "message": redact_text(str(error))}}, status)


def make_router(hub: Hub, depth_rows: int, operations: Operations) -> APIRouter:
    """Routes under ``/api/v1``.

    Parameters
    ----------
    hub : Hub
    depth_rows : int
        Levels a side of ``book`` when the request names none.
    operations : Operations
        For the verdict on the session's health.
    """
    router = APIRouter(prefix="/api/v1")

    def session() -> dict[str, Any]:
        message = messages.session_message(hub.session.status, len(hub.clients))
        del message["t"]
        return message

    def book(symbol: str | None, levels: int) -> dict[str, object]:
        if symbol is None:
            if len(hub.session.symbols) != 1:
                raise InputError("Name the symbol: /api/v1/book?symbol=…; /api/v1/symbols lists them.")
            symbol = hub.session.symbols[0].symbol
        return hub.session.book(symbol).to_json(levels)

    @router.get("/health", summary="Whether the server works, and where its session stands.")
    async def health() -> Response:
        state = hub.session.status.state
        word = "failed" if state == "failed" else "warming" if state in ("connecting", "warming") else "ok"
        return json_response(
            {
                "status": word,
                "version": version("depthscope"),
                "uptimeSeconds": round(time.monotonic() - hub.started, 3),
                "clients": len(hub.clients),
                "droppedTicks": sum(c.dropped for c in hub.clients),
                "resyncs": sum(c.resyncs for c in hub.clients),
                "longestTickMs": round(hub.longest_tick * 1e3, 1),
                "session": session(),
                "health": operations.health(),
            }
        )

    @router.get("/symbols", summary="Instruments that have had events.")
    async def symbols() -> Response:
        levels = hub.recorder.n_levels
        return json_response(
            {
                "symbols": [
                    messages.symbol_entry(i, s, levels, hub.recorder.rows.get(i, 1))
                    for i, s in enumerate(hub.session.symbols)
                ]
            }
        )

    @router.get("/book", summary="A symbol's book now, best first.")
    async def get_book(
        symbol: str | None = None, levels: Annotated[int, Query(ge=1, le=MAX_LEVELS)] = depth_rows
    ) -> Response:
        try:
            if not hub.recorder.ready:
                raise BookUnavailable("The session is still opening: there is no book yet.")
            return json_response(await hub.call(book, symbol, levels))
        except DepthscopeError as error:
            return error_response(error)

    @router.get("/session", summary="Where the session stands.")
    async def get_session() -> Response:
        return json_response(session())

    @router.post("/session", summary="Pause, resume, set the speed or seek.", openapi_extra=_COMMANDS)
    async def post_session(request: Request) -> Response:
        try:
            await hub.do(messages.parse_session(await request.body()))
        except DepthscopeError as error:
            return error_response(error)
        return json_response(session())

    return router
