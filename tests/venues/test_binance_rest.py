"""REST budget, back-off and queue of Binance: pure logic on a made-up clock."""

from __future__ import annotations

import random

import pytest

from depthscope.venues.binance_requests import FetchInstruments, FetchSnapshot, FetchTime
from depthscope.venues.binance_rest import (
    MINUTE,
    REST,
    SECOND,
    SNAPSHOT,
    SOCKET,
    Backoff,
    Budget,
    RestQueue,
)

T = 1_795_000_000_000_000_000


def test_backoff_doubles_to_its_bound_with_full_jitter() -> None:
    assert [SOCKET.delay(k, lambda: 1.0) / SECOND for k in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert [REST.delay(k, lambda: 1.0) / SECOND for k in range(9)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert [SNAPSHOT.delay(k, lambda: 1.0) / SECOND for k in range(7)] == [0, 1, 2, 4, 8, 15, 15]
    assert SOCKET.delay(5, lambda: 0.0) == 0
    assert Backoff(1, 30).delay(10**9, lambda: 0.5) == 15 * SECOND
    rnd = random.Random(1)
    delays = [SOCKET.delay(6, rnd.random) / SECOND for _ in range(2_000)]
    assert 14 < sum(delays) / len(delays) < 16


def test_a_book_that_failed_often_is_asked_for_soon() -> None:
    """Its REST endpoint may have been ill for minutes: once it is well, nobody waits for long."""
    queue = RestQueue(Budget(), lambda: 0.999)
    queue.add(FetchSnapshot("A", 1000, "", T, attempt=30), T)
    queue.add(FetchInstruments("", T, attempt=30), T)
    assert queue.take(T + 14 * SECOND) is None
    first = queue.take(T + 15 * SECOND)
    assert first is not None
    assert first.symbol == "A"
    assert queue.take(T + 59 * SECOND) is None


def test_no_rolling_minute_uses_more_than_half() -> None:
    budget, now, times = Budget(), T, []
    for _ in range(200):
        at = budget.free_at(20, now)
        assert at >= now
        now = at
        budget.spend(20, now)
        times.append(now)
    for k, at in enumerate(times):
        assert sum(20 for other in times[k:] if other < at + MINUTE) <= 1_200
    assert budget.peak == 1_200


def test_what_others_use_counts_against_us() -> None:
    budget = Budget()
    budget.spend(20, T)
    budget.learn(200, {"x-mbx-used-weight-1m": "1190"}, b"", T)
    assert budget.used(T) == 1_190
    assert budget.free_at(20, T + 1) == T + MINUTE
    assert budget.free_at(20, T + MINUTE) == T + MINUTE
    budget.learn(200, {"x-mbx-used-weight-1m": "nonsense"}, b"", T + MINUTE)


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"retry-after": "7"}, b"", 7),
        (429, {}, b"", 60),
        (429, {"retry-after": "0"}, b"", 1),
        (429, {"retry-after": "-5"}, b"", 60),
        (418, {"retry-after": "120"}, b"", 120),
        (418, {}, b"", 120),
        (418, {"retry-after": "9" * 30}, b"", 3 * 86_400),
        (
            418,
            {},
            b'{"msg":"Way too many requests; IP(1.2.3.4) banned until %d."}' % (T // 10**6 + 300_000),
            300,
        ),
    ],
)
def test_a_refusal_stops_everything_until_its_end(
    status: int, headers: dict[str, str], body: bytes, seconds: int
) -> None:
    budget = Budget()
    budget.learn(status, headers, body, T)
    assert budget.free_at(1, T) == T + seconds * SECOND
    assert budget.free_at(1, T + seconds * SECOND) == T + seconds * SECOND


def test_bans_without_an_end_grow() -> None:
    budget = Budget()
    for expected in (2, 4, 8):
        budget.learn(418, {}, b"", T)
        assert budget.blocked_until == T + expected * MINUTE
    budget.learn(200, {}, b"", T)
    budget.learn(418, {}, b"", T + 60 * MINUTE)
    assert budget.blocked_until == T + 62 * MINUTE


def test_the_queue_never_doubles_a_request_and_sends_light_ones_first() -> None:
    queue = RestQueue(Budget(), lambda: 0.5)
    for _ in range(3):
        queue.add(FetchSnapshot("BTCUSDT", 1000, "x"), T)
    queue.add(FetchSnapshot("ETHUSDT", 100, "x"), T + 1)
    queue.add(FetchTime("x"), T + 2)
    queue.add(FetchInstruments("x", 0, 1), T)  # half a second later
    assert len(queue) == 4
    paths = []
    while (call := queue.take(T + 2)) is not None:
        paths.append((call.path, call.symbol, call.weight))
    assert paths == [
        ("/fapi/v1/time", "", 1),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=1000", "BTCUSDT", 20),
        ("/fapi/v1/depth?symbol=ETHUSDT&limit=100", "ETHUSDT", 5),
    ]
    assert queue.wake_at(T + 2) == T + SECOND // 2
    assert queue.take(T + SECOND // 2).path == "/fapi/v1/exchangeInfo"  # type: ignore[union-attr]
    queue.add(FetchTime("x"), T)
    assert (queue.take(T + SECOND), queue.wake_at(T + SECOND)) == (None, None)  # four are on their way
    queue.done(200, {}, b"", T + SECOND)
    assert queue.take(T + SECOND) is not None


def test_the_queue_wakes_when_the_ban_ends() -> None:
    queue = RestQueue(Budget(), lambda: 0.5)
    queue.add(FetchTime("x"), T)
    assert queue.take(T) is not None
    queue.done(418, {"retry-after": "90"}, b"", T)
    queue.add(FetchSnapshot("BTCUSDT", 1000, "x"), T)
    assert queue.take(T) is None
    assert queue.wake_at(T) == T + 90 * SECOND


@pytest.mark.parametrize("seed", range(20))
def test_any_load_keeps_the_budget_and_serves_everything(seed: int) -> None:
    """A storm of requests by chance, with replies that fail, refuse and ban by chance."""
    rnd = random.Random(seed)
    queue = RestQueue(Budget(), rnd.random)
    now, sent, flying = T, [], []
    names = [f"S{k}" for k in range(200)]
    open_names = set(names)
    for name in names:
        queue.add(FetchSnapshot(name, 1000, "x"), now)
    for _ in range(200_000):
        if not open_names:
            break
        while (call := queue.take(now)) is not None:
            sent.append((now, call.weight))
            flying.append((now + rnd.randint(1, 3 * SECOND), call))
        times = [at for at, _ in flying] + [t for t in [queue.wake_at(now)] if t is not None]
        assert times
        now = max(now, min(times))
        for at, call in [f for f in flying if f[0] <= now]:
            flying.remove((at, call))
            status = rnd.choices((200, 0, 503, 429, 418), (80, 8, 8, 3, 1))[0]
            queue.done(status, {"retry-after": "3"} if status == 429 else {}, b"", now)
            if status == 200:
                open_names.discard(call.symbol)
            else:
                queue.add(FetchSnapshot(call.symbol, 1000, "x", now, rnd.randint(1, 9)), now)
    assert not open_names
    for k, (at, _) in enumerate(sent):
        assert sum(weight for other, weight in sent[k:] if other < at + MINUTE) <= 1_200
