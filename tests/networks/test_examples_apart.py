"""Tests that no network mixes the examples of a batch, for any size and option.

They cover every row of both tables, with each value of each option of its class.
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
from table_rows import fields

from wgan_jax.modules import is_random
from wgan_jax.networks import CRITICS, GENERATORS, HEADS, PARAMETRIZATIONS

CHANGED, PART = 2, slice(1, 4)
Y = labels(0, 1, 2, 0, 1, 2)
BY_CLASS = {"classes": 3}
# Options whose values do not follow from a field's type.
OPTIONS = {
    "resnet": [{"dropout": (0.2, 0.5, 0.5)}, {"pool": "sum"}],
    "dcgan": [{"dropout": 0.5, "batch_norm": False}],
}


def variants(name, own):
    """Returns further fields of a small network, one dictionary per case.

    The cases are: none, those of ``OPTIONS``, and combinations in which each value of
    each other option occurs.

    Args:
        name: the row.
        own: the fields of its class and their values.
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
    """Returns the cases of a table; ``place`` is that of its fields in a small case."""
    return [
        pytest.param(case, options, id=f"{case[0]} {options or 'plain'}")
        for case in ROWS
        if case[0] in table
        for options in variants(case[0], fields(table[case[0]]) | case[place])
    ]


def accepted(module, options, x):
    """Returns the module with the options, its inputs and the shapes of its variables.

    Options that exclude each other are applied one at a time.
    """
    by_class = "classes" in options and options.get("head") != "auxiliary"
    inputs = (x, Y) if by_class else (x,)
    changed = module.clone(**options)
    try:
        shapes = start(changed, *inputs)
    except ValueError:
        alone = [{k: v} for k, v in options.items() if k not in ("classes", "head")]
        if "classes" in options:
            alone.append({k: options[k] for k in ("classes", "head") if k in options})
        if len(alone) < 2:
            raise
        return [found for one in alone for found in accepted(module, one, x)]
    return [(changed, inputs, shapes)]


def some_variables(shapes):
    """Returns random variables; those that are not parameters are positive."""
    random = np.random.RandomState(0)
    draw = lambda leaf: jnp.asarray(
        0.4 * random.standard_normal(leaf.shape), leaf.dtype
    )
    above = lambda leaf: 0.5 + jnp.abs(draw(leaf))
    return {
        name: jax.tree.map(draw if name == "params" else above, value)
        for name, value in shapes.items()
        if name != "intermediates"
    }


def check_apart(module, inputs, shapes, key):
    """Checks that output i depends only on input i, and not on the batch size.

    Networks with batch norm are checked in evaluation mode, others in training mode.
    ``test_contract.py`` covers evaluation mode.
    """
    variables = some_variables(shapes)
    params, state = variables["params"], dict(variables)
    del state["params"]
    moving = {"mutable": list(state), "rngs": {"dropout": key}}
    train = "batch_stats" not in state

    @jit
    def run(variables, *inputs):
        return module.apply(variables, *inputs, train=train, **moving)[0]

    x = inputs[0]
    other = x.at[CHANGED].set(jnp.flip(x[CHANGED]) - 0.3)
    whole, changed = (np.asarray(run(variables, a, *inputs[1:])) for a in (x, other))
    unequal = np.any((whole != changed).reshape(len(x), -1), 1)
    np.testing.assert_array_equal(np.flatnonzero(unequal), [CHANGED])
    if is_random(
        module, params, state, inputs, train=False
    ):  # draws as many as there are examples
        return
    part = run(variables, *(a[PART] for a in inputs))
    scale = np.abs(whole).max()
    np.testing.assert_allclose(part, whole[PART], atol=1e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize(("case", "options"), cases(CRITICS, 4))
def test_score_depends_only_on_its_own_example(case, options, key):
    critic, images = small_critic(case, key)
    for module, inputs, shapes in accepted(critic, options, images):
        check_apart(module, inputs, shapes, key)


@pytest.mark.parametrize(("case", "options"), cases(GENERATORS, 3))
def test_image_depends_only_on_its_own_latent(case, options, key):
    generator, latent = small_generator(case, key)
    for module, inputs, shapes in accepted(generator, options, latent):
        check_apart(module, inputs, shapes, key)
