"""Which alerts are right: cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from depthscope.detectors.registry import all_detectors
from depthscope.market import events as ev
from depthscope.market.layouts import CLOSE, DETECTION, OPEN, UPDATE
from depthscope.research.kinds import KINDS, Truth, kind
from depthscope.research.matching import (
    EXPLAINED,
    FALSE,
    FOUND,
    KNOWN,
    REPEAT,
    Alert,
    Verdict,
    alerts_of,
    is_real,
    judge,
)
from depthscope.research.recording import SECOND

T = 1_000 * SECOND
P = 4_000 * 10**9
WALL = {"wall_minor": 3.0, "wall_hold": 5.0}


def wall(
    multiple: float = 4.0, start: int = 0, side: int = ev.BID, price: int = P, seconds: float = 8.0
) -> Truth:
    return Truth(
        kind="wall", side=side, low=price, high=price, start=T + start * SECOND,
        end=T + int((start + seconds) * SECOND), size=9, outcome="pulled",
        numbers={"multiple": multiple, "seconds": seconds},
    )  # fmt: skip


def alert(
    after: float, side: int = ev.BID, price: int = P, lasts: float = 3.0, detector: str = "wall"
) -> Alert:
    ts = T + int(after * SECOND)
    return Alert(detector, side, price, ts, ts + int(lasts * SECOND), "pulled")


def verdicts(alerts: list[Alert], truths: list[Truth], clean: list[Alert] | None = None) -> list[Verdict]:
    return judge(alerts, truths, clean or [], WALL)


def test_side_price_and_time_must_agree() -> None:
    truth = [wall()]
    assert verdicts([alert(5)], truth) == [Verdict(FOUND, 0)]
    assert verdicts([alert(9)], truth) == [Verdict(FOUND, 0)]  # a second of grace
    for wrong in (alert(5, side=ev.ASK), alert(5, price=P + 1), alert(-0.1), alert(9.1)):
        assert verdicts([wrong], truth) == [Verdict(FALSE)]


def test_an_injection_is_found_once() -> None:
    assert verdicts([alert(5), alert(7)], [wall()]) == [Verdict(FOUND, 0), Verdict(REPEAT, 0)]


def test_two_injections_are_two_finds() -> None:
    found = verdicts([alert(5), alert(25)], [wall(), wall(start=20)])
    assert found == [Verdict(FOUND, 0), Verdict(FOUND, 1)]


def test_a_decoy_that_is_found_is_false_and_named() -> None:
    for decoy in (wall(multiple=2.9), wall(seconds=4.9)):
        assert not is_real(decoy, WALL)
        assert verdicts([alert(4)], [decoy]) == [Verdict(FALSE, 0)]
    assert is_real(wall(multiple=3.0), WALL)
    assert not is_real(wall(multiple=3.5), WALL | {"wall_minor": 4.0})


def test_what_the_clean_run_has_is_not_false() -> None:
    clean = [alert(5, price=P + 5, lasts=20.0)]
    late = alert(26.9, price=P + 5)  # 1.9 s after it was closed there
    assert verdicts([alert(12, price=P + 5)], [], clean) == [Verdict(KNOWN)]
    assert verdicts([late], [], clean) == [Verdict(KNOWN)]
    assert verdicts([alert(27.1, price=P + 5)], [], clean) == [Verdict(FALSE)]
    assert verdicts([alert(12, side=ev.ASK, price=P + 5)], [], clean) == [Verdict(FALSE)]


def test_an_alert_the_clean_run_has_at_that_very_moment_is_no_find() -> None:
    same = alert(5)
    assert verdicts([same], [wall()], [same]) == [Verdict(KNOWN)]
    # One that only overlaps is about the injection.
    assert verdicts([alert(5)], [wall()], [alert(4)]) == [Verdict(FOUND, 0)]


def test_what_follows_from_an_injection_for_another_detector_is_explained() -> None:
    layers = Truth(
        kind="layering", side=ev.ASK, low=P, high=P + 4, start=T, end=T + 9 * SECOND, size=9,
        numbers={"levels": 5, "multiple": 9.0},
    )  # fmt: skip
    assert verdicts([alert(6, side=ev.ASK, price=P + 2)], [layers]) == [Verdict(EXPLAINED)]
    assert verdicts([alert(6, side=ev.ASK, price=P + 5)], [layers]) == [Verdict(FALSE)]


def test_layering_may_name_a_level_beside_by_ticks() -> None:
    layers = Truth(
        kind="layering", side=ev.ASK, low=P, high=P + 4, start=T, end=T + SECOND, size=9,
        numbers={"levels": 5, "multiple": 9.0},
    )  # fmt: skip
    settings = {"layering_levels": 4.0, "layering_multiple": 8.0}
    near, far = (alert(0.5, ev.ASK, P - x, detector="layering") for x in (30, 31))
    assert judge([near], [layers], [], settings, tick=3) == [Verdict(FOUND, 0)]
    assert judge([far], [layers], [], settings, tick=3) == [Verdict(FALSE)]


def test_bursts_have_no_place() -> None:
    truth = Truth(
        kind="burst", side=ev.BID, low=P, high=P, start=T, end=T + 40 * SECOND, size=9,
        numbers={"ratio": 3.5, "share": 0.8},
    )  # fmt: skip
    settings = {"burst_warning": 3.0, "burst_side_share": 0.6}
    found = judge([alert(30, price=P + 77, detector="burst")], [truth], [], settings)
    assert found == [Verdict(FOUND, 0)]
    clean = [alert(300, price=P + 1, detector="burst")]
    assert judge([alert(301, price=P, detector="burst")], [truth], clean, settings) == [Verdict(KNOWN)]


def test_alerts_are_read_from_messages() -> None:
    known = {d.number: d for d in all_detectors()}
    number = next(n for n, d in known.items() if d.name == "wall")
    records = np.zeros(4, DETECTION)
    records["detector"] = number
    records["number"] = [1, 1, 1, 2]
    records["phase"] = [OPEN, UPDATE, CLOSE, OPEN]
    records["ts"] = [10, 20, 30, 40]
    records["price"], records["side"] = P, ev.ASK
    records["outcome"][2] = known[number].outcomes.index("traded")
    assert alerts_of(records, known, 99) == [
        Alert("wall", ev.ASK, P, 10, 30, "traded"),
        Alert("wall", ev.ASK, P, 40, 99, ""),
    ]


@pytest.mark.parametrize("one", KINDS, ids=lambda k: k.name)
def test_kinds_are_for_detectors_and_settings_there_are(one: object) -> None:
    by_name = {d.name: d for d in all_detectors()}
    found = kind(one.name)  # type: ignore[attr-defined]
    assert found is one
    detector = by_name[found.detector]
    assert set(found.least.values()) <= set(detector.settings)
    assert set(found.also) <= set(by_name)
    assert found.place.__doc__
