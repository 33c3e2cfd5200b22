"""The feed of a live Binance session: it does what the machine asks, and hands it all that happens.

All input and output goes through a :class:`Transport` and a :class:`Clock`, so that the same feed runs
on real sockets (`binance_transport`) and on a simulated exchange in virtual time. It decides nothing that
could change a result: each message, reply, loss and tick becomes an Input, given to `sink` in the order it
came; then the machine's requests are served.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from depthscope.market.inputs import Input, Kind
from depthscope.venues.binance_requests import Close, LiveConfig, Open, Request, Send
from depthscope.venues.binance_rest import SOCKET, Budget, Call, RestQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

__all__ = ["Clock", "Connection", "Feed", "Lost", "Reply", "Transport"]

TICK_SECONDS: Final = 0.1
CLOCK_NS: Final = 1_000_000_000  # a CLOCK input comes at least so often, for the sake of wall time
SEND_SECONDS: Final = 0.2  # between control messages: half of what the venue allows
MOST_SENDS: Final = 10_000  # control messages that may wait for a connection
CLOSE_SECONDS: Final = 2.0


class Lost(Exception):
    """A connection could not be made or has ended, or a reply did not come; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(Protocol):
    """One WebSocket connection. Pings are answered by whoever implements it."""

    async def receive(self) -> bytes:
        """Next message.

        Raises
        ------
        Lost
            When there is none any more.
        """
        ...

    async def send(self, payload: bytes) -> None:
        """Send a text message.

        Raises
        ------
        Lost
            When the connection has ended.
        """
        ...

    async def close(self) -> None:
        """Close it; a waiting `receive` then raises `Lost`."""
        ...


