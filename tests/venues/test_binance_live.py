"""The live Binance machine on hand-made inputs: beginning, the rule, connections, the laws."""

from __future__ import annotations

import json

import pytest

from depthscope.market.inputs import Input, Kind
from depthscope.venues import binance_live
from depthscope.venues.binance_live import BinanceMachine
from tests.venues.binance_feed import MS, NS, Exchange, depth, dump, message, snapshot
from tests.venues.binance_session import (
    ASKS,
    BIDS,
    SECOND,
    FetchInstruments,
    FetchSnapshot,
    FetchTime,
    Open,
    Send,
    Session,
    beat,
    live,
    trade,
)

# ── beginning ──


def test_instruments_are_fixed_before_anything_else() -> None:
    s = Session("ETHUSDT", "BTCUSDT")
    s.configure()
    assert [type(r) for r in s.requests] == [FetchTime, FetchInstruments]
    assert s.machine.instruments == {}
    s.instruments(["BTCUSDT", "ETHUSDT", "XRPUSDT"])
    assert [i.symbol for i in s.machine.instruments.values()] == ["ETHUSDT", "BTCUSDT"]  # the order asked for
    assert [(r.name, r.route) for r in s.taken(Open)] == [("public-1", "public"), ("market-1", "market")]


def test_exchange_info_wins_over_the_shipped_table() -> None:
    s = Session()
    s.configure()
    s.instruments(BTCUSDT=("0.50", "0.010"))
    assert next(iter(s.machine.instruments.values())).tick == 500_000_000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"symbols":[]}', b'{"symbols":[{"symbol":"BTCUSDT"}]}'])
def test_instruments_are_asked_for_until_they_come(body: bytes) -> None:
    s = Session()
    s.configure()
    s.requests.clear()
    s.rest("/fapi/v1/exchangeInfo", body)
    s.rest("/fapi/v1/exchangeInfo", body, 503)
    assert [r.attempt for r in s.taken(FetchInstruments)] == [1, 2]
    s.instruments()
    assert len(s.taken(Open)) == 2


def test_sound_instruments_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(status: object, body: bytes) -> str:
        raise AssertionError("a sound reply was read as a refusal")

    monkeypatch.setattr(binance_live, "refusal", never)
    s = Session()
    s.configure()
    s.instruments()
    assert [i.symbol for i in s.machine.instruments.values()] == ["BTCUSDT"]


def test_a_symbol_that_is_not_listed_is_quarantined_and_the_rest_goes_on() -> None:
    s = Session("NOSUCHUSDT", "BTCUSDT")
    s.configure()
    s.instruments(["BTCUSDT"])
    assert s.state("NOSUCHUSDT") == "STALE"
    assert "does not list it" in s.machine.books["NOSUCHUSDT"].reason
    assert [i.symbol for i in s.machine.instruments.values()] == ["BTCUSDT"]


def test_a_message_of_another_symbol_makes_no_event() -> None:
    s = live()
    assert s.ws(depth(1, 2, 0, BIDS, s="ETHUSDT")) == ""
    assert s.ws(message("bookTicker", s="XRPUSDT", u=1, b="1.0", B="1", a="2.0", A="1")) == ""
    assert s.machine.decoder.strange == {"ETHUSDT": 1, "XRPUSDT": 1}


def test_streams_are_dealt_out_to_connections() -> None:
    names = [f"S{k}USDT" for k in range(150)]
    s = Session(*names)
    s.configure()
    s.instruments()
    opens = s.taken(Open)
    assert [r.name for r in opens] == ["public-1", "public-2", "market-1", "market-2"]
    for request in opens:
        s.link(request.name)
    told: dict[int, list[str]] = {}
    for send in s.taken(Send):
        told.setdefault(send.connection, []).extend(json.loads(send.payload)["params"])
    assert {k: len(v) for k, v in told.items()} == {1: 200, 2: 100, 3: 199, 4: 102}
    assert all(len(v) <= 200 for v in told.values())


def test_a_subscription_without_an_answer_is_sent_again_then_the_connection_given_up() -> None:
    s = Session()
    s.configure()
    s.instruments()
    for request in s.taken(Open):
        s.link(request.name)
    s.requests.clear()
    s.clock(150, step=0.5)
    assert [r.connection for r in s.requests if type(r).__name__ == "Close"] == [1, 2]
    assert 3 <= sum(r.connection == 1 for r in s.taken(Send)) <= 4


def test_a_refused_subscription_is_told() -> None:
    s = Session()
    s.configure()
    s.instruments()
    for request in s.taken(Open):
        s.link(request.name)
    s.ws({"error": {"code": 2, "msg": "Invalid request"}, "id": 1})
    assert "Invalid request" in s.notices[-1].reason


