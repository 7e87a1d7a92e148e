"""Writes the golden files: losses and gradients by PyTorch, from the papers' equations.

Each row of a table has a maker ``TABLE/ROW.py`` and what it made, ``TABLE/ROW.npz``.
Run it with PyTorch installed; the tests that read the files need none.

    python tests/losses/golden/make_golden.py              # all rows
    python tests/losses/golden/make_golden.py r1 hinge     # these

A maker has ``CASES``, options of the row by the name of a case (``{"default": {}}``
if it has none), and by its table, every option a keyword with the row's default:

    objectives    critic_loss(real, fake, **options), generator_loss(real, fake,
                  **options): scalars of scores [B]
    penalties     value(params, **options): a scalar of the critic's parameters
    regularizers  value(params, state, **options): a scalar of the generator's
                  parameters and the memory of ``STATES[case]``, {} without
    constraints   project(params, **options): the critic's parameters, projected

``problem.py`` has the networks, the data and the draws. Every quantity is computed in
float64 by autograd, the gradient of a gradient by ``create_graph``.
"""

import importlib.util
import json
import sys

import numpy as np

try:
    import torch
except ModuleNotFoundError:
    sys.exit("PyTorch is missing: pip install torch==2.13.0, in any environment.")

from problem import FAKE, HERE, LATENT, REAL, check_both_sides, params_of
from problem import critic as score
from problem import generator as generate


def gradient(value, params):
    """One vector of all parameters, in the order of draws.npz."""
    grads = torch.autograd.grad(value, list(params.values()), allow_unused=True)
    return vector(
        torch.zeros_like(w) if g is None else g
        for g, w in zip(grads, params.values(), strict=True)
    )


def vector(arrays):
    return np.concatenate([a.detach().numpy().ravel() for a in arrays])


def measured(value, params):
    found = {"gradient": gradient(value, params)}
    return {"value": value.detach().numpy()} | found


def objective(maker, options, state):
    p = params_of("critic")
    loss = maker.critic_loss(score(p, REAL)[0], score(p, FAKE)[0], **options)
    found = {f"critic_loss/{k}": v for k, v in measured(loss, p).items()}
    fixed, p = params_of("critic"), params_of("generator")
    scores = score(fixed, REAL)[0], score(fixed, generate(p, LATENT))[0]
    loss = maker.generator_loss(*scores, **options)
    return found | {f"generator_loss/{k}": v for k, v in measured(loss, p).items()}


def penalty(maker, options, state):
    p = params_of("critic")
    return measured(maker.value(p, **options), p)


def regularizer(maker, options, state):
    p = params_of("generator")
    return measured(maker.value(p, state, **options), p)


def constraint(maker, options, state):
    p = params_of("critic")
    projected = maker.project(p, **options)
    return {"params": vector(projected[name] for name in p)}


TABLES = {
    "objectives": objective,
    "penalties": penalty,
    "regularizers": regularizer,
    "constraints": constraint,
}


def make(path):
    """The arrays of one golden file."""
    spec = importlib.util.spec_from_file_location(f"maker_{path.stem}", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    golden = {"torch_version": np.array(torch.__version__)}
    for case, options in maker.CASES.items():
        state = getattr(maker, "STATES", {}).get(case, {})
        golden[f"{case}/options"] = np.array(json.dumps(options))
        golden[f"{case}/state"] = np.array(json.dumps(state))
        found = TABLES[path.parent.name](maker, options, state)
        golden |= {f"{case}/{name}": value for name, value in found.items()}
    return golden


def unchanged(path, golden):
    if not path.exists():
        return False
    with np.load(path) as old:
        return set(old.files) == set(golden) and all(
            np.array_equal(old[name], value) for name, value in golden.items()
        )


def main(rows):
    check_both_sides()
    makers = {p.stem: p for table in TABLES for p in (HERE / table).glob("*.py")}
    if unknown := sorted(set(rows) - set(makers)):
        sys.exit(f"no maker of {unknown[0]!r}; there are {', '.join(sorted(makers))}.")
    for path in (makers[row] for row in rows or sorted(makers)):
        golden, target = make(path), path.with_suffix(".npz")
        if unchanged(target, golden):
            print(f"{target.relative_to(HERE)}: unchanged")
        else:
            np.savez_compressed(target, **golden)
            print(f"{target.relative_to(HERE)}: written")


if __name__ == "__main__":
    main(sys.argv[1:])
