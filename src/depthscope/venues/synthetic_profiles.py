"""Characters and presets of the synthetic market, in human units.

A `Character` says what an instrument is like; :func:`profile_row` turns it into the integers the
kernels use, by exact decimal arithmetic, so that no platform's floating point takes part.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.market.instruments import to_fixed
from depthscope.venues.synthetic_layout import KINDS, NEVER, REACH, REGIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

Points = tuple[tuple[int, str], ...]
Mixture = tuple[tuple[int, int, int], ...]

CELLS: Final = 1_024
NS: Final = 1_000_000_000
DATASET: Final = "SYNTH.MBO"

# Relative chance of each injection.
USUAL: Final[Mapping[str, int]] = {
    "wall": 26,
    "iceberg_native": 13,
    "iceberg_synthetic": 11,
    "layering": 10,
    "absorption": 7,
    "sweep": 13,
    "burst": 5,
    "exhaustion": 3,
    "liquidity_gap": 5,
}


@dataclass(frozen=True, slots=True)
class Regime:
    """What one regime does to an instrument.

    Parameters
    ----------
    drift, sigma : str
        Ticks a minute, and ticks per square root of a minute.
    rate, depth : str
        Multiples of the usual event rate and level size.
    take : str
        Share of aggressors among groups.
    gap : str
        Half of the extra spread, in ticks.
    """

    drift: str = "0"
    sigma: str = "3"
    rate: str = "1"
    depth: str = "1"
    take: str = "0.05"
    gap: str = "0.05"


@dataclass(frozen=True, slots=True)
class Character:
    """One kind of instrument.

    Parameters
    ----------
    tick, lot, price : str
        Price increment, size increment, opening price.
    base : int
        Size of a typical level, in lots.
    profile : tuple of (int, str)
        Level size by distance from the fair value: (ticks, multiple of `base`), joined by lines.
    sizes, takes : tuple of (int, int, int)
        Orders' and aggressors' sizes: (from, to, weight); uniform inside each.
    reach : tuple of (int, int, int)
        Distance of new activity behind the best: (from, to, weight).
    rounds : tuple of (int, str)
        Three spacings of round prices in ticks, rarest last, and how much larger they are.
    density : tuple of (str, str, int)
        Share of ticks in use at the touch, far away, and the ticks in between.
    rate : int
        Background groups a second before excitation.
    """

    tick: str
    lot: str
    price: str
    base: int
    profile: Points
    sizes: Mixture
    takes: Mixture
    reach: Mixture
    rounds: tuple[tuple[int, str], tuple[int, str], tuple[int, str]]
    regimes: tuple[Regime, Regime, Regime, Regime, Regime]
    density: tuple[str, str, int] = ("1", "1", 1)
    rate: int = 70
    branching: str = "0.55"  # share of groups that others caused
    memory: str = "2.5"  # seconds that excitation lasts
    impact: str = "0.16"  # ticks by an aggressor of `base` lots
    chase: str = "0.72"
    tighten: str = "0.5"
    chase_take: str = "0.12"
    modify: str = "0.14"
    partial: str = "0.06"
    two_levels: str = "0.006"
    half: int = 400
    slots: int = 1_024
    orders: int = 32_768
    actors: int = 24
    max_fills: int = 160
    buffer: int = 8_192
    clock_ms: int = 10
    touch: tuple[int, int] = (2, 9)
    band_reach: int = 90
    band_s: str = "11"
    inject_s: str = "16"
    latency_us: tuple[int, int] = (60, 90)
    weights: Mapping[str, int] = field(default_factory=lambda: USUAL)


FUTURE: Final = Character(
    tick="0.25",
    lot="1",
    price="5000",
    base=74,
    profile=(
        (0, "0.2"), (1, "0.55"), (2, "0.78"), (4, "1"), (9, "1.05"), (16, "0.85"), (30, "0.6"),
        (60, "0.4"), (120, "0.26"), (240, "0.16"), (1_024, "0.08"),
    ),
    sizes=(
        (1, 1, 46), (2, 2, 14), (3, 3, 8), (4, 4, 4), (5, 5, 9), (6, 9, 6), (10, 10, 7), (11, 19, 2),
        (20, 20, 2), (25, 25, 1), (50, 50, 1),
    ),
    takes=(
        (1, 1, 42), (2, 2, 14), (3, 5, 15), (6, 9, 7), (10, 10, 7), (11, 20, 8), (21, 50, 5), (51, 120, 2),
    ),
    reach=(
        (0, 0, 24), (1, 1, 14), (2, 3, 14), (4, 8, 16), (9, 20, 14), (21, 60, 12), (61, 200, 5),
        (201, 390, 1),
    ),
    rounds=((4, "1.3"), (20, "1.7"), (40, "2.1")),
    regimes=(
        Regime(sigma="3", rate="0.7", take="0.045", gap="0.03"),
        Regime(drift="5", sigma="5", rate="1.1", take="0.06", gap="0.05", depth="0.92"),
        Regime(drift="-5", sigma="5", rate="1.1", take="0.06", gap="0.05", depth="0.92"),
        Regime(sigma="13", rate="2", take="0.075", gap="0.1", depth="0.62"),
        Regime(sigma="7", rate="0.95", take="0.055", gap="0.04", depth="1.08"),
    ),
)  # fmt: skip

PERPETUAL: Final = Character(
    tick="0.1",
    lot="0.001",
    price="64000",
    base=2_600,
    profile=(
        (0, "0.4"), (1, "1.5"), (2, "0.7"), (4, "0.45"), (10, "0.4"), (40, "0.6"), (90, "0.8"), (200, "0.7"),
        (500, "0.4"), (1_024, "0.25"),
    ),
    sizes=(
        (1, 1, 8), (2, 9, 18), (10, 10, 6), (11, 49, 16), (50, 50, 4), (51, 199, 16), (200, 499, 12),
        (500, 500, 3), (501, 1_500, 11), (1_000, 1_000, 3), (2_000, 5_000, 3),
    ),
    takes=(
        (1, 1, 10), (2, 9, 24), (10, 50, 24), (51, 200, 16), (201, 800, 12), (1_000, 1_000, 3),
        (801, 3_000, 8), (3_001, 8_000, 3),
    ),
    reach=(
        (0, 0, 24), (1, 2, 14), (3, 8, 14), (9, 20, 12), (21, 60, 15), (61, 150, 13), (151, 400, 6),
        (401, 880, 2),
    ),
    rounds=((10, "1.6"), (50, "2.3"), (100, "3")),
    density=("0.75", "0.3", 60),
    regimes=(
        Regime(sigma="10", rate="0.75", take="0.05", gap="0.03"),
        Regime(drift="22", sigma="18", rate="1.2", take="0.07", gap="0.06", depth="0.9"),
        Regime(drift="-22", sigma="18", rate="1.2", take="0.07", gap="0.06", depth="0.9"),
        Regime(sigma="42", rate="2.1", take="0.09", gap="0.15", depth="0.6"),
        Regime(sigma="20", rate="1", take="0.06", gap="0.05", depth="1.05"),
    ),
    rate=75,
    impact="0.5",
    half=900,
    slots=2_048,
    touch=(3, 14),
    band_reach=160,
    latency_us=(1_800, 2_500),
)  # fmt: skip

SHARE: Final = Character(
    tick="0.01",
    lot="1",
    price="182.40",
    base=1_150,
    profile=(
        (0, "0.15"), (1, "0.5"), (2, "0.8"), (5, "1.05"), (10, "1"), (18, "0.7"), (35, "0.42"), (70, "0.25"),
        (150, "0.14"), (1_024, "0.06"),
    ),
    sizes=(
        (100, 100, 46), (1, 20, 7), (21, 99, 12), (200, 200, 12), (300, 300, 6), (101, 199, 4), (400, 400, 3),
        (500, 500, 5), (1_000, 1_000, 3), (2_000, 2_000, 1), (301, 999, 1),
    ),
    takes=(
        (100, 100, 38), (1, 20, 12), (21, 99, 16), (200, 200, 10), (300, 500, 10), (501, 1_000, 8),
        (1_001, 3_000, 5), (3_001, 6_000, 1),
    ),
    reach=((0, 0, 22), (1, 1, 14), (2, 3, 14), (4, 8, 17), (9, 20, 15), (21, 50, 13), (51, 150, 5)),
    rounds=((5, "1.35"), (10, "1.7"), (50, "2.6")),
    density=("1", "0.75", 60),
    regimes=(
        Regime(sigma="3", rate="0.65", take="0.05", gap="0.05"),
        Regime(drift="5", sigma="4.5", rate="1.1", take="0.065", gap="0.08", depth="0.9"),
        Regime(drift="-5", sigma="4.5", rate="1.1", take="0.065", gap="0.08", depth="0.9"),
        Regime(sigma="12", rate="2", take="0.085", gap="0.15", depth="0.6"),
        Regime(sigma="6.5", rate="0.9", take="0.055", gap="0.07", depth="1.05"),
    ),
    rate=50,
    impact="0.2",
    latency_us=(15, 40),
)  # fmt: skip

# Two thousand of these fit in 200 MB.
LIGHT: Final = replace(
    SHARE,
    price="40",
    base=420,
    profile=(
        (0, "0.2"),
        (1, "0.6"),
        (2, "0.9"),
        (5, "1"),
        (12, "0.8"),
        (30, "0.4"),
        (60, "0.2"),
        (1_024, "0.1"),
    ),
    reach=((0, 0, 26), (1, 1, 18), (2, 3, 18), (4, 8, 18), (9, 20, 14), (21, 40, 6)),
    density=("0.9", "0.45", 30),
    rate=1,
    half=48,
    slots=128,
    orders=512,
    actors=8,
    max_fills=40,
    buffer=224,
    clock_ms=250,
    band_reach=20,
    band_s="90",
    inject_s="120",
)

# Ten million events in a session of six and a half hours.
BUSY: Final = replace(FUTURE, rate=80, orders=65_536)

CHARACTERS: Final[Mapping[str, Character]] = {
    "future": FUTURE,
    "perpetual": PERPETUAL,
    "share": SHARE,
    "light": LIGHT,
    "busy": BUSY,
}


def q16(text: str) -> int:
    """Decimal number as 16-bit fixed point."""
    return int(Decimal(text) * 65_536)


def q8(text: str) -> int:
    """Decimal number as 8-bit fixed point."""
    return int(Decimal(text) * 256)


def quantiles(mixture: Mixture) -> Any:
    """Inverse distribution of a mixture of uniform ranges, as a table of `CELLS` values."""
    total = sum(weight for _, _, weight in mixture)
    table = np.zeros(CELLS, np.int32)
    passed = 0
    at = 0
    for low, high, weight in mixture:
        first, passed = at, passed + weight
        at = passed * CELLS // total
        for k in range(first, at):
            table[k] = low + (high - low + 1) * (2 * (k - first) + 1) // (2 * (at - first))
    return table


def shape(points: Points) -> Any:
    """Depth profile at every tick from the fair value, Q8."""
    table = np.zeros(REACH + 2, np.int32)
    for (a, low), (b, high) in pairwise(points):
        for k in range(a, min(b, REACH + 1) + 1):
            value = Decimal(low) + (Decimal(high) - Decimal(low)) * (k - a) / (b - a)
            table[k] = int(value * 256)
    return table


def profile_row(character: Character, row: Any, inject: Decimal, halts: bool, rate: Decimal) -> None:
    """Fill one PROFILE record.

    Parameters
    ----------
    inject : Decimal
        Multiple of the usual injection rate, 0 for none.
    halts : bool
        Whether trading halts are among the injections.
    rate : Decimal
        Multiple of the usual event rate.
    """
    c = character
    clock = c.clock_ms * 1_000_000
    steps = Decimal(60 * NS) / clock  # clock steps a minute
    sizes, takes = quantiles(c.sizes), quantiles(c.takes)
    row["tick"] = to_fixed(c.tick)
    row["mask"] = c.slots - 1
    row["half"] = c.half
    row["max_fills"] = c.max_fills
    row["clock"] = clock
    base_rate = int(Decimal(c.rate) * rate * 256)
    row["rate"] = base_rate
    row["hawkes_jump"] = int(Decimal(c.branching) * 256 / Decimal(c.memory))
    row["hawkes_decay"] = min(int(Decimal(c.clock_ms) * 65_536 / (Decimal(c.memory) * 1_000)), 65_536)
    row["hawkes_cap"] = base_rate * 8
    row["base"] = c.base
    row["mean_size"] = max(int(sizes.sum()) // CELLS, 1)
    row["scale_orders"] = 24
    row["impact"] = q16(c.impact)
    for name in ("chase", "chase_take", "tighten", "modify", "partial", "two_levels"):
        row[name] = q16(getattr(c, name))
    row["density_near"], row["density_far"] = q8(c.density[0]), q8(c.density[1])
    row["near"] = c.density[2]
    for k, (every, weight) in enumerate(c.rounds, 1):
        row[f"round{k}"], row[f"weight{k}"] = every, q8(weight)
    row["touch_min"], row["touch_max"] = c.touch
    row["band_reach"] = c.band_reach
    every_ns = int(Decimal(c.inject_s) * NS / inject) if inject else NEVER
    row["inject_every"] = every_ns
    row["band_every"] = int(Decimal(c.band_s) * NS)
    row["latency"], row["jitter"] = c.latency_us[0] * 1_000, c.latency_us[1] * 1_000
    for k in range(len(REGIMES)):
        r = c.regimes[k]
        row["regime_drift"][k] = int(Decimal(r.drift) * 65_536 / steps)
        row["regime_sigma"][k] = int(Decimal(r.sigma) * 65_536 / steps.sqrt())
        row["regime_rate"][k] = q8(r.rate)
        row["regime_take"][k] = q16(r.take)
        row["regime_gap"][k] = q16(r.gap)
        row["regime_depth"][k] = q8(r.depth)
    for k, kind in enumerate(KINDS):
        row["weights"][k] = c.weights.get(kind, 0)
    if halts:
        row["weights"][KINDS.index("halt")] = 8
    row["profile"][:] = shape(c.profile)
    row["sizes"][:] = sizes
    row["takes"][:] = takes
    row["reach"][:] = quantiles(c.reach)
