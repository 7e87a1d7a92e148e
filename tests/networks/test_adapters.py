"""Tests of networks that are NNX modules, Equinox modules or pairs of functions.

Each trains like the linen modules with the same weights.
"""

import functools
import json
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx
from PIL import Image

from wgan_jax import (
    Gan,
    Term,
    gradient_penalty,
    init_state,
    make_train_step,
    sample,
)
from wgan_jax.checkpointing.checkpoints import Checkpoints, as_target
from wgan_jax.conditioning import Conditional
from wgan_jax.latents import latents
from wgan_jax.losses import OBJECTIVES, consistency
from wgan_jax.modules import apply
from wgan_jax.networks import from_functions, from_nnx
from wgan_jax.program.cli import main
from wgan_jax.sampling import standing_statistics

Z, H, SIDE = 5, 12, 4


class LinenGenerator(nn.Module):
    @nn.compact
    def __call__(self, z, *, train):
        x = nn.Dense(SIDE * SIDE, name="out")(nn.relu(nn.Dense(H, name="hidden")(z)))
        return jnp.tanh(x).reshape(-1, SIDE, SIDE, 1)


class LinenCritic(nn.Module):
    @nn.compact
    def __call__(self, images, *, train):
        x = nn.softplus(nn.Dense(H, name="hidden")(images.reshape(len(images), -1)))
        return nn.Dense(1, name="out")(x)[:, 0]


class NNXGenerator(nnx.Module):
    def __init__(self, units=H, *, rngs):
        self.hidden = nnx.Linear(Z, units, rngs=rngs)
        self.out = nnx.Linear(units, SIDE * SIDE, rngs=rngs)

    def __call__(self, z):
        x = self.out(nnx.relu(self.hidden(z)))
        return jnp.tanh(x).reshape(-1, SIDE, SIDE, 1)


class TrainGenerator(NNXGenerator):
    def __call__(self, z, train):
        return super().__call__(z)


class NNXCritic(nnx.Module):
    def __init__(self, units=H, *, rngs):
        self.hidden = nnx.Linear(SIDE * SIDE, units, rngs=rngs)
        self.out = nnx.Linear(units, 1, rngs=rngs)

    def __call__(self, images, **_):
        x = nnx.softplus(self.hidden(images.reshape(len(images), -1)))
        return self.out(x)[:, 0]


class EquinoxGenerator(eqx.Module):
    hidden: eqx.nn.Linear
    out: eqx.nn.Linear

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.hidden = eqx.nn.Linear(Z, H, key=first)
        self.out = eqx.nn.Linear(H, SIDE * SIDE, key=second)

    def __call__(self, z):
        x = jnp.tanh(self.out(jax.nn.relu(self.hidden(z))))
        return x.reshape(SIDE, SIDE, 1)


class EquinoxCritic(eqx.Module):
    hidden: eqx.nn.Linear
    out: eqx.nn.Linear

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.hidden = eqx.nn.Linear(SIDE * SIDE, H, key=first)
        self.out = eqx.nn.Linear(H, 1, key=second)

    def __call__(self, image):
        return self.out(jax.nn.softplus(self.hidden(image.ravel())))[0]


def from_equinox(constructor):
    static = eqx.filter(constructor(jax.random.key(0)), eqx.is_array, inverse=True)

    def init(key):
        return eqx.filter(constructor(key), eqx.is_array)

    def call(params, x, *, train):
        return jax.vmap(eqx.combine(params, static))(x)

    return from_functions(init, call)


def init_generator(key):
    return LinenGenerator().init(key, jnp.zeros((1, Z)), train=False)["params"]


def init_critic(key):
    images = jnp.zeros((1, SIDE, SIDE, 1))
    return {"params": LinenCritic().init(key, images, train=False)["params"]}


def call_generator(params, z, *, train):
    h = jax.nn.relu(z @ params["hidden"]["kernel"] + params["hidden"]["bias"][None])
    x = h @ params["out"]["kernel"] + params["out"]["bias"][None]
    return jnp.tanh(x).reshape(-1, SIDE, SIDE, 1)


def call_critic(variables, images, *, train):
    params, x = variables["params"], images.reshape(len(images), -1)
    h = jax.nn.softplus(x @ params["hidden"]["kernel"] + params["hidden"]["bias"][None])
    return (h @ params["out"]["kernel"] + params["out"]["bias"][None])[:, 0], {}