class Transport(Protocol):
    """How the feed reaches the venue."""

    async def connect(self, target: str) -> Connection:
        """Open a WebSocket connection to a path and query, such as ``/public/stream``.

        Raises
        ------
        Lost
            When it cannot be made.
        """
        ...

    async def get(self, target: str) -> Reply:
        """Fetch a path and query.

        Raises
        ------
        Lost
            When no reply comes in time.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class Clock(Protocol):
    """Time of a session."""

    def receive_time(self) -> int:
        """Receive time, UTC ns: start plus monotonic elapsed time. It never goes back."""
        ...

    def wall(self) -> int:
        """Wall time, UTC ns."""
        ...

    async def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        ...


class RequestSource(Protocol):
    """What serves requests from: the machine, usually."""

    def take_requests(self) -> list[Request]:
        """Requests made since the last call."""
        ...


@dataclass(slots=True)
class _Line:
    """One connection as the feed holds it."""

    name: str
    connection: Connection
    sends: deque[bytes] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    planned: str = ""  # why we close it ourselves


class Feed:
    """Sockets and REST of one live session.

    Parameters
    ----------
    config : LiveConfig
        Given to the machine as the first input.
    machine : RequestSource
        Whose requests are served after each input.
    sink : callable
        Takes each Input: records it, steps the machine with it, takes the events. What it raises ends
        the feed.
    transport, clock : Transport, Clock
        The outside.
    chance : callable
        Gives numbers in [0, 1) for the jitter of back-off.

    Attributes
    ----------
    room : asyncio.Event
        Cleared by whoever cannot take more: no socket is read until it is set again.
    figures : dict of str to int
        Inputs by kind, bytes, control messages dropped, ns not reading for want of room, connections made
        and refused, replies by status class.
    budget : Budget
        The REST weight used.
    """

    def __init__(
        self, config: LiveConfig, machine: RequestSource, sink: Callable[[Input], None], transport: Transport,
        clock: Clock, chance: Callable[[], float],
    ) -> None:  # fmt: skip
        self._config = config
        self._machine, self._sink, self._transport, self._clock = machine, sink, transport, clock
        self._chance = chance
        self.budget = Budget()
        self._rest = RestQueue(self.budget, chance)
        self._rest_more = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self._lines: dict[int, _Line] = {}
        self._numbers = 0
        self._latest = self._clocked = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._ending = False
        self.figures: dict[str, int] = {}

    async def run(self) -> None:
        """Feed until :meth:`stop`; then close every connection and say so.

        Raises
        ------
        Exception
            What `sink` raised.
        """
        try:
            self._put(Kind.CONFIG, 0, self._config.payload())
            self._spawn(self._ticks())
            self._spawn(self._replies())
            await self._stop.wait()
        finally:
            await self._end()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Have :meth:`run` end."""
        self._stop.set()

    def give(self, kind: Kind, payload: bytes) -> None:
        """Hand an input of the session itself (STATUS, INSTRUMENT, BLOB) to the sink, at the present time."""
        self._put(kind, 0, payload)

    async def _end(self) -> None:
        self._ending = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._hang_up(line) for line in self._lines.values()))
        if self._failure is None:
            for number, line in self._lines.items():
                self._link(number, "ended", line.name, "the session ended")
        self._lines.clear()
        await self._transport.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
            self._stop.set()

    # ── inputs ──

    def _put(self, kind: Kind, connection: int, payload: bytes) -> None:
        now = max(self._clock.receive_time(), self._latest)
        self._latest = now
        self._count(kind.name)
        self._count("bytes", len(payload))
        self._sink(Input(kind, connection, now, payload))
        for request in self._machine.take_requests():
            if not self._ending:
                self._serve(request)

    def _link(self, number: int, event: str, name: str, reason: str) -> None:
        told = {"event": event, "name": name, "reason": reason}
        self._put(Kind.LINK, number, msgspec.json.encode(told))

    def _count(self, what: str, n: int = 1) -> None:
        self.figures[what] = self.figures.get(what, 0) + n

    async def _ticks(self) -> None:
        """CLOCK inputs: every 100 ms when nothing else comes, else every second."""
        while True:
            await self._clock.wait(TICK_SECONDS)
            now = self._clock.receive_time()
            if now - self._latest >= TICK_SECONDS * 1e9 - 1_000_000 or now - self._clocked >= CLOCK_NS:
                self._clocked = now
                self._put(Kind.CLOCK, 0, b'{"wall":%d}' % self._clock.wall())

    # ── requests ──

    def _serve(self, request: Request) -> None:
        if isinstance(request, Open):
            self._spawn(self._connect(request))
        elif isinstance(request, Close):
            line = self._lines.get(request.connection)
            if line is not None and not line.planned:
                line.planned = request.reason
                self._spawn(self._hang_up(line))
        elif isinstance(request, Send):
            line = self._lines.get(request.connection)
            if line is None or len(line.sends) >= MOST_SENDS:
                self._count("control messages dropped")
            else:
                line.sends.append(request.payload)
                line.more.set()
        else:
            self._rest.add(request, self._clock.receive_time())
            self._rest_more.set()

    async def _hang_up(self, line: _Line) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await line.connection.close()
        except (Lost, TimeoutError) as error:
            self._count(f"closed badly: {type(error).__name__}")

    async def _connect(self, request: Open) -> None:
        delay = SOCKET.delay(request.attempt, self._chance)
        if delay:
            await self._clock.wait(delay / 1e9)
        self._numbers += 1
        number = self._numbers
        try:
            connection = await self._transport.connect(f"/{request.route}/stream")
        except Lost as error:
            self._count("connections refused")
            self._link(number, "lost", request.name, str(error))
            return
        self._count("connections made")
        line = self._lines[number] = _Line(request.name, connection)
        self._link(number, "open", request.name, request.reason)
        sender = asyncio.get_running_loop().create_task(self._send(line))
        try:
            reason = await self._read(number, connection)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        del self._lines[number]
        event = "closed" if line.planned else "lost"
        if not line.planned:
            self._count("connections lost")
        self._link(number, event, request.name, line.planned or reason)
        await self._hang_up(line)

    async def _read(self, number: int, connection: Connection) -> str:
        """Read until the end; say why it ended."""
        while True:
            if not self.room.is_set():
                began = self._clock.receive_time()
                await self.room.wait()
                self._count("ns without room", self._clock.receive_time() - began)
            try:
                payload = await connection.receive()
            except Lost as error:
                return str(error)
            self._put(Kind.WS, number, payload)

    async def _send(self, line: _Line) -> None:
        """Send what waits, no faster than the venue allows."""
        while True:
            await line.more.wait()
            line.more.clear()
            while line.sends:
                try:
                    await line.connection.send(line.sends.popleft())
                except Lost:  # the reader hears of it too, and says so
                    line.sends.clear()
                    return
                await self._clock.wait(SEND_SECONDS)

    # ── REST ──

    async def _replies(self) -> None:
        """Send REST requests as the budget allows."""
        while True:
            now = self._clock.receive_time()
            while (call := self._rest.take(now)) is not None:
                self._spawn(self._fetch(call))
            at = self._rest.wake_at(now)
            self._rest_more.clear()
            if at is None:
                await self._rest_more.wait()
            else:
                await self._wait_for_rest(at - now)

    async def _wait_for_rest(self, ns: int) -> None:
        """Wait for a time, or until the queue has changed."""
        loop = asyncio.get_running_loop()
        waits = [
            loop.create_task(self._clock.wait(max(ns, 1_000_000) / 1e9)), loop.create_task(self._changed())
        ]  # fmt: skip
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _changed(self) -> None:
        await self._rest_more.wait()

    async def _fetch(self, call: Call) -> None:
        sent = self._clock.receive_time()
        try:
            reply = await self._transport.get(call.path)
        except Lost as error:
            reply = Reply(0, {}, str(error).encode())
        self._rest.done(reply.status, reply.headers, reply.body, self._clock.receive_time())
        self._count(f"replies {reply.status // 100}xx" if reply.status else "replies that never came")
        head = {"url": call.path, "status": reply.status, "sent": sent}
        if call.symbol:
            head["symbol"] = call.symbol
        self._put(Kind.REST, 0, msgspec.json.encode(head) + b"\n" + reply.body)
        self._rest_more.set()
