"""Kernels compiled by several processes: all kept, none waited for in vain, nothing left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COUNT = 12
MODULE = "from depthscope.jit import kernel\nfrom numba import int64\n" + "".join(
    f"\n@kernel(int64(int64))\ndef many{k}(a):\n    return a + {k}\n" for k in range(COUNT)
)

# arguments: cores, what a helper does instead of helping, how the caller behaves
DRIVER = """
import json, os, subprocess, sys, tempfile, time
from pathlib import Path
from depthscope import jit
from depthscope.runtime import compiling
import many

cores, instead, manner = sys.argv[1:]
compiling.cores = lambda: int(cores)
started = []

class Popen(subprocess.Popen):
    def __init__(self, command, **more):
        if instead == "none":
            raise BlockingIOError("no more processes")
        super().__init__([*command[:1], "-c", instead, *command[4:]] if instead else command, **more)
        started.append(self.pid)
        print(self.pid, flush=True)

compiling.subprocess.Popen = Popen
todo = [step for step in jit.pending() if step.module == "many"]
told = []

def tell(done, total):
    told.append((done, total))
    if manner == "fail" and len(told) == 3:
        raise ValueError("the caller had enough")
    if manner == "wait" and len(told) == 1:  # until a helper has done something
        end = time.monotonic() + 100
        while not list(Path(tempfile.gettempdir()).glob("*/*.done")) and time.monotonic() < end:
            time.sleep(0.01)
    if manner == "stand":
        time.sleep(1000)

before = [step.is_kept for step in todo]
try:
    compiling.compile_all(todo, tell)
except ValueError as error:
    told.append(str(error))
alive = [pid for pid in started if Path(f"/proc/{pid}").exists()]
stats = [getattr(many, f"many{k}").stats for k in range(len(todo))]
print(json.dumps({
    "before": before, "after": [step.is_kept for step in todo], "told": told, "alive": alive,
    "mine": sum(sum(s.cache_misses.values()) for s in stats),
    "loaded": sum(sum(s.cache_hits.values()) for s in stats),
    "answers": [getattr(many, f"many{k}")(1) for k in range(len(todo))] if manner != "fail" else None,
    "left": [str(p) for p in Path(tempfile.gettempdir()).iterdir()],
}))
"""


def drive(
    folder: Path, cores: int, instead: str = "", manner: str = "", cwd: str = "", **environ: str
) -> subprocess.Popen[str]:
    """Start the driver in an empty folder, with a cache and a folder for temporary files of its own."""
    (folder / "many.py").write_text(MODULE)
    (folder / "driver.py").write_text(DRIVER)
    (folder / "tmp").mkdir()
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    surroundings = os.environ | {
        "PYTHONPATH": path,
        "DEPTHSCOPE_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "tmp"),
    } | environ  # fmt: skip
    command = [sys.executable, str(folder / "driver.py"), str(cores), instead, manner]
    return subprocess.Popen(command, cwd=folder / cwd, env=surroundings, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> tuple[list[int], dict[str, Any]]:
    """Helpers' process ids, and what the driver found."""
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    *pids, last = out.splitlines()
    found: dict[str, Any] = json.loads(last)
    return [int(pid) for pid in pids], found


def check(found: dict[str, Any]) -> None:
    """All is compiled and kept, nothing is left over, progress goes one way."""
    assert found["before"] == [False] * COUNT
    assert found["after"] == [True] * COUNT
    assert found["answers"] == [1 + k for k in range(COUNT)]
    assert found["mine"] + found["loaded"] == COUNT
    assert found["alive"] == found["left"] == []
    assert found["told"] == sorted(found["told"])
    assert found["told"][-1] == [COUNT, COUNT]


def test_helpers_compile_a_part(tmp_path: Path) -> None:
    """Also where it is run in a folder with files that are called like modules."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "numba.py").write_text("raise SystemExit('not the compiler')")
    process = drive(tmp_path, 3, manner="wait", cwd="here")
    pids, found = result(process)
    check(found)
    assert len(pids) == 2, "a process for every core"
    assert found["loaded"] >= 1, "what a helper has compiled is read"


@pytest.mark.parametrize(
    "instead",
    [
        "raise SystemExit(3)",
        "import sys\nfor k in range(12): open(f'{sys.argv[1]}/many.many{k}.taken', 'w').close()",
    ],
    ids=["dies at once", "takes everything and dies"],
)
def test_what_helpers_leave_behind_is_done_here(tmp_path: Path, instead: str) -> None:
    process = drive(tmp_path, 2, instead)
    pids, found = result(process)
    check(found)
    assert (len(pids), found["mine"]) == (1, COUNT)


def test_a_helper_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    instead = "import sys, time\nopen(f'{sys.argv[1]}/many.many11.taken', 'w').close()\ntime.sleep(900)"
    (tmp_path / "sitecustomize.py").write_text("import depthscope.runtime.compiling as c\nc.LONGEST = 0.3\n")
    process = drive(tmp_path, 2, instead)
    pids, found = result(process)
    check(found)
    assert (len(pids), found["mine"]) == (1, COUNT)


@pytest.mark.parametrize(("cores", "cache"), [(1, ""), (8, "/dev/null/no")], ids=["one core", "no cache"])
def test_alone_where_help_is_of_no_use(tmp_path: Path, cores: int, cache: str) -> None:
    process = drive(tmp_path, cores, **({"DEPTHSCOPE_CACHE_DIR": cache} if cache else {}))
    pids, found = result(process)
    assert pids == []
    assert found["answers"] == [1 + k for k in range(COUNT)]
    assert found["after"] == [not cache] * COUNT


def test_alone_where_no_process_can_be_started(tmp_path: Path) -> None:
    pids, found = result(drive(tmp_path, 3, "none"))
    check(found)
    assert (pids, found["mine"]) == ([], COUNT)


def test_helpers_end_with_a_caller_that_fails(tmp_path: Path) -> None:
    process = drive(tmp_path, 2, manner="fail")
    pids, found = result(process)
    assert len(pids) == 1
    assert found["told"][-1] == "the caller had enough"
    assert found["alive"] == found["left"] == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_helpers_end_after_a_caller_that_was_killed(tmp_path: Path) -> None:
    process = drive(tmp_path, 2, manner="stand")
    assert process.stdout is not None
    helper = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 60
    while alive := Path(f"/proc/{helper}").exists():
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    assert not alive
    taken = list(tmp_path.glob("tmp/*/*.taken"))
    assert len(taken) < COUNT, "it saw that nobody waits for it"


def test_every_function_has_a_name_of_its_own_where_it_can_be_found() -> None:
    """In a process of its own: this one has some of them compiled, which are then not pending."""
    script = """
from depthscope.cli.warmup import steps
from depthscope.runtime.formats import KERNELS
todo = steps(modules=KERNELS)
assert len({(step.module, step.function) for step in todo}) == len(todo) > 50, len(todo)
for step in todo:
    step.build()
print([step.name for step in todo if not step.is_kept])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
