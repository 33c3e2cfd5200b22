"""Absorption: one price takes much more aggressive volume than usual, and holds.

A *stay* begins with the first aggressive trade at a price while the best price of the side it takes
from is within a tick of it; it ends when that best price is farther away, or when nothing was traded there
for 60 seconds. Absorption is a stay

* whose **volume** of the last 60 seconds is more than `absorption_times` (2) times the **deviation**: the
  standard deviation of the volumes of the instrument's own stays in the last 15 minutes (each stay's largest;
  in a longer one a reading a minute), which knows neither this stay nor the running ten seconds;
* at which mid has gone less far towards the aggressors than their flow since its first trade usually
  moves it: the slope of the change of mid on net aggressor volume, over the ten-second windows of the last 15
  minutes, times that flow. ``absorption_flow = ofi`` takes level-1 order-flow imbalance instead: while
  both best prices stay that is just the change of their sizes, in which executed and refilled size cancel.

It is judged by the first change at the best prices after the trade that makes it so, or by the next trade
where orders are told one by one: only then is it seen that the price holds. Nothing is said before 20
stays and 12 windows with flow, of trades without a known aggressor, off the book or late. One is open a
side at a time, updated when its volume has doubled, and closed as

* ``broken``: a trade at least `absorption_break` (2) ticks beyond the price;
* ``held``: the side's best price at least as many ticks away in its favour;
* ``over``: neither, and nothing executed there for 60 seconds, or the book lost.

Then nothing is opened on that side for `absorption_cooldown` (30) seconds. ``side`` is that of the resting
size: B is selling absorbed by bids. ``size`` is what was executed since the first trade of those 60
seconds, ``strength`` that ÷ deviation at opening; ``displayed`` is 0 unless the price is the best one.

On recordings, alerts an hour at low, medium and high: ES 22, 38, 42 (2023-12-25, an hour); BTCUSDT 42, 63, 63
(2024-08-08, six minutes, the first two or more without a measure). Of the 38, 19 were broken and 15 held:
absorption is a description of what was executed, not a forecast that the price will hold.
"""

from __future__ import annotations

from typing import Any

from depthscope.detectors.absorbing import EVIDENCE, OUTCOMES, STATE, look, prepare_as, take
from depthscope.detectors.stays import FLOWS, SEEN
from depthscope.features.kit import frame_of, walk
from depthscope.jit import carray
from depthscope.market.instruments import Capability

__all__ = [
    "EVIDENCE",
    "LEVEL",
    "OUTCOMES",
    "PRESETS",
    "REQUIRES",
    "SETTINGS",
    "STATE",
    "TRACED",
    "prepare",
    "update",
]

LEVEL = "event"
TRACED = SEEN
REQUIRES = Capability.TRADES | Capability.AGGRESSOR | Capability.L2
SETTINGS = {
    "absorption_times": 2.0,
    "absorption_break": 2.0,
    "absorption_cooldown": 30.0,
    "absorption_flow": FLOWS,
}
PRESETS = {"low": {"absorption_times": 3.0}, "high": {"absorption_times": 1.5}}


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them; a band is one price."""
    prepare_as("absorption", record, instrument, settings, ticks=0, labelled=False)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Follow trades and best prices among `n` TRACE rows."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
