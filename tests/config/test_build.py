"""Tests of building objects from configs, including all shipped configs."""

import importlib
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from wgan_jax.augmentation import AUGMENTATIONS
from wgan_jax.config.build import (
    build_gan,
    build_pipeline,
    build_schedule,
    build_source,
)
from wgan_jax.config.differences import differences
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.fields import group_of, table_of
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import ConfigError, choices
from wgan_jax.losses import OBJECTIVES, PENALTIES, REGULARIZERS
from wgan_jax.networks import CRITICS, GENERATORS, PARAMETRIZATIONS
from wgan_jax.optimizers import OPTIMIZERS
from wgan_jax.program.sweep import build_replicas
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES
from wgan_jax.training.init import abstract_state

CONFIGS = sorted(p.stem for p in (Path(__file__).parents[2] / "configs").glob("*_*.py"))


def config_of(name):
    return importlib.import_module(f"configs.{name}").get_config()


def count(params):
    return sum(x.size for x in jax.tree.leaves(params))


# Numbers of parameters of generator and critic, published or derived in tests/networks.
COUNTS = {
    "cifar10_ct_gan": (1_204_483, 1_053_825),
    "cifar10_gpu": (4_276_739, 1_053_824),
    "cifar10_r3gan_small": (527_136, 521_088),
    "cifar10_sngan": (4_276_739, 1_053_824),
    "cifar10_sngan_projection": (4_304_387, 1_055_104),
    "cifar10_wgan_2017": (3_576_704, 2_765_568),
    "cifar10_wgan_cnn": (3_584_003, 5_860_865),
    "cifar10_wgan_gp_resnet64": (8_540_483, 7_491_841),
    "cifar10_wgan_gp_resnet_acgan": (1_218_307, 1_055_115),
    "cifar10_wgan_gp_resnet_wide": (4_276_739, 1_053_825),
    "cifar10_wgan_gp": (5_179_907, 4_114_689),
    "cifar10_wgan_gp_resnet": (1_204_483, 1_053_825),
    "fashion_mnist_wgan_gp": (1_554_177, 1_030_145),
    "gaussians_wgan_gp": (527_874, 527_361),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_builds_a_gan(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))  # the shapes need no files
    config = config_of(name)
    shape = build_source(config, examples=False).example_shape
    gan = build_gan(config, shape, classes=10)
    state = abstract_state(gan)
    counts = (count(state.generator.params), count(state.critic.params))
    if name in COUNTS:
        assert counts == COUNTS[name]
    # The number of parameters in the docstring is correct.
    text = importlib.import_module(f"configs.{name}").__doc__
    for value in re.findall(r"(?:generator|and critic) ([\d,]{3,})", text):
        assert int(value.replace(",", "")) in counts, value


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_header_has_all_sections(name):
    text = importlib.import_module(f"configs.{name}").__doc__
    assert f"python launch.py --config=configs/{name}.py" in text
    assert all(word in text for word in ("Paper:", "Command:", "Cost:", "Expect:"))


def test_settings_of_cifar10_wgan_match_2017_code():
    config = config_of("cifar10_wgan")
    gan = build_gan(config, (32, 32, 3))
    assert gan.penalties == ()
    assert not gan.constrain_before_update
    clipped = gan.constraint({"w": np.array([-1.0, 0.005, 1.0])})["w"]
    np.testing.assert_allclose(clipped, [-0.01, 0.005, 0.01], rtol=1e-6)
    assert "batch_stats" in abstract_state(gan).critic.model_state
    schedule = build_schedule(config)
    assert [schedule.updates(t) for t in (0, 24, 25, 499, 500, 501)] == [
        100, 100, 5, 5, 100, 5,
    ]  # fmt: skip


def test_resnet_learning_rate_decays_to_zero():
    config = config_of("cifar10_wgan_gp_resnet")
    config.training.iterations = 400
    gan = build_gan(config, (32, 32, 3))
    scales = [float(gan.learning_rate_scale(np.int32(t))) for t in (0, 100, 400)]
    assert scales == [1.0, 0.75, 0.0]
    assert gan.generator_batch_size == 128
    assert gan.dequantize


