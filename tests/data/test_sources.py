"""Sources: closed forms of the drawn sets, the digits' map, and every wrong use."""

import json

import numpy as np
import pytest

from wgan_jax.data import DATASETS, Source, load_source, toys
from wgan_jax.data.sources import described_source
from wgan_jax.data.splits import resolve_split

TOYS = list(toys.TOYS)


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_is_a_fixed_set_of_its_seed(name):
    first, again = load_source(name, seed=3), load_source(name, seed=3)
    assert first.images.shape == (100_000, 2)
    assert first.images.dtype == np.float32
    np.testing.assert_array_equal(first.images, again.images)
    for other in (load_source(name, seed=4), load_source(name, seed=3, split="test")):
        assert not np.any(np.all(first.images == other.images, axis=1))


@pytest.mark.parametrize("name", TOYS)
def test_part_of_a_toy_is_a_part_of_the_whole(name):
    whole = load_source(name, size=1000)
    part = load_source(name, size=1000, split="train[10%:20%]")
    np.testing.assert_array_equal(part.images, whole.images[100:200])
    both = load_source(name, size=1000, split="train+test")
    np.testing.assert_array_equal(both.images[:1000], whole.images)
    assert len(both) == 2000


def test_eight_gaussians_lie_on_a_ring_of_radius_1_414():
    source = load_source("gaussians8")
    assert source.num_classes == 8
    angles = []
    for component in range(8):
        points = source.images[source.labels == component].astype(np.float64)
        assert len(points) == pytest.approx(100_000 / 8, rel=0.05)
        centre = points.mean(axis=0)
        assert np.hypot(*centre) == pytest.approx(2 / 1.414, abs=1e-3)
        np.testing.assert_allclose(points.std(axis=0), 0.02 / 1.414, rtol=0.03)
        angles.append(np.degrees(np.arctan2(centre[1], centre[0])) % 360)
    np.testing.assert_allclose(np.sort(np.mod(np.add(angles, 1), 360)) - 1,
                               np.arange(0, 360, 45), atol=0.05)  # fmt: skip


def test_25_gaussians_form_a_grid_of_spacing_1_414():
    source = load_source("gaussians25")
    assert source.num_classes == 25
    np.testing.assert_array_equal(np.bincount(source.labels), [4000] * 25)
    centres = np.stack(
        [
            source.images[source.labels == component].mean(axis=0, dtype=np.float64)
            for component in range(25)
        ]
    )
    axis = np.array([-4, -2, 0, 2, 4]) / 2.828
    grid = np.array([(x, y) for x in axis for y in axis])
    np.testing.assert_allclose(centres, grid, atol=1.5e-3)
    spread = source.images - centres[source.labels]
    np.testing.assert_allclose(spread.std(axis=0), 0.05 / 2.828, rtol=0.02)
    # Shuffled: neighbors in the set come from the same component by chance alone.
    same = np.mean(source.labels[1:] == source.labels[:-1])
    assert same == pytest.approx(1 / 25, abs=0.005)


def test_the_swiss_roll_is_its_spiral_over_7_5():
    source = load_source("swiss_roll")
    assert source.labels is None
    points = 7.5 * source.images.astype(np.float64)
    # The curve is (t cos t, t sin t), t uniform in 1.5 pi to 4.5 pi.
    t = np.linspace(1.5 * np.pi, 4.5 * np.pi, 4000)
    curve = np.stack([t * np.cos(t), t * np.sin(t)], axis=1)
    sample = points[:1000]
    distances = np.min(np.linalg.norm(sample[:, None] - curve, axis=-1), axis=1)
    # Across a curve, the noise is one normal of standard deviation 0.25.
    assert np.sqrt(np.mean(distances**2)) == pytest.approx(0.25, rel=0.1)
    low, high = 1.5 * np.pi, 4.5 * np.pi
    radius_squared = (high**3 - low**3) / (3 * (high - low)) + 2 * 0.25**2
    assert np.mean(np.sum(points**2, axis=1)) == pytest.approx(radius_squared, rel=0.01)


def test_the_roll_is_that_of_scikit_learn():
    from sklearn.datasets import make_swiss_roll

    draw = toys.TOYS["swiss_roll"].draw
    points, labels = draw(np.random.RandomState(5), 100)
    expected, _ = make_swiss_roll(100, noise=0.25, random_state=5)
    np.testing.assert_array_equal(points, expected[:, [0, 2]] / 7.5)
    assert labels is None


def test_a_described_source_has_the_shapes_of_its_record():
    source = load_source("digits")
    described = described_source(json.loads(json.dumps(source.record())))
    assert described.images.shape == source.images.shape
    assert described.images.dtype == source.images.dtype
    assert described.labels.shape == source.labels.shape
    assert (described.name, described.num_classes) == ("digits", 10)
    assert described.images.base.size == 1  # no memory for the examples


