"""Terms of the losses: weights, lazy intervals, several at once, microbatches."""

from dataclasses import replace
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from tiny import TinyCritic, tiny_gan

from wgan_jax.augmentation import diff_augment
from wgan_jax.losses import (
    OBJECTIVES,
    clip_weights,
    consistency,
    dragan,
    drift,
    gradient_penalty,
    gradient_penalty_and_norms,
    path_length,
    r1,
)
from wgan_jax.losses.regularizers import Regularizer
from wgan_jax.losses.terms import Term, reporting
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.sampling import sample
from wgan_jax.schedules import cosine
from wgan_jax.training import gradients, steps
from wgan_jax.training.compiled import make_generator_step, make_train_step
from wgan_jax.training.gradients import Pairs
from wgan_jax.training.init import abstract_state, init_state
from wgan_jax.training.steps import (
    critic_step,
    critic_update,
    generator_step,
    train_step,
)
from wgan_jax.training.updates import normalize_images, split

SGD = optax.sgd(1.0)
PLAIN = {"critic_optimizer": SGD, "generator_optimizer": SGD, "penalties": ()}


class PlainGenerator(nn.Module):
    """Latent to an image of 4x4x1, each by itself."""

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.softplus(nn.Dense(16)(latent))
        return jnp.tanh(nn.Dense(16)(x)).reshape(-1, 4, 4, 1)


class DropoutCritic(nn.Module):
    """A critic with dropout, that sows its features if told to."""

    sows: bool = True
    rate: float = 0.5

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.softplus(nn.Dense(24)(images.reshape(images.shape[0], -1)))
        x = nn.Dropout(self.rate, deterministic=not self.has_rng("dropout"))(x)
        if self.sows:
            self.sow("intermediates", "features", x)
        return nn.Dense(1)(x)[:, 0]


@pytest.fixture
def real(key):
    return jax.random.uniform(jax.random.fold_in(key, 5), (8, 4, 4, 1), minval=-1.0)


def moves(gan, state, step):
    """How far one step moves each network, as flat vectors."""
    after, metrics = jax.jit(step)(state)
    found = [
        jnp.concatenate([x.ravel() for x in jax.tree.leaves(tree)])
        for tree in jax.tree.map(
            jnp.subtract,
            (after.critic.params, after.generator.params),
            (state.critic.params, state.generator.params),
        )
    ]
    return *found, metrics


def test_terms_add_up(key, real):
    """The step with two terms moves by the sum of what each adds."""
    terms = [(r1, 3.0), (drift, 0.5)]

    def move(*chosen):
        gan = tiny_gan(**(PLAIN | {"penalties": chosen}))
        state = init_state(gan, key)
        return moves(gan, state, lambda s: critic_step(gan, s, real, key))[0]

    none, first, second, both = (
        move(),
        move(terms[0]),
        move(terms[1]),
        move(*terms),
    )
    np.testing.assert_allclose(both - none, first + second - 2 * none, atol=1e-6)
    assert float(jnp.abs(first - none).max()) > 1e-4
    assert float(jnp.abs(second - none).max()) > 1e-4


def test_named_terms_are_logged_apart_and_sum_to_the_penalty(key, real):
    terms = (Term(r1, 3.0, name="r1"), Term(drift, 0.5, name="drift"))
    gan = tiny_gan(penalties=terms)
    metrics = critic_step(gan, init_state(gan, key), real, key)[1]
    total = metrics["critic/penalty/r1"] + metrics["critic/penalty/drift"]
    np.testing.assert_allclose(metrics["critic/penalty"], total, rtol=1e-6)


def test_lazy_penalty_is_every_kth_update_at_k_times_the_weight(key, real):
    def move(updates, **term):
        gan = tiny_gan(**(PLAIN | {"penalties": (Term(r1, **term),)}))
        state = init_state(gan, key).replace(critic_updates=jnp.int32(updates))
        return moves(gan, state, lambda s: critic_step(gan, s, real, key))

    for updates in (0, 3, 6):
        lazy, _, metrics = move(updates, weight=2.0, every=3)
        np.testing.assert_allclose(lazy, move(updates, weight=6.0)[0], rtol=1e-5)
        assert float(metrics["critic/penalty"]) > 0
    for updates in (1, 2, 4):
        lazy, _, metrics = move(updates, weight=2.0, every=3)
        np.testing.assert_array_equal(lazy, move(updates, weight=1e-30)[0])
        assert float(metrics["critic/penalty"]) == 0


