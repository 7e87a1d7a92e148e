"""Tests of what ``wgan-jax sample`` draws, and of the files that it writes."""

import io
from pathlib import Path

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from wgan_jax import zoo
from wgan_jax.errors import ConfigError
from wgan_jax.io.films import save_film
from wgan_jax.io.images import to_uint8
from wgan_jax.latents import great_arc, latents
from wgan_jax.program.cli import main
from wgan_jax.sampling import generate_from_latents


@pytest.fixture
def sample(tmp_path, capsys):
    """Returns a function that draws, and returns the paths that were written."""

    def run(*flags, code=0):
        before = set(tmp_path.iterdir())
        arguments = ["sample", "--pretrained=digits", f"--output={tmp_path}", *flags]
        assert main(["wgan-jax", *arguments]) == code
        if code:
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert set(tmp_path.iterdir()) == before
            return error
        return sorted(set(tmp_path.iterdir()) - before)

    return run


@pytest.fixture(scope="module")
def generator():
    return zoo.load("digits")


def levels(images):
    return to_uint8(np.asarray(images))


def test_labels_are_used_in_turn(sample, generator):
    npz, _ = sample("--config.samples.count=5", "--labels=3,7")
    assert npz.name == "digits_seed0_5_label3_7.npz"
    with np.load(npz) as file:
        assert file["labels"].tolist() == [3, 7, 3, 7, 3]
        labels = np.array([3, 7, 3, 7, 3], np.int32)
        expected = generator.sample(jax.random.key(0), 5, labels=labels)
        np.testing.assert_array_equal(file["images"], levels(expected))


def test_truncation_bounds_the_latents(sample, generator):
    z = latents(jax.random.key(0), jnp.arange(500), size=16, truncation=0.7)
    assert 0.69 < float(jnp.abs(z).max()) <= 0.7
    assert abs(float(z.mean())) < 0.02
    # Variance under the condition |x| < a: 1 - 2 a phi(a) / (2 Phi(a) - 1).
    assert float(z.std()) == pytest.approx(0.3909, abs=0.01)
    [npz] = sample("--truncation=0.7", "--config.samples.count=4", "--format=npz")
    assert npz.name == "digits_seed0_4_truncation0.7.npz"
    expected = generator.sample(jax.random.key(0), 4, truncation=0.7)
    with np.load(npz) as file:
        np.testing.assert_array_equal(file["images"], levels(expected))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_latents_are_read_from_a_file(suffix, sample, generator, tmp_path):
    z = np.random.RandomState(0).randn(3, generator.latent_size)
    path = tmp_path / f"z.{suffix}"
    np.save(path, z) if suffix == "npy" else np.savez(path, latents=z)
    [npz] = sample(f"--latents={path}", "--format=npz", "--labels=4")
    assert npz.name == "digits_latents_3_label4.npz"
    with np.load(npz) as file:
        found = file["images"]
    expected = generator(jnp.float32(z), jnp.full(3, 4, jnp.int32))
    assert np.abs(found.astype(int) - levels(expected)).max() <= 1


def test_latents_of_pictures_are_found_and_drawn_again(sample, generator, tmp_path):
    [folder] = sample("--config.samples.count=3", "--labels=5,2", "--format=png")
    with Image.open(folder / "1.png") as picture:  # larger, and in colors
        picture.convert("RGB").resize((36, 36), 0).save(folder / "large.png")
        target = np.asarray(picture)
    grid, npz = sorted(sample(f"--project={folder}"), key=lambda path: path.suffix)[
        ::-1
    ]
    assert npz.name == f"digits_seed0_project_{folder.name}.npz"
    with np.load(npz) as file:
        found = dict(file)
    assert found["names"].tolist() == ["0.png", "1.png", "2.png", "large.png"]
    assert found["labels"].tolist() == [5, 2, 5, 2]
    assert found["errors"].max() < 0.15
    difference = found["images"][1, ..., 0] / 255 - target / 255
    error = np.sqrt(np.square(2 * difference).mean())
    assert error == pytest.approx(found["errors"][1], abs=0.01)
    with Image.open(grid) as picture:
        assert picture.size == (8 * (8 * 8 + 4) + 4, 8 * 8 + 8)
    [again] = sample(f"--latents={npz}", "--format=npz")
    with np.load(again) as file:
        assert file["labels"].tolist() == [5, 2, 5, 2]
        close = np.abs(file["images"].astype(int) - found["images"])
    assert close.max() <= 1
    [one] = sample(f"--project={folder / '1.png'}", "--format=npz")
    with np.load(one) as file:
        assert file["labels"].tolist() == [2]


