"""No network mixes the examples of a batch, whatever its size and options.

Every row of both tables, with each value of each option that its class has.
"""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import (
    ROWS,
    jit,
    labels,
    small_critic,
    small_generator,
    start,
)
from tables import fields

from wgan_jax.modules import is_random
from wgan_jax.networks import CRITICS, GENERATORS, HEADS, PARAMETRIZATIONS

CHANGED, PART = 2, slice(1, 4)
Y = labels(0, 1, 2, 0, 1, 2)
BY_CLASS = {"classes": 3}
# Options whose values do not follow from a field's type.
OPTIONS = {"resnet": [{"dropout": (0.2, 0.5, 0.5)}, {"pool": "sum"}]}


def variants(name, own):
    """Further fields of a small network, whose own these are.

    None, those of ``OPTIONS``, and the others together: each value of each of them is
    in one of the cases.
    """
    values = [[{k: not v}] for k, v in own.items() if type(v) is bool]
    if "parametrization" in own:
        plain = own["parametrization"]
        values.append([{"parametrization": p} for p in PARAMETRIZATIONS if p != plain])
    if "head" in own:
        values.append([BY_CLASS | {"head": head} for head in HEADS])
    elif "classes" in own:
        values.append([BY_CLASS])
    together = [
        functools.reduce(
            operator.or_, (several[i % len(several)] for several in values)
        )
        for i in range(max(map(len, values), default=0))
    ]
    known = [more for more in OPTIONS.get(name, []) if more.keys() <= own.keys()]
    return [{}, *known, *together]


def cases(table, place):
    """Cases of a table whose small fields are at this place of a row."""
    return [
        pytest.param(case, options, id=f"{case[0]} {options or 'plain'}")
        for case in ROWS
        if case[0] in table
        for options in variants(case[0], fields(table[case[0]]) | case[place])
    ]


def accepted(module, options, *inputs):
    """The module with the options; of options that exclude each other, with each."""
    alone = [{k: v} for k, v in options.items() if k not in ("classes", "head")]
    if "classes" in options:
        alone.append({k: options[k] for k in ("classes", "head") if k in options})
    try:
        start(module.clone(**options), *inputs_of(options, *inputs))
    except ValueError:
        if len(alone) < 2:
            raise
        return alone
    return [options]


def inputs_of(options, x):
    by_class = "classes" in options and options.get("head") != "auxiliary"
    return (x, Y) if by_class else (x,)


def some_variables(module, key, *inputs):
    """Random numbers in the place of what ``init`` makes, above 0 but in parameters."""
    shapes = start(module, *inputs)
    shapes.pop("intermediates", None)
    leaves, tree = jax.tree.flatten(shapes)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        0.4 * jax.random.normal(k, leaf.shape, leaf.dtype)
        for k, leaf in zip(keys, leaves, strict=True)
    ]
    filled = jax.tree.unflatten(tree, drawn)
    above = lambda x: 0.5 + jnp.abs(x)
    return {
        name: value if name == "params" else jax.tree.map(above, value)
        for name, value in filled.items()
    }


def check_apart(module, key, *inputs):
    """Output i changes with input i alone, and is the same in a smaller batch.

    In training too, but for batch norm, whose purpose is otherwise.
    """
    variables = some_variables(module, key, *inputs)
    params, state = variables["params"], dict(variables)
    del state["params"]
    modes = [False] if "batch_stats" in state else [False, True]

    def outputs(variables, *inputs):
        moving = {"mutable": list(state), "rngs": {"dropout": key}}
        return [module.apply(variables, *inputs, train=t, **moving)[0] for t in modes]

    run, x = jit(outputs), inputs[0]
    other = x.at[CHANGED].set(jnp.flip(x[CHANGED]) - 0.3)
    whole, changed = (run(variables, a, *inputs[1:]) for a in (x, other))
    for a, b in zip(whole, changed, strict=True):
        assert a.shape[0] == len(x)
        unequal = np.any((np.asarray(a) != np.asarray(b)).reshape(len(x), -1), 1)
        np.testing.assert_array_equal(np.flatnonzero(unequal), [CHANGED])
    if is_random(module, params, state, inputs):  # draws as many as there are examples
        return
    parts = run(variables, *(a[PART] for a in inputs))
    for a, part in zip(whole, parts, strict=True):
        scale = float(jnp.abs(a).max())
        np.testing.assert_allclose(part, a[PART], atol=1e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize(("case", "options"), cases(CRITICS, 4))
def test_a_score_is_of_its_own_example(case, options, key):
    critic, images = small_critic(case, key)
    for more in accepted(critic, options, images):
        check_apart(critic.clone(**more), key, *inputs_of(more, images))


@pytest.mark.parametrize(("case", "options"), cases(GENERATORS, 3))
def test_an_image_is_of_its_own_latent(case, options, key):
    generator, latent = small_generator(case, key)
    for more in accepted(generator, options, latent):
        check_apart(generator.clone(**more), key, *inputs_of(more, latent))
