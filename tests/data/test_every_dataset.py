"""Tests of every row of ``DATASETS``; rows whose files are missing are skipped.

Generated datasets are small here. Datasets that tfds prepares without TensorFlow are
prepared from synthetic archives.
"""

import hashlib
import itertools
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from table_rows import options

from wgan_jax.data import DATASETS, Pipeline, load_source
from wgan_jax.data.overlap import check_held_out

PREPARED = Path(__file__).parents[2].parent / "shared" / "data" / "tfds"
SIZE = 60  # of generated datasets


def pictures(folder):
    """Returns a folder with two classes of ten pictures."""
    random = np.random.RandomState(0)
    for index in range(20):
        path = folder / f"class {index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = random.randint(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(levels).save(path)
    return folder


def arrays(folder):
    """Returns a file of twenty images of two classes."""
    folder.mkdir()
    images = np.random.RandomState(0).randint(0, 256, (20, 8, 8, 3), np.uint8)
    np.savez(folder / "x.npz", images=images, labels=np.arange(20) % 2)
    return folder / "x.npz"


@pytest.fixture(params=DATASETS)
def load(request, archives, tmp_path, monkeypatch):
    """Returns ``load_source`` for a dataset, with few examples if it is generated."""
    from wgan_jax.data.prepare import BUILDERS

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name, known = request.param, options(DATASETS[request.param])
    given = {k: SIZE for k, v in known.items() if type(v) is int and v > SIZE}
    if "data_dir" in known and name in BUILDERS:
        archives(name, tmp_path / "downloads" / "manual")
        given["data_dir"] = str(tmp_path)
    elif "data_dir" in known:
        if not (PREPARED / name).is_dir():  # loading it would fetch it
            pytest.skip(f"{name} is not in ../shared/data/tfds")
        given["data_dir"] = str(PREPARED)
    if "path" in known:
        make = {"folder": pictures, "arrays": arrays}[name]
        given["path"] = str(make(tmp_path / "given"))
    return partial(load_source, name, **given)


def test_examples_are_a_pure_function_of_the_arguments(load):
    source, again = load(), load()
    np.testing.assert_array_equal(source.images, again.images)
    np.testing.assert_array_equal(source.labels, again.labels)
    assert source.record() == again.record()
    if "seed" in options(DATASETS[source.name]):
        other = load(seed=1)
        assert other.images.shape == source.images.shape
        assert other.record()["sha256"] != source.record()["sha256"]
        with pytest.raises(ValueError, match=r"seed|negative"):
            load(seed=-1)


def test_examples_have_a_valid_type_and_range(load):
    source = load()
    assert len(source) >= 10
    assert source.name in DATASETS
    if source.images.dtype == np.uint8:
        assert len(source.example_shape) == 3
        assert source.images.max() > source.images.min()
    else:
        # Points, scaled so that networks see numbers of order 1.
        assert source.images.dtype == np.float32
        assert len(source.example_shape) == 1
        assert np.all(np.isfinite(source.images))
        assert 0.1 < source.images.std() < 10
    assert (source.labels is None) == (source.num_classes is None)
    if source.labels is not None:
        assert source.num_classes > 1
        assert source.labels.min() >= 0
        assert source.labels.max() < source.num_classes
        assert len(np.unique(source.labels)) > 1


def test_record_has_a_digest_of_values_and_order(load):
    source = load()
    record = json.loads(json.dumps(source.record()))
    digest = hashlib.sha256(source.images.tobytes())
    if source.labels is not None:
        digest.update(source.labels.tobytes())
    assert record["sha256"] == digest.hexdigest()
    assert (record["name"], record["split"]) == (source.name, "train")
    assert record["count"] == len(source)
    assert record["example_shape"] == list(source.images.shape[1:])
    assert record["dtype"] == str(source.images.dtype)
    assert "origin" in record  # where the examples come from


def test_splits_follow_the_syntax_of_tfds(load):
    whole = load()
    part = load(split="train[2:7]")
    np.testing.assert_array_equal(part.images, whole.images[2:7])
    if whole.labels is not None:
        np.testing.assert_array_equal(part.labels, whole.labels[2:7])
    assert part.split == "train[2:7]"
    for split in ("no_such", "train[5:2]", "train["):
        with pytest.raises(ValueError, match=r"train \("):
            load(split=split)


def test_description_matches_the_examples(load):
    source, described = load(), load(examples=False)
    assert described.example_shape == source.example_shape
    assert described.images.dtype == source.images.dtype
    assert described.num_classes == source.num_classes
    assert len(described) == len(source)


def pipeline_of(source, **changes):
    settings = {"batch_size": 4, "seed": 3, "labels": source.labels is not None}
    return Pipeline(
        source,
        critic_updates=lambda t: 2,
        critic_updates_before=lambda t: 2 * t,
        **settings | changes,
    )


def test_batches_are_a_pure_function_of_seed_and_step(load):
    source = load()
    pipeline, again = pipeline_of(source), pipeline_of(load())
    in_order = [pipeline.batch(t) for t in range(5)]
    for t in (4, 0, 2):
        for name, value in again.batch(t).items():
            np.testing.assert_array_equal(value, in_order[t][name])
    other = pipeline_of(source, seed=4).indices(0)
    assert not np.array_equal(other, pipeline.indices(0))
    batch, rows = in_order[1], pipeline.indices(1)
    assert batch["image"].shape == (2, 4, *source.example_shape)
    assert batch["image"].dtype == source.images.dtype
    np.testing.assert_array_equal(batch["image"], source.images[rows])
    if source.labels is not None:
        assert (batch["label"].dtype, batch["label"].shape) == (np.int32, (2, 4))
        np.testing.assert_array_equal(batch["label"], source.labels[rows])


def test_each_epoch_has_each_example_once_across_hosts(load):
    source = load()
    count, whole = len(source), pipeline_of(source)
    steps = range(-(-2 * count // 8))
    stream = np.concatenate([whole.indices(t).ravel() for t in steps])[: 2 * count]
    for epoch in np.split(stream, 2):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(count))
    hosts = [pipeline_of(source, process_index=i, process_count=2) for i in (0, 1)]
    for t in steps:
        parts = [host.indices(t) for host in hosts]
        np.testing.assert_array_equal(np.concatenate(parts, 1), whole.indices(t))
    first = [host.indices(0)[0].tolist() for host in hosts]
    assert len(set(itertools.chain(*first))) == 4


def test_ids_find_the_examples_that_splits_share(load):
    first, second = load(split="train[:12]"), load(split="train[8:20]")
    np.testing.assert_array_equal(first.ids[8:], second.ids[:4])
    assert len(set(first.ids) | set(second.ids)) == 20
    with pytest.raises(ValueError, match=r"12 examples, and 4 of them are in the tr"):
        check_held_out(first, second)
    check_held_out(load(split="train[:8]"), second)
