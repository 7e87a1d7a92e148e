"""Pure-function calls of networks."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax.errors import InvalidRngError

from wgan_jax.types import Array, Params, PRNGKey, PyTree


class CriticOutput(NamedTuple):
    """Output of a critic for one batch.

    Attributes:
        scores: ``[B]``.
        features: ``[B, F]`` input of the last layer, or None if the critic sows
            none.
        class_logits: ``[B, classes]`` of an auxiliary head, or None.
    """

    scores: Array
    features: Array | None
    class_logits: Array | None


class Network(Protocol):
    """What is needed of a generator or critic: a linen module, or an adapter."""

    def init(self, key: PRNGKey, *inputs: Array, train: bool) -> PyTree:
        """Returns the variables, a dict of collections."""

    def apply(
        self,
        variables: PyTree,
        *inputs: Array,
        train: bool,
        rngs: Mapping[str, PRNGKey] | None,
        mutable: Any,
    ) -> Any:
        """Returns the output and the mutable collections."""


def check_network(network: Any, name: str) -> None:
    """Raises ValueError if something cannot be a generator or critic.

    Args:
        network: what was given.
        name: what it was given as, for messages.

    Raises:
        ValueError: if it is a class, has no ``init`` and ``apply``, or cannot be
            called with ``train``.
    """
    is_class = isinstance(network, type)
    if is_class or not (hasattr(network, "init") and hasattr(network, "apply")):
        what = network.__name__ if is_class else repr(network)[:200]
        kinds = (network if is_class else type(network)).__mro__
        adapter = "networks.from_functions(init, apply)"
        is_nnx = any(kind.__module__.startswith("flax.nnx") for kind in kinds)
        if is_nnx:
            kind = "a class of NNX modules" if is_class else "an NNX module"
            what = f"{kinds[0].__name__}, {kind}"
            adapter = "networks.from_nnx(module)"
        raise ValueError(
            f"{name} is {what}; it must be an instance of a linen module, or the "
            f"result of {adapter}."
        )
    if not accepts_argument(network, "train"):
        raise ValueError(
            f"{title(network)}.__call__ has no argument 'train'; it must accept "
            "train=True and train=False."
        )


def accepts_argument(module: Network, argument: str) -> bool:
    """Returns whether a network can be called with an argument of this name.

    Args:
        module: generator or critic.
        argument: ``train``, a keyword argument; or ``labels``, the second
            positional argument.
    """
    if hasattr(module, "accepts"):
        return bool(module.accepts(argument))
    # A wrapper of NNX modules has the class of the module.
    kind = getattr(module, "nnx_class", type(module))
    return takes(inspect.signature(kind.__call__), argument)


def takes(signature: inspect.Signature, argument: str) -> bool:
    """Returns whether a call takes an argument, by its name or among any others.

    Args:
        signature: signature of the call.
        argument: name; ``labels`` are passed by position, others by keyword.
    """
    wild = {"train": "VAR_KEYWORD", "labels": "VAR_POSITIONAL"}.get(argument)
    parameters = signature.parameters
    return argument in parameters or any(
        p.kind.name == wild for p in parameters.values()
    )


def title(module: Network) -> str:
    """Returns the name of a network, for messages."""
    return str(getattr(module, "title", type(module).__name__))


def has_batch_norm(model_state: PyTree) -> bool:
    """Returns whether a network has averages over the examples of a batch.

    Args:
        model_state: collections of the network, apart from ``params``.
    """
    found = jax.tree_util.tree_leaves_with_path(model_state.get("batch_stats", {}))
    return any(is_average(path) for path, _ in found)


def is_average(path: Any) -> bool:
    """Returns whether a variable in ``batch_stats`` is an average over a batch.

    Flax's layers of spectral normalization store their singular vector and value
    in the same collection, as ``u`` and ``sigma``.

    Args:
        path: path of the variable, as in ``jax.tree_util``.
    """
    name = jax.tree_util.keystr(path[-1:], simple=True)
    return name.rsplit("/")[-1] not in ("u", "sigma")


def uses_joint_pass(critic: Network, model_state: PyTree) -> bool:
    """Returns whether a critic takes real and fake examples in one pass.

    Args:
        critic: a critic that opts in with the class attribute
            ``joint_pass = True``. It promises that the score of an example does
            not depend on the rest of the batch. A joint pass is faster where
            layers are small, but takes the memory of both batches. Other
            critics run two passes.
        model_state: collections of the critic. If there are any, such as batch
            statistics, each pass must update them from its own batch, so two
            passes are run.
    """
    return bool(getattr(critic, "joint_pass", False)) and not model_state


def apply(
    module: Network,
    params: Params,
    model_state: PyTree,
    inputs: tuple[Array, ...],
    *,
    train: bool,
    key: PRNGKey | None,
) -> tuple[Array, PyTree, dict[str, Any]]:
    """Applies a network; the only call to ``module.apply`` in the package.

    Args:
        module: generator or critic.
        params: its parameters.
        model_state: its other collections.
        inputs: positional arguments of the call.
        train: training mode, in which the model state is updated.
        key: PRNG key of the rng streams ``dropout`` and ``noise``, or None for no
            such streams.

    Returns:
        The output, the model state, and the sown values. The output and the
        sown values are at least float32.

    Raises:
        ValueError: if the network draws from an rng stream that is not provided.
    """
    rngs = None
    if key is not None:
        # Two keys, because a layer may draw from both streams.
        rngs = {"dropout": key, "noise": jax.random.fold_in(key, 1)}
    return _apply(module, params, model_state, inputs, train=train, rngs=rngs)


def _apply(
    module: Network,
    params: Params,
    model_state: PyTree,
    inputs: tuple[Array, ...],
    *,
    train: bool,
    rngs: dict[str, PRNGKey] | None,
) -> tuple[Array, PyTree, dict[str, Any]]:
    variables: dict[str, Any] = {"params": params, **model_state}
    moving = list(model_state) if train else []
    try:
        output, collections = module.apply(
            variables,
            *inputs,
            train=train,
            rngs=rngs,
            mutable=[*moving, "intermediates"],
        )
    except InvalidRngError as error:
        raise ValueError(_missing_stream(module, str(error), rngs)) from error
    collections = dict(collections)
    sown = collections.pop("intermediates", {})
    exact = jnp.promote_types(output.dtype, jnp.float32)
    sown = jax.tree.map(lambda x: x.astype(exact), dict(sown))
    return output.astype(exact), collections if moving else model_state, sown


def _missing_stream(module: Network, message: str, rngs: Any) -> str:
    """Returns what to do about a missing rng stream, given flax's message."""
    found = re.search(r'PRNG for "(\w+)"', message)
    name = found[1] if found else "dropout"
    if rngs is not None:
        return (
            f"{title(module)} draws from the rng stream {name!r}; only 'dropout' and "
            "'noise' are provided."
        )
    return (
        f"{title(module)} draws from the rng stream {name!r} in evaluation mode, in "
        "which a network must be deterministic. Draw only if train is True, or if "
        f"self.has_rng({name!r}), as nn.Dropout(rate, deterministic=not train) does."
    )


