"""Tests of writing sample grids in the background."""

from types import SimpleNamespace

import numpy as np
import pytest

from wgan_jax.program import previews
from wgan_jax.program.previews import PreviewWriter


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
