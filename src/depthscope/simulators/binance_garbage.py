"""Damaged messages: what a client must reject, made from a sound depth update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from depthscope.simulators.binance_text import encode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VARIANTS"]

HUGE: Final = (4 << 20) + 1  # bytes; more than any client should take
DEEP: Final = 100_000

Message = dict[str, Any]


def _levels(*levels: object) -> Callable[[Message], bytes]:
    return lambda message: encode({**message, "b": list(levels)})


def _raw(text: str) -> Callable[[Message], bytes]:
    """A copy whose bids are `text`, which JSON may not allow."""

    def make(message: Message) -> bytes:
        return encode({**message, "b": "@"}).replace(b'"@"', text.encode(), 1)

    return make


def _with(**values: object) -> Callable[[Message], bytes]:
    return lambda message: encode({**message, **values})


def _without(*keys: str) -> Callable[[Message], bytes]:
    return lambda message: encode({k: v for k, v in message.items() if k not in keys})


# Every one of them must be refused as a whole. A client may take one for a gap; it may not apply it.
VARIANTS: Final[dict[str, Callable[[Message], bytes]]] = {
    "truncated": lambda message: encode(message)[: len(encode(message)) // 2],
    "empty": lambda _: b"",
    "text": lambda _: b"<html><body>502 Bad Gateway</body></html>",
    "utf8": lambda message: encode(message).replace(b"depthUpdate", b"depth\xff\xfe\xc0pdate"),
    "null": lambda _: b"null",
    "array": lambda message: encode([message]),
    "huge": lambda message: encode({**message, "pad": "x" * HUGE}),
    "deep": lambda _: b"[" * DEEP,
    "closed-deep": lambda message: encode(message)[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "nan": _raw('[["NaN","1"]]'),
    "bare-nan": _raw("[[NaN,1]]"),
    "infinity": _raw("[[1e999,1]]"),
    "text-infinity": _levels(["1e999", "1"]),
    "underscore": _levels(["1_000", "1"]),
    "absurd": _levels(["9" * 40, "1"]),
    "absurd-size": _levels(["100", "9" * 40]),
    "negative-price": _levels(["-100.0", "1"]),
    "negative-size": _levels(["100", "-1"]),
    "fine-size": _levels(["100", "0.00000000000001"]),
    "short-level": _levels(["100"]),
    "number-level": _levels([True, None]),
    "levels-object": _with(b={"100": "1"}),
    "text-id": _with(u="157"),
    "float-id": _with(u=1.5),
    "negative-id": _with(u=-1),
    "no-id": _without("u", "pu"),
    "no-symbol": _without("s"),
    "backward-id": lambda message: encode({**message, "U": message["u"], "u": message["U"] - 1}),
}
