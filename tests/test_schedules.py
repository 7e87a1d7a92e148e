from functools import partial

import jax
import jax.numpy as jnp
import pytest
from table_rows import options, with_required

from wgan_jax.schedules import (
    LEARNING_RATE_SCHEDULES,
    CriticSchedule,
    constant,
    cosine,
    half_life_decay,
    linear_decay,
    warmed_up_decay,
)

WGAN_2017 = CriticSchedule(
    n_critic=5, boosted_n_critic=100, boosted_first=25, boosted_every=500
)


def test_schedule_of_the_2017_code():
    table = [WGAN_2017.updates(t) for t in range(1002)]
    assert table[:25] == [100] * 25
    assert table[25:500] == [5] * 475
    assert table[500] == 100
    assert table[501:1000] == [5] * 499
    assert table[1000:] == [100, 5]


@pytest.mark.parametrize(
    "schedule",
    [
        WGAN_2017,
        CriticSchedule(n_critic=3),
        CriticSchedule(
            n_critic=2, boosted_n_critic=7, boosted_first=10, boosted_every=10
        ),
        CriticSchedule(
            n_critic=1, boosted_n_critic=4, boosted_first=1, boosted_every=3
        ),
    ],
)
def test_updates_before_equals_the_sum(schedule):
    total = 0
    for t in range(1100):
        assert schedule.updates_before(t) == total
        total += schedule.updates(t)


def test_distinct_updates_are_in_order_of_appearance():
    assert WGAN_2017.distinct_updates(0, 100) == [100, 5]
    assert WGAN_2017.distinct_updates(30, 400) == [5]
    assert WGAN_2017.distinct_updates(30, 501) == [5, 100]


@pytest.mark.parametrize(
    "numbers",
    [
        {"n_critic": 0},
        {"n_critic": 5, "boosted_n_critic": 100},
        {
            "n_critic": 5,
            "boosted_n_critic": 9,
            "boosted_first": 0,
            "boosted_every": 5,
        },
    ],
)
def test_invalid_schedules_are_rejected(numbers):
    with pytest.raises(ValueError, match="CriticSchedule"):
        CriticSchedule(**numbers)


def test_learning_rate_scales():
    steps = jnp.array([0, 1, 250, 1000, 1001])
    assert constant(steps).tolist() == [1.0] * 5
    assert linear_decay(steps, iterations=1000).tolist() == pytest.approx(
        [1.0, 0.999, 0.75, 0.0, 0.0]
    )
    assert cosine(steps, iterations=1000, final=0.2).tolist() == pytest.approx(
        [1.0, 1.0 - 1.974e-6, 0.2 + 0.4 * (1 + 2**-0.5), 0.2, 0.2], abs=1e-6
    )
    rising = cosine(steps, iterations=1000, initial=0.5, final=1.5)
    assert rising.tolist() == pytest.approx([0.5, 0.5, 1 - 8**-0.5, 1.5, 1.5], abs=1e-5)


@pytest.mark.parametrize("name", LEARNING_RATE_SCHEDULES)
def test_every_schedule_is_a_finite_factor_of_a_traced_iteration(name):
    row = LEARNING_RATE_SCHEDULES[name]
    length = {"iterations": 10} if "iterations" in options(row) else {}
    schedule = partial(with_required(row), **length)
    scales = jax.jit(jax.vmap(schedule))(jnp.arange(15))
    assert scales.shape == (15,)
    assert scales.dtype == jnp.float32
    assert bool(jnp.all(jnp.isfinite(scales) & (scales >= 0)))
    alone = [float(schedule(jnp.int32(t))) for t in range(15)]
    assert scales.tolist() == pytest.approx(alone, rel=1e-6)
    # What a config sets: the run's length, and where the factor ends.
    assert options(row).keys() <= {"iterations", "initial", "final"}


def test_decay_of_the_average_warms_up():
    for t, expected in ((0, 0.1), (5, 0.4), (10**6, 0.999)):
        decay = warmed_up_decay(jnp.asarray(t), decay=0.999)
        assert float(decay) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("batch_size", [10, 50])
def test_value_has_half_of_its_weight_after_the_half_life(batch_size):
    decay = half_life_decay(jnp.asarray(3), half_life=1000.0, batch_size=batch_size)
    assert float(decay) ** (1000 / batch_size) == pytest.approx(0.5, rel=1e-5)


def test_half_life_is_a_fraction_of_the_images_so_far():
    at = partial(half_life_decay, half_life=1000.0, batch_size=10, rampup=0.05)
    # 10, 400 and 100,000 images so far: half-lives of 0.5, 20 and 1,000 images.
    for t, life in ((0, 0.5), (39, 20.0), (9999, 1000.0)):
        assert float(at(jnp.asarray(t))) == pytest.approx(2 ** (-10 / life), rel=1e-5)


def test_half_life_moves_from_its_initial_value():
    at = partial(
        half_life_decay, half_life=1000.0, batch_size=10, initial=0.0, iterations=8
    )
    assert float(at(jnp.asarray(0))) == 0.0
    for t, life in ((4, 500.0), (8, 1000.0), (20, 1000.0)):
        assert float(at(jnp.asarray(t))) == pytest.approx(2 ** (-10 / life), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half_life": 0.0}, "half_life is 0.0; it must be above 0"),
        ({"initial": 1.0}, "set both or none of them"),
        ({"iterations": 5}, "set both or none of them"),
        ({"initial": 1.0, "iterations": 5, "rampup": 0.1}, "at most one of them"),
    ],
)
def test_contradicting_options_of_the_half_life_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        half_life_decay(
            jnp.asarray(0), **({"half_life": 9.0, "batch_size": 3} | options)
        )
