"""Accuracy of a critic's Wasserstein estimate, compared with exact transport.

    python benchmarks/critic/critic_truth.py  # tables, file and figure
    python benchmarks/critic/critic_truth.py --pairs ring/blob --seeds 2 --name quick

It trains only the critic, between two fixed distributions in the plane, for
several seeds and ways to bound the gradient norm. It compares the estimate and
the corrections of ``wgan_jax/losses/estimators.py`` with the exact distance.
The results are written to ``docs/critic_truth.json`` and ``.png``; the figure
needs ``pip install matplotlib``. They are discussed in docs/truth.md.

The exact distance is the mean over blocks of fresh samples, computed by linear
assignment. The critic is evaluated on the same samples, so both contain the
same sampling noise.
"""

import argparse
import json
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
import optax
from critic_truth_figure import figure, tables
from critic_truth_pairs import BLOCK, BLOCKS, KNOWN, PAIRS, draw, truth

from wgan_jax import OBJECTIVES, Gan, Pairs, critic_update, gradient_norms
from wgan_jax.losses import clip_weights, gradient_penalty, interpolate
from wgan_jax.losses.estimators import (
    estimate_by_flow,
    estimate_by_gradient_norm,
    estimate_by_penalty,
    grid_max_norm,
    lipschitz_bound,
)
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.training.init import check_gan, initial_state

POOL = 100_000  # points from which a critic's batches are drawn
GRID = 256  # points along each side, for the maximum gradient norm
WEIGHTS = (0.1, 1.0, 10.0, 100.0)
LONGER_PAIR, LONGER_METHODS, LONGER = "ring/Swiss roll", ("GP 10", "GP 100"), (4, 10)
DOCS = Path(__file__).parents[2] / "docs"


class Method(NamedTuple):
    """A way to bound the gradient norm.

    Attributes:
        kind: name of a compiled program.
        weight: weight of its penalty; 0 if there is none.
    """

    kind: str
    weight: float = 0.0

    @property
    def name(self):
        """Name of the method in the table."""
        return f"{self.kind} {self.weight:g}" if self.weight else self.kind


METHODS = [
    *(Method("GP", weight) for weight in WEIGHTS),
    *(Method("LP", weight) for weight in WEIGHTS[:3]),
    Method("clipping"),
    Method("spectral norm"),
]


