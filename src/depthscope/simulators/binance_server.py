"""The exchange on a real port of this machine: HTTP and WebSocket, paced by the wall clock."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from typing import TYPE_CHECKING, Final

from depthscope.errors import PortInUse
from depthscope.simulators.binance_link import Link
from depthscope.simulators.binance_rules import MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from depthscope.simulators.binance_exchange import Exchange
    from depthscope.simulators.binance_wire import Out

__all__ = ["Server", "serve"]

_FINEST: Final = 2 * MS  # between two looks at the market
_COARSEST: Final = 50 * MS
_LONGEST: Final = 20 * MS  # exchange time played in one go
_SHORTEST: Final = MS // 10
_BUDGET: Final = 50 * MS  # wall time one look may take
_MOST_BEHIND: Final = 500 * MS


class Server:
    """A running exchange.

    Attributes
    ----------
    exchange : Exchange
    host, port : str, int
    most_waiting : int
        Bytes a client may leave unread before it is cut.
    ended : asyncio.Event
        Set by whoever wants the serving to end, and here when the recording turns out to be damaged:
        from there the books stand still.
    late : int
        Ns by which exchange time has fallen behind, in all, because the machine was too slow.
    """

    def __init__(self, exchange: Exchange, host: str, most_waiting: int) -> None:
        self.exchange, self.host, self.port = exchange, host, 0
        self.most_waiting = most_waiting
        self.links: set[Link] = set()
        self.by_number: dict[int, Link] = {}
        self.ended = asyncio.Event()
        self.late = 0
        self._slice = _SHORTEST  # until it is known how long that takes
        self._zero = exchange.now
        self._began = time.monotonic_ns()

    @property
    def url(self) -> str:
        """Address of the REST interface."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Address of the streams, without a route."""
        return f"ws://{self.host}:{self.port}"

    def now(self) -> int:
        """Exchange time, UTC ns: where it stood when the server began, and what has passed since.

        Never far ahead of what the exchange has played: a market denser than this machine can play
        runs late instead of standing in the way of everything else.
        """
        return min(self._due(), self.exchange.now + self._slice)

    def _due(self) -> int:
        return self._zero + time.monotonic_ns() - self._began

    def pump(self) -> None:
        """Let the exchange come up to the present, or as near as it can, and send what it has to say."""
        enough = time.monotonic_ns() + _BUDGET
        while True:
            began = time.monotonic_ns()
            for out in self.exchange.advance(self.now()):
                self._send(out)
            ended = time.monotonic_ns()
            # The denser the market, the shorter the stretch that is played without a look around.
            if ended - began > _BUDGET // 4:
                self._slice = max(self._slice // 2, _SHORTEST)
            else:
                self._slice = min(self._slice * 2, _LONGEST)
            if self.exchange.now >= self._due() - _FINEST or ended > enough:
                return

    def _send(self, out: Out) -> None:
        link = self.by_number.get(out.connection)
        if link is not None:
            link.send(out)

    async def run(self) -> None:
        """Keep the exchange going until cancelled."""
        while True:
            self.pump()
            if self.exchange.playback.damage is not None:
                self.ended.set()
            behind = self._due() - self.exchange.now
            if behind > _MOST_BEHIND:
                self.late += behind
                self._zero -= behind
            wait = self.exchange.next_time() - self._due()
            await asyncio.sleep(max(_FINEST, min(wait, _COARSEST)) / 1e9)


@contextlib.asynccontextmanager
async def serve(
    exchange: Exchange, host: str = "127.0.0.1", port: int = 0, most_waiting: int = 8 << 20
) -> AsyncIterator[Server]:
    """Serve an exchange while the body runs.

    Parameters
    ----------
    exchange : Exchange
        Its time goes on from where it stands.
    host, port : str, int
        Where to listen; port 0 takes a free one.
    most_waiting : int
        Bytes a client may leave unread before it is cut, as the venue cuts slow ones.

    Yields
    ------
    Server

    Raises
    ------
    PortInUse
        When another program listens there.
    """
    server = Server(exchange, host, most_waiting)
    loop = asyncio.get_running_loop()
    try:
        listening = await loop.create_server(lambda: Link(server), host, port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise PortInUse(
            f"Port {port} of {host} cannot be used: another program listens there or it is not allowed. "
            "Choose another with --port; nothing was started."
        ) from error
    server.port = int(listening.sockets[0].getsockname()[1])
    pumping = asyncio.create_task(server.run())
    try:
        yield server
    finally:
        pumping.cancel()
        listening.close()
        for link in list(server.links):
            link.goodbye()
        await asyncio.sleep(0)  # what was written goes out before the loop may end
        for link in list(server.links):
            link.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await pumping
