"""``wgan-jax data``: inspects pictures and converts datasets."""

import argparse
import inspect
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from wgan_jax.config.rows import as_config_error
from wgan_jax.data.convertible import (
    Convertible,
    from_arrays,
    from_pictures,
    from_tfds,
)
from wgan_jax.data.converting import convert
from wgan_jax.data.folder import load_folder
from wgan_jax.data.inspection import Inspection, inspect_pictures
from wgan_jax.data.pictures import Conversion
from wgan_jax.errors import ConfigError, DataError, choices, printable
from wgan_jax.io.files import expanded
from wgan_jax.io.images import image_grid, save_png
from wgan_jax.program.console import Log, finish
from wgan_jax.program.help import FOLDER

COMMANDS = ("inspect", "convert")
TFDS = "tfds:"  # before the name of a tfds dataset
# The datasets that an option of ``data convert`` is for.
_ONLY = {
    "unreadable": "pictures",
    "data_dir": "tfds",
    "low": "arrays",
    "high": "arrays",
}
_TITLES = {
    "pictures": "pictures",
    "tfds": f"{TFDS}NAME",
    "arrays": ".npy and .npz files",
}
DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(load_folder).parameters.items()
}
_LISTED = 5  # names or sizes in one line
_SECONDS = 2.0  # between two lines of progress