def equinox_weights(params, constructor):
    layers = (params[name] for name in ("hidden", "out"))
    weights = [x for layer in layers for x in (layer["kernel"].T, layer["bias"])]
    model = eqx.filter(constructor(jax.random.key(0)), eqx.is_array)
    return jax.tree.unflatten(jax.tree.structure(model), weights)


def same(params, _):
    return params


PAIRS = {
    "nnx": (from_nnx(NNXGenerator), from_nnx(NNXCritic), same, same),
    "nnx modules": (
        from_nnx(NNXGenerator(rngs=nnx.Rngs(1))),
        from_nnx(NNXCritic(rngs=nnx.Rngs(2))),
        same,
        same,
    ),
    "to_linen": (
        nnx.bridge.to_linen(TrainGenerator),
        nnx.bridge.to_linen(NNXCritic),
        same,
        same,
    ),
    "functions": (
        from_functions(init_generator, call_generator),
        from_functions(init_critic, call_critic),
        same,
        same,
    ),
    "equinox": (
        from_equinox(EquinoxGenerator),
        from_equinox(EquinoxCritic),
        lambda p, _: equinox_weights(p, EquinoxGenerator),
        lambda p, _: equinox_weights(p, EquinoxCritic),
    ),
}


def make_gan(generator, critic, **changes):
    parts = {
        "generator": generator,
        "critic": critic,
        "objective": OBJECTIVES["wasserstein"],
        "generator_optimizer": optax.adam(1e-3, b1=0.0, b2=0.9),
        "critic_optimizer": optax.adam(1e-3, b1=0.0, b2=0.9),
        "latent_size": Z,
        "penalties": ((gradient_penalty, 10.0),),
    }
    return Gan(**(parts | changes))


@pytest.fixture(scope="module")
def batch():
    random = np.random.RandomState(0)
    return random.uniform(-1, 1, (2, 8, SIDE, SIDE, 1)).astype(np.float32)


KEY = jax.random.key(3)


@functools.cache
def reference():
    return make_gan(LinenGenerator(), LinenCritic())


def with_weights(gan, state, params):
    """Returns a state with the weights of the linen modules."""
    generator, critic = params
    players = {
        "generator": state.generator.replace(
            params=generator, opt_state=gan.generator_optimizer.init(generator)
        ),
        "critic": state.critic.replace(
            params=critic, opt_state=gan.critic_optimizer.init(critic)
        ),
    }
    return state.replace(**players, ema_params=jax.tree.map(jnp.copy, generator))


@pytest.mark.parametrize("name", PAIRS)
def test_losses_are_those_of_linen_modules_with_the_same_weights(name, batch):
    expected = init_state(reference(), KEY)
    generator, critic, convert_g, convert_c = PAIRS[name]
    gan = make_gan(generator, critic)
    state = init_state(gan, KEY)
    weights = (
        convert_g(jax.tree.map(jnp.copy, expected.generator.params), None),
        convert_c(jax.tree.map(jnp.copy, expected.critic.params), None),
    )
    like = (
        jax.tree.structure(state.generator.params),
        jax.tree.structure(state.critic.params),
    )
    weights = tuple(
        jax.tree.unflatten(tree, jax.tree.leaves(part))
        for tree, part in zip(like, weights, strict=True)
    )
    state = with_weights(gan, state, weights)
    ours, theirs = make_train_step(gan), make_train_step(reference())
    for _ in range(3):
        state, found = ours(state, batch, KEY)
        expected, wanted = theirs(expected, batch, KEY)
        assert found.keys() == wanted.keys()
        for metric, value in wanted.items():
            np.testing.assert_allclose(found[metric], value, 1e-6, 1e-6, err_msg=metric)
    np.testing.assert_allclose(
        sample(gan, state, KEY, 6), sample(reference(), expected, KEY, 6), 1e-5, 1e-6
    )


@pytest.mark.parametrize("name", PAIRS)
def test_a_restored_run_is_bit_identical(name, batch, tmp_path):
    gan = make_gan(*PAIRS[name][:2])
    step = make_train_step(gan)
    state, _ = step(init_state(gan, KEY), batch, KEY)
    with Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        checkpoints.save(1, state, {})
        checkpoints.wait()
        target = as_target(jax.eval_shape(lambda: init_state(gan, KEY)))
        restored = checkpoints.restore(target)[0]
    a, _ = step(state, batch, KEY)
    b, _ = step(restored, batch, KEY)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_weights_of_a_constructor_follow_the_key_of_the_run():
    gan = make_gan(from_nnx(NNXGenerator), from_nnx(functools.partial(NNXCritic, 3)))
    states = [init_state(gan, jax.random.key(k)) for k in (0, 0, 1)]
    kernels = [s.critic.params["hidden"]["kernel"] for s in states]
    assert kernels[0].shape == (SIDE * SIDE, 3)
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


