"""Checks of this machine: Python, packages, kernels, disks, clock, settings, port, page."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from contextlib import closing
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

import depthscope
from depthscope.config import Settings, load_settings
from depthscope.errors import ConfigError
from depthscope.ops.doctor import Check
from depthscope.storage.space import SpaceLevel, SpaceLimits, space_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from depthscope.jit import Step

__all__ = [
    "check_assets",
    "check_clock",
    "check_folder",
    "check_kernels",
    "check_packages",
    "check_port",
    "check_python",
    "check_threads",
    "read_settings",
]

PACKAGE: Final = Path(depthscope.__file__).resolve().parent
GiB: Final = 1 << 30
_SPACE: Final = SpaceLimits()
_PROBE: Final = b"\0" * 65_536
_LINK: Final = re.compile(r"""(?:src|href)=["']/?([^"'#?:]+)["']""")
_IMPORT: Final = re.compile(r"""(?:from|import|new Worker\(|new URL\()\s*["'](\.{0,2}/[^"']+\.m?js)["']""")


def check_python(info: tuple[int, int, int] | None = None, bits: int | None = None) -> Iterator[Check]:
    """Version and word size of the interpreter.

    Parameters
    ----------
    info, bits : tuple of int, int
        Of another interpreter than this one.
    """
    info = info or (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    bits = bits or sys.maxsize.bit_length() + 1
    text = f"Python {'.'.join(map(str, info))}, {bits} bits, on {platform.platform()}."
    if info < (3, 11):
        yield Check("python", "fail", text, "Install Python 3.11 or newer and depthscope in it.")
    elif bits < 64:
        yield Check("python", "fail", text, "Install a 64-bit Python: books are arrays of 64-bit integers.")
    else:
        yield Check("python", "ok", text)


def check_packages(requirements: Sequence[str] | None = None, pins: Path | None = None) -> Iterator[Check]:
    """Installed packages against the ranges depthscope declares and the versions it is tested with.

    Parameters
    ----------
    requirements : sequence of str, optional
        Those of depthscope by default.
    pins : Path, optional
        Lines ``name==version``; constraints.txt of a source checkout by default.
    """
    missing, wrong, apart = [], [], []
    pins = PACKAGE.parents[1] / "constraints.txt" if pins is None else pins
    tested = _pins(pins)
    wanted = [
        Requirement(text) for text in (requires("depthscope") or [] if requirements is None else requirements)
    ]
    wanted = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in wanted:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            missing.append(requirement.name)
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} (needs {requirement.specifier})")
        elif tested.get(requirement.name, found) != found:
            apart.append(f"{requirement.name} {found} (tested with {tested[requirement.name]})")
    if missing or wrong:
        said = [*(f"{name} is not installed" for name in missing), *wrong]
        yield Check("packages", "fail", f"{'; '.join(said)}.", "Run `pip install --upgrade depthscope`.")
    elif apart:
        yield Check(
            "packages",
            "warn",
            f"Within their ranges, but not what the tests run with: {'; '.join(apart)}.",
            "If something misbehaves, run `pip install -c constraints.txt -e .` and try again.",
        )
    else:
        yield Check("packages", "ok", f"{len(wanted)} packages as required.")


def _pins(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}  # an installed package has none with it
    found = (line.split(";")[0].strip().partition("==") for line in lines if "==" in line)
    return {name: pinned for name, _, pinned in found}


def check_kernels(steps: Callable[[], Sequence[Step]]) -> Iterator[Check]:
    """Where compiled kernels are kept, and whether they are ready.

    Parameters
    ----------
    steps : callable
        Lists what is not loaded in this process yet. It is loaded where all of it is kept.
    """
    import warnings

    from depthscope.jit import cache_folder

    cache_folder.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        folder = cache_folder()
    if folder is None:
        why = str(said[0].message) if said else "Compiled kernels cannot be kept."
        yield Check(
            "kernel cache",
            "fail",
            why,
            "Set DEPTHSCOPE_CACHE_DIR to a folder that can be written; else each start takes minutes.",
        )
        return
    yield Check("kernel cache", "ok", f"Kept in {folder}.")
    todo, began = steps(), time.monotonic()
    kept = sum(step.is_kept for step in todo)
    if kept < len(todo):
        yield Check(
            "kernels",
            "warn",
            f"{kept} of {len(todo)} are compiled.",
            "Run `depthscope warmup` once: it takes a minute or two, later starts take a second.",
        )
        return
    for step in todo:
        step.build()
    yield Check("kernels", "ok", f"{len(todo)} loaded in {time.monotonic() - began:.1f} s.")


def check_threads(threads: int = 2, environ: Mapping[str, str] | None = None) -> Iterator[Check]:
    """Cores this process may use, and switches of the compiler that spoil it.

    Parameters
    ----------
    threads : int
        The setting.
    environ : mapping, optional
        The environment; the process's own by default.
    """
    environ = os.environ if environ is None else environ
    import numba

    from depthscope.runtime.compiling import cores

    if environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield Check(
            "threads",
            "fail",
            "NUMBA_DISABLE_JIT is set: kernels run uncompiled, hundreds of times slower.",
            "Unset NUMBA_DISABLE_JIT.",
        )
        return
    have = cores()
    text = f"{have} cores, setting threads = {threads}, numba {numba.__version__}."
    if threads > have:
        yield Check(
            "threads", "warn", text, "Set threads = 1: two threads on one core only get in each other's way."
        )
    else:
        yield Check("threads", "ok", text)


def check_folder(name: str, folder: Path, *, write: bool = True, hint: str = "") -> Iterator[Check]:
    """Whether a folder is there, takes data, and has room.

    Parameters
    ----------
    name : str
        What it is for.
    folder : Path
        It, or where it will be made.
    write : bool
        Whether it has to take data.
    hint : str
        How to name another one.
    """
    label = f"disk: {name}"
    there = folder
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        if not write and there != folder:
            yield Check(label, "fail", f"There is no folder {folder}.", hint or "Make it, or name another.")
            return
        if not there.is_dir():
            yield Check(label, "fail", f"{there} is a file, not a folder.", hint or "Name another folder.")
            return
        usage = shutil.disk_usage(there)
    except OSError as error:
        yield Check(label, "fail", f"{folder} cannot be looked at: {error.strerror or error}.", hint)
        return
    text = f"{folder}: {usage.free / GiB:,.1f} GiB free of {usage.total / GiB:,.1f}."
    if write:
        try:
            with tempfile.NamedTemporaryFile(dir=there, prefix=".depthscope-probe-") as probe:
                probe.write(_PROBE)
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            what = (
                "make room there"
                if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
                else "give it to this user"
            )
            yield Check(
                label,
                "fail",
                f"{folder} cannot be written: {error.strerror or error}. {text}",
                f"Either {what}, or name another folder. {hint}".strip(),
            )
            return
        level = space_level(usage.free, _SPACE)
        if level == SpaceLevel.CRITICAL:
            advice = f"Make room there: below {_SPACE.critical / GiB:,.0f} GiB nothing is recorded. {hint}"
            yield Check(label, "fail", text, advice.strip())
            return
        if level == SpaceLevel.LOW:
            yield Check(label, "warn", text, f"Move or archive old recordings. {hint}".strip())
            return
    yield Check(label, "ok", text)


def read_settings(path: Path | None, environ: Mapping[str, str] | None = None) -> tuple[Settings, Check]:
    """Read the settings; a name that is not known is told with the nearest known one.

    Parameters
    ----------
    path : Path, optional
        The file; the usual places by default.
    environ : mapping, optional
        The environment; the process's own by default.

    Returns
    -------
    (Settings, Check)
        What to check the rest with (the defaults where they cannot be read), and what was found.
    """
    try:
        settings = load_settings(path, environ)
    except ConfigError as error:
        return Settings(), Check("settings", "fail", str(error), "Correct it; nothing runs until then.")
    text = f"Read; port {settings.port}, log level {settings.log_level}."
    return settings, Check("settings", "ok", text)


def check_port(port: int, host: str = "127.0.0.1") -> Iterator[Check]:
    """Whether the page can listen.

    Parameters
    ----------
    port : int
        The setting; 0 takes a free one.
    host : str
        The address.
    """
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as sock:
        try:
            if sys.platform == "win32":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(1)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "another program listens there" if taken else error.strerror or str(error)
            yield Check(
                "port",
                "fail",
                f"The page cannot use port {port}: {why}.",
                "End the other program, which may be a depthscope that is still running, or choose --port.",
            )
            return
    yield Check("port", "ok", f"{port} is free." if port else "A free one is taken.")


def check_clock(
    wall: Callable[[], int] = time.time_ns,
    steady: Callable[[], int] = time.monotonic_ns,
    made: float | None = None,
) -> Iterator[Check]:
    """Whether the clocks can be right as far as this machine alone can tell.

    Parameters
    ----------
    wall, steady : callable
        UTC ns, and monotonic ns.
    made : float, optional
        Seconds since 1970 when this package was installed, which is in the past.
    """
    readings = [steady() for _ in range(1_000)]
    steps = [b - a for a, b in pairwise(readings)]
    if min(steps) < 0:
        yield Check(
            "clock",
            "fail",
            "The monotonic clock goes back: receive times cannot be relied on.",
            "Restart the machine; on a virtual one, choose another clock source.",
        )
        return
    made = (PACKAGE / "__init__.py").stat().st_mtime if made is None else made
    behind = made - wall() / 1e9
    if behind > 120:
        yield Check(
            "clock",
            "fail",
            f"This machine's clock is at least {behind / 3600:,.1f} h slow: depthscope was installed later.",
            "Synchronise the clock (NTP).",
        )
        return
    yield Check(
        "clock",
        "ok",
        f"Monotonic, {max(steps) / 1e3:,.1f} µs at most between two readings. Whether it tells the right "
        "time, --network asks the venue.",
    )


def check_assets(folder: Path = PACKAGE / "web" / "static") -> Iterator[Check]:
    """Whether the page's files are there, as far as they name one another.

    Parameters
    ----------
    folder : Path
        Where they should be.
    """
    start = folder / "index.html"
    todo, seen = [start], {start}
    missing = []
    while todo:
        path = todo.pop()
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            missing.append(path.relative_to(folder).as_posix())
            continue
        if path.suffix == ".html":
            names = [folder / name for name in _LINK.findall(text)]
        elif path.suffix in (".js", ".mjs"):
            names = [
                (folder if n.startswith("/") else path.parent) / n.lstrip("/") for n in _IMPORT.findall(text)
            ]
        else:
            names = []
        for name in names:
            whole = Path(os.path.normpath(name))
            if whole not in seen:
                seen.add(whole)
                todo.append(whole)
    if missing:
        yield Check(
            "page",
            "fail",
            f"Files of the page are missing: {', '.join(sorted(missing)[:5])}.",
            "Install depthscope again: `pip install --force-reinstall depthscope`.",
        )
    else:
        yield Check("page", "ok", f"All {len(seen)} files are there.")