def test_a_weight_may_follow_the_iteration(key, real):
    weight = lambda step: cosine(step, iterations=10, initial=4.0, final=1.0)
    gan = tiny_gan(penalties=((drift, weight),))
    fixed = tiny_gan(penalties=((drift, 1.0),))
    state = init_state(gan, key)
    for step, expected in [(0, 4.0), (5, 2.5), (10, 1.0), (50, 1.0)]:
        moved = state.replace(step=jnp.int32(step))
        scheduled = critic_step(gan, moved, real, key)[1]["critic/penalty"]
        plain = critic_step(fixed, moved, real, key)[1]["critic/penalty"]
        np.testing.assert_allclose(scheduled / plain, expected, rtol=1e-5)


@pytest.mark.parametrize("every", [1, 4])
def test_path_length_moves_the_generator_and_remembers(key, every):
    def gan_with(*terms):
        parts = PLAIN | {"generator": PlainGenerator(), "regularizers": terms}
        return tiny_gan(**parts)

    gan = gan_with(Term(path_length(decay=0.5), 2.0, every))
    state = init_state(gan, key)
    plain = gan_with()
    step = lambda g: lambda s: generator_step(g, s, key, batch_size=8)
    with_term = moves(gan, state, step(gan))
    without = moves(plain, state.replace(regularizers=()), step(plain))
    assert float(jnp.abs(with_term[1] - without[1]).max()) > 1e-5
    after, metrics = step(gan)(state)
    memory = after.regularizers[0] if every == 1 else after.regularizers[0][0]
    np.testing.assert_allclose(memory["mean"], 0.5 * memory["length"], rtol=1e-6)
    assert metrics["generator/path_length"] == memory["length"]
    # The value without the factor of the interval is added to the loss that is logged.
    np.testing.assert_allclose(
        metrics["generator/loss"] - without[2]["generator/loss"],
        metrics["generator/regularizer"],
        rtol=1e-4,
    )
    if every > 1:  # the next update leaves it out, and the memory as it is
        last, latest = step(gan)(after)
        assert latest["generator/regularizer"] == metrics["generator/regularizer"] > 0
        assert last.regularizers[0][0] == memory
        assert latest["generator/path_length"] == memory["length"]


def test_lazy_regularizer_is_every_kth_update_at_k_times_the_weight(key):
    squares = Regularizer(
        dict, lambda f, z, k, memory: (jnp.mean(f(z) ** 2), memory), lambda memory: {}
    )

    def move(iteration, **term):
        term = Term(squares, **term)
        gan = tiny_gan(
            **(PLAIN | {"generator": PlainGenerator(), "regularizers": (term,)})
        )
        state = init_state(gan, key).replace(step=jnp.int32(iteration))
        return moves(gan, state, lambda s: generator_step(gan, s, key, batch_size=8))

    lazy = move(4, weight=3.0, every=4)[1]
    np.testing.assert_allclose(lazy, move(4, weight=12.0)[1], rtol=1e-4, atol=1e-7)
    assert np.abs(lazy - move(4, weight=3.0)[1]).max() > 1e-5
    np.testing.assert_array_equal(
        move(5, weight=3.0, every=4)[1], move(5, weight=1e-30)[1]
    )


def test_named_regularizers_are_logged_apart_and_sum_to_what_is_added(key):
    terms = (Term(path_length(), 2.0, name="a"), Term(path_length(), 3.0, name="b"))
    gan = tiny_gan(generator=PlainGenerator(), regularizers=terms)
    metrics = generator_step(gan, init_state(gan, key), key, batch_size=8)[1]
    parts = [metrics[f"generator/regularizer/{name}"] for name in "ab"]
    assert parts[0] > 0
    assert parts[1] > 0
    np.testing.assert_allclose(metrics["generator/regularizer"], sum(parts), rtol=1e-6)


