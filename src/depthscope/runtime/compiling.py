"""Compiling in several processes, so that a first run is short where there are cores.

Helpers begin at the end of the list and keep the machine code on disk, where this process finds it. Who takes
a function first, by making a file in a folder of this run, compiles it. Helpers are only help: what they
cannot do, or leave behind when they die, this process does for itself.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess  # nosec B404
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from depthscope import jit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["compile_all", "cores"]

FEW: Final = 4  # functions a process should have to compile: with fewer, its start is not worth while
MOST: Final = 8  # processes: the longest function takes an eighth of the time of all
PAUSE: Final = 0.02  # seconds between looks at what helpers have done
LONGEST: Final = 60.0  # seconds without anything done after which helpers are not waited for any more
PATIENCE: Final = 5.0  # seconds a helper may take to end
LIST: Final = "list"  # file of the functions, a line each: module and name


def compile_all(todo: Sequence[jit.Step], tell: Callable[[int, int], object] | None = None) -> None:
    """Compile, or load where machine code is kept; on a first run with the help of other cores.

    Parameters
    ----------
    todo : sequence of Step
        What is to be ready in this process.
    tell : callable, optional
        Told (done, total) before each function and at the end. What it raises ends the work, helpers too.
    """
    told = tell or (lambda done, total: None)
    with _crew([step for step in todo if not step.is_kept]) as crew:
        mine, theirs = 0, []
        for step in todo:
            told(mine + crew.done, len(todo))
            if crew.leaves(step):
                step.build()
                mine += 1
            else:
                theirs.append(step)
        for step in theirs:
            seen, since = crew.done, time.monotonic()
            while crew.is_at(step) and time.monotonic() - since < LONGEST:
                told(mine + crew.done, len(todo))
                time.sleep(PAUSE)
                if crew.done != seen:
                    seen, since = crew.done, time.monotonic()
            step.build()  # loads it, or compiles it after all
    told(len(todo), len(todo))


def cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _take(folder: Path, module: str, function: str) -> bool:
    """Take a function, unless somebody has."""
    try:
        (folder / f"{module}.{function}.taken").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class _Crew:
    """The helpers of one run (there may be none) and what they say by files of a folder."""

    def __init__(self, folder: Path | None = None, cold: Sequence[jit.Step] = (), helpers: int = 0) -> None:
        self._folder = folder
        self._cold = {(step.module, step.function) for step in cold}
        self._processes: list[subprocess.Popen[bytes]] = []
        if folder is not None:
            lines = [f"{step.module} {step.function}\n" for step in reversed(cold)]
            (folder / LIST).write_text("".join(lines), encoding="utf-8")
            # -P: a file of the folder it is run in must not stand for a module.
            command = [sys.executable, "-P", "-m", __name__, str(folder), str(os.getpid())]
            nowhere = subprocess.DEVNULL
            # No more processes, or no interpreter to start: as many help as there are.
            with suppress(OSError):
                for _ in range(helpers):
                    process = subprocess.Popen(  # noqa: S603 - this program, and no shell  # nosec B603
                        command, stdin=nowhere, stdout=nowhere, stderr=nowhere
                    )
                    self._processes.append(process)

    @property
    def done(self) -> int:
        """How many functions helpers have compiled."""
        return 0 if self._folder is None else sum(1 for _ in self._folder.glob("*.done"))

    def leaves(self, step: jit.Step) -> bool:
        """Whether this process is to do it: nobody else has begun."""
        if self._folder is None or (step.module, step.function) not in self._cold:
            return True
        return _take(self._folder, step.module, step.function)

    def is_at(self, step: jit.Step) -> bool:
        """Whether a helper may still be compiling it."""
        if self._folder is None or (self._folder / f"{step.module}.{step.function}.done").exists():
            return False
        return any(process.poll() is None for process in self._processes)

    def end(self) -> None:
        """End what still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _crew(cold: Sequence[jit.Step]) -> Iterator[_Crew]:
    """Start as many helpers as are of use."""
    helpers = min(cores(), MOST, len(cold) // FEW) - 1
    if helpers < 1 or jit.cache_folder() is None:
        yield _Crew()
        return
    with tempfile.TemporaryDirectory(prefix="depthscope-") as folder:
        crew = _Crew(Path(folder), cold, helpers)
        try:
            yield crew
        finally:
            crew.end()


def _help(folder: Path, parent: int) -> None:
    """Compile what nobody has taken, from the first line of the list on, as long as the parent lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl+C is for the parent, which ends us
    from depthscope.features.components import compiled

    for line in (folder / LIST).read_text(encoding="utf-8").splitlines():
        module, function = line.split()
        held = getattr(importlib.import_module(module), function)
        if os.getppid() != parent or not _take(folder, module, function):
            continue
        kernel = next((s for s in jit.pending() if (s.module, s.function) == (module, function)), None)
        if kernel is not None:
            kernel.build()
        else:
            compiled(held)
        (folder / f"{module}.{function}.done").touch()


if __name__ == "__main__":
    _help(Path(sys.argv[1]), int(sys.argv[2]))