class Keys(nnx.Module):
    """Keeps the keys that its parameters would be drawn with."""

    def __init__(self, *, rngs):
        self.kept = nnx.Param(jax.random.key_data(jnp.stack([rngs(), rngs()])))

    def __call__(self, x):
        return x


def test_weights_are_drawn_with_keys_that_no_update_uses():
    def init(key):
        both = jnp.stack([key, jax.random.fold_in(key, 0)])
        return {"kept": jax.random.key_data(both)}

    def call(params, x, *, train):
        return x

    for network in (from_nnx(Keys), from_functions(init, call)):
        own = jax.random.fold_in(KEY, 0)  # of a network, and of one kind of update
        drawn = network.init(own, train=False)["params"]["kept"].tolist()
        updates = [jax.random.fold_in(own, count) for count in range(4)]
        for used in (own, *updates):
            assert jax.random.key_data(used).tolist() not in drawn


def test_weights_of_a_module_are_the_initial_ones():
    module = NNXGenerator(rngs=nnx.Rngs(9))
    gan = make_gan(from_nnx(module), from_nnx(NNXCritic))
    found = init_state(gan, KEY).generator.params["out"]["kernel"]
    np.testing.assert_array_equal(found, module.out.kernel[...])


class LinenNorm(nn.Module):
    @nn.compact
    def __call__(self, z, *, train):
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")
        x = norm(nn.Dense(SIDE * SIDE, name="out")(z))
        return jnp.tanh(x).reshape(-1, SIDE, SIDE, 1)


class NNXNorm(nnx.Module):
    def __init__(self, *, rngs):
        self.out = nnx.Linear(Z, SIDE * SIDE, rngs=rngs)
        self.norm = nnx.BatchNorm(SIDE * SIDE, momentum=0.9, rngs=rngs)

    def __call__(self, z):
        return jnp.tanh(self.norm(self.out(z))).reshape(-1, SIDE, SIDE, 1)


def test_batch_statistics_are_those_of_linen(batch):
    theirs = make_gan(LinenNorm(), LinenCritic())
    ours = make_gan(from_nnx(NNXNorm), LinenCritic())
    expected, state = init_state(theirs, KEY), init_state(ours, KEY)
    names = jax.tree.structure(expected.generator.params)
    weights = jax.tree.unflatten(names, jax.tree.leaves(expected.generator.params))
    state = with_weights(
        ours, state, jax.tree.map(jnp.copy, (weights, expected.critic.params))
    )
    for _ in range(3):
        state, found = make_train_step(ours)(state, batch, KEY)
        expected, wanted = make_train_step(theirs)(expected, batch, KEY)
    np.testing.assert_allclose(found["critic/loss"], wanted["critic/loss"], 1e-5)
    ours_stats, their_stats = (
        s.generator.model_state["batch_stats"]["norm"] for s in (state, expected)
    )
    for name in ("mean", "var"):
        np.testing.assert_allclose(ours_stats[name], their_stats[name], 1e-5, 1e-6)
    standing = [
        standing_statistics(gan, s, KEY, batches=3).ema_model_state["batch_stats"]
        for gan, s in ((ours, state), (theirs, expected))
    ]
    np.testing.assert_allclose(
        standing[0]["norm"]["var"], standing[1]["norm"]["var"], 1e-4, 1e-6
    )


class DropoutCritic(nnx.Module):
    def __init__(self, *, rngs):
        self.layers = nnx.List(
            [nnx.Linear(SIDE * SIDE, H, rngs=rngs), nnx.Linear(H, 1, rngs=rngs)]
        )
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, images):
        h = nnx.softplus(self.layers[0](images.reshape(len(images), -1)))
        self.sow(nnx.Intermediate, "features", h)
        return self.layers[1](self.dropout(h))[:, 0]


