"""Callbacks that log to common services, and the table of all callbacks.

To add one, write a ``Callback`` and add it to ``CALLBACKS`` at the end of this file.
"""

import importlib.util
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wgan_jax.errors import unknown
from wgan_jax.io.callbacks import Callback, RunInfo
from wgan_jax.io.files import write_text
from wgan_jax.io.imports import import_object
from wgan_jax.io.mappings import flatten


class _Values(Callback, ABC):
    """A service that stores metrics and results of evaluations alike."""

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics.

        Args:
            step: number of completed iterations.
            metrics: numbers by path.
        """
        self._log(step, metrics)

    def on_evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the results.

        Args:
            step: number of completed iterations.
            values: results by path.
        """
        self._log(step, values)

    @abstractmethod
    def _log(self, step: int, values: Mapping[str, float]) -> None: ...


class WeightsAndBiases(_Values):
    """Logs to Weights & Biases; its environment variables choose project and mode.

    The identifier of the run is kept in ``wandb.txt``, so that a resumed run
    continues its curves.
    """

    def __init__(self, run: RunInfo) -> None:
        """Starts or resumes a run of Weights & Biases.

        Args:
            run: the run.
        """
        import wandb

        kept = run.folder / "wandb.txt"
        identifier = kept.read_text().strip() if kept.exists() else None
        self._picture = wandb.Image
        self._run = wandb.init(
            id=identifier,
            name=run.name,
            dir=str(run.folder),
            config=dict(run.config),
            resume="allow",
        )
        write_text(kept, f"{self._run.id}\n")

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def on_samples(self, step: int, pictures: Sequence[Path]) -> None:
        """Logs the grids.

        Args:
            step: number of completed iterations.
            pictures: PNG files.
        """
        grids = {f"samples/{_series(p)}": self._picture(str(p)) for p in pictures}
        # Written after the metrics of later steps, which cannot be added to.
        self._run.log({**grids, "samples/step": step})

    def close(self) -> None:
        """Ends the run of Weights & Biases."""
        self._run.finish()


class MLflow(_Values):
    """Logs to MLflow; its environment variables choose server and experiment.

    The identifier of the run is kept in ``mlflow.txt``, so that a resumed run
    continues its curves.
    """

    def __init__(self, run: RunInfo) -> None:
        """Starts or resumes a run of MLflow.

        Args:
            run: the run.
        """
        import mlflow

        self._mlflow = mlflow
        kept = run.folder / "mlflow.txt"
        if kept.exists():
            mlflow.start_run(run_id=kept.read_text().strip())
            return
        identifier = mlflow.start_run(run_name=run.name).info.run_id
        mlflow.log_params(dict(flatten(run.config)))
        write_text(kept, f"{identifier}\n")

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def on_samples(self, step: int, pictures: Sequence[Path]) -> None:
        """Stores the grids.

        Args:
            step: number of completed iterations.
            pictures: PNG files.
        """
        for picture in pictures:
            self._mlflow.log_artifact(str(picture), "samples")

    def close(self) -> None:
        """Ends the run of MLflow."""
        self._mlflow.end_run()


class Prometheus(Callback):
    """Keeps the last values in ``metrics.prom``, for node_exporter's text collector.

    The file is replaced atomically, at most once a second.
    """

    def __init__(self, run: RunInfo) -> None:
        """Chooses the file.

        Args:
            run: the run.
        """
        self._path, self._name = run.folder / "metrics.prom", _escaped(run.name)
        self._values: dict[str, float] = {}
        self._step, self._written = run.start, -math.inf

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Stores the metrics.

        Args:
            step: number of completed iterations.
            metrics: numbers by path.
        """
        self._step = step
        self._values |= metrics
        if time.monotonic() - self._written >= 1:
            self._write()

    def on_evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Stores the results.

        Args:
            step: number of completed iterations.
            values: results by path.
        """
        self._values |= values
        self._write()

    def close(self) -> None:
        """Writes what is pending."""
        self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        run = f'run="{self._name}"'
        lines = [
            "# HELP wgan_jax_iterations Completed iterations of a run.",
            "# TYPE wgan_jax_iterations gauge",
            f"wgan_jax_iterations{{{run}}} {self._step}",
            "# HELP wgan_jax_metric Last value of a metric of a run.",
            "# TYPE wgan_jax_metric gauge",
        ]
        for name, value in self._values.items():
            labels = f'{run},metric="{_escaped(name)}"'
            lines.append(f"wgan_jax_metric{{{labels}}} {_number(value)}")
        write_text(self._path, "\n".join(lines) + "\n")


def find_callback(name: str) -> Callable[[RunInfo], Callback]:
    """Returns the class of a callback.

    Args:
        name: name in ``CALLBACKS``, or ``module:Class``.

    Raises:
        ValueError: if there is none, or its package is not installed.
    """
    if name in PACKAGES and importlib.util.find_spec(name) is None:
        raise ValueError(
            f"the callback {name} needs the package {PACKAGES[name]}; use pip install "
            f"'wgan-jax[{name}]'."
        )
    if name in CALLBACKS:
        return CALLBACKS[name]
    if ":" not in name:
        raise ValueError(
            f"the callback {unknown(name, CALLBACKS)} Or use module:Class."
        )
    found = import_object(name)
    if not callable(found):
        raise ValueError(f"the callback {name} is not a class, but {found!r}.")
    return found


def _series(picture: Path) -> str:
    """Returns ``ema`` or ``live``, the weights that drew a grid."""
    return "live" if picture.stem.endswith("_live") else "ema"


def _escaped(text: str) -> str:
    """Returns a value of a label of Prometheus."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


CALLBACKS: dict[str, Callable[[RunInfo], Callback]] = {
    "mlflow": MLflow,
    "prometheus": Prometheus,
    "wandb": WeightsAndBiases,
}
PACKAGES = {"mlflow": "mlflow-skinny", "wandb": "wandb"}  # of extras with their names
