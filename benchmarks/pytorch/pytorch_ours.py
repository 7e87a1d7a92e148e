"""JAX side of ``pytorch.py``: the compiled steps as users get them."""

import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jaxlib
import numpy as np
import optax
from pytorch_cases import OPTIMIZER, Case
from pytorch_workers import Side, least, serve

from wgan_jax import OBJECTIVES, Gan, init_state
from wgan_jax.losses.gradients import interpolate
from wgan_jax.losses.penalties import gradient_penalty_and_norms
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.planning.flops import operations
from wgan_jax.training.compiled import (
    make_critic_step,
    make_generator_step,
    make_train_step,
)
from wgan_jax.training.gradients import (
    Draws,
    Keys,
    Pairs,
    critic_gradients,
    generator_gradients,
)
from wgan_jax.training.steps import critic_step, generator_step


def build(case: Case, penalty: Any = gradient_penalty_and_norms) -> Gan:
    """Returns the Gan of a case; without a penalty if it is None or not in the case."""
    dtype: dict[str, Any] = {"param_dtype": jax.numpy.result_type(float)}  # or float64
    if case.precision == "bfloat16":
        dtype["dtype"] = jax.numpy.bfloat16
    options = {"batch_norm": False} if case.pair == "dcgan" else {}
    adam = partial(optax.adam, **OPTIMIZER)
    return Gan(
        generator=GENERATORS[case.pair](
            image_shape=case.shape, width=case.width, **dtype
        ),
        critic=CRITICS[case.pair](width=case.width, **options, **dtype),
        objective=OBJECTIVES[case.objective],
        penalties=((penalty, case.weight),) if penalty and case.penalised else (),
        generator_optimizer=adam(),
        critic_optimizer=adam(),
        latent_size=case.latent_size,
        ema_decay=None,  # as on PyTorch's side
    )