def test_dropout_is_active_in_passes_with_a_key_and_depends_on_nothing_else(batch):
    network = from_nnx(DropoutCritic)
    params = network.init(KEY, train=False)["params"]
    assert set(params["layers"]) == {"0", "1"}

    def scores(key, train=False):
        return apply(network, params, {}, (batch[0],), train=train, key=key)[0]

    a, b = jax.random.split(KEY)
    np.testing.assert_array_equal(scores(a), scores(a))
    np.testing.assert_array_equal(scores(a), scores(a, train=True))
    assert not np.array_equal(scores(a), scores(b))
    np.testing.assert_array_equal(scores(None), scores(None, train=True))
    assert not np.array_equal(scores(None), scores(a))


def test_the_consistency_term_uses_dropout_and_features_of_an_nnx_module(batch):
    terms = (Term(gradient_penalty, 10.0), Term(consistency, 2.0))
    gan = make_gan(from_nnx(NNXGenerator), from_nnx(DropoutCritic), penalties=terms)
    _, metrics = make_train_step(gan)(init_state(gan, KEY), batch, KEY)
    assert all(np.isfinite(value) for value in metrics.values())
    with pytest.raises(ValueError, match="NNXCritic has no dropout"):
        init_state(
            make_gan(from_nnx(NNXGenerator), from_nnx(NNXCritic), penalties=terms), KEY
        )


class SpectralCritic(nnx.Module):
    def __init__(self, *, rngs):
        self.hidden = nnx.SpectralNorm(
            nnx.Linear(SIDE * SIDE, H, rngs=rngs), n_steps=30, rngs=rngs
        )
        self.out = nnx.Linear(H, 1, rngs=rngs)

    def __call__(self, images):
        x = self.hidden(images.reshape(len(images), -1))
        return self.out(nnx.softplus(x))[:, 0]


def test_spectral_normalization_of_an_nnx_module_has_its_state(batch):
    network = from_nnx(SpectralCritic)
    variables = dict(network.init(KEY, train=False))
    params = variables.pop("params")
    assert variables
    x = batch[0]
    _, same_state, _ = apply(network, params, variables, (x,), train=False, key=None)
    _, moved, _ = apply(network, params, variables, (x,), train=True, key=None)
    assert jax.tree.structure(moved) == jax.tree.structure(variables)
    leaves = [jax.tree.leaves(tree) for tree in (variables, same_state, moved)]
    assert all(np.array_equal(a, b) for a, b in zip(leaves[0], leaves[1], strict=True))
    assert not all(
        np.array_equal(a, b) for a, b in zip(leaves[0], leaves[2], strict=True)
    )
    gan = make_gan(
        from_nnx(NNXGenerator), network, penalties=(), objective=OBJECTIVES["hinge"]
    )
    state, _ = make_train_step(gan)(init_state(gan, KEY), batch, KEY)
    sigma = jax.tree.leaves(state.critic.model_state)
    assert all(np.all(np.isfinite(leaf)) for leaf in sigma)


class NNXSpectralGenerator(nnx.Module):
    def __init__(self, *, rngs):
        self.hidden = nnx.SpectralNorm(nnx.Linear(Z, H, rngs=rngs), rngs=rngs)
        self.norm = nnx.BatchNorm(H, momentum=0.9, rngs=rngs)
        self.out = nnx.Linear(H, SIDE * SIDE, rngs=rngs)

    def __call__(self, z):
        x = nnx.relu(self.norm(self.hidden(z)))
        return jnp.tanh(self.out(x)).reshape(-1, SIDE, SIDE, 1)


class LinenSpectralGenerator(nn.Module):
    @nn.compact
    def __call__(self, z, *, train):
        x = nn.SpectralNorm(nn.Dense(H, name="hidden"))(z, update_stats=train)
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")
        x = nn.Dense(SIDE * SIDE, name="out")(nn.relu(norm(x)))
        return jnp.tanh(x).reshape(-1, SIDE, SIDE, 1)


class LinenSpectralCritic(nn.Module):
    @nn.compact
    def __call__(self, images, *, train):
        layer = nn.SpectralNorm(nn.Dense(H, name="hidden"))
        x = nn.softplus(layer(images.reshape(len(images), -1), update_stats=train))
        return nn.Dense(1, name="out")(x)[:, 0]


