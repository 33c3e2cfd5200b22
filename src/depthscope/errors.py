"""Every error depthscope raises, each with its consequence.

A message says what happened, where, why, and what to do. The command line prints it as
one paragraph and exits with :attr:`DepthscopeError.exit_code`.
"""

from __future__ import annotations

__all__ = [
    "BookUnavailable",
    "CacheUnwritable",
    "ConfigError",
    "CorruptData",
    "DepthscopeError",
    "EmptyData",
    "FeedFailed",
    "FormatUnknown",
    "InputError",
    "MissingExtra",
    "NoBookData",
    "OutputError",
    "PortInUse",
    "RecordingFailed",
    "SourceMissing",
    "StaleFrame",
    "UnknownInstrument",
    "UnknownName",
]


class DepthscopeError(Exception):
    """Base of the tree. Consequence: the operation ends, nothing was half-written."""

    exit_code = 1


class InputError(DepthscopeError):
    """What the user gave cannot be used. Consequence: nothing ran; correct it and retry."""

    exit_code = 2


class SourceMissing(InputError):
    """No such file, folder or match. Consequence: nothing was read."""


class EmptyData(InputError):
    """The file holds no record. Consequence: there is nothing to show."""


class FormatUnknown(InputError):
    """The file is of no kind we read. Consequence: nothing was read."""


class NoBookData(InputError):
    """The file is readable but its schema cannot build a book. Consequence: use `info` on it."""


class CorruptData(InputError):
    """The file is damaged. Consequence: reading stopped there; what was readable is counted.

    Parameters
    ----------
    message : str
        What, where, why, what to do.
    records : int
        Records read before the damage.
    """

    def __init__(self, message: str, records: int = 0) -> None:
        super().__init__(message)
        self.records = records


class FeedFailed(DepthscopeError):
    """A live feed broke off. Consequence: the session ends; what was recorded up to there is good."""


class UnknownInstrument(InputError):
    """No tick and lot are known for an instrument. Consequence: name them with `--tick`/`--lot`."""


class UnknownName(InputError):
    """A symbol, feature or option is not known. Consequence: nothing ran; the nearest names are given."""


class ConfigError(InputError):
    """A setting is unknown or out of range. Consequence: nothing ran."""


class OutputError(InputError):
    """The output cannot be written. Consequence: no partial file is left behind."""


class CacheUnwritable(DepthscopeError):
    """Compiled kernels cannot be kept. Consequence: they are compiled again in each process."""


class MissingExtra(InputError):
    """An optional part is not installed. Consequence: nothing ran; the message names what to install."""


class RecordingFailed(DepthscopeError):
    """A durable log takes no more. Consequence: what was acknowledged is safe; until it resumes, a gap."""


class PortInUse(InputError):
    """Another program listens there. Consequence: the server did not start; choose `--port`."""


class StaleFrame(DepthscopeError):
    """A frame's book was read after iteration moved on. Consequence: copy what you need in time."""


class BookUnavailable(DepthscopeError):
    """A book was asked for that is not LIVE. Consequence: no figure is given rather than a wrong one."""
