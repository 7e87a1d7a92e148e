"""Batches are a pure function of (seed, iteration), whoever reads them."""

import gc
import itertools
import threading
import time

import numpy as np
import pytest

from wgan_jax.data import Pipeline, PipelineStack, Source, load_source, prefetch


def numbered(n):
    """A source whose example i holds the number i."""
    numbers = np.arange(n, dtype=np.uint32)
    images = numbers.view(np.uint8).reshape(n, 2, 2, 1)
    return Source("numbered", "train", images, numbers.astype(np.int32))


def numbers(batch):
    return np.ascontiguousarray(batch["image"]).reshape(-1, 4).view(np.uint32)[:, 0]


def boosted(t):
    return 7 if t % 4 == 0 else 2


def boosted_before(t):
    return sum(boosted(i) for i in range(t))


def make(
    source, batch_size, *, seed=0, updates=boosted, before=boosted_before, **hosts
):
    return Pipeline(
        source,
        batch_size=batch_size,
        seed=seed,
        critic_updates=updates,
        critic_updates_before=before,
        **hosts,
    )


@pytest.mark.parametrize(
    ("n", "batch_size"), [(24, 4), (23, 4), (23, 23), (50, 7), (5, 1)]
)
def test_each_epoch_sees_each_example_once(n, batch_size):
    pipeline = make(numbered(n), batch_size)
    stream = np.concatenate([numbers(pipeline.batch(t)) for t in range(40)])
    epochs = len(stream) // n
    assert epochs >= 3
    orders = stream[: epochs * n].reshape(epochs, n)
    np.testing.assert_array_equal(np.sort(orders), np.tile(np.arange(n), (epochs, 1)))
    if n > 10:  # of five examples two epochs may agree by chance
        assert len({order.tobytes() for order in orders}) == epochs


def test_a_batch_may_span_many_epochs():
    pipeline = make(numbered(6), 4, updates=lambda t: 10, before=lambda t: 10 * t)
    drawn = numbers(pipeline.batch(1))
    np.testing.assert_array_equal(np.sort(drawn[2:38].reshape(6, 6)), [range(6)] * 6)


def test_the_number_of_updates_follows_the_schedule():
    pipeline = make(numbered(50), 4)
    shapes = [pipeline.batch(t)["image"].shape for t in range(5)]
    assert shapes == [(n, 4, 2, 2, 1) for n in (7, 2, 2, 2, 7)]


def test_the_batch_depends_on_seed_and_iteration_alone():
    in_order = [numbers(make(numbered(50), 8, seed=1).batch(t)) for t in range(12)]
    pipeline = make(numbered(50), 8, seed=1)
    for t in (11, 3, 3, 0, 7, 11, 1):
        np.testing.assert_array_equal(numbers(pipeline.batch(t)), in_order[t])
    other = make(numbered(50), 8, seed=2)
    assert not np.array_equal(numbers(other.batch(0)), in_order[0])


def test_the_order_is_the_same_for_ever():
    # Taken from this code with numpy 2.4; a change breaks every resumed run.
    order = make(numbered(10), 10, seed=0).indices(1)[0]
    assert order.tolist() == [
        2,
        3,
        0,
        9,
        6,
        4,
        1,
        8,
        5,
        7,
    ]


