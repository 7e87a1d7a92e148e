"""Tests of the samples, weights and labels that are passed to an evaluation."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import digits_conditional, digits_wgan_gp
from wgan_jax.config.build import build_source
from wgan_jax.config.loading import find_config, load_config
from wgan_jax.evaluation import Sample
from wgan_jax.io.images import image_grid, to_uint8
from wgan_jax.io.loggers import Stages
from wgan_jax.program.scoring import draw_pictures, examine
from wgan_jax.program.setup import prepare
from wgan_jax.sampling import interpolations, sample


class Asked:
    """Evaluator that records its arguments."""

    def __init__(self):
        self.calls = []

    def evaluate(self, fakes, *, labels, model, advance):
        self.calls.append((fakes, labels, model))
        return ["result"], "comparison"


def experiment_of(module, **training):
    config = module.get_config()
    config.generator.width = config.critic.width = 8
    config.training.batch_size = 16
    config.evaluation.count = 70
    with config.unlocked():
        config.training.update(training)
    experiment = prepare(config, log=lambda line: None)
    state = experiment.initial_state()
    # EMA weights that differ from the live weights, as after training.
    moved = jax.tree.map(lambda x: 2 * x + 1, state.ema_params)
    return experiment, state.replace(ema_params=moved) if moved else state


@pytest.fixture(scope="module")
def plain():
    return experiment_of(digits_wgan_gp)


def asked(experiment, state):
    evaluator = Asked()
    found = list(examine(experiment, evaluator, state, stages=Stages()))
    return found, evaluator.calls


def test_ema_and_live_weights_are_evaluated(plain):
    experiment, state = plain
    found, calls = asked(experiment, state)
    assert [(e.run, e.weights) for e in found] == [("", "ema"), ("", "live")]
    assert [e.comparison for e in found] == ["comparison", None]  # kept once
    latents = jax.random.normal(jax.random.key(5), (6, 32))
    for (fakes, labels, model), use_ema in zip(calls, (True, False), strict=True):
        assert fakes.shape == (70, 8, 8, 1)
        assert fakes.dtype == np.uint8
        assert labels is None
        key = jax.random.fold_in(jax.random.key(0), 1)
        drawn = sample(experiment.gan, state, key, 70, use_ema=use_ema)
        np.testing.assert_array_equal(fakes, to_uint8(np.asarray(drawn)))
        # The latents differ from those of the sample grids.
        grid = sample(experiment.gan, state, jax.random.key(0), 70, use_ema=use_ema)
        assert not np.array_equal(fakes, to_uint8(np.asarray(grid)))
        params = state.ema_params if use_ema else state.generator.params
        moving = state.ema_model_state if use_ema else state.generator.model_state
        expected = experiment.gan.generate(params, moving, latents, train=False)[0]
        np.testing.assert_allclose(model.generate_fn(latents), expected, atol=1e-6)
        assert model.latent_size == 32


def test_critic_scores_uint8_images_as_in_training(plain):
    experiment, state = plain
    model = asked(experiment, state)[1][0][2]
    levels = experiment.source.images[:5]
    critic = state.critic
    images = jnp.asarray(levels, jnp.float32) / 127.5 - 1
    output, _ = experiment.gan.score(
        critic.params, critic.model_state, images, train=False
    )
    np.testing.assert_allclose(model.score_fn(levels, None), output.scores, rtol=1e-5)


def test_conditional_samples_cycle_through_the_classes():
    experiment, state = experiment_of(digits_conditional)
    _, calls = asked(experiment, state)
    fakes, labels, model = calls[0]
    np.testing.assert_array_equal(labels, np.arange(70) % 10)
    latents = jax.random.normal(jax.random.key(5), (12, 32))
    expected, _ = experiment.gan.generate(
        state.ema_params,
        state.ema_model_state,
        latents,
        train=False,
        labels=jnp.arange(12) % 10,
    )
    np.testing.assert_allclose(model.generate_fn(latents), expected, atol=1e-6)
    scores = [model.score_fn(fakes[:4], np.full(4, y, np.int32)) for y in (0, 1)]
    assert not np.allclose(*scores)
    # Each row of the interpolations has one class.
    key = jax.random.key(3)
    arcs = interpolations(experiment.gan, state, key, rows=3, columns=4)
    again = interpolations(experiment.gan, state, key, rows=2, columns=4)
    np.testing.assert_allclose(arcs[:4], again[:4], atol=1e-6)
    z = jnp.repeat(jax.random.normal(jax.random.key(1), (1, 32)), 12, axis=0)
    seen = []
    gan = experiment.gan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(gan),
            "generate",
            lambda self, params, moving, latent, *, train, labels: (
                seen.append(np.asarray(labels)) or z,
                moving,
            ),
        )
        with jax.disable_jit():
            interpolations(gan, state, key, rows=3, columns=4)
    np.testing.assert_array_equal(seen[0], np.repeat([0, 1, 2], 4))


def test_replicas_are_evaluated_in_turn():
    experiment, state = experiment_of(digits_wgan_gp, replicas=2)
    found, calls = asked(experiment, state)
    assert [(e.run, e.weights) for e in found] == [
        (run, weights) for run in ("seed=0", "seed=1") for weights in ("ema", "live")
    ]
    assert not np.array_equal(calls[0][0], calls[2][0])
    assert [e.comparison for e in found] == ["comparison", None, None, None]


def test_live_weights_are_evaluated_without_ema():
    experiment, state = experiment_of(digits_wgan_gp, ema_decay=None)
    found, _ = asked(experiment, state)
    assert [e.weights for e in found] == ["live"]


def test_neighbors_are_the_nearest_real_examples(plain, tmp_path):
    experiment, state = plain
    real = experiment.source.images[:40]
    fakes = real[[7, 3, 30]] ^ 1  # differs by one gray level
    row = lambda x: x.reshape(len(x), -1).astype(np.float32)

    comparison = SimpleNamespace(
        real=Sample(real, row(real), None), fake=Sample(fakes, row(fakes), None)
    )
    draw_pictures(experiment, state, comparison, tmp_path)
    picture = np.asarray(Image.open(tmp_path / "neighbours_00000000.png"))
    distances = np.linalg.norm(row(fakes)[:, None] - row(real)[None], axis=2)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :7]
    assert list(nearest[:, 0]) == [7, 3, 30]
    rows = [np.concatenate([fakes[i : i + 1], real[nearest[i]]]) for i in range(3)]
    grid = image_grid(np.concatenate(rows), columns=8, padding=4)
    np.testing.assert_array_equal(picture, grid[:, :, 0])
    assert (tmp_path / "interpolation_00000000.png").exists()


def test_only_images_need_no_dataset():
    for name, described in (("digits_wgan_gp", True), ("gaussians_wgan_gp", False)):
        config = load_config(find_config(name))
        record = build_source(config).record()
        found = prepare(config, log=lambda line: None, data=record)
        assert found.described is described, name
        real = found.source.record()["sha256"] == record["sha256"]
        assert real is not described, name
