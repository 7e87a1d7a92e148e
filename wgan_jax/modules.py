"""Calls linen modules as pure functions."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.types import Array, Params, PRNGKey, PyTree


class CriticOutput(NamedTuple):
    """What a critic says of a batch.

    Attributes:
        scores: ``[B]``.
        features: ``[B, F]``, the input of its last layer, or None if it sows
            none.
        class_logits: ``[B, classes]`` of an auxiliary head, or None.
    """

    scores: Array
    features: Array | None
    class_logits: Array | None


def accepts_argument(module: nn.Module, argument: str) -> bool:
    """Whether a network's ``__call__`` has an argument of this name."""
    return argument in inspect.signature(type(module).__call__).parameters


def uses_joint_pass(critic: nn.Module, model_state: PyTree) -> bool:
    """Whether a critic takes real and fake examples in one pass.

    Args:
        critic: asks for it by a class attribute ``joint_pass = True``, and promises
            that an example's score is the same in any company. It pays where layers
            are small; the pass takes the memory of both kinds. Without the
            attribute there are two passes.
        model_state: its collections; one that moves with each pass, such as batch
            statistics, belongs to that pass's batch, so then there are two.
    """
    return bool(getattr(critic, "joint_pass", False)) and not model_state


def apply(
    module: nn.Module,
    params: Params,
    model_state: PyTree,
    inputs: tuple[Array, ...],
    *,
    train: bool,
    key: PRNGKey | None,
) -> tuple[Array, PyTree, dict[str, Any]]:
    """Calls a network; the only place where linen applies one.

    Args:
        module: the player.
        params: its parameters.
        model_state: its other collections.
        inputs: what it is called with.
        train: training mode, in which the model state moves.
        key: of the rng ``dropout``, or None for no such rng.

    Returns:
        The output and what was sown, both in at least float32, with the model
        state between them.
    """
    variables: dict[str, Any] = {"params": params, **model_state}
    moving = list(model_state) if train else []
    output, collections = module.apply(
        variables,
        *inputs,
        train=train,
        rngs=None if key is None else {"dropout": key},
        mutable=[*moving, "intermediates"],
    )
    collections = dict(collections)
    sown = collections.pop("intermediates", {})
    exact = jnp.promote_types(output.dtype, jnp.float32)
    sown = jax.tree.map(lambda x: x.astype(exact), dict(sown))
    return output.astype(exact), collections if moving else model_state, sown


def sown_as(sown: Mapping[str, Any], name: str) -> Array | None:
    """What a network or one of its parts sowed under a name, or None."""
    for key, value in sown.items():
        found = value[-1] if key == name else None
        if isinstance(value, Mapping):
            found = sown_as(value, name)
        if found is not None:
            return found
    return None


def reads(function: Callable[..., Any], index: int, *args: Any) -> bool:
    """Whether a traceable function looks at one of its arguments.

    Args:
        function: of the arguments.
        index: which of them.
        *args: arrays, or their shapes and dtypes.
    """
    before = len(jax.tree.leaves(args[:index]))
    count = len(jax.tree.leaves(args[index]))
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    own = jaxpr.invars[before : before + count]
    looked_at = [v for equation in jaxpr.eqns for v in equation.invars]
    return any(v in own for v in [*looked_at, *jaxpr.outvars])


def is_random(
    module: nn.Module, params: Params, model_state: PyTree, inputs: tuple[Array, ...]
) -> bool:
    """Whether a network's output reads the rng ``dropout`` that it is handed."""

    def output(key: PRNGKey) -> Array:
        return apply(module, params, model_state, inputs, train=False, key=key)[0]

    return reads(output, 0, jax.eval_shape(lambda: jax.random.key(0)))
