"""``wgan-jax data``: inspects and converts one's own pictures."""

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
from wgan_jax.data.converting import convert_pictures
from wgan_jax.data.files import expanded
from wgan_jax.data.folder import load_folder
from wgan_jax.data.inspection import Inspection, inspect_pictures
from wgan_jax.data.pictures import Conversion
from wgan_jax.errors import ConfigError, choices, printable
from wgan_jax.io.images import image_grid, save_png
from wgan_jax.program.help import FOLDER
from wgan_jax.program.setup import Log

COMMANDS = ("inspect", "convert")
DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(load_folder).parameters.items()
}
_LISTED = 5  # names or sizes in one line
_SECONDS = 2.0  # between two lines of progress


def data_command(arguments: Sequence[str], *, log: Log) -> int:
    """Runs ``data inspect PATH`` or ``data convert PATH FOLDER``.

    Args:
        arguments: the arguments after ``data``.
        log: function that prints one line.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if the arguments are invalid.
        DataError: if the pictures cannot be read or converted.
    """
    if not arguments or arguments[0].startswith("-"):
        raise ConfigError(f"data needs a command; {choices(COMMANDS)}.")
    command, *rest = arguments
    if command not in COMMANDS:
        raise ConfigError(f"{command!r} is not a command; {choices(COMMANDS)}.")
    parser = Parser(prog=f"data {command}", add_help=False, allow_abbrev=False)
    parser.add_argument("path", metavar="PATH", type=expanded)
    if command == "inspect":
        parser.add_argument("--output", type=_file)
        return _inspect(parser.parse_args(rest), log)
    parser.add_argument("folder", metavar="FOLDER", type=expanded)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--channels", type=int, default=3)
    for name in ("crop", "filter", "background", "unreadable"):
        parser.add_argument(f"--{name}", default=DEFAULTS[name])
    return _convert(parser.parse_args(rest), log)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are those of the program."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        raise ConfigError(f"{self.prog}: {message}.")


def _file(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; it must be a file")
    return Path(text)


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
    log(f"Contact sheet of {len(found.sheet)} pictures: {sheet}")
    return 0


def _convert(options: argparse.Namespace, log: Log) -> int:
    conversion = as_config_error(
        Conversion,
        **{field.name: getattr(options, field.name) for field in fields(Conversion)},
    )
    if options.unreadable not in ("error", "skip"):
        raise ConfigError(
            f"--unreadable is {options.unreadable!r}; {choices(['error', 'skip'])}."
        )
    began = told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS:
            told = time.monotonic()
            log(f"{done:,} of {total:,} pictures, {done / (told - began):,.0f}/s")

    folder = options.folder
    converted = convert_pictures(
        options.path,
        folder,
        conversion=conversion,
        unreadable=options.unreadable,
        progress=progress,
    )
    skipped = len(converted.skipped)
    log(
        f"{len(converted.images):,} pictures of {conversion.size} pixels in {folder}, "
        f"{converted.images.nbytes / 2**20:,.0f} MiB"
        + (f"; {skipped:,} unreadable ones left out." if skipped else ".")
    )
    chosen = {"path": str(folder), "size": conversion.size}
    chosen |= {
        name: getattr(conversion, name)
        for name in ("crop", "filter", "background")
        if getattr(conversion, name) != DEFAULTS[name]
    }
    overrides = [
        f"--config.dataset.{k}={shlex.quote(f'{v}')}" for k, v in chosen.items()
    ]
    log("To train on them:")
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
