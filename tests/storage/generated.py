"""Inputs that are a function of their number: what a recovered log is compared with."""

from __future__ import annotations

import hashlib
import os

from depthscope.market.inputs import Input, Kind

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def made_input(seed: int, number: int) -> Input:
    """Input `number` (from 1) of a generated session."""
    digest = hashlib.blake2b(b"%d %d" % (seed, number), digest_size=32).digest()
    length = int.from_bytes(digest[:2], "little") % 300
    if digest[2] == 0:
        length = 20_000
    payload = (digest * (length // 32 + 1))[:length]
    kinds = (Kind.WS, Kind.WS, Kind.WS, Kind.CLOCK, Kind.INSTRUMENT)
    kind = kinds[digest[3] % len(kinds)] if digest[4] < 16 else Kind.WS
    if kind == Kind.INSTRUMENT:
        payload = b'{"id":%d}' % (digest[5] % 5)
    return Input(kind, digest[6], number * 1_000_000 + digest[7], payload)