@pytest.mark.parametrize(
    "labels", [np.zeros(3, np.int32), np.zeros(2, np.float32), np.array([0, -1])]
)
def test_wrong_labels_of_latents_are_named(labels, sample, generator, tmp_path):
    z = np.zeros((2, generator.latent_size), np.float32)
    path = tmp_path / "z.npz"
    np.savez(path, latents=z, labels=labels)
    assert "z.npz has 2 latents, but its labels are" in sample(
        f"--latents={path}", code=2
    )


def test_interpolations_go_from_one_latent_to_another(sample, generator):
    png, npz = sorted(sample("--interpolate=3x5"), key=lambda p: p.suffix != ".png")
    assert npz.name == "digits_seed0_interpolation_3x5.npz"
    with Image.open(png) as picture:
        assert picture.size == (5 * 68 + 4, 3 * 68 + 4)
    with np.load(npz) as file:
        images, labels = file["images"], file["labels"]
    assert labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    ends = latents(jax.random.key(0), jnp.arange(6), size=generator.latent_size)
    middle = great_arc(ends[2:3], ends[3:4], jnp.full((1, 1), 0.5))
    z = jnp.concatenate([ends[2:3], middle, ends[3:4]])
    expected = levels(generator(z, jnp.ones(3, jnp.int32)))
    assert np.abs(images[[5, 7, 9]].astype(int) - expected).max() <= 1


def test_pictures_of_each_sample_are_numbered(sample):
    folders = sample("--format=png,webp", "--config.samples.count=11")
    assert [f.name for f in folders] == ["digits_seed0_11_png", "digits_seed0_11_webp"]
    arrays = []
    for folder in folders:
        files = sorted(folder.iterdir())
        assert [f.stem for f in files] == [f"{i:02d}" for i in range(11)]
        with Image.open(files[10]) as picture:
            arrays.append(np.asarray(picture.convert("L")))
    np.testing.assert_array_equal(*arrays)
    assert arrays[0].shape == (8, 8)


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_walks_are_films_that_end_where_they_begin(kind, sample):
    [film] = sample(f"--walk={kind}", "--config.samples.count=3", "--labels=5")
    assert film.name == f"digits_seed0_walk_3_label5.{kind}"
    if kind == "mp4":
        with av.open(str(film)) as file:
            frames = [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
    else:
        with Image.open(film) as picture:
            assert picture.info.get("loop", 0) == 0
            frames = []
            for i in range(picture.n_frames):
                picture.seek(i)
                frames.append(np.asarray(picture.convert("RGB")))
    assert frames[0].shape == (256, 256, 3)
    if kind != "gif":  # equal frames of a GIF are merged
        assert len(frames) == 3 * 24
    values = np.stack(frames).astype(float)
    steps = np.abs(values - np.roll(values, 1, axis=0)).mean(axis=(1, 2, 3))
    assert steps[0] < 3 * np.median(steps) + 1


def test_films_of_odd_and_colored_frames_are_written(tmp_path):
    frames = np.random.RandomState(0).randint(0, 256, (3, 257, 301, 3), np.uint8)
    save_film(tmp_path / "a.mp4", frames, rate=10)
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert (file.streams.video[0].height, file.streams.video[0].width) == (258, 302)
    save_film(tmp_path / "a.webp", frames, rate=10)
    with Image.open(io.BytesIO((tmp_path / "a.webp").read_bytes())) as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), frames[0])


def test_mp4_without_its_package_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ConfigError, match="needs the package av; install it with"):
        save_film(tmp_path / "a.mp4", np.zeros((2, 8, 8, 1), np.uint8), rate=10)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(sample):
    sample("--config.samples.count=2")
    error = sample("--config.samples.count=2", code=2)
    assert "digits_seed0_2.png exists; use another --output, or remove it" in error
    sample("--config.samples.count=2", "--config.samples.seed=1")


