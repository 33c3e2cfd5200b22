"""Whatever the network does to messages, a LIVE Binance book is the venue's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from depthscope.market import events as ev
from depthscope.market.inputs import Input, Kind
from tests.reference.binance_book import RuleBook
from tests.venues.binance_feed import Exchange, Truth, dump, reply
from tests.venues.binance_session import SECOND, FetchSnapshot, Session

pytestmark = pytest.mark.untraced  # time is spent in the reference; what is called is covered elsewhere

Trace = tuple[list[bytes], list[Callable[[], bytes]], dict[int, Truth]]
HEAD = b'{"url":"/fapi/v1/depth","status":200,"symbol":"BTCUSDT"}\n'


class Line:
    """A machine with one symbol in sync, and the book its events make; no more than that, for speed."""

    def __init__(self, seed: int) -> None:
        self.session = Session().begin()
        self.machine = self.session.machine
        self.exchange = Exchange(seed)
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.live = False
        self.sequence = 0
        self.now = self.session.now
        self.give(Kind.WS, dump(self.exchange.update()[0]))
        self.answer(dump(self.exchange.snapshot()))

    def give(self, kind: Kind, payload: bytes) -> None:
        self.now += 1_000_000
        self.machine.step(Input(kind, 1 if kind is Kind.WS else 0, self.now, payload))
        for _, _, _, price, size, sequence, _, _, _, _, action, side, _, _ in self.machine.take().tolist():
            if action == ev.LEVEL:
                book = self.bids if side == ev.BID else self.asks
                if size:
                    book[price] = size
                else:
                    book.pop(price, None)
            elif action == ev.CLEAR:
                self.bids, self.asks, self.live = {}, {}, True
            elif action == ev.LOST:
                self.live = False
            if action != ev.NONE or sequence:
                self.sequence = sequence

    def answer(self, body: bytes) -> None:
        self.give(Kind.REST, HEAD + body)

    def asked(self) -> bool:
        return any(isinstance(r, FetchSnapshot) for r in self.machine.take_requests())

    def check(self, truths: dict[int, Truth]) -> None:
        assert self.live == (self.machine.books["BTCUSDT"].state == "LIVE")
        if self.live:
            assert (self.bids, self.asks) == truths[self.sequence]


def trace(exchange: Exchange, n: int) -> Trace:
    """Messages, a snapshot taken at each (written when it is called for), and the book by id."""
    messages: list[bytes] = []
    snapshots: list[Callable[[], bytes]] = []
    truths = {exchange.u: exchange.truth()}
    for _ in range(n):
        body, truth = exchange.update()
        messages.append(dump(body))
        snapshots.append(partial(written, body["u"], body["T"], truth))
        truths[body["u"]] = truth
    return messages, snapshots, truths


def written(last: int, ms: int, truth: Truth) -> bytes:
    return dump(reply(last, ms, truth))


@pytest.fixture(scope="module")
def ten_thousand() -> Trace:
    """What the exchange of ``Line(7)`` sends, after the line is in sync."""
    return trace(Line(7).exchange, 10_000)


@pytest.mark.parametrize("first", range(4))
def test_a_gap_at_every_position(first: int, ten_thousand: Trace) -> None:
    """Each of 10,000 messages is lost once (a quarter in each of four runs): never a wrong LIVE book."""
    line = Line(7)
    messages, snapshots, truths = ten_thousand
    gaps, skip = 0, -1
    for k, message in enumerate(messages):
        if k % 4 == first:
            skip = k
            continue
        line.give(Kind.WS, message)
        if k == skip + 1 and k > 1:
            gaps += 1
            assert not line.live, k
            assert line.asked()
            line.answer(snapshots[k + 1 if k % 3 and k + 1 < len(messages) else k]())
            assert line.live
        line.check(truths)
    assert gaps >= 2_499


def wire(rnd: random.Random, messages: list[bytes]) -> list[bytes]:
    """Messages as a bad network brings them: shuffled, repeated, some lost."""
    out = [m for m in messages if rnd.random() > 0.05]
    out += [m for m in out if rnd.random() < 0.2]
    if rnd.random() < 0.7:
        rnd.shuffle(out)
    return out


@pytest.mark.parametrize("seed", range(4))
def test_permutations_and_repetitions(seed: int) -> None:
    """25,000 short pieces in each run, each shuffled in its own way."""
    rnd = random.Random(seed)
    line = Line(seed)
    truths: dict[int, Truth] = {}
    rounds, live = 25_000, 0
    for _ in range(rounds):
        messages, snapshots, fresh = trace(line.exchange, 3)
        truths = {**dict(list(truths.items())[-8:]), **fresh}
        for message in wire(rnd, messages):
            line.give(Kind.WS, message)
            line.check(truths)
            if line.asked():
                line.answer(rnd.choice(snapshots)())
                line.check(truths)
        if line.asked():
            line.answer(snapshots[-1]())
        live += line.live
        line.check(truths)
    assert live > rounds / 4


def test_interleavings_of_snapshots_and_stream() -> None:
    """10,000 ways in which replies, late, early or repeated, fall between the messages after a loss."""
    rnd = random.Random(5)
    line = Line(5)
    live = 0
    for _ in range(10_000):
        messages, snapshots, truths = trace(line.exchange, 6)
        line.give(Kind.STATUS, b'{"event":"resync","symbol":"BTCUSDT"}')
        heard = messages[rnd.randint(0, 4) :]  # it is subscribed only after some of them
        if rnd.random() < 0.2:
            del heard[rnd.randrange(len(heard))]
        steps: list[tuple[Kind, bytes]] = [(Kind.WS, m) for m in heard]
        for _ in range(rnd.randint(1, 3)):
            at = rnd.randint(0, len(steps))
            # Taken at any time, so older or newer than the messages around it.
            steps.insert(at, (Kind.REST, rnd.choice(snapshots)()))
        for kind, payload in steps:
            if kind is Kind.WS:
                line.give(kind, payload)
            else:
                line.answer(payload)
            line.check(truths)
        if line.asked() and not line.live:
            line.answer(snapshots[-1]())
            line.check(truths)
        line.machine.take_requests()
        line.machine.take_notices()
        live += line.live
    assert live > 9_900


# ── damaged messages ──

PIECES = [
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"-1", b"1e999", b"NaN", b"0", b"9" * 25,
    b"\x00", b"\xff", b'"u":1', b'"pu":0', b'"b":[]', b'"s":"ETHUSDT"', b'"e":"trade"', b"\\u0000", b" ",
    b"1_000", b"-0.0", b'"data":',
]  # fmt: skip


def mutate(rnd: random.Random, message: bytes) -> bytes:
    """One message, damaged."""
    raw = bytearray(message)
    for _ in range(rnd.choice((1, 1, 1, 2, 5))):
        at = rnd.randrange(len(raw) + 1)
        match rnd.randrange(7):
            case 0 if at < len(raw):
                raw[at] ^= 1 << rnd.randrange(8)
            case 1:
                raw[at:at] = rnd.choice(PIECES)
            case 2:
                del raw[at : at + rnd.randint(1, 9)]
            case 3:
                raw = raw[:at]
            case 4:
                raw[at : at + 3] = rnd.choice(PIECES)
            case 5 if at < len(raw):
                raw[at] = rnd.choice(b"0123456789")
            case _:
                end = min(len(raw), at + rnd.randint(1, 30))
                raw[at:at] = raw[at:end]
    return bytes(raw)


def fuzz(seed: int, n: int) -> tuple[int, int, int]:
    """Damage every third message and reply: (inputs, those taken as depth, checks while LIVE).

    The reference is told only whether the machine took an input for a depth message of the symbol (by
    its counters), and reads that on its own.
    """
    rnd = random.Random(seed)
    line = Line(seed)
    decoder = line.machine.decoder
    rule = RuleBook()
    rule.live, rule.last, rule.time = True, line.sequence, int(decoder.table.columns[0, 3]) // 10**6
    rule.fresh = bool(decoder.table.columns[0, 7])
    rule.bids, rule.asks = line.bids.copy(), line.asks.copy()
    taken = checks = 0
    held = b""
    for _ in range(n):
        if line.asked():
            line.machine.take_notices()
            body = dump(line.exchange.snapshot())
            body = mutate(rnd, body) if rnd.random() < 0.1 else body
            before = decoder.counters()["snapshots"], sum(decoder.rejected.values())
            useless = sum(decoder.skipped.values())
            line.answer(body)
            if sum(decoder.rejected.values()) == before[1] and (
                decoder.counters()["snapshots"] > before[0] or sum(decoder.skipped.values()) > useless
            ):
                try:
                    rule.snapshot(body)
                except (KeyError, ValueError, ArithmeticError):
                    assert decoder.counters()["snapshots"] == before[0]
        else:
            message = dump(line.exchange.update()[0])
            choice = rnd.random()
            if choice < 0.3:
                message = mutate(rnd, message)
            elif choice < 0.33:
                message = rnd.randbytes(rnd.randint(0, 300))
            elif choice < 0.36:
                message, held = held or message, message
            before_n = decoder.counters()["depth messages"]
            gaps = decoder.counters()["gaps"]
            bad = sum(decoder.rejected.values())
            line.give(Kind.WS, message)
            if decoder.counters()["depth messages"] > before_n:
                taken += 1
                rule.stream(message)
            elif sum(decoder.rejected.values()) > bad and decoder.counters()["gaps"] > gaps:
                rule.damaged()
        assert line.live == rule.live
        if line.live:
            checks += 1
            assert (line.bids, line.asks) == (rule.bids, rule.asks)
    return n, taken, checks


@pytest.mark.parametrize("seed", range(10))
def test_damaged_messages(seed: int) -> None:
    """10,000 in each run: no crash, and every LIVE book is the reference's."""
    _, taken, checks = fuzz(seed, 10_000)
    assert taken > 5_000
    assert checks > 3_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_damaged_messages_at_length(seed: int) -> None:
    """Ten million in all."""
    fuzz(seed, 1_000_000)


