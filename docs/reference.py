"""Writes FEATURES.md, DETECTORS.md and state.schema.json from the code: ``make docs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from depthscope.detectors import DETECTORS
from depthscope.detectors.registry import all_detectors
from depthscope.features import FEATURES
from depthscope.features.registry import all_features
from depthscope.market_state import state_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depthscope.detectors.kit import Detector
    from depthscope.features.kit import Component, Feature

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
            "recorded markets in [MEASURED](MEASURED.md).",
            *(part for one in detectors for part in detector(one)),
        ],
    }
    pages = {name: "\n\n".join(parts) + "\n" for name, parts in made.items()}
    return pages | {"state.schema.json": json.dumps(state_schema(), indent=1) + "\n"}


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
