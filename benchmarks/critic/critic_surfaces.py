"""What clipped and penalized critics learn on the examples of the papers.

    python benchmarks/critic/critic_surfaces.py  # file and figure
    python benchmarks/critic/critic_surfaces.py --steps 500 --name quick
    python benchmarks/critic/critic_surfaces_figure.py docs/critic_surfaces.json

It computes level sets of critics between a toy distribution and the same
distribution with unit Gaussian noise; gradient norms per layer and weights of
deep critics (figure 1 of Gulrajani et al. 2017, arXiv:1704.00028); and critics
of two parallel lines (example 1 of Arjovsky, Chintala, Bottou 2017,
arXiv:1701.07875). Only critics are trained. The results are written to
``docs/critic_surfaces.json`` and ``.png``; the figure needs
``pip install matplotlib``. They are discussed in docs/truth.md.
"""

import argparse
import dataclasses
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
from critic_surfaces_figure import EXTENT, figure, tables
from critic_surfaces_layers import histogram, layer_gradient_norms, weights
from critic_truth import DOCS, gan_of, log, measured, save
from critic_truth_pairs import line

from wgan_jax import OBJECTIVES, Pairs, critic_update
from wgan_jax.data import load_source
from wgan_jax.losses import clip_weights
from wgan_jax.metrics.optimal_transport import exact_wasserstein
from wgan_jax.training.init import check_gan, initial_state

TOYS = ("gaussians8", "gaussians25", "swiss_roll")
POOL, BLOCKS, BLOCK = 100_000, 4, 2000
WEIGHT, BOUND = 10.0, 0.1  # of the penalty; of weight clipping
BOUNDS = (0.1, 0.01, 0.001)  # from the paper, for the deep critics
GRID = 49  # points per side of the plotted plane
THETAS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)


class Network(NamedTuple):
    """Settings that ``gan_of`` needs: size and learning rate of a critic."""

    width: int
    layers: int
    rate: float


SHALLOW, DEEP = Network(128, 3, 2e-3), Network(128, 12, 5e-4)


class Data(NamedTuple):
    """Points of two distributions.

    Attributes:
        pools: real and fake ``[POOL, 2]``, from which batches are drawn.
        fresh: real and fake ``[BLOCKS * BLOCK, 2]``, on which the critic is
            evaluated.
    """

    pools: tuple
    fresh: tuple


def noisy(toy):
    """Returns points of a toy, and other points of it with unit Gaussian noise."""
    random = np.random.default_rng(list(TOYS).index(toy))

    def pair(split, size):
        half = load_source(toy, split=split, size=2 * size).images
        half = random.permutation(half)
        noise = random.standard_normal((size, 2)).astype(np.float32)
        return jnp.asarray(half[:size]), jnp.asarray(half[size:] + noise)

    return Data(pair("train", POOL), pair("test", BLOCKS * BLOCK))


def lines(theta):
    """Returns the points (theta, z) and (0, z), with z uniform."""
    random = np.random.default_rng(0)

    def pair(size):
        sides = (line(theta)(random, size), line(0.0)(random, size))
        return tuple(jnp.asarray(side, jnp.float32) for side in sides)

    return Data(pair(POOL), pair(BLOCKS * BLOCK))


def exact(data):
    """Returns mean and standard error of exact W1 over blocks of the fresh points."""
    blocks = [np.asarray(x).reshape(BLOCKS, BLOCK, 2) for x in data.fresh]
    found = [exact_wasserstein(*xy) for xy in zip(*blocks, strict=True)]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(BLOCKS))


def bounded_gan(kind, value, network, steps):
    """Returns ``gan_of`` with any bound, or with the original GAN objective."""
    gan = gan_of(kind, value, network, steps)
    if kind == "clipping":
        return dataclasses.replace(gan, constraint=partial(clip_weights, bound=value))
    if kind == "minimax":
        return dataclasses.replace(gan, objective=OBJECTIVES["minimax"])
    return gan


