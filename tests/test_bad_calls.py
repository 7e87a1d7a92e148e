"""Wrong arguments of the public functions: one sentence that names the argument."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from tiny import TinyCritic, TinyGenerator, tiny_gan

import wgan_jax
from wgan_jax.losses import OBJECTIVES

KEY = jax.random.key(0)
IMAGES = np.random.RandomState(0).uniform(-1, 1, (3, 8, 4, 4, 1)).astype(np.float32)
REAL = IMAGES[0]
SCORES = np.ones(3, np.float32)
WEIGHTS = {"kernel": np.ones((2, 3), np.float32)}


def scores_of(x):
    return x.reshape(len(x), -1).sum(1)


class OfNnx(nnx.Module):
    def __init__(self):
        self.dense = nnx.Linear(16, 1, rngs=nnx.Rngs(0))

    def __call__(self, x, train=False):
        return self.dense(x.reshape(len(x), -1))[:, 0]


# Fields of Gan.
FIELDS = [
    ({"objective": "wasserstein"}, "objective is 'wasserstein'; it must be an Object"),
    ({"objective": None}, "objective is None; it must be an Objective"),
    ({"objective": OBJECTIVES}, "objective is .*; it must be an Objective"),
    ({"critic_optimizer": 1e-3}, "critic_optimizer is 0.001; it must be an optimizer"),
    ({"critic_optimizer": None}, "critic_optimizer is None; it must be an optimizer"),
    ({"generator_optimizer": "adam"}, "generator_optimizer is 'adam'; it must be an"),
    ({"generator_optimizer": optax.adam}, "generator_optimizer is <function adam"),
    ({"critic": OfNnx()}, "critic is OfNnx, an NNX module; it must be .*from_nnx"),
    ({"critic": OfNnx}, "critic is OfNnx, a class of NNX modules; it must be"),
    ({"critic": TinyCritic}, "critic is TinyCritic; it must be an instance"),
    ({"generator": TinyGenerator}, "generator is TinyGenerator; it must be an insta"),
    ({"generator": scores_of}, "generator is <function scores_of.*from_functions"),
    ({"generator": None}, "generator is None; it must be an instance"),
    ({"generator": "dcgan"}, "generator is 'dcgan'; it must be an instance"),
    ({"latent_size": 0}, "latent_size is 0; it must be at least 1"),
    ({"latent_size": -3}, "latent_size is -3; it must be at least 1"),
    ({"latent_size": "3"}, "latent_size is '3'; it must be at least 1"),
    ({"penalties": scores_of}, "penalties is <function .*; it must be a tuple of pair"),
    ({"penalties": 10.0}, "penalties is 10.0; it must be a tuple of pairs"),
    ({"penalties": "r1"}, "penalties is 'r1'; it must be a tuple of pairs"),
    ({"penalties": ("r1",)}, "penalties contains 'r1'; each entry must be a pair"),
    ({"penalties": (("r1", 1.0),)}, "penalties contains .*first element must be a fu"),
    ({"penalties": ((10.0, scores_of),)}, "penalties .* first element must be a funct"),
    ({"penalties": ((scores_of, 0.0),)}, "penalties: weight is 0.0; it must be above"),
    ({"penalties": ((scores_of, -1),)}, "penalties: weight is -1; it must be above 0"),
    ({"penalties": ((scores_of, "1"),)}, "penalties: weight is 1; it must be above 0"),
    ({"penalties": ((scores_of, 1.0, 0),)}, "penalties: every is 0; it must be a who"),
    ({"penalties": ((scores_of, 1.0, 2.5),)}, "penalties: every is 2.5; it must be"),
    ({"regularizers": 1.0}, "regularizers is 1.0; it must be a tuple of pairs"),
    ({"regularizers": ("a",)}, "regularizers contains 'a'; each entry must be a pair"),
    ({"constraint": "clip_weights"}, "constraint is 'clip_weights'; it must be a func"),
    ({"constraint": 0.01}, "constraint is 0.01; it must be a function"),
    ({"constrain_before_update": True}, "constrain_before_update is True, but cons"),
    ({"conditional": 10}, r"conditional is 10; it must be a Conditional, such"),
    ({"augment": "flip"}, "augment is 'flip'; it must be a function"),
    ({"learning_rate_scale": 0.5}, "learning_rate_scale is 0.5; it must be a funct"),
    ({"learning_rate_scale": None}, "learning_rate_scale is None; it must be a func"),
    ({"ema_decay": 1.0}, r"ema_decay is 1.0; it must be in \[0, 1\)"),
    ({"ema_decay": "0.9"}, r"ema_decay is '0.9'; it must be in \[0, 1\)"),
    ({"ema_decay": float("nan")}, r"ema_decay is nan; it must be in \[0, 1\)"),
    ({"microbatches": 0}, "microbatches is 0; it must be at least 1"),
    ({"microbatches": "2"}, "microbatches is '2'; it must be at least 1"),
    ({"generator_batch_size": 0}, "generator_batch_size is 0; it must be at least 1"),
    ({"prior": "gauss"}, "prior 'gauss' is not known; choices: normal"),
    ({"prior": None}, "prior None is not known; choices: normal"),
]


@pytest.mark.parametrize(("fields", "message"), FIELDS)
def test_fields_of_a_gan(fields, message):
    with pytest.raises(ValueError, match=message) as raised:
        tiny_gan(**fields)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def made():
    gan = tiny_gan()
    return gan, wgan_jax.init_state(gan, KEY)


NOT_A_GAN = [None, "digits_wgan_gp", {"generator": 1}, tiny_gan]
NOT_A_STATE = [None, WEIGHTS, IMAGES, "state"]
NOT_A_KEY = [0, None, "0", np.float32(1), np.uint32(1), np.array([0, 1])]
CHOICE = "it must be"

# Functions of the Gan, the state and the key.
STEPS = {
    "critic_step": lambda gan, s, key: wgan_jax.critic_step(gan, s, REAL, key),
    "critic_update": lambda gan, s, key: wgan_jax.critic_update(
        gan, s, wgan_jax.Pairs(REAL, REAL, None, None), key
    ),
    "generator_step": lambda gan, s, key: wgan_jax.generator_step(
        gan, s, key, batch_size=8
    ),
    "train_step": lambda gan, s, key: wgan_jax.train_step(gan, s, IMAGES, key),
    "train_steps": lambda gan, s, key: wgan_jax.train_steps(gan, s, IMAGES[None], key),
    "sample": lambda gan, s, key: wgan_jax.sample(gan, s, key, 2),
}


def title(value):
    """Returns the same text in every process, unlike ``repr`` of a function."""
    return getattr(value, "__name__", repr(value))


@pytest.mark.parametrize("value", NOT_A_GAN, ids=title)
@pytest.mark.parametrize("name", STEPS)
def test_something_else_than_a_gan(made, name, value):
    with pytest.raises(ValueError, match=r"^gan is .*; it must be a Gan"):
        STEPS[name](value, made[1], KEY)


@pytest.mark.parametrize("value", NOT_A_STATE, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("name", STEPS)
def test_something_else_than_a_state(made, name, value):
    with pytest.raises(ValueError, match=r"^state is .*; it must be a GanState"):
        STEPS[name](made[0], value, KEY)


@pytest.mark.parametrize("value", NOT_A_KEY, ids=title)
@pytest.mark.parametrize("name", STEPS)
def test_something_else_than_a_key(made, name, value):
    with pytest.raises(ValueError, match=r"^key is .*; it must be a PRNG key"):
        STEPS[name](*made, value)


@pytest.mark.parametrize("name", STEPS)
def test_a_key_of_uint32_is_the_typed_one(made, name):
    raw, typed = (STEPS[name](*made, key) for key in (jax.random.PRNGKey(0), KEY))
    chex.assert_trees_all_equal(raw, typed)


MAKERS = {
    "abstract_state": wgan_jax.abstract_state,
    "init_state": lambda gan, mesh=None, **k: wgan_jax.init_state(gan, KEY, mesh, **k),
    "make_critic_step": wgan_jax.make_critic_step,
    "make_generator_step": lambda *a, **k: wgan_jax.make_generator_step(
        *a, batch_size=8, **k
    ),
    "make_train_step": wgan_jax.make_train_step,
    "make_train_steps": wgan_jax.make_train_steps,
}


@pytest.mark.parametrize("value", NOT_A_GAN, ids=title)
@pytest.mark.parametrize("name", MAKERS)
def test_makers_need_a_gan(name, value):
    with pytest.raises(ValueError, match=r"^gan is .*; it must be a Gan"):
        MAKERS[name](value)


@pytest.mark.parametrize("name", MAKERS)
def test_makers_need_a_placement(made, name):
    with pytest.raises(ValueError, match=r"placement 'zero3' .*; choices: replicated"):
        MAKERS[name](made[0], wgan_jax.make_mesh(), placement="zero3")


@pytest.mark.parametrize("value", NOT_A_KEY, ids=title)
def test_the_first_state_needs_a_key(made, value):
    with pytest.raises(ValueError, match=r"^key is .*; it must be a PRNG key"):
        wgan_jax.init_state(made[0], value)


BATCHES = [
    (REAL, r"\[8, 4, 4, 1\]; it must be \[N, B, 4, 4, 1\].*first axis, of critic upd"),
    (REAL[0], r"the examples have the shape \[4, 4, 1\]; it must be \[N, B"),
    (IMAGES[..., None], r"the examples have the shape \[3, 8, 4, 4, 1, 1\]"),
    (IMAGES[:, :0], r"the batch has the shape \[3, 0, 4, 4, 1\] and no examples"),
    (IMAGES[:0], r"the batch has the shape \[0, 8, 4, 4, 1\] and no examples"),
    (np.zeros(0), r"the examples have the shape \[0\]; it must be"),
    ({"images": IMAGES}, "the batch has the keys 'images'; the examples must be under"),
    ({"x": IMAGES, "y": 1}, "the batch has the keys 'x', 'y'; the examples must be"),
    ({}, "the batch has the keys none; the examples must be under 'image'"),
    ({"image": [1.0]}, "the batch is list; it must be an array of examples"),
    ([IMAGES], "the batch is list; it must be an array of examples"),
    ((IMAGES, IMAGES), "the batch is tuple; it must be an array of examples"),
    ("images", "the batch is str; it must be an array of examples"),
    (3.0, "the batch is float; it must be an array of examples"),
    (None, "the batch is NoneType; it must be an array of examples"),
    (IMAGES.astype(np.int64), "the examples are int64; they must be uint8 in 0 to 255"),
    (IMAGES.astype(np.int8), "the examples are int8; they must be uint8 in 0 to 255"),
    (IMAGES > 0, "the examples are bool; they must be uint8 in 0 to 255"),
]


@pytest.mark.parametrize(("batch", "message"), BATCHES)
def test_batches_of_a_pure_step(made, batch, message):
    with pytest.raises(ValueError, match=message):
        wgan_jax.train_step(*made, batch, KEY)


PAIRS = [
    (REAL, "pairs is of type ndarray; it must be Pairs"),
    (None, "pairs is of type NoneType; it must be Pairs"),
    (wgan_jax.Pairs(REAL, REAL[:4], None, None), "real is .* and fake is .*same shape"),
    (wgan_jax.Pairs(REAL, REAL[..., :0], None, None), "real is .* and fake is .*same"),
    (wgan_jax.Pairs(REAL > 0, REAL > 0, None, None), "they must be floating point"),
    (wgan_jax.Pairs(REAL[:0], REAL[:0], None, None), "no examples"),
]


@pytest.mark.parametrize(("pairs", "message"), PAIRS)
def test_pairs_of_a_critic_update(made, pairs, message):
    with pytest.raises(ValueError, match=message):
        wgan_jax.critic_update(*made, pairs, KEY)


@pytest.mark.parametrize("make", ["make_train_step", "make_critic_step"])
def test_a_donated_state_is_named(made, make):
    gan = made[0]
    state = wgan_jax.init_state(gan, KEY)
    step = MAKERS[make](gan)
    batch = IMAGES if make == "make_train_step" else REAL
    new, _ = step(state, batch, KEY)
    for use in (step, lambda *a: STEPS["train_step"](gan, a[0], KEY)):
        with pytest.raises(ValueError, match="state was donated to an earlier step"):
            use(state, batch, KEY)
    step(new, batch, KEY)


def test_a_state_donated_to_a_generator_step_is_named(made):
    state = wgan_jax.init_state(made[0], KEY)
    step = MAKERS["make_generator_step"](made[0])
    new, _ = step(state, KEY)
    with pytest.raises(ValueError, match="state was donated to an earlier step"):
        step(state, KEY)
    step(new, KEY)


SAMPLES = [
    ({"n": 0}, "n is 0; it must be a whole number at least 1"),
    ({"n": -1}, "n is -1; it must be a whole number at least 1"),
    ({"n": 2.5}, "n is 2.5; it must be a whole number at least 1"),
    ({"n": "2"}, "n is '2'; it must be a whole number at least 1"),
    ({"labels": 1}, "labels were given, but this Gan is not conditional"),
    ({"truncation": 0.0}, "truncation is 0.0; it must be above 0"),
    ({"truncation": -1.0}, "truncation is -1.0; it must be above 0"),
    ({"truncation": "a"}, "truncation is 'a'; it must be above 0"),
]


@pytest.mark.parametrize(("options", "message"), SAMPLES)
def test_samples(made, options, message):
    with pytest.raises(ValueError, match=message):
        wgan_jax.sample(*made, KEY, **{"n": 2} | options)


def test_samples_of_an_average_that_is_not_kept():
    gan = tiny_gan(ema_decay=None)
    with pytest.raises(ValueError, match="EMA"):
        wgan_jax.sample(gan, wgan_jax.init_state(gan, KEY), KEY, 2)


def two():
    return wgan_jax.init_replicas(tiny_gan(), jax.random.split(KEY, 2))


OTHERS = {
    "one key for replicas": (
        lambda: wgan_jax.init_replicas(tiny_gan(), KEY),
        r"keys have the shape \(\); they must be \[K\]",
    ),
    "settings of another length": (
        lambda: wgan_jax.init_replicas(
            lambda s: tiny_gan(), jax.random.split(KEY, 3), settings=np.zeros(2)
        ),
        r"settings have the shape \(2,\); they must be \[3\]",
    ),
    "a function without settings": (
        lambda: wgan_jax.init_replicas(lambda s: tiny_gan(), jax.random.split(KEY, 2)),
        "the Gan is a function of a setting, but settings is None",
    ),
    "replicas of no Gan": (
        lambda: wgan_jax.init_replicas(None, jax.random.split(KEY, 2), settings=[1, 2]),
        "gan is None; it must be a Gan",
    ),
    "a function to no Gan": (
        lambda: wgan_jax.init_replicas(
            lambda s: "gan", jax.random.split(KEY, 2), settings=[1.0, 2.0]
        ),
        "gan is 'gan'; it must be a Gan",
    ),
    "a replica that is not there": (
        lambda: wgan_jax.replica(two(), 5),
        r"index is 5, but .step has the shape \[2\]; it must be \[K",
    ),
    "a negative replica": (
        lambda: wgan_jax.replica(two(), -1),
        "index is -1, but .step has the shape",
    ),
    "a replica of a single run": (
        lambda: wgan_jax.replica(wgan_jax.init_state(tiny_gan(), KEY), 0),
        r"index is 0, but .step has the shape \[\]; it must be \[K",
    ),
    "no devices": (lambda: wgan_jax.make_mesh([]), "devices is empty"),
    "a number of devices": (
        lambda: wgan_jax.make_mesh(1),
        "devices is 1; it must be a sequence of devices",
    ),
    "a name of devices": (
        lambda: wgan_jax.make_mesh("cpu"),
        "devices is 'cpu'; it must be a sequence of devices",
    ),
    "names of devices": (
        lambda: wgan_jax.make_mesh(["cpu:0"]),
        r"devices is \['cpu:0'\]; it must be a sequence of devices",
    ),
    "a critic that is a number": (
        lambda: wgan_jax.gradient_penalty(3.0, REAL, REAL, KEY),
        "critic_fn is of type float; it must be a function",
    ),
    "a critic that is its weights": (
        lambda: wgan_jax.gradient_norms(WEIGHTS, REAL),
        "critic_fn is of type dict; it must be a function",
    ),
    "a penalty without examples": (
        lambda: wgan_jax.gradient_penalty(scores_of, REAL[:0], REAL[:0], KEY),
        r"points has the shape \[0, 4, 4, 1\] and no examples",
    ),
    "norms without examples": (
        lambda: wgan_jax.gradient_norms(scores_of, REAL[:0]),
        r"points has the shape \[0, 4, 4, 1\] and no examples",
    ),
    "a negative target": (
        lambda: wgan_jax.gradient_penalty(scores_of, REAL, REAL, KEY, target=-1.0),
        "target is -1.0; it must be at least 0",
    ),
    "a target that is a text": (
        lambda: wgan_jax.gradient_penalty(scores_of, REAL, REAL, KEY, target="1"),
        "target is '1'; it must be at least 0",
    ),
    "a bound of 0": (
        lambda: wgan_jax.clip_weights(WEIGHTS, bound=0.0),
        "bound is 0.0; it must be above 0",
    ),
    "a negative bound": (
        lambda: wgan_jax.clip_weights(WEIGHTS, bound=-0.1),
        "bound is -0.1; it must be above 0",
    ),
    "a bound that is a text": (
        lambda: wgan_jax.clip_weights(WEIGHTS, bound="0.1"),
        "bound is '0.1'; it must be above 0",
    ),
    "no scores of the critic": (
        lambda: wgan_jax.wasserstein_critic_loss(SCORES[:0], SCORES[:0]),
        "the scores are empty",
    ),
    "no scores of the generator": (
        lambda: wgan_jax.wasserstein_generator_loss(SCORES[:0]),
        "the scores are empty",
    ),
    "no scores of fakes": (
        lambda: wgan_jax.wasserstein_estimate(SCORES, SCORES[:0]),
        "the scores are empty",
    ),
    "one class": (
        lambda: wgan_jax.Conditional(classes=1),
        "classes is 1; it must be at least 2",
    ),
    "classes that are a text": (
        lambda: wgan_jax.Conditional(classes="10"),
        "classes is '10'; it must be at least 2",
    ),
    "no critic updates": (
        lambda: wgan_jax.CriticSchedule(n_critic=0),
        "n_critic is 0; it must be at least 1",
    ),
    "critic updates that are a text": (
        lambda: wgan_jax.CriticSchedule(n_critic="5"),
        "n_critic is '5'; it must be at least 1",
    ),
    "an option that no loss has": (
        lambda: wgan_jax.OBJECTIVES["wasserstein"].with_options(smoothing=0.1),
        "the objective has no option 'smoothing'; its options are: none",
    ),
    "a decay of path lengths above 1": (
        lambda: wgan_jax.path_length(decay=2.0),
        r"decay is 2.0; it must be in \(0, 1\]",
    ),
    "a prior that is not known": (
        lambda: wgan_jax.latents(KEY, jnp.arange(2), size=3, prior="gauss"),
        "prior 'gauss' is not known; choices: normal",
    ),
    "truncated latents below 0": (
        lambda: wgan_jax.latents(KEY, jnp.arange(2), size=3, truncation=-1.0),
        "truncation is -1.0; it must be above 0",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_calls(name):
    call, message = OTHERS[name]
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


# Shapes that a critic or its caller gets wrong; the losses document AssertionError.
SHAPES = {
    "scores with a second axis": lambda: wgan_jax.wasserstein_critic_loss(
        SCORES, SCORES[:, None]
    ),
    "scores that are texts": lambda: wgan_jax.wasserstein_critic_loss("a", "b"),
    "scores that are missing": lambda: wgan_jax.wasserstein_estimate(None, SCORES),
    "whole numbers as scores": lambda: wgan_jax.wasserstein_estimate(
        np.ones(3, int), np.ones(3, int)
    ),
    "one score": lambda: wgan_jax.wasserstein_generator_loss(np.float32(1)),
    "real and fake of other shapes": lambda: wgan_jax.gradient_penalty(
        scores_of, REAL, REAL[:4], KEY
    ),
    "a critic of [B, 1]": lambda: wgan_jax.gradient_penalty(
        lambda x: scores_of(x)[:, None], REAL, REAL, KEY
    ),
    "a critic of a scalar": lambda: wgan_jax.gradient_norms(
        lambda x: scores_of(x).sum(), REAL
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_scores(name):
    with pytest.raises(AssertionError, match=r"rank|shape|type"):
        SHAPES[name]()


RUNS = [
    ("/no/such/folder", {}, "is not the folder of a run: it has no config.json"),
    ("", {}, "is not the folder of a run: it has no config.json"),
    ("x", {"checkpoint": "newest"}, "checkpoint"),
    ("x", {"checkpoint": -1}, "checkpoint"),
]


@pytest.mark.parametrize(("folder", "options", "message"), RUNS)
def test_folders_of_runs(tmp_path, monkeypatch, folder, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=message) as raised:
        wgan_jax.load_run(folder, **options)
    assert type(raised.value).__module__ == "wgan_jax.errors"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("config", [None, "digits_wgan_gp", {"training": 3}])
def test_configs_of_another_kind(config):
    with pytest.raises(wgan_jax.config.build.ConfigError, match="config"):
        wgan_jax.build_gan(config)
