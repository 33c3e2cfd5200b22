"""The simulated venue on a real port, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from depthscope.config import Settings
from depthscope.runtime.sources import open_source
from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_server import Server, serve

SOURCE = "synthetic:seed=7,minutes=inf"


class Venue:
    """A simulated exchange that runs while the context is open.

    Attributes
    ----------
    symbols : list of str
        What it lists.
    settings : Settings
        With its addresses.
    """

    def __init__(
        self,
        faults: Iterable[str] = (),
        *,
        source: Callable[[], Any] | str = SOURCE,
        port: int = 0,
        **options: Any,
    ) -> None:
        opener = (lambda: open_source(source)) if isinstance(source, str) else source
        self.exchange = Exchange(opener, start=time.time_ns, faults=faults, **options)
        self._port = port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._failure: BaseException | None = None

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with serve(self.exchange, port=self._port) as server:
                self.server: Server = server
                self._ready.set()
                await self._stop.wait()
        except BaseException as error:
            self._failure = error
            self._ready.set()
            raise

    def __enter__(self) -> Venue:
        self._thread.start()
        assert self._ready.wait(60)
        assert self._failure is None, self._failure
        self.symbols = list(self.exchange.listings)
        self.settings = Settings(binance_rest_url=self.server.url, binance_ws_url=self.server.ws_url)
        self.environment = {
            "DEPTHSCOPE_BINANCE_REST_URL": self.server.url, "DEPTHSCOPE_BINANCE_WS_URL": self.server.ws_url,
        }  # fmt: skip
        return self

    def inject(self, fault: str) -> None:
        """Let something go wrong now."""
        self._loop.call_soon_threadsafe(lambda: self.exchange.inject(fault, self.server.now()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
