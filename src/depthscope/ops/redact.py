"""Redaction: secrets leave the process by no log, audit record, metric, report or error text.

Two nets, one behind the other. Values registered with :func:`protect` are replaced wherever they
stand, encoded or not: that is certain. What stands where secrets usually stand (a field, header or
query parameter of a telling name, a stream address with a listen key, a private key) is replaced
though nobody registered it: that is a guess by name, and it errs on the side of hiding.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HIDDEN", "forget", "is_secret_name", "printable", "protect", "redact", "redact_text"]

HIDDEN: Final = "[redacted]"
MIN_SECRET: Final = 6  # shorter values stand in ordinary text by chance
_MAX_DEPTH: Final = 12
_MAX_LENGTH: Final = 131_072
_LAST_WORD: Final = re.compile(r"(?<!\w)\w{1,256}\Z")

_lock = threading.Lock()
_protected: dict[str, set[str]] = {}
_all: re.Pattern[str] | None = None

# Names as they end once case and punctuation are gone: X-MBX-APIKEY, listen_key, Set-Cookie, pageToken.
_NAMES: Final = (
    "apikey", "apisecret", "secret", "secretkey", "listenkey", "signature", "token", "password", "passwd",
    "passphrase", "authorization", "cookie", "privatekey", "accesskey", "credential", "sessionid",
)  # fmt: skip
_NAME: Final = re.compile(rf"(?:{'|'.join(_NAMES)})s?$")
_STRICT: Final = re.compile(r"(?:secret|secretkey|password|passwd|passphrase)s?$")  # numbers too

# The same names in running text: any prefix, pieces joined by - or _ or nothing.
_TEXT_NAME: Final = (
    r"[\w\-]{0,40}?(?:api[-_]?key|api[-_]?secret|secret(?:[-_]?key)?|listen[-_]?key|signature|token|passw(?:or)?d|"
    r"passphrase|private[-_]?key|access[-_]?key|credential|session[-_]?id)s?"
)
_TELLING: Final = ("key", "secret", "signature", "token", "passw", "passphrase", "credential", "session")
# name=value, "name": "value", ("name", "value"), name%3Dvalue; the value up to what ends it in a query, in
# JSON or in prose, or an opening bracket, which stands for everything up to where it is closed.
_JOIN: Final = r"(?:\\?[\"']?\s{0,8}(?:=|:|%3[Dd])|\\?[\"']\s{0,8},)\s{0,8}(?:b(?=\\?[\"']))?"
_VALUE: Final = r"(?P<nest>[\[({])|(?P<quote>\\?[\"'])(?P<quoted>.*?)(?:(?P=quote)|\Z)"  # texts are cut off
_PAIR: Final = re.compile(
    rf"(?P<name>(?<![A-Za-z0-9]){_TEXT_NAME})(?P<gap>{_JOIN})"
    rf"(?:{_VALUE}|(?P<bare>(?:(?!%26)[^\s\"'&,;<>])+))",
    re.IGNORECASE | re.DOTALL,
)
# Headers: everything to the end of the line, or of the quoted text they stand in.
_HEADER: Final = re.compile(
    rf"(?P<name>(?:proxy-)?authorization|(?:set-)?cookie)(?P<gap>{_JOIN})"
    rf"(?:{_VALUE}|(?P<bare>[^\r\n\"'}}\]]+))",
    re.IGNORECASE | re.DOTALL,
)
_BRACKET: Final = re.compile(r"[\[\](){}]")
_SCHEME: Final = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{6,}", re.IGNORECASE)
_USERINFO: Final = re.compile(r"(?<=://)[^/\s@\"']+(?=@)")
_KEY_PATH: Final = re.compile(r"(?<=/)(ws|stream|private)/(?!ws/|stream\b)[A-Za-z0-9]{24,}")
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
# Binance's API and listen keys are 64 letters and digits; a SHA-256 in hex has no capitals.
_KEY_64: Final = re.compile(r"\b(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])[A-Za-z0-9]{64}\b")


def _forms(secret: str) -> set[str]:
    """Ways a value is written where it is sent or shown."""
    raw = secret.encode()
    found = {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
    found |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    coded = {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return {form for form in found | coded | {raw.hex()} if len(form) >= MIN_SECRET}


def _compile() -> None:
    """Make one pattern of all protected values, the longest first."""
    global _all  # noqa: PLW0603  (a secret is one to the whole process)
    forms = sorted(set().union(*_protected.values()), key=len, reverse=True)
    _all = re.compile("|".join(map(re.escape, forms))) if forms else None


def protect(secret: str) -> None:
    """Hide a value everywhere from now on, in whatever way it is written.

    Parameters
    ----------
    secret : str
        Six characters at least: shorter ones would blank ordinary text and are refused.

    Raises
    ------
    ValueError
        When it is too short to be told from ordinary text. The value is not part of the message.
    """
    if len(secret) < MIN_SECRET:
        raise ValueError(f"A secret of fewer than {MIN_SECRET} characters cannot be hidden reliably.")
    with _lock:
        _protected[secret] = _forms(secret)
        _compile()


def forget(secret: str) -> None:
    """Stop hiding a value that is no secret any more, such as an expired listen key."""
    with _lock:
        _protected.pop(secret, None)
        _compile()


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    low = name.lower()
    if not any(word in low for word in _TELLING) and "authorization" not in low and "cookie" not in low:
        return False
    return _NAME.search(re.sub(r"[^a-z0-9]", "", low)) is not None


def _hide(pattern: re.Pattern[str], text: str) -> str:
    """Replace the value of each match."""
    kept, place = [], 0
    while (match := pattern.search(text, place)) is not None:
        mark = match["quote"] or ""
        kept += [text[place : match.start()], match["name"], match["gap"], mark, HIDDEN, mark]
        place = _closed(text, match.start("nest")) if match["nest"] else match.end()
    return "".join([*kept, text[place:]])


def _closed(text: str, start: int) -> int:
    """Where the bracket at `start` is closed: behind its partner, or the end of the text."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[({" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def redact_text(text: str) -> str:
    """Return `text` without secrets; of what is longer than 128 KiB, the beginning.

    Examples
    --------
    >>> redact_text("GET /fapi/v1/order?symbol=BTCUSDT&signature=5f2c9a")
    'GET /fapi/v1/order?symbol=BTCUSDT&signature=[redacted]'
    """
    if _all is not None:
        text = _all.sub(HIDDEN, text)
    if len(text) > _MAX_LENGTH:  # whoever sends megabytes may have made them slow to search
        kept = _LAST_WORD.sub("", text[:_MAX_LENGTH])  # the cut may go through a secret
        text = f"{kept} … {len(text) - len(kept):,} characters left out"
    # Searching for a word is a hundred times quicker than for what may stand around it.
    low = text.lower()
    if "-----begin" in low:
        text = _PEM.sub(HIDDEN, text)
    if "authorization" in low or "cookie" in low:
        text = _hide(_HEADER, text)
    if any(word in low for word in _TELLING):
        text = _hide(_PAIR, text)
    if "bearer" in low or "basic" in low:
        text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    if "://" in low:
        text = _USERINFO.sub(HIDDEN, text)
    if "/" in low:
        text = _KEY_PATH.sub(rf"\1/{HIDDEN}", text)
    return _KEY_64.sub(HIDDEN, text) if len(low) >= 64 else text


