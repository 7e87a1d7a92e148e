"""One contract for all rows of all tables, in every legal combination.

A program per pair of networks takes the objective and the constraint by number
and the penalties' weights as inputs, so that one compilation serves them all. A row
of networks that no variant names takes part with small sizes, plain and by class.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_networks import NAMES, QUICK, critic_of, generator_of, small_cases
from table_rows import fields, with_required

from wgan_jax.conditioning import Conditional
from wgan_jax.gan import Gan
from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES, REGULARIZERS
from wgan_jax.losses.terms import Term
from wgan_jax.training.gradients import (
    Draws,
    Keys,
    Pairs,
    critic_gradients,
    generator_gradients,
)
from wgan_jax.training.init import check_gan, init_state, initial_state
from wgan_jax.training.steps import critic_update

BATCH, CLASSES, LATENT = 4, 3, 5
GROUPS = {"width": 4, "cardinality": 2, "blocks_per_stage": 1}
SMALL = {"width": 4}
PROJECTION = Conditional(classes=CLASSES)
AUXILIARY = Conditional(classes=CLASSES, critic_weight=1.0, generator_weight=0.1)
DROPOUT = {"dropout": (0.2, 0.5, 0.5)}
# Name: row, image shape, fields of the generator, of the critic, classes.
VARIANTS = {
    "mlp": ("mlp", (2,), {"width": 8}, {"width": 8}, None),
    "mlp weight_norm": (
        "mlp",
        (4, 4, 1),
        {"width": 8, "bounded": True},
        {"width": 8, "parametrization": "weight_norm"},
        None,
    ),
    "dcgan": (
        "dcgan",
        (8, 8, 1),
        SMALL | {"batch_norm": False},
        SMALL | {"batch_norm": False},
        None,
    ),
    "dcgan batch_norm": ("dcgan", (16, 16, 1), SMALL, SMALL, None),
    "dcgan_gp": ("dcgan_gp", (8, 8, 1), SMALL | {"batch_norm": False}, SMALL, None),
    "dcgan_gp by class": ("dcgan_gp", (8, 8, 1), SMALL, SMALL, PROJECTION),
    "sngan_cnn spectral": (
        "sngan_cnn",
        (8, 8, 1),
        SMALL,
        SMALL | {"parametrization": "spectral"},
        None,
    ),
    "resnet dropout": ("resnet", (8, 8, 1), SMALL, SMALL | DROPOUT, None),
    "resnet auxiliary": (
        "resnet",
        (8, 8, 1),
        SMALL,
        SMALL | {"head": "auxiliary"},
        AUXILIARY,
    ),
    "resnet64": ("resnet64", (8, 8, 1), SMALL, SMALL, None),
    "r3gan": ("r3gan", (8, 8, 1), GROUPS, GROUPS, None),
    "r3gan by class": ("r3gan", (8, 8, 1), GROUPS, GROUPS, PROJECTION),
    "article": ("article", (6, 5, 1), {}, SMALL, None),
}


def pairs_of(row):
    """What a row of networks that no variant names takes part with."""
    _, shape, _, of_generator, of_critic = small_cases(row)[0]
    yield row, (row, shape, of_generator, of_critic, None)
    if all("classes" in fields(of(row)) for of in (generator_of, critic_of)):
        yield f"{row} by class", (row, shape, of_generator, of_critic, PROJECTION)


NAMED = {variant[0] for variant in VARIANTS.values()}
PAIRS = VARIANTS | {
    name: pair for row in NAMES if row not in NAMED for name, pair in pairs_of(row)
}
OBJECTIVE_NAMES, CONSTRAINT_NAMES = list(OBJECTIVES), [None, *CONSTRAINTS]


def middle_of(objective):
    """The score that a critic gives real and fake examples that are the same.

    There its loss is least: 0, or 1/2 for the labels 0 and 1 of least squares.
    """
    scores = np.linspace(-2, 2, 81, dtype=np.float32)
    losses = np.asarray(jax.vmap(objective.critic_loss)(*[scores[:, None]] * 2))
    least = scores[losses < losses.min() + 1e-5]
    return float(min(least, key=abs))


MIDDLES = [middle_of(objective) for objective in OBJECTIVES.values()]


def switch(rows, pick):
    """A function that is row ``index`` of several, the index an input."""

    def chosen(index, *args):
        branches = [functools.partial(pick(row)) for row in rows]
        return jax.lax.switch(index, branches, *args)

    return chosen


@functools.cache
def penalties_for(name):
    """Those that this pair's critic can have: not with batch norm, nor one that asks
    for what the critic has not, such as dropout."""
    gan, key = gan_with(name, {}), jax.eval_shape(lambda: jax.random.key(0))
    state = check_gan(gan).critic
    if "batch_stats" in state.model_state:
        return []
    examples = jax.ShapeDtypeStruct((BATCH, *PAIRS[name][1]), jnp.float32)
    labels = jnp.arange(BATCH) % CLASSES if gan.conditional else None

    def value(penalty, state, real, fake, key):
        critic = state.params, state.model_state
        return penalty(gan.critic_fn(*critic, labels=labels, key=key), real, fake, key)

    found = []
    for penalty, row in PENALTIES.items():
        run = functools.partial(value, with_required(row))
        try:
            jax.eval_shape(run, state, examples, examples, key)
        except ValueError:
            continue
        found.append(penalty)
    return found


def gan_for(name, objective=0, constraint=0, weights=None, regularizers=()):
    """The pair with the objective and constraint of these (traced) numbers."""
    names = penalties_for(name) if weights is not None else []
    weights = dict(zip(names, weights or [], strict=True))
    return gan_with(name, weights, objective, constraint, regularizers)


def gan_with(name, weights, objective=0, constraint=0, regularizers=()):
    row, shape, of_generator, of_critic, conditional = PAIRS[name]
    classes = {"classes": CLASSES} if conditional else {}
    critic_loss = switch(OBJECTIVE_NAMES, lambda n: OBJECTIVES[n].critic_loss)

    def generator_loss(n):
        found = OBJECTIVES[n]
        if found.paired:
            return found.generator_loss
        return lambda real, fake: found.generator_loss(fake)

    constrain = switch(
        CONSTRAINT_NAMES,
        lambda n: with_required(CONSTRAINTS[n]) if n else lambda p: p,
    )
    return Gan(
        generator=generator_of(row)(image_shape=shape, **of_generator, **classes),
        critic=critic_of(row)(**of_critic, **classes),
        objective=OBJECTIVES["wasserstein"]._replace(
            critic_loss=functools.partial(critic_loss, objective),
            generator_loss=functools.partial(
                switch(OBJECTIVE_NAMES, generator_loss), objective
            ),
            paired=True,
        ),
        penalties=tuple(
            Term(with_required(PENALTIES[p]), w, name=p) for p, w in weights.items()
        ),
        regularizers=regularizers,
        constraint=None
        if "parametrization" in of_critic
        else functools.partial(constrain, constraint),
        conditional=conditional,
        generator_optimizer=optax.sgd(1e-3),
        critic_optimizer=optax.sgd(1e-3),
        latent_size=LATENT,
        ema_decay=None,
    )


@functools.cache
def setting(name):
    """State and examples of a pair; the critic's parameters off their start.

    R3GAN's blocks start at 0, and its gradients there are 0 too.
    """
    gan = gan_for(name, weights=[1.0] * len(penalties_for(name)))
    keys = jax.random.split(jax.random.key(3), 5)
    state = init_state(gan, keys[0])
    shape = (BATCH, *PAIRS[name][1])
    real, fake = (jax.random.uniform(k, shape, minval=-1.0) for k in keys[1:3])
    labels = jnp.arange(BATCH) % CLASSES if gan.conditional else None
    pairs = Pairs(real, fake, labels, labels)
    draws = Draws(jax.random.normal(keys[3], (BATCH, LATENT)), labels, real, labels)
    return state, pairs, draws, keys[4]


def finite(tree):
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))


def with_constant_critic(state):
    """The state with the critic's last layer at 0, or all where none is "output"."""
    params = jax.tree_util.tree_leaves_with_path(state.critic.params)
    names = [jax.tree_util.keystr(path) for path, _ in params]
    last = {name for name in names if "output" in name} or set(names)
    zeroed = jax.tree_util.tree_map_with_path(
        lambda path, x: 0 * x if jax.tree_util.keystr(path) in last else x,
        state.critic.params,
    )
    return state.replace(critic=state.critic.replace(params=zeroed))