@pytest.mark.parametrize("seed", range(10))
def test_random_inputs_of_every_kind(seed: int) -> None:
    """2,000 inputs in each run, of every kind, with any damage, in any order: no crash, bounded output."""
    rnd = random.Random(seed)
    session = Session("BTCUSDT", "ETHUSDT").begin()
    exchange = Exchange(seed)
    known: list[tuple[Kind, bytes]] = [(i.kind, i.payload) for i in session.inputs]
    known += [
        (Kind.REST, HEAD + dump(exchange.snapshot())),
        (Kind.REST, b'{"url":"/fapi/v1/time","status":200,"sent":1}\n{"serverTime":1723161256000}'),
        (Kind.LINK, b'{"event":"lost","name":"public-1","reason":"x"}'),
        (Kind.LINK, b'{"event":"open","name":"public-1"}'),
        (Kind.CLOCK, b'{"wall":1723161256000000000}'),
        (Kind.STATUS, b'{"event":"halt","symbol":"BTCUSDT"}'),
        (Kind.STATUS, b'{"event":"resync"}'),
        (Kind.INSTRUMENT, b'{"symbol":"BTCUSDT","tick":100000000,"lot":1000000}'),
        (Kind.WS, b'{"e":"contractInfo","E":1,"s":"BTCUSDT","cs":"SETTLING"}'),
        (Kind.WS, b'{"e":"markPriceUpdate","E":1723161256000,"s":"BTCUSDT","p":"1","T":1}'),
        (Kind.WS, b'{"e":"aggTrade","E":1723161256000,"s":"BTCUSDT","a":5,"p":"1.0","q":"1",'
         b'"T":1723161256000,"m":true}'),
    ]  # fmt: skip
    for _ in range(2_000):
        kind, payload = rnd.choice(known) if rnd.random() < 0.7 else (Kind.WS, dump(exchange.update()[0]))
        if rnd.random() < 0.5:
            payload = mutate(rnd, payload)
        if rnd.random() < 0.05:
            kind = rnd.choice(list(Kind))
        session.now += rnd.choice((0, 1_000_000, SECOND // 10, 3 * SECOND))
        session.machine.step(Input(kind, rnd.randint(0, 4), session.now, payload))
        if kind is Kind.CONFIG:
            session.machine.take_requests()
        assert len(session.machine.take()) < 5_000
        requests = session.machine.take_requests()
        assert len(requests) < 200
    state = session.machine.snapshot()
    session.machine.restore(state)
    assert np.all(session.machine.watch.rows[:, 0] >= 0)


def test_the_reference_itself() -> None:
    """By hand: buffered, too old, first applied, gap."""
    book = RuleBook("1")
    book.stream(b'{"U":1,"u":5,"pu":0,"b":[["1","1"]],"a":[]}')
    book.stream(b'{"U":6,"u":9,"pu":5,"b":[["1","2"]],"a":[]}')
    book.snapshot(b'{"lastUpdateId":8,"bids":[["2","1"]],"asks":[["3","1"]]}')
    assert (book.live, book.last) == (True, 9)
    assert (book.bids, book.asks) == ({2 * 10**9: 1, 10**9: 2}, {3 * 10**9: 1})
    book.stream(b'{"U":11,"u":12,"pu":10,"b":[],"a":[]}')
    assert not book.live
    book.snapshot(b'{"lastUpdateId":9,"bids":[],"asks":[]}')
    assert not book.live
