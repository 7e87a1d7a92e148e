"""Reduces the pictures of runs to fit the size limit of a page."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wgan_jax.report.run import Run

_CHARACTERS = 1_900_000  # of all pictures in base64
_SIDES = (720, 512, 360, 240)  # pixels; the largest that allows enough pictures
_FRAMES_ENOUGH, _FRAMES_MOST = 8, 40  # of a series over time
_STILL_SHARE = 0.12  # fraction of a run's characters for each single picture
_WAYS: tuple[Mapping[str, Any], ...] = ({"quality": 72}, {"lossless": True})
_STEP = re.compile(r"step_(\d+)(_live)?\.png")
_REAL = "real.png"
STILLS = {
    "classes": (
        "Classes",
        "Each row shows samples of one class, and each column samples of one latent.",
    ),
    "interpolation": (
        "Interpolation",
        "Each row interpolates between two latents. With a good generator, the image "
        "changes gradually and never looks like two images blended together.",
    ),
    "neighbours": (
        "Nearest neighbors",
        "Each row shows a generated example, followed by the nearest real examples. "
        "If one of them is almost identical, the generator reproduces training "
        "examples.",
    ),
}


@dataclass(frozen=True)
class Picture:
    """One picture embedded in the page.

    Attributes:
        step: number of completed iterations when it was drawn.
        uri: the picture as a data URI.
        width: width in pixels.
        height: height in pixels.
        weights: weights that generated it, such as ``EMA weights``;
            may be empty.
    """

    step: int
    uri: str
    width: int
    height: int
    weights: str = ""


@dataclass(frozen=True)
class Album:
    """Pictures of one run.

    Attributes:
        frames: samples over time, by the weights that generated them.
        stills: latest picture of each available kind in ``STILLS``.
        real: real examples, arranged like the samples; or None.
    """

    frames: Mapping[str, Sequence[Picture]]
    stills: Mapping[str, Picture]
    real: Picture | None = None


def read_album(run: Run, *, runs: int) -> Album:
    """Reads the pictures of a run, within its share of the page.

    Args:
        run: the run.
        runs: number of runs that share the page.

    Returns:
        The album. Files that are not pictures are skipped, and long series are
        thinned evenly between the first and the last picture.
    """
    budget = _CHARACTERS / runs
    folder = run.path / "samples"
    stills = {}
    for kind in STILLS:
        pattern = re.compile(rf"{kind}_(\d+)\.png")
        names = ((pattern.fullmatch(p.name), p) for p in folder.glob(f"{kind}_*.png"))
        files = {int(match[1]): path for match, path in names if match}
        found = _series(files, _STILL_SHARE * budget, most=1)
        if found:
            stills[kind] = found[0]
            budget -= len(found[0].uri)
    real = _series({0: folder / _REAL}, _STILL_SHARE * budget, most=1)
    budget -= sum(len(picture.uri) for picture in real)
    averaged = "EMA weights" if _averages(run) else "live weights"
    series: dict[str, dict[int, Path]] = {averaged: {}, "live weights": {}}
    for path in folder.glob("step_*.png"):
        if match := _STEP.fullmatch(path.name):
            weights = "live weights" if match[2] else averaged
            series[weights][int(match[1])] = path
    kept = {weights: files for weights, files in series.items() if files}
    frames = {
        weights: _series(files, budget / len(kept), most=_FRAMES_MOST, weights=weights)
        for weights, files in kept.items()
    }
    kept_frames = {w: pictures for w, pictures in frames.items() if pictures}
    return Album(kept_frames, stills, real[0] if real else None)


def _series(
    files: Mapping[int, Path], budget: float, *, most: int, weights: str = ""
) -> list[Picture]:
    """Encodes a series, thinned evenly to fit the number of characters.

    With ``most=1``, the last picture is kept.
    """
    steps = sorted(files)
    # The size of the last readable picture is used as an estimate for all.
    last = next(((s, i) for s in reversed(steps) if (i := _open(files[s]))), None)
    if last is None:
        return []
    for side in _SIDES:
        # Magnified pixels compress better without loss, photographs with loss.
        tried = [(_encode(last[1], last[0], side, weights, way), way) for way in _WAYS]
        probe, way = min(tried, key=lambda pair: len(pair[0].uri))
        room = int(budget // len(probe.uri))
        if room >= min(_FRAMES_ENOUGH, most, len(steps)):
            break
    count = max(1, min(room, most, len(steps)))
    if count == 1:
        return [probe]
    opened = ((step, _open(files[step])) for step in _evenly(steps, count))
    pictures = read = [_encode(i, s, side, weights, way) for s, i in opened if i]
    # Early pictures may be larger than the estimate, because noise compresses badly.
    while len(pictures) > 1 and sum(len(p.uri) for p in pictures) > budget:
        pictures = _evenly(read, len(pictures) - 1)
    return pictures


def _evenly(items: list, count: int) -> list:
    """Returns ``count`` items: always the last and, if count > 1, also the first."""
    if count == 1:
        return items[-1:]
    places = np.rint(np.linspace(0, len(items) - 1, count)).astype(int)
    return [items[place] for place in places]


def _open(path: Path) -> Image.Image | None:
    """Returns the picture of a file on white, or None if it is not a picture."""
    try:
        with Image.open(path) as opened:
            if not opened.has_transparency_data:
                return opened.convert("RGB")
            white = Image.new("RGBA", opened.size, "white")
            return Image.alpha_composite(white, opened.convert("RGBA")).convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return None


def _encode(
    image: Image.Image, step: int, side: int, weights: str, way: Mapping[str, Any]
) -> Picture:
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    image.save(encoded, "WEBP", **way)
    text = base64.b64encode(encoded.getvalue()).decode()
    return Picture(step, f"data:image/webp;base64,{text}", *image.size, weights)


def _averages(run: Run) -> bool:
    """Returns whether the regular sample pictures show the generator's EMA."""
    names = ("training.ema_decay", "training.ema_half_life")
    return any(run.config.get(name) is not None for name in names)
