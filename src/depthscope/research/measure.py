"""How good detectors are: precision, recall, latency and alerts an hour, on injected recordings.

For each detector there are runs of its own kinds of injection, real ones and decoys, until enough
real ones are placed. Every alert of a run is judged beside what was injected and beside the run on the
clean stream (`depthscope.research.matching`). Settings are tuned on the first half of a recording
only; what is reported is the second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.detectors.registry import all_detectors, chosen
from depthscope.engine import Engine
from depthscope.errors import ConfigError
from depthscope.research import matching
from depthscope.research.inject import Plan, plan, usable
from depthscope.research.intervals import Interval, quantile, rate, share
from depthscope.research.recording import SECOND, Recording, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depthscope.api import Sources
    from depthscope.detectors.kit import Detector
    from depthscope.research.kinds import Kind
    from depthscope.research.matching import Alert

__all__ = ["KindScore", "Measurement", "Score", "measure"]

BATCH: Final = 32  # most runs planned in one pass
INTEGRITY: Final = (
    "unknown_cancel", "unknown_modify", "duplicate", "over_cancel", "rejected", "off_tick", "crossed", "gaps",
)  # fmt: skip


@dataclass(slots=True)
class KindScore:
    """What became of one kind of injection.

    Attributes
    ----------
    kind : str
    real, decoys : int
        How many the detector should find, and how many not.
    found, fooled : int
        How many it found, and how many decoys it took for real.
    """

    kind: str
    real: int = 0
    decoys: int = 0
    found: int = 0
    fooled: int = 0


@dataclass(slots=True)
class Score:
    """What one detector is worth on one recording.

    Attributes
    ----------
    detector : str
    runs : int
        Of its own kinds.
    n : int
        Real injections.
    found, repeats, explained, known, false : int
        Alerts of those runs, by verdict.
    recall, precision : Interval
        found / n; found / (found + false). Unknown (NaN) where nothing was injected or said.
    latency, latency90 : Interval
        Median and 90th percentile of the seconds from the first record of an injection to the alert.
    outcomes : Interval
        Share of closed alerts whose outcome is that of the injection.
    clean : int
        Alerts on the clean stream in `hours`.
    hourly : Interval
        The same an hour.
    kinds : list of KindScore
    """

    detector: str
    runs: int = 0
    n: int = 0
    found: int = 0
    repeats: int = 0
    explained: int = 0
    known: int = 0
    false: int = 0
    recall: Interval = field(default_factory=lambda: share(0, 0))
    precision: Interval = field(default_factory=lambda: share(0, 0))
    latency: Interval = field(default_factory=lambda: share(0, 0))
    latency90: Interval = field(default_factory=lambda: share(0, 0))
    outcomes: Interval = field(default_factory=lambda: share(0, 0))
    clean: int = 0
    hourly: Interval = field(default_factory=lambda: share(0, 0))
    kinds: list[KindScore] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Scores of detectors on one recording.

    Attributes
    ----------
    source, symbol : str
    part, sensitivity, every : str
    seed, n : int
        Seed, and how many real injections were wanted of each detector.
    hours : float
        Length of the part measured.
    scores : tuple of Score
    """

    source: str
    symbol: str
    part: str
    sensitivity: str
    every: str
    seed: int
    n: int
    hours: float
    scores: tuple[Score, ...]

    def __getitem__(self, detector: str) -> Score:
        return next(s for s in self.scores if s.detector == detector)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; NaN where unknown."""
        return asdict(self)

    def table(self) -> str:
        """Two Markdown tables: detectors, and kinds of injection."""
        head = (
            "detector", "n", "runs", "precision", "recall", "latency s: median", "90 %", "outcome right",
            "alerts an hour, clean",
        )  # fmt: skip
        lines = [_line(head), _line(["---", *["--:"] * (len(head) - 1)])]
        for s in self.scores:
            cells = [s.detector, str(s.n), str(s.runs)]
            cells += [_show(x, 2) for x in (s.precision, s.recall)]
            cells += [_show(x, 2) for x in (s.latency, s.latency90)]
            cells += [_show(s.outcomes, 2), _show(s.hourly, 1)]
            lines.append(_line(cells))
        lines.append("")
        lines.append(_line(("injection", "for", "real", "found", "decoys", "taken for real")))
        lines.append(_line(("---", "---", *["--:"] * 4)))
        for s in self.scores:
            for k in s.kinds:
                found = f"{k.found} ({k.found / k.real:.0%})" if k.real else "–"
                fooled = f"{k.fooled} ({k.fooled / k.decoys:.0%})" if k.decoys else "–"
                lines.append(_line([k.kind, s.detector, str(k.real), found, str(k.decoys), fooled]))
        return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _show(x: Interval, places: int) -> str:
    if np.isnan(x.value):
        return "–"
    return f"{x.value:.{places}f} ({x.low:.{places}f}–{x.high:.{places}f})"


def measure(
    source: Sources | Recording,
    detectors: Iterable[str] | None = None,
    *,
    sensitivity: str = "medium",
    seed: int = 1,
    n: int = 200,
    runs: int = 600,
    part: str = "second",
    every: str = "100ms",
) -> Measurement:
    """Measure detectors on a recording.

    Parameters
    ----------
    source : str, Path, Source or Recording
        A recording of one instrument.
    detectors : iterable of str, optional
        Which; all for None. Those for which nothing is injected, or that the feed cannot carry, are told
        their alerts an hour alone.
    sensitivity : {"low", "medium", "high"}
        Preset of their settings.
    seed : int
        Of the injections and the bootstrap.
    n : int
        Real injections wanted for each detector.
    runs : int
        Most runs for each detector, whether `n` is reached or not.
    part : {"second", "first", "all"}
        Half of the recording; `"first"` is for tuning.
    every : str
        Grid of the rows.

    Returns
    -------
    Measurement

    Raises
    ------
    InputError
        When the source has several instruments, no levels or no trades.
    UnknownName
        When a detector or sensitivity is unknown.
    ConfigError
        When `n` or `runs` is not positive.
    """
    if n < 1 or runs < 1:
        raise ConfigError(f"n and runs must be at least 1, got {n} and {runs}.")
    recording = source if isinstance(source, Recording) else record(source)
    wanted = chosen(detectors, sensitivity)
    stage = _Stage(recording, wanted, sensitivity, part, every)
    kinds = usable(recording, None)
    missing = set(stage.unavailable)
    scores = []
    for detector in wanted:
        score = Score(detector.name, clean=stage.count(detector.name))
        if detector.name not in missing:
            score.hourly = rate(score.clean, stage.hours)
            own = [k for k in kinds if k.detector == detector.name]
            if own:
                _measure_one(stage, detector, own, score, seed, n, runs)
        scores.append(score)
    path = recording.source.info.path.replace("\\", "/")
    return Measurement(
        source=path.rsplit("/", 1)[-1],
        symbol=recording.instrument.symbol,
        part=part,
        sensitivity=sensitivity,
        every=every,
        seed=seed,
        n=n,
        hours=stage.hours,
        scores=tuple(scores),
    )


class _Stage:
    """Runs detectors over streams that differ only after one moment."""

    def __init__(
        self, recording: Recording, detectors: Sequence[Detector], sensitivity: str, part: str, every: str
    ) -> None:
        self.recording, self.part = recording, part
        self._engine = Engine(
            recording.source.resolve, every=every, features=(), detectors=[d.name for d in detectors],
            sensitivity=sensitivity,
        )  # fmt: skip
        self._known = {d.number: d for d in all_detectors()}
        start = recording.half if part == "second" else recording.begin
        stop = recording.half if part == "first" else recording.end
        self.hours = (stop - start) / SECOND / 3600
        self._first, self._stop = recording.index_after(start), recording.index_after(stop)
        self._start = start
        # What went before is the same in every run: its alerts are kept for their numbers.
        self._before = self._engine.process(recording.events[: self._first]).detections
        self._snapshot = self._engine.snapshot()
        # With those before: what is open when the part begins may be told again in a run.
        self.clean, self._counters = self._run(recording.events[self._first : self._stop])
        self.unavailable = self._engine.unavailable(0)

    def _run(self, events: Any) -> tuple[list[Alert], dict[str, int]]:
        engine = self._engine
        engine.restore(self._snapshot)
        found = [self._before, engine.process(events).detections, engine.finish().detections]
        counters = engine.counters(0)
        alerts = matching.alerts_of(np.concatenate(found), self._known, int(self.recording.end))
        return alerts, {name: counters[name] for name in INTEGRITY}

    def count(self, detector: str) -> int:
        """Alerts of a detector on the clean stream, in the part that is measured."""
        return sum(a.detector == detector and a.ts > self._start for a in self.clean)

    def run(self, made: Plan) -> list[Alert]:
        """Alerts of an injected run.

        Raises
        ------
        AssertionError
            When the injected stream breaks a rule the recording keeps.
        """
        stream = made.build()
        alerts, counters = self._run(stream.events[self._first : self._stop + int(stream.inserted.sum())])
        if counters != self._counters:
            raise AssertionError(f"injected stream {stream.seed}: {counters}, recording: {self._counters}")
        return [a for a in alerts if a.ts > self._start]


def _measure_one(
    stage: _Stage, detector: Detector, kinds: Sequence[Kind], score: Score, seed: int, n: int, runs: int
) -> None:
    """Run injections for one detector and fill in its score."""
    by_kind = {k.name: KindScore(k.name) for k in kinds}
    clean = [a for a in stage.clean if a.detector == detector.name]
    latencies: list[float] = []
    right = closed = 0
    while score.n < n and score.runs < runs:
        # One pass plans as many runs as there were so far: few where a run holds hundreds.
        first, many = score.runs, min(max(score.runs, 1), BATCH)
        seeds = [(seed, detector.number, r) for r in range(first, min(first + many, runs))]
        for made in plan(stage.recording, kinds, seeds, part=stage.part):
            score.runs += 1
            truths = made.truth
            for truth in truths:
                real = matching.is_real(truth, detector.settings)
                by_kind[truth.kind].real += real
                by_kind[truth.kind].decoys += not real
                score.n += real
            alerts = [a for a in stage.run(made) if a.detector == detector.name]
            fooled = set()
            for alert, verdict in zip(
                alerts,
                matching.judge(alerts, truths, clean, detector.settings, stage.recording.instrument.tick),
                strict=True,
            ):
                score.found += verdict.what == matching.FOUND
                score.repeats += verdict.what == matching.REPEAT
                score.explained += verdict.what == matching.EXPLAINED
                score.known += verdict.what == matching.KNOWN
                score.false += verdict.what == matching.FALSE
                if verdict.truth < 0:
                    continue
                truth = truths[verdict.truth]
                if verdict.what == matching.FALSE:
                    fooled.add(verdict.truth)
                elif verdict.what == matching.FOUND:
                    by_kind[truth.kind].found += 1
                    latencies.append((alert.ts - truth.start) / SECOND)
                    if truth.outcome and alert.outcome:
                        closed += 1
                        right += alert.outcome == truth.outcome
            for k in fooled:
                by_kind[truths[k].kind].fooled += 1
            if score.n >= n:
                break
    score.kinds = list(by_kind.values())
    score.recall = share(score.found, score.n)
    score.precision = share(score.found, score.found + score.false)
    score.latency, score.latency90 = (quantile(latencies, q, seed) for q in (0.5, 0.9))
    score.outcomes = share(right, closed)
