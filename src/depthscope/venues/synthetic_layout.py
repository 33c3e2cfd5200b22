"""Memory of the synthetic market: every number one instrument carries from event to event.

All of it is integers in fixed-size records, so that a seed gives the same bytes on every
platform (no floating point, no library random numbers) and one instrument costs a known,
bounded amount of memory however long it runs. Ticks are price / tick size; ``Q8``, ``Q16``
are fixed point with that many fraction bits; times are UTC nanoseconds.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

BIDS: Final = 0
ASKS: Final = 1

# Phases of an instrument.
SNAPSHOT_PHASE: Final = 0
OPEN_PHASE: Final = 1
DONE_PHASE: Final = 2

# Regimes.
REGIMES: Final = ("calm", "trend_up", "trend_down", "volatile", "mean_reverting")
CALM, TREND_UP, TREND_DOWN, VOLATILE, REVERTING = range(5)

# What is injected. The first is no injection at all; the order is part of the TRUTH records.
KINDS: Final = (
    "none",
    "wall",
    "iceberg_native",
    "iceberg_synthetic",
    "layering",
    "absorption",
    "sweep",
    "burst",
    "exhaustion",
    "liquidity_gap",
    "halt",
    "band",
)
(NOTHING, WALL, ICEBERG, REFILLER, LAYERING, ABSORPTION, SWEEP, BURST, EXHAUSTION, GAP, HALT, BAND) = range(
    12
)

OUTCOMES: Final = ("open", "held", "pulled", "traded", "withdrawn", "unfilled", "broken", "done")
(STILL_OPEN, HELD, PULLED, TRADED, WITHDRAWN, UNFILLED, BROKEN, FINISHED) = range(8)

NEVER: Final = 1 << 62
TABLE_BITS: Final = 10  # quantile tables have 1,024 cells
REACH: Final = 1_024  # longest depth profile, in ticks from the fair value
IDS: Final = 16  # order ids kept with an injection
SECONDS: Final = 30  # seconds of the rolling baselines
SURVEYED: Final = 20  # levels looked at each second
VOLUME_BUCKETS: Final = 30  # ten seconds each: the five minutes before a burst

# The character of an instrument: shared by all instruments of a kind.
PROFILE: Final = np.dtype(
    [
        ("tick", "<i8"),  # price increment, 1e-9
        ("mask", "<i8"),  # ladder slots - 1
        ("half", "<i8"),  # ticks kept on each side of the fair value
        ("max_fills", "<i8"),  # of one aggressor
        ("clock", "<i8"),  # ns between two steps of the fair value
        ("rate", "<i8"),  # background groups per second, Q8
        ("hawkes_jump", "<i8"),  # added to the rate by each group, Q8
        ("hawkes_decay", "<i8"),  # share lost at each clock step, Q16
        ("hawkes_cap", "<i8"),  # Q8
        ("base", "<i8"),  # size of a typical level, lots
        ("mean_size", "<i8"),  # of an order, lots
        ("scale_orders", "<i8"),  # orders on a full level before they grow larger instead
        ("impact", "<i8"),  # fair-value move by an aggressor of `base` lots, Q16 ticks
        ("chase", "<i8"),  # chance that a stale best price is corrected by the next group, Q16
        ("chase_take", "<i8"),  # of which by an aggressor, Q16
        ("tighten", "<i8"),  # chance that a spread wider than wanted is narrowed by the next group, Q16
        ("modify", "<i8"),  # share of modifies among limit activity, Q16
        ("partial", "<i8"),  # share of partial cancels, Q16
        ("two_levels", "<i8"),  # share of aggressors that may cross a second level, Q16
        ("density_near", "<i8"),  # share of ticks in use near the touch, Q8
        ("density_far", "<i8"),  # and far away, Q8
        ("near", "<i8"),  # ticks that count as near
        ("round1", "<i8"),  # round-number spacings, ticks
        ("round2", "<i8"),
        ("round3", "<i8"),
        ("weight1", "<i8"),  # and how much larger those levels are, Q8
        ("weight2", "<i8"),
        ("weight3", "<i8"),
        ("touch_min", "<i8"),  # ticks from the best where injections sit
        ("touch_max", "<i8"),
        ("band_reach", "<i8"),  # ticks from the fair value where liquidity bands appear
        ("band_every", "<i8"),  # mean ns between two bands
        ("inject_every", "<i8"),  # mean ns between two injections; NEVER for none
        ("latency", "<i8"),  # ns from venue to receiver, and its spread
        ("jitter", "<i8"),
        ("regime_drift", "<i8", (5,)),  # Q16 ticks per clock step
        ("regime_sigma", "<i8", (5,)),  # Q16 ticks per square root of a clock step
        ("regime_rate", "<i8", (5,)),  # Q8
        ("regime_take", "<i8", (5,)),  # share of aggressors among groups, Q16
        ("regime_gap", "<i8", (5,)),  # half of the extra spread, Q16 ticks
        ("regime_depth", "<i8", (5,)),  # Q8
        ("weights", "<i8", (12,)),  # chance of each kind of injection, relative
        ("profile", "<i4", (REACH + 2,)),  # level size by distance, Q8
        ("sizes", "<i4", ((1 << TABLE_BITS),)),  # order sizes, lots
        ("takes", "<i4", ((1 << TABLE_BITS),)),  # aggressor sizes, lots
        ("reach", "<i4", ((1 << TABLE_BITS),)),  # ticks behind the best of new activity
    ]
)

# Where one instrument is.
STATE: Final = np.dtype(
    [
        ("rng", "<u8"),
        ("profile", "<i8"),  # row of PROFILE
        ("instrument", "<i8"),
        ("texture", "<u8"),  # key of the price texture
        ("size_scale", "<i8"),  # Q8, makes instruments of one kind differ
        ("rate_scale", "<i8"),  # Q8
        ("start", "<i8"),
        ("end", "<i8"),
        ("phase", "<i8"),
        ("ts", "<i8"),  # venue time of the last group
        ("recv", "<i8"),  # its receive time
        ("sequence", "<i8"),
        ("next_id", "<i8"),
        ("clock_end", "<i8"),
        ("fair", "<i8"),  # fair value, Q16 ticks
        ("anchor", "<i8"),  # where a mean-reverting regime goes back to, Q16 ticks
        ("floor", "<i8"),  # bounds set by an injection, Q16 ticks
        ("roof", "<i8"),
        ("steer", "<i8"),  # extra drift set by an injection, Q16 ticks per clock step
        ("gap", "<i8"),  # half of the extra spread now, Q16 ticks
        ("extra_gap", "<i8"),  # set by an injection
        ("depth", "<i8"),  # depth multiple now, Q8
        ("extra_depth", "<i8"),  # set by an injection, Q8
        ("lean", "<i8"),  # shift of the aggressors' side set by an injection, Q16
        ("take", "<i8"),  # share of aggressors now, Q16
        ("sigma", "<i8"),
        ("drift", "<i8"),
        ("heat", "<i8"),  # Hawkes excitation, Q8 groups per second
        ("mean", "<i8"),  # mean ns to the next background group
        ("react", "<i8"),  # quick reactions still due
        ("parent_side", "<i8"),  # the parent order being worked, and what is left of it
        ("parent_left", "<i8"),
        ("regime", "<i8"),
        ("regime_end", "<i8"),
        ("bid", "<i8"),  # best ticks; outside [low, high] when the side is empty
        ("ask", "<i8"),
        ("low", "<i8"),  # every order rests in [low, high]
        ("high", "<i8"),
        ("free", "<i8"),  # first given-back order + 1, 0 for none
        ("used", "<i8"),  # orders ever in use: memory is touched as it is needed
        ("live", "<i8"),  # orders resting
        ("snap_tick", "<i8"),
        ("snap_order", "<i8"),
        ("snap_left", "<i8"),
        ("halted", "<i8"),
        ("busy", "<i8"),  # injection that steers the market, 0 for none
        ("timer", "<i8"),  # earliest due injection step
        ("next_inject", "<i8"),
        ("next_band", "<i8"),
        ("next_second", "<i8"),
        ("seconds", "<i8"),  # surveys done
        ("bought", "<i8"),  # lots by aggressor since the start
        ("sold", "<i8"),
        ("bucket_start", "<i8"),  # bought + sold when the running bucket began
        ("buckets", "<i8"),
        ("n", "<i8"),  # records in the instrument's buffer, and how many were handed on
        ("at", "<i8"),
        ("sizes", "<i8", (SECONDS * SURVEYED,)),  # of the best ten levels a side, -1 where there is none
        ("depths", "<i8", (SECONDS,)),
        ("spreads", "<i8", (SECONDS,)),
        ("volumes", "<i8", (VOLUME_BUCKETS,)),
        ("scratch", "<i8", (SECONDS * SURVEYED,)),
    ]
)

ORDER: Final = np.dtype(
    [
        ("id", "<i8"),
        ("size", "<i8"),
        ("tick", "<i8"),
        ("next", "<i8"),  # behind it in the queue; the free list
        ("prev", "<i8"),
        ("side", "<i8"),
        ("owner", "<i8"),  # injection + 1, 0 for the background
    ]
)

LEVEL: Final = np.dtype(
    [
        ("size", "<i8"),
        ("owned", "<i8"),  # of which injected
        ("head", "<i8"),
        ("tail", "<i8"),
        ("weight", "<i8"),  # price texture, Q8
        ("rank", "<i8"),  # a level is in use where rank < density
        ("boost", "<i8"),  # liquidity band, Q8
    ]
)

# One running injection.
ACTOR: Final = np.dtype(
    [
        ("kind", "<i8"),
        ("side", "<i8"),
        ("plan", "<i8"),
        ("grade", "<i8"),
        ("phase", "<i8"),
        ("tick", "<i8"),
        ("tick2", "<i8"),
        ("started", "<i8"),  # receive times
        ("ended", "<i8"),
        ("due", "<i8"),  # venue times
        ("stop", "<i8"),
        ("touched", "<i8"),
        ("size", "<i8"),
        ("shown", "<i8"),
        ("left", "<i8"),
        ("filled", "<i8"),
        ("count", "<i8"),
        ("count2", "<i8"),
        ("base", "<i8"),
        ("multiple", "<i8"),
        ("mark1", "<i8"),
        ("mark2", "<i8"),
        ("mark3", "<i8"),
        ("n_ids", "<i8"),
        ("ids", "<i8", (IDS,)),
        ("slots", "<i8", (IDS,)),
    ]
)

# What was injected, as it really came out. Meaning of the numbers by kind: see `synthetic_truth`.
TRUTH: Final = np.dtype(
    [
        ("known", "<i8"),  # receive time of the group after which it was told
        ("ts_start", "<i8"),
        ("ts_end", "<i8"),
        ("tick", "<i8"),
        ("tick2", "<i8"),
        ("size", "<i8"),
        ("shown", "<i8"),
        ("filled", "<i8"),
        ("base", "<i8"),
        ("multiple", "<i8"),  # thousandths
        ("mark1", "<i8"),
        ("mark2", "<i8"),
        ("mark3", "<i8"),
        ("count", "<i4"),
        ("count2", "<i4"),
        ("lane", "<i4"),
        ("n_ids", "<i4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("grade", "u1"),
        ("outcome", "u1"),
        ("pad", "<u4"),
        ("ids", "<u8", (IDS,)),
    ]
)


class Market(NamedTuple):
    """One instrument as the kernels see it."""

    lane: int
    p: Any  # PROFILE record
    s: Any  # STATE record
    orders: Any
    levels: Any
    actors: Any
    out: Any  # EVENT buffer
    truth: Any
    told: Any  # int64[1]: records in `truth`