def test_a_quiet_symbol_is_fetched_without_an_update() -> None:
    s = Session().begin()
    s.requests.clear()
    s.clock(0.9)
    assert s.taken(FetchSnapshot) == []
    s.clock(0.4)
    assert len(s.taken(FetchSnapshot)) == 1
    assert s.reply(snapshot(95, BIDS, ASKS)) == "RLL"
    assert s.state() == "LIVE"


# ── the rule, replies ──


def test_a_gap_is_stale_before_anything_else_and_only_there() -> None:
    s = live("BTCUSDT", "ETHUSDT")
    s.ws(depth(90, 100, 89, BIDS, ASKS, s="ETHUSDT"))
    s.reply(snapshot(95, BIDS, ASKS), "ETHUSDT")
    s.requests.clear()
    assert s.ws(depth(111, 120, 110, BIDS)) == "X"
    assert (s.state(), s.state("ETHUSDT")) == ("STALE", "LIVE")
    assert s.machine.books["BTCUSDT"].reason == "pu 110 does not follow u 100"
    assert [r.symbol for r in s.taken(FetchSnapshot)] == ["BTCUSDT"]
    assert s.ws(depth(121, 130, 120, BIDS)) == ""
    assert s.reply(snapshot(105, BIDS, ASKS)) == ""  # older than what is buffered
    (again,) = s.taken(FetchSnapshot)
    assert again.attempt == 2
    assert s.reply(snapshot(125, BIDS, ASKS)) == "RLLL"
    assert s.moves() == ["SYNCING", "LIVE", "STALE", "LIVE"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 200), (b"<html>", 200), (b'{"code":-1003}', 429), (b"", 0)]
)
def test_a_snapshot_that_failed_is_asked_for_again(body: bytes, status: int) -> None:
    s = Session().begin()
    s.ws(depth(90, 100, 89, BIDS, ASKS))
    s.requests.clear()
    for attempt in range(1, 8):
        s.reply(body, status=status)
        assert [r.attempt for r in s.taken(FetchSnapshot)] == [attempt]
    assert s.reply(snapshot(95, BIDS, ASKS)) == "RLLLL"


def test_a_refusal_is_why_a_book_does_not_come_back() -> None:
    """Not the gap alone: whoever reads that would knock again at a door that was shut."""
    s = live()
    s.ws(depth(205, 206, 204, BIDS))
    gone = s.machine.books["BTCUSDT"].since
    s.now += SECOND
    s.reply(b'{"code":-1003,"msg":"Way too many requests"}', status=418)
    book = s.machine.books["BTCUSDT"]
    assert (book.state, book.since) == ("STALE", gone)
    assert book.reason.startswith("no snapshot: the venue has banned this address (418)")
    told = [n.reason for n in s.notices if n.about == "book"]
    assert told[-1] == book.reason
    s.reply(b'{"code":-1003,"msg":"Way too many requests"}', status=418)
    assert [n.reason for n in s.notices if n.about == "book"] == told, "told once"


def test_a_snapshot_that_never_comes_is_asked_for_again() -> None:
    s = Session().begin()
    s.ws(depth(90, 100, 89, BIDS, ASKS))
    s.requests.clear()
    s.clock(179, step=0.5)
    assert s.taken(FetchSnapshot) == []
    s.clock(2, step=0.5)
    assert len(s.taken(FetchSnapshot)) == 1


def test_a_reply_while_disconnected_makes_no_book() -> None:
    s = Session().begin()
    s.ws(depth(90, 100, 89, BIDS, ASKS))
    s.link("public-1", "lost", 1)
    assert s.reply(snapshot(95, BIDS, ASKS)) == ""
    assert s.state() == "SYNCING"


def test_repeated_trades_and_quotes_count_once_and_missing_ones_are_counted() -> None:
    s = live()
    assert s.ws(trade(5), 2) == "T"
    assert s.ws(trade(5), 2) == ""
    assert s.ws(trade(8), 2) == "T"
    assert s.machine.health(s.now)["symbols"]["BTCUSDT"]["streams"]["aggTrade"]["missed"] == 2
    assert s.ws(trade(7), 2) == "T"  # late, not repeated
    assert s.ws(trade(7), 2) == ""
    assert s.machine.health(s.now)["symbols"]["BTCUSDT"]["streams"]["aggTrade"]["missed"] == 1
    assert s.ws(trade(2, T=MS + 10), 2) == "T"  # numbered anew
    quote = {"b": "60000.0", "B": "1.000", "a": "60000.1", "A": "1.000"}
    assert s.ws(message("bookTicker", u=50, **quote)) == "QQ"
    assert s.ws(message("bookTicker", u=50, **quote)) == ""
    assert s.ws(message("bookTicker", u=49, **quote)) == ""
    assert s.ws(message("bookTicker", u=51, **quote)) == "QQ"