def sown_as(sown: Mapping[str, Any], name: str) -> Array | None:
    """Returns what a network or a submodule sowed under a name, or None."""
    for key, value in sown.items():
        found = value[-1] if key == name else None
        if isinstance(value, Mapping):
            found = sown_as(value, name)
        if found is not None:
            return found
    return None


def reads(function: Callable[..., Any], index: int, *args: Any) -> bool:
    """Returns whether a traceable function uses one of its arguments.

    Args:
        function: traceable function of ``args``.
        index: index of the argument in question.
        *args: arrays, or their shapes and dtypes.
    """
    before = len(jax.tree.leaves(args[:index]))
    count = len(jax.tree.leaves(args[index]))
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    own = jaxpr.invars[before : before + count]
    looked_at = [v for equation in jaxpr.eqns for v in equation.invars]
    return any(v in own for v in [*looked_at, *jaxpr.outvars])


def is_random(
    module: Network,
    params: Params,
    model_state: PyTree,
    inputs: tuple[Array, ...],
    *,
    train: bool,
) -> bool:
    """Returns whether a network's output uses a key of an rng stream in a mode."""

    def output(rngs: dict[str, PRNGKey]) -> Array:
        parts = (module, params, model_state, inputs)
        return _apply(*parts, train=train, rngs=rngs)[0]

    key = jax.eval_shape(lambda: jax.random.key(0))
    return reads(output, 0, {"dropout": key, "noise": key})
