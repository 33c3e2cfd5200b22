"""Hypothesis strategies for event streams, hostile ones included.

A stream is decoded from plain bytes, eight per event, by a small state machine that remembers
which orders it made, so that cancels and modifies mostly hit. Bytes are cheap to draw and
shrink well; `str(stream)` prints the events they became.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from tests.reference.book import Event

Key = tuple[int, int]

START = 1_703_541_600_000_000_000  # a multiple of every grid step used in the tests
MS = 1_000_000
UNIT = 10**9

MBO, L2, L1, TOB = "mbo", "l2", "l1", "tob"
CAPABILITIES = {
    MBO: Capability.MBO | Capability.TRADES | Capability.AGGRESSOR,
    L2: Capability.L2 | Capability.TRADES,
    L1: Capability.L1 | Capability.TRADES,
    TOB: Capability.MBO | Capability.TRADES | Capability.AGGRESSOR,  # adds that replace their side
}
TICKS = (1, 3, 10_000, 10_000_000, 250_000_000, 1_000_000_000)
KEYS: tuple[Key, ...] = ((1, 17077), (2, 17077), (1, 0), (65535, 2**32 - 1), (0, 5), (7, 2**31))
IDS = (0, 1, 2**64 - 1, 2**63, 6_412_777_162_812)
FAR_PRICES = (0, 1, 7, 10_000_000, 85 * UNIT, 5792 * UNIT + UNIT // 2, 199_999 * UNIT, 199_999 * UNIT + 3)
CENTRES = (3, 100, 20_000, 4_000_000, 2_000_000_000)
SIZES = (1, 1, 2, 3, 5, 10, 100, 2**31, 2**32 - 2, 2**32 - 1, 2**32, 2**45)
STEPS = (0, 0, 0, 1, 1000, MS, 7 * MS, 30 * MS, 101 * MS, 250 * MS)
BACK = (-1, -40 * MS, -(10**9))
JUMPS = (1, -1, 5, -20, 130, -130, 300, -300, 2_000, -5_000, 70_000, 1_000_000)
HARMLESS = (0, 0, 0, ev.BAD_TS_RECV, ev.MAYBE_BAD_BOOK, ev.MBP, ev.PUBLISHER_SPECIFIC, ev.INFERRED_SIDE)


@dataclass(frozen=True)
class Stream:
    """Events with the instruments they speak of."""

    events: ev.Events
    instruments: dict[Key, Instrument]

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Instrument of a key."""
        return self.instruments[publisher, instrument_id]

    def only(self, key: Key) -> Stream:
        """The stream as a file filtered to one instrument would hold it."""
        events = self.events
        mine = (events["publisher"] == key[0]) & (events["instrument_id"] == key[1])
        return Stream(events[mine], {key: self.instruments[key]})

    def __len__(self) -> int:
        return len(self.events)

    def __str__(self) -> str:
        head = [f"{key}: {instrument}" for key, instrument in self.instruments.items()]
        return "\n".join([*head, *(str(Event(*record)) for record in self.events.tolist())])

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        printer.text(f"\n{self}\n")  # type: ignore[attr-defined]