def test_many_samples_are_drawn_with_progress(sample, capsys):
    [npz] = sample("--config.samples.count=12000", "--format=npz")
    text = capsys.readouterr().out
    assert "5,0" in text
    assert text.count(" of 12,000 samples") == 2
    with np.load(npz) as file:
        assert file["images"].shape == (12000, 8, 8, 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--labels=a"], "--labels is 'a'; it must be whole numbers"),
        (["--labels=1,,2"], "--labels is '1,,2'"),
        (["--labels=10"], "the label is 10; it must be in 0 to 9."),
        (["--truncation=0"], "--truncation is '0'; it must be a number above 0."),
        (["--truncation=nan"], "--truncation is 'nan'"),
        (["--format=jpg"], "--format has 'jpg'; choices: grid, npz, png, webp."),
        (["--interpolate=3"], "--interpolate is '3'; it must be ROWSxCOLUMNS"),
        (["--interpolate=3x1"], "--interpolate is '3x1'"),
        (["--walk=avi"], "--walk is 'avi'; choices: gif, mp4, webp."),
        (["--walk=gif", "--config.samples.count=1"], "--walk needs at least 2 latents"),
        (["--walk=gif", "--interpolate=2x2"], "--interpolate and --walk cannot be"),
        (["--walk=gif", "--format=npz"], "--walk and --format cannot be combined"),
        (["--latents=nowhere.npy"], "nowhere.npy cannot be read"),
        (["--latents=z.npy", "--truncation=1"], "cannot be combined"),
        (["--project=nowhere.png"], "nowhere.png"),
        (["--project=z.npy"], "z.npy is neither a folder nor an archive"),
        (["--project=text.png"], "text.png cannot be used"),
        (["--project=empty"], "empty has no pictures"),
        (["--project=text.png", "--labels=3"], "--project and --labels cannot be"),
        (["--project=text.png", "--walk=gif"], "--project and --walk cannot be"),
        (["--weights=live"], "--weights and --pretrained cannot be combined."),
    ],
)
def test_mistakes_are_one_sentence(flags, message, sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("z.npy", np.zeros((2, 3), np.float32))
    Path("text.png").write_text("no picture")
    Path("empty").mkdir()
    assert message in sample(*flags, code=2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.float32), "latents of size 3; this generator takes"),
        (np.zeros((2, 3), np.int32), "finite floating-point numbers"),
        (np.zeros(3, np.float32), "finite floating-point numbers"),
        (np.full((2, 3), np.nan, np.float32), "finite floating-point numbers"),
        (np.zeros((0, 3), np.float32), "finite floating-point numbers"),
    ],
)
def test_wrong_latents_are_named(array, message, sample, tmp_path):
    np.save(tmp_path / "z.npy", array)
    assert message in sample(f"--latents={tmp_path / 'z.npy'}", code=2)


def test_images_of_latents_do_not_depend_on_the_batch(generator):
    z = latents(jax.random.key(0), jnp.arange(7), size=generator.latent_size)
    parts = (generator.gan, generator.params, generator.model_state)
    found = [
        jnp.concatenate(list(generate_from_latents(*parts, z, batch_size=size)))
        for size in (3, 64)
    ]
    np.testing.assert_allclose(*found, atol=1e-5)
    with pytest.raises(ValueError, match=r"latents have the shape \[7, 2\]"):
        generate_from_latents(*parts, z[:, :2])


def test_unconditional_generators_take_no_labels(tmp_path, capsys):
    small = ["training.iterations=1", "generator.width=8", "critic.width=8"]
    small += ["evaluation=None", "samples.count=4"]
    arguments = [f"--workdir={tmp_path}", *(f"--config.{f}" for f in small)]
    assert main(["wgan-jax", "train", "--config=digits_wgan_gp", *arguments]) == 0
    assert main(["wgan-jax", "sample", f"--workdir={tmp_path}", "--labels=1"]) == 2
    assert "this generator is not conditional" in capsys.readouterr().err
    for weights in ("live", "ema"):
        flags = [f"--workdir={tmp_path}", f"--weights={weights}"]
        assert main(["wgan-jax", "sample", *flags]) == 0
    names = {p.name for p in (tmp_path / "samples").glob("sample_*.npz")}
    assert names == {
        f"sample_00000001_{weights}_seed0_4.npz" for weights in ("live", "ema")
    }


@pytest.mark.parametrize("flag", ["--walk=gif", "--format=png"])
def test_points_are_not_drawn_one_by_one(flag, tmp_path, capsys):
    small = ["training.iterations=1", "generator.width=4", "critic.width=4"]
    small += ["evaluation=None", "samples.count=4", "training.batch_size=8"]
    arguments = [f"--workdir={tmp_path}", *(f"--config.{f}" for f in small)]
    assert main(["wgan-jax", "train", "--config=gaussians_wgan_gp", *arguments]) == 0
    assert main(["wgan-jax", "sample", f"--workdir={tmp_path}", flag]) == 2
    assert "need the images of a single run" in capsys.readouterr().err
