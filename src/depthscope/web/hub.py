"""Hub: drives the session at 20 Hz and fans its frames out.

The event loop only moves bytes. The session, its engine and the recorder live in one worker
thread, reached one call at a time, so nothing needs a lock and a long seek never stops the page.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from depthscope.errors import DepthscopeError
from depthscope.ops.redact import redact_text
from depthscope.runtime.readahead import last_time
from depthscope.runtime.session import Session
from depthscope.web import messages
from depthscope.web.client import Client
from depthscope.web.encoder import Frame, Key, encode_book, encode_fill, encode_tick
from depthscope.web.info import info_message
from depthscope.web.insight import alerts_message, signal_message
from depthscope.web.messages import Ack, Ping, Sub
from depthscope.web.recorder import Recorder
from depthscope.web.stream import Head
from depthscope.web.worker import Worker

if TYPE_CHECKING:
    from depthscope.runtime.market import Market
    from depthscope.runtime.status import Status
    from depthscope.web.recorder import Track

__all__ = ["Hub"]

MAX_CLIENTS: Final = 64
_PATIENCE: Final = 3.0  # seconds a compiling engine is waited for at the end
_BUDGET: Final = 0.025
_BUDGET_MAX: Final = 0.040  # flat out: speed max, seeks
_SCAN_LIMIT: Final = 512 << 20  # files larger than this are not read a second time for their end

_log = logging.getLogger("depthscope.web")


class Hub:
    """Clients of one session.

    Parameters
    ----------
    session : Market
        Not yet open: the hub opens it in its worker thread.
    recorder : Recorder, optional
        What the page is fed from.
    hz : float
        Ticks a second.
    """

    def __init__(self, session: Market, recorder: Recorder | None = None, hz: float = 20.0) -> None:
        self.session, self.hz = session, hz
        self._slow_every = max(1, round(hz / 2))  # info and session go out twice a second
        self.recorder = recorder if recorder is not None else Recorder()
        self.session.spectator = self.recorder
        self.clients: set[Client] = set()
        self.seq = 0
        self.started = time.monotonic()
        self.longest_tick = 0.0
        self._worker = Worker("depthscope-session")
        self.call = self._worker.call
        self._tasks: list[asyncio.Task[None]] = []
        self._fills: set[asyncio.Task[None]] = set()
        self._stop = threading.Event()
        self._seen: tuple[Any, ...] = ()
        self._epoch = session.status.epoch
        self._refill = False
        self._worked = 0  # the last tick worked out, as the worker knows it

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the session and run the market, in the running event loop."""
        self._tasks = [
            asyncio.create_task(self._run(), name="hub"),
            asyncio.create_task(self._watch(), name="hub-watch"),
        ]

    async def stop(self) -> None:
        """Close every client and end the worker."""
        self._stop.set()
        for client in self.clients:
            client.close(1001, "the server stops")
        tasks = (*self._tasks, *self._fills)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.session.cancel()
        self._worker.post(self.session.close)
        await asyncio.to_thread(self._worker.stop, _PATIENCE)

    async def _run(self) -> None:
        try:
            await self.call(self._open)
            self._announce()
            if self.session.status.state != "failed":
                await self._play()
        except Exception as error:  # noqa: BLE001 - shown to every page; only a live market ends of it
            _log.exception("the market stopped")
            await self.call(self.session.break_off, error)
            self.session.status = _failed(self.session.status, error)
            self._announce()

    def _open(self) -> None:
        """Open the session, in its thread; what it played on opening comes as a fill, not as news."""
        self.session.open()
        if self.recorder.ready:
            encode_tick(self.recorder, frozenset(), 0, 0.0)

    async def _play(self) -> None:
        scan = threading.Thread(target=self._scan, name="depthscope-scan", daemon=True)
        scan.start()
        due = time.monotonic()
        while True:
            await self._tick()
            due += 1 / self.hz
            late = time.monotonic() - due
            if late > 0:
                due += late  # ticks missed are not made up
            await asyncio.sleep(max(0.0, -late))

    async def _watch(self) -> None:
        """Tell clients how the opening goes (or that it failed), and drop those that went silent."""
        beat = 0
        while True:
            await asyncio.sleep(0.1)
            beat += 1
            if self.session.status.state in ("connecting", "warming", "failed"):
                self._announce()
                if beat % 5 == 0:
                    self.tell_session()
            now = time.monotonic()
            for client in self.clients:
                if client.silent(now):
                    client.close(4408, "no acknowledgement for two minutes")

    def _scan(self) -> None:
        """Find where the data ends, for the seek bar, without the engine."""
        if self._stop.wait(1.0):  # the first paint comes first
            return
        session = self.session
        if not isinstance(session, Session):
            return
        size = session.info.bytes_total
        if session.status.end is not None or not 0 < size <= _SCAN_LIMIT:
            return
        try:
            end = last_time(session.open_source(), self._stop)
        except DepthscopeError:
            return  # the end stays unknown; playing will reach the trouble and say so
        if end is not None and not self._stop.is_set():
            self._worker.post(lambda: session.found_end(end + 1))

    # -- the tick -----------------------------------------------------------------------------

    async def _tick(self) -> None:
        began = time.monotonic()
        self.seq += 1
        slow = self.seq % self._slow_every == 0
        keys = frozenset(c.key for c in self.clients if c.key is not None)
        before = self.session.status
        frames, texts, books = await self.call(self._work, self.seq, keys, slow)
        after = self.session.status
        if before.state == "seeking" and after.state != "seeking":
            self._refill = True
        self._announce()
        if self._refill and after.state != "seeking":
            self._refill = False
            for client in self.clients:
                if client.key is not None:
                    self._start_fill(client, None)
        else:
            for client in self.clients:
                if client.key in frames:
                    client.push(frames[client.key], self.seq, began)
        if slow or (before.state, before.speed) != (after.state, after.speed):
            self.tell_session()
        for client in self.clients:
            if client.key is not None:
                for kind, text in texts.get(client.key[0], {}).items():
                    client.latest(kind, text)
            if client.key is not None and client.key[1] == 0 and client.key[0] in books:
                client.latest("book", books[client.key[0]])
        self.longest_tick = max(self.longest_tick, time.monotonic() - began)

    def _work(
        self, seq: int, keys: frozenset[Key], slow: bool
    ) -> tuple[dict[Key, list[Frame]], dict[int, dict[str, str]], dict[int, bytes]]:
        """One tick, in the session's thread."""
        session, recorder = self.session, self.recorder
        status = session.status
        self._worked = seq
        recorder.watch(tuple(symbol for symbol, _ in keys))
        flat_out = status.state == "seeking" or status.speed == float("inf")
        moved = session.step(time.monotonic(), _BUDGET_MAX if flat_out else _BUDGET)
        frames: dict[Key, list[Frame]] = {}
        if moved or session.status.state != status.state:
            wanted = frozenset[Key]() if session.status.state == "seeking" else keys
            frames = encode_tick(recorder, wanted, seq, time.time() * 1e3)
        watched = {s for s, _ in keys if s in recorder.tracks} if slow else set[int]()
        books = self._books({symbol for symbol, res in frames if res == 0}, seq)
        texts = {symbol: self._texts(recorder.tracks[symbol]) for symbol in watched}
        return frames, texts, books

    def _texts(self, track: Track) -> dict[str, str]:
        """What is told twice a second of a symbol, by kind."""
        texts = {"info": info_message, "signal": signal_message, "alerts": alerts_message}
        return {kind: messages.encode(make(self.recorder, track)) for kind, make in texts.items()}

    def _books(self, symbols: set[int], seq: int) -> dict[int, bytes]:
        """BOOK frames of those symbols that have them, in the session's thread."""
        now = time.time() * 1e3
        found = ((symbol, encode_book(self.recorder, symbol, seq, now)) for symbol in symbols)
        return {symbol: data for symbol, data in found if data is not None}

    # -- telling ------------------------------------------------------------------------------

    def hello(self) -> str:
        """Greeting as things stand."""
        ready = self.recorder.ready
        return messages.encode(
            messages.hello(
                self.session,
                hz=self.hz,
                origin=self.recorder.origin if ready else None,
                levels=self.recorder.n_levels,
                plan=self.recorder.plan,
                rows=self.recorder.rows,
            )
        )

    def tell_session(self) -> None:
        """Send everyone where the session stands."""
        text = messages.encode(messages.session_message(self.session.status, len(self.clients)))
        for client in self.clients:
            client.latest("session", text)

    def _announce(self) -> None:
        """Greet again where something of the greeting changed; say so where history was cut."""
        status = self.session.status
        opening = status.state in ("connecting", "warming", "failed")
        rows = len(self.recorder.rows)  # never changed, only added to
        seen = (status.epoch, len(self.session.symbols), status.end, status.start, status.warm, opening, rows)
        if seen == self._seen:
            return
        self._seen = seen
        text = self.hello()
        for client in self.clients:
            client.control(text)
        if status.epoch != self._epoch:
            self._epoch = status.epoch
            reset = messages.encode({"t": "reset", "epoch": status.epoch, "reason": "seek"})
            for client in self.clients:
                client.control(reset)
        self.tell_session()

    # -- clients ------------------------------------------------------------------------------

    def join(self) -> Client | None:
        """Take in a client, or None when there are too many."""
        if len(self.clients) >= MAX_CLIENTS:
            return None
        client = Client(self.seq, time.monotonic())
        self.clients.add(client)
        client.control(self.hello())
        client.latest(
            "session", messages.encode(messages.session_message(self.session.status, len(self.clients)))
        )
        return client

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self.clients.discard(client)

    async def command(self, client: Client, text: str) -> None:
        """Do what a client says.

        Raises
        ------
        InputError
            When the message is malformed: the connection is to be closed with the reason.
        """
        now = time.monotonic()
        if not client.allow(now):
            client.close(4429, "too many commands")
            return
        command = messages.parse(text)
        if isinstance(command, Ack):
            if client.ack(command.seq, self.seq) and client.key is not None:
                client.resyncs += 1
                self._start_fill(client, command.col)
        elif isinstance(command, Ping):
            client.control(messages.encode({"t": "pong", "id": command.id}))
        elif isinstance(command, Sub):
            self._subscribe(client, command)
        else:
            try:
                await self.do(command)
            except DepthscopeError as error:
                message = redact_text(str(error))
                client.control(messages.encode({"t": "error", "code": "refused", "message": message}))

    async def do(self, command: messages.SessionCommand) -> None:
        """Carry out a session command for everyone.

        Raises
        ------
        DepthscopeError
            When it cannot be done.
        """
        before = self.session.status.epoch
        await self.call(messages.apply_to, self.session, command)
        if self.session.status.epoch != before:
            self._refill = True
            for client in self.clients:
                if client.key is not None:
                    client.begin_fill()
        self._announce()
        self.tell_session()

    def _subscribe(self, client: Client, sub: Sub) -> None:
        if sub.symbol >= len(self.session.symbols):
            known = len(self.session.symbols)
            message = f"There is no symbol {sub.symbol}: {known} are known so far, numbered from 0."
            client.control(messages.encode({"t": "error", "code": "unknown_symbol", "message": message}))
            return
        client.key, client.cols = (sub.symbol, sub.res), sub.cols
        self._start_fill(client, sub.since if sub.epoch == self.session.status.epoch else None)

    def _start_fill(self, client: Client, since: int | None) -> None:
        if client.key is not None:
            generation = client.begin_fill()
            task = asyncio.create_task(self._fill(client, client.key, since, generation))
            self._fills.add(task)
            task.add_done_callback(self._fills.discard)

    async def _fill(self, client: Client, key: Key, since: int | None, generation: int) -> None:
        wanted = (key[0], *(c.key[0] for c in self.clients if c.key is not None))
        filled = await self.call(self._encode_fill, key, wanted, client.cols, since)
        if filled is None or client.generation != generation:
            return
        if not filled[0]:
            message = "Too many symbols are being watched at once: close another page first."
            client.control(messages.encode({"t": "error", "code": "refused", "message": message}))
        frames, seq, books = filled
        self._announce()  # its rows may be known only now: they go before the columns they explain
        client.end_fill(frames, seq, time.monotonic())
        if key[0] in books:
            client.latest("book", books[key[0]])

    def _encode_fill(
        self, key: Key, wanted: tuple[int, ...], cols: int, since: int | None
    ) -> tuple[list[bytes], int, dict[int, bytes]] | None:
        """Encode a fill, in the session's thread; None when it must wait, no frame when it cannot be."""
        if not self.recorder.ready or self.session.status.state == "seeking":
            self._refill = True  # the tick that ends it fills everyone
            return None
        self.recorder.watch(wanted)
        if key[0] not in self.recorder.tracks:
            return [], self._worked, {}
        head = Head(key[0], self._worked, key[1], time.time() * 1e3)
        frames = encode_fill(self.recorder, head, cols, since)
        return frames, self._worked, self._books({key[0]} if key[1] == 0 else set(), self._worked)


def _failed(status: Status, error: Exception) -> Status:
    first = redact_text((str(error).splitlines() or [""])[0])[:200]
    return replace(
        status, state="failed", error=f"The market stopped: {type(error).__name__}: {first}", warm=None
    )
