"""Weighted terms of a loss: penalties and regularizers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from wgan_jax.types import Array, GenerateFn, Metrics, Params, PRNGKey, PyTree

_Function = TypeVar("_Function", bound=Callable[..., Any])
_VALUE = "value"  # key of the weighted value in the metrics of a penalty


class Term(NamedTuple):
    """Weighted term of a loss; a plain tuple of its fields is accepted as well.

    Attributes:
        function: a penalty of the critic or a regularizer of the generator.
        weight: weight > 0, or a function from the iteration (scalar int32) to
            the weight.
        every: interval >= 1. The term is evaluated only in every ``every``-th
            update of its network, with ``every`` times the weight, so its mean
            over updates is unchanged. It shares the optimizer update with the
            main loss, so the decays of the optimizer need no correction. The
            latest metrics are logged, without the factor ``every``.
        name: if set, the weighted term is logged as ``critic/penalty/<name>``
            or ``generator/regularizer/<name>``.
    """

    function: Any
    weight: float | Array | Callable[[Array], Array]
    every: int = 1
    name: str = ""

    def weight_at(self, step: Array) -> float | Array:
        """Returns the weight in an iteration, without the factor ``every``."""
        return self.weight(step) if callable(self.weight) else self.weight


class Regularizer(NamedTuple):
    """Stateful term of the generator loss, before its weight is applied.

    Attributes:
        init: ``() -> state``, the initial state, a pytree of arrays.
        apply:
            ``(generate_fn, latent [B, Z], key, state) -> (value, new state)``
            with a scalar value. ``generate_fn(latent)`` returns images
            ``[B, ...]``, where image i depends only on latent i.
        report: ``state -> metrics``. Metrics are computed from the state, so
            that terms evaluated in only some updates can be logged in every
            update.
    """

    init: Callable[[], PyTree]
    apply: Callable[[GenerateFn, Array, PRNGKey, PyTree], tuple[Array, PyTree]]
    report: Callable[[PyTree], Metrics]


def as_term(entry: Any, where: str) -> Term:
    """Converts a pair, a longer tuple or a Term to a Term.

    Args:
        entry: user-supplied entry.
        where: name of the list that contains it, for error messages.

    Returns:
        The term.

    Raises:
        ValueError: if the entry is not a term, its weight is not above 0, or
            ``every`` is not a positive integer.
    """
    if not isinstance(entry, tuple) or not 2 <= len(entry) <= 4:
        raise ValueError(
            f"{where} contains {entry!r}; each entry must be a pair (function, weight) "
            "or a Term."
        )
    term = Term(*entry)
    if not (callable(term.function) or isinstance(term.function, Regularizer)):
        raise ValueError(
            f"{where} contains {entry!r}; the first element must be a function."
        )
    term = term._replace(function=reporting(term.function))
    weight: Any = term.weight
    unknown = callable(weight) or isinstance(weight, jax.core.Tracer)
    if not unknown and (isinstance(weight, str) or not weight > 0):
        raise ValueError(f"{where}: weight is {term.weight}; it must be above 0.")
    if not isinstance(term.every, int) or term.every < 1:
        raise ValueError(
            f"{where}: every is {term.every}; it must be a whole number at least 1."
        )
    return term


def reports(measuring: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Decorates a penalty that has a variant which also returns metrics.

    Args:
        measuring: function of the same arguments that returns the penalty and
            its metrics.
    """

    def mark(function: _Function) -> _Function:
        function.reports = measuring  # type: ignore[attr-defined]
        return function

    return mark