# ── connections ──


def test_losing_one_socket_affects_only_what_it_carries() -> None:
    s = live()
    s.link("market-1", "lost", 2, "reset")
    assert s.state() == "LIVE"
    assert (s.machine.books["BTCUSDT"].tape, s.moves("tape")) == ("STALE", ["LIVE", "STALE"])
    assert s.ws(depth(101, 110, 100, BIDS)) == "L"
    (again,) = s.taken(Open)
    s.link(again.name)
    s.confirm()
    assert s.machine.books["BTCUSDT"].tape == "LIVE"
    s.link("public-1", "lost", 1, "reset")
    assert chr(s.events[-1]["action"][0]) == "X"
    assert (s.state(), s.machine.books["BTCUSDT"].tape) == ("STALE", "LIVE")
    assert s.machine.books["BTCUSDT"].reason == "connection lost: reset"


def test_attempts_count_until_a_connection_holds() -> None:
    s = live()
    s.link("public-1", "lost", 1)
    for attempt in range(1, 5):
        (request,) = s.taken(Open)
        assert (request.name, request.attempt) == ("public-1", attempt)
        s.link("public-1", "lost", 100 + attempt, "refused")
    number = s.link(s.taken(Open)[0].name)
    s.confirm()
    s.clock(61)
    s.link("public-1", "lost", number)
    assert s.taken(Open)[0].attempt == 0


def test_messages_of_a_connection_that_is_not_open_count_for_nothing() -> None:
    s = live()
    assert s.ws(depth(101, 110, 100, BIDS), 77) == ""
    assert s.machine.ignored == {"message of a connection that is not open": 1}


def test_hand_over_misses_and_repeats_nothing() -> None:
    s = live(handover_seconds=600.0)
    x = 100
    x = beat(s, 600.2, x, step=0.2)
    opens = s.taken(Open)
    assert {(r.name, r.reason) for r in opens} == {
        ("public-1", "24-hour hand-over"),
        ("market-1", "24-hour hand-over"),
    }
    new = s.link("public-1")
    s.confirm()
    assert s.state() == "LIVE"
    # Both carry everything; whoever is first counts, the other repeats. The new one may be ahead.
    bodies = [depth(x + 1 + 10 * k, x + 10 + 10 * k, x + 10 * k, BIDS) for k in range(6)]
    said = [
        s.ws(bodies[0], 1),
        s.ws(bodies[0], new),
        s.ws(bodies[2], new),
        s.ws(bodies[1], 1),
        s.ws(bodies[2], 1),
    ]
    assert said == ["L", "", "", "LL", ""]
    # Cut differently: an update that overlaps the book's id is taken, as sizes are absolute.
    assert s.ws(depth(x + 26, x + 36, x + 25, (), ASKS), new) == "L"
    assert s.ws(depth(x + 31, x + 40, x + 30, BIDS), 1) == "L"
    x = beat(s, 5, x + 40, new)
    assert [r for r in s.requests if type(r).__name__ == "Close"] == []
    x = beat(s, 6, x, new)
    assert [r.connection for r in s.requests if type(r).__name__ == "Close"] == [1]
    s.link("public-1", "closed", 1)
    assert s.ws(depth(x + 1, x + 2, x, BIDS), new) == "L"
    assert (s.moves(), s.taken(FetchSnapshot)) == (["SYNCING", "LIVE"], [])
    s.replay()


def test_a_cut_in_the_middle_of_a_hand_over_is_no_gap_when_the_new_one_carries_all() -> None:
    s = live()
    s.machine.links.replace(s.machine.links.slots["public-1"], "test", s.now)
    new = s.link("public-1")
    s.ws(depth(101, 110, 100, BIDS), 1)
    s.ws(depth(101, 110, 100, BIDS), new)
    s.confirm()
    s.link("public-1", "lost", 1)
    assert s.ws(depth(111, 120, 110, BIDS), new) == "L"
    assert s.state() == "LIVE"


def test_a_gap_of_both_connections_is_a_gap() -> None:
    s = live()
    s.machine.links.replace(s.machine.links.slots["public-1"], "test", s.now)
    new = s.link("public-1")
    s.confirm()
    s.ws(depth(111, 120, 110, BIDS), 1)
    s.ws(depth(111, 120, 110, BIDS), new)
    assert s.state() == "LIVE"
    s.clock(2.2)
    assert s.state() == "STALE"
    assert len(s.taken(FetchSnapshot)) == 1
    assert s.reply(snapshot(115, BIDS, ASKS)) == "RLLL"


# ── laws ──