class Ours(Side):
    """One case, whose state is donated from step to step."""

    def __init__(self, case: list[Any] | None = None, double: bool = False):
        assert jax.config.jax_enable_x64 == double  # before any array is created
        # Threads, the context and an initialized compiler are part of the baseline.
        jax.jit(jax.grad(lambda x: (x @ x).sum()))(np.ones((8, 8), np.float32))
        super().__init__()
        self._key = jax.random.key(0)
        if case is None:
            return
        self._case = case_ = Case(*case)._replace(shape=tuple(case[3]))
        shape = (case_.updates, case_.batch, *case_.shape)
        self._batches = jax.random.uniform(self._key, shape, minval=-1.0)
        self._batch = self._batches[0] + 0
        self._state = init_state(build(case_), self._key)

    def make(self, step: str) -> Callable[[], None]:
        """See ``Side``."""
        call, rest = self.jitted(step)

        def take() -> None:
            self._state, _ = call(self._state, *rest)

        return take

    def jitted(self, step: str) -> tuple[Any, tuple[Any, ...]]:
        """Returns a step as a jitted function, and its arguments after the state."""
        gan = build(self._case)
        rest: dict[str, tuple[Any, ...]] = {
            "plain": (self._batch, self._key),
            "penalty": (self._batch, self._key),
            "generator": (self._key,),
            "iteration": (self._batches, self._key),
        }
        if step == "plain":
            gan = build(self._case, None)
        if step == "generator":
            return make_generator_step(gan, batch_size=self._case.batch), rest[step]
        make = make_train_step if step == "iteration" else make_critic_step
        return make(gan), rest[step]

    def wait(self) -> None:
        """See ``Side``."""
        jax.block_until_ready(self._state)

    def device_peak(self) -> int | None:
        """See ``Side``."""
        device = jax.devices()[0]
        stats = None if device.platform == "cpu" else device.memory_stats()
        return stats and stats.get("peak_bytes_in_use")

    def operations(self, step: str) -> float:
        """Counts multiplications and additions of matrix products in one step."""
        gan, plain = build(self._case), build(self._case, None)
        state, key = self._state, self._key
        critic = partial(critic_step, gan), (state, self._batch, key)
        generator = (
            partial(generator_step, gan, batch_size=self._case.batch),
            (state, key),
        )
        if step == "iteration":
            critic_operations = operations(critic[0], *critic[1])
            return self._case.updates * critic_operations + operations(
                generator[0], *generator[1]
            )
        if step == "plain":
            return operations(partial(critic_step, plain), *critic[1])
        call, arguments = critic if step == "penalty" else generator
        return operations(call, *arguments)

    def parameters(self) -> list[int]:
        """Returns the numbers of parameters of the generator and the critic."""
        players = self._state.generator, self._state.critic
        return [sum(x.size for x in jax.tree.leaves(p.params)) for p in players]

    def check(self, path: str) -> None:
        """Writes parameters, inputs, values and gradients for PyTorch's side.

        Args:
            path: path of the ``.npz`` file. Names are ``generator/...`` and
                ``critic/...`` for parameters, ``inputs/...``, ``values/...``
                and ``gradients/<of what>/...``.
        """
        case, key, at = self._case, self._key, jax.random.key(1)
        gan, plain = build(case, partial(_penalty_at, at)), build(case, None)
        gans = {"penalty": gan, "plain": plain} if case.penalised else {"plain": plain}

        @jax.jit
        def everything(state: Any, real: Any, latent: Any) -> dict[str, Any]:
            fake, _ = gan.generate(
                state.generator.params, state.generator.model_state, latent, train=True
            )
            pairs, keys = Pairs(real, fake), Keys(key, key)
            found = {
                name: critic_gradients(
                    g, state, (state.critic.model_state, ()), pairs, keys
                )
                for name, g in gans.items()
            }
            moved = generator_gradients(
                gan, state, (state.generator.model_state, ()), Draws(latent), keys
            )
            score = gan.critic_fn(state.critic.params, state.critic.model_state)
            values = {
                "fake": fake,
                "real_scores": score(real),
                "fake_scores": score(fake),
            }
            if case.penalised:
                values["penalty"] = found["penalty"][2]["critic/penalty"]
            return {
                "generator": state.generator.params,
                "critic": state.critic.params,
                "inputs": {
                    "real": real,
                    "latent": latent,
                    "points": interpolate(real, fake, at),
                },
                "values": values,
                "gradients": {name: f[0] for name, f in found.items()}
                | {"generator": moved[0]},
            }

        latent = jax.random.normal(jax.random.key(2), (case.batch, case.latent_size))
        # By default, a float32 product on an accelerator has reduced precision.
        with jax.default_matmul_precision("highest"):
            found = everything(init_state(gan, key), self._batch, latent)
        named = {
            "/".join(part.key for part in place): np.asarray(at_least_single(leaf))
            for place, leaf in jax.tree_util.tree_leaves_with_path(found)
        }
        np.savez(path, **named)

    def peak(self, size: int) -> dict[str, float]:
        """Returns operations per second of a square product in the case's precision.

        Args:
            size: side of the matrices.

        Returns:
            Operations per second by library; numpy does not support bfloat16.
        """
        x = jax.random.normal(self._key, (size, size), self._case.precision)
        product = jax.jit(jax.numpy.matmul)
        calls = {"jax": lambda: product(x, x).block_until_ready()}
        if jax.devices()[0].platform == "cpu" and x.dtype == np.float32:
            y = np.asarray(x)
            calls["numpy"] = lambda: y @ y
        return {name: 2 * size**3 / least(call) for name, call in calls.items()}

    def about(self) -> dict[str, Any]:
        """Returns the versions and the device."""
        device = jax.devices()[0]
        return {
            "python": platform.python_version(),
            "versions": {
                "jax": jax.__version__,
                "jaxlib": jaxlib.__version__,
                "numpy": np.__version__,
            },
            "platform": device.platform,
            "device": device.device_kind,
            "threads": len(os.sched_getaffinity(0)),
        }


def at_least_single(x: jax.Array) -> jax.Array:
    """Converts bfloat16, which numpy files do not support, to float32."""
    return x.astype(jax.numpy.promote_types(x.dtype, np.float32))


def _penalty_at(
    at: Any, critic_fn: Any, real: Any, fake: Any, key: Any
) -> tuple[Any, Any]:
    """Computes the gradient penalty at points that can be passed to the other side."""
    return gradient_penalty_and_norms(critic_fn, real, fake, at)


if __name__ == "__main__":
    serve(Ours)
