"""Train, resume, sample, evaluate, report or plan a Wasserstein GAN.

    python launch.py --config=configs/digits_wgan_gp.py

Flags only: the logic is in wgan_jax/program/, one module a mode.
"""

import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags

from wgan_jax.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ReportError,
    WorkdirError,
    choices,
)
from wgan_jax.io.caches import cache_folder
from wgan_jax.memory import keep_freed_memory
from wgan_jax.parallel import multiprocess
from wgan_jax.planning.accelerators import prepare_environment
from wgan_jax.program.command_line import lineage, parse_flags, parsed_config
from wgan_jax.program.evaluate import evaluate
from wgan_jax.program.plan import plan
from wgan_jax.program.recorder import Diverged
from wgan_jax.program.report import report
from wgan_jax.program.sample import sample
from wgan_jax.program.train import train
from wgan_jax.program.workdir import Workdir

MODES: dict[str, Callable[..., int]] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "report": report,  # of folders, the others of a config and its folder
    "plan": plan,  # of a config alone
}
# Flags that some modes read, handed to these under their names.
OPTIONS = {
    "checkpoint": ("sample", "evaluate"),
    "images": ("evaluate",),
    "output": ("report", "plan"),
    "topology": ("plan",),
    "distributed": ("train",),
    "profile": ("train",),
}

config_flags.DEFINE_config_file("config", None, "the experiment's file")
MODE = flags.DEFINE_enum("mode", "train", list(MODES), "what to do")
WORKDIR = flags.DEFINE_multi_string(
    "workdir", None, "the run's folder [runs/<config>]; a report takes several"
)
flags.DEFINE_string("checkpoint", None, "latest, best or an iteration [latest]")
flags.DEFINE_string("images", None, "an .npz to evaluate in place of a run")
flags.DEFINE_string(
    "distributed", None, "auto, off or COORDINATOR,N,I: processes of one run [off]"
)
flags.DEFINE_integer(
    "profile", None, "iterations to trace, into profile/ of the run", lower_bound=1
)
flags.DEFINE_string(
    "output", None, "the report's file [report.html of the run]; a plan's, as JSON"
)
flags.DEFINE_string("topology", None, "the devices to plan for, such as v5e:2x4")


def main(argv: list[str]) -> int:
    """Runs one mode; returns 0, 2 after a user's mistake, 1 after a failed run."""
    if "--help" in argv:
        print(f"{__doc__}\n{flags.FLAGS.main_module_help()}")
        return 0
    try:
        code = _code(argv)
    except Exception:
        if not multiprocess.is_shared():
            raise
        traceback.print_exc()
        code = 1
    return multiprocess.shutdown(code)


def _code(argv: list[str]) -> int:
    """The exit code, after a sentence for whatever a user can do something about."""
    try:
        return _run(argv)
    except (ConfigError, DataError, WorkdirError, ReportError) as error:
        _complain(error)
        return 2
    except CheckpointError as error:
        _complain(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(2)  # Orbax's threads wait for ever after a failed write
    except OSError as error:  # a folder of the user's: full, read-only, a file
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}.")
        return 2
    except Diverged as error:
        _complain(error)
        return 1
    except jax.errors.JaxRuntimeError as error:
        if not multiprocess.is_shared():
            raise
        traceback.print_exc()
        _complain(
            f"{str(error).splitlines()[0]}; if another process has ended, its log "
            "says why; start all again, and they go on from the last checkpoint."
        )
        return 1
    except KeyboardInterrupt:
        _complain("interrupted, nothing was saved by this.")
        return 130


def _run(argv: list[str]) -> int:
    parse_flags(flags.FLAGS, argv)
    mode, options = MODE.value, _options()
    folders = [Path(folder) for folder in WORKDIR.value or ()]
    if mode == "report" and folders:  # what the runs wrote says all
        return report(folders, log=_say, **options)
    if mode == "report" and flags.FLAGS.config is None:
        raise ConfigError("--mode=report needs --workdir=DIR, once for each run.")
    config, path = parsed_config(flags.FLAGS, argv)
    if mode == "plan":
        return _plan(config, folders, options)
    folders = folders or [Path("runs", path.stem)]
    if mode == "report":
        return report(folders, log=_say, **options)
    if len(folders) > 1:
        raise ConfigError(f"--mode={mode} takes one --workdir, not {len(folders)}.")
    _initialize(options.pop("distributed", "off"))
    _use_compilation_cache()
    keep_freed_memory()
    about: dict[str, Any] = {
        "command": shlex.join(["python", *argv]),
        "say": _say,
        **options,
    }
    if mode == "train":
        about["lineage"] = lineage(path, config)
    return MODES[mode](config, Workdir(folders[0]), **about)


def _plan(config: Any, folders: list[Path], options: dict[str, Any]) -> int:
    if folders:
        raise ConfigError("--workdir is not read by --mode=plan; leave it out.")
    prepare_environment()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_compilation_cache", False)  # seconds of compiling
    return plan(config, log=_say, **options)


def _initialize(how: str) -> None:
    if how != "off":
        _say(
            f"Connecting to the other processes of --distributed={how}, for at most "
            f"{multiprocess.INITIALIZATION_SECONDS} s."
        )
    multiprocess.initialize(how)


def _options() -> dict[str, Any]:
    """The flags given that the mode reads; one that it does not read is refused."""
    found = {}
    for name, readers in OPTIONS.items():
        value = flags.FLAGS[name].value
        if value is not None and MODE.value not in readers:
            raise ConfigError(
                f"--{name} is not read by --mode={MODE.value}; {choices(readers)}."
            )
        if value is not None:
            found[name] = value
    return found


def _say(line: str) -> None:
    if multiprocess.is_primary():
        print(line, flush=True)


def _complain(about: object) -> None:
    print(f"launch.py: {multiprocess.process_label()}{about}", file=sys.stderr)


def _use_compilation_cache() -> None:
    """Lets a second start of the same experiment find its programs compiled."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    if not os.environ.get("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
