"""Connections of a live Binance session: who carries what, confirmed or not, and the 24-hour hand-over.

Streams come by two routes (``/public``: depth and bookTicker, ``/market``: aggTrade and markPrice) and
at most 200 go over one connection, so symbols are dealt out to *slots*: a slot is a name and its
streams, carried by one connection, or by two while one takes over from the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from depthscope.venues.binance_requests import Close, Open, Request, Route, Send

if TYPE_CHECKING:
    from depthscope.venues.binance_requests import LiveConfig

SECOND: Final = 1_000_000_000
BATCH: Final = 50  # streams of one SUBSCRIBE
CONFIRM_NS: Final = 10 * SECOND  # how long a SUBSCRIBE may stay without an answer
MOST_ASKED: Final = 3  # times a SUBSCRIBE is sent before the connection is given up
OPEN_NS: Final = 120 * SECOND  # how long an Open may stay without an answer
SETTLED_NS: Final = 60 * SECOND  # a connection that held so long has no bad history
CONTRACTS: Final = "!contractInfo"  # states of all symbols: welcome, not needed


def depth_stream(symbol: str, speed: str) -> str:
    """Name of a depth stream; 250 ms is the venue's default and has no suffix."""
    return f"{symbol.lower()}@depth" + ("" if speed == "250ms" else f"@{speed}")


@dataclass(slots=True)
class Slot:
    """Streams that one connection carries."""

    name: str
    route: Route
    symbols: tuple[str, ...]
    streams: tuple[str, ...]
    attempt: int = 0
    asked: int = 0  # when an Open was requested that has not been answered; 0: none


@dataclass(slots=True)
class Link:
    """One open connection."""

    number: int
    slot: str
    opened: int
    waiting: dict[int, tuple[str, ...]] = field(default_factory=dict)  # control id -> streams
    sent: int = 0
    asked: int = 0
    ready: int = 0  # when the last subscription was confirmed; 0: not yet
    heard: int = 0  # when its newest message came
    closing: bool = False


