"""Tests of the conversion of pictures, and of reading what it writes."""

import contextlib
import json
import os
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from wgan_jax.data import Pipeline, convertible, converting, load_source, records
from wgan_jax.data.converted import open_converted
from wgan_jax.data.convertible import from_pictures
from wgan_jax.data.pictures import Conversion
from wgan_jax.errors import DataError
from wgan_jax.program.cli import main

COUNT = 45


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(converting, "SHARD", 8)


@pytest.fixture
def folder(tmp_path):
    """Forty-five pictures of two classes."""
    random = np.random.RandomState(0)
    for i in range(COUNT):
        path = tmp_path / "pictures" / ("a" if i % 3 else "b") / f"{i:03d} ä.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.randint(0, 256, (12, 9, 3), np.uint8)).save(path)
    return tmp_path / "pictures"


def convert(folder, out, size=8, unreadable="error", **options):
    conversion = Conversion(size=size)
    given = from_pictures(folder, conversion=conversion, unreadable=unreadable)
    return converting.convert(given, out, **options)


def load(path, **options):
    return load_source("folder", path=str(path), **options)


@pytest.mark.parametrize("split", ["train", "test", "train[3:20]"])
def test_converted_pictures_equal_those_of_the_folder(split, folder, tmp_path):
    expected = load(folder, size=8, split=split, held_out=0.3)
    convert(folder, tmp_path / "out")
    found = load(tmp_path / "out", split=split, held_out=0.3)
    np.testing.assert_array_equal(found.images[:], expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.num_classes == expected.num_classes == 2
    ours, theirs = found.record(), expected.record()
    for name in ("count", "example_shape", "minimum", "maximum", "class_names"):
        assert ours[name] == theirs[name]
    assert ours["mean"] == pytest.approx(theirs["mean"])


def test_an_archive_converts_like_its_folder(folder, tmp_path):
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(folder))
    ours = convert(path, tmp_path / "a")
    theirs = convert(folder, tmp_path / "b")
    assert ours.names == theirs.names
    np.testing.assert_array_equal(ours.images[:], theirs.images[:])


def pipeline(source):
    return Pipeline(
        source,
        batch_size=8,
        seed=3,
        critic_updates=lambda i: 2,
        critic_updates_before=lambda i: 2 * i,
        labels=True,
    )


def test_batches_do_not_depend_on_where_the_images_are(folder, tmp_path, monkeypatch):
    convert(folder, tmp_path / "out", size=128)
    in_memory, in_files = load(tmp_path / "out"), load(tmp_path / "out", memory_limit=1)
    assert in_memory.record() == in_files.record()
    assert isinstance(in_memory.images.in_memory, np.ndarray)
    assert in_files.images.in_memory is None
    for i in range(6):  # more than two epochs
        ours, theirs = (pipeline(s).batch(i) for s in (in_files, in_memory))
        assert ours["image"].shape == (2, 8, 128, 128, 3)
        np.testing.assert_array_equal(ours["image"], theirs["image"])
        np.testing.assert_array_equal(ours["label"], theirs["label"])


