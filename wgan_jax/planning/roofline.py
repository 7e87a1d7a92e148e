"""Lower bounds of the time of a program, from its costs and a device."""

from dataclasses import asdict, dataclass
from typing import Any

from wgan_jax.planning.accelerators import Target
from wgan_jax.planning.hlo_costs import Collective


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Seconds that a program takes at least, by what it uses, of each device.

    Attributes:
        operations: products at the published peak.
        memory: traffic at the published bandwidth.
        links: exchanged data at the published rate of the links.
        launches: starts of kernels, one after another, at the estimated time of each.
    """

    operations: float
    memory: float
    links: float
    launches: float

    @property
    def seconds(self) -> float:
        """The longest of the four: all at once, each at its best."""
        return max(vars(self).values())

    @property
    def binds(self) -> str:
        """Which one that is."""
        return max(vars(self), key=lambda name: getattr(self, name))

    def record(self) -> dict[str, Any]:
        """The terms and the rate of a program of one iteration, as JSON values."""
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
    """The bound on one run of a program.

    Args:
        target: the devices.
        products: floating-point operations of each device.
        traffic: bytes to and from the memory of each.
        kernels: that each launches.
        exchanges: between them.
        dtype: that products are computed in, ``float32`` or ``bfloat16``.

    Returns:
        The seconds.
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
    """What each device has to send, over its link.

    Of n devices each gives its part of a sum to the n - 1 others' shares and then
    passes on the sum of its own share: 2 (n - 1) / n of the bytes, whatever the
    order. Switches that add can spare it the second half. The other kinds are the
    first half, the second, or a part of them; a permutation is one message.
    """
    accelerator, n = target.accelerator, target.devices
    near = accelerator.near or n
    if one.kind == "collective-permute":
        return one.bytes / accelerator.link
    both = one.kind == "all-reduce" and not accelerator.adds_in_switches
    seconds = one.bytes * (1 + both) * (min(n, near) - 1) / min(n, near)
    seconds /= accelerator.link
    if n > near:
        # A node's devices share the work: each sends its part to the other nodes.
        nodes = n // near
        far = one.bytes / near * (1 + (one.kind == "all-reduce"))
        seconds = max(seconds, far * (nodes - 1) / nodes / accelerator.far_link)
    return seconds
