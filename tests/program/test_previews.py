"""Tests of writing sample grids in the background."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from configs import digits_wgan_gp
from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.errors import DiskError
from wgan_jax.program import previews
from wgan_jax.program.previews import PreviewWriter
from wgan_jax.program.train import train
from wgan_jax.program.workdir import Workdir


class Board:
    def __init__(self):
        self.steps = []

    def image(self, step, name, picture):
        self.steps.append((step, name))


@pytest.fixture
def writer(tmp_path, monkeypatch):
    monkeypatch.setattr(previews, "draw", lambda images, source: images[0])
    monkeypatch.setattr(previews, "tile", lambda pictures: pictures[0])
    folder = tmp_path / "samples"
    folder.mkdir()
    found = PreviewWriter(SimpleNamespace(source=None), folder, Board())
    yield found
    found.close()


def grids(value):
    image = np.full((1, 4, 4, 3), value, np.uint8)
    return {"": [image], "_live": [image]}


def test_wait_returns_after_all_are_written(writer, tmp_path):
    for step in (1, 2):
        writer.write(step, grids(step))
    writer.wait()
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == [f"step_{s:08d}{w}.png" for s in (1, 2) for w in ("", "_live")]
    assert writer._board.steps == [
        (s, f"samples{w}") for s in (1, 2) for w in ("", "_live")
    ]


@pytest.mark.parametrize("then", ["write", "wait"])
def test_write_error_is_raised_at_the_next_call(writer, tmp_path, then):
    (tmp_path / "samples").rmdir()
    (tmp_path / "samples").write_text("a file")
    writer.write(1, grids(1))
    with pytest.raises(OSError, match="samples"):
        writer.write(2, grids(2)) if then == "write" else writer.wait()
    writer.wait()  # does not raise again


def run(path):
    """Trains for four iterations with grids and checkpoints at 2 and 4."""
    config = digits_wgan_gp.get_config()
    config.generator.width = config.critic.width = 8
    config.training.batch_size, config.samples.count = 8, 4
    config.training.iterations, config.training.n_critic = 4, 1
    config.checkpoint.every = config.samples.every = 2
    config.evaluation.every = 0
    return train(config, Workdir(path), command="again", log=lambda line: None)


def test_a_checkpoint_is_saved_after_the_grids_so_far(tmp_path, monkeypatch):
    save, tile, seen = Checkpoints.save, previews.tile, []

    def late(pictures):
        time.sleep(0.2)
        return tile(pictures)

    def noted(self, step, *rest):
        grids = (tmp_path / "run/samples").glob("step_*[0-9].png")
        seen.append((step, sorted(path.stem for path in grids)))
        return save(self, step, *rest)

    monkeypatch.setattr(previews, "tile", late)
    monkeypatch.setattr(Checkpoints, "save", noted)
    assert run(tmp_path / "run") == 0
    grids = ["step_00000002", "step_00000004"]
    assert seen == [(2, grids[:1]), (4, grids)]


def test_a_grid_that_cannot_be_written_leaves_its_checkpoint(tmp_path, monkeypatch):
    def full(path, picture):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(previews, "save_png", full)
    with pytest.raises(DiskError, match="samples could not be written: No space left"):
        run(tmp_path / "run")
    assert (tmp_path / "run/checkpoints/2").is_dir()


def test_a_run_that_was_killed_at_its_end_gets_its_last_pictures(tmp_path):
    path = tmp_path / "run"
    assert run(path) == 0
    (picture,) = (path / "samples").glob("interpolation_*.png")
    drawn = picture.read_bytes()
    picture.unlink()
    (path / "report.html").unlink()
    assert run(path) == 0
    assert picture.read_bytes() == drawn
    assert (path / "report.html").exists()
