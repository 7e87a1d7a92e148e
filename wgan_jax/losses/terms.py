"""Weighted terms of a loss: penalties and regularizers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from wgan_jax.types import Array, Metrics, Params, PRNGKey, PyTree

_Function = TypeVar("_Function", bound=Callable[..., Any])
_VALUE = "value"  # under which a penalty's weighted value lies beside its metrics


class Term(NamedTuple):
    """A weighted term of a network's loss; a plain pair or triple will do too.

    Attributes:
        function: a penalty of the critic or a regularizer of the generator.
        weight: its factor, > 0, or a function from the iteration (scalar
            int32) to it.
        every: it is computed in every ``every``-th update of its network only,
            with ``every`` times the weight, >= 1. Its mean over updates stays
            the same, and since it shares the update of the main loss the
            optimizer's decays need no correction. Logged is what it last
            measured, once the weight.
        name: if given, the weighted term is logged as
            ``critic/penalty/<name>`` or ``generator/regularizer/<name>``.
    """

    function: Any
    weight: float | Array | Callable[[Array], Array]
    every: int = 1
    name: str = ""

    def weight_at(self, step: Array) -> float | Array:
        """The factor in an iteration, before ``every``."""
        return self.weight(step) if callable(self.weight) else self.weight


def as_term(entry: Any, where: str) -> Term:
    """A pair, triple or Term as a Term.

    Args:
        entry: what the user wrote.
        where: in which list.

    Returns:
        The term.

    Raises:
        ValueError: if it is none, its weight is not above 0, or ``every`` is not
            a whole number above 0.
    """
    if not isinstance(entry, tuple) or not 2 <= len(entry) <= 4:
        raise ValueError(
            f"{where} holds {entry!r}; each entry is a pair of a function and its "
            "weight, or a Term."
        )
    term = Term(*entry)
    term = term._replace(function=reporting(term.function))
    weight: Any = term.weight
    unknown = callable(weight) or isinstance(weight, jax.core.Tracer)
    if not unknown and not weight > 0:
        raise ValueError(f"{where}: weight is {term.weight}; it must be above 0.")
    if not isinstance(term.every, int) or term.every < 1:
        raise ValueError(
            f"{where}: every is {term.every}; it must be a whole number, at least 1."
        )
    return term


def reports(measuring: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Decorates a penalty that has a form which also returns what it measured.

    Args:
        measuring: a function of the same arguments, to the penalty and its metrics.
    """

    def mark(function: _Function) -> _Function:
        function.reports = measuring  # type: ignore[attr-defined]
        return function

    return mark


def reporting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the form of a penalty that also returns what it measured.

    Args:
        function: a penalty, or a ``functools.partial`` of one.

    Returns:
        That form with the same arguments bound; the function itself without one.
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
    """All penalties of one update.

    Args:
        terms: the penalties.
        measured: what the lazy ones last measured, in their order.
        call: ``(penalty, key) -> scalar, or scalar and metrics``.
        key: typed key; each term folds its place into it.
        step: scalar int32, the iteration, for the weights.
        count: scalar int32, updates before this one, for the intervals.

    Returns:
        The sum to descend, what lazy terms have measured now, and the metrics:
        ``critic/penalty``, the sum of the weighted values, of lazy terms the
        last ones; ``critic/penalty/<name>`` of named terms; and what the
        penalties report, under a name of its own where two report the same.

    Raises:
        ValueError: if the state is of a Gan with other lazy penalties.
    """
    total: Array | float = 0.0
    found: list[Metrics] = []
    metrics: Metrics = {}
    lazy = sum(term.every > 1 for term in terms)
    if lazy != len(measured):
        raise ValueError(
            f"the state remembers {len(measured)} lazy penalties, and the Gan has "
            f"{lazy}; make the state with init_state of this Gan."
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
    """What lazy penalties have measured before any update: zeros, by name.

    Args:
        terms: the penalties.
        call: as for ``sum_penalties``; it is traced, not run.
        key: typed key.

    Returns:
        As ``sum_penalties`` takes it.
    """

    def zeros(term: Term) -> Metrics:
        start = jnp.zeros((), jnp.int32)
        shapes = jax.eval_shape(lambda: _measure(term, call, key, start)[1])
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return tuple(zeros(term) for term in terms if term.every > 1)


def sum_regularizers(
    terms: Sequence[Term],
    memories: Sequence[PyTree],
    call: Callable[[Any, Params, PRNGKey, PyTree], tuple[Array, PyTree]],
    params: Params,
    key: PRNGKey,
    *,
    step: Array,
) -> tuple[PyTree, tuple[PyTree, ...], Metrics]:
    """The gradient of all regularizers of one update.

    Args:
        terms: the regularizers.
        memories: what each remembers.
        call: ``(apply, params, key, memory) -> (value, new memory)``.
        params: the generator's.
        key: typed key; each term folds its place into it.
        step: scalar int32, the iteration, for weights and intervals.

    Returns:
        The summed gradient, what each remembers now, and the metrics:
        ``generator/regularizer``, the sum to descend, 0 where lazy terms alone
        are there and none has its turn; ``generator/regularizer/<name>`` of
        named terms; and what the regularizers report.
    """
    total: PyTree = jax.tree.map(jnp.zeros_like, params)
    remembered: list[PyTree] = []
    metrics: Metrics = {}

    def compute(term: Term, memory: PyTree, key: PRNGKey) -> tuple[Any, PyTree]:
        def loss_fn(params: Params) -> tuple[Array, PyTree]:
            value, new = call(term.function.apply, params, key, memory)
            return term.every * term.weight_at(step) * value, new

        (value, new), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params)
        return (value, gradients), new

    for i, (term, memory) in enumerate(zip(terms, memories, strict=True)):
        run = partial(compute, term, memory, jax.random.fold_in(key, i))
        if term.every > 1:
            run = partial(_in_turn, term.every, step, run, memory)
        (value, gradients), new = run()
        total = jax.tree.map(jnp.add, total, gradients)
        remembered.append(new)
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
    """A penalty with its weight, and all that it reports."""
    result = call(term.function, key)
    value, reported = result if isinstance(result, tuple) else (result, {})
    value = term.weight_at(step) * value
    return value, {**reported, _VALUE: value}


def _in_turn(interval: int, count: Array, compute: Any, memory: PyTree) -> Any:
    """``compute()`` if the interval divides the count, else zeros and the memory."""
    shapes, _ = jax.eval_shape(compute)
    zeros = partial(jax.tree.map, lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.cond(count % interval == 0, compute, lambda: (zeros(), memory))