def trained(gan, state, key, pools, *, steps, batch):
    """Returns the state after the critic updates, and the loss of each."""
    rows_key, run_key = jax.random.split(key)

    def update(state, _):
        key = jax.random.fold_in(rows_key, state.critic_updates)
        rows = jax.random.randint(key, (2, batch), 0, POOL)
        pairs = Pairs(pools[0][rows[0]], pools[1][rows[1]])
        state, metrics = critic_update(gan, state, pairs, run_key)
        return state, metrics["critic/loss"]

    return jax.lax.scan(update, state, None, length=steps)


@partial(jax.jit, static_argnames=("kind", "network", "steps", "batch", "inside"))
def critic(value, pools, seed, *, kind, network, steps, batch, inside=False):
    """Trains a critic.

    Args:
        value: weight of the penalty, or bound of weight clipping.
        pools: real and fake points.
        seed: seed of weights and batches.
        kind: as for ``gan_of``, or "minimax".
        network: size and learning rate of the critic.
        steps: number of updates.
        batch: batch size of real and of fake points.
        inside: scale all initial weights into the clipping box, where they stay
            uniform, instead of clipping them.

    Returns:
        The parameters at the first update (clipped, if there is clipping),
        those after the last update, and the losses.
    """
    gan = bounded_gan(kind, value, network, steps)
    start_key, key = jax.random.split(jax.random.key(seed))
    state = initial_state(gan, start_key)
    params = state.critic.params
    if inside:
        params = jax.tree.map(
            lambda w: w * value / jnp.maximum(jnp.abs(w).max(), value), params
        )
    if gan.constraint is not None:
        params = gan.constraint(params)
    state = state.replace(critic=state.critic.replace(params=params))
    state, losses = trained(gan, state, key, pools, steps=steps, batch=batch)
    return params, state.critic.params, losses


@partial(jax.jit, static_argnames=("kind", "network"))
def read(params, fresh, value, *, kind, network):
    """Returns the estimates of ``critic_truth.py`` for a critic on fresh points."""
    gan, key = bounded_gan(kind, value, network, 2), jax.random.key(1)
    state = initial_state(gan, key)
    state = state.replace(critic=state.critic.replace(params=params))
    return measured(gan, state, key, *fresh, weight=value, one_sided=False)


def plain(found):
    """Converts scalars to rounded floats for JSON."""
    return {name: float(f"{float(value):.6g}") for name, value in found.items()}


def surface(gan, params):
    """Returns scores on a grid, from the bottom row, in thousandths of their range."""
    axis = jnp.linspace(-EXTENT, EXTENT, GRID)
    points = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    scores = np.asarray(gan.critic_fn(params, {})(points)).reshape(GRID, GRID)
    low, high = float(scores.min()), float(scores.max())
    levels = np.rint(999 * (scores - low) / (high - low)).astype(int)
    return {"low": low, "high": high, "levels": levels.tolist()}


def toy_row(toy, kind, data, arguments):
    """Returns estimates and level sets of a critic between a toy and noisy points."""
    value = BOUND if kind == "clipping" else arguments.weight
    options = {"kind": kind, "network": SHALLOW, "steps": arguments.steps}
    _, params, _ = critic(value, data.pools, 0, **options, batch=arguments.batch)
    gan = bounded_gan(kind, value, SHALLOW, arguments.steps)
    found = plain(read(params, data.fresh, value, kind=kind, network=SHALLOW))
    log(f"{toy}, {kind}: {found}")
    row = {"part": "toys", "pair": toy, "kind": kind, "value": value}
    return row | {"readings": found, "surface": surface(gan, params)}


def line_row(theta, kind, data, arguments):
    """Returns the estimates of one critic between two lines."""
    value = {"clipping": BOUND, "GP": WEIGHT, "minimax": 0.0}[kind]
    options = {"kind": kind, "network": SHALLOW, "steps": arguments.line_steps}
    _, params, losses = critic(value, data.pools, 0, **options, batch=arguments.batch)
    row = {"part": "lines", "theta": theta, "kind": kind, "value": value}
    if kind == "minimax":
        # The loss of the optimal discriminator is 2 log 2 - 2 JSD.
        loss = float(jnp.mean(losses[-100:]))
        return row | {"readings": {"divergence": round(np.log(2) - loss / 2, 6)}}
    found = plain(read(params, data.fresh, value, kind=kind, network=SHALLOW))
    log(f"theta {theta}, {kind}: {found['raw']:.4f}")
    return row | {"readings": found}


