"""What the model and the detectors say, for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from depthscope.runtime.measured import measured

if TYPE_CHECKING:
    from depthscope.detectors.messages import Detection
    from depthscope.web.recorder import Recorder, Track

__all__ = ["alerts_message", "signal_message"]

ALERTS: Final = 20  # matters shown
REASONS: Final = 4


def signal_message(recorder: Recorder, track: Track) -> dict[str, Any]:
    """The signal of a symbol's last row, its strongest reasons first."""
    from depthscope.signals.reasons import read_signal  # loads the compiler: not before the page is served

    session = recorder.session
    model = session.model
    message: dict[str, Any] = {"t": "signal", "sym": track.id, "tsMs": session.clock / 1e6}
    if model is None or track.row is None:
        return message | {
            "model": None,
            "direction": None,
            "whyNot": "no model" if model is None else "no row yet",
        }
    columns = session.engine.columns
    place = {column.name: k for k, column in enumerate(columns)}
    row = track.row
    signal = read_signal(model, lambda name: float(row[place[name]]), track.row_state)
    return message | {
        "model": model.name,
        "calibrated": model.calibrated,
        "horizonMs": model.horizon / 1e6,
        "feeBps": model.fee_bps,
        "direction": signal.direction,
        "confidence": signal.confidence,
        "band": signal.band,
        "strength": signal.strength,
        "pUp": signal.p_up,
        "pDown": signal.p_down,
        "edgeBps": signal.edge_bps,
        "whyNot": signal.why_not or None,
        "extended": signal.extended,
        "baselines": signal.baselines,
        "reasons": [
            {"factor": r.factor, "says": r.says, "part": round(r.contribution, 4)}
            for r in signal.reasons
            if r.leans and r.contribution
        ][:REASONS],
    }


def alerts_message(recorder: Recorder, track: Track) -> dict[str, Any]:
    """The newest matters detectors speak of, each as it stands, the newest first.

    Walls that are merely MINOR are not among them.
    """
    from depthscope.detectors.messages import messages  # as above

    session = recorder.session
    matters: dict[str, Detection] = {}
    if track.said:
        for message in messages(track.said.newest(), session.engine.slots):
            matters.pop(message.id, None)
            matters[message.id] = message
    shown = [m for m in matters.values() if m.label != "MINOR"][-ALERTS:]
    return {"t": "alerts", "sym": track.id, "list": [_plain(m) for m in reversed(shown)]}


def _plain(message: Detection) -> dict[str, Any]:
    return {
        "id": message.id,
        "detector": message.detector,
        "phase": message.phase,
        "openedMs": message.opened / 1e6,
        "tsMs": message.ts / 1e6,
        "side": message.side,
        "price": message.price,
        "size": message.size,
        "strength": message.strength,
        "label": message.label,
        "outcome": message.outcome,
        "evidence": dict(message.evidence),
        "measured": [str(m) for m in measured(message.detector) if m.n],
    }