def test_r3gan_settings_and_schedules():
    config = config_of("cifar10_r3gan_small")
    gan = build_gan(config, (32, 32, 3))
    assert gan.objective.paired
    assert gan.flip
    assert gan.augment is not None
    assert [term.name for term in gan.penalties] == ["r1", "r2"]
    assert 0 < config.training.schedule_iterations < config.training.iterations
    for unset in (False, True):  # if unset, the schedule has the length of the run
        if unset:
            change(config, "training.schedule_iterations", None)
            gan = build_gan(config, (32, 32, 3))
        end = 400_000 if unset else 312_500
        for ways, scale, weight, b2, probability, life in (
            (0, 1.0, 0.05, 0.9, 0.0, 0.0),
            (0.5, 0.625, 0.0275, 0.945, 0.275, 2.5e6),
            (1, 0.25, 0.005, 0.99, 0.55, 5e6),
        ):
            step = jnp.asarray(ways * end, jnp.int32)
            assert float(gan.learning_rate_scale(step)) == pytest.approx(scale)
            found = gan.augment_probability.at((), step)
            assert float(found) == pytest.approx(probability)
            decay = float(gan.ema_decay(step))
            assert decay == pytest.approx(2 ** (-64 / life) if life else 0.0)
            for optimizer in (gan.generator_optimizer, gan.critic_optimizer):
                _, state = optimizer.update(
                    jnp.ones(1), optimizer.init(jnp.zeros(1)), iteration=step
                )
                assert float(state[0].nu[0]) == pytest.approx(1 - b2, rel=1e-3)
            for term in gan.penalties:
                assert float(term.weight(step)) == pytest.approx(weight)


def test_a_weight_of_the_regularizer_may_have_a_schedule_of_its_own_length():
    config = config_of("digits_path_length")
    change(config, "training.schedule_iterations", 1000)
    with pytest.raises(ConfigError, match="no schedule reads it"):
        resolve(config)
    change(config, "regularizer.final_weight", 0.5)
    resolve(config)


def test_training_settings_are_passed_to_the_gan():
    config = config_of("digits_path_length")
    change(config, "training.microbatches", 2)
    change(config, "training.compute_dtype", "bfloat16")
    gan = build_gan(config, (8, 8, 1))
    assert gan.microbatches == 2
    assert gan.generator.dtype is gan.critic.dtype is jnp.bfloat16
    (term,) = gan.regularizers
    assert (term.weight, term.every) == (2.0, 4)
    assert term.function.init()
    (term,) = gan.penalties
    assert (term.weight, term.every, term.name) == (10.0, 1, "")
    change(config, "penalty.every", 3)
    assert build_gan(config, (8, 8, 1)).penalties[0].every == 3
    assert build_gan(
        config_of("cifar10_wgan_2017"), (64, 64, 3)
    ).constrain_before_update
    by_class = build_gan(
        config_of("cifar10_wgan_gp_resnet_acgan"), (32, 32, 3), classes=10
    ).conditional
    assert (by_class.critic_weight, by_class.generator_weight) == (1.0, 0.1)


GAUSSIAN = {"name": "swiss_roll", "split": "train", "size": 100}


def change(config, path, value):
    with config.unlocked():
        *groups, field = path.split(".")
        target = config
        for group in groups:
            target = target[group]
        target[field] = value


