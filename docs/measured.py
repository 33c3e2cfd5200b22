"""Measures detectors on recordings: ``python docs/measured.py FILE…`` (minutes a file).

Writes MEASURED.md, and the same figures for the page and the docs of detectors.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from depthscope.research.as_levels import as_levels
from depthscope.research.measure import Measurement, measure
from depthscope.research.recording import Recording, record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depthscope.research.intervals import Interval

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "src" / "depthscope" / "runtime" / "measured.json"
N, SEED = 200, 1
SHORT_RUNS = 150
LONG = ("iceberg", "sweep", "wall", "burst", "exhaustion", "layering")
SHORT = ("liquidity_gap", "absorption", "hidden", "large_trader", "refill")

ABOUT = """# What detectors are worth

Events of known time, price, size and side are put into a real recorded stream, and every alert is
judged beside what was put in and beside a run on the clean stream. Detectors are as they ship: no
setting was changed for this page. Settings may be tuned on the first half of a recording alone; this is
the second.

- **Precision** is found ÷ (found + false). An alert is *false* when it is about no real injection and
  the clean run does not have it; a decoy taken for real is false. It depends on how many decoys there
  are: the second table counts them.
- **Recall** is found ÷ real injections. An injection below a setting of its detector (a wall of 2.6
  times the usual size) is a decoy, not a miss.
- **Latency** runs from the first record of an injection to the alert; a wall's holds the five seconds
  that make it one.
- **Alerts an hour** are those on the clean stream. What of them is right nobody knows.

Intervals are 95 %: Wilson for shares, percentile bootstrap for latency, exact Poisson for alerts an
hour. Injections of one recording share its moments, so they are less independent than the intervals
take them to be."""

LIMITS = """## What to keep in mind

- Injections are placed where the recording leaves room: an order only where no later record makes its
  presence impossible, an execution only where the recording lets the levels alone for a moment. Hectic
  moments have few.
- Nobody in the recording reacts to what was injected.
- An injected aggressor takes whole levels with the recorded orders on them; they are entered again
  under their old ids 5 ms to 1.5 s later, so that all the recording says of them later stays true. An
  exchange would give new ids.
- Native icebergs and sweeps tell of themselves: what is measured there is that nothing is missed and no
  decoy taken for real, not how hard it is to see them.
- Walls and layering are measured by the size at placement; the usual size moves on while they rest. An
  alert on a recorded level that just misses its threshold in the clean run, and meets it when an
  injection has moved the usual size, counts as false.
- A detector with a pause after an alert (`layering_cooldown`) misses what is injected in the pause
  after a recorded one: on BTCUSDT most of the time.
- A native iceberg is refilled by its exchange in the group of the fill. The 0.1 to 200 ms of the
  protocol are the time to the next fill.
- On BTCUSDT a burst can only come in the last 45 s: bursts are not told before five minutes of trades.
- Fewer runs are made for gaps, absorption, hidden orders, large traders and refills, to keep the page to
  minutes: on BTCUSDT their intervals are wide for it.
- `hidden` is measured with the injection absorption is (`absorption_band`): what it looks for is
  the same of two neighbouring prices, and it does not ask whether anything is displayed. How large a
  volume is was fixed by a simple measure, the deviation of what prices took in whole minutes of the last
  15. The detectors' own, of stays, differs: what is 3 by the one may be less than 2 by the other, and then
  counts as missed. Injections are two minutes apart while a detector remembers 15. Measured apart with
  15 minutes between them (ES, seed 1, n = 100), recall is 0.55 (0.46–0.65) for absorption, no better, and
  0.73 (0.64–0.81) for hidden: there earlier ones blunt it for later ones. Precision is 0.50 and 0.33.
- On feeds of levels, trades come before the levels they took. An earlier version judged absorption by the
  next trade there: more than half of the `given_way` decoys were taken for real. It now waits
  for the book.
- Detectors that are silent for a while after an alert, or follow one matter a side, miss what is injected
  meanwhile. All 23 refills missed in eight other runs (ES, seed 77) came while a refill was open on
  their side or within 30 s of its end, and so did 4 of 4 large prints missed on BTCUSDT. An alert on a
  recorded event that such a silence put off, and that the clean run has not at that time, counts as false.