@pytest.mark.parametrize(
    ("generator", "critic"),
    [
        (from_nnx(NNXSpectralGenerator), from_nnx(SpectralCritic)),
        (LinenSpectralGenerator(), LinenSpectralCritic()),
    ],
)
def test_spectral_normalization_is_no_batch_norm(generator, critic, batch):
    """A penalty is defined, and standing statistics leave the singular vectors."""
    gan = make_gan(generator, critic)
    state, metrics = make_train_step(gan)(init_state(gan, KEY), batch, KEY)
    assert all(np.isfinite(value) for value in metrics.values())
    found = standing_statistics(gan, state, KEY, batches=1, batch_size=32)
    before, after = (s.ema_model_state["batch_stats"] for s in (state, found))
    z = latents(KEY, jnp.arange(32), size=Z)
    _, once = gan.generate(state.ema_params, state.ema_model_state, z, train=True)
    mean = lambda stats: np.asarray(stats["norm"]["mean"])
    of_batch = (mean(once["batch_stats"]) - 0.9 * mean(before)) / 0.1
    np.testing.assert_allclose(mean(after), of_batch, 1e-3, 1e-4)
    changed = {}
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True
    ):
        name = jax.tree_util.keystr(path[-1:], simple=True).rsplit("/")[-1]
        changed[name] = not np.array_equal(x, y)
    assert changed == {"mean": True, "var": True, "u": False, "sigma": False}
    images = sample(gan, found, KEY, 4)
    assert np.all(np.isfinite(images))


def test_batch_norm_in_a_critic_excludes_a_penalty():
    class Normed(nnx.Module):
        def __init__(self, *, rngs):
            self.norm = nnx.BatchNorm(SIDE * SIDE, rngs=rngs)
            self.critic = SpectralCritic(rngs=rngs)

        def __call__(self, images):
            x = self.norm(images.reshape(len(images), -1))
            return self.critic(x.reshape(images.shape))

    with pytest.raises(ValueError, match="Normed has batch norm"):
        init_state(make_gan(from_nnx(NNXGenerator), from_nnx(Normed)), KEY)


class ByClass(nnx.Module):
    def __init__(self, *, rngs):
        self.embed = nnx.Embed(3, Z, rngs=rngs)
        self.generator = NNXGenerator(rngs=rngs)

    def __call__(self, z, labels):
        return self.generator(z + self.embed(labels))


class CriticByClass(nnx.Module):
    def __init__(self, *, rngs):
        self.embed = nnx.Embed(3, H, rngs=rngs)
        self.hidden = nnx.Linear(SIDE * SIDE, H, rngs=rngs)

    def __call__(self, images, labels, train):
        h = nnx.softplus(self.hidden(images.reshape(len(images), -1)))
        return jnp.sum(h * self.embed(labels), 1)


def test_nnx_modules_take_labels(batch):
    gan = make_gan(
        from_nnx(ByClass), from_nnx(CriticByClass), conditional=Conditional(classes=3)
    )
    labels = np.arange(16, dtype=np.int32).reshape(2, 8) % 3
    state, metrics = make_train_step(gan)(
        init_state(gan, KEY), {"image": batch, "label": labels}, KEY
    )
    assert np.isfinite(metrics["critic/loss"])
    a, b = (sample(gan, state, KEY, 4, labels=k) for k in (0, 1))
    assert not np.array_equal(a, b)
    with pytest.raises(ValueError, match="NNXGenerator takes no labels"):
        init_state(
            make_gan(
                from_nnx(NNXGenerator),
                from_nnx(CriticByClass),
                conditional=Conditional(classes=3),
            ),
            KEY,
        )


