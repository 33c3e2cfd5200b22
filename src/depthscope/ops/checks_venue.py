"""Checks of a venue: does it answer here, what does it allow, is this machine's clock right by it.

Asked only when the user says so: nothing else in the doctor contacts another machine. Public market
data need no key, so none is sent. A venue that limits or bans this address is left alone at once:
asking on makes a ban longer.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from depthscope.errors import UnknownName
from depthscope.ops.doctor import Check
from depthscope.ops.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["VENUES", "Target", "check_venue", "target"]

PATIENCE: Final = 10.0  # seconds for an answer
MAX_BODY: Final = 32 << 20
WARN_OFFSET: Final = 0.5  # seconds: latencies mean little beyond
FAIL_OFFSET: Final = 5.0  # seconds: beyond it the venue refuses signed requests


@dataclass(frozen=True, slots=True)
class Target:
    """A venue as it is reached.

    Attributes
    ----------
    name : str
        Of the venue.
    rest_url, ws_url : str
        Where its requests and its streams go.
    symbol : str
        One to ask for.
    """

    name: str
    rest_url: str
    ws_url: str
    symbol: str = "BTCUSDT"


VENUES: Final[dict[str, Target]] = {
    "binance": Target("binance", "https://fapi.binance.com", "wss://fstream.binance.com"),
}


class _Unreachable(Exception):
    """Why a venue gives no answer that can be used, and what to do."""

    def __init__(self, finding: str, advice: str, *, leave_alone: bool = False) -> None:
        super().__init__(finding)
        self.finding, self.advice, self.leave_alone = finding, advice, leave_alone


def target(name: str, settings: Mapping[str, object] | None = None) -> Target:
    """Look a venue up, as the settings reach it.

    Parameters
    ----------
    name : str
        Of the venue.
    settings : mapping, optional
        Settings by name: `<venue>_rest_url`, `<venue>_ws_url` and `<venue>_symbols`, of which the first
        is asked for. What they do not name is the real venue's.

    Raises
    ------
    UnknownName
        With the nearest name.
    """
    if name not in VENUES:
        near = get_close_matches(name, VENUES, 1, 0.0)[0]
        raise UnknownName(
            f"No live venue is called {name!r}. The nearest is {near!r}; known: {', '.join(VENUES)}."
        )
    found, given = VENUES[name], settings or {}
    symbols = str(given.get(f"{name}_symbols") or found.symbol)
    return Target(
        name,
        str(given.get(f"{name}_rest_url") or found.rest_url),
        str(given.get(f"{name}_ws_url") or found.ws_url),
        symbols.split(",", maxsplit=1)[0].strip(),
    )


def check_venue(venue: Target, *, patience: float = PATIENCE) -> Iterator[Check]:
    """Ask a venue for its time, its symbols, and a message of each of its streams.

    Parameters
    ----------
    venue : Target
    patience : float
        Seconds to wait for an answer.

    Yields
    ------
    Check
    """
    name = venue.name
    steps: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("answers", lambda: _ping(venue, patience)),
        ("clock", lambda: _clock(venue, patience)),
        ("symbols", lambda: _symbols(venue, patience)),
        ("depth stream", lambda: _stream(venue, "public", "depth@100ms", patience)),
        ("trade stream", lambda: _stream(venue, "market", "aggTrade", patience)),
    ]
    for done, (what, step) in enumerate(steps):
        try:
            yield from step()
        except _Unreachable as error:
            yield Check(f"{name}: {what}", "fail", error.finding, error.advice)
            if error.leave_alone or done == 0:
                why = "it asks to be left alone" if error.leave_alone else "it does not answer at all"
                for rest, _ in steps[done + 1 :]:
                    yield Check(f"{name}: {rest}", "skip", f"Not asked: {why}.")
                return


def _get(venue: Target, path: str, patience: float) -> tuple[Any, dict[str, str]]:
    """JSON of a reply, and its headers by lower-case name."""
    url = venue.rest_url.rstrip("/") + path
    if urlsplit(url).scheme not in ("http", "https"):
        raise _Unreachable(f"{venue.rest_url} is no http address.", "Correct the venue's REST address.")
    request = urllib.request.Request(url, headers={"User-Agent": "depthscope-doctor"})  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=patience) as reply:  # noqa: S310 - checked above  # nosec B310
            body = reply.read(MAX_BODY)
            headers = {key.lower(): value for key, value in reply.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error.code, dict(error.headers.items()), url, error.read(4096)) from error
    except (OSError, ValueError) as error:
        raise _silent(error, url) from error
    try:
        return json.loads(body), headers
    except ValueError as error:
        raise _Unreachable(
            f"{url} answers, but not with JSON: {_words(body, 40)!r}.",
            "Something else is at that address, perhaps a proxy's page: check the address and the network.",
        ) from error


def _host(url: str) -> str:
    """Host and port of an address, without whom it names as its user."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _silent(error: Exception, url: str) -> _Unreachable:
    """Say why no reply came."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, BaseException) else error
    host = _host(url)
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    if isinstance(cause, ssl.SSLError):
        return _Unreachable(
            f"{host} offers no trusted connection: {text}.",
            "Check this machine's clock and certificates, and whether a proxy opens connections.",
        )
    if isinstance(cause, TimeoutError):
        return _Unreachable(
            f"{host} does not answer in time.", "Check the network and any firewall, then try again."
        )
    if isinstance(cause, ConnectionRefusedError):
        return _Unreachable(
            f"Nothing listens at {host}: {text}.",
            "Check the venue's address in the settings, and that what should listen there runs.",
        )
    return _Unreachable(
        f"{host} cannot be reached: {text}.",
        "Check the address, this machine's network, its name resolution and its proxy settings.",
    )


def _refused(status: int, headers: dict[str, str], url: str, body: bytes) -> _Unreachable:
    """Say what a reply that is no success means."""
    after = {key.lower(): value for key, value in headers.items()}.get("retry-after", "")
    wait = f"Wait {after} s" if after.isdigit() else "Wait some minutes"
    host, path = _host(url), urlsplit(url).path
    if status == 418:
        return _Unreachable(
            f"{host} has banned this address (418) for asking on after it was told to slow down.",
            f"{wait} without sending anything; each request makes the ban longer. Then follow fewer symbols.",
            leave_alone=True,
        )
    if status == 429:
        return _Unreachable(
            f"{host} limits this address (429): too many requests in the last minute.",
            f"{wait} and look for another program that asks from the same address.",
            leave_alone=True,
        )
    if status == 451:
        return _Unreachable(
            f"{host} does not serve the place this machine seems to be in (451).",
            "Run depthscope where the venue serves you, or use another venue.",
            leave_alone=True,
        )
    if status == 403:
        return _Unreachable(
            f"{host} turns this machine away (403): its firewall took the request for an attack.",
            "Wait some minutes; check that no proxy changes requests.",
            leave_alone=True,
        )
    said = _words(body, 120)
    if status == 404:
        return _Unreachable(
            f"{host} has nothing at {path} (404): {said}", "Check the venue's REST address in the settings."
        )
    return _Unreachable(
        f"{host} answers {path} with status {status}: {said}",
        "Try again in a minute; look at its status page.",
    )


def _words(body: bytes, length: int) -> str:
    """Return the beginning of a reply; redacted before it is cut, or half a secret would be none."""
    return redact_text(body[:4096].decode("utf-8", "replace"))[:length]


def _ping(venue: Target, patience: float) -> Iterator[Check]:
    began = time.monotonic()
    _get(venue, "/fapi/v1/ping", patience)
    took = time.monotonic() - began
    yield Check(f"{venue.name}: answers", "ok", f"{venue.rest_url} answers in {took * 1e3:,.0f} ms.")


def _clock(venue: Target, patience: float) -> Iterator[Check]:
    """Compare this machine's clock with the venue's, the way NTP does: the reply's middle counts."""
    name, readings = f"{venue.name}: clock", []
    for _ in range(3):
        sent, began = time.time(), time.monotonic()
        reply, _headers = _get(venue, "/fapi/v1/time", patience)
        took = time.monotonic() - began
        server = reply.get("serverTime") if isinstance(reply, dict) else None
        if type(server) is not int:
            raise _Unreachable(
                f"{venue.rest_url} does not tell its time.", "Check the venue's REST address in the settings."
            )
        offset = server / 1e3 - (sent + took / 2)
        readings.append((took, offset))
    took, offset = min(readings)  # the quickest reply leaves least open
    side = "ahead of" if offset > 0 else "behind"
    text = f"The venue's clock is {abs(offset):,.3f} s {side} this machine's (± {took / 2:.3f} s)."
    sure = max(abs(offset) - took / 2, 0.0)
    if sure > FAIL_OFFSET:
        yield Check(
            name, "fail", text, "Synchronise this machine's clock (NTP); signed requests are refused."
        )
    elif sure > WARN_OFFSET:
        yield Check(name, "warn", text, "Synchronise this machine's clock (NTP): latencies are off by that.")
    else:
        yield Check(name, "ok", text)


