"""Tests that freed memory stays in the process and is reused."""

import subprocess
import sys

import pytest

from wgan_jax import memory

# Counts minor page faults of twenty blocks of 96 MB that are filled and freed.
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


def test_freed_blocks_are_reused():
    kept, count = faults("keep")
    if not kept:
        pytest.skip("the C library is not glibc")
    assert count < 100
    assert faults("leave")[1] > 1000  # pages of a block, per iteration


def test_other_systems_are_unchanged(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    assert memory.keep_freed_memory() is False


def test_other_c_libraries_are_unchanged(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False