def combinations(name):
    """Numbers of objective and constraint, and weights: none, each, each pair."""
    count = len(penalties_for(name))
    # A network that rescales its kernels takes no constraint.
    rescales = "parametrization" in PAIRS[name][3]
    constraints = 1 if rescales else len(CONSTRAINT_NAMES)
    eye = np.eye(count, dtype=np.float32)
    chosen = [np.zeros(count, np.float32), *eye]
    chosen += [a + b for a, b in itertools.combinations(eye, 2)]
    rows = list(
        itertools.product(range(len(OBJECTIVE_NAMES)), range(constraints), chosen)
    )
    numbers = np.array([row[:2] for row in rows])
    return numbers, np.array([row[2] for row in rows]).reshape(len(rows), count)


SLOW = ("r3gan by class", "resnet dropout")  # a minute and half of one to compile


# R3GAN by class has all layers of the one without, and takes as long to compile.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in PAIRS
        if name != "r3gan"
    ],
)
def test_every_combination_takes_a_finite_step(name):
    state, pairs, _, key = setting(name)
    numbers, weights = combinations(name)

    def step(state, numbers, weights):
        gan = gan_for(name, numbers[0], numbers[1], list(weights))
        after, metrics = critic_update(gan, state, pairs, key)
        moved = jax.tree.map(jnp.subtract, after.critic.params, state.critic.params)
        gradient = metrics["critic/grad_norm"]
        return finite((after.critic, metrics)), optax.tree.norm(moved), gradient

    run = jax.jit(
        lambda s, n, w: jax.lax.map(lambda x: step(s, *x), (n, w)),
        compiler_options=QUICK,
    )
    good, moved, gradient = run(state, numbers, weights)
    assert np.all(good), [(*numbers[i], weights[i]) for i in np.flatnonzero(~good)]
    assert np.all(gradient > 0)
    assert np.all(moved > 0)
    good, _, _ = run(with_constant_critic(state), numbers, weights)
    assert np.all(good), [(*numbers[i], weights[i]) for i in np.flatnonzero(~good)]


