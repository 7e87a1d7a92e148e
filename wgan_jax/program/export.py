"""``--mode=export``: a trained generator in formats that run elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wgan_jax import zoo
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ConfigError, choices
from wgan_jax.export.bundle import DTYPES, FORMATS, export_generator
from wgan_jax.export.page import find_runtime, read_runtime
from wgan_jax.program.console import Log, finish
from wgan_jax.program.trained import read_texts, trained_generator
from wgan_jax.program.workdir import Workdir


def export(
    config: Config,
    workdir: Workdir,
    *,
    command: str,
    log: Log,
    checkpoint: str = "latest",
    weights: str | None = None,
    formats: str | None = None,
    dtype: str = "float32",
    card: str | None = None,
    output: str | None = None,
    page: str | None = None,
) -> int:
    """Exports the generator of a run.

    Args:
        config: config of the run.
        workdir: folder of the run.
        command: command line, stored in the card.
        log: function that prints one line.
        checkpoint: ``latest``, ``best`` or an iteration.
        weights: ``ema`` or ``live``; None for the EMA if there is one.
        formats: names of formats, separated by commas; None for all.
        dtype: dtype of the images of StableHLO programs.
        card: JSON file with texts of the model card.
        output: new folder; None for one in the folder of the run.
        page: the npm package onnxruntime-web, or "" for that in the current
            folder, to write a page for browsers; None for no page.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if an option is invalid.
        ExportError: if the generator cannot be exported; nothing is written.
        CheckpointError: if no suitable checkpoint exists.
        WorkdirError: if the folder does not belong to this run.
    """
    chosen, runtime = _checked(formats, dtype), _runtime(page)
    texts = read_texts(Path(card)) if card else {}
    generator, step, kind = trained_generator(
        resolve(config),
        workdir,
        checkpoint=checkpoint,
        weights=weights,
        texts=texts,
        log=log,
    )
    generator = replace(generator, card=generator.card | {"exported_with": command})
    folder = workdir.path / "export" / f"step_{step:08d}_{kind}"
    folder = Path(output) if output else folder
    return _write(generator, folder, chosen, dtype, runtime, log)


def export_pretrained(
    name: str,
    *,
    folder: Path,
    log: Log,
    formats: str | None = None,
    dtype: str = "float32",
    page: str | None = None,
) -> int:
    """Exports a trained generator that comes with the package.

    Args:
        name: one of ``zoo.names()``, or an exported folder.
        folder: new folder.
        log: function that prints one line.
        formats: as for ``export``.
        dtype: as for ``export``.
        page: as for ``export``.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if the name or an option is invalid.
        ExportError: as for ``export``.
    """
    chosen, runtime = _checked(formats, dtype), _runtime(page)
    generator = as_config_error(zoo.load, name)
    return _write(generator, folder, chosen, dtype, runtime, log)


def _checked(formats: str | None, dtype: str) -> Sequence[str]:
    """Returns the names of the formats; raises ConfigError for invalid options."""
    chosen = FORMATS if formats is None else tuple(formats.split(","))
    for name in chosen:
        if name not in FORMATS:
            raise ConfigError(f"--formats has {name!r}; {choices(FORMATS)}.")
    if dtype not in DTYPES:
        raise ConfigError(f"--dtype is {dtype!r}; {choices(DTYPES)}.")
    return chosen


def _runtime(page: str | None) -> Mapping[str, bytes] | None:
    """Returns the files of onnxruntime-web, or None without a page."""
    if page is None:
        return None
    return read_runtime(Path(page) if page else find_runtime(Path()))


def _write(
    generator: zoo.Pretrained,
    folder: Path,
    formats: Sequence[str],
    dtype: str,
    runtime: Mapping[str, bytes] | None,
    log: Log,
) -> int:
    files = export_generator(
        generator, folder, formats=formats, dtype=dtype, runtime=runtime
    )
    finish(log, f"Exported the generator {generator.name} to {folder}:", folder)
    for path in files:
        log(f"  {path.relative_to(folder)!s:24} {path.stat().st_size:>12,} bytes")
    return 0