def data_command(arguments: Sequence[str], *, log: Log) -> int:
    """Runs ``data inspect PATH`` or ``data convert DATASET FOLDER``.

    Args:
        arguments: the arguments after ``data``.
        log: function that prints one line.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if the arguments are invalid.
        DataError: if the images cannot be read or converted.
    """
    if not arguments or arguments[0].startswith("-"):
        raise ConfigError(f"data needs a command; {choices(COMMANDS)}.")
    command, *rest = arguments
    if command not in COMMANDS:
        raise ConfigError(f"{command!r} is not a command; {choices(COMMANDS)}.")
    parser = Parser(prog=f"data {command}", add_help=False, allow_abbrev=False)
    if command == "inspect":
        parser.add_argument("path", metavar="PATH", type=_local)
        parser.add_argument("--output", type=_file)
        return _inspect(parser.parse_args(rest), log)
    parser.add_argument("dataset", metavar="DATASET")
    parser.add_argument("folder", metavar="FOLDER", type=_local)
    for name in ("size", "channels"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("crop", "filter", "background"):
        parser.add_argument(f"--{name}", default=DEFAULTS[name])
    parser.add_argument("--unreadable")
    parser.add_argument("--data-dir", type=_given)
    for name in ("low", "high"):
        parser.add_argument(f"--{name}", type=float)
    try:
        return _convert(parser.parse_args(rest), log)
    except (ConfigError, DataError) as error:
        # Where training has a field of the config, this command has an option.
        text = str(error).replace("--config.dataset.data_dir", "--data-dir")
        raise type(error)(text.replace("--config.dataset.", "--")) from error


class Parser(argparse.ArgumentParser):
    """A parser whose errors are those of the program."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        raise ConfigError(f"{self.prog}: {message}.")


def _file(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; it must be a file")
    return _local(text)


def _given(text: str) -> str:
    _local(text)
    return text


def _local(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; it must be a path")
    try:
        return expanded(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from error


def _inspect(options: argparse.Namespace, log: Log) -> int:
    path = options.path
    found = inspect_pictures(path)
    for line in described(found):
        log(line)
    if not found.headers:
        return 0
    sheet = options.output or FOLDER / "data" / f"{path.resolve().stem}.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    save_png(sheet, image_grid(found.sheet, scale=1, padding=2))
    finish(log, f"Contact sheet of {len(found.sheet)} pictures: {sheet}", sheet)
    return 0


def _convertible(options: argparse.Namespace) -> Convertible:
    """Returns what ``data convert`` converts."""
    name = options.dataset
    kind = "pictures"
    if name.startswith(TFDS):
        kind = "tfds"
    elif name.lower().endswith((".npy", ".npz")):
        kind = "arrays"
    given = {only: getattr(options, only) for only in _ONLY}
    given = {only: value for only, value in given.items() if value is not None}
    for only in given:
        if _ONLY[only] != kind:
            raise ConfigError(
                f"--{only.replace('_', '-')} is for {_TITLES[_ONLY[only]]}, but the "
                f"dataset is {name}."
            )
    form = {field.name: getattr(options, field.name) for field in fields(Conversion)}
    if kind == "tfds":
        return as_config_error(from_tfds, name.removeprefix(TFDS), **given | form)
    path = as_config_error(expanded, name)
    if kind == "arrays":
        return as_config_error(from_arrays, path, **given | form)
    if options.size is None:
        raise ConfigError("--size is not set; it is the side of the images in pixels.")
    unreadable = given.get("unreadable", "error")
    if unreadable not in ("error", "skip"):
        raise ConfigError(
            f"--unreadable is {unreadable!r}; {choices(['error', 'skip'])}."
        )
    form["channels"] = 3 if options.channels is None else options.channels
    conversion = as_config_error(Conversion, **form)
    return from_pictures(path, conversion=conversion, unreadable=unreadable)


def _convert(options: argparse.Namespace, log: Log) -> int:
    given = _convertible(options)
    began = told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS:
            told = time.monotonic()
            log(f"{done:,} of {total:,} images, {done / (told - began):,.0f}/s")

    folder, conversion = options.folder, given.conversion
    converted = convert(given, folder, progress=progress)
    skipped = len(converted.skipped)
    log(
        f"{len(converted.images):,} images of {conversion.size} pixels in {folder}, "
        f"{converted.images.nbytes / 2**20:,.0f} MiB"
        + (f"; {skipped:,} unreadable ones left out." if skipped else ".")
    )
    if converted.origin.splits is not None:
        parts = (f"{k} ({n:,})" for k, n in converted.origin.splits.items())
        log(f"Splits: {', '.join(parts)}.")
    chosen = {"path": str(folder), "size": conversion.size}
    chosen |= {
        name: getattr(conversion, name)
        for name in ("crop", "filter", "background")
        if getattr(conversion, name) != DEFAULTS[name]
    }
    overrides = [
        f"--config.dataset.{k}={shlex.quote(f'{v}')}" for k, v in chosen.items()
    ]
    finish(log, "To train on them:", folder)
    log("  wgan-jax train --config=folder_fast " + " ".join(overrides))
    return 0


def described(found: Inspection) -> list[str]:
    """Returns the lines that are printed."""
    total = len(found.headers) + len(found.unreadable)
    lines = [f"{printable(str(found.path))}: {total:,} pictures"]
    headers = list(found.headers.values())
    for title, values in (
        ("sizes", [f"{h.width} x {h.height}" for h in headers]),
        ("formats", [h.format for h in headers]),
        ("modes", [h.mode for h in headers]),
    ):
        if values:
            lines.append(f"  {title}: {_counted(Counter(values))}")
    if headers:
        sides = [min(h.width, h.height) for h in headers]
        square = sum(h.width == h.height for h in headers)
        lines.append(
            f"  shorter side: {min(sides)} to {max(sides)} pixels; {square:,} of "
            f"{len(headers):,} are square"
        )
    moving = [name for name, h in found.headers.items() if h.frames > 1]
    for title, names in (
        ("animated, of which the first frame is used", moving),
        ("unreadable", [f"{a} ({why})" for a, why in found.unreadable.items()]),
        ("copies", [" = ".join(_short(group)) for group in found.copies]),
    ):
        if names:
            lines.append(f"  {title}: {len(names):,}")
            lines += [f"    {printable(name)}" for name in _short(names)]
    if found.classes:
        counts = Counter(found.classes)
        lines.append(f"  classes: {len(counts)}; {_counted(counts)}")
    if found.others:
        lines.append(f"  other files, not read: {_counted(Counter(found.others))}")
    if headers:
        lines.append("To train on them:")
        fields = [
            f"--config.{k}={shlex.quote(v)}" for k, v in found.overrides().items()
        ]
        lines.append("  wgan-jax train --config=folder_fast " + " ".join(fields))
    return lines


def _counted(counts: Counter[str]) -> str:
    """Returns the most frequent values with their numbers."""
    shown = [
        f"{printable(value)} ({count:,})"
        for value, count in counts.most_common(_LISTED)
    ]
    left = len(counts) - len(shown)
    return ", ".join(shown) + (f", and {left:,} others" if left > 0 else "")


def _short(names: Sequence[str]) -> list[str]:
    left = len(names) - _LISTED
    return [*names[:_LISTED], *([f"and {left:,} others"] if left > 0 else [])]
