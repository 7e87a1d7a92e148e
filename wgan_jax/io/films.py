"""Short films of images: GIF, WebP and MP4."""

import io
from pathlib import Path

import numpy as np

from wgan_jax.errors import ConfigError
from wgan_jax.io.files import atomic_write
from wgan_jax.io.images import as_pillow, on_white

FILMS = ("gif", "webp", "mp4")
_SIDE = 256  # pixels; approximate side to which small images are magnified


def save_film(path: Path, frames: np.ndarray, *, rate: int) -> None:
    """Writes a film that starts again at its end.

    Args:
        path: path of the file; its suffix is one of ``FILMS``.
        frames: uint8 ``[n, H, W, 1, 3 or 4]``; RGBA is put on white.
        rate: frames per second.

    Raises:
        ConfigError: if it is an MP4 and the package av is missing.
        OSError: if the file cannot be written.
    """
    if frames.shape[3] == 4:
        frames = np.asarray(on_white(frames))
    scale = max(1, round(_SIDE / max(frames.shape[1:3])))
    large = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    content = _mp4(large, rate) if path.suffix == ".mp4" else _pillow(path, large, rate)
    with atomic_write(path) as stream:
        stream.write(content)


def _pillow(path: Path, frames: np.ndarray, rate: int) -> bytes:
    pictures = [as_pillow(frame) for frame in frames]
    stream = io.BytesIO()
    pictures[0].save(
        stream,
        path.suffix[1:].upper(),
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / rate),
        loop=0,
        lossless=True,  # of WebP
    )
    return stream.getvalue()


def _mp4(frames: np.ndarray, rate: int) -> bytes:
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "MP4 needs the package av; install it with pip install 'wgan-jax[video]', "
            "or use gif or webp."
        ) from error
    stream = io.BytesIO()
    # The codec needs even sides.
    odd = [(0, side % 2) for side in frames.shape[1:3]]
    frames = np.pad(frames, [(0, 0), *odd, (0, 0)], mode="edge")
    with av.open(stream, "w", format="mp4") as file:
        video = file.add_stream("h264", rate=rate)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt, video.options = "yuv420p", {"crf": "18"}
        for frame in frames:
            color = np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
            file.mux(video.encode(av.VideoFrame.from_ndarray(color, format="rgb24")))
        file.mux(video.encode(None))
    return stream.getvalue()