MISTAKES = [
    ("objective", "wassertsein", choices(OBJECTIVES)),
    ("generator.name", "dcgn", choices(GENERATORS)),
    ("critic.name", "dcgn", choices(CRITICS)),
    ("penalty.name", "gp", choices(PENALTIES)),
    ("optimizer.critic.name", "adamm", choices(OPTIMIZERS)),
    ("optimizer.critic.name", "optax:lien", "did you mean optax:lion"),
    ("optimizer.critic.name", "optax.contrib:sophia", "sophia cannot be used"),
    ("optimizer.critic.clip_norm", 0.0, "clip_norm is 0.0; it must be a number above"),
    ("optimizer.critic.weight_decay", -1.0, "it must be a number at least 0"),
    ("optimizer.critic.decay", 0.9, "not read by 'adam'; choices: b1, b2, eps"),
    ("penalty.lambda_", 3.0, "not read by 'gradient_penalty'; choices: one_sided"),
    ("penalty.weight", 0.0, "penalty.weight is 0.0; it must be a number above 0."),
    ("critic.depth", 3, "not read by 'dcgan_gp'; choices: batch_norm, dropout, head"),
    ("generator.conv_transpose", "x", "not read by 'dcgan_gp'"),
    ("generator.prior", "unifrom", "'unifrom' is not known; did you mean uniform?"),
    ("generator.latent_size", 0, "latent_size is 0"),
    ("training.n_critics", 5, "choices: batch_size"),
    ("training.n_critic", 0, "n_critic is 0; it must be a whole number at least 1"),
    ("training.boosted_n_critic", 100, "set all or none of"),
    ("training.ema_decay", 1.0, "ema_decay is 1.0"),
    ("training.iterations", 0, "a whole number at least 1"),
    ("training.learning_rate_schedule", "cos", choices(LEARNING_RATE_SCHEDULES)),
    (
        "penalti",
        {},
        "config.penalti is not a known field; did you mean penalties? choices: ",
    ),
    ("dataset.name", "cifar", "cifar10"),
    ("penalty.every", 0, "config.penalty.every is 0"),
    ("penalty.final_weight", -1.0, "penalty.final_weight is -1.0"),
    ("penalties", {"a": {"name": "r3", "weight": 1.0}}, "config.penalties.a.name 'r3'"),
    ("penalties", {"a": {"name": "r1"}}, "config.penalties.a.weight is missing"),
    ("regularizer", {"name": "path", "weight": 1.0}, choices(REGULARIZERS)),
    (
        "regularizer",
        {"name": "path_length", "weight": 2.0, "decay": 2.0},
        "decay is 2.0",
    ),
    ("augmentation", {"policy": "color,no_such"}, ", ".join(AUGMENTATIONS)),
    ("conditional", {"fake_labels": "real"}, "config.dataset.labels is False"),
    ("training.compute_dtype", "float16", "choices: auto, bfloat16, float32"),
    ("training.microbatches", 0, "a whole number at least 1"),
    ("training.replicas", 0, "a whole number at least 1"),
    ("training.learning_rate_final", 0.5, "not read by the schedule 'constant'"),
    ("training.learning_rate_schedule", "cosine", "learning_rate_final is missing"),
    ("critic.width", 0, "critic.width is 0; it must be a whole number at least 1"),
    ("optimizer.critic.learning_rate", -1.0, "learning_rate is -1.0"),
    ("optimizer.critic.b2", 1.5, "b2 is 1.5; it must be a number in [0, 1)"),
    ("training.schedule_iterations", 5, "no schedule reads"),
    ("training.ema_half_life", 5.0, "one of them must be None"),
    ("training.ema_rampup", 0.05, "ema_half_life is not set"),
    ("optimizer.critic.schedule_iterations", 5, "final_b2 is not set"),
    ("optimizer.critic.final_b2", 1.0, "final_b2 is 1.0"),
    (
        "augmentation",
        {"policy": "color", "target": 0.6},
        "the sign of a score has no meaning; choices: hinge",
    ),
    (
        "augmentation",
        {"policy": "color", "final_probability": 0.5},
        "probability is not set; it is the initial value",
    ),
    ("augmentation", {"policy": "color", "probability": 1.5}, "probability is 1.5"),
    ("training.schedule_iterations", -1, "a whole number at least 1"),
]


def test_invalid_conditional_configs_are_rejected():
    config = config_of("digits_conditional")
    change(config, "dataset", ml_collections.ConfigDict(GAUSSIAN | {"labels": True}))
    with pytest.raises(ConfigError, match="'swiss_roll' has no labels"):
        build_gan(config)
    config = config_of("digits_conditional")
    change(config, "generator.name", "mlp")
    change(config, "generator.width", 8)
    with pytest.raises(ConfigError, match="'mlp', which has no classes"):
        build_gan(config)


@pytest.mark.parametrize(
    ("field", "value"), [("dataset.flip", True), ("augmentation.policy", "color")]
)
def test_image_settings_are_rejected_for_points(field, value):
    config = config_of("gaussians_wgan_gp")
    change(config, field, value)
    with pytest.raises(ConfigError, match="is for images"):
        build_gan(config, (2,))


def swept(field, *values, **training):
    config = config_of("gaussians_wgan_gp")
    config.generator.width = config.critic.width = 8
    config.sweep.field, config.sweep.values = field, values
    config.training.update(training)
    return config


def test_sweep_and_seeds_build_replicas():
    build, settings, seeds = build_replicas(
        swept("penalty.weight", 0.1, 1.0, replicas=2), (2,)
    )
    np.testing.assert_allclose(settings, [0.1, 0.1, 1.0, 1.0])
    assert seeds == [0, 1, 0, 1]
    assert build(0.1).penalties[0].weight == pytest.approx(0.1)
    build, settings, seeds = build_replicas(config_of("gaussians_wgan_gp"), (2,))
    assert (settings.tolist(), seeds) == ([0.0], [0])
    assert build(0.0) is build(0.0)


