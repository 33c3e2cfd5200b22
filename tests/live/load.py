"""A venue that sends as fast as it is told: depth messages of a fixed size over real sockets, books known.

Run as a process of its own, so that it does not share an interpreter with what is measured. It speaks just
enough of the protocol: exchangeInfo, time, snapshots, and streams with answers to SUBSCRIBE. Each symbol
has levels at fixed places whose sizes a counter sets, so that anybody can tell the book after any update.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

LEVELS = 20  # a side, in each message
TICK = 0.1
MIDDLE = 60_000.0
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def size_of(update: int, level: int) -> int:
    """Lots of a level after an update: never zero, always another."""
    return 1 + (update * 7_919 + level * 104_729) % 9_973


def price_of(side: str, level: int) -> str:
    return f"{MIDDLE + (-(level + 1) if side == 'b' else level + 1) * TICK:.2f}"


PRICES = {side: [price_of(side, level) for level in range(LEVELS)] for side in "ba"}


def sides(update: int) -> tuple[str, str]:
    """Both sides' JSON after an update."""
    told = []
    for k, side in enumerate("ba"):
        sizes = [f"{size_of(update, level + LEVELS * k) / 1000:.3f}" for level in range(LEVELS)]
        rows = [f'["{price}","{size}"]' for price, size in zip(PRICES[side], sizes, strict=True)]
        told.append("[" + ",".join(rows) + "]")
    return told[0], told[1]


# Sizes repeat every so many updates, so that messages need not be made anew.
PERIOD = 9_973
BODIES = [
    f'"b":{bids},"a":{asks}}}}}'.encode() for bids, asks in (sides(update) for update in range(0, PERIOD, 37))
]  # fmt: skip


def body_of(update: int) -> int:
    """Which of BODIES an update has."""
    return update % len(BODIES)


def state_after(update: int) -> int:
    """The counter sizes are made with after an update."""
    return body_of(update) * 37


def frame(payload: bytes) -> bytes:
    n = len(payload)
    head = bytes((0x81, n)) if n < 126 else b"\x81\x7e" + n.to_bytes(2, "big")
    return head + payload


def data_of(data: bytes, mask: bytes) -> bytes:
    """What a client sent, without its mask."""
    return bytes(byte ^ mask[k & 3] for k, byte in enumerate(data))


class Market:
    def __init__(self, symbols: list[str], rate: float) -> None:
        self.symbols, self.rate = symbols, rate
        self.updates = dict.fromkeys(symbols, 1)
        self.sent = 0
        self.late = 0.0
        self.writers: list[asyncio.StreamWriter] = []

    def message(self, symbol: str) -> bytes:
        update = self.updates[symbol] + 1
        self.updates[symbol] = update
        now = time.time_ns() // 1_000_000
        head = (
            f'{{"stream":"{symbol.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{now},"T":{now},"s":"{symbol}",'
            f'"U":{update},"u":{update},"pu":{update - 1},'
        )
        return frame(head.encode() + BODIES[body_of(update)])

    async def run(self, seconds: float) -> None:
        """Send at the rate, in bursts of a millisecond or two, once somebody listens."""
        while not self.writers:
            await asyncio.sleep(0.01)
        await asyncio.sleep(3)  # snapshots first
        began, turn = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < seconds:
            due = int(elapsed * self.rate) - self.sent
            if due > 0:
                burst = bytearray()
                for _ in range(due):
                    burst += self.message(self.symbols[turn % len(self.symbols)])
                    turn += 1
                self.sent += due
                for writer in self.writers:
                    writer.write(burst)
                    await writer.drain()
            await asyncio.sleep(0.001)
        self.late = max(0.0, seconds * self.rate - self.sent)

    def reply(self, target: str) -> bytes:
        url = urlsplit(target)
        if url.path.endswith("/exchangeInfo"):
            price = {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.10",
                "maxPrice": "9000000",
                "tickSize": "0.10",
            }
            lot = {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"}
            known = {"status": "TRADING", "contractType": "PERPETUAL", "filters": [price, lot]}
            rows = [{"symbol": name, "pair": name, **known} for name in self.symbols]
            return json.dumps({"rateLimits": [], "exchangeFilters": [], "symbols": rows}).encode()
        if url.path.endswith("/depth"):
            symbol = parse_qs(url.query)["symbol"][0]
            update = self.updates[symbol]
            bids, asks = sides(state_after(update))
            return f'{{"lastUpdateId":{update},"E":1,"T":1,"bids":{bids},"asks":{asks}}}'.encode()
        if url.path == "/books":
            return json.dumps({"updates": self.updates, "sent": self.sent, "late": self.late}).encode()
        return json.dumps({"serverTime": time.time_ns() // 1_000_000}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                target = head.split()[1]
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                if "upgrade" in fields.get("connection", ""):
                    await self.stream(head, target, reader, writer)
                    return
                body = self.reply(target)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def stream(
        self, head: str, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line]
        key = next(value for name, value in lines if name.lower() == "sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key.encode() + MAGIC, usedforsecurity=False).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if target.startswith("/public"):
            self.writers.append(writer)
        while True:
            first, second = await reader.readexactly(2)
            n = second & 127
            n = int.from_bytes(await reader.readexactly(2), "big") if n == 126 else n
            mask, data = await reader.readexactly(4), await reader.readexactly(n)
            if first & 15 == 1:
                asked = json.loads(data_of(data, mask))["id"]
                writer.write(frame(b'{"result":null,"id":%d}' % asked))
            elif first & 15 == 9:  # a ping
                writer.write(b"\x8a" + bytes((n,)) + data_of(data, mask))
            elif first & 15 == 8:
                return


async def main(symbols: list[str], rate: float, seconds: float) -> None:
    market = Market(symbols, rate)
    server = await asyncio.start_server(market.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await market.run(seconds)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1].split(","), float(sys.argv[2]), float(sys.argv[3])))
