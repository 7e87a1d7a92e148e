"""Meshes of accelerators that are not there, for the benchmarks that compile for them.

``wgan_jax/planning/accelerators.py`` has the targets and says what their compilers are;
``pip install 'wgan-jax[plan]'`` installs these.
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
    """Settings without which the compilers look for devices; before JAX's first use."""
    prepare_environment()
    jax.config.update("jax_platforms", "cpu")


def meshes(devices: int = 1, targets: Sequence[str] = TARGETS) -> dict[str, Mesh]:
    """A mesh of devices that are not there for each target whose compiler is.

    Says which target is left out and why; ends the program with a sentence on what
    to install if none is left.

    Args:
        devices: in each mesh, at most 4: those of a whole host.
        targets: to look for.
    """
    found = {}
    for name in targets:
        try:
            found[name] = target_mesh(_WHOLE[name], devices)
        except MissingCompilerError as error:
            print(f"{name}: left out, {error}")
    if not found:
        print(
            f"no compiler for an accelerator was found; install them with {INSTALL}.",
            file=sys.stderr,
        )
        sys.exit(2)
    return found
