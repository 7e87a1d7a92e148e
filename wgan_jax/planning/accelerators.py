"""Ahead-of-time compilation targets: published specifications and compilers.

The compilers are distributed as wheels that need no driver and run on any
machine. The extra ``plan`` installs them. A program compiled this way cannot be
run, and none of its algorithms has been autotuned. It shows what is computed,
transferred and stored, but not how long that takes.

Sources of the table: Google's pages
docs.cloud.google.com/tpu/docs/{v4,v5e,v5p,v6e}, read in November 2026, and
NVIDIA's data sheets of the H100 and of the DGX H100, as quoted by others. For
TPUs, the peak is that of a chip in bfloat16, which is also the default
precision of float32 products. For the H100 SXM, the peak is without sparsity,
half of the figures printed with it; float32 is multiplied as TF32, at half the
rate. Links are bytes per second that a device sends while receiving at the same
rate, which is half of the "bidirectional" figure. For a v4, the link is its
share of the pod's all-reduce bandwidth, 1.1 PB/s over 4,096 chips. Eight H100s
are connected by NVLink (900 GB/s in both directions). Beyond that, each has one
400 Gb/s port of a DGX H100. ``h100.textproto`` is the device description in
openxla/xla's pull request 25919.

No vendor publishes the time to launch a kernel. The 3 microseconds for a CUDA
device are an estimate: the order of magnitude commonly measured for kernels
that a host launches one after another. Kernels recorded as a CUDA graph launch
faster. For a TPU, the time is 0: the chip itself sequences the whole program,
and its overhead is not published.
"""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.experimental import topologies
from jax.sharding import Mesh

from wgan_jax.errors import ConfigError, MissingCompilerError
from wgan_jax.parallel.sharding import make_mesh

INSTALL = "pip install 'wgan-jax[plan]'"
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_SOLID = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")
_COUNTS = ("1", "2", "4", "8", "16", "32", "64", "128", "256")


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """Published specification of one device.

    Attributes:
        title: display name.
        platform: ``tpu`` or ``cuda``.
        memory: memory in bytes.
        bandwidth: memory bandwidth in bytes per second.
        peak: floating-point operations per second of bfloat16 products.
        peak_float32: floating-point operations per second of float32 products,
            by default settings.
        float32_as: format in which float32 products are computed.
        link: bytes per second that a device sends to others within ``near``.
        near: number of devices connected by ``link``; None for all.
        far_link: bytes per second to devices beyond that.
        adds_in_switches: whether the switches can reduce sums over devices.
        shapes: shapes of the available sets of devices.
        options: options of the compiler.
        launch: estimated seconds to launch a kernel; 0 if the chip itself
            sequences a program.
    """

    title: str
    platform: str
    memory: float
    bandwidth: float
    peak: float
    peak_float32: float
    float32_as: str
    link: float
    shapes: tuple[str, ...]
    near: int | None = None
    far_link: float = 0.0
    adds_in_switches: bool = False
    options: tuple[tuple[str, Any], ...] = ()
    launch: float = 0.0


def _tpu(title: str, *, peak: float, **fields: Any) -> Accelerator:
    return Accelerator(
        title=title,
        platform="tpu",
        peak=peak,
        peak_float32=peak,
        float32_as="bfloat16",
        **fields,
    )


# Both cores of a chip form one device, as JAX presents a v4 and v5p.
_ONE_A_CHIP = (("chip_config_name", "megacore"),)
ACCELERATORS: dict[str, Accelerator] = {
    "v4": _tpu(
        "TPU v4",
        memory=32 * 2**30,
        bandwidth=1200e9,
        peak=275e12,
        link=1.1e15 / 4096,
        shapes=_SOLID,
        options=_ONE_A_CHIP,
    ),
    "v5e": _tpu(
        "TPU v5e",
        memory=16e9,
        bandwidth=819e9,
        peak=197e12,
        link=200e9,
        shapes=_FLAT,
    ),
    "v5p": _tpu(
        "TPU v5p",
        memory=95e9,
        bandwidth=2765e9,
        peak=459e12,
        link=600e9,
        shapes=_SOLID,
        options=_ONE_A_CHIP,
    ),
    "v6e": _tpu(
        "TPU v6e",
        memory=32e9,
        bandwidth=1600e9,
        peak=918e12,
        link=400e9,
        shapes=_FLAT,
    ),
    "h100": Accelerator(
        title="H100 SXM",
        platform="cuda",
        memory=80e9,
        bandwidth=3.35e12,
        peak=989.5e12,
        peak_float32=494.7e12,
        float32_as="TF32",
        link=450e9,
        near=8,
        far_link=50e9,
        adds_in_switches=True,
        shapes=_COUNTS,
        launch=3e-6,
    ),
}


