"""Runs one case of the stage ``correct`` in one precision, on the current device.

    python benchmarks/accelerator/correct_worker.py dcgan float32

prints one line of JSON with the largest relative errors compared with the
float64 reference, and whether the compiled iteration satisfies its guarantees.
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

# Relative tolerances. Products are computed in full precision in float32. In
# bfloat16, products and maps between layers have 8 bits, and the input of a ReLU near
# 0 can change sign. A hinge or relativistic gradient is then a small difference of
# large sums.
TOLERANCES = {
    "float32": {"array": 1e-4, "gradient": 1e-4, "metric": 1e-4, "state": 1e-4},
    "bfloat16": {"gradient": 0.25, "metric": 0.1, "state": 0.02},
}
# An array whose norm is below this fraction of the largest in its group is only
# rounding error. For example, a bias before batch normalization has gradient 0.
VANISHES = 1e-3


def errors(
    found: dict[str, np.ndarray], reference: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Computes relative errors of each step and each penalty.

    Args:
        found: result of ``measured``.
        reference: the reference, with the same names.

    Returns:
        For ``critic``, ``generator``, ``iteration`` and ``penalty/<name>``: the
        ``gradient`` error of all gradients together, the largest error of a
        single gradient ``array``, and the largest errors of a ``metric`` and of
        the ``state``. The value of a penalty is a metric.

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
        elif kind == "metric":  # a metric near 0 is a difference of larger values
            kinds[kind] = max(float(abs(a - b) / max(abs(b), 0.1)) for a, b in pairs)
        else:  # cosine with a random direction, and norm
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
    """Checks that the iteration stays on the device, compiles once and reuses memory.

    Args:
        step: the iteration, already compiled for these shapes.
        gan: the Gan of the step.
        arrays: initial arrays.
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
    """Returns the fraction of a state's bytes that reuse memory of an earlier state.

    A value that the step does not read, such as the latest path length, is not
    passed to the program, so its memory cannot be reused.
    """
    leaves = jax.tree.leaves(state)
    kept = [leaf.nbytes for leaf in leaves if leaf.unsafe_buffer_pointer() in before]
    return sum(kept) / sum(leaf.nbytes for leaf in leaves)


def run(name: str, precision: str) -> dict[str, Any]:
    """Returns errors, tolerances and guarantees of one case."""
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
        if kind in limits and not error <= limits[kind]  # NaN fails, too
    ] + [promise for promise, is_kept in kept.items() if not is_kept]
    return {"errors": worst, "promises": kept, "wrong": wrong, "tolerance": limits}


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