def test_no_two_uses_share_a_random_key(key, real, monkeypatch):
    """Three passes and two penalties of the critic; two passes and a regularizer.

    And both networks' noise and flips of the real examples.
    """
    used = []

    def note(images, key):
        if not isinstance(key, jax.core.Tracer):  # while shapes are checked
            used.append(tuple(jax.random.key_data(key).tolist()))
        return images

    def penalty(critic_fn, real, fake, key):
        note(real, key)
        return jnp.zeros(())

    def regularize(generate_fn, latent, key, memory):
        note(latent, key)
        return jnp.mean(generate_fn(latent)), memory

    regularizer = Regularizer(dict, regularize, lambda memory: {})
    monkeypatch.setattr(steps, "random_flip", note)
    monkeypatch.setattr(steps, "normalize_images", lambda x, k, dequantize: note(x, k))
    gan = tiny_gan(
        generator=PlainGenerator(),
        flip=True,
        augment=note,
        objective=OBJECTIVES["relativistic"],
        penalties=((penalty, 1.0), (penalty, 1.0), (drift, 1.0)),
        regularizers=((regularizer, 1.0),),
    )
    state = init_state(gan, key)
    critic_step(gan, state, real, key)
    assert len(used) == 7
    generator_step(gan, state, key, batch_size=8, real=real)
    assert len(used) == len(set(used)) == 12


class ModeGenerator(nn.Module):
    """Images of 1 in training mode and of 0 in evaluation mode."""

    @nn.compact
    def __call__(self, latent, *, train):
        mark = self.param("mark", nn.initializers.normal(), (3,))
        return jnp.full((len(latent), 4, 4, 1), float(train)) + 0.0 * mark[0]


class ModeCritic(nn.Module):
    """The mean of an image, and 10 more in training mode."""

    @nn.compact
    def __call__(self, images, *, train):
        mark = self.param("mark", nn.initializers.normal(), (3,))
        return jnp.mean(images, (1, 2, 3)) + 0.0 * mark[0] + 10.0 * train


def test_players_train_in_the_losses_and_hold_still_for_terms_and_samples(key, real):
    regularizer = Regularizer(
        dict, lambda f, z, k, memory: (jnp.mean(f(z)), memory), lambda memory: {}
    )
    gan = tiny_gan(
        generator=ModeGenerator(),
        critic=ModeCritic(),
        penalties=((lambda f, x, y, k: jnp.mean(f(y)), 1.0),),
        regularizers=((regularizer, 1.0),),
    )
    state = init_state(gan, key)
    marks = state.critic.params["mark"], state.generator.params["mark"]
    assert np.all(marks[0] != marks[1])  # keys of their own
    metrics = critic_step(gan, state, 0.0 * real, key)[1]
    metrics |= generator_step(gan, state, key, batch_size=8)[1]
    assert float(metrics["critic/real_score"]) == 10.0
    assert float(metrics["critic/fake_score"]) == 11.0
    assert float(metrics["critic/penalty"]) == 1.0
    assert float(metrics["generator/loss"]) == -11.0
    assert float(metrics["generator/regularizer"]) == 0.0
    assert not np.any(sample(gan, state, key, 2))


def test_batch_norm_in_a_regularised_generator_is_refused():
    gan = tiny_gan(regularizers=((path_length(), 2.0),))
    with pytest.raises(ValueError, match="regularizer on its Jacobian"):
        abstract_state(gan)


@pytest.mark.parametrize("objective", ["wasserstein", "relativistic"])
def test_microbatches_give_the_gradient_of_the_whole_batch(key, real, objective):
    """Nothing is random here but the latents, which are drawn for the whole batch."""

    def gan_with(parts):
        return tiny_gan(
            **PLAIN
            | {
                "generator": PlainGenerator(),
                "penalties": ((r1, 3.0), (drift, 0.1)),
                "microbatches": parts,
                "objective": OBJECTIVES[objective],
            }
        )

    state = init_state(gan_with(1), key)
    batches = jnp.stack([real, -real])
    whole, split = (
        moves(g, state, lambda s, g=g: train_step(g, s, batches, key))
        for g in (gan_with(1), gan_with(4))
    )
    for a, b in zip(whole[:2], split[:2], strict=True):
        assert float(jnp.abs(a).max()) > 1e-3
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for name, value in whole[2].items():
        if not name.endswith("norm_max"):
            np.testing.assert_allclose(
                split[2][name], value, rtol=1e-4, atol=1e-6, err_msg=name
            )


