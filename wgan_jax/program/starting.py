"""First state of a run that starts from an earlier run or trained weights."""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax import zoo
from wgan_jax.checkpointing.manifest import first_difference, flatten
from wgan_jax.config.differences import differences
from wgan_jax.config.experiment import as_json
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ConfigError
from wgan_jax.gan import GanState
from wgan_jax.io.weights import load_weights, unflatten
from wgan_jax.program.console import Log
from wgan_jax.program.origins import Origin
from wgan_jax.program.restoring import read_with
from wgan_jax.program.setup import Experiment
from wgan_jax.program.trained import choose_weights
from wgan_jax.program.workdir import Workdir, changed_switches
from wgan_jax.types import PyTree

_NETWORKS = tuple(
    f"{player}.{part}"
    for player in ("generator", "critic")
    for part in ("params", "model_state")
)


@dataclass(frozen=True, kw_only=True)
class Start:
    """First state of a run that starts from an earlier one.

    Attributes:
        state: the state, on the devices.
        step: its iteration.
        record: facts about the origin, for ``config.json``.
    """

    state: GanState
    step: int
    record: dict[str, Any]


def start_from(origin: Origin, experiment: Experiment, *, log: Log) -> Start:
    """Reads the first state of a run from its origin.

    Args:
        origin: where the run starts.
        experiment: the new experiment.
        log: function that prints one line.

    Returns:
        The state, its iteration and the record of the origin.

    Raises:
        ConfigError: if the networks differ; the message names the first array.
        WorkdirError: if the source is not the folder of a run.
        CheckpointError: if there is no such checkpoint, or it cannot be read.
        ArchiveError: if a file of weights is damaged.
    """
    if not origin.is_run:
        return _from_weights(origin, experiment)
    folder = Workdir(origin.source)
    before, switches = folder.record()["config"], folder.switches()
    leaves, checksum, step = read_with(
        folder,
        origin.checkpoint,
        lambda c, step: c.restore_leaves(experiment.target, step=step),
        log=log,
    )
    where = f"iteration {step} of {folder.path}"
    weights = None
    if origin.kind == "init":
        has_ema = any(path.startswith(".ema_params") for path in leaves)
        weights = choose_weights(origin.weights, has_ema=has_ema)
        state, renewed = _initialized(experiment, leaves, weights, where), ["optimizer"]
    else:
        state, renewed = _forked(experiment, leaves, where)
    exact = "best" if origin.checkpoint == "best" else str(step)
    record = {
        "kind": origin.kind,
        "source": origin.source,
        "checkpoint": exact,
        "step": step,
        "weights": weights,
        "crc32": checksum,
        "renewed": renewed,
        "differences": [
            *differences(before, as_json(experiment.config), free=True),
            *changed_switches(switches),
        ],
    }
    return Start(state=state, step=0 if weights else step, record=record)


def _part(path: str) -> str:
    """Returns the part of a state that a path belongs to: ``critic.params``."""
    match = re.match(r"\.((?:critic|generator)\.)?(\w+)", path)
    assert match is not None
    return f"{match[1] or ''}{match[2]}"


