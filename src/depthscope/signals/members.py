"""What an engine runs: features, then detectors, then signals, which read both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depthscope.detectors.registry import chosen
from depthscope.features.registry import select
from depthscope.signals.factors import needed_columns
from depthscope.signals.signal import NEEDED, signal_component

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from depthscope.features.kit import Component
    from depthscope.market.instruments import Instrument
    from depthscope.signals.model import Model


def members_of(
    features: Iterable[str] | None,
    detectors: Iterable[str] | None,
    sensitivity: str,
    signal: Callable[[Instrument], Model] | None,
) -> tuple[Component, ...]:
    """Components by name; with a signal, those it is made of as well.

    Parameters are those of `depthscope.engine.Engine`.
    """
    features = [features] if isinstance(features, str) else features
    detectors = [detectors] if isinstance(detectors, str) else detectors
    if signal is None:
        return (*select(features), *chosen(detectors, sensitivity))
    made = select(None if features is None else [*features, *needed_columns()])
    found = chosen(None if detectors is None else [*detectors, *NEEDED], sensitivity)
    columns = [column.name for member in made for column in member.columns]
    return (*made, *found, signal_component(columns, signal))
