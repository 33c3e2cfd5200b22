"""The byte scanner: exact, and never of another opinion than the slow path."""

from __future__ import annotations

import json
import random
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthscope.venues import binance_layout as b
from depthscope.venues.binance_decoder import Decoder
from tests.venues.binance_feed import NS, Exchange, depth, dump, message, snapshot
from tests.venues.dict_book import as_dicts

FRAMES = [
    b'{"stream":"btcusdt@depth@100ms","data":'
    + depth(90, 105, 80, [["61800.20", "0.014"], ["61799.10", "0.000"]], [["61800.30", "12.5"]])
    + b"}",
    depth(106, 120, 105, [], [["61801.00", "1"], ["61802.5", "0.25"]], ps="BTCUSDT", st=1),
    depth(121, 121, 120),
    message("trade", t=1, p="61800.30", q="0.006", X="MARKET", m=False),
    message("aggTrade", s="ETHUSDT", a=7, p="2600.15", q="1.5", nq="1.2", f=1, l=2, m=True, st=1),
    b'{"stream":"btcusdt@bookTicker","data":'
    + message("bookTicker", u=9, b="61800.20", B="2.507", a="61800.30", A="2.510", ps="BTCUSDT")
    + b"}",
    message("markPriceUpdate", p="61800.1", i="61800.2", r="0.0001"),
    snapshot(130, [["61800.2", "1.5"], ["61800.1", "2"]], [["61800.3", "0.001"]]),
    b'{"result":null,"id":1}',
]


def ready(fast: bool = True) -> Decoder:
    """A decoder with a LIVE book at id 100, both trade streams chosen; with little room, as many are made."""
    decoder = Decoder(only_symbol="BTCUSDT", fast=fast, capacity=256)
    decoder.step(snapshot(100, [["61800.2", "1.5"]], [["61800.3", "1.5"]]), NS)
    decoder.step(FRAMES[3], NS)
    decoder.step(FRAMES[4], NS)
    decoder.take()
    return decoder


def was_fast(decoder: Decoder, frame: bytes) -> bool:
    """Whether the scanner alone took a frame."""
    return decoder._scan_frame(frame, NS) in (b.DONE, b.RULE)


@pytest.mark.parametrize("k", range(6))
def test_what_the_venue_sends_needs_no_slow_path(k: int) -> None:
    decoder = ready()
    for frame in FRAMES[:k]:
        decoder.step(frame, NS)
    assert was_fast(decoder, FRAMES[k])


def spaced(frame: bytes) -> bytes:
    return json.dumps(json.loads(frame)).encode()


def indented(frame: bytes) -> bytes:
    return json.dumps(json.loads(frame), indent=1).encode()


def unknown_keys(frame: bytes) -> bytes:
    body = json.loads(frame)
    target = body.get("data", body)
    target |= {"zz": "text", "longer": 5, "y": True, "w": False, "v": "-", "n": None}
    return dump(body)


def reordered(frame: bytes) -> bytes:
    body = json.loads(frame)
    if "data" in body:
        body = {"data": dict(reversed(body["data"].items())), "stream": body["stream"]}
        return dump(body)
    return dump(dict(reversed(body.items())))


def escaped(frame: bytes) -> bytes:
    return frame.replace(b"USDT", b"\\u0055SDT")


@pytest.mark.parametrize("change", [spaced, indented, unknown_keys, reordered, escaped])
def test_same_meaning_same_events(change: Any) -> None:
    plain, changed = ready(), ready()
    for frame in FRAMES:
        plain.step(frame, NS)
        changed.step(change(frame), NS)
        assert as_dicts(plain.take()) == as_dicts(changed.take())
    assert plain.counters() == changed.counters()
    assert plain.skipped == changed.skipped


@pytest.mark.parametrize("k", range(6))
def test_spaces_and_scalar_keys_stay_on_the_fast_path(k: int) -> None:
    decoder = ready()
    for frame in FRAMES[:k]:
        decoder.step(frame, NS)
    assert was_fast(decoder, spaced(FRAMES[k]))


NUMBERS = st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,10})?", fullmatch=True)


@pytest.mark.untraced  # what it calls is covered by the tests beside it
@settings(max_examples=400, deadline=None)
@given(price=NUMBERS, size=NUMBERS, decimals=st.integers(0, 9), odd_lot=st.sampled_from([0, 3, 250, 10**10]))
def test_numbers_are_exact_or_refused(price: str, size: str, decimals: int, odd_lot: int) -> None:
    lot = odd_lot or 10 ** (9 - decimals)
    exact_price, exact_size = Decimal(price) * 10**9, Decimal(size) * 10**9 / lot
    results = []
    for fast in (True, False):
        decoder = Decoder(tick=1, lot=lot, only_symbol="BTCUSDT", fast=fast, capacity=256)
        decoder.step(snapshot(1), NS)
        decoder.take()
        decoder.step(depth(1, 2, 0, [[price, size]]), NS)
        results.append(as_dicts(decoder.take()))
    assert results[0] == results[1]
    level = results[0][0]
    if chr(level["action"]) == "L":
        assert Decimal(level["price"]) == exact_price
        assert Decimal(level["size"]) == exact_size
    else:
        digits = [len(t.replace(".", "")) for t in (price, size)]
        places = [len(t.partition(".")[2]) for t in (price, size)]
        assert chr(level["action"]) == "X"
        assert (
            exact_price == 0 or exact_price >= 2**63 - 1 or exact_size != exact_size.to_integral_value()
            or exact_size > 10**15 or max(digits) > 18 or max(places) > 9
        )  # fmt: skip