@dataclass
class _Desk:
    """What the decoder remembers of one instrument."""

    key: Key
    kind: str
    tick: int
    centre: int  # tick number around which quotes are made
    drift: int
    width: int  # quotes rest within so many ticks
    sizes: dict[int, int] = field(default_factory=dict)  # order id -> size as last set
    ids: list[int] = field(default_factory=list)
    made: int = 0
    snapshot: int = 0  # events left of a running snapshot
    prices: list[int] = field(default_factory=list)

    def price(self, side: int, mode: int, offset: int) -> int:
        """A price: mostly near, sometimes known, off the grid, across the book, or far."""
        self.centre = max(self.centre + self.drift, -3)
        away = -1 if side == ev.BID else 1
        if mode < 150:
            price = (self.centre + away * (1 + offset % self.width)) * self.tick
        elif mode < 200 and self.prices:
            price = self.prices[offset % len(self.prices)]
        elif mode < 210:
            price = (self.centre - away * (offset % 4)) * self.tick
        elif mode < 222:
            price = (self.centre + away * (offset % 6)) * self.tick + 1 + offset % 2
        elif mode < 240:
            price = (self.centre + away * (200 + 11 * offset)) * self.tick
        elif mode < 246:
            price = (self.centre + away * 1_000 * offset) * self.tick
        else:
            price = FAR_PRICES[offset % len(FAR_PRICES)]
        self.prices.append(price)
        return price

    def order(self, pick: int) -> int:
        """An order made before, or one never seen."""
        if not self.ids or pick > 248:
            return 999 + pick
        return self.ids[-1 - pick % len(self.ids)]

    def new_id(self, pick: int) -> int:
        """A fresh order id most of the time; 0, huge and repeated ones too."""
        self.made += 1
        if pick < 12:
            oid = IDS[pick % len(IDS)]
        elif pick < 20 and self.ids:
            oid = self.ids[pick % len(self.ids)]
        else:
            oid = IDS[-1] + 64 * self.made * (1 + pick % 3)
        self.ids.append(oid)
        return oid


