"""``--mode=evaluate``: evaluates a checkpoint, or a file of examples."""

import json
from pathlib import Path

import numpy as np

from wgan_jax.config.build import build_source
from wgan_jax.config.evaluation import build_evaluator
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ArchiveError, ConfigError
from wgan_jax.evaluation import Comparison, Evaluator
from wgan_jax.io.caches import read_arrays
from wgan_jax.io.files import write_text
from wgan_jax.io.images import are_images, check_range, to_uint8
from wgan_jax.io.loggers import JsonLines, Stages
from wgan_jax.program.console import Log, finish, is_quiet
from wgan_jax.program.periodic_evaluation import record
from wgan_jax.program.restoring import restore_checkpoint
from wgan_jax.program.scoring import Examined, draw_pictures, examine
from wgan_jax.program.setup import prepare
from wgan_jax.program.workdir import Workdir, reference_cache


def evaluate(
    config: Config,
    workdir: Workdir,
    *,
    command: str,
    log: Log,
    checkpoint: str = "latest",
    images: str | None = None,
    output: str | None = None,
) -> int:
    """Evaluates samples of a run's generator, or the examples in a file.

    For a run, appends to ``evaluations.jsonl`` and draws interpolations and
    nearest neighbors. For a file, writes ``<stem>.evaluation.json`` next to it,
    unless that exists.

    Args:
        config: config of the run, or any config with the dataset and
            ``evaluation`` to use for a file.
        workdir: folder of the run.
        command: command line, stored in the record of a file.
        log: function that prints one line.
        checkpoint: ``latest``, ``best`` or an iteration.
        images: path of an ``.npz`` file with an array ``images``, as written by
            ``--mode=sample``. Images are uint8 or in [-1, 1]. If None, the run is
            evaluated.
        output: path of the record of a file, instead of the one next to it.

    Returns:
        Exit code 0.

    Raises:
        ValueError: if there is a mistake in the config, the data or the file.
        WorkdirError: if the folder does not belong to this run.
        CheckpointError: if no suitable checkpoint exists.
    """
    config = resolve(config)
    if images is not None:
        if checkpoint != "latest":
            raise ConfigError(
                "--images and --checkpoint cannot be combined; use one of them."
            )
        path = Path(images)
        record_path = Path(output or path.with_name(f"{path.stem}.evaluation.json"))
        return _evaluate_file(config, path, record_path, command=command, log=log)
    if output is not None:
        raise ConfigError("--output needs --images in --mode=evaluate.")
    config = workdir.settled(config)
    workdir.check(config)
    experiment = prepare(config, log=log)
    evaluator = build_evaluator(config, experiment.source, cache=reference_cache())
    state, step = restore_checkpoint(workdir, experiment, checkpoint, log=log)
    stages, found = Stages(quiet=is_quiet(log)), []
    walk = examine(experiment, evaluator, state, stages=stages)
    try:
        while (examined := as_config_error(next, walk, None)) is not None:
            found.append(examined)
            name = " ".join([examined.run, examined.weights]).strip()
            stages.close()
            log(f"Iteration {step}, {name} weights, {examined.seconds:.0f} s:")
            log(_table(examined))
    finally:
        stages.close()
    draw_pictures(experiment, state, found[0].comparison, workdir.samples)
    # If the run is still training, its last line may be incomplete.
    lines = JsonLines(workdir.evaluations, mend=False)
    lines.write(step, *({"by": "evaluate"} | record(e) for e in found))
    lines.close()
    _say_limits(evaluator, found[0].comparison, has_model=True, log=log)
    has_pictures = are_images(experiment.source.example_shape)
    also = f"; pictures in {workdir.samples}" if has_pictures else ""
    finish(log, f"Written to {workdir.evaluations}{also}", workdir.evaluations)
    return 0


def _evaluate_file(
    config: ExperimentConfig, path: Path, kept: Path, *, command: str, log: Log
) -> int:
    examples = _read(path)
    if kept.is_dir():
        raise ConfigError(f"--output={kept} is a folder; it must be a file to write.")
    if kept.exists():
        raise ConfigError(
            f"{kept} exists; use another --output, or remove it to evaluate "
            f"{path.name} again."
        )
    if not kept.absolute().parent.is_dir():
        raise ConfigError(f"--output={kept} is in a folder that does not exist.")
    log(f"Loading the dataset {config.dataset.name}.")
    source = build_source(config)
    evaluator = build_evaluator(config, source, cache=reference_cache())
    stages = Stages(quiet=is_quiet(log))
    try:
        results, comparison = as_config_error(
            evaluator.evaluate, examples, advance=stages.update
        )
    finally:
        stages.close()
    examined = Examined("", path.name, results, comparison, 0.0)
    log(_table(examined))
    _say_limits(evaluator, comparison, has_model=False, log=log)
    about = {"file": path.name, "command": command}
    about["results"] = record(examined)["results"]
    write_text(kept, json.dumps(about, indent=2) + "\n")
    finish(log, f"Written to {kept}", kept)
    return 0


def _read(path: Path) -> np.ndarray:
    try:
        examples = read_arrays(path)["images"]
    except FileNotFoundError as error:
        raise ConfigError(f"--images={path} does not exist.") from error
    except (ArchiveError, KeyError) as error:
        raise ConfigError(
            f"--images={path} cannot be used; it must be an .npz with an array named "
            "images, as --mode=sample writes it."
        ) from error
    if examples.ndim == 4 and np.issubdtype(examples.dtype, np.floating):
        try:
            check_range(examples)
            return to_uint8(examples)
        except ValueError as error:
            raise ConfigError(f"--images={path}: {error}") from error
    return examples


def _table(examined: Examined) -> str:
    rows = []
    for result in examined.results:
        spread = "" if result.deviation is None else f" +- {result.deviation:.3g}"
        p = result.protocol
        rows.append(
            f"  {p.metric:34s} {result.value:.6g}{spread}  ({p.features}; "
            f"{p.fake_count} against {p.real_count} of {p.split})"
        )
    return "\n".join(rows)


def _say_limits(
    evaluator: Evaluator, comparison: Comparison | None, *, has_model: bool, log: Log
) -> None:
    if comparison is None:
        return
    count, size = len(comparison.fake.values), comparison.fake.values.shape[1]
    if "frechet" in evaluator.measures and count < size:
        log(
            f"The Frechet distance of {count} examples with {size} features is "
            f"strongly biased upwards; compare it only with that of {count} examples."
        )
    for name, needed in evaluator.lacking(has_model=has_model).items():
        log(f"Not measured: {name}, which needs {needed}.")
