"""The newest messages of detectors about one symbol, in memory taken at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.market.layouts import DETECTION

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Said"]


class Said:
    """A ring of DETECTION records.

    Each kept as an object of its own would hold on to a page of memory it shares with what is long gone:
    over the hours of a live market that is growth.

    Parameters
    ----------
    most : int
        Records kept; older ones go.
    """

    __slots__ = ("_n", "_ring")

    def __init__(self, most: int) -> None:
        self._ring = np.zeros(most, DETECTION)
        self._ring.view("u1").fill(0)  # written, so that the system gives the memory now
        self._n = 0  # that ever came

    def __len__(self) -> int:
        return min(self._n, len(self._ring))

    def extend(self, records: npt.NDArray[Any]) -> None:
        """Add records, the newest last."""
        most = len(self._ring)
        new = records[-most:]
        self._ring[(self._n + len(records) - len(new) + np.arange(len(new))) % most] = new
        self._n += len(records)

    def newest(self) -> npt.NDArray[Any]:
        """Copy of what is kept, the oldest first."""
        n = len(self)
        kept: npt.NDArray[Any] = self._ring[(self._n - n + np.arange(n)) % len(self._ring)]
        return kept

    def replace(self, records: npt.NDArray[Any]) -> None:
        """Keep these instead."""
        self._n = 0
        self.extend(records)
