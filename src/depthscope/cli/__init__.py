"""The command line: one module a command, nothing heavy imported before it is needed."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line on the process's arguments and exit.

    Exit codes: 0 done, 1 failure, 2 bad input.
    """
    from depthscope.cli.app import run

    run()