def printable(text: str, *, lines: bool = False) -> str:
    """Return `text` with control characters spelled out: what a venue says must not steer a terminal.

    Parameters
    ----------
    text : str
    lines : bool
        Whether it may have lines of its own; tabs stay in any case.
    """
    if text.isprintable():
        return text
    kept = "\t\n" if lines else "\t"
    return "".join(c if c in kept or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def redact(value: Any) -> Any:
    """Plain copy of a value without secrets: mappings, sequences and texts all the way down.

    Bytes become text, sets and tuples lists, keys text, dataclasses and structs mappings, members of
    an enumeration their names; numbers, booleans and None stay; anything else becomes its redacted
    ``str``. Nesting deeper than twelve levels, or a loop, ends in ``…``.
    """
    return _plain(value, 0)


def _plain(value: Any, depth: int) -> Any:
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        return str(value)  # JSON of machines ends at 64 bits
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return redact_text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return redact_text(bytes(value).decode("utf-8", "backslashreplace"))
    if isinstance(value, Enum):
        return value.name
    if depth >= _MAX_DEPTH:
        return "…"
    if hasattr(value, "items") and hasattr(value, "keys"):
        return _mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(value, depth)
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _plain(value.tolist(), depth + 1)
    names = _field_names(value)
    if names is not None:
        return _mapping({name: getattr(value, name) for name in names}, depth)
    try:
        return redact_text(str(value))
    except Exception as error:  # noqa: BLE001 - a report must not fail over what it reports
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def _field_names(value: Any) -> tuple[str, ...] | None:
    """Fields of a dataclass or a struct, None for anything else."""
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(field.name for field in fields(value))
    names: tuple[str, ...] | None = getattr(type(value), "__struct_fields__", None)
    return names


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    found = {}
    for key, inner in value.items():
        name = key.decode("latin-1") if isinstance(key, bytes) else str(key)
        hidden = is_secret_name(name) and not _harmless(name, inner)
        found[redact_text(name)] = HIDDEN if hidden else _plain(inner, depth + 1)
    return found


def _sequence(value: Any, depth: int) -> list[Any]:
    """Items; a pair of a telling name and something is a header."""
    items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    if len(items) == 2 and isinstance(items[0], str | bytes):
        name = items[0].decode("latin-1") if isinstance(items[0], bytes) else items[0]
        if is_secret_name(name) and not _harmless(name, items[1]):
            return [redact_text(name), HIDDEN]
    return [_plain(item, depth + 1) for item in items]


def _harmless(name: str, value: Any) -> bool:
    """Whether it is no secret in spite of its name: nothing, a flag, or a count of tokens."""
    if value is None or isinstance(value, bool) or value in ("", b""):
        return True
    return isinstance(value, int | float) and not _STRICT.search(re.sub(r"[^a-z0-9]", "", name.lower()))
