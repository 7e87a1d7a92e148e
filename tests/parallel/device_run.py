"""Trains three iterations on virtual devices and writes the results.

python tests/parallel/device_run.py DEVICES DTYPE METHOD OUT.npz

DTYPE is ``float32`` or ``float64``. METHOD is one of

- ``plain``;
- ``full``: conditional networks, an auxiliary head, dropout and the consistency
  term, a lazy penalty, augmentation, flips and microbatches;
- ``in_one_call``: ``plain`` with the three iterations in one call;
- ``zero1``: ``plain`` with this placement, and kernels just wide enough to be
  sharded. With 1 device, nothing is sharded.
"""

import sys
from functools import partial

import jax

DEVICES, DTYPE, METHOD, OUT = int(sys.argv[1]), *sys.argv[2:]
PLACEMENT = METHOD if METHOD == "zero1" else "replicated"
jax.config.update("jax_num_cpu_devices", DEVICES)
jax.config.update("jax_enable_x64", DTYPE == "float64")

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from wgan_jax import (  # noqa: E402
    OBJECTIVES,
    Conditional,
    Gan,
    init_state,
    make_mesh,
    make_train_step,
    make_train_steps,
    put_batches,
    sample,
)
from wgan_jax.augmentation import diff_augment  # noqa: E402
from wgan_jax.losses import (  # noqa: E402
    consistency,
    gradient_penalty_and_norms,
    r1,
)
from wgan_jax.networks import CRITICS, GENERATORS  # noqa: E402

PLAIN = {
    "generator": GENERATORS["dcgan_gp"](image_shape=(8, 8, 1), width=8),
    "critic": CRITICS["dcgan_gp"](width=8),
    "penalties": ((gradient_penalty_and_norms, 10.0),),
    "dequantize": True,
}
WIDE = PLAIN | {
    "generator": GENERATORS["dcgan_gp"](image_shape=(8, 8, 1), width=48),
    "critic": CRITICS["dcgan_gp"](width=48),
}
FULL = {
    "generator": GENERATORS["resnet"](image_shape=(8, 8, 1), width=4, classes=3),
    "critic": CRITICS["resnet"](
        width=4, classes=3, head="auxiliary", dropout=(0.2, 0.5, 0.5)
    ),
    "penalties": ((gradient_penalty_and_norms, 10.0), (consistency, 2.0), (r1, 1.0, 2)),
    "conditional": Conditional(classes=3, critic_weight=1.0, generator_weight=0.1),
    "augment": partial(diff_augment, policy="color,translation,cutout"),
    "flip": True,
    "microbatches": 2,
}


def train(gan, mesh, state, batches, key):
    """Returns the state after one iteration per batch, and their metrics."""
    history = []
    if METHOD == "in_one_call":
        stacked = jax.tree.map(lambda *parts: np.stack(parts), *batches)
        steps = make_train_steps(gan, mesh)
        state, metrics = steps(state, put_batches(mesh, stacked, axis=2), key)
        metrics = jax.device_get(metrics)
        history = [{k: v[t] for k, v in metrics.items()} for t in range(len(batches))]
        return state, history
    step = make_train_step(gan, mesh, placement=PLACEMENT)
    for batch in batches:
        state, metrics = step(state, put_batches(mesh, batch), key)
        history.append(jax.device_get(metrics))
    return state, history


def main():
    gan = Gan(
        **{"full": FULL, "zero1": WIDE}.get(METHOD, PLAIN),
        objective=OBJECTIVES["wasserstein"],
        generator_optimizer=optax.adam(1e-3, b1=0.0, b2=0.9),
        critic_optimizer=optax.adam(1e-3, b1=0.0, b2=0.9),
        latent_size=4,
    )
    mesh = make_mesh()
    assert mesh.size == DEVICES
    key = jax.random.key(3)
    state = init_state(gan, key, mesh, placement=PLACEMENT)
    wide = jnp.dtype(DTYPE)
    state = jax.tree.map(
        lambda x: x.astype(wide) if jnp.issubdtype(x.dtype, jnp.floating) else x, state
    )
    batches = []
    for t in range(3):
        bits = np.random.RandomState(t).randint(0, 256, (2, 16, 8, 8, 1), np.uint8)
        # uint8 images become float32, in which the devices differ by rounding.
        images = bits if DTYPE == "float32" else bits / 127.5 - 1.0
        batch = {"image": images}
        if gan.conditional is not None:
            batch["label"] = np.arange(32, dtype=np.int32).reshape(2, 16) % 3
        batches.append(batch)
    state, history = train(gan, mesh, state, batches, key)
    # Otherwise, this case would equal another one.
    divided = [x for x in jax.tree.leaves(state) if not x.is_fully_replicated]
    assert bool(divided) == (PLACEMENT == "zero1" and DEVICES > 1)
    losses = {
        f"metric {t} {name}": value
        for t, metrics in enumerate(history)
        for name, value in metrics.items()
    }
    leaves = jax.tree_util.tree_flatten_with_path(
        (state.critic.params, state.generator.params, state.ema_model_state)
    )[0]
    arrays = {f"param {jax.tree_util.keystr(p)}": np.asarray(x) for p, x in leaves}
    samples = np.asarray(sample(gan, state, key, 5))
    np.savez(OUT, samples=samples, **losses, **arrays)


if __name__ == "__main__":
    main()