@pytest.mark.parametrize("name", PAIRS)
def test_steps_go_the_right_way_for_every_objective(name):
    """Down the gradient E f(real) - E f(fake) rises, and E f(fake) of the generator.

    From scores near the middle of what each objective tells apart: 0, and 1/2 for
    least squares, whose critic pulls them to 0 and 1.
    """
    state, pairs, draws, key = setting(name)
    keys = Keys(*jax.random.split(key))

    def rises(objective):
        gan = gan_for(name, objective)
        if PAIRS[name][4] is AUXILIARY:  # whose loss may pull another way
            faint = Conditional(
                classes=CLASSES, critic_weight=1e-4, generator_weight=1e-4
            )
            gan = dataclasses.replace(gan, conditional=faint)
        middle = jnp.asarray(MIDDLES, jnp.float32)[objective]
        game = gan.objective
        near = lambda scores: 0.05 * scores + middle
        shifted = game._replace(
            critic_loss=lambda r, f: game.critic_loss(near(r), near(f)),
            generator_loss=lambda r, f: game.generator_loss(near(r), near(f)),
        )
        centred = dataclasses.replace(gan, objective=shifted)

        def gap(params):
            score = functools.partial(
                gan.score, params, state.critic.model_state, train=False
            )
            # The keys that the loss uses, so that dropout falls on the same units.
            real_key, fake_key, _ = jax.random.split(keys.passes, 3)
            real, _ = score(pairs.real, labels=pairs.labels, key=real_key)
            fake, _ = score(pairs.fake, labels=pairs.fake_labels, key=fake_key)
            return jnp.mean(real.scores) - jnp.mean(fake.scores)

        def fake_score(params):
            images, _ = gan.generate(
                params,
                {**state.generator.model_state},
                draws.latent,
                train=True,
                labels=draws.labels,
            )
            fake_key, _ = jax.random.split(keys.passes)
            critic = state.critic
            return jnp.mean(
                gan.score(
                    critic.params,
                    critic.model_state,
                    images,
                    train=True,
                    labels=draws.labels,
                    key=fake_key,
                )[0].scores
            )

        down = lambda tree: jax.tree.map(jnp.negative, tree)
        critic, _, _ = critic_gradients(
            centred, state, (state.critic.model_state, ()), pairs, keys
        )
        memory = (state.generator.model_state, ())
        generator, _, _ = generator_gradients(centred, state, memory, draws, keys)
        return (
            jax.jvp(gap, (state.critic.params,), (down(critic),))[1],
            jax.jvp(fake_score, (state.generator.params,), (down(generator),))[1],
        )

    run = jax.jit(
        lambda: jax.lax.map(rises, jnp.arange(len(OBJECTIVE_NAMES))),
        compiler_options=QUICK,
    )
    of_critic, of_generator = run()
    assert np.all(of_critic > 0), dict(zip(OBJECTIVE_NAMES, of_critic, strict=True))
    assert np.all(of_generator > 0), dict(
        zip(OBJECTIVE_NAMES, of_generator, strict=True)
    )