def test_threads_may_read_at_once(folder, tmp_path):
    images = convert(folder, tmp_path / "out").images
    expected, found = images[:], {}

    def read(k):
        rows = np.random.RandomState(k).permutation(COUNT)
        found[k] = all(
            np.array_equal(images[rows[i : i + 4]], expected[rows[i : i + 4]])
            for i in range(40)
        )

    threads = [threading.Thread(target=read, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(8), True)


@pytest.mark.parametrize(
    "rows", [3, -1, [0, 44], slice(40, 50), slice(0, 0), [[1], [2]]]
)
def test_images_are_indexed_like_an_array(rows, folder, tmp_path):
    images = convert(folder, tmp_path / "out").images
    everything = images[:]
    np.testing.assert_array_equal(images[rows], everything[rows])
    assert images.shape == everything.shape
    assert images.nbytes == everything.nbytes
    part = images.select(np.arange(10, 30))
    np.testing.assert_array_equal(part[5:7], everything[15:17])


def test_loading_takes_little_more_memory_than_the_images(
    folder, tmp_path, monkeypatch
):
    images = convert(folder, tmp_path / "out", size=128).images
    expected = images[:]
    monkeypatch.setattr(records, "_PART", images.nbytes // 20)
    tracemalloc.start()
    try:
        images.load()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * images.nbytes
    np.testing.assert_array_equal(images[:], expected)
    assert images[:4].flags.writeable
    assert expected.flags.writeable


def test_conversion_works_without_the_cores_of_the_process(
    folder, tmp_path, monkeypatch
):
    expected = convert(folder, tmp_path / "here").images[:]
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    found = convert(folder, tmp_path / "there").images[:]
    np.testing.assert_array_equal(found, expected)


def test_an_interrupted_conversion_goes_on(folder, tmp_path, monkeypatch):
    expected = convert(folder, tmp_path / "unbroken")

    def stop(done, total):
        assert total == COUNT
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(folder, tmp_path / "out", progress=stop)
    with pytest.raises(DataError, match="was not finished; start wgan-jax data"):
        load(tmp_path / "out")  # is not mistaken for a finished one
    decoded = []
    original = convertible.decode

    def counted(content, conversion):
        decoded.append(content)
        return original(content, conversion)

    monkeypatch.setattr(convertible, "decode", counted)
    found = convert(folder, tmp_path / "out")
    assert len(decoded) == COUNT - 16  # two shards of eight had been written
    np.testing.assert_array_equal(found.images[:], expected.images[:])
    assert found.names == expected.names
    convert(folder, tmp_path / "out")
    assert len(decoded) == COUNT - 16


def test_each_folder_has_one_conversion(folder, tmp_path):
    convert(folder, tmp_path / "out")
    with pytest.raises(DataError, match="conversion of other pictures, or with other"):
        convert(folder, tmp_path / "out", size=16)
    (folder / "a" / "new.png").write_bytes((folder / "b" / "000 ä.png").read_bytes())
    with pytest.raises(DataError, match="conversion of other pictures"):
        convert(folder, tmp_path / "out")
    with pytest.raises(DataError, match="is not empty; use a new folder"):
        convert(folder, folder)
    assert not (folder / "conversion.json").exists()


def test_unreadable_pictures_are_left_out_if_asked(folder, tmp_path):
    broken = sorted(folder.rglob("*.png"))[8:17]  # the whole second shard
    for path in broken:
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cannot be used: it is not a picture"):
        convert(folder, tmp_path / "out")
    found = convert(folder, tmp_path / "skipped", unreadable="skip")
    assert len(found.images) == COUNT - 9
    assert found.skipped == [p.relative_to(folder).as_posix() for p in broken]
    expected = load(folder, size=8, unreadable="skip")
    np.testing.assert_array_equal(found.images[:], expected.images)
    assert load(tmp_path / "skipped").record()["skipped"] == 9


def test_labels_of_pictures_that_were_left_out_are_ignored(folder, tmp_path):
    paths = sorted(folder.rglob("*.png"))
    paths[8].write_bytes(b"no picture")
    convert(folder, tmp_path / "out", unreadable="skip")
    names = [path.relative_to(folder).as_posix() for path in paths]
    labels = tmp_path / "l.json"
    labels.write_text(json.dumps({name: int(i == 9) for i, name in enumerate(names)}))
    source = load(tmp_path / "out", label_file=str(labels))
    assert np.flatnonzero(source.labels).tolist() == [8]
    labels.write_text(json.dumps(dict.fromkeys([*names, "9.png"], 0)))
    with pytest.raises(DataError, match=r"label for 9\.png, which is not among"):
        load(tmp_path / "out", label_file=str(labels))


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no picture in .*in is readable\."):
        convert(tmp_path / "in", tmp_path / "out", unreadable="skip")


def flip(path, part):
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda out: (out / "pictures.json").write_text("{"),
            "pictures.json is damaged",
        ),
        (lambda out: (out / "shard-00001.npz").unlink(), "shard-00001.npz is missing"),
        (
            lambda out: flip(out / "shard-00002.npz", 0.5),
            "shard-00002.npz is missing or",
        ),
        (
            lambda out: (out / "shard-00003.array_record").unlink(),
            "shard-00003.array_record is inc",
        ),
        (
            lambda out: (out / "shard-00000.npz").write_bytes(
                (out / "shard-00005.npz").read_bytes()
            ),
            "shard-00000.array_record is incomplete",
        ),
    ],
)
def test_damage_is_found_when_a_folder_is_opened(damage, message, folder, tmp_path):
    convert(folder, tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(DataError, match=f"out cannot be read: {message}"):
        load(tmp_path / "out", memory_limit=1)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.5, 0.7, 0.98])
