"""Integer random numbers: SplitMix64, and distributions from exact tables.

The tables come from decimal arithmetic, never from the platform's ``libm``, so the same seed
gives the same market everywhere. SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np
from numba import types

from depthscope.jit import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable


def njit(function: Callable[..., Any]) -> Any:
    """Compile a helper of the kernels: once, for plain integers, and callable only from kernels.

    numba would compile a helper again for every constant it is called with; here constants
    count as integers. Helpers allocate nothing and are never called from Python, so neither
    reference counts nor Python wrappers are made. Together they leave a third of the compile time.
    """
    lean: Any = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, **OPTIONS}
    dispatcher = numba.njit(**lean)(function)
    unliteral: Callable[[Any], Any] = types.unliteral
    template = dispatcher.get_call_template

    def plain(args: Any, kws: Any) -> Any:
        return template(tuple(unliteral(a) for a in args), {k: unliteral(v) for k, v in kws.items()})

    dispatcher.get_call_template = plain
    return dispatcher


CELLS: Final = 1_024
GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
MIX1: Final = np.uint64(0xBF58476D1CE4E5B9)
MIX2: Final = np.uint64(0x94D049BB133111EB)
U27, U30, U31, U32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
LOW16: Final = np.uint64(0xFFFF)
U16, U48 = np.uint64(16), np.uint64(48)


def _exponential() -> Any:
    """Quantiles of the unit exponential, Q16; the last cell ends at the 1 - 1/3072 quantile."""
    with localcontext() as context:
        context.prec = 16
        ends = [Decimal(CELLS) / (CELLS - i) for i in range(CELLS)] + [Decimal(3 * CELLS)]
        return np.array([int(end.ln() * 65_536) for end in ends], np.int64)


def _powers() -> Any:
    """2 ** (i / 256) for i = 0 … 256, Q16."""
    with localcontext() as context:
        context.prec = 16
        step = (Decimal(2).ln() / 256).exp()
        value, found = Decimal(65_536), []
        for _ in range(257):
            found.append(int(value))
            value *= step
        return np.array(found, np.int64)


EXPONENTIAL: Final = _exponential()
POWERS: Final = _powers()


@njit
def mix(z: Any) -> Any:
    """Scramble 64 bits."""
    z = (z ^ (z >> U30)) * MIX1
    z = (z ^ (z >> U27)) * MIX2
    return z ^ (z >> U31)


@njit
def bits(s: Any) -> Any:
    """Thirty-two random bits as a non-negative int64."""
    s.rng = s.rng + GOLDEN
    return np.int64(mix(s.rng) >> U32)


@njit
def below(s: Any, n: int) -> Any:
    """Uniform integer in [0, n), n below 2^31."""
    return (bits(s) * n) >> 32


@njit
def between(s: Any, low: int, high: int) -> Any:
    """Uniform integer in [low, high]."""
    return low + ((bits(s) * (high - low + 1)) >> 32)


@njit
def chance(s: Any, share: int) -> Any:
    """True with probability `share` / 65536."""
    return (bits(s) >> 16) < share


@njit
def waiting(s: Any, mean: int) -> Any:
    """Exponential waiting time of that mean, at least 1."""
    r = bits(s)
    i = r >> 22
    unit = EXPONENTIAL[i] + (((EXPONENTIAL[i + 1] - EXPONENTIAL[i]) * ((r >> 6) & 0xFFFF)) >> 16)
    return ((mean >> 8) * unit >> 8) + 1


@njit
def spread_out(s: Any, low: int, octaves_q8: int) -> Any:
    """Log-uniform integer from `low` to `low` x 2^(octaves_q8 / 256)."""
    e = (bits(s) * octaves_q8) >> 32
    return ((low << (e >> 8)) * POWERS[e & 0xFF]) >> 16


@njit
def gauss(s: Any, sigma: int) -> Any:
    """Near-normal integer (sum of four uniforms) of mean 0 and that standard deviation."""
    s.rng = s.rng + GOLDEN
    z = mix(s.rng)
    total = np.int64(z & LOW16) + np.int64((z >> U16) & LOW16) + np.int64((z >> U32) & LOW16)
    total += np.int64(z >> U48)
    return (sigma * (total - 131_070)) // 37_837
