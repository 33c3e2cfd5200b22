"""Secrets never enter a recording: what stands for them here.

URLs of requests and links may carry keys, signatures and tokens, and one reply (a listen key) is
a secret itself. They are replaced before anything is written; a session steps its machine with the
same replaced inputs, so that a replay sees what the session saw.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from depthscope.market.inputs import Kind

if TYPE_CHECKING:
    from depthscope.market.inputs import Input

__all__ = ["REDACTED", "redacted", "redacted_text"]

REDACTED: Final = b"<redacted>"

_NAMES: Final = (
    rb"listen_?key|api_?key|api_?secret|secret_?key|secret|signature|access_?token|auth_?token|token|passphrase"
    rb"|password|authorization|x-mbx-apikey"
)
# name=value in a query, "name": "value" in JSON (also escaped, JSON inside JSON).
_QUERY: Final = re.compile(rb"(?i)(?<![A-Za-z0-9])(%s)(=|%%3D)[^&\s\"'\\<>#]+" % _NAMES)
_MEMBER: Final = re.compile(rb"(?i)(\\?\"(?:[A-Za-z0-9_-]*[_-])?(?:%s)\\?\"\s*:\s*\\?\")[^\"\\]+" % _NAMES)
# A listen key as the last part of a stream's path: long, and nothing but letters and digits.
_PATH: Final = re.compile(rb"(wss?:\\?/\\?/[^\s\"]*?/(?:ws|stream|private)\\?/)[A-Za-z0-9]{32,}")
_STREAMS: Final = re.compile(rb"(streams=(?:[^&\s\"]*/)?)[A-Za-z0-9]{48,}")
_SIGNS: Final = re.compile(
    rb"(?i)key|token|secret|signature|passphrase|password|authorization|wss?:|streams="
)
_WS, _REST, _WHOLE = Kind.WS, Kind.REST, (Kind.LINK, Kind.STATUS, Kind.CONFIG)
_LISTEN: Final = b"istenKey"


def redacted_text(text: bytes) -> bytes:
    """`text` with every secret in it replaced."""
    if not _SIGNS.search(text):
        return text
    text = _QUERY.sub(rb"\1\2" + REDACTED, text)
    text = _MEMBER.sub(rb"\1" + REDACTED, text)
    return _STREAMS.sub(rb"\1" + REDACTED, _PATH.sub(rb"\1" + REDACTED, text))


def redacted(received: Input) -> Input:
    """`received` without secrets; itself where it has none.

    Links, status and settings are searched whole. Of a reply, the line that says what was asked;
    of it and of messages the rest only where it speaks of a listen key: market data holds no secret,
    and looking for one would cost more than recording it.
    """
    kind, payload = received.kind, received.payload
    if kind == _WS:  # first, for there are thousands a second
        if _LISTEN not in payload:
            return received
        clean = _MEMBER.sub(rb"\1" + REDACTED, payload)
    elif kind == _REST:
        head, line, body = payload.partition(b"\n")
        if _LISTEN in body:
            body = _MEMBER.sub(rb"\1" + REDACTED, body)
        clean = redacted_text(head) + line + body
    elif kind in _WHOLE:
        clean = redacted_text(payload)
    else:
        return received
    return received if clean == payload else received._replace(payload=clean)