def _symbols(venue: Target, patience: float) -> Iterator[Check]:
    name = f"{venue.name}: symbols"
    reply, headers = _get(venue, "/fapi/v1/exchangeInfo", patience)
    listed = reply.get("symbols") if isinstance(reply, dict) else None
    if not isinstance(listed, list):
        raise _Unreachable(
            f"{venue.rest_url} does not list its symbols.", "Check the venue's REST address in the settings."
        )
    states = {str(s["symbol"]): str(s.get("status")) for s in listed if isinstance(s, dict) and "symbol" in s}
    used = headers.get("x-mbx-used-weight-1m")
    weight = f" Request weight used this minute: {used}." if used else ""
    state = states.get(venue.symbol)
    if state is None:
        near = get_close_matches(venue.symbol, states, 1, 0.0)
        hint = f" The nearest is {near[0]}." if near else ""
        yield Check(
            name,
            "fail",
            f"{venue.symbol} is not among its {len(states):,} symbols.{hint}",
            "Name a listed one: --symbol.",
        )
    elif state != "TRADING":
        yield Check(
            name,
            "warn",
            f"{venue.symbol} does not trade now: {state}.{weight}",
            "Wait, or choose another one.",
        )
    else:
        yield Check(
            name,
            "ok",
            f"{len(states):,} symbols; {venue.symbol} trades. Public data, no key needed.{weight}",
        )


