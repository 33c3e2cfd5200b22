"""The feed and the machine against the simulated exchange: in virtual time, or on real sockets.

Books are compared wherever an id allows it: what the exchange published with each id is kept for a while,
and a LIVE book whose newest id is among them must be equal to it, level by level.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import lru_cache
from itertools import count
from threading import Lock
from typing import Any

from depthscope.market import events as ev
from depthscope.market.inputs import Input, Kind, Notice
from depthscope.runtime.sources import open_source
from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_rules import NEVER, Rules
from depthscope.simulators.binance_wire import Reply as SimReply
from depthscope.venues.binance_feed import Feed, Lost, Reply
from depthscope.venues.binance_live import BinanceMachine
from depthscope.venues.binance_requests import LiveConfig

START = 1_795_000_000_000_000_000
SECOND = 1_000_000_000
KEPT = 400  # published books a symbol


class _Selector(selectors.DefaultSelector):
    """Waiting takes no time: it moves the virtual clock."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(0)
        self.loop.elapsed += max(timeout, 0)
        return []  # there are no sockets to ask


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.elapsed = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed


class VirtualClock:
    """Clock of a session on a virtual loop; `skew` is what the wall is off by."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop, self.skew = loop, 0

    def receive_time(self) -> int:
        return START + round(self.loop.time() * 1e9)

    def wall(self) -> int:
        return self.receive_time() + self.skew

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class MemoryConnection:
    """One connection to an exchange in memory."""

    def __init__(self, transport: MemoryTransport, number: int) -> None:
        self.transport, self.number = transport, number
        self.waiting: deque[bytes] = deque()
        self.more: asyncio.Future[None] | None = None
        self.ended = ""

    async def receive(self) -> bytes:
        while not self.waiting:
            if self.ended:
                raise Lost(self.ended)
            self.more = asyncio.get_running_loop().create_future()
            await self.more
        return self.waiting.popleft()

    async def send(self, payload: bytes) -> None:
        if self.ended:
            raise Lost(self.ended)
        self.transport.exchange.receive(self.number, payload, self.transport.now())
        self.transport.soon()

    async def close(self) -> None:
        if not self.ended:
            self.transport.exchange.disconnect(self.number, self.transport.now())
            self.transport.soon()
            self.end("closed here")

    def end(self, why: str) -> None:
        self.ended = self.ended or why
        self.wake()

    def take(self, payload: bytes) -> None:
        self.waiting.append(payload)
        self.wake()

    def wake(self) -> None:
        if self.more is not None and not self.more.done():
            self.more.set_result(None)


class MemoryTransport:
    """The exchange without sockets; what it sends arrives at once and in order."""

    def __init__(self, exchange: Exchange, now: Callable[[], int]) -> None:
        self.exchange, self.now = exchange, now
        self.connections: dict[int, MemoryConnection] = {}
        self.next: asyncio.TimerHandle | None = None

    async def connect(self, target: str) -> MemoryConnection:
        made = self.exchange.connect(target, "10.0.0.1", self.now())
        self.soon()
        if isinstance(made, SimReply):
            raise Lost(f"HTTP {made.status}")
        connection = self.connections[made] = MemoryConnection(self, made)
        return connection

    async def get(self, target: str) -> Reply:
        path, _, query = target.partition("?")
        reply = self.exchange.request("GET", path, query, "10.0.0.1", self.now())
        self.soon()
        if reply.delay >= 15 * SECOND or reply.delay >= NEVER:
            await asyncio.sleep(15)
            raise Lost("no reply in 15 s")
        if reply.delay:
            await asyncio.sleep(reply.delay / 1e9)
        return Reply(reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.body)

    async def close(self) -> None:
        self.connections.clear()

    def pump(self) -> None:
        """Let the exchange live: now, and by itself whenever something happens there."""
        now = self.now()
        for out in self.exchange.advance(now):
            connection = self.connections.get(out.connection)
            if connection is None:
                continue
            if out.kind == "text":
                connection.take(out.payload)
            elif out.kind == "ping":
                self.exchange.receive(out.connection, out.payload, now, "pong")
            else:
                connection.end(out.kind)
        self.later((self.exchange.next_time() - now) / 1e9)

    def soon(self) -> None:
        """The client has done something: an answer may wait."""
        self.later(0)

    def later(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self.stop()
        self.next = loop.call_later(max(0.001, min(seconds, 1)), self.pump)

    def stop(self) -> None:
        if self.next is not None:
            self.next.cancel()


class Recording:
    """A synthetic market that is generated once, as far as it is played, for any number of worlds."""

    def __init__(self, spec: str) -> None:
        source = open_source(spec)
        self.instruments, self.resolve = source.instruments, source.resolve
        self.coming = iter(source.chunks())
        self.kept: list[Any] = []
        self.lock = Lock()

    def chunks(self) -> Iterator[Any]:
        for k in count():
            with self.lock:
                if k == len(self.kept):
                    chunk = next(self.coming, None)
                    if chunk is None:
                        return
                    self.kept.append(chunk.copy())
            yield self.kept[k]


recording = lru_cache(maxsize=4)(Recording)


class World:
    """An exchange, a machine, and what must be true of them at every moment.

    Attributes
    ----------
    compared : int
        LIVE books that were compared, level by level.
    """

    def __init__(
        self, symbols: Iterable[str], faults: Iterable[str] = (), *, source: Callable[[], Any] | None = None,
        rules: Rules | None = None, start: int = START, speed: float = 1, seed: int = 0, **config: Any,
    ) -> None:  # fmt: skip
        names = list(symbols)
        spec = f"synthetic:universe,symbols={len(names)},rate=4,inject=0"
        self.exchange = Exchange(
            source or (lambda: recording(spec)), start=start, seed=seed, speed=speed, faults=faults,
            symbols={f"SYN{k + 1}": name for k, name in enumerate(names)}, rules=rules,
        )  # fmt: skip
        self.machine = BinanceMachine()
        self.config = LiveConfig(names, **config)
        self.inputs: list[Input] = []
        self.said: list[bytes] = []
        self.notices: list[Notice] = []
        self.books: dict[str, tuple[dict[int, int], dict[int, int]]] = {n: ({}, {}) for n in names}
        self.live: dict[str, int] = dict.fromkeys(names, 0)  # newest id, 0 when not LIVE
        self.published: dict[str, dict[int, tuple[dict[int, int], dict[int, int]]]] = {n: {} for n in names}
        self.compared = 0
        self.trades: dict[str, list[int]] = {n: [] for n in names}
        tick = self.exchange.publisher.tick

        def watched(at: int) -> None:
            tick(at)
            self.remember()

        self.exchange.publisher.tick = watched  # type: ignore[method-assign]

    def remember(self) -> None:
        """Keep what the exchange has just published."""
        for name, kept in self.published.items():
            listing = self.exchange.listings[name]
            last = listing.windows[0].previous
            if last not in kept:
                shot = listing.published(0)
                kept[shot.last_id] = (shot.bids, shot.asks)
                if len(kept) > KEPT:
                    del kept[next(iter(kept))]

    def sink(self, received: Input) -> None:
        """Record, step, follow, compare."""
        self.inputs.append(received)
        self.machine.step(received)
        events = self.machine.take()
        self.said.append(events.tobytes())
        self.notices += self.machine.take_notices()
        touched = set()
        names = self.machine.decoder.table.names
        for _, _, _, price, size, sequence, number, _, _, _, action, side, _, _ in events.tolist():
            name = names[number - 1]
            if action == ev.LEVEL:
                book = self.books[name][0 if side == ev.BID else 1]
                if size:
                    book[price] = size
                else:
                    book.pop(price, None)
            elif action == ev.CLEAR:
                self.books[name] = ({}, {})
            elif action == ev.LOST:
                self.live[name] = 0
            elif action == ev.TRADE:
                self.trades[name].append(sequence)
            if action in (ev.LEVEL, ev.CLEAR) or (action == ev.NONE and sequence):
                self.live[name] = sequence
                touched.add(name)
        for name in touched:
            found = self.published[name].get(self.live[name])
            if found is not None and received.kind is Kind.WS:
                assert self.books[name] == found, (name, self.live[name])
                self.compared += 1
        for name in touched:
            assert (self.machine.books[name].state == "LIVE") == bool(self.live[name])

    def states(self) -> dict[str, str]:
        return {name: book.state for name, book in self.machine.books.items()}

    def moves(self, symbol: str, about: str = "book") -> list[tuple[float, str, str]]:
        """(seconds, state, reason) of a symbol's transitions."""
        return [
            ((n.ts - START) / 1e9, n.state, n.reason)
            for n in self.notices
            if n.about == about and n.subject == symbol
        ]

    def replay(self) -> None:
        """A fresh machine says the same bytes of the same inputs."""
        other = BinanceMachine()
        for received, said in zip(self.inputs, self.said, strict=True):
            other.step(received)
            assert other.take().tobytes() == said
        assert [n.line() for n in other.notices] == [n.line() for n in self.notices]

    def run(
        self, seconds: float, script: Callable[[World], Coroutine[Any, Any, None]] | None = None
    ) -> World:
        """Live for so long in virtual time."""
        loop = VirtualLoop()

        async def main() -> None:
            clock = VirtualClock(loop)
            transport = MemoryTransport(self.exchange, clock.receive_time)
            self.clock, self.transport = clock, transport
            transport.pump()
            self.feed = Feed(self.config, self.machine, self.sink, transport, clock, random.Random(1).random)
            task = asyncio.create_task(self.feed.run())
            acting = asyncio.create_task(script(self)) if script else None
            try:
                await asyncio.sleep(seconds)
                self.final = self.states()
                self.feed.stop()
                await task
            finally:
                transport.stop()
                if acting:
                    acting.cancel()
                    await asyncio.gather(acting, return_exceptions=True)

        failures: list[object] = []
        loop.set_exception_handler(lambda _, context: failures.append(context))
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
        assert not failures
        return self
