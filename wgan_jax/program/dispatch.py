"""From the flags of a command line to the function of its mode."""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.loading import (
    ConfigFile,
    find_config,
    lineage,
    load_experiment,
    shipped_configs,
)
from wgan_jax.errors import ConfigError, WorkdirError, choices
from wgan_jax.memory import keep_freed_memory
from wgan_jax.parallel import multiprocess
from wgan_jax.program.console import Console
from wgan_jax.program.environment import (
    OF_FORK,
    OF_PRETRAINED,
    OF_RUN,
    use_compilation_cache,
    use_cpu_for_planning,
    use_switches,
)
from wgan_jax.program.flags import flags_of_mode, parse_flags
from wgan_jax.program.help import FOLDER


def run_mode(mode: str, rest: list[str], *, command: str, log: Console) -> int:
    """Runs a mode.

    Args:
        mode: name of the mode.
        rest: the command line without the program, the mode and the level.
        command: the whole command line, which runs record.
        log: prints one line.

    Returns:
        The exit code.

    Raises:
        ConfigError: if there is a mistake on the command line or in the config.
    """
    if mode == "data":
        from wgan_jax.program.data import data_command

        return data_command(rest, log=log)
    known, overrides = parse_flags(rest)
    options = flags_of_mode(mode, known)
    folders = [Path(folder) for folder in known.workdir]
    if mode == "report":
        return _report(known, folders, overrides, options, log)
    if known.pretrained is not None:
        return _pretrained(
            mode, known, folders, overrides, options, command=command, log=log
        )
    experiment, config, file = _config(mode, known, folders, overrides)
    if mode == "plan":
        return _plan(experiment, folders, options, log)
    if len(folders) > 1:
        raise ConfigError(
            f"--mode={mode} takes one --workdir, but {len(folders)} were given."
        )
    folder = folders[0] if folders else FOLDER / file.title
    if mode == "train":
        options["lineage"] = lineage(file, config)
    return _work(mode, experiment, folder, options, command=command, log=log)


def _config(
    mode: str,
    known: argparse.Namespace,
    folders: list[Path],
    overrides: list[tuple[str, str]],
) -> tuple[ExperimentConfig, Any, ConfigFile]:
    """Returns the experiment, the config with its overrides, and the config file."""
    if known.config is not None:
        file = find_config(known.config)
    elif mode == "train" and known.fork is not None:
        file = _config_of_run(Path(known.fork), f"--fork={known.fork}")
        if not folders:
            raise ConfigError("--fork needs --workdir=DIR, the folder of the new run.")
    elif folders and (mode not in ("train", "plan") or known.debug_nans):
        file = _config_of_run(folders[0], str(folders[0]))
    else:
        also = "" if mode in ("train", "plan") else " or --workdir=RUN"
        raise ConfigError(
            f"--config=NAME{also} is missing; {choices(shipped_configs())}."
        )
    from wgan_jax.program.setup import check_all

    # Modes that only read a run do not divide its batches among the devices.
    check = partial(check_all, trains=mode in ("train", "plan"))
    return *load_experiment(file, overrides, check=check), file


def _config_of_run(folder: Path, title: str) -> ConfigFile:
    path = folder / "config.json"
    if not path.is_file():
        raise WorkdirError(
            f"{title} is not the folder of a run: it has no config.json."
        )
    return ConfigFile(path)


def _report(
    known: argparse.Namespace,
    folders: list[Path],
    overrides: list[tuple[str, str]],
    options: dict[str, Any],
    log: Console,
) -> int:
    from wgan_jax.program.report import report

    if known.config is not None:
        _, _, file = _config("report", known, folders, overrides)
        folders = folders or [FOLDER / file.title]
    elif not folders:
        raise ConfigError("--mode=report needs --workdir=DIR, repeated for each run.")
    elif overrides:
        raise ConfigError(f"--config.{overrides[0][0]} needs --config=NAME.")
    return report(folders, log=log, **options)