def _of_part(leaves: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {path: leaf for path, leaf in leaves.items() if _part(path) == part}


def _difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    described = {
        path: {"dtype": str(leaf.dtype), "shape": list(leaf.shape)}
        for path, leaf in stored.items()
    }
    return first_difference({"leaves": described}, wanted)


def _check_networks(
    leaves: Mapping[str, Any], wanted: Mapping[str, Any], where: str
) -> None:
    for part in _NETWORKS:
        difference = _difference(_of_part(leaves, part), _of_part(wanted, part))
        if difference:
            raise ConfigError(
                f"{where} does not fit this config: {difference}. Use the networks of "
                "that run."
            )


def _forked(
    experiment: Experiment, leaves: dict[str, Any], where: str
) -> tuple[GanState, list[str]]:
    """Returns the state of another run, and the parts of it that are new."""
    wanted = flatten(experiment.target)
    _check_networks(leaves, wanted, where)
    new, renewed = flatten(experiment.initial_state()), []
    for part in dict.fromkeys(map(_part, wanted)):
        stored = _of_part(leaves, part)
        if _difference(stored, _of_part(wanted, part)):
            renewed.append(part)
        else:
            new |= stored
    state = jax.tree.unflatten(jax.tree.structure(experiment.target), new.values())
    last, config = int(np.max(state.step)), experiment.config
    if last >= config.training.iterations:
        raise ConfigError(
            f"{where} leaves no iteration to train, because "
            f"config.training.iterations is {config.training.iterations}. Use a larger "
            "number; it includes those of that run."
        )
    averaged = [part for part in renewed if part.startswith("ema_")]
    return _consistent(experiment, state, renewed, averaged=bool(averaged)), renewed


def _initialized(
    experiment: Experiment, leaves: dict[str, Any], weights: str, where: str
) -> GanState:
    """Returns a state at iteration 0 with the networks of another run."""
    if weights == "ema":
        averaged = {
            f".generator.{path.removeprefix('.ema_')}": leaf
            for path, leaf in leaves.items()
            if path.startswith(".ema_")
        }
        leaves = leaves | averaged
    wanted = flatten(experiment.target)
    _check_networks(leaves, wanted, where)
    new = flatten(experiment.initial_state())
    for part in _NETWORKS:
        new |= _of_part(leaves, part)
    state = jax.tree.unflatten(jax.tree.structure(experiment.target), new.values())
    fresh = ["generator.opt_state", "critic.opt_state"]
    return _consistent(experiment, state, fresh, averaged=True)


def _from_weights(origin: Origin, experiment: Experiment) -> Start:
    """Returns a state at iteration 0 with the weights of a trained generator."""
    path = as_config_error(zoo.find, origin.source)
    arrays, card = load_weights(path)
    player = experiment.target.generator
    like = {"params": player.params, **player.model_state}
    try:
        variables = unflatten(arrays, like)
    except ValueError as error:
        raise ConfigError(
            f"--init={origin.source} does not fit this config: {error} Use the "
            "generator of those weights."
        ) from error
    places = jax.tree.map(lambda x: x.sharding, like)
    variables = jax.device_put(variables, places)
    params = variables.pop("params")
    state = experiment.initial_state()
    generator = state.generator.replace(params=params, model_state=variables)
    fresh = ["generator.opt_state"]
    state = state.replace(generator=generator)
    state = _consistent(experiment, state, fresh, averaged=True)
    step = card.get("step")
    record = {
        "kind": "init",
        "source": origin.source,
        "checkpoint": "latest",
        "step": step if isinstance(step, int) else None,
        "weights": None,
        "crc32": zlib.crc32(path.read_bytes()),
        "renewed": ["optimizer", "critic"],
        "differences": [],
    }
    return Start(state=state, step=0, record=record)


def _consistent(
    experiment: Experiment, state: GanState, renewed: list[str], *, averaged: bool
) -> GanState:
    """Returns a state whose new parts are those of its parameters."""
    target = experiment.target
    if averaged and state.ema_params is not None:
        state = state.replace(
            ema_params=state.generator.params,
            ema_model_state=state.generator.model_state,
        )
    for name in ("generator", "critic"):
        if f"{name}.opt_state" in renewed:
            player = getattr(state, name)
            init = _optimizer_init(experiment, name)
            places = jax.tree.map(lambda x: x.sharding, getattr(target, name).opt_state)
            opt_state = jax.jit(init, out_shardings=places)(player.params)
            state = state.replace(**{name: player.replace(opt_state=opt_state)})
    # Arrays must not be shared between fields, because steps donate them.
    copied = jax.tree.map(jnp.copy, state)
    return jax.device_put(copied, jax.tree.map(lambda x: x.sharding, target))


def _optimizer_init(experiment: Experiment, name: str) -> Callable[[PyTree], PyTree]:
    """Returns the function from the parameters of a network to its optimizer state."""

    def init(setting: Any, params: PyTree) -> PyTree:
        gan = experiment.gan_of(setting)
        return getattr(gan, f"{name}_optimizer").init(params)

    if not experiment.is_replicated:
        return lambda params: init(float(experiment.settings[0]), params)
    return lambda params: jax.vmap(init)(experiment.settings, params)