@pytest.mark.parametrize("hosts", [2, 3, 6])
def test_hosts_share_the_global_batch(hosts):
    source = numbered(31)
    whole = make(source, 12, labels=True)
    parts = [
        make(source, 12, labels=True, process_index=i, process_count=hosts)
        for i in range(hosts)
    ]
    assert {part.local_batch_size for part in parts} == {12 // hosts}
    for t in range(9):
        local = [part.batch(t) for part in parts]
        for key, expected in whole.batch(t).items():
            together = np.concatenate([batch[key] for batch in local], axis=1)
            np.testing.assert_array_equal(together, expected)
    # The first batch lies within an epoch: no example twice, on any host.
    rows = [part.indices(0)[0].tolist() for part in parts]
    assert len(set(itertools.chain(*rows))) == 12


@pytest.mark.parametrize(
    ("name", "options"),
    [("digits", {}), ("gaussians8", {"size": 100}), ("gaussians25", {"size": 100})],
)
def test_examples_come_through_untouched_with_their_labels(name, options):
    source = load_source(name, **options)
    pipeline = make(source, 16, labels=True)
    batch = pipeline.batch(2)
    assert batch["image"].dtype == source.images.dtype
    assert (batch["label"].dtype, batch["label"].shape) == (np.int32, (2, 16))
    rows = pipeline.indices(2)
    np.testing.assert_array_equal(batch["image"], source.images[rows])
    np.testing.assert_array_equal(batch["label"], source.labels[rows])
    assert set(make(source, 16).batch(2)) == {"image"}


def test_points_come_through_as_points():
    batch = make(load_source("swiss_roll", size=100), 16).batch(1)
    assert batch["image"].shape == (2, 16, 2)
    assert batch["image"].dtype == np.float32


@pytest.mark.parametrize(
    ("batch_size", "options", "sentence"),
    [
        (51, {}, "it must be in 1 to 50"),
        (0, {}, "batch_size is 0; it must be in 1 to 50"),
        (10, {"process_count": 4}, "must be a multiple of 4"),
        (10, {"process_count": 2, "process_index": 2}, "must be in 0 to 1"),
        (10, {"seed": -1}, "seed is -1; it must be at least 0"),
    ],
)
def test_what_cannot_be_batched_is_a_sentence(batch_size, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(numbered(50), batch_size, **options)


def test_labels_of_a_source_without_are_refused():
    with pytest.raises(ValueError, match="has no labels"):
        make(load_source("swiss_roll", size=100), 10, labels=True)


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_outside_the_classes_are_refused(label):
    digits = load_source("digits", split="train[:20]")
    labels = digits.labels.copy()
    labels[3:5] = label
    source = Source("digits", "train", digits.images, labels, num_classes=10)
    with pytest.raises(ValueError, match="has 2 examples with labels outside 0 to 9"):
        make(source, 10, labels=True)
    assert set(make(source, 10).batch(0)) == {"image"}


def test_an_iteration_without_updates_is_refused():
    pipeline = make(numbered(50), 5, updates=lambda t: 0, before=lambda t: 0)
    with pytest.raises(ValueError, match="iteration 3 has 0 critic updates"):
        pipeline.batch(3)
    with pytest.raises(ValueError, match="iteration -1"):
        make(numbered(50), 5).batch(-1)


def test_only_the_last_two_epochs_are_kept():
    pipeline = make(numbered(50), 10)
    for t in range(40):
        pipeline.batch(t)
    assert pipeline._permutation.cache_info().currsize == 2
    # Each epoch's order is made once when the iterations come in order.
    assert pipeline._permutation.cache_info().misses == -(-boosted_before(40) // 5)


def test_a_stack_has_each_pipelines_batch_in_its_place():
    pipelines = [make(numbered(50), 8, seed=seed, labels=True) for seed in (3, 1, 2)]
    stacked = PipelineStack(pipelines).batch(4)
    assert stacked["image"].shape == (3, 7, 8, 2, 2, 1)
    assert stacked["label"].shape == (3, 7, 8)
    for k, pipeline in enumerate(pipelines):
        for name, value in pipeline.batch(4).items():
            np.testing.assert_array_equal(stacked[name][k], value)


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("prefetch")]


def test_prefetch_gives_what_batch_gives():
    pipeline = make(numbered(50), 8)
    ahead = list(prefetch(pipeline, 3, 11, depth=3))
    assert len(ahead) == 8
    for t, batch in zip(range(3, 11), ahead, strict=True):
        np.testing.assert_array_equal(numbers(batch), numbers(pipeline.batch(t)))
    assert not threads()
    assert list(prefetch(pipeline, 5, 5)) == []


class Counting:
    """A pipeline that counts the batches asked of it."""

    def __init__(self, failing=None):
        self.asked = []
        self.failing = failing

    def batch(self, iteration):
        self.asked.append(iteration)
        if iteration == self.failing:
            raise OSError("the disk is gone")
        return {"image": np.array([iteration])}


@pytest.mark.parametrize("depth", [1, 3])
def test_prefetch_runs_ahead_and_no_further(depth):
    pipeline = Counting()
    ahead = prefetch(pipeline, 0, 1000, depth=depth)
    next(ahead)
    deadline = time.monotonic() + 10
    while len(pipeline.asked) < 1 + depth and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert pipeline.asked == [*range(1 + depth)]
    ahead.close()
    assert not threads()
    assert len(pipeline.asked) == 1 + depth


def test_prefetch_ends_when_it_is_dropped():
    ahead = prefetch(Counting(), 0, 1000)
    next(ahead)
    assert threads()
    del ahead
    gc.collect()
    assert not threads()


def test_prefetch_raises_where_the_batch_is_due():
    ahead = prefetch(Counting(failing=2), 0, 1000, depth=4)
    assert [next(ahead)["image"][0] for _ in range(2)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
    assert not threads()


def test_prefetch_needs_a_depth():
    with pytest.raises(ValueError, match="depth is 0; it must be at least 1"):
        prefetch(Counting(), 0, 1, depth=0)