class _Decoder:
    """Bytes to events."""

    def __init__(self, desks: list[_Desk], *, interleave: bool, clean: bool, calm: bool, step: int) -> None:
        self.desks, self.interleave, self.clean, self.calm = desks, interleave, clean, calm
        self.grid = step
        self.now = START + 5 * MS
        self.sequence = 0
        self.current = desks[0]
        self.out: list[tuple[int, ...]] = []
        self.mid_group = False

    def run(self, program: bytes) -> ev.Events:
        for at in range(0, len(program) - 7, 8):
            self.event(program[at : at + 8])
        return np.array(self.out, ev.EVENT)

    def event(self, code: bytes) -> None:
        op, where, mode, offset, amount, pick, when, bits = code
        if op < 2:  # nothing, so that zeroed bytes shrink a failing stream away
            return
        self.time(when)
        if self.interleave or not self.mid_group:
            self.current = self.desks[where % len(self.desks)]
        desk = self.current
        if op == 255:
            self.bulk(code)
            return
        if self.calm and op >= 241 and pick % 16:
            op -= 221  # few clears, gaps and snapshots: books grow deep
        side = ev.BID if offset % 2 == 0 else ev.ASK
        fields = {"action": ev.NONE, "side": side, "price": ev.UNDEF_PRICE, "size": 0, "order_id": 0}
        fields |= {"aux": 0, "cond": 0}
        flags = HARMLESS[bits % len(HARMLESS)]
        if bits < 160:
            flags |= ev.LAST
        if desk.snapshot:
            desk.snapshot -= 1
            flags |= ev.SNAPSHOT
            if not desk.snapshot:
                flags |= ev.LAST
            elif bits % 8:
                flags &= ~ev.LAST
            op = 20 if op < 200 else op  # mostly levels and orders
        if op >= 236:
            flags |= self.rare(desk, op, mode, fields)
        elif op >= 216:
            self.trade(desk, op, mode, amount, pick, fields)
        elif desk.kind == MBO:
            self.by_order(desk, op, mode, offset, amount, pick, fields)
        else:
            flags |= self.by_level(desk, op, mode, offset, amount, fields)
        self.emit(desk, fields, flags, when)

    def bulk(self, code: bytes) -> None:
        """One group of up to 96 new orders or levels."""
        _, where, mode, offset, amount, pick, when, bits = code
        for i in range(n := 1 + mode % 96):
            last = 0 if i == n - 1 else 255
            step = (20, where, (mode + 13 * i) % 246, (offset + 5 * i) % 256, (amount + i) % 256)
            self.event(bytes((*step, 20 + (pick + i) % 200, when if i == 0 else 0, last & (bits | 160))))

    def emit(self, desk: _Desk, fields: dict[str, int], flags: int, when: int) -> None:
        self.sequence += when % 3
        self.out.append(
            (
                self.now - 1_000 * (when + 1), self.now, fields["order_id"], fields["price"], fields["size"],
                self.sequence, desk.key[1], fields["aux"], desk.key[0], fields["cond"], fields["action"],
                fields["side"], flags, 0,
            )
        )  # fmt: skip
        self.mid_group = not flags & ev.LAST

    def time(self, when: int) -> None:
        if when < 200:
            self.now += STEPS[when % len(STEPS)]
        elif when < 235 or self.clean:  # exactly on the grid, or one short of it
            self.now = (self.now // self.grid + 1) * self.grid - when % 2
        else:
            self.now += BACK[when % len(BACK)]

    def rare(self, desk: _Desk, op: int, mode: int, fields: dict[str, int]) -> int:
        if op < 241:
            desk.centre = max(desk.centre + JUMPS[mode % len(JUMPS)], -3)
        elif op < 244:
            fields["action"] = ev.CLEAR
        elif op < 246:
            fields["action"] = ev.LOST
            return ev.LAST
        elif op < 250:
            fields["action"] = ev.CLEAR
            desk.snapshot = 1 + mode % 12
            return ev.SNAPSHOT
        elif op < 252:
            fields["action"] = ev.STATUS
            return ev.LAST
        elif op < 253 and not self.clean:
            fields["action"] = ord("?")
        elif op < 254 and desk.kind != L1:  # a quote tells an L2 book nothing
            fields |= {"action": ev.QUOTE, "price": desk.price(ev.BID, mode, 3), "size": 7}
        else:
            desk.snapshot = 1 + mode % 3  # a snapshot without a clear
        return 0

    def trade(self, desk: _Desk, op: int, mode: int, amount: int, pick: int, fields: dict[str, int]) -> None:
        fields["action"] = ev.TRADE if op < 231 else ev.FILL
        fields["side"] = (ev.BID, ev.ASK, ev.NO_SIDE)[pick % 3]
        fields["price"] = desk.price(ev.BID, mode % 222, pick)
        fields["size"] = SIZES[amount % 7]
        fields["order_id"] = desk.order(pick) if fields["action"] == ev.FILL else 0
        fields["cond"] = (0, 0, 0, 1, 2, 4, 7, 8, 48)[amount % 9]

    def by_order(
        self, desk: _Desk, op: int, mode: int, offset: int, amount: int, pick: int, fields: dict[str, int]
    ) -> None:
        side = fields["side"]
        size = SIZES[amount % len(SIZES)]
        if op < 110:
            oid = desk.new_id(pick)
            fields |= {
                "action": ev.ADD,
                "order_id": oid,
                "price": desk.price(side, mode, offset),
                "size": size,
            }
            self.spoil(fields, op)
            desk.sizes[oid] = size
        elif op < 165:
            oid = desk.order(pick)
            whole = desk.sizes.get(oid, 1)
            part = (1, whole, whole, max(whole // 2, 1), whole + 1, 0)[amount % 6]
            fields |= {"action": ev.CANCEL, "order_id": oid, "size": part}
            if oid in desk.sizes:
                desk.sizes[oid] = max(whole - part, 1)
        else:
            oid = desk.order(pick)
            fields |= {
                "action": ev.MODIFY,
                "order_id": oid,
                "price": desk.price(side, mode, offset),
                "size": size,
            }
            if amount % 8 == 0:
                fields["size"] = size = 0
            if amount % 8 == 1:
                fields["side"] = ev.NO_SIDE
            self.spoil(fields, op - 165 if op < 175 else 99)
            desk.sizes[oid] = size
            if oid not in desk.ids:
                desk.ids.append(oid)

    def by_level(
        self, desk: _Desk, op: int, mode: int, offset: int, amount: int, fields: dict[str, int]
    ) -> int:
        quote = desk.kind == L1
        fields |= {
            "action": ev.QUOTE if quote else ev.LEVEL,
            "price": desk.price(fields["side"], mode, offset),
            "size": SIZES[amount % len(SIZES)] if op < 150 else 0,
            "aux": amount if op < 100 else 0,
        }
        if desk.kind in (L1, TOB) and op % 16 == 0:
            fields["price"] = ev.UNDEF_PRICE
        if desk.kind == TOB:
            fields |= {"action": ev.ADD, "size": SIZES[amount % len(SIZES)], "aux": 0}
            return ev.TOB
        if desk.kind == L2:
            self.spoil(fields, op)
            return ev.TOB if op in (2, 3) else 0
        return 0

    def spoil(self, fields: dict[str, int], op: int) -> None:
        """Make one event in a dozen unusable."""
        if self.clean:
            return
        if op == 4:
            fields["price"] = ev.UNDEF_PRICE
        elif op == 5:
            fields["side"] = ev.NO_SIDE
        elif op == 6:
            fields["size"] = -fields["size"]
        elif op in (7, 8):
            fields["price"] = -fields["price"]
        elif op == 9:
            fields["size"] = 0


def examples(n: int) -> settings:
    """Settings of a test over streams; a failure prints the stream and the blob that replays it."""
    return settings(
        max_examples=n,
        deadline=None,
        print_blob=True,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@st.composite
def streams(
    draw: st.DrawFn,
    *,
    kinds: Sequence[str] = (MBO, MBO, L2, L1),
    instruments: tuple[int, int] = (1, 4),
    events: tuple[int, int] = (0, 260),
    clean: bool = False,
    interleave: bool | None = None,
    step: int = 100 * MS,
) -> Stream:
    """Event streams.

    Parameters
    ----------
    kinds : sequence of str
        Feeds to choose from, per instrument.
    instruments, events : tuple of int
        Inclusive ranges of how many.
    clean : bool
        Only well-formed events and times that never go back.
    interleave : bool, optional
        Whether groups of several instruments may interleave (drawn when None).
    step : int
        Grid whose edges some events hit exactly.
    """
    desks: list[_Desk] = []
    found: dict[Key, Instrument] = {}
    for i in range(draw(st.integers(*instruments))):
        kind = draw(st.sampled_from(kinds))
        tick = draw(st.sampled_from(TICKS))
        negative = draw(st.booleans())
        centre = min(draw(st.sampled_from(CENTRES)), 199_999 * UNIT // tick)
        centre = -3 if negative and centre == CENTRES[0] else centre
        key = KEYS[i]
        found[key] = Instrument(
            "test", f"S{i}", tick, capabilities=CAPABILITIES[kind], allows_negative=negative,
            lot=draw(st.sampled_from((UNIT, UNIT // 1000))),
        )  # fmt: skip
        desks.append(
            _Desk(
                key,
                kind,
                tick,
                centre,
                draw(st.sampled_from((0, 0, 0, 2, -2, 37))),
                draw(st.sampled_from((12, 3, 60))),
            )
        )
    mixed = draw(st.booleans()) if interleave is None else interleave
    n = draw(st.integers(*events))
    program = draw(st.binary(min_size=8 * n, max_size=8 * n))
    decoder = _Decoder(desks, interleave=mixed, clean=clean, calm=draw(st.booleans()), step=step)
    return Stream(decoder.run(program), found)


def seeded_stream(seed: int, events: int, instruments: int = 3, *, clean: bool = True) -> Stream:
    """One long stream without hypothesis: the same bytes in every process.

    Parameters
    ----------
    seed : int
    events : int
        Codes to decode; bulk groups make more events of some.
    instruments : int
        Order-by-order books, levels and quotes in turn.
    clean : bool
        As in `streams`.
    """
    random = np.random.default_rng(seed)
    kinds = (MBO, MBO, L2, L1)
    desks, found = [], {}
    for i in range(instruments):
        kind = kinds[i % len(kinds)]
        tick = TICKS[2 + i % 4]
        key = KEYS[i] if i < len(KEYS) else (1, 1000 + i)
        found[key] = Instrument("test", f"S{i}", tick, capabilities=CAPABILITIES[kind])
        desks.append(_Desk(key, kind, tick, 20_000, (0, 1, -1)[i % 3], (12, 3, 60)[i % 3]))
    decoder = _Decoder(desks, interleave=True, clean=clean, calm=True, step=100 * MS)
    return Stream(decoder.run(random.bytes(8 * events)), found)
