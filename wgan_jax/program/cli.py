"""Command line of ``wgan-jax``, ``python -m wgan_jax`` and ``python launch.py``.

This module parses flags and overrides, loads the config, runs one mode, and
converts errors that users can fix into a message and exit status 2. Each mode is
implemented in the module with its name.
"""

import argparse
import contextlib
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax

import wgan_jax
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.loading import (
    find_config,
    lineage,
    load_experiment,
    shipped_configs,
    split_overrides,
)
from wgan_jax.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Diverged,
    ExportError,
    ReportError,
    WorkdirError,
    choices,
)
from wgan_jax.io.caches import cache_folder, private_folder
from wgan_jax.io.streams import lasting_output
from wgan_jax.memory import keep_freed_memory
from wgan_jax.parallel import multiprocess
from wgan_jax.planning.accelerators import prepare_environment
from wgan_jax.program.help import (
    FLAGS,
    FOLDER,
    MODES,
    OTHERS,
    PATHS,
    help_text,
    listed_configs,
    listed_fields,
)

USER_ERRORS = (ConfigError, DataError, ExportError, WorkdirError, ReportError)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one mode.

    Args:
        argv: command line, starting with the program. Defaults to ``sys.argv``.

    Returns:
        The exit status: 0 for success, 2 for a mistake of the user, 1 for a
        failed run.
    """
    argv = list(sys.argv if argv is None else argv)
    with contextlib.suppress(AttributeError):  # of a stream that is no file
        # As of stderr: names of files may have characters outside of the encoding.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with lasting_output():
        return _main(argv)


def _main(argv: list[str]) -> int:
    try:
        mode, rest = _mode(argv[1:])
        done = _information(mode, rest, _program(argv))
    except ConfigError as error:
        _complain(argv, str(error))
        return 2
    if done is not None:
        return done
    _ensure_home()
    try:
        code = _guarded(argv, mode or "train", rest)
    except Exception:
        if not multiprocess.is_shared():
            raise
        traceback.print_exc()
        code = 1
    return multiprocess.shutdown(code)


def _mode(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Returns the mode (None if it is not given) and the other arguments."""
    rest, found = list(arguments), list[str]()
    if rest and not rest[0].startswith("-"):
        found.append(rest.pop(0))
    for i, argument in reversed(list(enumerate(rest))):
        name, equals, value = argument.partition("=")
        if name == "--mode":
            if not equals and i + 1 < len(rest):
                value = rest.pop(i + 1)
            found.append(value)
            del rest[i]
    known = (*MODES, *OTHERS)
    for mode in found:
        if mode not in known:
            raise ConfigError(f"{mode or '--mode'!r} is not a mode; {choices(known)}.")
    return (found[0] if found else None), rest


def _information(mode: str | None, rest: list[str], program: str) -> int | None:
    """Prints help, the version or configs; returns None for any other command."""
    if "--version" in rest:
        print(f"wgan-jax {wgan_jax.__version__}")
    elif "-h" in rest or "--help" in rest:
        print(help_text(program, mode))
    elif mode == "configs":
        print("\n".join(listed_fields(rest[0]) if rest else listed_configs()))
    else:
        return None
    return 0


def _program(argv: list[str]) -> str:
    """Returns the program as it is called on a command line."""
    path = Path(argv[0])
    if path.name == "__main__.py":
        return "python -m wgan_jax"
    return f"python {path.name}" if path.suffix == ".py" else path.name


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}.")


def _parsed(rest: list[str]) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
    """Returns the flags, and the overrides as names and texts."""
    overrides, others = split_overrides(rest)
    parser = _Parser(add_help=False, allow_abbrev=False)
    special: dict[str, dict[str, Any]] = {
        "workdir": {"action": "append", "default": []},
        "profile": {"type": _above_0},
        "page": {"nargs": "?", "const": ""},
    }
    for name in FLAGS:
        if name != "config.FIELD":
            kind: dict[str, Any] = {"type": _path} if name in PATHS else {}
            parser.add_argument(f"--{name}", **kind, **special.get(name, {}))
    known, unknown = parser.parse_known_args(others)
    if unknown:
        flags = [f"--{name}" for name in FLAGS]
        raise ConfigError(f"{unknown[0]!r} is not an option; {choices(flags)}.")
    return known, overrides


