"""Memory that is freed stays with the process, and is not fetched anew."""

import subprocess
import sys

import pytest

from wgan_jax import memory

# Minor faults of twenty blocks of 96 MB, each of which is filled and freed.
PROGRAM = """
import resource, sys
import numpy as np
from wgan_jax.memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
def fill():
    np.ones(96 * 2**17)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    fill()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return [int(word) for word in run.stdout.split()]


def test_blocks_are_used_again():
    kept, count = faults("keep")
    if not kept:
        pytest.skip("the C library is not glibc")
    assert count < 100
    assert faults("leave")[1] > 1000  # the pages of a block, each time


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    assert memory.keep_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False
