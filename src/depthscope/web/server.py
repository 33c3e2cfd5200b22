"""Running the ASGI application: uvicorn on a socket of ours, ended cleanly by a signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from depthscope.web.messages import MAX_MESSAGE

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Generator
    from pathlib import Path
    from types import FrameType

__all__ = ["run"]

_GRACE: Final = 2  # seconds a page may take to say goodbye


class _Stream(WebSocketsSansIOProtocol):
    """Lets go of a connection whose page does not read: closing alone waits until everything was sent."""

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self.loop.call_later(_GRACE, self.transport.abort)


class _Server(uvicorn.Server):
    """Tells when it listens, and returns from a signal instead of raising it again."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[Callable[[], None]], None]) -> None:
        super().__init__(config)
        self._listening = listening

    def stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening(self.stop)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Ending takes seconds at most. Cut short, as uvicorn does at a second Ctrl+C, it would leave the
        # session open and say so with a traceback.
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = [signal.SIGINT, signal.SIGTERM]
        kinds += [k for k in (getattr(signal, "SIGBREAK", None),) if k is not None]
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def run(
    app: Any,
    sock: socket.socket,
    listening: Callable[[Callable[[], None]], None],
    tls: tuple[Path, Path] | None = None,
) -> None:
    """Serve until a signal or `stop`.

    Parameters
    ----------
    app : ASGI application
    sock : socket
        Bound and listening.
    listening : callable
        Given a function that stops the server, once it takes connections.
    tls : tuple of Path, optional
        Certificate and key.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws=_Stream,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # frames are already small; 20 a second to compress are not
        lifespan="on",
        access_log=False,  # the first address holds the token
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=None if tls is None else str(tls[0]),
        ssl_keyfile=None if tls is None else str(tls[1]),
    )
    _Server(config, listening).run(sockets=[sock])
