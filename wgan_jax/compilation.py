"""Compiler options that pay for convolutions and products on a CPU."""

from functools import cache

import jax
import jax.numpy as jnp

# XLA's library of CPU kernels, for single products and for sums; left out is
# LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION, which the default has too.
_THREADED_CONVOLUTIONS = {
    "xla_cpu_experimental_ynn_fusion_type": (
        "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    )
}


def compiler_options(platform: str) -> dict[str, str]:
    """Options for ``jax.jit(..., compiler_options=...)`` on one platform.

    XLA's CPU backend gives stride-1 convolutions to a library that runs each on
    one core. Restricting that library to sums and matrix products, which it runs
    on all cores, leaves convolutions on the path that uses all of them too. The
    option is experimental, so it is tried once on a trivial program; a compiler
    that does not know it gets none.

    Args:
        platform: of the devices the program is for: ``"cpu"``, ``"gpu"``,
            ``"tpu"``; ``mesh.devices.flat[0].platform``.

    Returns:
        The options by name, empty where none helps. No global configuration is
        read or changed.
    """
    if platform == "cpu" and _is_known():
        return dict(_THREADED_CONVOLUTIONS)
    return {}


@cache
def _is_known() -> bool:
    zero = jax.device_put(0.0, jax.local_devices(backend="cpu")[0])
    try:
        jax.jit(jnp.negative, compiler_options=_THREADED_CONVOLUTIONS)(zero)
    except (RuntimeError, ValueError):
        return False
    return True
