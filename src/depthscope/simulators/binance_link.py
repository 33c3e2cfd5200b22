"""One TCP connection of the simulated exchange: HTTP requests, or a WebSocket after its handshake."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import h11
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from depthscope.simulators.binance_connections import GOING_AWAY
from depthscope.simulators.binance_rules import NEVER
from depthscope.simulators.binance_strikes import refusal
from depthscope.simulators.binance_wire import Reply

if TYPE_CHECKING:
    from depthscope.simulators.binance_server import Server
    from depthscope.simulators.binance_wire import Out

__all__ = ["Link"]

_MOST_HEAD: Final = 64 << 10
_MOST_BODY: Final = 64 << 10
_MOST_FRAME: Final = 64 << 10  # of a client
_PATIENCE: Final = 10.0  # seconds until a first request must be there
_STALLED: Final = 600.0  # seconds until a connection whose reply never comes breaks
_FAREWELL: Final = 5.0  # seconds a client may take to answer a close


class _Quiet(ServerProtocol):
    """A WebSocket server that can leave pings unanswered."""

    def __init__(self) -> None:
        super().__init__(max_size=_MOST_FRAME, extensions=None)
        self.silent = False

    def send_frame(self, frame: Frame) -> None:
        if not (self.silent and frame.opcode is Opcode.PONG):
            super().send_frame(frame)


class Link(asyncio.Protocol):
    """A client's connection.

    Parameters
    ----------
    server : Server
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._head = bytearray()  # until it is clear what is spoken
        self._http: h11.Connection | None = None
        self._body = bytearray()
        self._request: h11.Request | None = None
        self._socket: _Quiet | None = None
        self._number = 0  # of the exchange's connection, 0: none

    # ── transport ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember who called."""
        self._transport = cast("asyncio.Transport", transport)  # what a server of streams gives
        self._address = str(transport.get_extra_info("peername")[0])
        self._server.links.add(self)
        asyncio.get_running_loop().call_later(_PATIENCE, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the exchange that the client has gone."""
        self._transport = None
        self._server.links.discard(self)
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Take bytes: HTTP or WebSocket, which the first request says."""
        if self._socket is not None:
            self._take_frames(data)
        elif self._http is not None:
            self._http.receive_data(data)
            self._take_requests()
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0 and len(self._head) <= _MOST_HEAD:
                return
            head = bytes(self._head[: end if end >= 0 else None]).lower().replace(b" ", b"")
            first = bytes(self._head)
            self._head.clear()
            if b"\r\nupgrade:websocket" in head:
                self._socket = _Quiet()
                self._take_frames(first)
            else:
                self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD)
                self._http.receive_data(first)
                self._take_requests()

    def _give_up(self) -> None:
        """End a connection that has not said what it wants."""
        if self._socket is None and self._http is None:
            self.abort()

    def goodbye(self) -> None:
        """Close as a server does that ends."""
        if self._number and self._socket is not None and self._socket.state is State.OPEN:
            self._socket.send_close(GOING_AWAY, "")
            self._flush()
        elif self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()
        self._leave()

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._server.most_waiting:
            self.abort()  # too slow

    def _leave(self) -> None:
        if self._number:
            self._server.by_number.pop(self._number, None)
            self._server.exchange.disconnect(self._number, self._server.now())
            self._number = 0

    # ── WebSocket ──

    def send(self, out: Out) -> None:
        """Send what the exchange says."""
        socket = self._socket
        if socket is None or socket.state is not State.OPEN:
            return
        if out.kind == "text":
            socket.send_text(out.payload)
        elif out.kind == "ping":
            socket.send_ping(out.payload)
        elif out.kind == "close":
            socket.send_close(out.code, out.payload.decode())
            asyncio.get_running_loop().call_later(_FAREWELL, self.abort)
        else:
            self.abort()
            return
        self._flush()

    def _flush(self) -> None:
        if self._socket is None:
            return
        for data in self._socket.data_to_send():
            if data:
                self._write(data)
            elif self._transport is not None and self._transport.can_write_eof():
                self._transport.close()

    def _take_frames(self, data: bytes) -> None:
        socket = self._socket
        if socket is None:
            return
        socket.silent = bool(self._number) and self._server.exchange.frozen(self._number)
        socket.receive_data(data)
        for event in socket.events_received():
            if isinstance(event, Request):
                self._open(socket, event)
            elif isinstance(event, Frame):
                self._take_frame(event)
        self._flush()
        if socket.close_expected() and socket.state is State.CLOSED and self._transport is not None:
            self._transport.close()
        self._server.pump()

    def _open(self, socket: _Quiet, request: Request) -> None:
        answer = socket.accept(request)
        if answer.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            opened = self._server.exchange.connect(request.path, self._address, self._server.now())
            if isinstance(opened, Reply):
                answer = _response(opened)
            else:
                self._number = opened
                self._server.by_number[opened] = self
        socket.send_response(answer)

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            self._receive(bytes(frame.data), frame.opcode.name.lower())
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._body += frame.data
            if frame.fin:
                message = bytes(self._body)
                self._body.clear()
                self._receive(message, "text")

    def _receive(self, payload: bytes, kind: str) -> None:
        if self._number:
            self._server.exchange.receive(self._number, payload, self._server.now(), kind)

    # ── HTTP ──

    def _take_requests(self) -> None:
        http = self._http
        while http is not None and self._transport is not None:
            try:
                event = http.next_event()
                if isinstance(event, h11.Request):
                    self._request = event
                    self._body.clear()
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > _MOST_BODY:
                        raise h11.RemoteProtocolError("too long", error_status_hint=413)
                elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                    self._answer(self._request)
                else:  # NEED_DATA, PAUSED or the client's end
                    if isinstance(event, h11.ConnectionClosed):
                        self._transport.close()
                    return
            except h11.RemoteProtocolError as error:
                self._reply(Reply(error.error_status_hint, {}, b""), last=True)
                return

    def _answer(self, request: h11.Request) -> None:
        path, _, query = request.target.decode("latin-1").partition("?")
        now = self._server.now()
        method = request.method.decode("latin-1")
        if method != "GET" and any(name == b"origin" for name, _ in request.headers):
            # A web page may ask the venue what it likes, and may not make it fail.
            reply = refusal(403, -1002, "Not for web pages.")
        else:
            body = bytes(self._body)
            reply = self._server.exchange.request(method, path, query, self._address, now, body)
            self._server.pump()
        if not reply.delay:
            self._reply(reply)
        elif self._transport is not None:
            self._transport.pause_reading()  # whatever else the client sends waits with it
            loop = asyncio.get_running_loop()
            if reply.delay >= NEVER:
                loop.call_later(_STALLED, self.abort)
            else:
                loop.call_later(reply.delay / 1e9, self._late, reply)

    def _late(self, reply: Reply) -> None:
        self._reply(reply)
        if self._transport is not None:
            self._transport.resume_reading()
        self._take_requests()

    def _reply(self, reply: Reply, *, last: bool = False) -> None:
        """Write a reply; the connection then serves the next request, or ends."""
        http = self._http
        if http is None or self._transport is None:
            return
        headers = [*reply.headers.items(), ("Content-Length", str(len(reply.body)))]
        if last:
            headers.append(("Connection", "close"))
        try:
            data = http.send(h11.Response(status_code=reply.status, headers=headers)) or b""
            data += http.send(h11.Data(data=reply.body)) or b""
            data += http.send(h11.EndOfMessage()) or b""
        except (
            h11.LocalProtocolError
        ):  # the client broke the protocol in the middle: there is no answer to that
            self._transport.close()
            return
        self._write(data)
        if http.our_state is h11.MUST_CLOSE or last:
            if self._transport is not None:
                self._transport.close()
        else:
            http.start_next_cycle()


def _response(reply: Reply) -> Response:
    headers = Headers({**reply.headers, "Content-Length": str(len(reply.body)), "Connection": "close"})
    return Response(reply.status, HTTPStatus(reply.status).phrase, headers, reply.body)