def gan_of(kind, weight, arguments, steps):
    """Returns a Gan of which only the critic is trained."""
    rate = optax.join_schedules(
        [
            optax.constant_schedule(arguments.rate),
            optax.cosine_decay_schedule(arguments.rate, steps // 2),
        ],
        [steps - steps // 2],
    )
    penalty = partial(gradient_penalty, one_sided=kind == "LP")
    return Gan(
        generator=GENERATORS["mlp"](image_shape=(2,), width=2, layers=1),
        critic=CRITICS["mlp"](
            width=arguments.width,
            layers=arguments.layers,
            parametrization="spectral" if kind == "spectral norm" else "plain",
        ),
        objective=OBJECTIVES["wasserstein"],
        penalties=((penalty, weight),) if kind in ("GP", "LP") else (),
        constraint=partial(clip_weights, bound=0.1) if kind == "clipping" else None,
        generator_optimizer=optax.sgd(0.0),
        critic_optimizer=optax.adam(rate, b1=0.5, b2=0.99),
        latent_size=1,
        ema_decay=None,
    )


def trained(gan, key, real, fake, *, steps, batch):
    """Returns the state after critic updates on random rows of two pools."""
    start_key, rows_key, run_key = jax.random.split(key, 3)

    def update(state, _):
        key = jax.random.fold_in(rows_key, state.critic_updates)
        rows = jax.random.randint(key, (2, batch), 0, real.shape[0])
        pairs = Pairs(real[rows[0]], fake[rows[1]])
        return critic_update(gan, state, pairs, run_key)[0], None

    return jax.lax.scan(update, initial_state(gan, start_key), None, length=steps)[0]


def measured(gan, state, key, real, fake, *, weight, one_sided):
    """Returns all estimates of a critic on fresh points ``[n, 2]``."""
    critic_fn = gan.critic_fn(state.critic.params, state.critic.model_state)
    order_key, key = jax.random.split(key)
    raw = jnp.mean(critic_fn(real)) - jnp.mean(critic_fn(fake))
    # Each real point is paired with several fakes, because interpolates are cheap.
    partners = jax.random.split(order_key, 4)
    crowd = jnp.concatenate([jax.random.permutation(k, fake) for k in partners])
    norms = gradient_norms(critic_fn, interpolate(jnp.tile(real, (4, 1)), crowd, key))
    excess = jnp.maximum(norms - 1, 0) if one_sided else norms - 1
    both = jnp.concatenate([real, fake])
    largest = grid_max_norm(critic_fn, both.min(0), both.max(0), points=GRID)
    found = {
        "raw": raw,
        "gradient norm": estimate_by_gradient_norm(raw, jnp.mean(norms)),
        "maximum": lipschitz_bound(raw, largest),
        "mean_norm": jnp.mean(norms),
        "max_norm": largest,
    }
    if gan.penalties:
        found["closed form"] = estimate_by_penalty(raw, weight=weight)
        found["flow"] = estimate_by_flow(raw, weight * jnp.mean(jnp.square(excess)))
    return found


def program(kind, steps, arguments):
    """Compiles ``(seeds, weight, pools, fresh) -> estimates [seeds]``."""
    check_gan(gan_of(kind, 1.0, arguments, steps))

    def one(weight, pools, fresh, seed):
        gan = gan_of(kind, weight, arguments, steps)
        train_key, key = jax.random.split(jax.random.key(seed))
        state = trained(gan, train_key, *pools, steps=steps, batch=arguments.batch)
        return measured(gan, state, key, *fresh, weight=weight, one_sided=kind == "LP")

    def many(seeds, weight, pools, fresh):
        return jax.lax.map(partial(one, weight, pools, fresh), seeds)

    pool = jax.ShapeDtypeStruct((POOL, 2), jnp.float32)
    fresh = jax.ShapeDtypeStruct((BLOCKS * BLOCK, 2), jnp.float32)
    seeds = jax.ShapeDtypeStruct((arguments.seeds,), jnp.int32)
    weight = jax.ShapeDtypeStruct((), jnp.float32)
    return jax.jit(many).lower(seeds, weight, (pool,) * 2, (fresh,) * 2).compile()


START = time.perf_counter()


def log(text):
    """Prints a line with the seconds since the start."""
    print(f"[{time.perf_counter() - START:5.0f} s] {text}", flush=True)


def run(jobs, arguments):
    """Returns exact distances by pair, and a row per ``(pair, method, steps)``."""
    programs = {}
    for kind, steps in dict.fromkeys((m.kind, steps) for _, m, steps in jobs):
        programs[kind, steps] = program(kind, steps, arguments)
    log(f"{len(programs)} programs compiled")
    truths, pools, fresh = {}, {}, {}
    for pair in dict.fromkeys(pair for pair, _, _ in jobs):
        truths[pair] = known = truth(pair)
        fresh[pair] = [jnp.asarray(x.reshape(-1, 2)) for x in (known.real, known.fake)]
        pools[pair] = [jnp.asarray(x) for x in draw(pair, POOL, 0)]
        log(
            f"{pair}: W1 = {known.distance:.4f} +- {known.error:.4f}; with half the "
            f"sample size {known.half:.4f}"
        )

    def result(job):
        pair, method, steps = job
        seeds = jnp.arange(arguments.seeds, dtype=jnp.int32)
        weight = jnp.float32(method.weight)
        found = programs[method.kind, steps](
            seeds, weight, tuple(pools[pair]), tuple(fresh[pair])
        )
        found = {
            name: [round(float(value), 6) for value in values]
            for name, values in found.items()
        }
        log(f"{pair}, {method.name}, {steps} steps: raw {np.mean(found['raw']):.4f}")
        return {
            "pair": pair,
            "kind": method.kind,
            "weight": method.weight,
            "steps": steps,
            "readings": found,
        }

    # Two small programs in parallel use two cores better than one after the other. The
    # longest ones start first, so that none runs alone at the end.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        longest = sorted(jobs, key=lambda job: -job[2])
        found = {job: pool.submit(result, job) for job in longest}
        return truths, [found[job].result() for job in jobs]


def contents(rows, truths, arguments):
    """Returns all results and settings as a JSON object."""
    device = jax.devices()[0].device_kind
    settings = {k: v for k, v in vars(arguments).items() if k not in ("pairs", "name")}
    return {
        "settings": settings | {"device": device, "jax": jax.__version__},
        "exact": {
            pair: {
                "w1": t.distance,
                "error": t.error,
                "half_size": t.half,
                "known": KNOWN.get(pair),
            }
            for pair, t in truths.items()
        },
        "rows": rows,
    }


def save(content, path):
    """Writes one row per line, so that two files can be compared."""
    head = json.dumps({k: v for k, v in content.items() if k != "rows"}, indent=1)
    lines = ",\n  ".join(json.dumps(row) for row in content["rows"])
    path.write_text(head[:-2] + f',\n "rows": [\n  {lines}\n ]\n}}\n')


def parse():
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [method.name for method in METHODS]
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--methods", nargs="*", default=names, choices=names)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument(
        "--rate", type=float, default=2e-3, help="initial learning rate of Adam"
    )
    parser.add_argument("--name", default="critic_truth", help="file name in docs/")
    return parser.parse_args()


def main():
    """Trains, prints and writes the results."""
    arguments = parse()
    chosen = [m for m in METHODS if m.name in arguments.methods]
    jobs = [(p, m, arguments.steps) for p in arguments.pairs for m in chosen]
    # Large penalty weights converge slowly, so these critics are also trained for
    # longer.
    longer = [
        (LONGER_PAIR, m, factor * arguments.steps)
        for m in chosen
        for factor in LONGER
        if m.name in LONGER_METHODS and LONGER_PAIR in arguments.pairs
    ]
    truths, rows = run(jobs + longer, arguments)
    content = contents(rows, truths, arguments)
    path = DOCS / f"{arguments.name}.json"
    save(content, path)
    log(f"Wrote {path}; {time.process_time():.0f} s of CPU time")
    print("\n".join(tables(content)))
    figure(content, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