def test_the_digits_map_is_exact_and_documented():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    train, test = load_source("digits"), load_source("digits", split="test")
    assert (len(train), len(test)) == (1500, 297)
    assert train.example_shape == (8, 8, 1)
    images = np.concatenate([train.images, test.images])
    np.testing.assert_array_equal(
        np.concatenate([train.labels, test.labels]), bunch.target
    )
    table = [0, 16, 32, 48, 64, 80, 96, 112, 128]
    table += [143, 159, 175, 191, 207, 223, 239, 255]
    expected = np.array(table, np.uint8)[bunch.images.astype(int)]
    np.testing.assert_array_equal(images[..., 0], expected)


def test_digits_take_slices_of_either_split():
    test = load_source("digits", split="test")
    mixed = load_source("digits", split="train[:3]+test[-2:]")
    np.testing.assert_array_equal(mixed.images[3:], test.images[-2:])
    np.testing.assert_array_equal(mixed.labels[3:], test.labels[-2:])
    assert mixed.split == "train[:3]+test[-2:]"


@pytest.mark.parametrize(
    ("name", "classes"),
    [("digits", 10), ("gaussians8", 8), ("gaussians25", 25), ("swiss_roll", None)],
)
def test_labels_count_from_0_to_the_number_of_classes(name, classes):
    for split in ("train", "test", "train[:50%]+test"):
        source = load_source(name, split=split)
        assert source.num_classes == classes
        assert source.record()["num_classes"] == classes
        if classes is None:
            assert source.labels is None
        else:
            assert source.labels.dtype == np.int32
            np.testing.assert_array_equal(np.unique(source.labels), np.arange(classes))


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", [("train", 0, 40)]),
        ("train[:10]", [("train", 0, 10)]),
        ("train[30:]", [("train", 30, 40)]),
        ("train[-5:]", [("train", 35, 40)]),
        ("train[25%:50%]", [("train", 10, 20)]),
        ("test+train[:1]", [("test", 0, 8), ("train", 0, 1)]),
        ("all", [("train", 0, 40), ("test", 0, 8)]),
    ],
)
def test_splits_resolve_to_ranges(split, expected):
    assert resolve_split(split, {"train": 40, "test": 8}) == expected


@pytest.mark.parametrize(
    "split", ["", "val", "train[", "train[:41]", "train[5]", "train[4:4]", "train[9:2]"]
)
def test_a_wrong_split_lists_what_there_is(split):
    with pytest.raises(ValueError, match=r"train \(40 examples\), test \(8 examples\)"):
        resolve_split(split, {"train": 40, "test": 8})


@pytest.mark.parametrize("name", ["imagenet", None, ""])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(ValueError, match="is not known") as caught:
        load_source(name)
    for choice in (*DATASETS, "tfds:NAME"):
        assert choice in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("gaussians8", {"sizes": 5}, "no option 'sizes'; its options are: size"),
        ("digits", {"size": 5}, "no option 'size'; its options are: none"),
        ("cifar10", {"size": 5}, "no option 'size'; its options are: resize"),
        ("tfds:cifar10", {"size": 5}, "no option 'size'; its options are: resize"),
        ("digits", {"resize": 16}, "no option 'resize'; its options are: none"),
        ("swiss_roll", {"resize": 16}, "no option 'resize'; its options are: size"),
        ("cifar10", {"resize": 0}, "'cifar10': resize is 0; it must be at least 1"),
        ("tfds:mnist", {"resize": -64}, "resize is -64; it must be at least 1"),
        ("digits", {"data_dir": "d"}, "not read from files"),
        ("swiss_roll", {"size": 0}, "size is 0; it must be at least 1"),
        ("swiss_roll", {"seed": -1}, "seed is -1; it must be at least 0"),
    ],
)
def test_a_wrong_option_is_a_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_source(name, **options)


def test_the_record_of_a_run_is_json_and_tells_data_apart():
    source = load_source("digits")
    record = json.loads(json.dumps(source.record()))
    assert record["count"] == 1500
    assert record["example_shape"] == [8, 8, 1]
    assert (record["minimum"], record["maximum"]) == (0, 255)
    assert record["mean"] == pytest.approx(source.images.astype(float).mean())
    assert record["origin"] == "doi:10.24432/C50P49"
    turned = Source("digits", "train", source.images[::-1], source.labels[::-1])
    assert turned.record()["sha256"] != record["sha256"]
    relabelled = Source("digits", "train", source.images, source.labels[::-1])
    assert relabelled.record()["sha256"] != record["sha256"]
    drawn = load_source("gaussians8", seed=5, size=10).record()
    assert (drawn["seed"], drawn["size"]) == (5, 10)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((4, 8, 8, 1), np.float32), None),
        (np.zeros((4, 8, 8), np.uint8), None),
        (np.zeros((4, 2), np.float64), None),
        (np.zeros((4, 2), np.float32), np.zeros(4, np.int64)),
        (np.zeros((4, 2), np.float32), np.zeros(3, np.int32)),
    ],
)
def test_a_source_holds_only_what_training_reads(images, labels):
    with pytest.raises(ValueError, match="must be"):
        Source("mine", "train", images, labels)