def _plan(
    config: ExperimentConfig,
    folders: list[Path],
    options: dict[str, Any],
    log: Console,
) -> int:
    from wgan_jax.program.plan import plan

    if folders:
        raise ConfigError("--workdir is not read by --mode=plan; leave it out.")
    use_cpu_for_planning()
    return plan(config, log=log, **options)


def _pretrained(
    mode: str,
    known: argparse.Namespace,
    folders: list[Path],
    overrides: list[tuple[str, str]],
    options: dict[str, Any],
    *,
    command: str,
    log: Console,
) -> int:
    """Samples from, or exports, a generator that is not in the folder of a run."""
    from wgan_jax.program.export import export_pretrained
    from wgan_jax.program.pretrained import sample_pretrained
    from wgan_jax.program.workdir import SWITCHES

    for name in ("config", "checkpoint", "weights", "card"):
        if getattr(known, name) is not None:
            raise ConfigError(f"--{name} and --pretrained cannot be combined.")
    if len(folders) > 1:
        raise ConfigError(
            f"--pretrained takes one --workdir, but {len(folders)} were given."
        )
    use_switches(SWITCHES, log=log, reason=OF_PRETRAINED)
    use_compilation_cache(log=log)
    name = options.pop("pretrained")
    if mode == "sample":
        output = options.pop("output", None)
        if output is not None and folders:
            raise ConfigError("--workdir and --output cannot be combined here.")
        folder = folders[0] if folders else Path(output or FOLDER / "pretrained")
        return sample_pretrained(
            name,
            overrides,
            folder=folder,
            command=command,
            log=log,
            **options,
        )
    if overrides:
        raise ConfigError(
            f"--config.{overrides[0][0]} and --pretrained cannot be combined."
        )
    if folders:
        raise ConfigError(
            "--workdir and --pretrained cannot be combined; use --output."
        )
    title = Path(name).resolve().name if os.sep in name else name
    output = options.pop("output", None) or FOLDER / "pretrained" / title
    return export_pretrained(name, folder=Path(output), log=log, **options)


def _work(
    mode: str,
    config: ExperimentConfig,
    folder: Path,
    options: dict[str, Any],
    *,
    command: str,
    log: Console,
) -> int:
    """Runs a mode that reads or writes the folder of a run."""
    from wgan_jax.program.workdir import Workdir

    workdir = Workdir(folder)
    _initialize(options.pop("distributed", "off"), log)
    _use_recorded_switches(folder, options.get("fork"), log)
    use_compilation_cache(log=log)
    keep_freed_memory()
    if options.pop("debug_nans", None):
        mode = "debug-nans"
    about = {"command": command, "log": log, **options}
    return _functions()[mode](config, workdir, **about)


def _use_recorded_switches(folder: Path, fork: str | None, log: Console) -> None:
    """Sets the switches of JAX of a run, or of the run that a new one forks."""
    from wgan_jax.program.workdir import Workdir

    workdir, reason = Workdir(folder), OF_RUN
    if fork is not None and not workdir.config.exists():
        # The state of that run goes on, so its draws do, too.
        workdir, reason = Workdir(fork), OF_FORK
    use_switches(workdir.switches(), log=log, reason=reason)


def _functions() -> dict[str, Callable[..., int]]:
    from wgan_jax.program.debugging import debug_nans
    from wgan_jax.program.evaluate import evaluate
    from wgan_jax.program.export import export
    from wgan_jax.program.sample import sample
    from wgan_jax.program.train import train

    return {
        "train": train,
        "debug-nans": debug_nans,
        "sample": sample,
        "evaluate": evaluate,
        "export": export,
    }


def _initialize(how: str, log: Console) -> None:
    if how != "off":
        log(
            f"Connecting to the other processes of --distributed={how}, for at most "
            f"{multiprocess.INITIALIZATION_SECONDS} s."
        )
    multiprocess.initialize(how)
