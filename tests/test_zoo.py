"""Tests of the trained generators that come with the package."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from wgan_jax import zoo
from wgan_jax.config.loading import shipped_configs
from wgan_jax.data import load_source
from wgan_jax.latents import latents
from wgan_jax.metrics import frechet_distance
from wgan_jax.program.cli import main

FOLDER = Path(zoo.__file__).parent
NAMES = zoo.names()


@pytest.fixture(scope="module", params=NAMES)
def generator(request):
    return zoo.load(request.param)


def test_files_are_small():
    sizes = [path.stat().st_size for path in FOLDER.glob("*.safetensors")]
    assert len(sizes) == len(NAMES) > 0
    assert max(sizes) <= 2_000_000
    assert sum(sizes) <= 6_000_000


def test_sample_i_depends_only_on_key_and_index(generator):
    key = jax.random.key(5)
    images = np.asarray(generator.sample(key, 70))
    shape = tuple(generator.card["data"]["example_shape"])
    assert images.shape == (70, *shape)
    assert np.all(np.abs(images) <= 1)
    np.testing.assert_array_equal(generator.sample(key, 3), images[:3])
    z = latents(key, np.arange(3), size=generator.latent_size)
    classes = len(generator.class_names)
    labels = np.arange(3, dtype=np.int32) % classes if classes else None
    np.testing.assert_allclose(generator(z, labels), images[:3], atol=2e-3)


def test_labels_select_classes(generator):
    key = jax.random.key(0)
    if not generator.class_names:
        with pytest.raises(ValueError, match="not conditional"):
            generator.sample(key, 2, labels=0)
        return
    zeros, ones = (generator.sample(key, 4, labels=label) for label in (0, 1))
    assert not np.allclose(zeros, ones, atol=0.1)
    with pytest.raises(ValueError, match="labels are in"):
        generator.sample(key, 2, labels=len(generator.class_names))


def test_images_can_be_compiled_and_differentiated(generator):
    z = latents(jax.random.key(0), np.arange(2), size=generator.latent_size)
    labels = np.ones(2, np.int32) if generator.class_names else None
    draw = lambda z, labels: generator(z, labels).sum()
    gradient = np.asarray(jax.jit(jax.grad(draw))(z, labels))
    step = 1e-2 * gradient / np.linalg.norm(gradient)
    change = draw(z + step, labels) - draw(z - step, labels)
    np.testing.assert_allclose(change, 2e-2 * np.linalg.norm(gradient), rtol=0.02)


def test_cards_are_complete_and_free_of_local_paths(generator):
    card = generator.card
    for name in ("title", "description", "command", "training", "license", "limits"):
        assert card[name], name
    text = (FOLDER / f"{generator.name}.md").read_text()
    for fact in (card["title"], card["command"], card["license"]):
        assert fact in text
    for written in (text, json.dumps(card)):
        assert not re.search(r"""[\s"'`(=]/\w+/""", written)  # an absolute path
    assert "data_dir" not in card["config"]["dataset"]
    named = [word for word in card["command"].split() if word.startswith("--config=")]
    assert named[0].removeprefix("--config=configs/").removesuffix(".py") in (
        shipped_configs()
    )


def test_digits_resemble_the_data():
    real = load_source("digits", split="test").images.reshape(-1, 64) / 127.5 - 1
    fake = np.asarray(zoo.load("digits").sample(jax.random.key(1), 300))
    moments = [
        (x.mean(0), np.cov(x, rowvar=False))
        for x in (real, fake.reshape(-1, 64), np.clip(real + 0.3, -1, 1))
    ]
    distance = frechet_distance(*moments[0], *moments[1])
    assert distance < 0.5 * frechet_distance(*moments[0], *moments[2])


def test_unknown_names_are_rejected():
    with pytest.raises(ValueError, match="did you mean digits"):
        zoo.load("digit")


def test_loading_needs_no_dataset_and_no_checkpoint_library():
    code = (
        "import sys, jax\n"
        "from wgan_jax import zoo\n"
        "zoo.load('digits').sample(jax.random.key(0), 4)\n"
        "found = {'tensorflow_datasets', 'orbax', 'torch'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_command_line_draws_a_picture_and_an_array(tmp_path, capsys):
    arguments = [
        "wgan-jax",
        "sample",
        "--pretrained=digits",
        f"--workdir={tmp_path / 'out'}",
        "--config.samples.count=5",
        "--config.samples.label=3",
    ]
    assert main(arguments) == 0
    assert "5 samples of the trained generator digits" in capsys.readouterr().out
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["digits_seed0_5_label3.npz", "digits_seed0_5_label3.png"]
    with np.load(tmp_path / "out" / files[0]) as found:
        images, labels = found["images"], found["labels"]
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(labels, [3] * 5)
    expected = zoo.load("digits").sample(jax.random.key(0), 5, labels=3)
    levels = (np.asarray(expected) + 1) * 127.5
    np.testing.assert_allclose(images, levels, atol=0.51)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--pretrained=digit"], "did you mean digits?"),
        (["--pretrained=digits", "--config=digits_wgan_gp"], "cannot be combined"),
        (["--pretrained=digits", "--checkpoint=best"], "cannot be combined"),
        (["--pretrained=digits", "--config.seed=1"], "config.seed cannot be set"),
        (["--pretrained=digits", "--config.samples.count=0"], "count is 0"),
        (["--pretrained=digits", "--config.samples.label=10"], "it must be in 0"),
        (["--pretrained=digits", "--workdir=a", "--workdir=b"], "takes one --workdir"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    flags, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["wgan-jax", "sample", *flags]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert list(tmp_path.iterdir()) == []