@pytest.mark.parametrize(
    "field",
    [
        "penalty.weight",
        "penalty.target",
        "optimizer.critic.learning_rate",
        "training.ema_decay",
    ],
)
def test_sweepable_fields(field):
    config = swept(field, 0.25, 0.5)
    _, settings, _ = build_replicas(config, (2,))
    assert settings.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (swept("critic.width", 8.0), "a decimal number"),
        (swept("penalty.wait", 1.0), "a decimal number"),
        (swept("penalty", 1.0), "a decimal number"),
        (swept("penalty.weight"), "distinct in float32"),
        (
            swept("penalty.weight", -1.0),
            "contains -1.0, but config.penalty.weight must",
        ),
        (swept("penalty.weight", "a"), "a tuple of numbers, such as"),
        (swept("penalty.weight", 1.0, 1.0 + 1e-9), "distinct in float32"),
        (swept("penalty.weight", float("nan")), "a tuple of numbers, such as"),
        (swept("penalty.target", -1.0), "penalty.target must be a number at least 0"),
    ],
)
def test_invalid_sweeps_are_rejected(config, message):
    with pytest.raises(ConfigError, match=message):
        build_replicas(config, (2,))


@pytest.mark.parametrize(("path", "value", "message"), MISTAKES)
def test_invalid_field_gives_one_line(path, value, message):
    config = config_of("digits_wgan_gp")
    change(config, path, value)
    with pytest.raises(ConfigError) as error:
        build_gan(config)
        build_schedule(config)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_none_means_default():
    config = config_of("digits_wgan_gp")
    change(config, "critic.depth", None)
    change(config, "penalty.every", None)
    assert build_gan(config, (8, 8, 1)).penalties[0].every == 1


def test_missing_fields_are_named():
    config = config_of("digits_wgan_gp")
    with config.unlocked():
        del config.training.n_critic
    with pytest.raises(ConfigError, match=r"config\.training\.n_critic is missing"):
        resolve(config)
    config = config_of("digits_wgan_gp")
    with config.unlocked():
        del config.optimizer.generator.learning_rate
    with pytest.raises(ConfigError, match="learning_rate is missing"):
        build_gan(config)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("critic.head", "projection", "classes"),
        ("critic.parametrization", "spectra", choices(PARAMETRIZATIONS)),
        ("critic.batch_norm", True, "batch norm, which mixes"),
    ],
)
def test_network_mistakes_are_found_by_shape_inference(field, value, message):
    config = config_of("fashion_mnist_wgan_gp")
    change(config, field, value)
    with pytest.raises(ValueError, match=message):
        abstract_state(build_gan(config, (28, 28, 1)))


def test_unsupported_image_size_is_rejected():
    config = config_of("digits_wgan_gp")
    gan = build_gan(config, (4, 20, 1))
    with pytest.raises(ValueError, match=r"\(4, 20, 1\)"):
        abstract_state(gan)


def test_pipeline_follows_the_boosted_schedule():
    config = config_of("digits_wgan_gp")
    with config.unlocked():
        config.training.boosted_n_critic = 7
        config.training.boosted_first = 2
        config.training.boosted_every = 10
    pipeline = build_pipeline(config, build_source(config))
    lengths = [len(pipeline.batch(t)["image"]) for t in (0, 1, 2, 9, 10, 11)]
    assert lengths == [7, 7, 5, 5, 7, 5]
    rows = np.concatenate([pipeline.indices(t).ravel() for t in range(10)])
    first_epoch = rows[: len(pipeline.source)]
    assert sorted(first_epoch) == list(range(len(pipeline.source)))


def test_paired_objective_draws_an_additional_batch():
    config = config_of("digits_wgan_gp")
    change(config, "objective", "relativistic")
    pipeline = build_pipeline(config, build_source(config))
    rows = [pipeline.indices(t) for t in range(3)]
    assert {len(x) for x in rows} == {config.training.n_critic + 1}
    drawn = np.concatenate([x.ravel() for x in rows])[: len(pipeline.source)]
    assert len(set(drawn)) == len(drawn)
    other = build_pipeline(config, pipeline.source, seed=config.seed + 1)
    change(config, "seed", config.seed + 1)
    same = build_pipeline(config, pipeline.source)
    np.testing.assert_array_equal(other.indices(0), same.indices(0))
    assert np.any(other.indices(0) != rows[0])