@dataclass(frozen=True)
class Target:
    """Set of devices to compile for.

    Attributes:
        name: a key of ``ACCELERATORS``.
        shape: one of its ``shapes``.
    """

    name: str
    shape: str

    def __str__(self) -> str:
        return f"{self.name}:{self.shape}"

    @property
    def accelerator(self) -> Accelerator:
        """Specification of the devices."""
        return ACCELERATORS[self.name]

    @property
    def devices(self) -> int:
        """Number of devices."""
        return math.prod(map(int, self.shape.split("x")))


def parse_target(text: str) -> Target:
    """Parses a target given by the user.

    Args:
        text: such as ``v5e:2x4`` or ``h100:8``.

    Returns:
        The target.

    Raises:
        ConfigError: if the target is invalid; the message lists the
            accelerators or the shapes of the given one.
    """
    if not text:
        some = ", ".join(f"{name}:{a.shapes[3]}" for name, a in ACCELERATORS.items())
        raise ConfigError(f"--mode=plan needs --topology=DEVICES, such as {some}.")
    name, _, shape = text.lower().partition(":")
    if name not in ACCELERATORS:
        some = ", ".join(f"{n}:{a.shapes[-1]}" for n, a in ACCELERATORS.items())
        raise ConfigError(
            f"--topology={text} is not a known accelerator; choices: "
            f"{', '.join(ACCELERATORS)}, each with a shape, up to {some}."
        )
    shapes = ACCELERATORS[name].shapes
    if shape not in shapes:
        raise ConfigError(
            f"--topology={text} is not a valid set of {ACCELERATORS[name].title} "
            f"devices; choices: {', '.join(f'{name}:{known}' for known in shapes)}."
        )
    return Target(name, shape)


def prepare_environment() -> None:
    """Sets environment variables that keep the compilers from looking for devices.

    They are read once, so this must be called before the first use of JAX. The
    program must also set JAX's ``jax_platforms`` to ``cpu``. Otherwise, the
    CUDA plugin looks for a driver.
    """
    # Otherwise, a cloud metadata server would be queried.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    # Both would run kernels on a device.
    flags = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()


def target_mesh(target: Target, devices: int | None = None) -> Mesh:
    """Returns a mesh of compile-only devices, arranged as in ``make_mesh``.

    Args:
        target: the target.
        devices: number of devices to use, the first ones; None for all.

    Returns:
        The mesh.

    Raises:
        MissingCompilerError: if the compiler is missing; the message says how
            to install it.
    """
    accelerator = target.accelerator
    options: dict[str, Any] = dict(accelerator.options)
    name = str(target)
    if accelerator.platform == "cuda":
        node = min(target.devices, accelerator.near or 1)
        name = f"1x{target.devices // node}x{node}"  # slices, hosts, devices of each
        described = Path(__file__).with_name("h100.textproto").read_text()
        options |= {"topology": name, "target_config": described}
    elif target.devices == 1:
        options["chips_per_host_bounds"] = [1, 1, 1]
    try:
        topology = topologies.get_topology_desc(
            platform=accelerator.platform, topology_name=name, **options
        )
    except Exception as error:  # missing plugins raise various exceptions
        reason = re.split(r"[.;\n]", str(error))[0]
        raise MissingCompilerError(
            f"the compiler for {target} is not installed ({reason}). Run {INSTALL}."
        ) from error
    return make_mesh(topology.devices[:devices])
