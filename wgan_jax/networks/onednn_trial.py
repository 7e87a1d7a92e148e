"""Tries oneDNN's calls: a call that it refuses ends this process alone.

    python -m wgan_jax.networks.onednn_trial

prints a line of JSON: for each dtype ``right``, or what differed from XLA.
"""

import contextlib
import json
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.networks import forms, onednn_forms
from wgan_jax.networks.geometry import Geometry
from wgan_jax.networks.onednn_support import DTYPES

# Largest error over the largest value.
_TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}
_BATCH = 16  # the channels of a kernel gradient's convolution
# (side, input channels, output channels, kernel, stride, padding): what the package's
# networks have, and the edges of it.
_SHAPES = (
    (8, 3, 16, 4, 2, (1, 1)),
    (8, 16, 3, 3, 1, (1, 1)),
    (16, 16, 32, 3, 1, (1, 1)),
    (8, 16, 16, 5, 2, (1, 2)),
    (7, 8, 24, 5, 2, (2, 1)),
    (8, 16, 8, 1, 1, (0, 0)),
    (4, 16, 8, 4, 1, (0, 0)),
    (5, 9, 7, 2, 3, (0, 1)),
)


def _normal(seed: int, shape: tuple[int, ...]) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def _worst(dtype: str) -> float:
    """The largest relative error of any form at any shape."""
    worst = 0.0
    for side, inputs, outputs, k, stride, padding in _SHAPES:
        geometry = Geometry(stride, (padding, padding), (side, side), (k, k))
        x = _normal(0, (_BATCH, side, side, inputs))
        w = _normal(1, (k, k, inputs, outputs))
        g = _normal(2, (_BATCH, *geometry.output, outputs))
        arguments: dict[str, tuple[Any, ...]] = {
            "forward": (x, w),
            "backward": (g, w),
            "kernel": (x, g),
        }
        for name, operands in arguments.items():
            rounded = [a.astype(dtype) for a in operands]
            expected = getattr(forms, name)(
                *(a.astype(jnp.float32) for a in rounded), geometry=geometry
            )
            for form in onednn_forms.FORMS[name]:
                if form.fits(geometry):
                    call = partial(form.function, geometry=geometry)
                    program: Any = jax.jit(call).lower(*rounded).compile()
                    with contextlib.suppress(Exception):  # that it survives is enough
                        program.runtime_executable().serialize()
                    found = program(*rounded)
                    error = jnp.max(jnp.abs(found.astype(jnp.float32) - expected))
                    worst = max(worst, float(error / jnp.max(jnp.abs(expected))))
    return worst


def main() -> None:
    """Tries each dtype and prints."""
    found = {}
    for dtype in DTYPES:
        worst = _worst(dtype)
        is_right = worst <= _TOLERANCE[dtype]
        found[dtype] = "right" if is_right else f"wrong by {worst:.1e}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