def test_optimizers_of_optax_are_built_with_their_options():
    config = config_of("digits_wgan_gp")
    flags = [
        ("optimizer.critic.name", "optax:lion"),
        ("optimizer.critic.weight_decay", "0.25"),
        ("optimizer.critic.b2", "0.5"),
        ("optimizer.critic.clip_norm", "1e-3"),
        ("optimizer.generator.weight_decay", "0.5"),
    ]
    apply_overrides(config, flags)
    gan = build_gan(config, (8, 8, 1))
    rate = config.optimizer.critic.learning_rate
    w, zero = jnp.full((2,), 4.0), jnp.zeros((2,))
    for name, decay in (("critic", 0.25), ("generator", 0.5)):
        optimizer = getattr(gan, f"{name}_optimizer")
        updates, _ = optimizer.update(zero, optimizer.init(w), w)
        np.testing.assert_allclose(updates, -rate * decay * w, rtol=1e-6)
    _, state = gan.critic_optimizer.update(w, gan.critic_optimizer.init(w), w)
    # The first moment of Lion is (1 - b2) times the clipped gradient.
    moments = [x for x in jax.tree.leaves(state) if x.shape == w.shape]
    np.testing.assert_allclose(jnp.linalg.norm(moments[0]), 0.5 * 1e-3, rtol=1e-5)


def test_differences_list_fields_that_affect_results():
    old = {"seed": 0, "log": {"every": 10}, "training": {"iterations": 5, "x": 1}}
    new = {"seed": 1, "log": {"every": 99}, "training": {"iterations": 9}}
    for config in (old, new):
        config["training"]["learning_rate_schedule"] = "constant"
    assert differences(old, new) == ["seed: 0 -> 1", "training.x: 1 -> absent"]
    for config in (old, new):
        config["training"]["learning_rate_schedule"] = "linear_decay"
    assert "training.iterations: 5 -> 9" in differences(old, new)
    # With schedule_iterations, the schedule does not depend on the length of the run.
    for config in (old, new):
        config["training"]["schedule_iterations"] = 7
    assert not any("training.iterations" in line for line in differences(old, new))
    # The length of a finished run can be given when it is trained longer.
    del old["training"]["schedule_iterations"]
    assert "training.iterations: 5 -> 9" in differences(old, new)
    new["training"]["schedule_iterations"] = 5
    assert differences(old, new) == ["seed: 0 -> 1", "training.x: 1 -> absent"]


def test_fields_that_may_change_on_resume():
    def changed(group, field):
        base = {"training": {"learning_rate_schedule": "constant"}}
        old, new = (
            base | {group: base.get(group, {}) | {field: value}} for value in (1, 2)
        )
        return differences(old, new)

    groups = {name: group_of(f) for name, f in ExperimentConfig.model_fields.items()}
    fixed = [n for n, f in ExperimentConfig.model_fields.items() if not table_of(f)]
    names = [(n, f) for n in fixed if groups[n] for f in groups[n].model_fields]
    free = {f"{group}.{field}" for group, field in names if not changed(group, field)}
    assert free == {
        *("training.iterations", "training.iterations_per_call"),
        "training.placement",
        *("checkpoint.every", "checkpoint.keep", "checkpoint.on_failure"),
        *("log.callbacks", "log.every", "log.report_minutes"),
        *("samples.every", "samples.count", "samples.seed", "samples.label"),
        "samples.standing_batches",
        *(f"evaluation.{field}" for field in groups["evaluation"].model_fields),
    }
    nested = [{"evaluation": {"features": {"name": name}}} for name in "ab"]
    assert differences(*nested) == []
    assert differences(*nested, free=True) == ["evaluation.features.name: a -> b"]
    # None means absent.
    assert differences({"sweep": {"field": None}}, {}) == []


@pytest.mark.parametrize(
    "name",
    [
        "penalty.final_weight",
        "optimizer.critic.final_b2",
        "augmentation.final_probability",
        "training.ema_initial_half_life",
    ],
)
def test_run_with_a_schedule_has_a_fixed_length(name):
    old, new = (
        {"training.iterations": n, "training.learning_rate_schedule": "constant"}
        for n in (5, 9)
    )
    assert differences(old, new) == []
    assert differences(old | {name: 1.0}, new | {name: 1.0}) == [
        "training.iterations: 5 -> 9"
    ]
