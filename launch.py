"""Train, resume or sample a Wasserstein GAN.

    python launch.py --config=configs/digits_wgan_gp.py

Flags only: the logic is in wgan_jax/program/, one module a mode.
"""

import os
import shlex
import sys
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from wgan_jax.binding import ConfigError
from wgan_jax.checkpoint import CheckpointError
from wgan_jax.data import DataError
from wgan_jax.program.command_line import parse
from wgan_jax.program.recorder import Diverged
from wgan_jax.program.sample import sample
from wgan_jax.program.train import train
from wgan_jax.program.workdir import Workdir, WorkdirError

MODES = {"train": train, "sample": sample}

config_flags.DEFINE_config_file("config", None, "the experiment's file")
MODE = flags.DEFINE_enum("mode", "train", list(MODES), "what to do")
WORKDIR = flags.DEFINE_string("workdir", None, "the run's folder [runs/<config>]")


def main(argv: list[str]) -> int:
    """Runs one mode; returns 0, 2 after a user's mistake, 1 after a failed run."""
    if "--help" in argv:
        print(f"{__doc__}\n{flags.FLAGS.main_module_help()}")
        return 0
    try:
        config, path = parse(flags.FLAGS, argv)
        workdir = Workdir(WORKDIR.value or Path("runs", path.stem))
        _use_compilation_cache()
        command = shlex.join(["python", *argv])
        return MODES[MODE.value](config, workdir, command=command, say=_say)
    except (ConfigError, DataError, WorkdirError, CheckpointError) as error:
        print(f"launch.py: {error}", file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"launch.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("launch.py: interrupted, nothing was saved by this.", file=sys.stderr)
        return 130


def _say(line: str) -> None:
    print(line, flush=True)


def _use_compilation_cache() -> None:
    """Lets a second start of the same experiment find its programs compiled."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "wgan_jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
