"""The generator of a run as a ``zoo.Pretrained``, with its model card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from wgan_jax.config.experiment import ExperimentConfig, with_value
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import ConfigError, choices
from wgan_jax.gan import Gan, GanState
from wgan_jax.io.json_text import parse_json, read_lines
from wgan_jax.program.console import Log
from wgan_jax.program.restoring import restore_checkpoint, with_standing_statistics
from wgan_jax.program.setup import prepare
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import generator_weights
from wgan_jax.zoo import Pretrained

SCORES = ("kernel_distance", "frechet_distance", "precision", "recall", "coverage")
TEXTS = (
    "title",
    "description",
    "class_names",
    "command",
    "training",
    "license",
    "intended_use",
    "limits",
)
WEIGHTS = ("ema", "live")
_UNSTATED = "not stated."


def trained_generator(
    config: ExperimentConfig,
    workdir: Workdir,
    *,
    checkpoint: str,
    weights: str | None,
    texts: Mapping[str, Any],
    log: Log,
) -> tuple[Pretrained, int, str]:
    """Reads the generator of a run.

    Args:
        config: config of the run.
        workdir: folder of the run.
        checkpoint: ``latest``, ``best`` or an iteration.
        weights: ``ema`` or ``live``; None for the EMA if there is one.
        texts: texts of the model card by name, from ``TEXTS``.
        log: function that prints one line.

    Returns:
        The generator, its iteration, and ``ema`` or ``live``.

    Raises:
        ConfigError: if the run has no such weights, or several generators.
        CheckpointError: if no suitable checkpoint exists.
        WorkdirError: if the folder does not belong to this run.
    """
    config = workdir.settled(resolve(config))
    workdir.check(config)
    weights = choose_weights(weights, has_ema=config.training.has_ema)
    exact = with_value(config, "training.compute_dtype", "float32")
    experiment = prepare(exact, log=log, data=workdir.data())
    if experiment.is_replicated:
        raise ConfigError(
            f"{workdir.path} has {len(experiment.seeds)} replicas; the generator of a "
            "single run is needed."
        )
    state, step = restore_checkpoint(workdir, experiment, checkpoint, log=log)
    found = generator_of(
        exact, experiment.gan, state, workdir, texts, step=step, weights=weights
    )
    return found, step, weights


def generator_of(
    config: ExperimentConfig,
    gan: Gan,
    state: GanState,
    workdir: Workdir,
    texts: Mapping[str, Any],
    *,
    step: int,
    weights: str,
) -> Pretrained:
    """Returns the generator of a state, with its model card.

    Args:
        config: config of the run.
        gan: its GAN.
        state: its state, of a single run.
        workdir: its folder.
        texts: texts of the model card by name, from ``TEXTS``.
        step: iteration of the state.
        weights: ``ema`` or ``live``.
    """
    state = with_standing_statistics(config, gan, state)
    params, model_state = generator_weights(state, use_ema=weights == "ema")
    card = _card(
        workdir,
        texts,
        step=step,
        weights=weights,
        standing_batches=config.samples.standing_batches,
    )
    card["parameters"] = sum(x.size for x in jax.tree.leaves(params))
    name = workdir.path.resolve().name
    return Pretrained(name, gan, params, model_state, card)


def choose_weights(
    weights: str | None, *, has_ema: bool, name: str = "--weights"
) -> str:
    """Returns which weights of the generator are meant: ``ema`` or ``live``.

    Args:
        weights: value of the flag, or None.
        has_ema: whether the run has an EMA.
        name: name of the flag or the argument, for messages.

    Raises:
        ConfigError: if the value is invalid, or the run has no EMA.
    """
    if weights not in (None, *WEIGHTS):
        raise ConfigError(f"{name} is {weights!r}; {choices(WEIGHTS)}.")
    if weights == "ema" and not has_ema:
        raise ConfigError(f"{name} is ema, but this run has no EMA; use live.")
    return weights or ("ema" if has_ema else "live")


def read_texts(path: Path) -> dict[str, Any]:
    """Reads the texts of a model card.

    Args:
        path: JSON file with some of ``TEXTS``.

    Raises:
        ConfigError: if it cannot be read or has other fields.
    """
    try:
        found = parse_json(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON ({error}).") from error
    unknown = [name for name in found if name not in TEXTS]
    if not isinstance(found, dict) or unknown:
        raise ConfigError(
            f"{path} must be a JSON object with some of {', '.join(TEXTS)}"
            + (f"; it has {unknown[0]!r}." if unknown else ".")
        )
    return found


def _card(
    workdir: Workdir,
    texts: Mapping[str, Any],
    *,
    step: int,
    weights: str,
    standing_batches: int,
) -> dict[str, Any]:
    record = workdir.record()
    config, data = record["config"], record["data"]
    for name in ("data_dir", "path"):  # folders of this machine
        config["dataset"].pop(name, None)
    kept = ("name", "split", "count", "example_shape", "num_classes")
    names = texts.get("class_names") or data.get("class_names") or []
    objective = config["objective"]
    objective = objective if isinstance(objective, str) else objective["name"]
    what = f"generator of {workdir.path.resolve().name}"
    return {
        "title": f"G{what[1:]}, iteration {step:,}",
        "description": f"Trained with the objective {objective} on {data['name']}, "
        f"{data['count']:,} examples.",
        "command": record["command"],
        "license": _UNSTATED,
        "intended_use": _UNSTATED,
        "limits": _UNSTATED,
        **{name: text for name, text in texts.items() if name != "class_names"},
        "config": config,
        "data": {name: data[name] for name in kept} | {"class_names": names},
        "step": step,
        "weights": weights,
        "scores": _scores(workdir, step, weights, standing_batches),
        "packages": record["packages"],
    }


def _scores(
    workdir: Workdir, step: int, weights: str, standing_batches: int
) -> list[dict[str, Any]]:
    """Returns the latest scores of the weights at a step, with their protocols."""
    evaluated = step, weights, standing_batches
    found = {}
    for line in read_lines(workdir.evaluations):
        batches = line.get("standing_batches", 0)
        if (line["step"], line.get("weights"), batches) == evaluated:
            for result in line["results"]:
                facts = result["protocol"]
                if facts["metric"] in SCORES:
                    protocol = json.dumps(facts, sort_keys=True)
                    found[protocol] = {"value": result["value"], **facts}
    return list(found.values())
