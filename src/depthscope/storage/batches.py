"""Inputs in bytes: what a frame of a capture log holds.

A count u4, then columns: receive times i8, lengths u4, connections u4, kinds u1, then the payloads
one after another. Columns let a reader make a thousand inputs with a few calls.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from depthscope.market.inputs import Input, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["INPUT_BYTES", "Batch", "read_inputs", "write_inputs"]

_COUNT: Final = struct.Struct("<I")
INPUT_BYTES: Final = 17  # of an input, beside its payload
_KINDS: Final = (None, *Kind)  # by number


@dataclass(slots=True)
class Batch:
    """Inputs that stand together in a capture log. Iterating gives each as an `Input`.

    Parameters
    ----------
    sequence : int
        Number of the first one in its session, from 1. Where `opening`, of the first that follows.
    opening : bool
        Whether they are no new inputs, but repeated so that reading may begin here.
    kinds : bytes
        A `Kind` each.
    connections, ts_recv : tuple of int
    ends : list of int
        Where each payload ends in `data`.
    data : bytes
        The payloads.
    """

    sequence: int
    opening: bool
    kinds: bytes
    connections: tuple[int, ...]
    ts_recv: tuple[int, ...]
    ends: list[int]
    data: bytes

    def __len__(self) -> int:
        return len(self.kinds)

    def __iter__(self) -> Iterator[Input]:
        data, ends = self.data, self.ends
        payloads = map(data.__getitem__, map(slice, [0, *ends], ends))
        kinds = map(_KINDS.__getitem__, self.kinds)
        return map(Input._make, zip(kinds, self.connections, self.ts_recv, payloads, strict=True))


def write_inputs(inputs: Sequence[Input]) -> bytes:
    """Bytes of some inputs."""
    n = len(inputs)
    kinds, connections, stamps, payloads = zip(*inputs, strict=True)
    return b"".join(
        (
            struct.pack(f"<I{n}q", n, *stamps),
            struct.pack(f"<{n}I{n}I", *map(len, payloads), *connections),
            bytes(kinds),
            *payloads,
        )
    )


def read_inputs(content: bytes, sequence: int, opening: bool) -> Batch:
    """Read what `write_inputs` wrote.

    Raises
    ------
    ValueError
        When the bytes are nothing of the kind.
    """
    try:
        (n,) = _COUNT.unpack_from(content)
        data = _COUNT.size + INPUT_BYTES * n
        if not n or data > len(content):
            raise ValueError(f"{n} inputs in {len(content)} bytes")
        stamps = struct.unpack_from(f"<{n}q", content, 4)
        numbers = struct.unpack_from(f"<{2 * n}I", content, 4 + 8 * n)
    except struct.error as error:
        raise ValueError(str(error)) from error
    kinds = content[4 + 16 * n : data]
    ends = list(accumulate(numbers[:n]))
    if ends[-1] != len(content) - data:
        raise ValueError("lengths that do not add up")
    if not 0 < min(kinds) <= max(kinds) < len(_KINDS):
        raise ValueError("a kind of input this version does not know")
    return Batch(sequence, opening, kinds, numbers[n:], stamps, ends, content[data:])
