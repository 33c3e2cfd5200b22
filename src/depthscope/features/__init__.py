"""Features: one file each. To add one, write the file and add its name below.

The package is also the public function ``depthscope.features(source, every=…)``: Python binds
an imported subpackage to its name in the parent, so the two cannot be kept apart (ADR 3).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

FEATURES: Final = (
    "quotes",
    "mid",
    "spread",
    "imbalance",
    "weighted_imbalance",
    "imbalance_ratio",
    "depth",
    "ofi",
    "ofi_window",
    "depth_delta",
    "flow",
    "delta_window",
    "session",
)
"""Names of the feature files, in the order of their columns in tables."""


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> pa.Table:
        """See `depthscope.api.features`."""
        import importlib

        # By name at run time: packages point inwards, and this one is only a door.
        return importlib.import_module("depthscope.api").features(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
