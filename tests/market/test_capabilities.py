"""What a feed offers covers a need when it covers each part of it, more depth implying less."""

from __future__ import annotations

from itertools import combinations

import pytest

from depthscope.detectors.registry import all_detectors
from depthscope.features.registry import all_features
from depthscope.market.instruments import Capability

MORE = {
    Capability.L1: Capability.L1 | Capability.L2 | Capability.MBO,
    Capability.L2: Capability.L2 | Capability.MBO,
}
SUBSETS = [
    Capability(sum(some)) for n in range(len(Capability) + 1) for some in combinations(list(Capability), n)
]


@pytest.mark.parametrize("needed", SUBSETS, ids=str)
def test_every_part_of_a_need_must_be_met(needed: Capability) -> None:
    for has in SUBSETS:
        assert has.covers(needed) == all(has & MORE.get(one, one) for one in needed)


def test_trades_and_depth_together() -> None:
    needed = Capability.TRADES | Capability.AGGRESSOR | Capability.L2
    assert (Capability.TRADES | Capability.AGGRESSOR | Capability.MBO).covers(needed)
    assert not (Capability.TRADES | Capability.AGGRESSOR | Capability.L1).covers(needed)
    assert not (Capability.TRADES | Capability.L2).covers(needed)
    assert not Capability.L2.covers(needed)


def test_a_full_feed_covers_everything_shipped() -> None:
    full = Capability.TRADES | Capability.AGGRESSOR | Capability.MBO
    for component in (*all_features(), *all_detectors()):
        assert full.covers(component.requires), component.name
