r"""Compilers for accelerators that are not there, as meshes to compile for.

They are in wheels that need no driver, and run on any machine:

    pip install --no-deps libtpu jax-cuda12-plugin==VERSION \
        jax-cuda12-pjrt==VERSION nvidia-cuda-nvcc-cu12

with the installed jax's VERSION. The H100's description beside this file is that of
openxla/xla's pull request 25919. A program compiled so cannot run, and none of its
algorithms has been chosen by trying: it says what is computed, moved and kept, not
how long that takes.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from wgan_jax import make_mesh

TPU, GPU = TARGETS = "v5e", "H100"
CHIPS = 4  # of a whole host


def prepare() -> None:
    """Settings without which the compilers look for devices; before JAX's first use."""
    # Asked of a cloud's metadata server, which is not there.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    # The CUDA plugin looks for a driver unless the CPU is the only backend.
    jax.config.update("jax_platforms", "cpu")
    # Both would try kernels on a device.
    flags = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"


def meshes(devices: int = 1, targets: Sequence[str] = TARGETS) -> dict[str, Mesh]:
    """A mesh of devices that are not there for each target whose compiler is.

    Says which target is left out and why; ends the program with a sentence on what
    to install if none is left.

    Args:
        devices: in each mesh, at most ``CHIPS``.
        targets: to look for.
    """
    slots = f"1x1x{devices}"
    described = Path(__file__).with_name("h100_target_config.txt").read_text()
    wanted = {
        TPU: {"platform": "tpu", "topology_name": "v5e:2x2"},
        GPU: {
            "platform": "cuda",
            "topology_name": slots,
            "target_config": described,
            "topology": slots,
        },
    }
    found = {}
    for name in targets:
        try:
            topology = topologies.get_topology_desc(**wanted[name])
        except Exception as error:  # whatever a missing plugin raises
            print(f"{name}: left out ({str(error).splitlines()[0][:70]})")
        else:
            found[name] = make_mesh(topology.devices[:devices])
    if not found:
        version = jax.__version__
        print(
            "no compiler for an accelerator was found; install them with 'pip install "
            f"--no-deps libtpu jax-cuda12-plugin=={version} jax-cuda12-pjrt=={version} "
            "nvidia-cuda-nvcc-cu12'.",
            file=sys.stderr,
        )
        sys.exit(2)
    return found
