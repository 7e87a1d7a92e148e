"""Creates the references of the stage ``correct``: the small steps in float64.

    JAX_PLATFORMS=cpu python benchmarks/accelerator/references.py

writes ``references/<case>.npz``. Each file contains the initial state and the
real batches in float32, and the results that a CPU computes from them in
float64. For each step, these are the gradients (as Adam's first moment), the
metrics, and one number per array of the new state, its product with a fixed
random vector. For each penalty, they are its value and its gradient with
respect to the critic parameters.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
from small_cases import (
    BATCH,
    CASES,
    TERMS,
    Small,
    build,
    named,
    path_name,
    real_batches,
    same_draws,
)

from wgan_jax import Gan, GanState, init_state
from wgan_jax.losses import PENALTIES
from wgan_jax.training.compiled import (
    make_critic_step,
    make_generator_step,
    make_train_step,
)

FOLDER = Path(__file__).with_name("references")
KEY_SEED = 3


def initial_arrays(case: Small) -> dict[str, np.ndarray]:
    """Returns float32 parameters and model states of a new run, by path.

    Noise is added, so that no array is initially 0, which would hide errors,
    and so that the gradient norms of a DCGAN critic are not a thousandth of the
    penalty's target.
    """
    gan = build(case)
    state = init_state(gan, jax.random.key(0))
    rng = np.random.default_rng(5)
    arrays = {k: v for k, v in named(state).items() if _is_kept(k)}
    return {
        name: value
        + np.float32(0.1) * rng.standard_normal(value.shape).astype(np.float32)
        if "/params/" in name
        else value
        for name, value in arrays.items()
    }


def _is_kept(name: str) -> bool:
    return name.split("/")[0] in ("critic", "generator") and "/opt_state/" not in name


def state_of(gan: Gan, arrays: dict[str, np.ndarray], dtype: Any) -> GanState:
    """Returns a state at step 0 with these arrays; the EMA equals the generator."""
    fresh = jax.eval_shape(lambda: init_state(gan, jax.random.key(0)))

    def value(path: Any, leaf: Any) -> jax.Array:
        source = (
            path_name(path)
            .replace("ema_params", "generator/params")
            .replace("ema_model_state", "generator/model_state")
        )
        if source in arrays:
            return jnp.asarray(arrays[source], dtype)
        kind = dtype if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf.dtype
        return jnp.zeros(leaf.shape, kind)

    return jax.tree_util.tree_map_with_path(value, fresh)


def compiled_steps(gan: Gan) -> dict[str, Any]:
    """Returns the compiled steps, called as ``(state, batches [N, B, ...], key)``.

    They are jitted functions that donate the state.
    """
    critic, iteration = make_critic_step(gan), make_train_step(gan)
    generator = make_generator_step(gan, batch_size=BATCH)
    rest = (lambda real: (real[-1],)) if gan.objective.paired else lambda real: ()
    return {
        "critic": Step(critic, lambda real, key: (real[0], key)),
        "generator": Step(generator, lambda real, key: (key, *rest(real))),
        "iteration": Step(iteration, lambda real, key: (real, key)),
    }


class Step(NamedTuple):
    """A compiled step and its arguments after the state.

    Attributes:
        call: the jitted function.
        inputs: returns the arguments from the batches and the key.
    """

    call: Any
    inputs: Callable[[jax.Array, jax.Array], tuple[jax.Array, ...]]


def projections(state: GanState) -> dict[str, np.ndarray]:
    """Projects each array of a state, except optimizer moments, on a random vector."""
    rng = np.random.default_rng(11)
    found = {}
    for name, value in named(state).items():
        if "/opt_state/" in name or not np.issubdtype(value.dtype, np.floating):
            continue
        direction = rng.standard_normal(value.size)
        values = value.astype(np.float64).ravel()
        # Divided by the norm, so that a relative error of 1e-6 shows as 1e-6.
        length = np.linalg.norm(values) or 1.0
        found[name] = np.array([values @ direction / length, length])
    return found


def measured(
    case: Small,
    arrays: dict[str, np.ndarray],
    real: np.ndarray,
    gan: Gan,
    steps: dict[str, Step],
    dtype: Any,
) -> dict[str, np.ndarray]:
    """Computes everything that is compared, by name.

    Args:
        case: the networks.
        arrays: result of ``initial_arrays``.
        real: result of ``real_batches``.
        gan: result of ``build``, in the dtype to compute in.
        steps: result of ``compiled_steps``.
        dtype: dtype of the state and the examples.

    Returns:
        ``<step>/gradient/...``, ``<step>/metric/...``, ``<step>/state/...``,
        and ``penalty/<term>/value`` and ``penalty/<term>/gradient/...``.
    """
    key = jax.random.key(KEY_SEED)
    batches = jnp.asarray(real, dtype)
    found: dict[str, np.ndarray] = {}
    with same_draws():
        for name, step in steps.items():
            start = state_of(gan, arrays, dtype)
            state, metrics = step.call(start, *step.inputs(batches, key))
            for player in ("critic", "generator"):
                if name in (player, "iteration"):
                    moment = named(getattr(state, player).opt_state[0].mu)
                    found |= {
                        f"{name}/gradient/{player}/{k}": v for k, v in moment.items()
                    }
            found |= {f"{name}/metric/{k}": np.asarray(v) for k, v in metrics.items()}
            found |= {f"{name}/state/{k}": v for k, v in projections(state).items()}
        if len(case.shape) == 3 and not gan.objective.paired:
            found |= _penalties(gan, state_of(gan, arrays, dtype), batches, key)
    return found


def _penalties(
    gan: Gan, state: GanState, real: jax.Array, key: jax.Array
) -> dict[str, np.ndarray]:
    """Returns value and gradient of each penalty, between two real batches."""

    @jax.jit
    def all_terms(params: Any) -> dict[str, Any]:
        found = {}
        for term, (name, options) in TERMS.items():

            def value(params: Any, name: str = name, options: Any = options) -> Any:
                critic_fn = gan.critic_fn(params, state.critic.model_state)
                result = PENALTIES[name](critic_fn, real[0], real[1], key, **options)
                return result[0] if isinstance(result, tuple) else result

            penalty, gradient = jax.value_and_grad(value)(params)
            found[term] = {"value": penalty, "gradient": gradient}
        return found

    return named({"penalty": all_terms(state.critic.params)})


def main() -> None:
    """Writes one file per case."""
    jax.config.update("jax_platforms", "cpu")
    FOLDER.mkdir(exist_ok=True)
    for name, case in CASES.items():
        arrays = initial_arrays(case)
        jax.config.update("jax_enable_x64", True)
        gan = build(case)
        real = real_batches(gan, case)
        found = measured(case, arrays, real, gan, compiled_steps(gan), jnp.float64)
        jax.config.update("jax_enable_x64", False)
        kept = {
            k: v.astype(np.float32) if "/gradient/" in k else v
            for k, v in found.items()
        }
        start = {f"start/{k}": v for k, v in arrays.items()}
        file = FOLDER / f"{name}.npz"
        np.savez_compressed(file, real=real, **start, **kept)
        print(f"{file.name}: {len(kept)} arrays, {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