def test_functions_have_state_and_randomness(batch):
    def init(key):
        return {"params": {"w": jnp.ones(())}, "counts": {"passes": jnp.zeros(())}}

    def call(variables, images, *, train, key):
        noise = 0.0 if key is None else jax.random.normal(key, ())
        x = images.reshape(len(images), -1).mean(1)
        passes = variables["counts"]["passes"] + 1
        more = {"intermediates": {"features": x[:, None]}}
        changed = {"counts": {"passes": passes}} if train else {}
        return variables["params"]["w"] * x + noise, changed | more

    network = from_functions(init, call)
    gan = make_gan(LinenGenerator(), network)
    state = init_state(gan, KEY)
    state, _ = make_train_step(gan)(state, batch, KEY)
    assert int(state.critic.model_state["counts"]["passes"]) >= 2
    output, _ = gan.score(
        state.critic.params, state.critic.model_state, batch[0], train=False
    )
    assert output.features.shape == (8, 1)
    a, b = (
        gan.critic_fn(state.critic.params, state.critic.model_state, key=k)(batch[0])
        for k in jax.random.split(KEY)
    )
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (NNXCritic(rngs=nnx.Rngs(0)), r"an NNX module; .*networks\.from_nnx\(module\)"),
        (NNXCritic, r"NNXCritic, a class of NNX modules; .*networks\.from_nnx\(module"),
        (LinenCritic, "critic is LinenCritic; it must be an instance"),
        (call_critic, r"critic is <function .*networks\.from_functions\(init, apply\)"),
        ("dcgan", "critic is 'dcgan'; it must be an instance"),
        (None, "critic is None; it must be an instance"),
        (nn.Dense(1), "Dense.__call__ has no argument 'train'"),
    ],
)
def test_a_gan_rejects_what_is_not_a_network(network, message):
    with pytest.raises(ValueError, match=message):
        make_gan(LinenGenerator(), network)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_nnx(3), "3 is not an NNX module; it must be one, or a function"),
        (lambda: from_nnx(lambda rngs: 3), "is not an NNX module"),
        (
            lambda: from_functions(init_critic, lambda v, x: x),
            "has no parameter 'train'; it must be callable as",
        ),
    ],
)
def test_adapters_reject_what_they_cannot_use(call, message):
    with pytest.raises(ValueError, match=message):
        call()


MINE = """
import jax, jax.numpy as jnp
from flax import linen as nn
from flax import nnx
from wgan_jax.networks import from_functions

class Generator(nnx.Module):
    def __init__(self, latent_size, image_shape, width: int = 6, *, rngs):
        self.shape = image_shape
        self.hidden = nnx.Linear(latent_size, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.out = nnx.Linear(width, 64, rngs=rngs)

    def __call__(self, z):
        x = nnx.relu(self.norm(self.hidden(z)))
        return jnp.tanh(self.out(x)).reshape(-1, *self.shape)

class Critic(nn.Module):
    units: int = 5

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.relu(nn.Dense(self.units)(images.reshape(len(images), -1)))
        return nn.Dense(1)(x)[:, 0]

def critic(*, scale: float = 1.0):
    def init(key):
        return {"w": scale * jax.random.normal(key, (64,))}
    def call(params, images, *, train):
        return jnp.square(images.reshape(len(images), -1) @ params["w"])
    return from_functions(init, call)

NUMBER = 3
def wrong():
    return NUMBER
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


SMALL = [
    f"--config.{field}"
    for field in (
        "generator.name=mine:Generator",
        "training.iterations=4",
        "training.batch_size=8",
        "training.iterations_per_call=1",
        "evaluation=None",
        "samples.count=9",
        "log.every=1",
    )
]


@pytest.mark.parametrize(
    "fields",
    [["name=mine:Critic", "units=7"], ["name=mine:critic", "scale=0.5"]],
)
def test_the_program_trains_and_samples_own_networks(fields, mine):
    critic = [f"--config.critic.{field}" for field in fields]
    arguments = ["--config=digits_wgan_gp", "--workdir=run", *SMALL, *critic]
    arguments += ["--config.generator.width=11"]
    assert main(["wgan-jax", "train", *arguments]) == 0
    lines = (mine / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 4
    config = json.loads((mine / "run" / "config.json").read_text())
    assert config["config"]["generator"]["name"] == "mine:Generator"
    assert config["config"]["generator"]["width"] == 11
    assert main(["wgan-jax", "sample", "--workdir=run"]) == 0
    [picture] = (mine / "run" / "samples").glob("sample_*.png")
    with Image.open(picture) as opened:
        assert opened.size[0] > 30


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("generator.name=mine:Missing", "'mine:Missing' cannot be imported"),
        ("generator.name=nowhere:Thing", "'nowhere:Thing' cannot be imported"),
        ("generator.name=nothing", "Use module:object for a network of your own."),
        (
            "generator.name=mine:NUMBER",
            "'mine:NUMBER' is neither a class nor a function",
        ),
        ("critic.name=mine:wrong", "mine:wrong is 3; it must be an instance of"),
        ("generator.heigth=3", "config.generator.heigth is not read by"),
    ],
)
def test_mistakes_are_named(field, message, mine, capsys):
    arguments = ["--config=digits_wgan_gp", "--workdir=run", *SMALL]
    assert main(["wgan-jax", "train", *arguments, f"--config.{field}"]) == 2
    assert message in capsys.readouterr().err
    assert not (mine / "run").exists()