class Links:
    """State machine of the connections. It fills `requests`; the machine hands them on.

    Parameters
    ----------
    config : LiveConfig
        Settings in force.
    requests : list of Request
        Where requests go.
    """

    def __init__(self, config: LiveConfig, requests: list[Request]) -> None:
        self.config, self.requests = config, requests
        self.slots: dict[str, Slot] = {}
        self.links: dict[int, Link] = {}
        self.optional: set[int] = set()  # control ids whose refusal does not matter
        self.last_id = 0

    def plan(self, symbols: list[str], now: int) -> None:
        """Deal the symbols out to slots and ask for their connections."""
        speed, most = self.config.depth_speed, self.config.streams_per_connection
        kinds: tuple[tuple[Route, int], ...] = (("public", most // 2), ("market", max(1, (most - 1) // 2)))
        for route, room in kinds:
            for k, start in enumerate(range(0, len(symbols), room), 1):
                part = tuple(symbols[start : start + room])
                pairs = [
                    (depth_stream(s, speed), f"{s.lower()}@bookTicker") if route == "public"
                    else (f"{s.lower()}@aggTrade", f"{s.lower()}@markPrice@1s")
                    for s in part
                ]  # fmt: skip
                slot = Slot(f"{route}-{k}", route, part, tuple(name for pair in pairs for name in pair))
                self.slots[slot.name] = slot
                self._open(slot, "start", now)

    def ready(self, slot: Slot) -> list[Link]:
        """Connections that carry a slot's streams for certain, the oldest first."""
        return [k for k in self.links.values() if k.slot == slot.name and k.ready]

    def of(self, slot: Slot) -> list[Link]:
        """Connections of a slot, confirmed or not, the oldest first."""
        return [k for k in self.links.values() if k.slot == slot.name]

    def opened(self, number: int, name: str, now: int, *, ready: bool = False) -> Slot | None:
        """A connection is open: subscribe, unless that is `ready`. None when nobody asked for it."""
        slot = self.slots.get(name)
        if slot is None or number in self.links:
            return None
        slot.asked = 0
        link = self.links[number] = Link(number, name, now)
        if ready:
            link.ready = now
            return slot
        for start in range(0, len(slot.streams), BATCH):
            self._subscribe(link, slot.streams[start : start + BATCH], now)
        if name == "market-1":
            self.optional.add(self._send(link, "SUBSCRIBE", (CONTRACTS,)))
        return slot

    def lost(self, number: int, name: str, now: int) -> Slot | None:
        """A connection ended, or could not be made; give its slot if that carries nothing for certain now."""
        link = self.links.pop(number, None)
        slot = self.slots.get(link.slot if link else name)
        if slot is None:
            return None
        if link is None or now - link.opened < SETTLED_NS:
            slot.attempt += 0 if link is not None and link.closing else 1
        else:
            slot.attempt = 0
        if link is None:
            slot.asked = 0
        others = self.of(slot)
        if not slot.asked and (not others or (link is None and len(others) == 1)):
            self._open(slot, "connection lost" if link else "connection refused", now)
        return slot if link is not None and not self.ready(slot) else None

    def control(self, number: int, message: dict[str, Any], now: int) -> tuple[Slot | None, str]:
        """Take the answer to a control message: (slot that is confirmed now, what was wrong)."""
        link = self.links.get(number)
        key = message.get("id")
        if link is None or not isinstance(key, int):
            return None, ""
        if key in self.optional:
            self.optional.discard(key)
            return None, ""
        if "error" in message or "code" in message:
            return None, f"{link.slot}: {str(message.get('error') or message.get('msg'))[:200]}"
        if link.waiting.pop(key, None) is not None and not link.waiting and not link.ready:
            link.ready = now
            return self.slots[link.slot], ""
        return None, ""

    def again(self, stream: str) -> None:
        """Subscribe anew to a stream that fell silent."""
        for link in self.links.values():
            if stream in self.slots[link.slot].streams and not link.closing:
                self._send(link, "UNSUBSCRIBE", (stream,))
                self._send(link, "SUBSCRIBE", (stream,))

    def replace(self, slot: Slot, reason: str, now: int) -> None:
        """Ask for a second connection, which takes over."""
        if not slot.asked and len(self.of(slot)) < 2:
            self._open(slot, reason, now)

    def tick(self, now: int) -> None:
        """Look at what time alone brings about."""
        for slot in self.slots.values():
            links = self.of(slot)
            if slot.asked and now - slot.asked > OPEN_NS:
                self._open(slot, "no answer", now)
            if len(links) == 1 and now - links[0].opened >= self.config.handover_seconds * SECOND:
                self.replace(slot, "24-hour hand-over", now)
            sure = [link for link in links if link.ready] if len(links) > 1 else []
            if sure and now - sure[-1].ready >= self.config.overlap_seconds * SECOND:
                for link in links:
                    if link is not sure[-1] and link.opened <= sure[-1].opened and not link.closing:
                        link.closing = True
                        self.requests.append(Close(link.number, "another connection took over"))
        for link in list(self.links.values()):
            if link.waiting and now - link.sent > CONFIRM_NS << min(link.asked - 1, 2) and not link.closing:
                if link.asked > MOST_ASKED:
                    link.closing = True
                    self.requests.append(Close(link.number, "a subscription was never confirmed"))
                    continue
                waiting, link.waiting = link.waiting, {}
                for streams in waiting.values():
                    self._subscribe(link, streams, now)

    def _open(self, slot: Slot, reason: str, now: int) -> None:
        slot.asked = now
        self.requests.append(Open(slot.name, slot.route, reason, slot.attempt))

    def _subscribe(self, link: Link, streams: tuple[str, ...], now: int) -> None:
        link.waiting[self._send(link, "SUBSCRIBE", streams)] = streams
        if link.sent != now:
            link.sent, link.asked = now, link.asked + 1

    def _send(self, link: Link, method: str, streams: tuple[str, ...]) -> int:
        self.last_id += 1
        body = {"method": method, "params": streams, "id": self.last_id}
        self.requests.append(Send(link.number, msgspec.json.encode(body)))
        return self.last_id

    def save(self) -> dict[str, Any]:
        """Plain values :meth:`load` takes."""
        return {"slots": self.slots, "links": self.links, "optional": self.optional, "last_id": self.last_id}

    def load(self, state: dict[str, Any]) -> None:
        """Become what :meth:`save` described."""
        self.slots, self.links = state["slots"], state["links"]
        self.optional, self.last_id = state["optional"], state["last_id"]