def test_damaged_records_are_errors_or_harmless(part, folder, tmp_path):
    converted = convert(folder, tmp_path / "out", size=64)
    expected = converted.images[:]
    flip(tmp_path / "out" / "shard-00001.array_record", part)
    with contextlib.suppress(DataError):
        found = open_converted(tmp_path / "out").images[:]
        np.testing.assert_array_equal(found, expected)


def test_a_cut_file_of_records_is_an_error(folder, tmp_path):
    convert(folder, tmp_path / "out")
    path = tmp_path / "out" / "shard-00000.array_record"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="out cannot be read"):
        open_converted(tmp_path / "out").images[:]
    with pytest.raises(OSError, match="No space left"):
        converting._check_written(path, 8)


def test_another_version_is_an_error(folder, tmp_path):
    convert(folder, tmp_path / "out")
    path = tmp_path / "out" / "pictures.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 0}))
    with pytest.raises(DataError, match=r"another version .*format 0, here 1"):
        load(tmp_path / "out")


def test_options_must_be_those_of_the_conversion(folder, tmp_path):
    convert(folder, tmp_path / "out")
    with pytest.raises(DataError, match=r"with size=8, but size is 16\. Set .*size=8"):
        load(tmp_path / "out", size=16)
    with pytest.raises(DataError, match="with background=white, but background is red"):
        load(tmp_path / "out", background="red")


def test_more_than_the_limit_is_refused_unless_converted(folder):
    with pytest.raises(DataError, match=r"take 2 MiB at 128 .*data convert.*limit=3"):
        load(folder, size=128, memory_limit=1)


def test_the_command_converts_and_says_how_to_train(folder, tmp_path, capsys):
    out = tmp_path / "out put"
    arguments = ["convert", str(folder), str(out), "--size=8", "--background=black"]
    assert main(["wgan-jax", "data", *arguments]) == 0
    text = capsys.readouterr().out
    assert f"45 images of 8 pixels in {out}, 0 MiB." in text
    assert (
        f"  wgan-jax train --config=folder_fast --config.dataset.path='{out}' "
        "--config.dataset.size=8 --config.dataset.background=black"
    ) in text.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in"], "data convert: the following arguments are required: FOLDER."),
        (["in", "out"], "--size is not set; it is the side of the images in pixels."),
        (["in", "out", "--size=8", "--low=0"], "--low is for .npy and .npz files, but"),
        (["tfds:digits", "out", "--unreadable=skip"], "--unreadable is for pictures"),
        (["x.npz", "out", "--data-dir=x"], "--data-dir is for tfds:NAME, but the data"),
        (["x.npz", "out"], "x.npz does not exist."),
        (["in", "out", "--size=0"], "size is 0; it must be at least 1."),
        (["in", "out", "--size=8", "--crop=left"], "crop is 'left'"),
        (["in", "out", "--size=8", "--channels=2"], "channels is 2"),
        (["in", "out", "--size=8", "--filter=no"], "filter is 'no'"),
        (["in", "out", "--size=8", "--unreadable=no"], "--unreadable is 'no'"),
        (["in", "out", "--size=8"], "in does not exist."),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["wgan-jax", "data", "convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_errors_name_the_options_of_the_command(folder, tmp_path, capsys):
    (folder / "a" / "x.png").write_bytes(b"no picture")
    for dataset, option in ((folder, "--unreadable=skip"), ("tfds:", "--data-dir=DIR")):
        arguments = [str(dataset), str(tmp_path / "out"), "--size=8"]
        assert main(["wgan-jax", "data", "convert", *arguments]) == 2
        error = capsys.readouterr().err
        assert option in error
        assert "--config." not in error


def test_training_does_not_depend_on_where_the_images_are(folder, tmp_path):
    convert(folder, tmp_path / "out", size=128)
    fields = ["size=128", f"path={tmp_path / 'out'}"]
    found = []
    for limit in (1, 4096):
        run = tmp_path / f"run{limit}"
        small = ["generator.width=1", "critic.width=1", "training.iterations=3"]
        small += ["training.batch_size=8", "training.iterations_per_call=1"]
        small += ["samples.count=4", "evaluation=None", "log.every=1"]
        small += [f"dataset.{f}" for f in (*fields, f"memory_limit={limit}")]
        arguments = [f"--workdir={run}", *(f"--config.{field}" for field in small)]
        assert main(["wgan-jax", "train", "--config=folder_fast", *arguments]) == 0
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        found.append([row["critic/loss"] for row in lines])
    assert len(found[0]) == 3
    assert found[0] == found[1]
