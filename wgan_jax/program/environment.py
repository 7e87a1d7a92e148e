"""Settings of the process: switches of JAX, caches and the home folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from wgan_jax.io.caches import cache_folder, can_write, private_folder
from wgan_jax.planning.accelerators import prepare_environment
from wgan_jax.program.console import Log, warn

# Why switches of JAX are changed, with a place for the value.
OF_RUN = (
    "the run began with {}, which is used. For another value, start a run in another "
    "--workdir."
)
OF_FORK = (
    "the forked run began with {}, which is used. For another value, use --init, which "
    "takes only its weights."
)
OF_PRETRAINED = "{} is used, so that a seed always gives the same images."


def ensure_home() -> None:
    """Sets HOME if the user has no home directory; bokeh and tfds need one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(private_folder())


def use_switches(
    recorded: Mapping[str, Any], *, log: Log, reason: str = OF_RUN
) -> None:
    """Sets switches of JAX, whatever the environment says.

    Args:
        recorded: value of each switch.
        log: function that prints one line.
        reason: why the values are used, ``OF_RUN``, ``OF_FORK`` or
            ``OF_PRETRAINED``.
    """
    for name, value in recorded.items():
        now = getattr(jax.config, name, value)
        if now != value:
            because = reason.format(value)
            warn(log, f"{name.upper()} is {now} here, but {because}")
            jax.config.update(name, value)


def use_compilation_cache(*, log: Log) -> None:
    """Enables JAX's persistent compilation cache, so that later starts are faster.

    Args:
        log: function that prints one line.
    """
    folder = cache_folder()
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        if can_write(folder):
            jax.config.update("jax_compilation_cache_dir", str(folder))
        else:
            warn(
                log,
                f"Compiled programs cannot be kept in {folder}, so that each start "
                "compiles them again.",
            )
    if not os.environ.get("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def use_cpu_for_planning() -> None:
    """Plans on the CPU, without the compilation cache."""
    prepare_environment()
    jax.config.update("jax_platforms", "cpu")
    # The compile time is reported, and a cache hit would hide it.
    jax.config.update("jax_enable_compilation_cache", False)
