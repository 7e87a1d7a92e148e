"""Compares training steps with our convolution primitives and with flax's layers.

    python benchmarks/convolution.py [--pair dcgan] [--json out.json]

Both variants are the same networks with the same parameters, compiled by the
same functions with the same options. Only the layer classes differ. They run
alternately, so that other load on the machine affects both, and each figure is
the median over the pairs. Ratios are flax's time divided by ours: above 1, ours
is faster.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import optax
from flax import linen as nn

from wgan_jax.gan import Gan
from wgan_jax.losses import OBJECTIVES, gradient_penalty
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.training.compilation import compiler_options
from wgan_jax.training.compiled import make_critic_step, make_generator_step
from wgan_jax.training.init import init_state
from wgan_jax.training.steps import critic_step

UPDATES = 5
SHAPE = (32, 32, 3)


class PlainConvMeanPool(nn.Module):
    """flax's convolution followed by 2x2 mean pooling."""

    features: int
    kernel_size: tuple[int, int]
    kernel_init: Any
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, I] -> [B, H/2, W/2, features]``."""
        fields = {f: getattr(self, f) for f in ("dtype", "param_dtype", "kernel_init")}
        x = nn.Conv(self.features, self.kernel_size, **fields)(x)
        return nn.avg_pool(x, (2, 2), (2, 2))


class PlainUpsampleConv(nn.Module):
    """2x2 nearest-neighbor upsampling followed by flax's convolution."""

    features: int
    kernel_size: tuple[int, int]
    kernel_init: Any
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, h, w, I] -> [B, 2h, 2w, features]``."""
        fields = {f: getattr(self, f) for f in ("dtype", "param_dtype", "kernel_init")}
        x = x.repeat(2, 1).repeat(2, 2)
        return nn.Conv(self.features, self.kernel_size, **fields)(x)


PlainConvTranspose = partial(nn.ConvTranspose, transpose_kernel=True)
PLAIN = {
    "dcgan": ({"conv_transpose": PlainConvTranspose}, {"conv": nn.Conv}),
    "dcgan_gp": ({"conv_transpose": PlainConvTranspose}, {"conv": nn.Conv}),
    "resnet": (
        {"conv": nn.Conv, "upsample_conv": PlainUpsampleConv},
        {"conv": nn.Conv, "conv_mean_pool": PlainConvMeanPool},
    ),
}


def build(pair: str, width: int, *, plain: bool) -> Gan:
    """Returns a pair with a gradient penalty, with our layers or flax's."""
    generator, critic = PLAIN[pair] if plain else ({}, {})
    if pair == "dcgan":
        critic = {"batch_norm": False, **critic}
    return Gan(
        generator=GENERATORS[pair](image_shape=SHAPE, width=width, **generator),
        critic=CRITICS[pair](width=width, **critic),
        objective=OBJECTIVES["wasserstein"],
        generator_optimizer=optax.adam(1e-4, b1=0.5, b2=0.9),
        critic_optimizer=optax.adam(1e-4, b1=0.5, b2=0.9),
        latent_size=128,
        penalties=((gradient_penalty, 10.0),),
        ema_decay=None,
    )


def compare(
    slow: Callable[[], Any], fast: Callable[[], Any], *, repeats: int
) -> dict[str, float]:
    """Returns median milliseconds and ratios over alternating pairs of calls."""
    samples: list[list[tuple[float, float]]] = [[], []]
    for call in (slow, fast):
        jax.block_until_ready(call())
    for _ in range(repeats):
        for call, sample in zip((slow, fast), samples, strict=True):
            cpu, wall = time.process_time(), time.perf_counter()
            jax.block_until_ready(call())
            wall = time.perf_counter() - wall
            sample.append((wall, time.process_time() - cpu))
    figures = {}
    for index, kind in enumerate(("wall", "cpu")):
        a, b = ([pair[index] for pair in sample] for sample in samples)
        figures[f"{kind}_ratio"] = statistics.median(
            x / y for x, y in zip(a, b, strict=True)
        )
        figures[f"{kind}_ms_before"] = 1e3 * statistics.median(a)
        figures[f"{kind}_ms"] = 1e3 * statistics.median(b)
    return figures


def measure(pair: str, *, width: int, batch: int, repeats: int) -> dict[str, Any]:
    """Performs all comparisons of one pair of networks."""
    key = jax.random.key(0)
    images = jax.random.uniform(key, (UPDATES, batch, *SHAPE), minval=-1.0)
    flax, ours = (build(pair, width, plain=plain) for plain in (True, False))
    options = compiler_options(jax.devices()[0].platform)

    def critic(gan: Gan) -> Callable[[], Any]:
        step, state = make_critic_step(gan, donate=False), init_state(gan, key)
        return lambda: step(state, images[0], key)

    def generator(gan: Gan) -> Callable[[], Any]:
        step = make_generator_step(gan, batch_size=batch, donate=False)
        state = init_state(gan, key)
        return lambda: step(state, key)

    @partial(jax.jit, compiler_options=options)
    def scanned(state: Any, images: jax.Array) -> Any:
        return jax.lax.scan(lambda s, x: critic_step(ours, s, x, key), state, images)[0]

    @partial(jax.jit, compiler_options=options)
    def unrolled(state: Any, images: jax.Array) -> Any:
        for x in images:
            state = critic_step(ours, state, x, key)[0]
        return state

    state = init_state(ours, key)
    cases = {
        "critic step with penalty": (critic(flax), critic(ours)),
        "generator step": (generator(flax), generator(ours)),
        "ours, 5 updates: unrolled / scanned": (
            partial(unrolled, state, images),
            partial(scanned, state, images),
        ),
    }
    figures = {}
    for name, (slow, fast) in cases.items():
        figures[name] = compare(slow, fast, repeats=repeats)
        print_row(name, figures[name])
    return figures


def print_row(name: str, f: dict[str, float]) -> None:
    """Prints one comparison as a line of the table."""
    print(
        f"{name:36} {f['wall_ratio']:6.2f} {f['cpu_ratio']:6.2f}"
        f" {f['wall_ms_before']:9.0f} {f['wall_ms']:7.0f}"
        f" {f['cpu_ms_before']:9.0f} {f['cpu_ms']:7.0f}",
        flush=True,
    )


def main() -> None:
    """Measures and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pair", choices=PLAIN, default="dcgan")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--repeats", type=int, default=9, help="number of pairs per figure"
    )
    parser.add_argument("--json", help="output file")
    args = parser.parse_args()
    device = jax.devices()[0]
    print(
        f"{args.pair}, width {args.width}, batch {args.batch}, {SHAPE} "
        f"{jnp.zeros(()).dtype}, {device.device_kind}, jax {jax.__version__}"
    )
    print(
        f"{'':36} {'wall':>6} {'cpu':>6} {'wall ms':>9} {'ours':>7}"
        f" {'cpu ms':>9} {'ours':>7}"
    )
    figures = measure(
        args.pair, width=args.width, batch=args.batch, repeats=args.repeats
    )
    if args.json:
        about = {
            "arguments": {k: v for k, v in vars(args).items() if k != "json"},
            "device": device.device_kind,
            "machine": platform.machine(),
            "versions": {"jax": jax.__version__, "jaxlib": jaxlib.__version__},
        }
        with open(args.json, "w") as file:
            json.dump({**about, "figures": figures}, file, indent=2)


if __name__ == "__main__":
    main()
