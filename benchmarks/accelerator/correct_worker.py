"""One case of the stage ``correct`` in one precision, on the device at hand.

    python benchmarks/accelerator/correct_worker.py dcgan float32

prints one line of JSON: the largest relative errors against the float64 reference,
and whether the compiled iteration keeps its promises.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
from references import FOLDER, KEY_SEED, Step, compiled_steps, measured, state_of
from small_cases import CASES, build, same_draws

from wgan_jax import Gan

# Relative. In float32 with products of full precision; in bfloat16 the products and
# the maps between layers have 8 bits, and a rectifier's input near 0 can change sign.
# A hinge or relativistic gradient is a small difference of large sums there.
TOLERANCES = {
    "float32": {"array": 1e-4, "gradient": 1e-4, "metric": 1e-4, "state": 1e-4},
    "bfloat16": {"gradient": 0.25, "metric": 0.1, "state": 0.02},
}
# An array whose norm is below this part of its group's largest is rounding alone:
# a bias before a batch norm, for example, has gradient 0.
VANISHES = 1e-3


def errors(
    found: dict[str, np.ndarray], reference: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Relative errors of each step and each penalty.

    Args:
        found: of ``measured``.
        reference: the same names.

    Returns:
        By ``critic``, ``generator``, ``iteration`` and ``penalty/<name>``, and within
        it ``gradient``, the error of all gradients together, ``array``, the largest
        one of an array of them, and the largest ``metric`` and ``state``. A penalty's
        value is a metric.

    Raises:
        ValueError: if the names differ.
    """
    if set(found) != set(reference):
        raise ValueError(f"only on one side: {sorted(set(found) ^ set(reference))[:5]}")
    groups: dict[tuple[str, str], list[str]] = {}
    for name in reference:
        groups.setdefault(_group(name), []).append(name)
    result: dict[str, dict[str, float]] = {}
    for (where, kind), names in groups.items():
        pairs = [
            (found[n].astype(np.float64), reference[n].astype(np.float64))
            for n in names
        ]
        kinds = result.setdefault(where, {})
        if kind == "gradient":
            apart = np.array([np.linalg.norm(a - b) for a, b in pairs])
            sizes = np.array([np.linalg.norm(b) for _, b in pairs])
            whole = np.linalg.norm(sizes)
            kinds["gradient"] = float(np.linalg.norm(apart) / whole)
            kinds["array"] = float(np.max(apart / np.maximum(sizes, VANISHES * whole)))
        elif kind == "metric":  # one near 0 is a difference of larger ones
            kinds[kind] = max(float(abs(a - b) / max(abs(b), 0.1)) for a, b in pairs)
        else:  # cosine with a direction, and length
            largest = max(b[1] for _, b in pairs)
            kinds[kind] = max(
                float(max(abs(a - b) / (1.0, max(b[1], VANISHES * largest))))
                for a, b in pairs
            )
    return result


def _group(name: str) -> tuple[str, str]:
    parts = name.split("/")
    if parts[0] == "penalty":
        return f"penalty/{parts[1]}", "metric" if parts[2] == "value" else "gradient"
    return parts[0], parts[1]


def promises(step: Step, gan: Gan, arrays: Any, real: np.ndarray) -> dict[str, bool]:
    """Whether the iteration stays on the device, compiles once and reuses memory.

    Args:
        step: the iteration, already compiled for these shapes.
        gan: of the step.
        arrays: initial ones.
        real: batches.

    Returns:
        ``no_host_transfer``, ``no_recompilation``, ``donated_memory_reused``.
    """
    key = jax.random.key(KEY_SEED)
    inputs = step.inputs(jnp.asarray(real), key)
    state = state_of(gan, arrays, jnp.float32)
    state = jax.device_put(state, jax.devices()[0])
    state, _ = step.call(state, *inputs)
    jax.block_until_ready(state)
    text = step.call.lower(state, *inputs).compile().as_text()
    compiled: list[str] = []

    def listen(event: str, *_: Any, **__: Any) -> None:
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    before = _addresses(state)
    quiet = True
    try:
        with jax.transfer_guard("disallow"):
            state, _ = step.call(state, *inputs)
            jax.block_until_ready(state)
    except Exception as error:
        print(f"host transfer: {error}", file=sys.stderr)
        quiet = False
    state, _ = step.call(state, *inputs)
    jax.block_until_ready(state)
    hosts = ("outfeed", "infeed", "xla_python_cpu_callback", "xla_ffi_python")
    return {
        "no_host_transfer": quiet and not any(f"{name}" in text for name in hosts),
        "no_recompilation": not compiled,
        "donated_memory_reused": _reused(before, state) > 0.999,
    }


def _addresses(state: Any) -> set[int]:
    return {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state)}


def _reused(before: set[int], state: Any) -> float:
    """Share of a state's bytes that lie where those of an earlier one lay.

    A number that no step reads, such as the last measured path length, is not given
    to the program, so that its memory cannot be taken over.
    """
    leaves = jax.tree.leaves(state)
    kept = [leaf.nbytes for leaf in leaves if leaf.unsafe_buffer_pointer() in before]
    return sum(kept) / sum(leaf.nbytes for leaf in leaves)


def run(name: str, precision: str) -> dict[str, Any]:
    """Errors, tolerances and promises of one case."""
    case = CASES[name]
    reference = dict(np.load(FOLDER / f"{name}.npz"))
    real = reference.pop("real")
    arrays = {
        k.removeprefix("start/"): reference.pop(k)
        for k in list(reference)
        if k.startswith("start/")
    }
    gan = build(case, jnp.bfloat16 if precision == "bfloat16" else None)
    with jax.default_matmul_precision("highest"):
        steps = compiled_steps(gan)
        found = measured(case, arrays, real, gan, steps, jnp.float32)
        with same_draws():
            kept = promises(steps["iteration"], gan, arrays, real)
    worst = errors(found, reference)
    limits = TOLERANCES[precision]
    wrong = [
        f"{where} {kind} {error:.1e}"
        for where, kinds in worst.items()
        for kind, error in kinds.items()
        if kind in limits and not error <= limits[kind]  # what is no number is not
    ] + [promise for promise, is_kept in kept.items() if not is_kept]
    return {"errors": worst, "promises": kept, "wrong": wrong, "tolerance": limits}


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
