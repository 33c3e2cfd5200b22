"""Hidden buyers and sellers: two neighbouring prices take much more volume than usual, and hold.

The same as ``absorption``, over bands of two prices a tick apart instead of one price: aggressive volume of
the last 60 seconds in the band more than `hidden_times` (2) times the deviation of such volumes, while the
best price of the side stays within a tick of the band and mid goes less far than the flow usually moves
it (`hidden_flow`, as there). It needs trades and best prices only, as nothing of the size that
absorbs need ever be displayed. Of bands with the same volume the one farther from the market counts.

Selling absorbed is a hidden BUYER (side B), buying absorbed a hidden SELLER (side A). ``price`` is the
band's price nearer to the market, ``size`` what was executed, ``strength`` that ÷ deviation at opening.
``displayed`` is the size at the best price where that is in the band: compare it with ``volume``.

Closed as ``broken`` by a trade `hidden_break` (2) ticks or more beyond the band, ``held`` when the
side's best price is as far away in its favour, ``over`` when nothing is executed there for 60 seconds or
the book is lost; then nothing is opened on that side for `hidden_cooldown` (30) seconds.

On recordings, alerts an hour at low, medium and high: ES 17, 31, 37 (2023-12-25, an hour); BTCUSDT 42, 63, 63
(2024-08-08, six minutes). Of the 31, 17 were broken and 12 held: it says what happened, not what will.
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
    "LABELS",
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
REQUIRES = Capability.TRADES | Capability.AGGRESSOR | Capability.L1
SETTINGS = {
    "hidden_times": 2.0,
    "hidden_break": 2.0,
    "hidden_cooldown": 30.0,
    "hidden_flow": FLOWS,
}
PRESETS = {"low": {"hidden_times": 3.0}, "high": {"hidden_times": 1.5}}
LABELS = ("", "BUYER", "SELLER")


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them; a band is two prices, a tick apart."""
    prepare_as("hidden", record, instrument, settings, ticks=1, labelled=True)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Follow trades and best prices among `n` TRACE rows."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