def deep_row(kind, value, inside, data, arguments):
    """Returns gradient norms per layer and weights of 12 layers on the Swiss roll."""
    options = {"kind": kind, "network": DEEP, "steps": arguments.deep_steps}
    first, last, _ = critic(
        value, data.pools, 0, **options, batch=arguments.batch, inside=inside
    )
    gan = bounded_gan(kind, value, DEEP, arguments.deep_steps)
    points = jnp.concatenate([x[:BLOCK] for x in data.fresh])
    norms = [layer_gradient_norms(gan.critic, x, points) for x in (first, last)]
    row = {"part": "deep", "kind": kind, "value": value, "inside": inside}
    row |= {"gradient_norms_first": norms[0], "gradient_norms_last": norms[1]}
    # The library counts gradient norms below 3e-16 as zero, and no distance can be
    # derived from them.
    if norms[1][0] > 1e-12:
        found = read(last, data.fresh, value, kind=kind, network=DEEP)
        row["readings"] = plain(found)
    bound = value if kind == "clipping" else None
    for name, params in (("first", first), ("last", last)):
        row[f"weights_{name}"] = histogram(weights(params), bound)
    log(
        f"deep, {kind} {value:g}: gradient norm {norms[0][0]:.3g}, then "
        f"{norms[1][0]:.3g}"
    )
    return row


def parse():
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weight", type=float, default=WEIGHT, help="penalty weight for toys"
    )
    parser.add_argument("--steps", type=int, default=10_000, help="updates for toys")
    parser.add_argument(
        "--line-steps", type=int, default=1000, help="updates for lines"
    )
    parser.add_argument(
        "--deep-steps", type=int, default=3000, help="updates for 12 layers"
    )
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--name", default="critic_surfaces", help="file name in docs/")
    return parser.parse_args()


def rows_of(arguments):
    """Returns exact distances by toy, and all rows in the order of the figure."""
    data = {toy: noisy(toy) for toy in TOYS}
    thetas = {theta: lines(theta) for theta in THETAS}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # The deep critics take longest, so they start first.
        cases = [("GP", WEIGHT, False), ("clipping", BOUND, True)]
        cases += [("clipping", bound, False) for bound in BOUNDS]
        deep = [
            pool.submit(deep_row, *case, data["swiss_roll"], arguments)
            for case in cases
        ]
        toys = [
            pool.submit(toy_row, toy, kind, data[toy], arguments)
            for kind in ("clipping", "GP")
            for toy in TOYS
        ]
        between = [
            pool.submit(line_row, theta, kind, thetas[theta], arguments)
            for kind in ("GP", "clipping", "minimax")
            for theta in THETAS
        ]
        distances = {toy: pool.submit(exact, data[toy]) for toy in TOYS}
        known = {
            toy: dict(zip(("w1", "error"), found.result(), strict=True))
            for toy, found in distances.items()
        }
        return known, [found.result() for found in toys + deep + between]


def main():
    """Trains, writes and draws the results."""
    arguments = parse()
    for kind in ("clipping", "GP", "minimax"):
        check_gan(bounded_gan(kind, 1.0, SHALLOW, arguments.steps))
    known, rows = rows_of(arguments)
    device = {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    settings = {k: v for k, v in vars(arguments).items() if k != "name"}
    networks = {"shallow": SHALLOW._asdict(), "deep": DEEP._asdict()}
    content = {"settings": settings | networks | device, "exact": known, "rows": rows}
    path = DOCS / f"{arguments.name}.json"
    save(content, path)
    log(f"Wrote {path}; {time.process_time():.0f} s of CPU time")
    print("\n".join(tables(content)))
    figure(content, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
