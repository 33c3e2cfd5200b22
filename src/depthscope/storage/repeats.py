"""Inputs that every segment repeats at its start, so that it can be read without the ones before it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from depthscope.market.inputs import Input, Kind
from depthscope.storage.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Repeats"]

_FIRST: Final = Kind.INSTRUMENT  # it, CONFIG and BLOB are repeated; what is numbered below never is


class Repeats:
    """The last CONFIG, and the last INSTRUMENT and BLOB of each name, in the order they first came.

    Parameters
    ----------
    more : callable, optional
        Gives inputs to repeat besides, such as what a machine knows.
    """

    def __init__(self, more: Callable[[], Iterable[Input]] | None) -> None:
        self._more = more
        self._kept: dict[tuple[Kind, bytes], Input] = {}

    def note(self, received: Input) -> None:
        """Remember `received` if it is of a kind that is repeated."""
        if received.kind >= _FIRST:
            self._kept[_identity(received)] = received

    def all(self) -> list[Input]:
        """What a segment that begins now opens with."""
        more = [] if self._more is None else [redacted(one) for one in self._more()]
        return [*self._kept.values(), *more]


def _identity(received: Input) -> tuple[Kind, bytes]:
    """What an input replaces: the one before it of the same name."""
    kind, payload = received.kind, received.payload
    if kind == Kind.CONFIG:
        return kind, b""
    try:
        told = json.loads(payload.partition(b"\n")[0])
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return kind, payload
    names = ("name",) if kind == Kind.BLOB else ("publisher", "id", "symbol")
    return kind, json.dumps([told.get(name) for name in names]).encode()
