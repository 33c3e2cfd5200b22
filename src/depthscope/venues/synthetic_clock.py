"""The clock of the synthetic market: fair value, regimes, rates, and once a second a survey.

Between two steps of the clock rates are constant. Groups arrive as a self-exciting (Hawkes)
process: each raises the rate of the next for a few seconds (A. G. Hawkes, "Spectra of some
self-exciting and mutually exciting point processes", Biometrika 1971).
"""

from __future__ import annotations

from typing import Any

from depthscope.venues.synthetic_book import level_of
from depthscope.venues.synthetic_layout import (
    BIDS,
    CALM,
    NEVER,
    REVERTING,
    SECONDS,
    SURVEYED,
    TREND_DOWN,
    TREND_UP,
    VOLATILE,
    VOLUME_BUCKETS,
    Market,
)
from depthscope.venues.synthetic_levels import widen
from depthscope.venues.synthetic_tables import below, between, chance, gauss, njit

NS = 1_000_000_000


@njit
def survey(m: Market) -> None:
    """Once a second: sizes of the best ten levels a side, their sum, the spread; volume every ten."""
    s = m.s
    at = s.seconds % SECONDS
    depth = 0
    for side in range(2):
        tick = s.bid if side == BIDS else s.ask
        k = 0
        while s.low <= tick <= s.high and k < SURVEYED // 2:
            size = level_of(m, tick).size
            if size > 0:
                s.sizes[at * SURVEYED + side * (SURVEYED // 2) + k] = size
                k += 1
                depth += size
            tick += -1 if side == BIDS else 1
        while k < SURVEYED // 2:
            s.sizes[at * SURVEYED + side * (SURVEYED // 2) + k] = -1
            k += 1
    s.depths[at] = depth
    s.spreads[at] = s.ask - s.bid
    s.seconds += 1
    if s.seconds % 10 == 0:
        total = s.bought + s.sold
        s.volumes[s.buckets % VOLUME_BUCKETS] = total - s.bucket_start
        s.bucket_start = total
        s.buckets += 1


@njit
def middle(values: Any, n: int) -> Any:
    """Median of the first `n` values (the mean of the middle two, rounded down), which it sorts."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    return (values[(n - 1) // 2] + values[n // 2]) // 2 if n > 0 else 0


@njit
def baseline(m: Market) -> Any:
    """Rolling 30-s median of the sizes of the best ten levels a side, at least 1."""
    s = m.s
    n = 0
    for k in range(min(s.seconds, SECONDS) * SURVEYED):
        if s.sizes[k] >= 0:
            s.scratch[n] = s.sizes[k]
            n += 1
    return max(1, middle(s.scratch, n))


@njit
def per_minute(m: Market) -> Any:
    """Mean and median of the traded lots a minute over five minutes; 0, 0 before the first is over."""
    s = m.s
    n = min(s.buckets, VOLUME_BUCKETS)
    if n < 6:
        return 0, 0
    kept = s.scratch
    total = 0
    for k in range(n):
        kept[k] = s.volumes[k]
        total += s.volumes[k]
    return total * 6 // n, middle(kept, n) * 6


@njit
def enter_regime(m: Market, regime: int) -> None:
    """Switch regime: its figures, for one to six minutes."""
    s, p = m.s, m.p
    s.regime = regime
    s.regime_end = s.ts + between(s, 60, 360) * NS
    s.drift = p.regime_drift[regime]
    s.sigma = p.regime_sigma[regime]
    s.take = p.regime_take[regime]
    s.gap = p.regime_gap[regime]
    s.depth = p.regime_depth[regime]
    s.anchor = s.fair


@njit
def next_regime(m: Market) -> None:
    """Draw what follows: calm and mean-reverting often, volatile after trends."""
    u = below(m.s, 100)
    if m.s.regime == VOLATILE:
        following = CALM if u < 35 else (REVERTING if u < 75 else (TREND_UP if u < 88 else TREND_DOWN))
    elif m.s.regime in (TREND_UP, TREND_DOWN):
        following = CALM if u < 30 else (REVERTING if u < 65 else (VOLATILE if u < 85 else TREND_UP))
        if u >= 92:
            following = TREND_DOWN
    else:
        following = TREND_UP if u < 30 else (TREND_DOWN if u < 60 else (VOLATILE if u < 80 else REVERTING))
        if u >= 90:
            following = CALM
    enter_regime(m, following)


@njit
def tick_clock(m: Market) -> None:
    """One step of the fair value and of the rates."""
    s, p = m.s, m.p
    s.clock_end += p.clock
    if s.ts >= s.regime_end:
        next_regime(m)
    s.heat -= (s.heat * p.hawkes_decay) >> 16
    rate = (p.rate * p.regime_rate[s.regime] >> 8) * s.rate_scale >> 8
    lively = 160 + 96 * s.heat // max(rate, 1)  # moves come with activity
    move = s.drift + s.steer + (gauss(s, s.sigma) * min(lively, 640) >> 8)
    if s.regime == REVERTING:
        move += ((s.anchor - s.fair) * p.clock) // (25 * NS)
    if s.regime == VOLATILE and below(s, 30 * NS // p.clock) == 0:
        move += (between(s, 2, 5) << 16) * (1 if chance(s, 32_768) else -1)  # news
    set_fair(m, s.fair + move)
    s.mean = NEVER if s.halted else (NS << 8) // (rate + s.heat)
    widen(m)
    if s.ts >= s.next_second:
        s.next_second += NS
        survey(m)


@njit
def set_fair(m: Market, value: int) -> None:
    """Move the fair value, within the bounds an injection set and clear of zero."""
    s = m.s
    value = min(max(value, s.floor), s.roof)
    s.fair = max(value, (m.p.half + 16) << 16)


@njit
def impact(m: Market, side: int, done: int) -> None:
    """Move the fair value with an aggressor that executed `done` lots against `side`."""
    s = m.s
    size = max(1, m.p.base * s.size_scale >> 8)
    push = min(m.p.impact * done // size, 65_536)
    set_fair(m, s.fair - push if side == BIDS else s.fair + push)
