"""depthscope: exact, fast order books, their features, and a page to watch them on.

>>> import depthscope as ds
>>> table = ds.features("day.mbo.dbn.zst", every="100ms")   # doctest: +SKIP
>>> for frame in ds.replay("day.mbo.dbn.zst"):              # doctest: +SKIP
...     print(frame.time, frame.book.best_bid, frame["ofi_1s"])
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depthscope.api import Analysis, analysis_batches, features, features_batches, open_source, replay
    from depthscope.bars import footprint, footprint_batches
    from depthscope.book.view import Level, OrderBook, Walk
    from depthscope.detectors.messages import Detection
    from depthscope.engine import Batch, Engine
    from depthscope.errors import DepthscopeError
    from depthscope.findings import detections, detections_batches
    from depthscope.frame import Frame
    from depthscope.liquidity import liquidity_profile, liquidity_profile_batches
    from depthscope.live_frames import live
    from depthscope.market.events import EVENT
    from depthscope.market.instruments import Capability, Instrument
    from depthscope.moments import state
    from depthscope.research.judging import fit, score
    from depthscope.research.lookahead import everything, find_lookahead, of_table
    from depthscope.runtime.models import load_model
    from depthscope.signals.model import Model
    from depthscope.signals.reasons import Signal

__version__ = "0.1.0"

# Names are loaded when first used: `import depthscope` stays in the milliseconds.
_HOMES = {
    "EVENT": "depthscope.market.events",
    "Analysis": "depthscope.api",
    "Batch": "depthscope.engine",
    "Capability": "depthscope.market.instruments",
    "DepthscopeError": "depthscope.errors",
    "Detection": "depthscope.detectors.messages",
    "Engine": "depthscope.engine",
    "Frame": "depthscope.frame",
    "Instrument": "depthscope.market.instruments",
    "Level": "depthscope.book.view",
    "Model": "depthscope.signals.model",
    "OrderBook": "depthscope.book.view",
    "Signal": "depthscope.signals.reasons",
    "Walk": "depthscope.book.view",
    "analysis_batches": "depthscope.api",
    "detections": "depthscope.findings",
    "detections_batches": "depthscope.findings",
    "everything": "depthscope.research.lookahead",
    "features": "depthscope.api",
    "features_batches": "depthscope.api",
    "find_lookahead": "depthscope.research.lookahead",
    "fit": "depthscope.research.judging",
    "liquidity_profile": "depthscope.liquidity",
    "liquidity_profile_batches": "depthscope.liquidity",
    "live": "depthscope.live_frames",
    "load_model": "depthscope.runtime.models",
    "of_table": "depthscope.research.lookahead",
    "footprint": "depthscope.bars",
    "footprint_batches": "depthscope.bars",
    "open_source": "depthscope.api",
    "replay": "depthscope.api",
    "score": "depthscope.research.judging",
    "state": "depthscope.moments",
}

__all__ = [
    "EVENT",
    "Analysis",
    "Batch",
    "Capability",
    "DepthscopeError",
    "Detection",
    "Engine",
    "Frame",
    "Instrument",
    "Level",
    "Model",
    "OrderBook",
    "Signal",
    "Walk",
    "__version__",
    "analysis_batches",
    "detections",
    "detections_batches",
    "everything",
    "features",
    "features_batches",
    "find_lookahead",
    "fit",
    "footprint",
    "footprint_batches",
    "liquidity_profile",
    "liquidity_profile_batches",
    "live",
    "load_model",
    "of_table",
    "open_source",
    "replay",
    "score",
    "state",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'depthscope' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps `features` the function, though a subpackage has that name too.

    Importing a subpackage sets it as an attribute of its parent; a property is not overwritten
    by that, whichever is imported first.
    """

    @property
    def features(self) -> Any:
        return __getattr__("features")

    @features.setter
    def features(self, value: object) -> None:
        """Leave the function in place when the import system sets the subpackage."""


sys.modules[__name__].__class__ = _Package
