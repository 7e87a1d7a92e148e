"""Train, resume, sample, evaluate or report a Wasserstein GAN.

    python launch.py --config=configs/digits_wgan_gp.py

Flags only: the logic is in wgan_jax/program/, one module a mode.
"""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags

from wgan_jax.binding import ConfigError, choices
from wgan_jax.caches import cache_folder
from wgan_jax.checkpoint import CheckpointError
from wgan_jax.data import DataError
from wgan_jax.memory import keep_freed_memory
from wgan_jax.program.command_line import lineage, parse_flags, parsed_config
from wgan_jax.program.evaluate import evaluate
from wgan_jax.program.recorder import Diverged
from wgan_jax.program.report import report
from wgan_jax.program.sample import sample
from wgan_jax.program.train import train
from wgan_jax.program.workdir import Workdir, WorkdirError
from wgan_jax.report import ReportError

MODES: dict[str, Callable[..., int]] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "report": report,  # of folders, the others of a config and its folder
}
# Flags that some modes read, handed to these under their names.
OPTIONS = {
    "checkpoint": ("sample", "evaluate"),
    "images": ("evaluate",),
    "output": ("report",),
}

config_flags.DEFINE_config_file("config", None, "the experiment's file")
MODE = flags.DEFINE_enum("mode", "train", list(MODES), "what to do")
WORKDIR = flags.DEFINE_multi_string(
    "workdir", None, "the run's folder [runs/<config>]; a report takes several"
)
flags.DEFINE_string("checkpoint", None, "latest, best or an iteration [latest]")
flags.DEFINE_string("images", None, "an .npz to evaluate in place of a run")
flags.DEFINE_string("output", None, "the report's file [report.html of the run]")


def main(argv: list[str]) -> int:
    """Runs one mode; returns 0, 2 after a user's mistake, 1 after a failed run."""
    if "--help" in argv:
        print(f"{__doc__}\n{flags.FLAGS.main_module_help()}")
        return 0
    try:
        return _run(argv)
    except (ConfigError, DataError, WorkdirError, ReportError) as error:
        print(f"launch.py: {error}", file=sys.stderr)
        return 2
    except CheckpointError as error:
        print(f"launch.py: {error}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(2)  # Orbax's threads wait for ever after a failed write
    except OSError as error:  # a folder of the user's: full, read-only, a file
        where = f"{error.filename}: " if error.filename else ""
        print(f"launch.py: {where}{error.strerror or error}.", file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"launch.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("launch.py: interrupted, nothing was saved by this.", file=sys.stderr)
        return 130


def _run(argv: list[str]) -> int:
    parse_flags(flags.FLAGS, argv)
    mode, options = MODE.value, _options()
    folders = [Path(folder) for folder in WORKDIR.value or ()]
    if mode == "report" and folders:  # what the runs wrote says all
        return report(folders, say=_say, **options)
    if mode == "report" and flags.FLAGS.config is None:
        raise ConfigError("--mode=report needs --workdir=DIR, once for each run.")
    config, path = parsed_config(flags.FLAGS, argv)
    folders = folders or [Path("runs", path.stem)]
    if mode == "report":
        return report(folders, say=_say, **options)
    if len(folders) > 1:
        raise ConfigError(f"--mode={mode} takes one --workdir, not {len(folders)}.")
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


def _options() -> dict[str, str]:
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
    print(line, flush=True)


def _use_compilation_cache() -> None:
    """Lets a second start of the same experiment find its programs compiled."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
