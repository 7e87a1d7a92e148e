"""Tests oneDNN calls in a separate process, which they may crash.

    python -m wgan_jax.networks.onednn_trial float32 bfloat16

prints one line of JSON for each dtype as soon as it was tested: ``right`` or the
deviation from XLA. A crash thus hides only the results of later dtypes.
"""

import contextlib
import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.networks import forms, onednn_forms
from wgan_jax.networks.geometry import Geometry

# Largest error relative to the largest value.
_TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}
_BATCH = 16  # the channels of the convolution in a kernel gradient
# (side, input channels, output channels, kernel, stride, padding): shapes as in the
# networks of this package, and edge cases.
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


def _operands(
    shape: tuple[Any, ...], dtype: str
) -> tuple[Geometry, dict[str, list[jax.Array]]]:
    """Returns a geometry, and the two operands of each map."""
    side, inputs, outputs, k, stride, padding = shape
    geometry = Geometry(stride, (padding, padding), (side, side), (k, k))
    x = _normal(0, (_BATCH, side, side, inputs)).astype(dtype)
    w = _normal(1, (k, k, inputs, outputs)).astype(dtype)
    g = _normal(2, (_BATCH, *geometry.output, outputs)).astype(dtype)
    return geometry, {"forward": [x, w], "backward": [g, w], "kernel": [x, g]}


def _worst(dtype: str) -> float:
    """Returns the largest relative error of any form at any shape."""
    cases = [_operands(shape, dtype) for shape in _SHAPES]

    def errors(arguments: list[dict[str, list[jax.Array]]]) -> list[jax.Array]:
        found = []
        for (geometry, _), operands in zip(cases, arguments, strict=True):
            for name, pair in operands.items():
                exact = (a.astype(jnp.float32) for a in pair)
                expected = getattr(forms, name)(*exact, geometry=geometry)
                for form in onednn_forms.FORMS[name]:
                    if form.fits(geometry):
                        value = form.function(*pair, geometry=geometry)
                        apart = jnp.max(jnp.abs(value.astype(jnp.float32) - expected))
                        found.append(apart / jnp.max(jnp.abs(expected)))
        return found

    # One program for all cases, because compilation dominates the time of a trial.
    arguments = [operands for _, operands in cases]
    quick: Any = {"xla_backend_optimization_level": 0}
    lowered = jax.jit(errors).lower(arguments)
    program: Any = lowered.compile(compiler_options=quick)
    with contextlib.suppress(Exception):  # only a crash matters here
        program.runtime_executable().serialize()
    return max(map(float, program(arguments)))


def main() -> None:
    """Tests the dtypes of the command line and prints each result."""
    for dtype in sys.argv[1:]:
        worst = _worst(dtype)
        is_right = worst <= _TOLERANCE[dtype]
        found = "right" if is_right else f"wrong by {worst:.1e}"
        print(json.dumps({dtype: found}), flush=True)


if __name__ == "__main__":
    main()