def _path(text: str) -> str:
    """Returns a path with the home folder in place of ``~``.

    A shell replaces it only at the start of a word that is not quoted.
    """
    if not text.startswith("~"):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(
            f"{text} is not valid; the home folder is unknown"
        ) from error


def _above_0(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is not valid; it must be a whole number at least 1"
        )
    return int(text)


def _guarded(argv: list[str], mode: str, rest: list[str]) -> int:
    """Runs a mode, prints errors that users can fix, and returns the exit status."""
    try:
        return _run(argv, mode, rest)
    except USER_ERRORS as error:
        _complain(argv, str(error))
        return 2
    except CheckpointError as error:
        _complain(argv, str(error))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(2)  # Orbax's threads never exit after a failed write
    except OSError as error:  # a folder that is full, read-only or a file
        where = f"{error.filename}: " if error.filename else ""
        _complain(argv, f"{where}{error.strerror or error}.")
        return 2
    except Diverged as error:
        _complain(argv, str(error))
        return 1
    except jax.errors.JaxRuntimeError as error:
        if not multiprocess.is_shared():
            raise
        traceback.print_exc()
        _complain(
            argv,
            f"{str(error).splitlines()[0]}; if another process has failed, its log has "
            "the reason. Start all processes again to resume from the last checkpoint.",
        )
        return 1
    except KeyboardInterrupt:
        _complain(argv, "interrupted; progress since the last checkpoint is lost.")
        return 130


def _run(argv: list[str], mode: str, rest: list[str]) -> int:
    if mode == "data":
        from wgan_jax.program.data import data_command

        return data_command(rest, log=_log)
    known, overrides = _parsed(rest)
    options = _options(mode, known)
    folders = [Path(folder) for folder in known.workdir]
    if mode == "report":
        return _report(known, folders, overrides, options)
    if known.pretrained is not None:
        return _pretrained(argv, mode, known, folders, overrides, options)
    experiment, config, path = _config(mode, known, folders, overrides)
    if mode == "plan":
        return _plan(experiment, folders, options)
    if len(folders) > 1:
        raise ConfigError(
            f"--mode={mode} takes one --workdir, but {len(folders)} were given."
        )
    folder = folders[0] if folders else FOLDER / path.stem
    if mode == "train":
        options["lineage"] = lineage(path, config)
    return _work(argv, mode, experiment, folder, options)


def _config(
    mode: str,
    known: argparse.Namespace,
    folders: list[Path],
    overrides: list[tuple[str, str]],
) -> tuple[ExperimentConfig, Any, Path]:
    """Returns the experiment, the config with its overrides, and the config file."""
    if known.config is not None:
        path = find_config(known.config)
    elif mode == "train" and known.fork is not None:
        path = _config_of_run(Path(known.fork), f"--fork={known.fork}")
        if not folders:
            raise ConfigError("--fork needs --workdir=DIR, the folder of the new run.")
    elif mode not in ("train", "plan") and folders:
        path = _config_of_run(folders[0], str(folders[0]))
    else:
        also = "" if mode in ("train", "plan") else " or --workdir=RUN"
        raise ConfigError(
            f"--config=NAME{also} is missing; {choices(shipped_configs())}."
        )
    from wgan_jax.program.setup import check_all

    return *load_experiment(path, overrides, check=check_all), path


def _config_of_run(folder: Path, title: str) -> Path:
    path = folder / "config.json"
    if not path.is_file():
        raise WorkdirError(
            f"{title} is not the folder of a run: it has no config.json."
        )
    return path


def _options(mode: str, known: argparse.Namespace) -> dict[str, Any]:
    """Returns the flags of a mode; raises ConfigError for flags it does not read."""
    found = {}
    for name in FLAGS:
        if name in ("config", "config.FIELD", "workdir"):
            continue
        value = getattr(known, name)
        readers = [other for other, about in MODES.items() if name in about.options]
        if value is not None and mode not in readers:
            raise ConfigError(
                f"--{name} is not read by --mode={mode}; {choices(readers)}."
            )
        if value is not None:
            found[name] = value
    return found


