"""Folder of a run, which belongs to one config."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from wgan_jax.config.differences import differences
from wgan_jax.config.experiment import ExperimentConfig, as_json, with_value
from wgan_jax.config.precision import with_dtype
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import WorkdirError, printable
from wgan_jax.io.caches import cache_folder
from wgan_jax.io.files import expanded, write_text
from wgan_jax.io.json_text import parse_json
from wgan_jax.io.machine import describe_machine

# Delay until files of another host become visible. A client of NFS remembers that a
# file is absent until it reads the folder's attributes again, by default after 60 s.
_NETWORK_SECONDS = 90
_POLL_SECONDS = 0.5
# Switches of JAX, also set by environment variables, that change results; and the
# values that are used outside of a run (``--pretrained``).
SWITCHES = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_default_matmul_precision": None,
}
PACKAGES = ("wgan-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


class Workdir:
    """Paths of a run.

    Attributes:
        path: the folder; created by ``claim``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Stores the path.

        Raises:
            ConfigError: if the path is the address of remote storage.
        """
        self.path = as_config_error(expanded, path).absolute()
        try:
            str(self.path).encode()
        except UnicodeEncodeError as error:  # checkpoints could not be written there
            raise WorkdirError(
                f"--workdir={printable(str(self.path))} cannot be written as UTF-8, "
                f"because the environment uses {sys.getfilesystemencoding()}. Set "
                "PYTHONUTF8=1 or a locale with UTF-8, or use another --workdir."
            ) from error

    @property
    def config(self) -> Path:
        """Resolved config and environment."""
        return self.path / "config.json"

    @property
    def lock(self) -> Path:
        """Lock that a process holds while it trains."""
        return self.path / "run.lock"

    @property
    def metrics(self) -> Path:
        """Metrics, one JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def heartbeat(self) -> Path:
        """What the run is doing."""
        return self.path / "heartbeat.json"

    @property
    def evaluations(self) -> Path:
        """Evaluations, one JSON object per line."""
        return self.path / "evaluations.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard event files."""
        return self.path / "tensorboard"

    @property
    def samples(self) -> Path:
        """Sample grids."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """Orbax checkpoints, one folder per step."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Checkpoint with the best evaluation."""
        return self.path / "best"

    @property
    def profile(self) -> Path:
        """Profiler traces, one folder each."""
        return self.path / "profile"

    @property
    def notes(self) -> Path:
        """Notes of the user, which the report shows."""
        return self.path / "notes.md"

    @property
    def report(self) -> Path:
        """HTML report of the run."""
        return self.path / "report.html"

    def newest_checkpoint(self) -> int:
        """Returns the iteration of the newest checkpoint, even if broken; or 0."""
        return max(self._steps(), default=0)

    def has_checkpoint(self) -> bool:
        """Returns whether there is a checkpoint, even if broken."""
        return bool(self._steps())

    def settled(self, config: ExperimentConfig) -> ExperimentConfig:
        """Returns a config whose ``compute_dtype`` is not ``auto``.

        Args:
            config: an experiment.

        Returns:
            The config with the dtype of the run in this folder, so that it is
            resumed alike on another machine; for a new run, with the one of
            the available devices.
        """
        if config.training.compute_dtype == "auto" and self.config.exists():
            dtype = self._record("config").get("training", {}).get("compute_dtype")
            config = with_value(config, "training.compute_dtype", dtype or "float32")
        return with_dtype(config)

    def check(self, config: ExperimentConfig) -> None:
        """Raises WorkdirError if the folder was written by a different config.

        Args:
            config: experiment that is about to run.

        Raises:
            WorkdirError: if the configs differ. The message lists the fields.
        """
        if self.path.exists() and not self.path.is_dir():
            raise WorkdirError(f"--workdir={self.path} is a file, not a folder.")
        if not self.config.exists():
            if self.checkpoints.exists() and any(self.checkpoints.iterdir()):
                raise WorkdirError(
                    f"{self.path} has checkpoints but no config.json, so their config "
                    "is unknown. Use another --workdir."
                )
            return
        changed = differences(self._record("config"), as_json(config))
        if changed:
            raise WorkdirError(
                f"{self.path} was written by another config. Differences:\n  "
                + "\n  ".join(changed)
                + "\n"
                + self._remedy(changed)
            )

    def _remedy(self, changed: list[str]) -> str:
        """Returns what to do about differences from the config of the run."""
        longer = next((x for x in changed if x.startswith("training.iterations: ")), "")
        kept = (
            "To train longer with the schedules as they are, set "
            f"--config.training.schedule_iterations={longer.split()[1]}. "
            if longer
            else ""
        )
        return (
            f"{kept}Use that config, or another --workdir. To go on from its last "
            f"checkpoint with these changes, use --fork={self.path} and another "
            "--workdir."
        )

    def check_data(self, data: Mapping[str, Any]) -> None:
        """Raises WorkdirError if the folder was written with different data.

        Args:
            data: record of the dataset that is about to be used.

        Raises:
            WorkdirError: if the examples or their order differ.
        """
        if self.config.exists() and self._record("data")["sha256"] != data["sha256"]:
            raise WorkdirError(
                f"{self.path} was written with other examples than those of "
                f"{data['name']!r} now (their SHA-256 differs). Use the original "
                "examples, or another --workdir."
            )

    def switches(self) -> dict[str, Any]:
        """Returns the switches of JAX that a run began with; {} if unknown."""
        return self._optional("switches")

    def platform(self) -> str | None:
        """Returns the platform of the last start; None if unknown."""
        return self._optional("devices").get("platform")

    def _optional(self, part: str) -> dict[str, Any]:
        """Returns a part of the record that runs of older versions may lack."""
        try:
            return dict(parse_json(self.config.read_text()).get(part, {}))
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # reported by check

    def data(self) -> dict[str, Any] | None:
        """Returns the dataset record of the run; None if the run has not started."""
        return self._record("data") if self.config.exists() else None

    def record(self) -> dict[str, Any]:
        """Returns the content of ``config.json``.

        Raises:
            WorkdirError: if the folder is not that of a run, or the file cannot
                be read.
        """
        if not self.config.is_file():
            raise WorkdirError(
                f"{self.path} is not the folder of a run: it has no config.json."
            )
        return self._read("config", "data")

    def claim(
        self,
        config: ExperimentConfig,
        *,
        data: Mapping[str, Any],
        command: str,
        lineage: Mapping[str, Any] | None = None,
        origin: Mapping[str, Any] | None = None,
        parameters: Mapping[str, int] | None = None,
    ) -> None:
        """Creates the folder and writes ``config.json`` atomically.

        Args:
            config: experiment that is about to run.
            data: record of its dataset.
            command: command line.
            lineage: origin of the config, as returned by ``loading.lineage``.
            origin: run or weights that the run starts from; None for what was
                recorded before.
            parameters: number of parameters of each network by name.
        """
        if origin is None and self.config.exists():
            origin = self.record().get("origin")
        self.samples.mkdir(parents=True, exist_ok=True)
        record = {
            "config": as_json(config),
            "data": dict(data),
            "command": command,
            **(lineage or {}),
            **({} if origin is None else {"origin": dict(origin)}),
            **({} if parameters is None else {"parameters": dict(parameters)}),
            "packages": {name: _version(name) for name in PACKAGES},
            "git_commit": _git_commit(),
            "switches": current_switches(),
            "devices": {
                "kind": jax.devices()[0].device_kind,
                "platform": jax.default_backend(),
                "count": jax.device_count(),
                "processes": jax.process_count(),
            },
            "machine": describe_machine(),
        }
        write_text(self.config, json.dumps(record, indent=2) + "\n")

    def check_shared(self) -> None:
        """Raises WorkdirError if the folder is not shared with the primary process.

        Must be called after the primary process has claimed the folder.

        Raises:
            WorkdirError: if ``config.json`` does not appear.
        """
        end = time.monotonic() + _NETWORK_SECONDS
        while not self.config.exists():
            if time.monotonic() > end:
                raise WorkdirError(
                    f"{self.path} is not shared with process 0: its config.json did "
                    f"not appear within {_NETWORK_SECONDS} s. Use a --workdir on a "
                    "file system that all processes share."
                )
            time.sleep(_POLL_SECONDS)
            for folder in (self.path.parent, self.path):
                with suppress(OSError):  # many clients then read the attributes again
                    os.listdir(folder)

    def _steps(self) -> list[int]:
        """Returns the iterations of the checkpoints, even of broken ones."""
        found = self.checkpoints.glob("*") if self.checkpoints.is_dir() else ()
        return [int(path.name) for path in found if path.name.isdecimal()]

    def _record(self, part: str) -> dict[str, Any]:
        found: dict[str, Any] = self._read(part)[part]
        return found

    def _read(self, *parts: str) -> dict[str, Any]:
        """Returns the content of ``config.json``, which must have some parts."""
        try:
            record: dict[str, Any] = parse_json(self.config.read_text())
            for part in parts:
                _ = record[part]
        except (ValueError, KeyError, TypeError) as error:
            raise WorkdirError(
                f"{self.config} cannot be read ({error!r}), so the config of this "
                "folder is unknown. Use another --workdir."
            ) from error
        return record


def current_switches() -> dict[str, Any]:
    """Returns the switches of JAX in this process."""
    return {name: getattr(jax.config, name, None) for name in SWITCHES}


def changed_switches(recorded: Mapping[str, Any]) -> list[str]:
    """Returns the switches that differ in this process, as ``NAME: OLD -> NEW``.

    Args:
        recorded: switches of a run; others than those are not compared.
    """
    return [
        f"{name}: {recorded[name]} -> {value}"
        for name, value in current_switches().items()
        if name in recorded and hasattr(jax.config, name) and recorded[name] != value
    ]


def reference_cache() -> Path:
    """Returns the folder of cached reference features, shared by all runs."""
    return cache_folder() / "references"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Returns the commit of this code, marked if the work tree is dirty.

    None if no repository tracks this file, as where the package is installed: the
    folder may then be within a repository of the user.
    """
    if not _git("ls-files", "--error-unmatch", Path(__file__).name):
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*arguments: str) -> str | None:
    """Returns what git prints in the folder of this file; None if it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
