"""`depthscope warmup`: compile the kernels, once, with progress."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from depthscope.cli.common import Debug, Json, print_json, progress, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Step = tuple[str, "Callable[[], object]"]

PATIENCE = 2.5  # seconds: loading kept machine code takes less, compiling a good deal more


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
    """Compile, with a progress bar once it takes long (or `always`).

    Machine code kept from an earlier run is only loaded, which takes a fraction of a second.
    """
    from time import monotonic

    start, said = monotonic(), False
    remaining = iter(enumerate(todo))
    if not always:
        for _, (_, build) in remaining:
            build()
            if monotonic() - start > PATIENCE:
                break
    with progress("compiling kernels (once)") as advance:
        for done, (_, build) in remaining:
            if not said and not sys.stderr.isatty() and monotonic() - start > PATIENCE:
                say("compiling kernels, once: two minutes or so …")
                said = True
            advance(done, len(todo))
            build()
            advance(done + 1, len(todo))


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
    from depthscope.cli.beside import PATIENCE as PATIENCE_BESIDE
    from depthscope.cli.beside import compiling
    from depthscope.runtime.formats import KERNELS

    start = monotonic()
    with compiling(KERNELS) as beside:
        todo = steps()
        compile_steps(todo, always=True)
        if beside is not None:
            beside.join(PATIENCE_BESIDE)
        rest = steps(modules=KERNELS)
        compile_steps(rest, always=True)
    ready = {name for name, _ in (*todo, *rest)}
    folder = jit.cache_folder()
    report: dict[str, Any] = {
        "compiled": len(ready),
        "seconds": round(monotonic() - start, 3),
        "cache": None if folder is None else str(folder),
    }
    if json:
        print_json(report)
    else:
        kept = f"kept in {folder}" if folder else "not kept: no folder can be written"
        say(f"{report['compiled']} kernels ready in {report['seconds']:.1f} s, {kept}")
