"""The doctor and a venue: every way it may not answer, each brought about for real on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from depthscope.errors import UnknownName
from depthscope.ops.checks_venue import VENUES, Target, check_venue, target
from depthscope.ops.doctor import Check
from tests.ops.venue import Venue, running


@pytest.fixture
def venue() -> Iterator[Venue]:
    with running() as made:
        yield made


def look(venue: Venue | Target, patience: float = 5.0) -> dict[str, Check]:
    where = venue.target if isinstance(venue, Venue) else venue
    return {c.name.removeprefix("binance: "): c for c in check_venue(where, patience=patience)}


def statuses(found: dict[str, Check]) -> list[str]:
    return [check.status for check in found.values()]


def test_a_venue_that_answers(venue: Venue) -> None:
    found = look(venue)
    assert statuses(found) == ["ok"] * 5
    assert "BTCUSDT trades" in found["symbols"].finding and "minute: 7" in found["symbols"].finding
    assert venue.asked[-2:] == ["/public/ws/btcusdt@depth@100ms", "/market/ws/btcusdt@aggTrade"]
    sent = {name.lower() for headers in venue.headers for name in headers}
    assert sent.isdisjoint({"x-mbx-apikey", "authorization", "cookie"}), "no key is sent"


@pytest.mark.parametrize("offset", [3600.0, -3600.0])
def test_a_clock_an_hour_off(venue: Venue, offset: float) -> None:
    venue.offset = offset
    clock = look(venue)["clock"]
    assert clock.status == "fail"
    assert "3,600." in clock.finding or "3,599.9" in clock.finding
    assert ("ahead of" if offset > 0 else "behind") in clock.finding
    assert "NTP" in clock.advice


def test_a_clock_a_second_off_is_a_warning(venue: Venue) -> None:
    venue.offset = 1.5
    assert look(venue)["clock"].status == "warn"


def test_a_slow_reply_is_no_clock_that_is_off(venue: Venue) -> None:
    venue.delay, venue.offset = 0.8, 0.4
    assert look(venue)["clock"].status == "ok", "within what the reply's own time leaves open"


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        (418, "banned", "Wait 120 s"),
        (429, "limits this address", "Wait 120 s"),
        (451, "does not serve the place", "another venue"),
        (403, "turns this machine away", "Wait some minutes"),
    ],
)
def test_a_venue_that_wants_to_be_left_alone_is(venue: Venue, status: int, words: str, advice: str) -> None:
    venue.replies["/fapi/v1/time"] = (status, {"Retry-After": "120"}, b'{"code":-1003,"msg":"slow down"}')
    found = look(venue)
    assert statuses(found) == ["ok", "fail", "skip", "skip", "skip"]
    assert words in found["clock"].finding and advice in found["clock"].advice
    assert venue.asked == ["/fapi/v1/ping", "/fapi/v1/time"], "nothing was asked after that"


def test_a_ban_without_a_time(venue: Venue) -> None:
    venue.replies["/fapi/v1/ping"] = (418, {}, b"")
    assert look(venue)["answers"].advice.startswith("Wait some minutes")


def test_a_wrong_path_and_an_unknown_failure(venue: Venue) -> None:
    found = look(replace(venue.target, rest_url=venue.target.rest_url + "/other"))
    assert "nothing at /other/fapi/v1/ping (404)" in found["answers"].finding
    assert statuses(found) == ["fail", "skip", "skip", "skip", "skip"]
    venue.replies["/fapi/v1/exchangeInfo"] = (503, {}, b"Unknown error, please check your request")
    found = look(venue)
    assert statuses(found) == ["ok", "ok", "fail", "ok", "ok"]
    assert "status 503: Unknown error" in found["symbols"].finding


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_closed_port() -> None:
    port = closed_port()
    found = look(Target("binance", f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"))
    assert found["answers"].status == "fail"
    assert f"Nothing listens at 127.0.0.1:{port}" in found["answers"].finding
    assert statuses(found)[1:] == ["skip"] * 4


def test_a_closed_port_for_streams_alone(venue: Venue) -> None:
    found = look(replace(venue.target, ws_url=f"ws://127.0.0.1:{closed_port()}"))
    assert statuses(found) == ["ok", "ok", "ok", "fail", "fail"]
    assert "Nothing listens" in found["depth stream"].finding


def test_a_name_that_does_not_exist() -> None:
    found = look(Target("binance", "http://venue.invalid", "ws://venue.invalid"))
    assert "venue.invalid cannot be reached" in found["answers"].finding


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "file:///etc/passwd", "nonsense"])
def test_an_address_that_is_none(url: str) -> None:
    found = look(Target("binance", url, "ws://127.0.0.1:1"))
    assert "is no http address" in found["answers"].finding


def test_a_stream_address_that_is_none(venue: Venue) -> None:
    found = look(replace(venue.target, ws_url="http://127.0.0.1:1"))
    assert found["depth stream"].status == "fail"


def test_no_answer_in_time(venue: Venue) -> None:
    venue.delay = 1.0
    found = look(venue, patience=0.3)
    assert "does not answer in time" in found["answers"].finding


def test_a_server_that_is_no_venue(venue: Venue) -> None:
    venue.replies["/fapi/v1/ping"] = (200, {}, b"<html>please log in to the hotel's network</html>")
    found = look(venue)
    assert "not with JSON" in found["answers"].finding and "proxy" in found["answers"].advice


def test_plain_http_where_tls_is_expected(venue: Venue) -> None:
    found = look(replace(venue.target, rest_url=venue.target.rest_url.replace("http", "https")))
    assert "offers no trusted connection" in found["answers"].finding


def test_replies_of_another_shape(venue: Venue) -> None:
    venue.replies["/fapi/v1/time"] = (200, {}, b'{"time": "now"}')
    venue.replies["/fapi/v1/exchangeInfo"] = (200, {}, b"[]")
    found = look(venue)
    assert "does not tell its time" in found["clock"].finding
    assert "does not list its symbols" in found["symbols"].finding


def test_symbols_that_are_unknown_or_do_not_trade(venue: Venue) -> None:
    found = look(replace(venue.target, symbol="BTCUSTD"))
    assert found["symbols"].status == "fail" and "nearest is BTCUSDT" in found["symbols"].finding
    found = look(replace(venue.target, symbol="LUNAUSDT"))
    assert found["symbols"].status == "warn" and "SETTLING" in found["symbols"].finding


def test_a_stream_route_that_is_not_served(venue: Venue) -> None:
    venue.routes = ("public",)
    found = look(venue)
    assert statuses(found) == ["ok", "ok", "ok", "ok", "fail"]
    assert "404" in found["trade stream"].finding


def test_a_stream_that_is_banned(venue: Venue) -> None:
    venue.routes, venue.ws_status = (), 418
    found = look(venue)
    assert statuses(found) == ["ok", "ok", "ok", "fail", "skip"]
    assert "banned" in found["depth stream"].finding and "Wait 60 s" in found["depth stream"].advice


def test_a_stream_that_says_nothing(venue: Venue) -> None:
    venue.mute = True
    found = look(venue, patience=0.5)
    assert statuses(found)[3:] == ["warn", "warn"]
    assert "nothing came" in found["depth stream"].finding


def test_only_venues_that_exist_are_known() -> None:
    assert target("binance").rest_url.startswith("https://")
    assert list(VENUES) == ["binance"]
    settings = {
        "binance_rest_url": "http://a:1",
        "binance_ws_url": "ws://a:2",
        "binance_symbols": "ETHUSDT, X",
    }
    assert target("binance", settings) == Target("binance", "http://a:1", "ws://a:2", "ETHUSDT")
    assert target("binance", {"binance_symbols": ""}) == target("binance", {}) == VENUES["binance"]
    with pytest.raises(UnknownName, match="nearest is 'binance'"):
        target("binnance")