def _report(
    known: argparse.Namespace,
    folders: list[Path],
    overrides: list[tuple[str, str]],
    options: dict[str, Any],
) -> int:
    from wgan_jax.program.report import report

    if known.config is not None:
        _, _, path = _config("report", known, folders, overrides)
        folders = folders or [FOLDER / path.stem]
    elif not folders:
        raise ConfigError("--mode=report needs --workdir=DIR, repeated for each run.")
    elif overrides:
        raise ConfigError(f"--config.{overrides[0][0]} needs --config=NAME.")
    return report(folders, log=_log, **options)


def _plan(
    config: ExperimentConfig, folders: list[Path], options: dict[str, Any]
) -> int:
    from wgan_jax.program.plan import plan

    if folders:
        raise ConfigError("--workdir is not read by --mode=plan; leave it out.")
    prepare_environment()
    jax.config.update("jax_platforms", "cpu")
    # The compile time is reported, and a cache hit would hide it.
    jax.config.update("jax_enable_compilation_cache", False)
    return plan(config, log=_log, **options)


def _pretrained(
    argv: list[str],
    mode: str,
    known: argparse.Namespace,
    folders: list[Path],
    overrides: list[tuple[str, str]],
    options: dict[str, Any],
) -> int:
    """Samples from, or exports, a generator that is not in the folder of a run."""
    from wgan_jax.program.export import export_pretrained
    from wgan_jax.program.pretrained import sample_pretrained

    for name in ("config", "checkpoint", "weights", "card"):
        if getattr(known, name) is not None:
            raise ConfigError(f"--{name} and --pretrained cannot be combined.")
    if len(folders) > 1:
        raise ConfigError(
            f"--pretrained takes one --workdir, but {len(folders)} were given."
        )
    _use_compilation_cache()
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
            command=_command(argv),
            log=_log,
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
    return export_pretrained(name, folder=Path(output), log=_log, **options)


def _work(
    argv: list[str],
    mode: str,
    config: ExperimentConfig,
    folder: Path,
    options: dict[str, Any],
) -> int:
    """Runs a mode that reads or writes the folder of a run."""
    from wgan_jax.program.workdir import Workdir

    workdir = Workdir(folder)
    _initialize(options.pop("distributed", "off"))
    _use_switches(workdir.switches())
    _use_compilation_cache()
    keep_freed_memory()
    about = {"command": _command(argv), "log": _log, **options}
    return _functions()[mode](config, workdir, **about)


def _functions() -> dict[str, Callable[..., int]]:
    from wgan_jax.program.evaluate import evaluate
    from wgan_jax.program.export import export
    from wgan_jax.program.sample import sample
    from wgan_jax.program.train import train

    return {"train": train, "sample": sample, "evaluate": evaluate, "export": export}


def _command(argv: list[str]) -> str:
    """Returns the command, without the path of an installed program."""
    return f"{_program(argv)} {shlex.join(argv[1:])}".strip()


def _initialize(how: str) -> None:
    if how != "off":
        _log(
            f"Connecting to the other processes of --distributed={how}, for at most "
            f"{multiprocess.INITIALIZATION_SECONDS} s."
        )
    multiprocess.initialize(how)


def _log(line: str) -> None:
    if multiprocess.is_primary():
        print(line, flush=True)


def _complain(argv: list[str], message: str) -> None:
    name = Path(argv[0]).name
    name = "wgan_jax" if name == "__main__.py" else name
    print(f"{name}: {multiprocess.process_label()}{message}", file=sys.stderr)


def _ensure_home() -> None:
    """Sets HOME if the user has no home directory; bokeh and tfds need one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(private_folder())


def _use_switches(recorded: dict[str, Any]) -> None:
    """Sets the switches of JAX that a run began with, whatever the environment says."""
    for name, value in recorded.items():
        now = getattr(jax.config, name, value)
        if now != value:
            _log(
                f"{name.upper()} is {now} here, but the run began with {value}, which "
                "is used. For another value, start a run in another --workdir."
            )
            jax.config.update(name, value)


def _use_compilation_cache() -> None:
    """Enables JAX's persistent compilation cache, so that later starts are faster."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    if not os.environ.get("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
