"""The venue's rule for a local book, slowly and in plain words, straight from its documentation.

1. buffer the stream; 2. get a snapshot; 3. drop events with ``u < lastUpdateId``; 4. the first event has
``U <= lastUpdateId <= u`` (or follows exactly: ``pu == lastUpdateId``); 5. each further ``pu`` is the ``u``
before it, else start over; 6. sizes are absolute, 0 removes. Repeated events change nothing.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

Side = dict[int, int]  # price in 1e-9 -> lots


class RuleBook:
    """Book of one symbol, sizes in lots of `lot`. `live` tells whether it may be shown."""

    def __init__(self, lot: str = "0.001") -> None:
        self.lot = Decimal(lot)
        self.live = False
        self.fresh = False  # nothing has followed the snapshot
        self.last = self.time = 0
        self.bids: Side = {}
        self.asks: Side = {}
        self.buffer: list[dict[str, Any]] = []
        self.spare: dict[str, Any] | None = None  # a snapshot newer than the live book

    def stream(self, raw: bytes) -> None:
        """Take a depthUpdate."""
        event = json.loads(raw)
        event = event.get("data", event)
        if not self.live:
            self._keep(event)
        elif event["pu"] == self.last:
            self._apply(event)
        elif self.fresh:
            if event["u"] < self.last:
                return
            if event["U"] <= self.last:
                self._apply(event)
            else:
                self._start_over(event)
        elif not (event["u"] <= self.last and self._when(event) <= self.time):
            self._start_over(event)

    def snapshot(self, raw: bytes) -> None:
        """Take a depth reply."""
        body = json.loads(raw)
        if not self.live or (self.fresh and body["lastUpdateId"] > self.last):
            self._begin(body)
        elif body["lastUpdateId"] > self.last:
            self.spare = body

    def lose(self) -> None:
        """The connection ended, or an event was damaged: nothing is known any more."""
        self.live = False
        self.buffer = []

    def damaged(self) -> None:
        """An event of the symbol could not be read."""
        self.live = False

    def _keep(self, event: dict[str, Any]) -> None:
        if self.buffer:
            newest = self.buffer[-1]
            if event["u"] <= newest["u"] and self._when(event) <= self._when(newest):
                return
            if event["pu"] != newest["u"]:
                self.buffer = []
        self.buffer.append(event)

    def _start_over(self, event: dict[str, Any]) -> None:
        self.live = False
        self._keep(event)
        if self.spare is not None:
            self._begin(self.spare)

    def _begin(self, body: dict[str, Any]) -> None:
        self.spare = None
        last = body["lastUpdateId"]
        usable = [event for event in self.buffer if event["u"] >= last]
        if usable and not usable[0]["U"] <= last and usable[0]["pu"] != last:
            return
        self.live, self.fresh, self.last, self.buffer = True, True, last, []
        self.time = self._when(body)
        self.bids, self.asks = {}, {}
        self._levels(body["bids"], body["asks"])
        for event in usable:
            self._apply(event)

    def _apply(self, event: dict[str, Any]) -> None:
        self.fresh, self.last, self.time = False, event["u"], self._when(event)
        self._levels(event["b"], event["a"])

    def _levels(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size, *_ in levels:
                fixed, lots = int(Decimal(price).scaleb(9)), Decimal(size) / self.lot
                if lots:
                    side[fixed] = int(lots)
                else:
                    side.pop(fixed, None)

    @staticmethod
    def _when(event: dict[str, Any]) -> int:
        return int(event.get("T") or event.get("E") or 0)
