"""Compile-only device meshes for the benchmarks.

``wgan_jax/planning/accelerators.py`` defines the targets and describes their
compilers. ``pip install 'wgan-jax[plan]'`` installs the compilers.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
from jax.sharding import Mesh

from wgan_jax.errors import MissingCompilerError
from wgan_jax.planning.accelerators import (
    INSTALL,
    Target,
    prepare_environment,
    target_mesh,
)

TPU, GPU = TARGETS = "v5e", "H100"
_WHOLE = {TPU: Target("v5e", "2x2"), GPU: Target("h100", "4")}


def prepare() -> None:
    """Keeps compilers from looking for devices; call before the first use of JAX."""
    prepare_environment()
    jax.config.update("jax_platforms", "cpu")


def meshes(devices: int = 1, targets: Sequence[str] = TARGETS) -> dict[str, Mesh]:
    """Returns a compile-only mesh for each target with an installed compiler.

    It prints which targets are skipped and why. If none is left, it ends the
    program with a message that says what to install.

    Args:
        devices: number of devices per mesh, at most 4, the number on a whole
            host.
        targets: names of targets.
    """
    found = {}
    for name in targets:
        try:
            found[name] = target_mesh(_WHOLE[name], devices)
        except MissingCompilerError as error:
            print(f"{name}: skipped, {error}")
    if not found:
        print(
            f"no compiler for an accelerator is installed. Run {INSTALL}.",
            file=sys.stderr,
        )
        sys.exit(2)
    return found
