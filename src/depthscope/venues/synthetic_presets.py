"""Presets of the synthetic market: which instruments exist, by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument of a preset: its name, its character, how it differs from its kind.

    Parameters
    ----------
    price : str
        Opening price.
    rate, size : int
        Multiples of the character's event rate and level size, in 256ths.
    """

    symbol: str
    character: str
    price: str
    rate: int = 256
    size: int = 256


MONTHS: Final = "HMUZ"


def _demo(n: int) -> Listing:
    """Demo instrument `n`: a future, a perpetual, a share, then more shares."""
    if n == 0:
        return Listing("SYNES", "future", "5000")
    if n == 1:
        return Listing("SYNBTC", "perpetual", "64000")
    if n == 2:
        return Listing("SYN3", "share", "182.40")
    return Listing(f"SYN{n + 1}", "share", f"{40 + (n * 37) % 160}.{(n * 29) % 100:02d}", 128, 200)


def _busy(n: int) -> Listing:
    """Busy instrument `n`: index futures of several expiries, each quieter than the one before."""
    symbol = "SYNES" if n == 0 else f"SYNES{MONTHS[(n - 1) % 4]}{6 + (n - 1) // 4}"
    return Listing(symbol, "busy", str(5_000 + 12 * n), max(256 // (1 + n), 8), max(256 // (1 + n), 40))


def _universe(n: int) -> Listing:
    """Universe instrument `n`: a light share, some active, most quiet."""
    rate = 256 * 4 // (1 + n % 13)
    return Listing(
        f"SYN{n + 1}", "light", f"{20 + (n * 53) % 180}.{(n * 17) % 100:02d}", rate, 160 + (n * 31) % 320
    )


LISTINGS: Final = {"demo": _demo, "busy": _busy, "universe": _universe}
DEFAULT_COUNT: Final = {"demo": 3, "busy": 1, "universe": 2_000}
DEFAULT_MINUTES: Final = {"demo": 60, "busy": 390, "universe": 10}
MOST: Final = {"demo": 64, "busy": 16, "universe": 4_000}
