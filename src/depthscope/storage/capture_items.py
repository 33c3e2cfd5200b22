"""What waits in the queue of a capture log beside inputs."""

from __future__ import annotations

from dataclasses import dataclass

from depthscope.market.inputs import Input

__all__ = ["Item", "Rotate", "Stop", "Stopped"]


@dataclass(frozen=True, slots=True)
class Rotate:
    """A new segment begins here.

    Parameters
    ----------
    opening : list of Input
        What it repeats at its start.
    reason : str
        Why inputs before it are missing, when they are.
    """

    opening: list[Input]
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Recording ends here, on purpose.

    Parameters
    ----------
    reason : str
    """

    reason: str


Item = tuple[int, Input | Rotate | Stop]  # with the sequence of the input it is or is before


class Stopped(Exception):
    """The writing thread can write no more.

    Parameters
    ----------
    reason : str
        Empty where it has been told already.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
