"""``wgan-jax data``: looks through one's own pictures."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from wgan_jax.data.inspection import Inspection, inspect_pictures
from wgan_jax.errors import ConfigError, choices
from wgan_jax.io.images import image_grid, save_png
from wgan_jax.program.help import FOLDER
from wgan_jax.program.setup import Log

COMMANDS = ("inspect",)
_LISTED = 5  # names or sizes in one line


def data_command(arguments: Sequence[str], *, log: Log) -> int:
    """Runs ``data inspect PATH [--output=FILE.png]``.

    Args:
        arguments: the arguments after ``data``.
        log: function that prints one line.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if the arguments are not as above.
        DataError: if the pictures cannot be read.
    """
    named = [a for a in arguments if not a.startswith("--")]
    flags = [a for a in arguments if a.startswith("--")]
    output = None
    for flag in flags:
        name, _, value = flag.partition("=")
        if name != "--output" or not value:
            raise ConfigError(
                f"{flag!r} is not an option of data; {choices(['--output=FILE.png'])}."
            )
        output = Path(value)
    if not named:
        raise ConfigError(f"data needs a command; {choices(COMMANDS)}.")
    if named[0] not in COMMANDS:
        raise ConfigError(f"{named[0]!r} is not a command; {choices(COMMANDS)}.")
    if len(named) != 2:
        raise ConfigError("data inspect needs one PATH: a folder, or an archive.")
    path = Path(named[1]).expanduser()
    found = inspect_pictures(path)
    for line in described(found):
        log(line)
    if not found.headers:
        return 0
    sheet = output or FOLDER / "data" / f"{path.resolve().stem}.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    save_png(sheet, image_grid(found.sheet, scale=1, padding=2))
    log(f"Contact sheet of {len(found.sheet)} pictures: {sheet}")
    return 0


def described(found: Inspection) -> list[str]:
    """Returns the lines that are printed."""
    total = len(found.headers) + len(found.unreadable)
    lines = [f"{found.path}: {total:,} pictures"]
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
            lines += [f"    {name}" for name in _short(names)]
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
    shown = [f"{value} ({count:,})" for value, count in counts.most_common(_LISTED)]
    left = len(counts) - len(shown)
    return ", ".join(shown) + (f", and {left:,} others" if left > 0 else "")


def _short(names: Sequence[str]) -> list[str]:
    left = len(names) - _LISTED
    return [*names[:_LISTED], *([f"and {left:,} others"] if left > 0 else [])]