@pytest.mark.parametrize("name", PAIRS)
def test_examples_stay_apart_in_what_penalties_see(name):
    state, pairs, _, key = setting(name)
    gan = gan_for(name)
    critic = state.critic
    critic_fn = gan.critic_fn(
        critic.params, critic.model_state, labels=pairs.labels, key=key
    )
    jacobian = jax.jit(jax.jacrev(critic_fn), compiler_options=QUICK)(pairs.real)
    sizes = np.abs(np.asarray(jacobian).reshape(BATCH, BATCH, -1)).max(-1)
    assert np.all(np.diag(sizes) > 0)
    assert np.all(sizes[~np.eye(BATCH, dtype=bool)] == 0)


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("name", PAIRS)
def test_every_regularizer_on_every_generator_that_may_have_one(name, regularizer):
    """That is, without batch norm, which mixes examples; with it it is refused."""
    state, _, draws, key = setting(name)
    term = Term(with_required(REGULARIZERS[regularizer])(), 2.0)
    gan = gan_for(name, regularizers=(term,))
    if "batch_stats" in state.generator.model_state:
        with pytest.raises(ValueError, match="regularizer on its Jacobian"):
            check_gan(gan)
        return
    state = init_state(gan, key)

    def gradient(params):
        moved = state.replace(generator=state.generator.replace(params=params))
        memory = (state.generator.model_state, state.regularizers)
        return generator_gradients(gan, moved, memory, draws, Keys(key, key))

    run = jax.jit(gradient, compiler_options=QUICK)
    found, (_, remembered), metrics = run(state.generator.params)
    assert finite((found, remembered, metrics))
    assert float(metrics["generator/regularizer"]) != 0
    constant = jax.tree.map(jnp.zeros_like, state.generator.params)
    assert finite(run(constant))


def test_every_row_of_every_table_takes_part():
    assert {pair[0] for pair in PAIRS.values()} == set(NAMES)
    taken = {penalty for name in PAIRS for penalty in penalties_for(name)}
    assert taken == set(PENALTIES), "no critic of a pair can have the others"
    assert penalties_for("dcgan batch_norm") == []
    others = [name for name in VARIANTS if name != "dcgan batch_norm"]
    of_all = {"gradient_penalty", "r1", "r2", "dragan", "divergence", "drift"}
    assert all(of_all <= {*penalties_for(name)} for name in others)
    by_dropout = [name for name in others if "consistency" in penalties_for(name)]
    assert by_dropout == ["resnet dropout"]


def test_middles_of_the_objectives():
    found = dict(zip(OBJECTIVES, MIDDLES, strict=True))
    assert found.pop("least_squares") == 0.5
    assert found["wasserstein"] == found["minimax"] == found["hinge"] == 0.0


def test_fresh_states_are_pure_functions_of_the_key():
    gan = gan_for("mlp")
    a, b = (
        jax.jit(lambda k: initial_state(gan, k))(jax.random.key(1)) for _ in range(2)
    )
    jax.tree.map(np.testing.assert_array_equal, a, b)
