"""The flags of the mode ``sample`` that say what to draw."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wgan_jax.errors import ArchiveError, ConfigError, choices
from wgan_jax.io.caches import read_arrays
from wgan_jax.io.films import FILMS
from wgan_jax.program.help import DRAWING

FORMATS = ("grid", "npz", "png", "webp")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Samples to draw.

    Attributes:
        count: number of samples.
        seed: seed of the latents.
        formats: some of ``FORMATS``.
        labels: classes, used in turn; None for all classes in turn.
        truncation: bound of the latents, or None.
        latents: float32 ``[count, Z]``, or None to draw them.
        columns: samples from one end of an interpolation to the other, or None
            for independent samples.
        walk: format of a film along the latents, one of ``FILMS``, or None.
        project: pictures whose latents are searched for, or None.
    """

    count: int
    seed: int
    formats: tuple[str, ...] = ("grid", "npz")
    labels: tuple[int, ...] | None = None
    truncation: float | None = None
    latents: np.ndarray | None = None
    columns: int | None = None
    walk: str | None = None
    project: Path | None = None

    @property
    def title(self) -> str:
        """Part of the names of the files."""
        parts = ["latents" if self.latents is not None else f"seed{self.seed}"]
        if self.project is not None:
            parts.append(f"project_{self.project.stem}")
        elif self.columns is not None:
            parts.append(f"interpolation_{self.count}x{self.columns}")
        else:
            parts.append(f"{'walk_' if self.walk else ''}{self.count}")
        if self.labels is not None:
            text = "_".join(map(str, self.labels))
            parts.append(f"label{text}" if len(text) < 40 else "labels")
        if self.truncation is not None:
            parts.append(f"truncation{self.truncation:g}")
        return "_".join(parts)


def read_request(
    options: Mapping[str, str], *, count: int, seed: int, label: int | None
) -> Request:
    """Reads the flags of the command line.

    Args:
        options: values of the flags ``help.DRAWING`` by name.
        count: ``config.samples.count``.
        seed: ``config.samples.seed``.
        label: ``config.samples.label``.

    Raises:
        ConfigError: if a flag is invalid; the message names it.
        ArchiveError: if the file of latents is damaged.
    """
    request = Request(count=count, seed=seed)
    if label is not None:
        request = replace(request, labels=(label,))
    if "labels" in options:
        text = options["labels"]
        if not re.fullmatch(r"\d+(,\d+)*", text):
            raise ConfigError(
                f"--labels is {text!r}; it must be whole numbers separated by commas."
            )
        request = replace(request, labels=tuple(map(int, text.split(","))))
    if "truncation" in options:
        request = replace(request, truncation=_above_0(options["truncation"]))
    if "format" in options:
        formats = tuple(options["format"].split(","))
        for name in formats:
            if name not in FORMATS:
                raise ConfigError(f"--format has {name!r}; {choices(FORMATS)}.")
        request = replace(request, formats=formats)
    if "latents" in options:
        found, labels = _read_latents(Path(options["latents"]))
        request = replace(request, latents=found, count=len(found))
        if labels is not None and request.labels is None:
            request = replace(request, labels=labels)
    if "interpolate" in options:
        match = re.fullmatch(r"(\d+)x(\d+)", options["interpolate"])
        rows, columns = map(int, match.groups()) if match else (0, 0)
        if rows < 1 or columns < 2:
            raise ConfigError(
                f"--interpolate is {options['interpolate']!r}; it must be "
                "ROWSxCOLUMNS, such as 8x10, at least 1x2."
            )
        request = replace(request, count=rows, columns=columns)
    if "walk" in options:
        if options["walk"] not in FILMS:
            raise ConfigError(f"--walk is {options['walk']!r}; {choices(FILMS)}.")
        request = replace(request, walk=options["walk"])
    if "project" in options:
        request = replace(request, project=Path(options["project"]), labels=None)
    _check(request, options)
    return request


def suited(
    request: Request, options: Mapping[str, str], shape: tuple[int, ...]
) -> Request:
    """Returns the request for samples that cannot be drawn, as an array alone.

    Args:
        request: what to draw.
        options: as for ``read_request``.
        shape: shape of one sample.

    Raises:
        ConfigError: if a flag asks for pictures.
    """
    pictures = [name for name in ("walk", "project") if name in options]
    if "format" in options and request.formats != ("npz",):
        pictures.append("format")
    if pictures:
        raise ConfigError(
            f"--{pictures[0]}={options[pictures[0]]} needs images, but this generator "
            f"makes examples of shape {shape}; they can be written with --format=npz."
        )
    return replace(request, formats=("npz",))


def _above_0(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"--truncation is {text!r}; it must be a number above 0.")
    return value


def _read_latents(path: Path) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Returns the latents of a file, and their labels if it has some."""
    labels = None
    try:
        if path.suffix == ".npz":
            arrays = read_arrays(path)
            found = arrays["latents"] if "latents" in arrays else np.zeros(0)
            labels = arrays.get("labels")
        else:
            found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, ArchiveError) as error:
        raise ConfigError(f"--latents: {path} cannot be read ({error}).") from error
    numbers = np.issubdtype(found.dtype, np.floating) and np.isfinite(found).all()
    if found.ndim != 2 or not len(found) or not numbers:
        raise ConfigError(
            f"--latents: {path} has no array of finite floating-point numbers [n, Z]; "
            "an .npz file must have one named latents."
        )
    if labels is None:
        return found.astype(np.float32), None
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.shape != found.shape[:1] or labels.min() < 0:
        raise ConfigError(
            f"--latents: {path} has {len(found)} latents, but its labels are "
            f"{labels.dtype}{list(labels.shape)}; they must be a whole number at least "
            "0 for each."
        )
    return found.astype(np.float32), tuple(map(int, labels))


def _check(request: Request, options: Mapping[str, str]) -> None:
    """Raises ConfigError for flags that exclude each other."""
    pairs = [
        ("latents", "truncation"),
        ("interpolate", "walk"),
        ("walk", "format"),
        ("interpolate", "latents"),
        *(("project", other) for other in DRAWING[1:-1]),
    ]
    for first, second in pairs:
        if first in options and second in options:
            raise ConfigError(f"--{first} and --{second} cannot be combined.")
    if request.walk is not None and request.count < 2:
        raise ConfigError(
            "--walk needs at least 2 latents; set --config.samples.count."
        )
