"""Lower bounds of a program's run time, from its costs and a device."""

from dataclasses import asdict, dataclass
from typing import Any

from wgan_jax.planning.accelerators import Target
from wgan_jax.planning.hlo_costs import Collective


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Lower bounds of a program's run time in seconds, by resource of each device.

    Attributes:
        operations: products at the published peak.
        memory: traffic at the published bandwidth.
        links: communication at the published rate of the links.
        launches: sequential kernel launches at the estimated time of each.
    """

    operations: float
    memory: float
    links: float
    launches: float

    @property
    def seconds(self) -> float:
        """Largest of the four bounds, which assumes perfect overlap."""
        return max(vars(self).values())

    @property
    def binds(self) -> str:
        """Name of the largest bound."""
        return max(vars(self), key=lambda name: getattr(self, name))

    def record(self) -> dict[str, Any]:
        """Returns the bounds and rate of a one-iteration program, as JSON values."""
        rate = {"iterations_per_second": 1 / self.seconds}
        return asdict(self) | {"binds": self.binds} | rate


def roofline(
    target: Target,
    *,
    products: float,
    traffic: float,
    kernels: float,
    exchanges: list[Collective],
    dtype: str = "float32",
) -> Roofline:
    """Computes the bounds for one run of a program.

    Args:
        target: the devices.
        products: floating-point operations per device.
        traffic: bytes read from and written to memory per device.
        kernels: kernel launches per device.
        exchanges: communication between devices.
        dtype: dtype of the products, ``float32`` or ``bfloat16``.

    Returns:
        The bounds in seconds.
    """
    accelerator = target.accelerator
    peak = accelerator.peak if dtype == "bfloat16" else accelerator.peak_float32
    return Roofline(
        operations=products / peak,
        memory=traffic / accelerator.bandwidth,
        links=sum(one.times * _seconds(target, one) for one in exchanges),
        launches=kernels * accelerator.launch,
    )


def _seconds(target: Target, one: Collective) -> float:
    """Returns the time for each device to send its data over its link.

    In an all-reduce over n devices, each device sends its parts of the sum to
    the other n - 1 devices, and then distributes the sum of its own share. This
    is 2 (n - 1) / n of the bytes for any algorithm. Switches that add save the
    second half. The other collectives are the first half, the second half, or a
    part of them. A permutation is one message.
    """
    accelerator, n = target.accelerator, target.devices
    near = accelerator.near or n
    if one.kind == "collective-permute":
        return one.bytes / accelerator.link
    both = one.kind == "all-reduce" and not accelerator.adds_in_switches
    seconds = one.bytes * (1 + both) * (min(n, near) - 1) / min(n, near)
    seconds /= accelerator.link
    if n > near:
        # The devices of a node share the work: each sends its part to the other nodes.
        nodes = n // near
        far = one.bytes / near * (1 + (one.kind == "all-reduce"))
        seconds = max(seconds, far * (nodes - 1) / nodes / accelerator.far_link)
    return seconds
