"""Tests of the program with data that are not pictures of usual shapes."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from wgan_jax.program.cli import main

RANDOM = np.random.RandomState(0)
TABLE = RANDOM.randn(80, 5) * [1.0, 2.0, 3.0, 0.1, 1.0] + 4.0
SERIES = RANDOM.randn(80, 6, 3).cumsum(axis=1)
VOLUMES = RANDOM.randn(80, 3, 4, 2, 1)
RGBA = RANDOM.randint(0, 256, (80, 8, 8, 4), np.uint8)
WIDE = RANDOM.randint(0, 256, (80, 12, 20, 3), np.uint8)
LABELS = np.arange(80) % 2
SMALL = {
    "generator.width": 8,
    "critic.width": 8,
    "training.batch_size": 8,
    "samples.count": 6,
    "samples.every": 2,
    "checkpoint.every": 2,
    "log.every": 1,
}
VALUES = SMALL | {
    "dataset.held_out": 0.25,
    "generator.latent_size": 3,
    "evaluation.every": 2,
    "evaluation.count": 20,
    "evaluation.measures": (
        "frechet",
        "kernel",
        "manifold",
        "sliced",
        "transport",
        "held_out",
    ),
}


IMAGES = SMALL | {
    "dataset.held_out": 0.25,
    "training.iterations": 2,
    "evaluation.every": 2,
    "evaluation.count": 20,
    "evaluation.features.name": "pixels",
}


def saved(path, examples):
    if examples is SERIES:
        np.savez(path / "x.npz", images=examples, labels=LABELS)
        return path / "x.npz"
    np.save(path / "x.npy", examples)
    return path / "x.npy"


def train(path, workdir, *, config="gaussians_wgan_gp", **fields):
    given = {"dataset.name": "arrays", "dataset.path": path}
    given |= {name.replace("__", "."): value for name, value in fields.items()}
    flags = [f"--config.{name}={value}" for name, value in given.items()]
    command = ["wgan-jax", "train", f"--config={config}", f"--workdir={workdir}"]
    return main([*command, *flags])


def in_run(workdir, mode, *flags):
    return main(["wgan-jax", mode, f"--workdir={workdir}", *flags])


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("examples", [TABLE, SERIES], ids=["table", "series"])
def test_values_are_trained_on_in_all_modes(examples, tmp_path, capsys):
    path, run = saved(tmp_path, examples), tmp_path / "run"
    for iterations in (2, 4):
        assert train(path, run, **VALUES, training__iterations=iterations) == 0
    told = capsys.readouterr()
    assert "Resuming from iteration 2" in told.out
    assert f"Samples: wgan-jax sample --workdir={run}" in told.out
    metrics = lines(run / "metrics.jsonl")
    assert [line["step"] for line in metrics] == [1, 2, 3, 4]
    assert all(np.isfinite(list(line.values())).all() for line in metrics)
    record = json.loads((run / "config.json").read_text())
    assert record["data"]["example_shape"] == list(examples.shape[1:])

    path.rename(path.with_name("moved"))  # samples and exports need no dataset
    assert in_run(run, "sample") == 0
    [drawn] = (run / "samples").glob("*.npz")
    with np.load(drawn) as file:
        assert file["images"].shape == (6, *examples.shape[1:])
        assert file["images"].dtype == np.float32
    assert in_run(run, "export") == 0
    exported = f"--pretrained={next(run.glob('**/*.safetensors')).parent}"
    drawing = ["wgan-jax", "sample", exported, f"--output={tmp_path / 'again'}"]
    assert main([*drawing, "--format=png"]) == 2
    assert main(drawing) == 0
    [again] = (tmp_path / "again").iterdir()
    with np.load(again) as file:
        assert file["images"].shape[1:] == examples.shape[1:]
    path.with_name("moved").rename(path)

    assert in_run(run, "evaluate") == 0
    assert in_run(run, "evaluate", f"--images={drawn}") == 0
    found = json.loads(drawn.with_suffix(".evaluation.json").read_text())
    last = lines(run / "evaluations.jsonl")[-1]
    for results in (found["results"], last["results"]):
        measured = {r["protocol"]["metric"]: r["protocol"] for r in results}
        assert {"frechet_distance", "precision", "exact_wasserstein_1"} <= set(measured)
        assert measured["frechet_distance"]["features"] == "coordinates"
    assert in_run(run, "report") == 0
    assert (run / "report.html").exists()
    assert not list(run.rglob("*.png"))


def test_pictures_of_values_are_refused(tmp_path, capsys):
    path, run = saved(tmp_path, VOLUMES), tmp_path / "run"
    fields = SMALL | {"evaluation": None, "training.iterations": 1}
    assert train(path, run, **fields) == 0
    before = sorted(run.rglob("*"))
    for flag in (
        "--format=grid,npz",
        "--format=png",
        "--walk=gif",
        f"--project={path}",
    ):
        capsys.readouterr()
        assert in_run(run, "sample", flag) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{flag} needs images" in error
        assert (
            "examples of shape (3, 4, 2, 1); they can be written with --format=npz"
            in error
        )
    assert in_run(run, "export", "--dtype=uint8") == 2
    assert "--dtype=uint8 needs a generator of images" in capsys.readouterr().err
    assert sorted(run.rglob("*")) == before


def mode_of(path):
    with Image.open(path) as picture:
        return picture.mode


def test_rgba_images_are_trained_on_and_drawn(tmp_path, capsys):
    path, run = saved(tmp_path, RGBA), tmp_path / "run"
    assert train(path, run, config="digits_wgan_gp", **IMAGES) == 0
    drawn = {file.name: mode_of(file) for file in run.rglob("*.png")}
    assert {"real.png", "step_00000002.png", "neighbours_00000002.png"} <= set(drawn)
    assert set(drawn.values()) == {"RGBA"}
    assert in_run(run, "sample", "--format=png,npz") == 0
    [folder] = (run / "samples").glob("*_png")
    [file] = (run / "samples").glob("*.npz")
    with np.load(file) as arrays:
        assert arrays["images"].shape == (6, 8, 8, 4)
        assert arrays["images"].dtype == np.uint8
        with Image.open(folder / "0.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), arrays["images"][0])
    assert in_run(run, "sample", "--walk=gif") == 0
    assert in_run(run, "sample", f"--project={folder / '0.png'}", "--format=npz") == 0
    [file] = (run / "samples").glob("*project*.npz")
    with np.load(file) as arrays:
        assert arrays["images"].shape == (1, 8, 8, 4)
    assert in_run(run, "evaluate", f"--images={file}") == 2  # of a single image
    assert "at least 2 of uint8[8, 8, 4]" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dcgan_gp", "resnet"])
def test_images_that_are_not_square_are_trained_on_and_drawn(name, tmp_path, capsys):
    path, run = saved(tmp_path, WIDE), tmp_path / "run"
    fields = IMAGES | {"generator.name": name, "critic.name": name}
    assert train(path, run, config="digits_wgan_gp", **fields) == 0
    with Image.open(run / "samples" / "step_00000002.png") as picture:
        # Six images in three columns and two rows, three times as large.
        assert picture.size == (3 * (3 * 20 + 4) + 4, 2 * (3 * 12 + 4) + 4)
    assert in_run(run, "sample", "--format=npz") == 0
    [file] = (run / "samples").glob("*.npz")
    with np.load(file) as arrays:
        assert arrays["images"].shape == (6, 12, 20, 3)
    assert in_run(run, "sample", f"--project={run / 'samples' / 'real.png'}") == 2
    assert "--project needs a generator of square images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"evaluation.features.name": "lite0"}, "lite0 needs images with .*Use pixels"),
        ({"generator.name": "dcgan"}, r"image shape is \(5,\); it must be"),
        ({"critic.name": "resnet"}, r"image shape is \(5,\); it must be"),
        ({"dataset.flip": True}, "dataset.flip is for images only"),
        ({"dataset.low": 0.0, "dataset.high": 1.0}, "which are no images; leave low"),
    ],
)
def test_what_needs_images_is_refused_for_values(fields, message, tmp_path, capsys):
    path, run = saved(tmp_path, TABLE), tmp_path / "run"
    assert train(path, run, **VALUES | fields) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert not run.exists()
