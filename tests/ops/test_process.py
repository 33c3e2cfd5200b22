"""Memory that was freed goes back to the system when it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from depthscope.ops.process import release_memory, resident_bytes

THREADS = """
import ctypes, sys, threading
from depthscope.ops.process import one_heap

print(one_heap() if sys.argv[1] == "one" else False)
ready = threading.Barrier(5)

def work():
    held = [bytes(5_000) for _ in range(100)]
    ready.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
ready.wait()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()  # to stderr
"""


def heaps(how: str, **environment: str) -> tuple[bool, int]:
    """Whether the wish was heard, and how many heaps four threads made glibc have."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, "-c", THREADS, how],
        capture_output=True,
        text=True,
        check=True,
        env=kept | environment,
    )
    return done.stdout.strip() == "True", done.stderr.count("Arena ")


@pytest.mark.skipif(not release_memory(), reason="another allocator")
def test_threads_share_one_heap_unless_the_user_set_another_number() -> None:
    heard, shared = heaps("one")
    assert (heard, shared) == (True, 1)
    assert heaps("usual")[1] > shared, "they share one by themselves: we need not ask"
    heard, told = heaps("one", MALLOC_ARENA_MAX="3")
    assert not heard
    assert told > shared


FREED = """
from depthscope.ops.process import release_memory, resident_bytes

before = resident_bytes()
held = [bytes(20_000) for _ in range(4_000)]  # each below what the allocator maps for itself
kept = held[::50]
del held
freed = resident_bytes()
asked = release_memory()
print(before, freed, resident_bytes(), asked, len(kept))
"""


@pytest.mark.skipif(not release_memory(), reason="the allocator takes no such wish")
def test_pages_between_blocks_in_use_are_given_back() -> None:
    """In a process of its own: here, what other tests freed would be given back, too."""
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    before, freed, after, *_ = done.stdout.split()
    assert int(freed) - int(before) > 40e6, "the allocator gives them back by itself: we need not ask"
    assert int(after) - int(before) < 10e6


def test_it_does_nothing_to_what_is_in_use() -> None:
    held = [bytes([k % 256]) * 20_000 for k in range(500)]
    release_memory()
    assert all(data == bytes([k % 256]) * 20_000 for k, data in enumerate(held))
    assert resident_bytes() != 0


SETTLED = """
import gc, sys, weakref
from depthscope.ops.process import settle_memory

class Connection:
    def __init__(self):
        self.me = self

program = [[k] for k in range(400_000)]  # what a session is made of
settle_memory() if sys.argv[1] == "settle" else gc.collect()
lost = []
for _ in range(30):
    held = [Connection() for _ in range(1_000)]
    gc.collect(1)  # they grow old, as connections do before they are lost
    lost += map(weakref.ref, held)
print(sum(ref() is not None for ref in lost))
"""


def test_cycles_do_not_pile_up_beside_a_large_program() -> None:
    """Without it they do: old ones are looked at once those that are new are a quarter of all."""
    piled, few = (
        int(subprocess.run([sys.executable, "-c", SETTLED, what], capture_output=True, check=True).stdout)
        for what in ("leave", "settle")
    )
    assert 2 * few < piled
