"""Tests of pictures, metric files, TensorBoard logs and progress."""

import io
import json
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from wgan_jax.io import loggers
from wgan_jax.io.images import (
    image_grid,
    save_picture,
    save_png,
    scatter_image,
    to_uint8,
)
from wgan_jax.io.json_text import read_lines
from wgan_jax.io.loggers import JsonLines, Progress, Stages, TensorBoard

# --- gray levels


def test_to_uint8_matches_a_table():
    values = np.array([-1, -0.5, 0, 0.5, 1], np.float32)
    levels = to_uint8(values)
    assert levels.dtype == np.uint8
    assert levels.tolist() == [0, 64, 128, 191, 255]
    assert to_uint8(np.array([-1.01, -7, 1.01, np.inf])).tolist() == [0, 0, 255, 255]
    assert to_uint8(jnp.asarray(values, jnp.bfloat16)).tolist() == levels.tolist()


def test_to_uint8_round_trips_every_gray_level():
    levels = np.arange(256, dtype=np.uint8)
    there = levels.astype(np.float32) / 127.5 - 1
    np.testing.assert_array_equal(to_uint8(there), levels)


def test_to_uint8_rejects_nan():
    with pytest.raises(ValueError, match="contain NaN"):
        to_uint8(np.array([0.0, np.nan]))


# --- grids


def test_image_grid_matches_a_manual_layout():
    images = np.array([10, 20, 30], np.uint8).reshape(3, 1, 1, 1)
    grid = image_grid(images, columns=2, scale=1, padding=1)
    w = 255
    assert grid[:, :, 0].tolist() == [
        [w, w, w, w, w],
        [w, 10, w, 20, w],
        [w, w, w, w, w],
        [w, 30, w, w, w],
        [w, w, w, w, w],
    ]


def test_image_grid_magnifies_pixels_to_squares():
    images = np.array([[1, 2]], np.uint8).reshape(1, 1, 2, 1)
    grid = image_grid(images, scale=2, padding=0)
    assert grid[:, :, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 8, 8, 1), (8 * 65 + 1, 8 * 65 + 1, 1)),  # magnified 8 times
        ((10, 28, 28, 1), (3 * 57 + 1, 4 * 57 + 1, 1)),  # magnified twice; 3 rows of 4
        ((4, 24, 24, 3), (2 * 73 + 1, 2 * 73 + 1, 3)),
        ((4, 32, 48, 3), (2 * 33 + 1, 2 * 49 + 1, 3)),
        ((1, 128, 128, 3), (130, 130, 3)),
    ],
)
def test_image_grid_magnifies_small_images(shape, expected):
    assert image_grid(np.zeros(shape, np.uint8)).shape == expected


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_rgba_pictures_are_read_back_unchanged(suffix, tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (2, 4, 4, 4), np.uint8)
    images[0, 0, 0] = 1, 2, 3, 0  # a color that is not seen
    grid = image_grid(images, columns=2, scale=1, padding=1)
    assert grid.shape == (6, 11, 4)
    np.testing.assert_array_equal(grid[1:5, 1:5], images[0])
    np.testing.assert_array_equal(grid[0], 255)
    save_picture(tmp_path / f"x.{suffix}", grid)
    with Image.open(tmp_path / f"x.{suffix}") as picture:
        assert picture.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(picture), grid)


def test_image_grid_rejects_other_arrays():
    for images in (np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 2), np.uint8)):
        with pytest.raises(ValueError, match=r"must be uint8\[n, H, W, 1, 3 or 4\]"):
            image_grid(images)
    with pytest.raises(ValueError, match="no images"):
        image_grid(np.zeros((0, 2, 2, 1), np.uint8))


# --- points


def test_scatter_image_places_points():
    # The real points span 4 by 4 around the origin, 6 by 6 with the margin.
    real = np.array([[-2.0, -2.0], [2.0, 2.0]])
    fake = np.array([[-2.0, 2.0], [1e30, 0.0]])
    picture = scatter_image(fake, real, size=60)
    assert picture.shape == (60, 60, 3)
    assert picture.dtype == np.uint8
    # Ten pixels per unit: x = -2 is column 10, y = 2 is ten pixels from the top.
    blue, orange = [102, 170, 209], [230, 158, 102]
    assert picture[60 - 1 - 10, 10].tolist() == blue
    assert picture[60 - 1 - 50, 50].tolist() == blue
    assert picture[60 - 1 - 50, 10].tolist() == orange
    assert picture[60 - 1 - 50, 9].tolist() == orange
    assert picture[60 - 1 - 50, 12].tolist() == [255, 255, 255]
    assert (picture[60 - 1 - 30, 59] != 255).any()  # outside, drawn at the edge
    assert (picture != 255).any(axis=2).sum() <= 4 * 5


def test_scatter_image_draws_fakes_on_top():
    origin = np.zeros((1, 2))
    one = scatter_image(origin, origin, size=9)[4, 4].astype(int)
    many = scatter_image(origin.repeat(50, 0), origin, size=9)[4, 4]
    assert one[0] > one[2]
    assert many.tolist() == [213, 94, 0]


