"""Which alerts are right: alerts of an injected run beside what was injected and the clean run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from depthscope.market.layouts import CLOSE, OPEN
from depthscope.research.kinds import KINDS, Truth, kind
from depthscope.research.recording import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from depthscope.detectors.kit import Detector

TOLERANCE: Final = 2 * SECOND  # by which an alert of the clean run may come earlier or later

FOUND, REPEAT, EXPLAINED, KNOWN, FALSE = "found", "repeat", "explained", "known", "false"


@dataclass(frozen=True, slots=True)
class Alert:
    """A matter a detector opened.

    Attributes
    ----------
    detector : str
    side, price : int
        As said on opening.
    ts : int
        When it was known.
    closed : int
        When it was closed; the end of the stream if never.
    outcome : str
    """

    detector: str
    side: int
    price: int
    ts: int
    closed: int
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an alert is.

    Attributes
    ----------
    what : str
        ``found`` (the first of a real injection), ``repeat`` (a later one of it), ``explained`` (right by
        definition, of an injection for another detector), ``known`` (the clean run has it too), ``false``.
    truth : int
        Number of the injection it is about, -1 for none; of a decoy where it is false.
    """

    what: str
    truth: int = -1


def alerts_of(records: Any, detectors: Mapping[int, Detector], end: int) -> list[Alert]:
    """Alerts out of DETECTION records, in order of time."""
    closing = {(int(r["detector"]), int(r["number"])): r for r in records if r["phase"] == CLOSE}
    found = []
    for r in records[records["phase"] == OPEN]:
        detector = detectors[int(r["detector"])]
        close = closing.get((int(r["detector"]), int(r["number"])))
        found.append(
            Alert(
                detector.name, int(r["side"]), int(r["price"]), int(r["ts"]),
                end if close is None else int(close["ts"]),
                "" if close is None else detector.outcomes[int(close["outcome"])],
            )
        )  # fmt: skip
    return found


def is_real(truth: Truth, settings: Mapping[str, Any]) -> bool:
    """Whether a detector with these settings should find an injection made for it."""
    one = kind(truth.kind)
    return not one.decoy and all(truth.numbers[name] >= settings[least] for name, least in one.least.items())


def about(alert: Alert, truth: Truth, tick: int = 0) -> bool:
    """Whether an alert can be about an injection: side, price and time agree."""
    one = kind(truth.kind)
    spare = one.reach * tick
    here = one.anywhere or truth.low - spare <= alert.price <= truth.high + spare
    return here and alert.side == truth.side and truth.start <= alert.ts <= truth.end + one.grace


def explains(truth: Truth, alert: Alert) -> bool:
    """Whether another detector's alert follows from an injection by that detector's own definition."""
    one = kind(truth.kind)
    if alert.detector not in one.also or not truth.start <= alert.ts <= truth.end + one.grace:
        return False
    return alert.side != truth.side or truth.low <= alert.price <= truth.high


def same(alert: Alert, clean: Alert, priced: bool) -> bool:
    """Whether the clean run tells the same: side, price, and lives that overlap."""
    if alert.side != clean.side or (priced and alert.price != clean.price):
        return False
    return alert.ts <= clean.closed + TOLERANCE and clean.ts <= alert.closed + TOLERANCE


def judge(
    alerts: Sequence[Alert],
    truths: Sequence[Truth],
    clean: Sequence[Alert],
    settings: Mapping[str, Any],
    tick: int = 0,
) -> list[Verdict]:
    """Judge the alerts of one detector, in order of time.

    Parameters
    ----------
    alerts, clean : sequence of Alert
        Of the injected and of the clean run.
    truths : sequence of Truth
        Everything injected.
    settings : mapping
        Of the detector: they decide which injections are decoys.
    tick : int
        Of the instrument, for kinds whose price may lie outside by some.
    """
    told: set[int] = set()
    verdicts = []
    for alert in alerts:
        own = [
            k
            for k, t in enumerate(truths)
            if kind(t.kind).detector == alert.detector and about(alert, t, tick)
        ]
        real = [k for k in own if is_real(truths[k], settings)]
        priced = not any(k.anywhere for k in KINDS if k.detector == alert.detector)
        if any(c.side == alert.side and c.price == alert.price and c.ts == alert.ts for c in clean):
            verdicts.append(Verdict(KNOWN))
        elif real:
            fresh = [k for k in real if k not in told]
            told.update(fresh[:1])
            verdicts.append(Verdict(FOUND, fresh[0]) if fresh else Verdict(REPEAT, real[0]))
        elif any(same(alert, c, priced) for c in clean):
            verdicts.append(Verdict(KNOWN))
        elif any(explains(t, alert) for t in truths):
            verdicts.append(Verdict(EXPLAINED))
        else:
            verdicts.append(Verdict(FALSE, own[0] if own else -1))
    return verdicts
