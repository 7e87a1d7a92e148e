"""Optimizers, with every setting that published results depend on.

To add one, write a function that returns an ``optax.GradientTransformation``
and add it to ``OPTIMIZERS`` at the end of this file. ``find_optimizer`` also finds
those of optax, and of other modules.
"""

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from wgan_jax.errors import unknown
from wgan_jax.io.imports import import_object
from wgan_jax.ranges import Count, Decay, NotNegative, Positive, checked
from wgan_jax.schedules import cosine
from wgan_jax.types import Array, PyTree


@checked
def adam(
    *,
    learning_rate: Positive,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.0,
    final_b2: Decay | None = None,
    schedule_iterations: Count | None = None,
) -> optax.GradientTransformation:
    """Returns Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    Args:
        learning_rate: step size, > 0.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: epsilon, added outside the square root.
        weight_decay: factor of the decoupled weight decay, as ``decayed``.
        final_b2: if set, the decay of the second moment follows half a cosine
            from ``b2`` to this value, in [0, 1). The bias correction uses the
            current value, as in the code of Huang et al. 2024,
            arXiv:2501.05441.
        schedule_iterations: length of this transition in generator updates; in
            a config, None is the length of the other schedules.

    Returns:
        The optimizer. With ``final_b2``, its ``update`` takes
        ``iteration=``, the number of generator updates so far, which the
        training steps pass.

    Raises:
        ValueError: if a setting is out of range, or only one of ``final_b2``
            and ``schedule_iterations`` is given.
    """
    if (final_b2 is None) != (schedule_iterations is None):
        raise ValueError(
            f"adam: final_b2 is {final_b2} and schedule_iterations is "
            f"{schedule_iterations}; set both or none of them."
        )
    plain = optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)
    decay_rate = learning_rate, weight_decay
    if final_b2 is None or schedule_iterations is None:
        return decayed(plain, *decay_rate)
    length, final = schedule_iterations, final_b2

    def update(
        updates: PyTree,
        state: PyTree,
        params: PyTree | None = None,
        *,
        iteration: Array,
        **_: Any,
    ) -> tuple[PyTree, PyTree]:
        decay = cosine(iteration, iterations=length, initial=b2, final=final)
        current = optax.adam(learning_rate, b1=b1, b2=decay, eps=eps)
        return current.update(updates, state, params)

    scheduled = optax.GradientTransformationExtraArgs(plain.init, update)
    return decayed(scheduled, *decay_rate)


@checked
def rmsprop(
    *,
    learning_rate: Positive,
    decay: Decay = 0.99,
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.0,
) -> optax.GradientTransformation:
    r"""Returns RMSProp as in PyTorch, used by the 2017 WGAN code.

    .. math:: v \leftarrow d v + (1 - d) g^2, \quad
        w \leftarrow w - \eta\, g / (\sqrt{v} + \epsilon), \quad v_0 = 0

    Three variants share this name. optax's defaults use a decay of 0.9 and put
    epsilon inside the square root; its steps are 260 times smaller where
    gradients are near 1e-6.

    Args:
        learning_rate: step size, > 0.
        decay: decay of the mean square, in [0, 1).
        eps: epsilon, added outside the square root.
        weight_decay: factor of the decoupled weight decay, as ``decayed``.

    Returns:
        The optimizer.

    Raises:
        ValueError: if a setting is out of range.
    """
    plain = optax.rmsprop(
        learning_rate, decay=decay, eps=eps, eps_in_sqrt=False, initial_scale=0.0
    )
    return decayed(plain, learning_rate, weight_decay)


@checked
def rmsprop_tensorflow(
    *,
    learning_rate: Positive,
    decay: Decay = 0.9,
    eps: NotNegative = 1e-10,
    weight_decay: NotNegative = 0.0,
) -> optax.GradientTransformation:
    r"""Returns RMSProp as in TensorFlow 1, used by the WGAN-GP code for clipping.

    .. math:: v \leftarrow d v + (1 - d) g^2, \quad
        w \leftarrow w - \eta\, g / \sqrt{v + \epsilon}, \quad v_0 = 1

    Args:
        learning_rate: step size, > 0.
        decay: decay of the mean square, in [0, 1).
        eps: epsilon, added inside the square root.
        weight_decay: factor of the decoupled weight decay, as ``decayed``.

    Returns:
        The optimizer.

    Raises:
        ValueError: if a setting is out of range.
    """
    plain = optax.rmsprop(
        learning_rate, decay=decay, eps=eps, eps_in_sqrt=True, initial_scale=1.0
    )
    return decayed(plain, learning_rate, weight_decay)


def decayed(
    optimizer: optax.GradientTransformation, learning_rate: Any, weight_decay: Any
) -> optax.GradientTransformation:
    r"""Adds decoupled weight decay to an optimizer.

    .. math:: w \leftarrow w + u - \eta \lambda w

    Args:
        optimizer: computes the update u. Its state is unchanged.
        learning_rate: :math:`\eta`.
        weight_decay: :math:`\lambda`, >= 0, of all parameters; 0 returns the
            optimizer itself.

    Returns:
        The optimizer, whose ``update`` needs the parameters.

    Reference:
        Loshchilov, Hutter 2017, arXiv:1711.05101, algorithm 2.
    """
    if isinstance(weight_decay, float | int) and weight_decay == 0:
        return optimizer
    inner = optax.with_extra_args_support(optimizer)

    def update(
        updates: PyTree, state: PyTree, params: PyTree | None = None, **extra: Any
    ) -> tuple[PyTree, PyTree]:
        updates, state = inner.update(updates, state, params, **extra)
        rate = learning_rate * weight_decay
        return jax.tree.map(lambda u, w: u - rate * w, updates, params), state

    return optax.GradientTransformationExtraArgs(inner.init, update)


