"""Decides whether oneDNN calls are used: by a setting or a trial in a subprocess.

The environment variable ``WGAN_JAX_ONEDNN`` is ``auto`` (the default), ``on``
or ``off``. ``use`` sets the mode for code compiled within it. With ``auto``,
the calls are tested once per jaxlib version and processor type, by running
``onednn_trial`` in a new process. The result is stored in the user's cache
folder. ``on`` skips the trial; an unsupported call then terminates the program.
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
from collections.abc import Iterator, Sequence
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
_RIGHT = "right"
# One of these instructions is needed for a gain: without them, XLA is as fast in
# float32, and oneDNN rejects bfloat16 or is slower than in float32.
_NEEDED = {"float32": ("avx512f",), "bfloat16": ("amx_bf16", "avx512_bf16")}
_chosen: ContextVar[str | None] = ContextVar("onednn", default=None)
_NOT_CACHED = "Error writing persistent compilation cache entry for .*bad_alloc"
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def use(mode: str) -> Iterator[None]:
    """Sets the mode for everything compiled within the context.

    Args:
        mode: ``auto``, ``on`` or ``off``.

    Raises:
        ValueError: for any other mode.
    """
    token = _chosen.set(_checked(mode, "use"))
    try:
        yield
    finally:
        _chosen.reset(token)


def mode() -> str:
    """Returns the current mode: from ``use``, the environment, or else ``auto``.

    Raises:
        ValueError: if the environment variable has an invalid value.
    """
    return _chosen.get() or _checked(os.environ.get(VARIABLE) or "auto", VARIABLE)


def _checked(mode: str, where: str) -> str:
    if mode not in MODES:
        raise ValueError(f"{where} is {mode!r}; it must be one of {', '.join(MODES)}.")
    return mode


def is_used(dtype: str) -> bool:
    """Returns whether oneDNN calls are compiled for a dtype on this machine's CPU.

    Args:
        dtype: name of a dtype; always False for float64 and float16.
    """
    if dtype not in DTYPES or mode() == "off":
        return False
    return mode() == "on" or dtype in _found()


def takes(ctx: Any, dtype: str) -> bool:
    """Returns whether the program being lowered may contain oneDNN calls.

    With several devices, the partitioner cannot see into the calls and would
    give each device the whole arrays. Exported programs must not contain the
    calls.

    Args:
        ctx: context of a lowering rule.
        dtype: name of the dtype of the operands.
    """
    module = ctx.module_context
    alone = getattr(module.axis_context, "num_devices", None) == 1
    exported = module.lowering_parameters.for_export
    if not alone or exported or not is_used(dtype):
        return False
    # jaxlib cannot write programs with these calls to the compilation cache, so they
    # are compiled in each process. JAX would warn about it every time.
    warnings.filterwarnings("ignore", message=_NOT_CACHED)
    return True


def processor() -> str:
    """Returns the architecture, model and instructions that identify a processor."""
    rows = {"model name": "", "flags": ""}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if not rows.get(name.strip(), "known"):
                rows[name.strip()] = value.strip()
    return "\n".join([platform.machine(), *rows.values()])


def gains(dtype: str) -> bool:
    """Returns whether oneDNN can be faster than XLA on this processor.

    Args:
        dtype: one of ``DTYPES``.
    """
    instructions = processor().splitlines()[-1].split()
    if not instructions:  # unknown, not on Linux
        return dtype == "float32"
    return any(name in instructions for name in _NEEDED[dtype])


@cache
def _found() -> tuple[str, ...]:
    """Returns the dtypes whose calls work here, from the cache or from a trial."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ()
    asked = tuple(dtype for dtype in DTYPES if gains(dtype))
    if not asked:
        return ()
    kind = hashlib.sha256(processor().encode()).hexdigest()[:16]
    kept = cache_folder() / f"onednn-{jaxlib.__version__}-{kind}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        results = json.loads(kept.read_text())["results"]
        return tuple(dtype for dtype in asked if results[dtype] == _RIGHT)
    results = trial(asked)
    for dtype, result in results.items():
        if result != _RIGHT:
            _log.warning("oneDNN's %s kernels are not used: %s.", dtype, result)
    with contextlib.suppress(OSError):  # tried again next time
        write_text(kept, json.dumps({"results": results}))
    return tuple(dtype for dtype in asked if results[dtype] == _RIGHT)


def trial(dtypes: Sequence[str]) -> dict[str, str]:
    """Runs the calls in a new process.

    Args:
        dtypes: names of the dtypes to test, in this order.

    Returns:
        For each dtype ``right`` or what was wrong.
    """
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        VARIABLE: "on",
    }
    environment.pop("XLA_FLAGS", None)  # virtual devices of the caller
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wgan_jax.networks.onednn_trial", *dtypes],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"the trial did not finish ({type(error).__name__})"
        return dict.fromkeys(dtypes, why)
    why = f"the trial exited with status {done.returncode}"
    if done.returncode == 0:
        why = "the trial printed no result"
    return dict.fromkeys(dtypes, why) | _printed(done.stdout)


def _printed(text: str) -> dict[str, str]:
    """Returns the results among the lines that a trial printed."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError):
            found |= json.loads(line)
    return {dtype: found[dtype] for dtype in DTYPES if dtype in found}
