"""Compiling in a second process, so that a first run takes half as long on two cores.

What it compiles is kept on disk, where this process finds it. It is only help: where it fails or
is slow, this process compiles for itself.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE = 120.0  # seconds to wait for it at most


def compile_modules(modules: Sequence[str]) -> None:
    """Import modules and compile every kernel they bring."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl+C is for our parent, which ends us
    from depthscope import jit

    for module in modules:
        importlib.import_module(module)
    for _, build in reversed(jit.pending()):  # whoever needs them goes forward: meet in the middle
        build()


def is_cold(modules: Sequence[str]) -> bool:
    """Whether nothing is kept of the kernels of these modules, though it could be."""
    from depthscope import jit

    folder = jit.cache_folder()
    if folder is None:
        return False
    packages = {module.split(".")[1] for module in modules}
    kept = (folder / jit.fingerprint(jit.PACKAGE / package) for package in packages)
    return any(next(place.glob("*.nbi"), None) is None for place in kept)


@contextmanager
def compiling(modules: Sequence[str]) -> Iterator[multiprocessing.process.BaseProcess | None]:
    """Compile the kernels of `modules` beside the body, where there is something to gain.

    Parameters
    ----------
    modules : sequence of str
        Dotted names.

    Yields
    ------
    process or None
        The second process; it ends with the body.
    """
    if not modules or (os.cpu_count() or 1) < 2 or not is_cold(modules):
        yield None
        return
    process = multiprocessing.get_context("spawn").Process(
        target=compile_modules, args=(list(modules),), daemon=True
    )
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            process.terminate()
        process.join(5.0)