def clipped(
    optimizer: optax.GradientTransformation, norm: Any
) -> optax.GradientTransformation:
    r"""Clips the global norm of the gradients before an optimizer.

    .. math:: g \leftarrow g \min(1, c / \|g\|)

    Args:
        optimizer: receives the clipped gradients. Its state is unchanged.
        norm: c > 0, the largest L2 norm over all parameters.

    Returns:
        The optimizer.

    Reference:
        Pascanu, Mikolov, Bengio 2012, arXiv:1211.5063, algorithm 1.
    """
    inner = optax.with_extra_args_support(optimizer)
    clip = optax.clip_by_global_norm(norm)

    def update(
        updates: PyTree, state: PyTree, params: PyTree | None = None, **extra: Any
    ) -> tuple[PyTree, PyTree]:
        updates, _ = clip.update(updates, optax.EmptyState())
        return inner.update(updates, state, params, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)


@functools.cache
def find_optimizer(name: str) -> Callable[..., optax.GradientTransformation]:
    """Returns the function that makes an optimizer.

    Args:
        name: a key of ``OPTIMIZERS``; ``optax:NAME``; or ``module:function`` for
            another one, whose parameters include ``learning_rate``.

    Returns:
        A function of keyword-only options, those that a config can hold.

    Raises:
        ValueError: if there is no such optimizer. The message lists the names and
            suggests a similar one.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    theirs = {full.partition(":")[2]: full for full in optax_names()}
    module = name.partition(":")[0]
    if ":" not in name:
        close = difflib.get_close_matches(name, theirs, 1, cutoff=0.7)
        also = f", such as {theirs[close[0]]}" if close else ""
        raise ValueError(
            f"{unknown(name, OPTIMIZERS)} Use optax:NAME for one of optax{also}, or "
            "module:function for one of your own."
        )
    if module in _OPTAX and name not in theirs.values():
        raise ValueError(unknown(name, optax_names()))
    function = import_object(name)
    if not callable(function):
        raise ValueError(f"{name!r} is not a function that makes an optimizer.")
    return _other_optimizer(function, name)


def optax_names() -> list[str]:
    """Returns the names of the optimizers of optax, for ``find_optimizer``."""
    return [
        f"{module}:{name}"
        for module, functions in _OPTAX.items()
        for name, function in sorted(vars(functions).items())
        if inspect.isfunction(function)
        and not name.startswith(_NO_OPTIMIZERS)
        and "learning_rate" in inspect.signature(function).parameters
    ]


_OPTAX = {"optax": optax, "optax.contrib": optax.contrib}
# Parts of optimizers; and those whose parameters are not the ones to evaluate.
_NO_OPTIMIZERS = ("_", "scale_by_", "schedule_free")


def _other_optimizer(
    function: Callable[..., Any], name: str
) -> Callable[..., optax.GradientTransformation]:
    """Returns an optimizer of another module with keyword-only, plain options."""

    def make(**options: Any) -> optax.GradientTransformation:
        lacking = f"{name} cannot be used, because it needs more than its options"
        try:
            made: optax.GradientTransformation = function(**options)
        except TypeError as error:
            raise ValueError(f"{lacking} ({error}).") from error
        try:
            state = jax.eval_shape(made.init, _SOME)
            update = optax.with_extra_args_support(made).update
            jax.eval_shape(update, _SOME, state, _SOME)
        except Exception as error:
            raise ValueError(f"{lacking} and the gradients ({error}).") from error
        for leaf in jax.tree.leaves(state):
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                raise ValueError(
                    f"{name} cannot be used, because it keeps a PRNG key in its state."
                )
        return made

    parameters = inspect.signature(function).parameters
    if "learning_rate" not in parameters:
        raise ValueError(f"{name!r} has no parameter learning_rate.")
    own = [_option(p) for p in parameters.values() if _is_plain(p)]
    make.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    return make


_SOME = {
    "w": jax.ShapeDtypeStruct((2, 2), jnp.float32),
    "b": jax.ShapeDtypeStruct((2,), jnp.float32),
}


def _is_plain(parameter: inspect.Parameter) -> bool:
    default, name = parameter.default, parameter.name
    plain = (bool, int, float, str, tuple, type(None))
    is_tree = name.endswith(("mask", "dimension_numbers"))  # given as a pytree
    is_value = (
        default is parameter.empty or type(default) in plain
    )  # a tuple with names is not
    return is_value and not is_tree and parameter.kind.name not in _VARIADIC


_VARIADIC = ("VAR_POSITIONAL", "VAR_KEYWORD")


def _option(parameter: inspect.Parameter) -> inspect.Parameter:
    """Returns a parameter as an option, with the type of its default."""
    default = parameter.default
    annotation: Any = Any
    if parameter.name == "learning_rate":
        annotation = Positive
        default = parameter.empty if default is None else default
    elif default is None:
        annotation = bool | int | float | str | None
    elif default is not parameter.empty:
        annotation = type(default)
    return parameter.replace(
        kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": adam,
    "rmsprop": rmsprop,
    "rmsprop_tensorflow": rmsprop_tensorflow,
}
