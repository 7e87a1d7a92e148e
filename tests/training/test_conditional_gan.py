"""Tests of class-conditional GANs: labels, class losses and sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from tiny import TinyCritic, TinyGenerator, tiny_gan

from wgan_jax.conditioning import Conditional
from wgan_jax.losses import OBJECTIVES, drift, r1
from wgan_jax.losses.classification import class_loss
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.sampling import sample
from wgan_jax.training import steps
from wgan_jax.training.gradients import Pairs
from wgan_jax.training.init import abstract_state, init_state
from wgan_jax.training.steps import (
    critic_step,
    critic_update,
    generator_step,
    train_step,
)

CLASSES = 3


class ClassGenerator(nn.Module):
    """Conditional generator of 4x4x1 images."""

    @nn.compact
    def __call__(self, latent, labels=None, *, train):
        x = nn.Dense(16)(latent) + nn.Embed(CLASSES, 16)(labels)
        return jnp.tanh(nn.Dense(16)(nn.softplus(x))).reshape(-1, 4, 4, 1)


class ClassCritic(nn.Module):
    """Critic with a projection or an auxiliary head."""

    auxiliary: bool = False
    dtype: str | None = None

    @nn.compact
    def __call__(self, images, labels=None, *, train):
        flat = images.reshape(images.shape[0], -1)
        x = nn.softplus(nn.Dense(24, dtype=self.dtype)(flat))
        score = nn.Dense(1)(x)[:, 0]
        if self.auxiliary:
            logits = nn.Dense(CLASSES, dtype=self.dtype)(x)
            self.sow("intermediates", "class_logits", logits)
            return score
        return score + jnp.sum(nn.Embed(CLASSES, 24)(labels) * x, axis=1)


def class_gan(auxiliary=False, **changes):
    weights = {"critic_weight": 2.0, "generator_weight": 0.5} if auxiliary else {}
    parts = {
        "generator": ClassGenerator(),
        "critic": ClassCritic(auxiliary),
        "conditional": Conditional(classes=CLASSES, **weights),
    }
    return tiny_gan(**(parts | changes))


@pytest.fixture
def batch(key):
    images = jax.random.uniform(jax.random.fold_in(key, 5), (8, 4, 4, 1), minval=-1.0)
    return {"image": images, "label": jnp.arange(8, dtype=jnp.int32) % CLASSES}


def test_class_loss_matches_manual_values():
    logits = jnp.array([[0.0, 0.0], [np.log(3.0), 0.0]])
    loss, accuracy = class_loss(logits, jnp.array([1, 1]))
    np.testing.assert_allclose(loss, (np.log(2) + np.log(4)) / 2, rtol=1e-6)
    assert float(accuracy) == 0.0
    assert float(class_loss(logits, jnp.array([0, 0]))[1]) == 1.0


@pytest.mark.parametrize("auxiliary", [False, True])
def test_critic_step_uses_labels_of_the_real_batch(key, batch, auxiliary):
    """Fakes have the labels of the real batch; the class loss excludes fakes."""
    gan = class_gan(auxiliary, penalties=())
    state = init_state(gan, key)
    metrics = critic_step(gan, state, batch, key)[1]
    shuffled = batch | {"label": (batch["label"] + 1) % CLASSES}
    other = critic_step(gan, state, shuffled, key)[1]
    critic = state.critic
    output, _ = gan.score(
        critic.params, {}, batch["image"], train=True, labels=batch["label"]
    )
    np.testing.assert_allclose(
        metrics["critic/real_score"], output.scores.mean(), rtol=1e-4, atol=1e-6
    )
    # Fakes have the labels of the real batch, so other labels give other fakes.
    assert metrics["critic/fake_score"] != other["critic/fake_score"]
    gap = metrics["critic/wasserstein_estimate"]
    if not auxiliary:
        assert output.class_logits is None
        assert metrics["critic/real_score"] != other["critic/real_score"]
        np.testing.assert_allclose(metrics["critic/loss"], -gap, rtol=1e-6)
        return
    loss, accuracy = class_loss(output.class_logits, batch["label"])
    np.testing.assert_allclose(metrics["critic/class_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(metrics["critic/class_accuracy"], accuracy)
    np.testing.assert_allclose(metrics["critic/loss"], 2 * loss - gap, rtol=1e-5)


def test_uniform_fake_labels_do_not_depend_on_real_labels(key, batch):
    conditional = Conditional(classes=CLASSES, fake_labels="uniform")
    gan = class_gan(conditional=conditional, penalties=())
    state = init_state(gan, key)
    shuffled = batch | {"label": (batch["label"] + 1) % CLASSES}
    a, b = (critic_step(gan, state, x, key)[1] for x in (batch, shuffled))
    assert a["critic/fake_score"] == b["critic/fake_score"]
    assert a["critic/real_score"] != b["critic/real_score"]


class WrappedCritic(nn.Module):
    """Critic whose submodule sows bfloat16 logits."""

    @nn.compact
    def __call__(self, images, labels=None, *, train):
        return ClassCritic(True, "bfloat16")(images, labels, train=train)


def test_logits_of_a_submodule_are_float32(key, batch):
    gan = class_gan(critic=WrappedCritic(), conditional=None)
    params = gan.critic.init(key, batch["image"], train=False)["params"]
    output, _ = gan.score(params, {}, batch["image"], train=True)
    assert output.class_logits.dtype == output.scores.dtype == jnp.float32


def test_penalties_use_labels_of_the_real_batch(key, batch):
    gan = class_gan(penalties=((lambda f, x, y, k: jnp.mean(f(x)), 1.0),))
    metrics = critic_step(gan, init_state(gan, key), batch, key)[1]
    np.testing.assert_allclose(
        metrics["critic/penalty"], metrics["critic/real_score"], rtol=1e-5
    )


def test_paired_generator_uses_labels_of_its_real_batch(key, batch):
    """This critic uses labels only in its head, so the fakes depend on the labels."""
    gan = class_gan(True, objective=OBJECTIVES["relativistic"], penalties=())
    state = init_state(gan, key)
    shuffled = batch | {"label": (batch["label"] + 1) % CLASSES}
    a, b = (
        generator_step(gan, state, key, batch_size=8, real=x)[1]
        for x in (batch, shuffled)
    )
    name = "critic/gradient_norm_at_fakes"
    assert a[name] != b[name]
    assert a["generator/class_loss"] != b["generator/class_loss"]


def test_labels_and_latents_use_different_keys(key, batch, monkeypatch):
    used = []

    def note(draw):
        def noting(owner, key, n):
            used.append(tuple(jax.random.key_data(key).tolist()))
            return draw(owner, key, n)

        return noting

    monkeypatch.setattr(Conditional, "draw", note(Conditional.draw))
    monkeypatch.setattr(steps, "_latents", note(steps._latents))
    conditional = Conditional(classes=CLASSES, fake_labels="uniform")
    gan = class_gan(conditional=conditional, penalties=())
    state = init_state(gan, key)
    critic_step(gan, state, batch, key)
    generator_step(gan, state, key, batch_size=8)
    assert len(used) == len(set(used)) == 4


def test_labels_are_drawn_uniformly():
    labels = Conditional(classes=4).draw(jax.random.key(0), 8000)
    assert labels.dtype == jnp.int32
    np.testing.assert_allclose(np.bincount(labels) / 8000, 0.25, atol=0.02)


def test_generator_class_loss_has_its_weight(key):
    sgd = {"generator_optimizer": optax.sgd(0.1), "penalties": ()}
    found, losses = [], []
    for weight in (1e-9, 0.5, 1.0):
        conditional = Conditional(
            classes=CLASSES, critic_weight=1.0, generator_weight=weight
        )
        gan = class_gan(True, conditional=conditional, **sgd)
        state = init_state(gan, key)
        after, metrics = generator_step(gan, state, key, batch_size=32)
        moved = jax.tree.map(
            jnp.subtract, after.generator.params, state.generator.params
        )
        found.append(np.concatenate([x.ravel() for x in jax.tree.leaves(moved)]))
        losses.append(float(metrics["generator/loss"]))
    half = 0.5 * float(metrics["generator/class_loss"])
    np.testing.assert_allclose(np.diff(losses), half, rtol=1e-4)
    taught = found[2] - found[0]
    np.testing.assert_allclose(taught, 2 * (found[1] - found[0]), rtol=1e-3, atol=1e-6)
    assert np.abs(taught).max() > 1e-3
    assert 0 <= float(metrics["generator/class_accuracy"]) <= 1
    # A small step along the class loss gradient decreases it, for the same latents.
    steps = np.split(taught, np.cumsum([x.size for x in jax.tree.leaves(moved)])[:-1])
    params = jax.tree.unflatten(
        jax.tree.structure(moved),
        [
            x + 0.1 * d.reshape(x.shape)
            for x, d in zip(jax.tree.leaves(state.generator.params), steps, strict=True)
        ],
    )
    nearer = state.replace(generator=state.generator.replace(params=params))
    again = generator_step(gan, nearer, key, batch_size=32)[1]
    assert again["generator/class_loss"] < metrics["generator/class_loss"]


def test_gradient_norm_at_fakes_excludes_the_class_loss(key):
    slopes = []
    for weight in (1e-9, 5.0):
        conditional = Conditional(
            classes=CLASSES, critic_weight=1.0, generator_weight=weight
        )
        gan = class_gan(True, conditional=conditional)
        metrics = generator_step(gan, init_state(gan, key), key, batch_size=8)[1]
        slopes.append(float(metrics["critic/gradient_norm_at_fakes"]))
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-6)


def test_train_step_needs_labels(key, batch):
    gan = class_gan(True)
    state = init_state(gan, key)
    batches = jax.tree.map(lambda x: jnp.stack([x, x]), batch)
    after, metrics = jax.jit(lambda s, b: train_step(gan, s, b, key))(state, batches)
    assert int(after.critic_updates) == 2
    assert all(np.isfinite(v) for v in metrics.values())
    with pytest.raises(ValueError, match="the batch has no 'label'"):
        train_step(gan, state, batches["image"], key)


def test_sampling_by_class(key):
    gan = class_gan()
    state = init_state(gan, key)
    by_default = sample(gan, state, key, 7)
    in_turn = sample(gan, state, key, 7, labels=np.arange(7) % CLASSES)
    np.testing.assert_array_equal(by_default, in_turn)
    ones = sample(gan, state, key, 7, labels=1)
    np.testing.assert_array_equal(ones[1::3], by_default[1::3])
    assert bool(jnp.all(jnp.any(ones[::3] != by_default[::3], (1, 2, 3))))
    np.testing.assert_array_equal(sample(gan, state, key, 70)[:7], by_default)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (CLASSES, "must be in 0 to 2"),
        (-1, "in -1 to -1"),
        (np.zeros(3, int), "one whole number, or 7 of them"),
        (0.5, "float64"),
    ],
)
def test_invalid_sample_labels_are_rejected(key, labels, message):
    gan = class_gan()
    with pytest.raises(ValueError, match=message):
        sample(gan, init_state(gan, key), key, 7, labels=labels)


def test_sample_labels_need_a_conditional_gan(gan, key):
    with pytest.raises(ValueError, match="not conditional"):
        sample(gan, init_state(gan, key), key, 7, labels=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": TinyGenerator()}, "TinyGenerator takes no labels"),
        ({"critic": TinyCritic()}, "so the classes have no effect"),
        ({"critic": ClassCritic(True)}, "auxiliary head, but no loss trains it"),
        (
            {"conditional": Conditional(classes=CLASSES, critic_weight=1.0)},
            "has no auxiliary head. Use",
        ),
        (
            {"conditional": Conditional(classes=CLASSES, generator_weight=1.0)},
            "has no auxiliary head. Use",
        ),
        (
            {"conditional": Conditional(classes=CLASSES, fake_labels="uniform")},
            "a penalty uses generated examples with",
        ),
        (
            {
                "generator": GENERATORS["dcgan_gp"](image_shape=(8, 8, 1), classes=5),
                "critic": CRITICS["dcgan_gp"](classes=5),
            },
            "has classes=5, but the GAN has 3",
        ),
        (
            {
                "critic": ClassCritic(True),
                "conditional": Conditional(classes=CLASSES, generator_weight=1.0),
            },
            "auxiliary head, but no loss trains it",
        ),
        (
            {
                "conditional": Conditional(classes=CLASSES, fake_labels="uniform"),
                "penalties": (),
                "objective": OBJECTIVES["relativistic"],
            },
            "Use fake_labels='real'",
        ),
    ],
)
def test_invalid_combinations_are_rejected(changes, message):
    with pytest.raises(ValueError, match=message):
        abstract_state(class_gan(**changes))


def test_auxiliary_head_without_classes_is_rejected():
    with pytest.raises(ValueError, match="auxiliary head, but no loss trains it"):
        abstract_state(tiny_gan(critic=ClassCritic(True)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": 1}, "classes is 1"),
        ({"classes": 2, "fake_labels": "x"}, "'x'"),
        ({"classes": 2, "critic_weight": -1.0}, "critic_weight is -1.0"),
    ],
)
def test_invalid_conditional_settings_are_rejected(fields, message):
    with pytest.raises(ValueError, match=message):
        Conditional(**fields)


def test_uniform_labels_allow_penalties_on_real_examples(key):
    uniform = {"classes": CLASSES, "fake_labels": "uniform"}
    projection = {"conditional": Conditional(**uniform)}
    for penalty in (r1, drift):
        gan = class_gan(penalties=((penalty, 1.0),), **projection)
        assert abstract_state(gan).step.shape == ()
    # Scores of a critic with an auxiliary head do not depend on labels.
    headed = Conditional(**uniform, critic_weight=1.0)
    assert abstract_state(class_gan(True, conditional=headed)).step.shape == ()


def test_pairs_without_labels_are_rejected(key, batch):
    gan = class_gan()
    images = batch["image"]
    with pytest.raises(ValueError, match="a conditional GAN needs both"):
        critic_update(gan, init_state(gan, key), Pairs(images, images), key)
