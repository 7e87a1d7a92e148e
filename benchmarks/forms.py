"""Times of the implementations of the three convolution maps, by shape.

    python benchmarks/forms.py [--dtype bfloat16] [--json out.json]

The rules of ``wgan_jax/networks/forms.py`` and ``onednn_rule.py`` are based on
these numbers: milliseconds of each implementation of a forward convolution, of
its input gradient and of its kernel gradient, for 64 images, compiled as the
steps are. "chosen" is what the rules select on this machine, "xla" what they
select without oneDNN. Forms of oneDNN have its name. "patches" copies the
windows of the image and computes one product; it is included to show why the
rules do not use it.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import jax.numpy as jnp

from wgan_jax.memory import keep_freed_memory
from wgan_jax.networks import conv as closed
from wgan_jax.networks import forms, onednn_forms, onednn_support
from wgan_jax.networks.geometry import Geometry
from wgan_jax.training.compilation import compiler_options

BATCH = 64
# (side, input channels, output channels, kernel, stride), with padding 1.
SHAPES = [
    (32, 3, 64, 4, 2),
    (16, 64, 128, 4, 2),
    (8, 128, 256, 4, 2),
    (32, 64, 64, 4, 2),
    (16, 64, 64, 4, 2),
    (32, 64, 64, 3, 1),
    (16, 64, 64, 3, 1),
    (8, 64, 64, 3, 1),
    (32, 64, 3, 3, 1),
]


def patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Extracts windows of output pixels: ``[B, H, W, I] -> [B h w, K K I]``."""
    s, (height, width) = geometry.stride, geometry.output
    x = jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    taps = [
        x[:, a : a + s * (height - 1) + 1 : s, b : b + s * (width - 1) + 1 : s]
        for a in range(geometry.kernel[0])
        for b in range(geometry.kernel[1])
    ]
    return jnp.concatenate(taps, -1).reshape(x.shape[0] * height * width, -1)


def forward_patches(x: jax.Array, w: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Computes ``forward`` as one product."""
    y = patches(x, geometry) @ w.reshape(-1, w.shape[3])
    return y.reshape(x.shape[0], *geometry.output, -1)


def kernel_patches(x: jax.Array, g: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Computes ``kernel`` as one product."""
    contract = (((0,), (0,)), ((), ()))
    columns, flat = patches(x, geometry), g.reshape(-1, g.shape[3])
    y = jax.lax.dot_general(columns, flat, contract)
    return y.reshape(*geometry.kernel, x.shape[3], -1)


MAPS: dict[str, dict[str, Callable[..., jax.Array]]] = {
    "forward": {
        "chosen": closed.FORWARD.bind,
        "xla": forms.forward_cpu,
        "convolution": forms.forward,
        "patches": forward_patches,
    },
    "input gradient": {
        "chosen": closed.BACKWARD.bind,
        "xla": forms.backward_cpu,
        "dilated": forms.backward,
        "phases": forms.backward_phases,
        "columns": forms.backward_columns,
    },
    "kernel gradient": {
        "chosen": closed.KERNEL.bind,
        "xla": forms.kernel_cpu,
        "convolution": forms.kernel,
        "patches": kernel_patches,
    },
}


# Name of each map in ``onednn_forms.FORMS``.
NAMES = {
    "forward": "forward",
    "input gradient": "backward",
    "kernel gradient": "kernel",
}
# Relative to the largest value. Sums of bfloat16 products depend on their order.
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}


def forms_of(name: str, geometry: Geometry, dtype: str) -> dict[str, Any]:
    """Returns all forms of a map that support a geometry, by name."""
    found = {
        f: c for f, c in MAPS[name].items() if f != "phases" or geometry.stride > 1
    }
    if onednn_support.is_used(dtype):
        for form in onednn_forms.FORMS[NAMES[name]]:
            if form.fits(geometry):
                found[f"oneDNN {form.function.__name__.split('_')[1]}"] = form.function
    return found


def measure(
    calls: dict[str, Callable[..., Any]], args: Any, *, repeats: int, tolerance: float
) -> dict[str, float]:
    """Returns median milliseconds of each call, alternating; results must agree."""
    expected = None
    for call in calls.values():
        found = call(*args).astype(jnp.float32)
        expected = found if expected is None else expected
        scale = float(jnp.abs(expected).max())
        assert float(jnp.abs(found - expected).max()) < tolerance * scale
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(4):
                jax.block_until_ready(call(*args))
            times[name].append((time.perf_counter() - began) / 4)
    return {name: 1e3 * statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Measures, prints one line per map and shape, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtype", choices=list(TOLERANCE), default="float32")
    parser.add_argument("--json", help="output file")
    options = parser.parse_args()
    keep_freed_memory()  # otherwise temporaries of some forms dominate their time
    key, settings = jax.random.key(0), compiler_options(jax.devices()[0].platform)
    rows = []
    for side, inputs, outputs, k, stride in SHAPES:
        geometry = Geometry(stride, ((1, 1), (1, 1)), (side, side), (k, k))
        shapes = (
            (BATCH, side, side, inputs),
            (k, k, inputs, outputs),
            (BATCH, *geometry.output, outputs),
        )
        x, w, g = (jax.random.normal(key, s).astype(options.dtype) for s in shapes)
        args = {"forward": (x, w), "input gradient": (g, w), "kernel gradient": (x, g)}
        shape = (
            f"{k}x{k} stride {stride}, {side}x{side}x{inputs} -> "
            f"{geometry.output[0]}x{geometry.output[1]}x{outputs}"
        )
        for name in MAPS:
            calls = {
                form: jax.jit(partial(f, geometry=geometry), compiler_options=settings)
                for form, f in forms_of(name, geometry, options.dtype).items()
            }
            found = measure(
                calls,
                args[name],
                repeats=options.repeats,
                tolerance=TOLERANCE[options.dtype],
            )
            rows.append({"map": name, "shape": shape, "ms": found})
            listed = ", ".join(f"{form} {ms:.1f}" for form, ms in found.items())
            print(f"{name:16} {shape:40} {listed}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