def test_microbatches_draw_their_own_numbers_and_keep_the_greatest(key, real):
    def penalty(critic_fn, real, fake, key):
        draw = jax.random.uniform(key)
        found = {"draw": draw, "draw_max": draw, "pixel_max": jnp.max(real)}
        return jnp.mean(critic_fn(real)), found

    gan = tiny_gan(penalties=((penalty, 1.0),), microbatches=4)
    metrics = critic_step(gan, init_state(gan, key), real, key)[1]
    assert metrics["pixel_max"] == real.max()
    assert metrics["draw_max"] > metrics["draw"] + 1e-3


def test_a_second_maximum_is_the_greatest_of_all_parts(key, real):
    def greatest(critic_fn, real, fake, key):
        return jnp.mean(critic_fn(real)), {"pixel_max": jnp.max(real)}

    terms = tuple(Term(greatest, 1.0, name=name) for name in "ab")
    gan = tiny_gan(penalties=terms, microbatches=4)
    metrics = critic_step(gan, init_state(gan, key), real, key)[1]
    assert metrics["pixel_max"] == metrics["pixel_max/b"] == real.max()


def test_a_lazy_penalty_of_all_parts_is_remembered(key, real):
    gan = tiny_gan(
        penalties=((gradient_penalty_and_norms, 2.0, 2),),
        microbatches=4,
        critic_optimizer=optax.sgd(0.0),
    )
    state, now = critic_step(gan, init_state(gan, key), real, key)
    then = critic_step(gan, state, real, key)[1]
    for name in ("penalty", "gradient_norm_mean", "gradient_norm_max"):
        assert then[f"critic/{name}"] == now[f"critic/{name}"]
    assert not [name for name in now if name.startswith("lazy")]


def test_critic_and_generator_see_batch_statistics_of_equal_parts(key, real):
    """With parts of 2, the fakes of a critic update are normalized over 2 examples."""
    gan = tiny_gan(penalties=(), microbatches=4)
    state = init_state(gan, key)
    kept = []
    critic = OBJECTIVES["wasserstein"]

    def loss(real, fake):
        jax.debug.callback(lambda x: kept.append(float(x)), jnp.mean(fake))
        return critic.critic_loss(real, fake)

    spying = replace(gan, objective=critic._replace(critic_loss=loss))
    critic_step(spying, state, real, key)
    jax.effects_barrier()
    latent_key = steps._critic_keys(key, state)[0][0]
    latent = steps._latents(gan, latent_key, 8)
    generator, player = state.generator, state.critic
    for part in range(4):
        fake, _ = gan.generate(
            generator.params, generator.model_state, latent[part::4], train=True
        )
        scores = gan.score(player.params, player.model_state, fake, train=True)[0]
        assert float(jnp.mean(scores.scores)) == pytest.approx(kept[part], rel=1e-4)


def test_batch_statistics_pass_through_every_part_real_then_fake(key, real):
    gan = tiny_gan(critic=TinyCritic(batch_norm=True), penalties=(), microbatches=2)
    assert split(gan, jnp.arange(6)).tolist() == [[0, 2, 4], [1, 3, 5]]
    state = init_state(gan, key)
    pairs = Pairs(real, 0.5 * real)
    after = critic_update(gan, state, pairs, key)[0].critic.model_state
    params, expected = state.critic.params, state.critic.model_state
    for part in (0, 1):
        for images in (pairs.real, pairs.fake):
            rows = images[part::2]
            expected = gan.score(params, expected, rows, train=True)[1]
    chex.assert_trees_all_close(after, expected, rtol=1e-5, atol=1e-7)


def test_a_batch_that_does_not_divide_into_microbatches_is_refused(key, real):
    gan = tiny_gan(microbatches=3)
    with pytest.raises(ValueError, match="8 is not divisible into 3 microbatches"):
        critic_step(gan, init_state(gan, key), real, key)


def test_a_paired_generator_needs_real_examples(key, real):
    gan = tiny_gan(objective=OBJECTIVES["relativistic"])
    state = init_state(gan, key)
    with pytest.raises(ValueError, match="Pass real=images"):
        generator_step(gan, state, key, batch_size=8)
    # Of three batches two are the critic's and the last the generator's.
    batches = jnp.stack([real, -real, 0.5 * real])
    after, metrics = make_train_step(gan, donate=False)(state, batches, key)
    assert int(after.critic_updates) == 2
    parts, _ = critic_step(gan, state, real, key)
    parts, _ = critic_step(gan, parts, -real, key)
    _, expected = generator_step(gan, parts, key, batch_size=8, real=0.5 * real)
    np.testing.assert_allclose(
        metrics["generator/loss"], expected["generator/loss"], rtol=1e-4
    )