@pytest.mark.parametrize("side", ["fake", "real"])
def test_scatter_image_rejects_invalid_points(side):
    good = np.zeros((3, 2))
    for bad, sentence in [
        (np.zeros((3, 3)), rf"the {side} points are \[3, 3\]"),
        (np.full((3, 2), np.inf), f"the {side} points have values that are not finite"),
    ]:
        pair = (bad, good) if side == "fake" else (good, bad)
        with pytest.raises(ValueError, match=sentence):
            scatter_image(*pair)


# --- PNG


@pytest.mark.parametrize("channels", [1, 3])
def test_png_has_the_exact_pixels(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    path = tmp_path / "new" / "a.png"
    save_png(path, np.zeros_like(image))
    save_png(path, image)
    with Image.open(path) as found:
        assert found.mode == ("L" if channels == 1 else "RGB")
        np.testing.assert_array_equal(np.array(found).reshape(image.shape), image)
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
    with pytest.raises(ValueError, match=r"float64\[5, 7, 1\]; it must be"):
        save_png(path, np.zeros((5, 7, 1)))


# --- metrics.jsonl


def strictly(line: str):
    def refuse(word):
        raise AssertionError(word)

    return json.loads(line, parse_constant=refuse)


def lines_of(path):
    return [strictly(line) for line in path.read_text().splitlines()]


def test_json_lines_are_written_immediately_as_strict_json(tmp_path):
    path = tmp_path / "new" / "metrics.jsonl"
    lines = JsonLines(path)
    lines.write(
        3,
        {
            "a/b": jnp.float32(0.5),
            "nan": float("nan"),
            "inf": np.float32(-np.inf),
            "count": np.int64(7),
            "nested": {"list": [1.5, float("inf")], "text": "two\nlines", "yes": True},
            "none": None,
        },
    )
    assert lines_of(path) == [
        {
            "step": 3,
            "a/b": 0.5,
            "nan": None,
            "inf": None,
            "count": 7,
            "nested": {"list": [1.5, None], "text": "two\nlines", "yes": True},
            "none": None,
        }
    ]
    lines.close()


def test_incomplete_line_is_removed_when_opening(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "x": 0.')
    lines = JsonLines(path)
    lines.write(2, {"x": 0.25})
    lines.close()
    assert lines_of(path) == [{"step": 1}, {"step": 2, "x": 0.25}]


def test_file_with_one_incomplete_line_is_emptied(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"st')
    JsonLines(path).close()
    assert path.read_bytes() == b""


def test_lines_after_an_incomplete_one_are_whole(tmp_path):
    path, half = tmp_path / "evaluations.jsonl", b'{"step": 2, "x": 0.'
    path.write_bytes(b'{"step": 1}\n' + half)
    lines = JsonLines(path, mend=False)
    lines.write(3, {"x": 1.0}, {"x": 2.0})
    with path.open("ab") as other:  # a process that is killed while it writes
        other.write(half)
    lines.write(4, {})
    lines.write(5, {})
    lines.close()
    assert path.read_bytes().splitlines() == [
        b'{"step": 1}',
        half,
        b'{"step": 3, "x": 1.0}',
        b'{"step": 3, "x": 2.0}',
        half,
        b'{"step": 4}',
        b'{"step": 5}',
    ]
    assert [line["step"] for line in read_lines(path)] == [1, 3, 3, 4, 5]


def test_lines_without_a_step_are_not_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert list(read_lines(path)) == []
    path.write_bytes(
        b'{"step": 7}\n\n\xff\n[1]\n{}\n{"step": null}\n{"step": 1.5}\n'
        b'{"step": 4294967296}\n{"step": 8, "x": "\xe2\x80\xa8"}\n{"step": 9, "x'
    )
    assert list(read_lines(path)) == [{"step": 7}, {"step": 8, "x": "\u2028"}]


def test_truncate_after_drops_later_steps_and_invalid_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    for step in (10, 20, 30, 40):
        lines.write(step, {"x": step / 2})
    with path.open("a") as file:
        file.write('\0\0\0\n[1]\n{"step": null}\n{"step": Infinity}\n')
    assert lines.truncate_after(20) == 6
    assert lines.truncate_after(20) == 0
    lines.write(21, {"x": 1.0})
    lines.close()
    assert [line["step"] for line in lines_of(path)] == [10, 20, 21]
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_json_lines_survive_sigkill(tmp_path):
    path = tmp_path / "metrics.jsonl"
    code = (
        "import os, signal, sys\nfrom wgan_jax.io.loggers import JsonLines\n"
        "lines = JsonLines(sys.argv[1])\nlines.write(1, {'x': 2.0})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=60)
    assert lines_of(path) == [{"step": 1, "x": 2.0}]


# --- TensorBoard


def events_of(directory):
    """Yields events. A record is a length (8), its CRC (4), an event, its CRC (4)."""
    for path in sorted(directory.iterdir()):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            yield Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]


def test_tensorboard_writes_scalars_and_images(tmp_path):
    board = TensorBoard(tmp_path / "board", purge_step=5)
    board.scalars(5, {"critic/penalty": jnp.float32(0.25), "x": 2})
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    board.image(6, "samples", picture)
    board.image(6, "grey", picture[:, :, :1])
    board.close()
    events = list(events_of(tmp_path / "board"))
    assert [e.step for e in events if e.HasField("session_log")] == [5]
    values = [(e.step, v) for e in events for v in e.summary.value]
    scalars = {v.tag: (s, v.simple_value) for s, v in values if not v.image.width}
    assert scalars == {"critic/penalty": (5, 0.25), "x": (5, 2.0)}
    images = {v.tag: v.image.encoded_image_string for _, v in values if v.image.width}
    for name, want in [("samples", picture), ("grey", picture[:, :, :1])]:
        with Image.open(io.BytesIO(images[name])) as found:
            pixels = np.array(found.convert("RGB"))
        np.testing.assert_array_equal(pixels, np.broadcast_to(want, pixels.shape))


# --- progress


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(loggers, "time", clock)
    return clock


def run(progress, clock, *, until, since=0, seconds=1.0):
    for step in range(since + 1, until + 1):
        clock.now += seconds
        progress.update(
            step,
            images=320,
            gap=1.25,
            gap_name="Wasserstein estimate",
            gradient_norm=0.5,
        )


def test_progress_logs_every_ten_seconds_and_at_the_end(clock):
    stream = io.StringIO()
    progress = Progress(125, 100, stream=stream)
    run(progress, clock, since=100, until=125)
    lines = stream.getvalue().splitlines()
    progress.close()
    assert lines == [
        f"Iteration {step} of 125, 0:00:{left:02} left: 1 iterations/s, 320 images/s, "
        "Wasserstein estimate 1.25, gradient norm 0.5."
        for step, left in [(110, 15), (120, 5), (125, 0)]
    ]


def test_progress_speed_is_since_the_last_line(clock):
    stream = io.StringIO()
    progress = Progress(10_000, 0, stream=stream)
    run(progress, clock, until=10, seconds=1.0)
    run(progress, clock, since=10, until=50, seconds=0.25)
    first, second = stream.getvalue().splitlines()
    assert "2:46:30 left: 1 iterations/s, 320 images/s" in first
    assert "0:41:28 left: 4 iterations/s, 1280 images/s" in second
    progress.close()
    assert len(stream.getvalue().splitlines()) == 2


def test_progress_reports_an_early_end_once(clock):
    stream = io.StringIO()
    progress = Progress(1000, 0, stream=stream)
    run(progress, clock, until=3)
    progress.event("Stopped.")
    progress.close()
    progress.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Stopped."
    assert lines[1].startswith("Iteration 3 of 1000, ")
    assert len(lines) == 2


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_bar_is_not_broken_by_events(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    progress = Progress(20, 10, stream=terminal)
    run(progress, clock, since=10, until=15)
    progress.event("Iteration 15: checkpoint.")
    run(progress, clock, since=15, until=20)
    progress.close()
    text = terminal.getvalue()
    assert "15/20" in text
    assert re.search(r"20/20 .*320 images/s, W 1\.25, \|grad\| 0\.5\]", text)
    assert text.count("\n") == 2  # one after the event, one after the bar
    # The bar is erased before the event and redrawn after it.
    before, after = text.split("Iteration 15: checkpoint.\n")
    assert before.endswith("\r")
    assert set(before.rsplit("\r", 2)[1]) == {" "}
    assert "15/20" in after


def test_progress_uses_standard_error_by_default(capsys, clock):
    progress = Progress(1, 0)
    run(progress, clock, until=1)
    progress.close()
    assert capsys.readouterr().err.startswith("Iteration 1 of 1, ")


def test_stages_show_one_bar_each_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    stages = Stages(stream=terminal)
    for part, total in (("features", 200), ("measures", 3)):
        for done in range(1, total + 1):
            monkeypatch.setattr(stages._bar or stages, "last_print_t", 0.0, False)
            stages.update(part, done, total)
    stages.close()
    text = terminal.getvalue()
    drawn = re.findall(r"(\w+): +(\d+)%\|[^|]*\| (\d+)/(\d+)", text)
    assert [m for m in drawn if m[2] == "0"] == [
        ("features", "0", "0", "200"),
        ("measures", "0", "0", "3"),
    ]
    assert ("features", "100", "200", "200") in drawn
    assert ("measures", "100", "3", "3") in drawn
    assert "it/s" not in text


def test_stages_print_lines_without_a_terminal(clock):
    stream = io.StringIO()
    stages = Stages(stream=stream)
    for done in range(1, 31):
        clock.now += 1.0
        stages.update("features", done, 30)
    stages.close()
    assert stream.getvalue().splitlines() == [
        "features: 10 of 30",
        "features: 20 of 30",
        "features: 30 of 30",
    ]