def session_with_everything() -> Session:
    s = live("BTCUSDT", "ETHUSDT", handover_seconds=60.0)
    x = Exchange(3)
    s.ws(dump(x.update()[0]))
    s.reply(dump(x.snapshot()))
    for k in range(900):
        s.now += SECOND // 10
        body = dump(x.update()[0])
        if k % 211 != 210:
            s.ws(body)
        if k % 7 == 0:
            s.ws(trade(k // 7 + k // 300), 2)
        if k % 50 == 0:
            s.clock(0.2)
        for request in s.taken(FetchSnapshot):
            if request.symbol == "BTCUSDT":
                s.reply(dump(x.snapshot()))
        for request in s.taken(Open):
            s.link(request.name)
            s.confirm()
        if k == 500:
            s.link("public-1", "lost", 1)
            s.clock(8)
    return s


def test_a_replay_says_the_same_bytes() -> None:
    s = session_with_everything()
    assert s.moves().count("LIVE") >= 4
    s.replay()


def test_snapshot_and_restore_anywhere() -> None:
    s = session_with_everything()
    rest = BinanceMachine()
    for k, (received, events) in enumerate(zip(s.inputs, s.events, strict=True)):
        if k % 37 == 0:
            state = rest.snapshot()
            rest = BinanceMachine()
            rest.restore(state)
        rest.step(received)
        assert rest.take().tobytes() == events.tobytes()
    assert [n.line() for n in rest.notices] == [n.line() for n in s.notices]
    assert rest.health(s.now) == s.machine.health(s.now)


def test_when_output_is_taken_does_not_matter() -> None:
    s = session_with_everything()
    for size in (1, 3, 1000):
        other, said = BinanceMachine(), b""
        for start in range(0, len(s.inputs), size):
            for received in s.inputs[start : start + size]:
                other.step(received)
            said += other.take().tobytes()
        assert said == b"".join(e.tobytes() for e in s.events)


def test_the_slow_path_says_the_same() -> None:
    s = session_with_everything()
    other = BinanceMachine(fast=False)
    for received, events in zip(s.inputs, s.events, strict=True):
        other.step(received)
        assert other.take().tobytes() == events.tobytes()
    assert other.health(s.now) == s.machine.health(s.now)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "payload", [b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b"{}\n{}", b"1e999"]
)
def test_nonsense_is_counted(kind: Kind, payload: bytes) -> None:
    for s in (Session(), live()):
        s.machine.step(Input(kind, 1, s.now, payload))
        s.machine.step(Input(kind, 1, -5, payload))
        s.clock(0.2)


def test_only_the_first_configuration_counts() -> None:
    s = live()
    assert s.configure() == ""
    assert s.machine.ignored == {}
    s.give(Kind.CONFIG, {"binance": {"symbols": ["XRPUSDT"]}})
    s.give(Kind.CONFIG, {"binance": {"symbols": ["xrpusdt"], "nonsense": 1}})
    assert s.machine.ignored == {"second configuration": 1, "configuration that cannot be used": 1}
    assert s.now == NS


def test_a_snapshot_from_before_a_loss_makes_no_book_unless_updates_prove_it() -> None:
    s = live()
    s.now += SECOND
    sent = s.now
    s.link("public-1", "lost", 1)
    s.now += SECOND
    number = s.link(s.taken(Open)[0].name)
    s.confirm()
    late = {"url": "/fapi/v1/depth", "status": 200, "symbol": "BTCUSDT", "sent": sent}
    head = dump(late) + b"\n"
    assert s.give(Kind.REST, head + snapshot(150, BIDS, ASKS)) == ""  # nobody knows what came after 150
    assert s.state() == "STALE"
    s.ws(depth(141, 160, 140, BIDS), number)
    assert s.give(Kind.REST, head + snapshot(150, BIDS, ASKS)) == "RLLL"


def test_a_snapshot_from_before_a_resync_makes_no_book() -> None:
    s = live()
    s.ws(depth(101, 110, 100, BIDS))
    sent = s.now
    s.now += SECOND
    s.give(Kind.STATUS, {"event": "resync", "symbol": "BTCUSDT"})
    head = dump({"url": "/fapi/v1/depth", "status": 200, "symbol": "BTCUSDT", "sent": sent}) + b"\n"
    assert s.give(Kind.REST, head + snapshot(105, BIDS, ASKS)) == ""
    s.requests.clear()
    s.clock(0.2)
    assert len(s.taken(FetchSnapshot)) == 1
    assert s.reply(snapshot(110, BIDS, ASKS)) == "RLL"


def test_a_symbol_listed_later_waits_for_the_next_session() -> None:
    s = Session("NEWUSDT", "BTCUSDT")
    s.configure()
    s.instruments(["BTCUSDT"])
    s.instruments(["BTCUSDT", "NEWUSDT"])
    assert s.state("NEWUSDT") == "STALE"
    assert [i.symbol for i in s.machine.instruments.values()] == ["BTCUSDT"]