def reporting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the variant of a penalty that also returns metrics.

    Args:
        function: a penalty, or a ``functools.partial`` of one.

    Returns:
        The variant with the same arguments bound, or ``function`` itself if
        there is no variant.
    """
    if isinstance(function, partial):
        inner = reporting(function.func)
        if inner is function.func:
            return function
        return partial(inner, *function.args, **function.keywords)
    return getattr(function, "reports", function)


def sum_penalties(
    terms: Sequence[Term],
    measured: Sequence[Metrics],
    call: Callable[[Any, PRNGKey], Any],
    key: PRNGKey,
    *,
    step: Array,
    count: Array,
) -> tuple[Array | float, tuple[Metrics, ...], Metrics]:
    """Computes the sum of all penalties of one critic update.

    Args:
        terms: the penalties.
        measured: latest metrics of the lazily evaluated penalties, in order.
        call: ``(penalty, key) -> scalar, or scalar and metrics``.
        key: PRNG key; term i uses ``fold_in(key, i)``.
        step: scalar int32 iteration, for the weights.
        count: scalar int32 number of previous critic updates, for the
            intervals.

    Returns:
        The sum to minimize, the new metrics of the lazily evaluated penalties,
        and the metrics to log: ``critic/penalty``, the sum of the weighted
        values (the latest value of lazily evaluated penalties);
        ``critic/penalty/<name>`` for named terms; and the metrics reported by
        the penalties. If two penalties report the same metric, the later one
        gets a unique name.

    Raises:
        ValueError: if the state belongs to a ``Gan`` with other lazily
            evaluated penalties.
    """
    total: Array | float = 0.0
    found: list[Metrics] = []
    metrics: Metrics = {}
    lazy = sum(term.every > 1 for term in terms)
    if lazy != len(measured):
        raise ValueError(
            f"the state has {len(measured)} lazy penalties, but the Gan has {lazy}. "
            "Create the state with init_state of this Gan."
        )
    for i, term in enumerate(terms):
        run = partial(_measure, term, call, jax.random.fold_in(key, i), step)
        if term.every > 1:
            last = measured[len(found)]
            value, reported = _in_turn(term.every, count, run, last)
            found.append(reported)
        else:
            value, reported = run()
        total += term.every * value
        weighted = reported[_VALUE]
        metrics["critic/penalty"] = metrics.get("critic/penalty", 0.0) + weighted
        if term.name:
            metrics[f"critic/penalty/{term.name}"] = weighted
        for name in reported.keys() - {_VALUE}:
            unique = f"{name}/{term.name or i}" if name in metrics else name
            metrics[unique] = reported[name]
    return total, tuple(found), metrics


def nothing_measured(
    terms: Sequence[Term], call: Callable[[Any, PRNGKey], Any], key: PRNGKey
) -> tuple[Metrics, ...]:
    """Returns the initial metrics of lazily evaluated penalties, all zero.

    Args:
        terms: the penalties.
        call: as for ``sum_penalties``; it is traced, not run.
        key: PRNG key.

    Returns:
        The argument ``measured`` of ``sum_penalties``.
    """

    def zeros(term: Term) -> Metrics:
        start = jnp.zeros((), jnp.int32)
        shapes = jax.eval_shape(lambda: _measure(term, call, key, start)[1])
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return tuple(zeros(term) for term in terms if term.every > 1)


def initial_memories(terms: Sequence[Term]) -> tuple[PyTree, ...]:
    """Returns the initial states of regularizers, the argument of the sum.

    Args:
        terms: the regularizers.

    Returns:
        One state for each; of lazily evaluated ones with the latest weighted value,
        0.
    """
    return tuple(
        (term.function.init(), jnp.zeros(()))
        if term.every > 1
        else term.function.init()
        for term in terms
    )


def sum_regularizers(
    terms: Sequence[Term],
    memories: Sequence[PyTree],
    call: Callable[[Any, Params, PRNGKey, PyTree], tuple[Array, PyTree]],
    params: Params,
    key: PRNGKey,
    *,
    step: Array,
) -> tuple[PyTree, tuple[PyTree, ...], Metrics]:
    """Computes the gradient of all regularizers of one generator update.

    Args:
        terms: the regularizers.
        memories: state of each regularizer, as of ``initial_memories``.
        call: ``(apply, params, key, state) -> (value, new state)``.
        params: generator parameters.
        key: PRNG key; term i uses ``fold_in(key, i)``.
        step: scalar int32 iteration, for weights and intervals.

    Returns:
        The summed gradient, the new state of each regularizer, and the metrics:
        ``generator/regularizer``, the sum of the weighted values (the latest value
        of lazily evaluated terms); ``generator/regularizer/<name>`` for named
        terms; and the metrics reported by the regularizers.
    """
    total: PyTree = jax.tree.map(jnp.zeros_like, params)
    remembered: list[PyTree] = []
    metrics: Metrics = {}

    def compute(term: Term, memory: PyTree, key: PRNGKey) -> tuple[PyTree, PyTree]:
        def loss_fn(params: Params) -> tuple[Array, tuple[PyTree, Array]]:
            value, new = call(term.function.apply, params, key, memory)
            value = term.weight_at(step) * value
            return term.every * value, (new, value)

        return jax.grad(loss_fn, has_aux=True)(params)

    for i, (term, memory) in enumerate(zip(terms, memories, strict=True)):
        own = jax.random.fold_in(key, i)
        if term.every > 1:
            run = partial(compute, term, memory[0], own)
            gradients, (new, value) = _in_turn(term.every, step, run, memory)
            remembered.append((new, value))
        else:
            gradients, (new, value) = compute(term, memory, own)
            remembered.append(new)
        total = jax.tree.map(jnp.add, total, gradients)
        metrics |= term.function.report(new)
        if term.name:
            metrics[f"generator/regularizer/{term.name}"] = value
        metrics["generator/regularizer"] = (
            metrics.get("generator/regularizer", 0.0) + value
        )
    return total, tuple(remembered), metrics


def _measure(
    term: Term, call: Callable[[Any, PRNGKey], Any], key: PRNGKey, step: Array
) -> tuple[Array, Metrics]:
    """Returns the weighted value of a penalty, and its metrics."""
    result = call(term.function, key)
    value, reported = result if isinstance(result, tuple) else (result, {})
    value = term.weight_at(step) * value
    return value, {**reported, _VALUE: value}


def _in_turn(interval: int, count: Array, compute: Any, memory: PyTree) -> Any:
    """Runs ``compute()`` if ``interval`` divides ``count``; else zeros and memory."""
    shapes, _ = jax.eval_shape(compute)
    zeros = partial(jax.tree.map, lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.cond(count % interval == 0, compute, lambda: (zeros(), memory))
