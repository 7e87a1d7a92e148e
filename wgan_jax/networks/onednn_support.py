"""Decides whether oneDNN's calls are used: a setting, and a trial in a subprocess.

The environment variable ``WGAN_JAX_ONEDNN`` is ``auto`` (the default), ``on`` or
``off``; ``use`` sets the same for what is compiled within it. With ``auto`` they are
tried once for each version of jaxlib and each kind of processor, by running this file
in a new process, and the answer is kept in the user's cache folder. ``on`` trusts
without a trial, and an unknown call then ends the program.
"""

import contextlib
import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import jaxlib

from wgan_jax.io.caches import cache_folder
from wgan_jax.io.files import write_text

VARIABLE = "WGAN_JAX_ONEDNN"
MODES = ("auto", "on", "off")
DTYPES = ("float32", "bfloat16")
TRIAL_SECONDS = 120
# Instructions without which oneDNN's bfloat16 is slower than float32.
_BFLOAT16 = ("amx_bf16", "avx512_bf16")
_chosen: ContextVar[str | None] = ContextVar("onednn", default=None)
_NOT_CACHED = "Error writing persistent compilation cache entry for .*bad_alloc"
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def use(mode: str) -> Iterator[None]:
    """Sets the mode for whatever is compiled within.

    Args:
        mode: ``auto``, ``on`` or ``off``.

    Raises:
        ValueError: for another mode.
    """
    token = _chosen.set(_checked(mode, "use"))
    try:
        yield
    finally:
        _chosen.reset(token)


def mode() -> str:
    """The mode in force: that of ``use``, else of the environment, else ``auto``.

    Raises:
        ValueError: if the environment names no mode.
    """
    return _chosen.get() or _checked(os.environ.get(VARIABLE) or "auto", VARIABLE)


def _checked(mode: str, where: str) -> str:
    if mode not in MODES:
        raise ValueError(f"{where} is {mode!r}. Use one of {', '.join(MODES)}.")
    return mode


def is_used(dtype: str) -> bool:
    """Whether oneDNN's calls are compiled for a dtype on this machine's CPU.

    Args:
        dtype: name of a dtype; float64 and float16 never are.
    """
    if dtype not in DTYPES or mode() == "off":
        return False
    return mode() == "on" or dtype in _found()


def takes(ctx: Any, dtype: str) -> bool:
    """Whether the program that is being lowered may hold oneDNN's calls.

    Of several devices the partitioner would give each the whole arrays, since it does
    not see into the calls; an exported program must do without them.

    Args:
        ctx: a lowering rule's context.
        dtype: name of the operands' dtype.
    """
    module = ctx.module_context
    alone = getattr(module.axis_context, "num_devices", None) == 1
    exported = module.lowering_parameters.for_export
    if not alone or exported or not is_used(dtype):
        return False
    # jaxlib cannot write a program with these calls into the compilation cache. It is
    # compiled anew in each process, and JAX would warn of that each time.
    warnings.filterwarnings("ignore", message=_NOT_CACHED)
    return True


def processor() -> str:
    """What tells kinds of processors apart: architecture, model and instructions."""
    rows = {"model name": "", "flags": ""}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if not rows.get(name.strip(), "known"):
                rows[name.strip()] = value.strip()
    return "\n".join([platform.machine(), *rows.values()])


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers itself."""
    flags = processor().splitlines()[-1].split()
    return any(name in flags for name in _BFLOAT16)


@cache
def _found() -> tuple[str, ...]:
    """The dtypes whose calls work here, from the cache or from a trial."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ()
    kind = hashlib.sha256(processor().encode()).hexdigest()[:16]
    kept = cache_folder() / f"onednn-{jaxlib.__version__}-{kind}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return tuple(d for d in DTYPES if d in json.loads(kept.read_text())["dtypes"])
    found, reason = trial()
    if reason:
        _log.warning("oneDNN's kernels are not used: %s", reason)
    if not has_bfloat16():
        found = tuple(dtype for dtype in found if dtype != "bfloat16")
    with contextlib.suppress(OSError):  # tried again next time
        write_text(kept, json.dumps({"dtypes": found, "reason": reason}))
    return found


def trial() -> tuple[tuple[str, ...], str]:
    """Runs the calls in a new process.

    Returns:
        The dtypes whose results are right, and a sentence on why some are missing;
        empty if none is.
    """
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        VARIABLE: "on",
    }
    environment.pop("XLA_FLAGS", None)  # virtual devices of the caller
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wgan_jax.networks.onednn_trial"],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), f"the trial did not end ({type(error).__name__})."
    if done.returncode != 0:
        return (), f"the trial ended with status {done.returncode}."
    try:
        found = json.loads(done.stdout.splitlines()[-1])
        right = tuple(dtype for dtype in DTYPES if found[dtype] == "right")
    except (IndexError, KeyError, TypeError, ValueError):
        return (), "the trial printed no result."
    wrong = [f"{d}: {found[d]}" for d in DTYPES if d not in right]
    return right, f"{', '.join(wrong)}." if wrong else ""