def _stream(venue: Target, route: str, stream: str, patience: float) -> Iterator[Check]:
    """Wait for one message of a stream."""
    from websockets.exceptions import InvalidStatus, WebSocketException
    from websockets.sync.client import connect

    name = f"{venue.name}: {'depth' if route == 'public' else 'trade'} stream"
    url = f"{venue.ws_url.rstrip('/')}/{route}/ws/{venue.symbol.lower()}@{stream}"
    began = time.monotonic()
    try:
        with connect(url, open_timeout=patience, close_timeout=1.0, max_size=4 << 20) as socket:
            opened = time.monotonic() - began
            try:
                message = socket.recv(timeout=patience)
            except TimeoutError:
                yield Check(
                    name,
                    "warn",
                    f"It opens, but nothing came in {patience:,.0f} s.",
                    f"Check that {venue.symbol} trades now and that the address is the venue's own.",
                )
                return
    except InvalidStatus as error:
        reply = error.response
        raise _refused(
            reply.status_code, dict(reply.headers.raw_items()), url, bytes(reply.body or b"")
        ) from error
    except (OSError, ValueError, WebSocketException) as error:
        raise _silent(error, url) from error
    yield Check(
        name, "ok", f"Opens in {opened * 1e3:,.0f} ms; the first message has {len(message):,} characters."
    )