- An `other_size` decoy takes the recorded orders in line before it; where one of those was of the size of a
  later order, a refill by definition has happened. It counts as false: the truth is that there was none.
- Refills on level feeds are **candidates** (label `CANDIDATE`). On BTCUSDT none can be injected: no price
  of that half is the best for 2.1 s three times. They are measured on the ES hour told by levels
  ([`as_levels.py`](../src/depthscope/research/as_levels.py)), a market slow enough for levels to
  stay; nothing follows from it for fast ones.
- A gap is made of recorded orders, which are cancelled and entered again where the recording leaves
  them alone for as long. Such places are quiet, and few on BTCUSDT.
- The numbers of the injections were fixed before any detector saw them. First results then showed
  faults of the measurement itself, which were corrected: alerts of layering name the best of their
  levels, which may be a recorded one beside the injected; the levels of a layering are of one size, so
  that its multiple is that of all; a burst's truth is what it came out as, with the recorded trades and
  in the minute after it; alerts open since before the half count as known.

How injections are written is told in [`desk.py`](../src/depthscope/research/desk.py), what is injected
in [`kinds.py`](../src/depthscope/research/kinds.py) and
[`size_kinds.py`](../src/depthscope/research/size_kinds.py), which alert is what in
[`matching.py`](../src/depthscope/research/matching.py)."""


def section(m: Measurement, title: str = "") -> str:
    """Part of the page about one recording."""
    minutes = m.hours * 60
    return "\n\n".join(
        (
            f"## {title or m.symbol}",
            f"`{m.source}`, {m.part} half ({minutes:.1f} minutes), sensitivity {m.sensitivity}, rows every "
            f"{m.every}. At least {m.n} real injections a detector (or 600 runs; {SHORT_RUNS} for "
            f"{', '.join(SHORT)}), seed {m.seed}: run r of detector number d draws from (seed, d, r).",
            m.table(),
        )
    )


def _measured(recording: Recording) -> Measurement:
    """All detectors; other detectors make no difference to what one says."""
    long = measure(recording, LONG, n=N, seed=SEED)
    short = measure(recording, SHORT, n=N, runs=SHORT_RUNS, seed=SEED)
    return replace(long, scores=long.scores + short.scores)


def figures(m: Measurement, feed: str) -> list[dict[str, Any]]:
    """What the page shows beside an alert."""

    def plain(x: Interval) -> list[float] | None:
        return None if math.isnan(x.value) else [round(v, 4) for v in (x.value, x.low, x.high)]

    return [
        {
            "detector": s.detector, "symbol": m.symbol, "feed": feed, "n": s.n,
            "precision": plain(s.precision), "recall": plain(s.recall),
            "latency": plain(s.latency), "hourly": plain(s.hourly),
        }
        for s in m.scores
    ]  # fmt: skip


def made(files: Iterable[str]) -> tuple[str, list[dict[str, Any]]]:
    """Text of the page, and the figures."""
    sections, names, told = [], [], []
    for file in files:
        recording = record(file)
        found = _measured(recording)
        names.append(found.source)
        sections.append(section(found))
        told += figures(found, "orders" if recording.by_order else "levels")
        if recording.by_order:
            levels = measure(as_levels(recording), ["refill"], n=N, runs=SHORT_RUNS, seed=SEED)
            sections.append(section(levels, f"{levels.symbol}, told by levels: candidates"))
            told += figures(levels, "levels")
    command = f"```bash\npython docs/measured.py {' '.join(names)}\n```"
    parts = [ABOUT, command, *sections, LIMITS]
    return "\n\n".join(parts) + "\n", told


def main() -> None:
    """Write both."""
    text, told = made(sys.argv[1:])
    (HERE / "MEASURED.md").write_text(text, encoding="utf-8")
    lines = ",\n ".join(json.dumps(line) for line in told)
    FIGURES.write_text(f"[{lines}]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
