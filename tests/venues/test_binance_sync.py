"""The futures sync rule: which updates may touch a book, whatever the network does."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest

from depthscope.market import events as ev
from depthscope.venues import binance_sync
from depthscope.venues.binance_decoder import Decoder
from tests.venues.binance_feed import MS, NS, Exchange, depth, dump, snapshot
from tests.venues.dict_book import DictBook, as_dicts

Truth = tuple[dict[int, int], dict[int, int]]


def letters(decoder: Decoder, *frames: bytes) -> str:
    """Actions written, one letter each."""
    for frame in frames:
        decoder.step(frame, NS, "BTCUSDT")
    return "".join(chr(a) for a in decoder.take()["action"])


def asked(decoder: Decoder) -> int:
    found = [r for r in decoder.requests if r.kind == "snapshot"]
    decoder.requests.clear()
    return len(found)


LEVELS: Any = [["1", "1"]]


def test_updates_wait_for_a_snapshot_and_ask_once() -> None:
    decoder = Decoder()
    assert letters(decoder, depth(1, 5, 0, LEVELS), depth(6, 9, 5, LEVELS), depth(10, 20, 9, LEVELS)) == ""
    assert asked(decoder) == 1
    assert decoder.waiting() == {"BTCUSDT": 3}
    assert letters(decoder, snapshot(8, LEVELS)) == "RLLL"  # 6..9 holds 8; 1..5 is older
    assert decoder.skipped == {"depth update older than its snapshot": 1}
    assert letters(decoder, depth(21, 22, 20)) == "N"
    assert asked(decoder) == 0


@pytest.mark.parametrize(
    ("first", "final", "previous", "taken"),
    [
        (90, 99, 89, None),  # u < lastUpdateId: dropped
        (90, 100, 89, True),  # u == lastUpdateId
        (100, 110, 99, True),  # U == lastUpdateId
        (95, 105, 94, True),
        (100, 100, 99, True),
        (101, 105, 100, True),  # pu == lastUpdateId: nothing lies between
        (101, 105, 99, False),  # the spot rule would take it
        (101, 105, 101, False),
        (102, 105, 101, False),
        (500, 600, 499, False),
    ],
)
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("snapshot_first", [True, False])
def test_first_applied_update(
    first: int, final: int, previous: int, taken: bool | None, fast: bool, snapshot_first: bool
) -> None:
    decoder = Decoder(fast=fast)
    update, reply = depth(first, final, previous, LEVELS), snapshot(100, LEVELS)
    if snapshot_first:
        got = letters(decoder, reply, update)
        assert got == {None: "RL", True: "RLL", False: "RLX"}[taken]
    else:
        got = letters(decoder, update, reply)
        assert got == {None: "RL", True: "RLL", False: ""}[taken]
        assert asked(decoder) == (2 if taken is False else 1)
    assert decoder.state("BTCUSDT") == ("SYNCING" if taken is False else "LIVE")


def test_ids_jump_and_only_pu_counts() -> None:
    decoder = Decoder()
    assert (
        letters(decoder, snapshot(10), depth(5, 10, 4), depth(900, 910, 10), depth(911, 920, 909)) == "RNNX"
    )
    assert [r.reason for r in decoder.requests] == ["pu 909 does not follow u 910"]


def test_repeated_and_late_updates_change_nothing() -> None:
    decoder = Decoder()
    frames = [snapshot(10), depth(8, 12, 7), depth(13, 15, 12), depth(13, 15, 12), depth(8, 12, 7)]
    assert letters(decoder, *frames) == "RNN"
    assert decoder.skipped == {"repeated or late depth update": 2}
    assert decoder.state("BTCUSDT") == "LIVE"


def test_smaller_ids_at_a_later_time_are_a_gap() -> None:
    decoder = Decoder()
    assert letters(decoder, snapshot(10), depth(8, 12, 7), depth(3, 4, 2, T=MS + 1)) == "RNX"


def test_gap_in_the_buffer_drops_what_came_before() -> None:
    decoder = Decoder()
    frames = [
        depth(1, 5, 0, LEVELS),
        depth(6, 9, 5, LEVELS),
        depth(20, 30, 15, LEVELS),
        depth(31, 40, 30, LEVELS),
    ]
    assert letters(decoder, *frames) == ""
    assert letters(decoder, snapshot(7, LEVELS)) == ""  # would fit only before the gap
    assert letters(decoder, snapshot(25, LEVELS)) == "RLLL"
    assert decoder.skipped == {
        "depth update without a snapshot that fits": 2, "snapshot older than the depth updates": 1,
    }  # fmt: skip


def test_snapshot_while_live() -> None:
    decoder = Decoder()
    assert letters(decoder, snapshot(10), snapshot(9), snapshot(12, LEVELS)) == "RRL"  # nothing followed 10
    assert letters(decoder, depth(8, 14, 7), snapshot(14), snapshot(60, LEVELS), depth(15, 20, 14)) == "NN"
    # After a reconnect the recording holds the new snapshot before the update that shows the gap.
    assert letters(decoder, depth(55, 65, 54, LEVELS)) == "XRLL"
    assert decoder.counters()["gaps"] == 1
    assert decoder.counters()["snapshots"] == 3


def test_a_kept_snapshot_too_old_for_the_gap_is_not_used() -> None:
    decoder = Decoder()
    letters(decoder, snapshot(10), depth(8, 14, 7), snapshot(60, LEVELS))
    assert letters(decoder, depth(75, 80, 74, LEVELS)) == "X"
    assert letters(decoder, snapshot(78, LEVELS)) == "RLL"


def test_disconnect_is_an_event() -> None:
    decoder = Decoder()
    letters(decoder, snapshot(10), depth(8, 14, 7))
    assert decoder.disconnect(NS, frozenset({"ETHUSDT"})) == 0
    assert decoder.disconnect(NS, frozenset({"BTCUSDT"})) == 1
    assert decoder.disconnect(NS) == 0
    (lost,) = as_dicts(decoder.take())
    assert (chr(lost["action"]), lost["flags"], lost["instrument_id"], lost["ts_recv"]) == (
        "X",
        ev.LAST,
        1,
        NS,
    )
    assert letters(decoder, depth(15, 16, 14)) == ""
    assert asked(decoder) == 1


def test_buffer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_sync, "MOST_BUFFERED", 100)
    decoder = Decoder()
    for k in range(1, 200):
        decoder.step(depth(k, k, k - 1, LEVELS), NS)
    assert decoder.waiting() == {"BTCUSDT": 50}
    assert decoder.skipped == {"depth update without a snapshot that fits": 149}
    assert letters(decoder, snapshot(120)) == ""  # its successors are gone
    assert letters(decoder, snapshot(160)) == "R" + "L" * 40


class Follower:
    """A decoder and the book its events make, checked against the exchange at every group."""

    def __init__(self) -> None:
        self.decoder = Decoder(only_symbol="BTCUSDT")
        self.book = DictBook()
        self.truths: dict[int, Truth] = {}
        self.checked = 0

    def feed(self, frame: bytes, ts: int) -> None:
        self.decoder.step(frame, ts)
        for event in as_dicts(self.decoder.take()):
            self.book.apply(event)
            if event["flags"] & ev.LAST and self.book.state == "LIVE":
                assert (self.book.bids, self.book.asks) == self.truths[event["sequence"]]
                self.checked += 1
        assert (self.book.state == "LIVE") == (self.decoder.state("BTCUSDT") == "LIVE")


def history(seed: int, n: int) -> tuple[list[bytes], dict[int, bytes], dict[int, Truth]]:
    """Updates, a snapshot at each of their ids, and the true book there."""
    exchange = Exchange(seed)
    updates, replies, truths = [], {0: dump(exchange.snapshot())}, {exchange.u: exchange.truth()}
    for k in range(n):
        body, truth = exchange.update()
        truths[body["u"]] = truth
        updates.append(dump(body))
        replies[k + 1] = dump(exchange.snapshot())
    return updates, replies, truths


def test_gap_at_every_position_never_leaves_a_wrong_live_book() -> None:
    updates, replies, truths = history(seed=1, n=120)
    for lost in range(len(updates)):
        follower = Follower()
        follower.truths = truths
        follower.feed(replies[0], NS)
        for k, frame in enumerate(updates):
            if k == lost:
                continue
            follower.feed(frame, NS + k)
            if follower.decoder.requests:
                assert follower.book.state != "LIVE"
                follower.decoder.requests.clear()
                follower.feed(replies[k + 1], NS + k)
                assert follower.book.state == "LIVE"
        assert follower.checked >= len(updates) - 1
        assert follower.decoder.counters()["gaps"] == (0 if lost == len(updates) - 1 else 1)


def test_any_order_of_updates_and_snapshots_gives_true_books_or_none() -> None:
    rng = random.Random(7)
    updates, replies, truths = history(seed=2, n=40)
    lived = 0
    for _ in range(400):
        frames = list(updates)
        for _ in range(rng.randint(0, 6)):  # swaps, repeats, losses
            i, j = rng.randrange(len(frames)), rng.randrange(len(frames))
            what = rng.random()
            if what < 0.4:
                frames[i], frames[j] = frames[j], frames[i]
            elif what < 0.7:
                frames.insert(i, frames[j])
            else:
                del frames[i]
        for _ in range(rng.randint(1, 5)):
            frames.insert(rng.randrange(len(frames)), replies[rng.randint(0, 40)])
        follower = Follower()
        follower.truths = truths
        for k, frame in enumerate(frames):
            follower.feed(frame, NS + k)
        lived += follower.checked
    assert lived > 2_000


def test_saved_state_goes_on_as_if_nothing_happened() -> None:
    updates, replies, _ = history(seed=3, n=60)
    frames = [*updates[:5], replies[4], *updates[5:20], *updates[22:30], replies[28], *updates[30:]]
    whole = Decoder(only_symbol="BTCUSDT")
    expected = []
    for k, frame in enumerate(frames):
        whole.step(frame, NS + k)
        expected.append(whole.take().tobytes())
    for cut in range(len(frames)):
        first = Decoder(only_symbol="BTCUSDT")
        for k in range(cut):
            first.step(frames[k], NS + k)
        first.take()
        saved = pickle.loads(pickle.dumps(first.snapshot()))
        first.step(frames[cut], NS)  # what follows must not reach what was saved
        second = Decoder(only_symbol="BTCUSDT")
        second.restore(saved)
        got = []
        for k in range(cut, len(frames)):
            second.step(frames[k], NS + k)
            got.append(second.take().tobytes())
        assert got == expected[cut:]
        assert second.counters() == whole.counters()
        assert (second.skipped, second.requests) == (whole.skipped, whole.requests)