@pytest.mark.parametrize("decimals", range(10))
@pytest.mark.parametrize("whole", [1, 2, 5, 7, 8, 9, 10, 12, 17])
def test_numbers_of_every_length_stay_on_the_fast_path(whole: int, decimals: int) -> None:
    rng = random.Random(whole * 10 + decimals)
    digits = "".join(rng.choice("123456789") for _ in range(whole + decimals))
    text = f"{digits[:whole]}.{digits[whole:]}" if decimals else digits
    decoder = Decoder(tick=1, lot=10**9 // 10**decimals, only_symbol="BTCUSDT")
    decoder.step(snapshot(1), NS)
    decoder.take()
    fits = whole + decimals <= 18
    price = text if fits and whole <= 9 else "5"
    taken = fits and int(digits) <= 10**15
    frame = depth(1, 2, 0, [[price, text]])
    assert was_fast(decoder, frame) == taken
    decoder.step(frame, NS)
    event = as_dicts(decoder.take())[0]
    if taken:
        assert (event["price"], event["size"]) == (Decimal(price) * 10**9, int(digits))
    else:
        assert chr(event["action"]) == "X"


def mutate(rng: random.Random, frame: bytes) -> bytes:
    """One to four small damages."""
    data = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(8)
        if what == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif what == 1:
            data[at:at] = rng.choice(TOKENS)
        elif what == 2:
            del data[at : at + rng.randint(1, 9)]
        elif what == 3:
            del data[at:]
        elif what == 4:
            data[at:at] = data[at : at + rng.randint(1, 40)]
        elif what == 5:
            other = rng.choice(FRAMES)
            data[at:] = other[rng.randrange(len(other)) :]
        elif what == 6 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        else:
            token = rng.choice(TOKENS)
            data[at : at + len(token)] = token
    return bytes(data)


TOKENS = [
    b'"', b"[", b"]", b"{", b"}", b",", b":", b"0", b"9" * 20, b"-", b".", b"e5", b" ", b"\n", b"\x00",
    b"\\u0000", b"null", b"true", b'"b":[', b'"a":[["1","1"]]', b'["1.5","1"],', b'"u":5,', b"\t", b"1_0",
    b'"e":"depthUpdate",', b'"s":"X",', b'"pu":120', b"NaN", b"\xff", b"\xf0\x9f\x92\xa5", b'"data":{',
    b'"nq":"1.000",', b'"T":0,', b'"a":5,', b'"t":5,', b'"m":true,', b'"X":"NA",',
]  # fmt: skip


def outcome(decoder: Decoder, frame: bytes) -> tuple[Any, ...]:
    decoder.step(frame, NS)
    return as_dicts(decoder.take()), dict(decoder.skipped), dict(decoder.rejected), len(decoder.requests)


@pytest.mark.untraced  # every reason for the slow path is met in test_binance_decoder
def test_scanner_and_slow_path_agree_on_damaged_frames() -> None:
    rng = random.Random(20_240_808)
    fast, slow = ready(), ready(fast=False)
    events = 0
    for k in range(40_000):
        frame = mutate(rng, rng.choice(FRAMES))
        got = outcome(fast, frame)
        assert got == outcome(slow, frame), frame
        events += len(got[0])
        if k % 20 == 0:
            fast, slow = ready(), ready(fast=False)
    assert events > 1_000


@pytest.mark.untraced
def test_a_hundred_thousand_mutations_break_nothing() -> None:
    rng = random.Random(1)
    decoder = ready()
    saved = decoder.snapshot()
    started = time.monotonic()
    for k in range(100_000):
        decoder.step(mutate(rng, rng.choice(FRAMES)), NS + k)
        decoder.take()
        if k % 500 == 0:
            decoder.restore(saved)
    decoder.restore(saved)
    for frame in FRAMES[:3]:
        decoder.step(frame, NS)
    assert "".join(chr(e["action"]) for e in as_dicts(decoder.take())) == "LLLLLN"
    assert time.monotonic() - started < 120  # a hang, not a speed, is what this bounds


def test_a_message_larger_than_the_buffer_is_one_group() -> None:
    decoder = Decoder(only_symbol="BTCUSDT", capacity=16)
    decoder.step(snapshot(1), NS)
    decoder.take()
    levels = [[f"{k}.5", "1"] for k in range(1, 2_001)]
    decoder.step(depth(1, 2, 0, levels), NS)
    events = decoder.take()
    assert len(events) == 2_000
    assert (events["flags"] != 0).sum() == 1 and events["flags"][-1] == 128
    assert events["price"].tolist() == [k * 10**9 + 5 * 10**8 for k in range(1, 2_001)]


def test_taken_events_stay_valid_until_three_more() -> None:
    decoder = ready()
    exchange = Exchange(5)
    kept = []
    decoder.step(dump(exchange.snapshot()), NS)
    for _ in range(50):
        body, _ = exchange.update()
        decoder.step(dump(body), NS)
        events = decoder.take()
        kept = [*kept[-3:], (events, events.copy())]
        for view, copy in kept:
            assert view.tobytes() == copy.tobytes()
