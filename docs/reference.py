"""Writes FEATURES.md, DETECTORS.md, FACTORS.md and state.schema.json from the code: ``make docs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from depthscope.detectors import DETECTORS
from depthscope.detectors.registry import all_detectors
from depthscope.features import FEATURES
from depthscope.features.registry import all_features
from depthscope.market_state import state_schema
from depthscope.runtime.measured import measured
from depthscope.signals.factors import FACTORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depthscope.detectors.kit import Detector
    from depthscope.features.kit import Component, Feature
    from depthscope.runtime.measured import Estimate
    from depthscope.signals.factors import Factor

HERE = Path(__file__).resolve().parent


def head(component: Component) -> Iterable[str]:
    """Title, docstring and needs of a feature or detector."""
    title, _, text = component.doc.strip().partition("\n\n")
    yield f"## {component.name}"
    yield f"**{title}**"
    if text:
        yield text
    needs = component.requires.name or str(component.requires)
    level = "every event" if component.level == "event" else "rows"
    inferred = " (AGGRESSOR may be inferred)" if component.on_inferred else ""
    yield f"Needs: {needs.replace('|', ', ')}{inferred}. Looks at: {level}."


def settings(component: Component, presets: bool = False) -> Iterable[str]:
    """Table of settings."""
    if not component.settings:
        return
    kinds = ("low", "medium", "high") if presets else ("default",)
    lines = ["| setting | " + " | ".join(kinds) + " |", "|---|" + "--:|" * len(kinds)]
    for name, value in component.settings.items():
        found = getattr(component, "presets", {})
        values = [found.get(kind, {}).get(name, value) for kind in kinds]
        shown = [
            " / ".join(v)
            if isinstance(v, tuple)
            else f"a `{v.__name__}`"
            if isinstance(v, type)
            else f"{v:g}"
            for v in values
        ]
        lines.append(f"| `{name}` | " + " | ".join(shown) + " |")
    yield "\n".join(lines)


def feature(one: Feature) -> Iterable[str]:
    """Section of a feature."""
    yield from head(one)
    lines = ["| column | unit | words |", "|---|---|---|"]
    lines += [f"| `{c.name}` | {c.unit} | {', '.join(c.labels)} |" for c in one.columns]
    yield "\n".join(lines)
    yield from settings(one)


def detector(one: Detector) -> Iterable[str]:
    """Section of a detector."""
    yield from head(one)
    yield "Evidence: " + ", ".join(f"`{name}`" for name in one.evidence) + "."
    for what, words in (("Labels", one.labels), ("Outcomes", one.outcomes)):
        if words[1:]:
            yield f"{what}: " + ", ".join(f"`{word}`" for word in words[1:]) + "."
    yield from settings(one, presets=bool(one.presets))
    yield from worth(one)


def worth(one: Detector) -> Iterable[str]:
    """Table of what it was worth on recordings, by injection."""
    lines = [
        "| measured on | n | precision | recall | latency s | clean alerts an hour |",
        "|---|" + "--:|" * 5,
    ]
    for m in measured(one.name):
        told = f"{m.symbol}, told by {m.feed}"
        cells = [
            interval(m.precision, 2),
            interval(m.recall, 2),
            interval(m.latency, 2),
            interval(m.hourly, 1),
        ]
        lines.append("| " + " | ".join([told, str(m.n), *cells]) + " |")
    if len(lines) > 2:
        yield "\n".join(lines)


def interval(x: Estimate | None, places: int) -> str:
    """A value with its 95 % interval."""
    return "–" if x is None else f"{x[0]:.{places}f} ({x[1]:.{places}f}–{x[2]:.{places}f})"


def factor(one: Factor) -> str:
    """Line of a factor of signals."""
    made = f"`{one.column}`" + (f" − `{one.less}`" if one.less else "")
    if one.over:
        made = (f"({made})" if one.less else made) + " ÷ " + " + ".join(f"`{name}`" for name in one.over)
    made = f"log(1 + {made})" if one.log else made
    return f"| `{one.name}` | {made} | {'lean' if one.leans else 'stir'} | {one.says} |"


def pages() -> dict[str, str]:
    """Name and text of each page."""
    features = [f for f in all_features() if f.name in FEATURES]
    detectors = [d for d in all_detectors() if d.name in DETECTORS]
    made = {
        "FEATURES.md": [
            "# Features",
            "Written from the code by `make docs`. A feature is one file in `src/depthscope/features/`; "
            "undefined values are null.",
            *(part for one in features for part in feature(one)),
        ],
        "DETECTORS.md": [
            "# Detectors",
            "Written from the code by `make docs`. A detector is one file in `src/depthscope/detectors/`; "
            "what its messages are is told in [ADD_A_DETECTOR](ADD_A_DETECTOR.md), what it is worth on "
            "recorded markets, and how that was found out, in [MEASURED](MEASURED.md).",
            *(part for one in detectors for part in detector(one)),
        ],
    }
    lines = ["| factor | made of | kind | what it speaks of |", "|---|---|---|---|", *map(factor, FACTORS)]
    made["FACTORS.md"] = [
        "# Factors of signals",
        "Written from the code by `make docs`: [`signals/factors.py`](../src/depthscope/signals/factors.py). "
        "How they make a signal is told in [SIGNALS](SIGNALS.md). Each is standardised and clipped to ±4; "
        "lean factors point up or down, stir factors tell how much is going on.",
        "\n".join(lines),
    ]
    pages = {name: "\n\n".join(parts) + "\n" for name, parts in made.items()}
    return pages | {"state.schema.json": json.dumps(state_schema(), indent=1) + "\n"}


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