def test_a_paired_generator_sees_real_examples_as_the_critic_does(key, images):
    """In the generator's range, and flipped where asked."""
    relativistic = {"objective": OBJECTIVES["relativistic"], "penalties": ()}
    gan, flips = tiny_gan(**relativistic), tiny_gan(**relativistic, flip=True)
    state = init_state(gan, key)
    ready = normalize_images(images[0], key, dequantize=False)
    losses = [
        generator_step(g, state, key, batch_size=8, real=real)[1]["generator/loss"]
        for g, real in ((gan, images[0]), (gan, ready), (flips, ready))
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    assert losses[2] != losses[1]


def test_consistency_needs_dropout_and_features(key, real):
    gan = tiny_gan(critic=DropoutCritic(), penalties=((consistency, 2.0),))
    state = init_state(gan, key)
    assert float(critic_step(gan, state, real, key)[1]["critic/penalty"]) > 0
    with pytest.raises(ValueError, match="TinyCritic has no dropout"):
        abstract_state(tiny_gan(critic=TinyCritic(), penalties=((consistency, 2.0),)))
    silent = tiny_gan(critic=DropoutCritic(sows=False), penalties=((consistency, 2.0),))
    with pytest.raises(ValueError, match="DropoutCritic sows no features"):
        abstract_state(silent)


class UsualCritic(nn.Module):
    """``DropoutCritic``, with dropout in the mode of training."""

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.softplus(nn.Dense(24)(images.reshape(images.shape[0], -1)))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        self.sow("intermediates", "features", x)
        return nn.Dense(1)(x)[:, 0]


@pytest.mark.parametrize("term", [consistency, r1, gradient_penalty])
def test_dropout_that_follows_train_is_that_of_the_stream(key, real, term):
    # flax #3257
    found = []
    for critic in (UsualCritic(), DropoutCritic()):
        gan = tiny_gan(critic=critic, penalties=((term, 1.0),))
        state = init_state(gan, key)
        found.append(critic_step(gan, state, real, key)[1])
        critic_fn = gan.critic_fn(state.critic.params, {}, key=key)
        without = gan.critic_fn(state.critic.params, {})
        assert not np.allclose(critic_fn(real), without(real))
    chex.assert_trees_all_equal(*found)


def test_dropout_is_drawn_anew_in_each_pass_and_absent_from_evaluation(key, real):
    gan = tiny_gan(critic=DropoutCritic(), penalties=())
    state = init_state(gan, key)
    critic = state.critic
    # Real and fake alike: without dropout the estimate would be 0.
    same = Pairs(real, real)
    metrics = critic_update(gan, state, same, key)[1]
    assert abs(float(metrics["critic/wasserstein_estimate"])) > 1e-4
    again = critic_update(gan, state, same, key)[1]
    assert metrics["critic/loss"] == again["critic/loss"]
    fixed = gan.critic_fn(critic.params, critic.model_state)
    np.testing.assert_array_equal(fixed(real), fixed(real))


def test_the_critic_and_its_penalties_see_augmented_images(key, real):
    seen = []

    def spy(images, key):
        seen.append(images.shape)
        return diff_augment(images, key, policy="color,cutout")

    gan = tiny_gan(augment=spy, penalties=((r1, 1.0),))
    state = init_state(gan, key)
    seen.clear()
    moved = critic_step(gan, state, real, key)[1]
    assert len(seen) == 3  # real, fake, penalty
    plain = tiny_gan(penalties=((r1, 1.0),))
    flat = critic_step(plain, state, real, key)[1]
    for name in ("critic/real_score", "critic/fake_score", "critic/penalty"):
        assert float(moved[name]) != float(flat[name]), name
    seen.clear()
    generator_step(gan, state, key, batch_size=8)
    assert seen == [(8, 4, 4, 1)]


def test_real_images_are_flipped_where_asked(key, real):
    gan, plain = tiny_gan(flip=True, penalties=()), tiny_gan(penalties=())
    state = init_state(gan, key)
    even = (real + real[:, :, ::-1]) / 2  # a flip changes nothing
    for images, changes in ((real, True), (even, False)):
        a, b = (critic_step(g, state, images, key)[1] for g in (gan, plain))
        assert (a["critic/real_score"] != b["critic/real_score"]) == changes
        assert a["critic/fake_score"] == b["critic/fake_score"]


def test_a_penalty_that_is_no_scalar_is_refused():
    gan = tiny_gan(penalties=((lambda f, x, y, k: f(x), 1.0),))
    with pytest.raises(ValueError, match="has a value of shape"):
        abstract_state(gan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"penalties": ((r1, 1.0, 0),)}, "every is 0"),
        ({"penalties": ((r1, 1.0, 1.5),)}, "every is 1.5"),
        ({"penalties": ((r1, -1.0),)}, "weight is -1.0"),
        ({"penalties": (r1,)}, "each entry must be a pair"),
        ({"penalties": (r1, 1.0)}, "each entry must be a pair"),
        ({"microbatches": 0}, "microbatches is 0"),
        (
            {
                "objective": OBJECTIVES["relativistic"],
                "generator_batch_size": 8,
            },
            "generator_batch_size is 8, but",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_gan(**changes)


def test_a_lazy_penalty_is_logged_as_it_last_was(key, real):
    """In the update that leaves it out: its value by the weight, and its norms."""
    lazy = tiny_gan(penalties=((gradient_penalty_and_norms, 2.0, 2),))
    plain = tiny_gan(penalties=((gradient_penalty_and_norms, 2.0),))
    state = init_state(lazy, key)
    first, now = critic_step(lazy, state, real, key)
    _, then = critic_step(lazy, first, -real, key)
    expected = critic_step(plain, state.replace(penalties=()), real, key)[1]
    for name in ("critic/penalty", "critic/gradient_norm_mean"):
        np.testing.assert_allclose(now[name], expected[name], rtol=1e-5)
        assert now[name] == then[name]
    for metrics in (now, then):  # the loss has the penalty once, whether due or not
        loss = metrics["critic/penalty"] - metrics["critic/wasserstein_estimate"]
        np.testing.assert_allclose(metrics["critic/loss"], loss, rtol=1e-5)
    with pytest.raises(ValueError, match="has 1 lazy penalties"):
        critic_step(plain, state, real, key)


def test_two_terms_that_measure_the_same_keep_their_metrics(key, real):
    names = Term(dragan, 1.0, name="near"), Term(dragan, 1.0)
    gan = tiny_gan(penalties=((gradient_penalty_and_norms, 10.0), *names))
    metrics = critic_step(gan, init_state(gan, key), real, key)[1]
    base = "critic/gradient_norm_mean"
    assert len({float(metrics[n]) for n in (base, f"{base}/near", f"{base}/2")}) == 3


def test_the_two_passes_of_consistency_differ_by_dropout_alone(key, real):
    color = partial(diff_augment, policy="color")
    for rate, small in ((1e-7, True), (0.5, False)):
        critic = DropoutCritic(rate=rate)
        gan = tiny_gan(critic=critic, penalties=((consistency, 1.0),), augment=color)
        value = critic_step(gan, init_state(gan, key), real, key)[1]["critic/penalty"]
        assert (float(value) < 1e-9) == small


@pytest.mark.parametrize("objective", ["minimax", "wasserstein", "hinge"])
def test_gradient_norm_at_fakes_is_exact_for_a_confident_critic(key, objective):
    """Scores far down leave a minimax generator a gradient of e^-60."""
    shift = lambda by: OBJECTIVES[objective]._replace(
        generator_loss=lambda scores: OBJECTIVES[objective].generator_loss(scores - by)
    )
    found = []
    for by in (0.0, 60.0):
        gan = tiny_gan(objective=shift(by), critic=TinyCritic())
        metrics = generator_step(gan, init_state(gan, key), key, batch_size=8)[1]
        found.append(float(metrics["critic/gradient_norm_at_fakes"]))
    assert found[0] > 0.1
    assert found[1] == pytest.approx(found[0], rel=0.2)


def test_gradients_below_the_normal_numbers_are_scaled_by_a_finite_power():
    """Of float16, because a CPU may replace such numbers of other dtypes by 0."""
    x = jnp.array([0.0, 6e-8], jnp.float16)
    scale = gradients._power_of_two(x)
    assert np.isfinite(scale)
    assert (x * scale)[1] > x[1]
    assert gradients._power_of_two(jnp.array([3.0, -20.0])) == 1 / 32
    assert gradients._power_of_two(jnp.zeros(2)) == 1


class LinearCritic(nn.Module):
    """The gradient is the kernel, at every image."""

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(1)(images.reshape(len(images), -1))[:, 0]


def test_gradient_norm_at_fakes_leaves_out_examples_without_a_gradient(key):
    half = OBJECTIVES["wasserstein"]._replace(
        generator_loss=lambda scores: -jnp.mean(scores[:4])
    )
    gan = tiny_gan(objective=half, critic=LinearCritic())
    state = init_state(gan, key)
    metrics = generator_step(gan, state, key, batch_size=8)[1]
    kernel = state.critic.params["Dense_0"]["kernel"]
    np.testing.assert_allclose(
        metrics["critic/gradient_norm_at_fakes"], jnp.linalg.norm(kernel), rtol=1e-5
    )


def test_a_compiled_paired_generator_step_takes_real_examples(key, real):
    gan = tiny_gan(objective=OBJECTIVES["relativistic"])
    state = init_state(gan, key)
    step = make_generator_step(gan, batch_size=8, donate=False)
    metrics = step(state, key, real)[1]
    expected = generator_step(gan, state, key, batch_size=8, real=real)[1]
    np.testing.assert_allclose(
        metrics["generator/loss"], expected["generator/loss"], rtol=1e-4
    )


RELATIVISTIC = {"objective": OBJECTIVES["relativistic"]}


@pytest.mark.parametrize(
    ("changes", "call", "message"),
    [
        (
            RELATIVISTIC,
            lambda g, s, x, k: train_step(g, s, x[None], k),
            "there must be one batch more than critic updates",
        ),
        (
            RELATIVISTIC,
            lambda g, s, x, k: generator_step(g, s, k, batch_size=4, real=x),
            "4 latents and 8 real examples",
        ),
        (
            {},
            lambda g, s, x, k: critic_update(g, s, Pairs(x, x[:4]), k),
            "floating point and have the same shape",
        ),
        (
            {},
            lambda g, s, x, k: critic_update(g, s, Pairs(x, x.astype(jnp.uint8)), k),
            "fake is uint8",
        ),
    ],
)
def test_examples_that_do_not_fit_are_a_sentence(key, real, changes, call, message):
    gan = tiny_gan(**changes)
    with pytest.raises(ValueError, match=message):
        call(gan, init_state(gan, key), real, key)


def test_a_constraint_on_kernels_that_rescale_themselves_is_refused():
    for name in ("spectral", "weight_norm"):
        gan = tiny_gan(
            generator=GENERATORS["mlp"](image_shape=(2,), width=4),
            critic=CRITICS["mlp"](width=4, parametrization=name),
            constraint=partial(clip_weights, bound=0.1),
            penalties=(),
        )
        with pytest.raises(ValueError, match=f"itself \\(parametrization='{name}'"):
            abstract_state(gan)


def test_a_constraint_out_of_range_is_refused_before_it_runs():
    gan = tiny_gan(constraint=partial(clip_weights, bound=-1.0))
    with pytest.raises(ValueError, match=r"bound is -1\.0"):
        abstract_state(gan)


def test_a_regularizer_that_was_not_made_is_refused():
    gan = tiny_gan(generator=PlainGenerator(), regularizers=((path_length, 1.0),))
    with pytest.raises(ValueError, match="path_length first: path_length"):
        abstract_state(gan)


@pytest.mark.parametrize("options", [{}, {"target": 0.5}])
def test_the_penalty_of_a_gan_reports_its_norms_and_is_a_scalar_by_itself(options):
    batch = jax.random.uniform(jax.random.key(2), (4, 4, 4, 1), minval=-1.0)
    found = []
    for function in (gradient_penalty, gradient_penalty_and_norms):
        function = partial(function, **options) if options else function
        gan = tiny_gan(penalties=((function, 10.0),))
        state = init_state(gan, jax.random.key(0))
        _, metrics = critic_step(gan, state, batch, jax.random.key(1))
        found.append(metrics)
    assert "critic/gradient_norm_mean" in found[0]
    chex.assert_trees_all_equal(*found)
    value = gradient_penalty(
        lambda x: x.sum((1, 2, 3)), batch, batch, jax.random.key(3), **options
    )
    assert value.shape == ()


def test_a_penalty_without_such_a_form_is_called_itself():
    assert reporting(drift) is drift
    bound = partial(drift)
    assert reporting(bound) is bound
