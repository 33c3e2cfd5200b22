"""`depthscope warmup`: compile the kernels, once, with progress."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from depthscope.cli.common import Debug, Json, print_json, progress, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depthscope.jit import Step


def steps(
    features: Iterable[str] | None = None,
    detectors: Iterable[str] | None = None,
    modules: Iterable[str] = (),
    *,
    signals: bool = True,
) -> list[Step]:
    """List what is not compiled in this process yet: kernels of the book and of readers, features.

    Parameters
    ----------
    features : iterable of str, optional
        Features or columns wanted; None for all.
    detectors : iterable of str, optional
        Detectors wanted; None for all.
    modules : iterable of str
        Modules of readers' kernels to import first; others count when something has imported them.
    signals : bool
        Signals too, with what features and detectors they need.
    """
    import importlib

    from depthscope import jit
    from depthscope.features.registry import pending
    from depthscope.signals.members import members_of
    from depthscope.signals.model import Model

    for name in ("depthscope.engine", *modules):
        importlib.import_module(name)
    silent = Model("", 1, 0.0, (), 0.0, 0.0)
    members = members_of(features, detectors, "medium", (lambda _: silent) if signals else None)
    return [*jit.pending(), *pending(members)]


def compile_steps(todo: Sequence[Step], *, always: bool = False) -> None:
    """Compile on every core, with a progress bar where something is not kept yet (or `always`).

    Machine code kept from an earlier run is only loaded, which takes a fraction of a second.
    """
    from depthscope.runtime.compiling import compile_all

    cold = sum(not step.is_kept for step in todo)
    if cold and not sys.stderr.isatty():
        say(f"compiling kernels, once: {cold} of {len(todo)}; all of them take a minute or two …")
    if cold or always:
        with progress("compiling kernels (once)") as advance:
            compile_all(todo, advance)
    else:
        compile_all(todo)


def warm(
    features: Iterable[str] | None = None, detectors: Iterable[str] | None = (), *, signals: bool = False
) -> None:
    """Compile what a command needs once its source is open, so that its own progress is honest."""
    compile_steps(steps(features, detectors, signals=signals))


def warm_readers() -> None:
    """Compile what reads the sources opened so far, for a command that runs no engine."""
    from depthscope import jit

    compile_steps(jit.pending())


def warmup(json: Json = False, debug: Debug = False) -> None:
    r"""Compile the kernels and keep the machine code; other commands then start at once.

    The machine code is kept in the user's cache folder, or in DEPTHSCOPE_CACHE_DIR.

    \b
    Example:
      depthscope warmup
    """
    from time import monotonic

    from depthscope import jit
    from depthscope.runtime.formats import KERNELS

    start = monotonic()
    todo = steps(modules=KERNELS)
    compile_steps(todo, always=True)
    folder = jit.cache_folder()
    report: dict[str, Any] = {
        "compiled": len(todo),
        "seconds": round(monotonic() - start, 3),
        "cache": None if folder is None else str(folder),
    }
    if json:
        print_json(report)
    else:
        kept = f"kept in {folder}" if folder else "not kept: no folder can be written"
        say(f"{report['compiled']} kernels ready in {report['seconds']:.1f} s, {kept}")
