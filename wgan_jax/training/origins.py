"""The operation that first makes a result of a function NaN or infinite.

A function is traced, and its operations are run one by one. A result that is not
finite keeps the operation that it comes from. Infinite values that a later operation
discards, such as those of a branch that is not selected, are therefore no finding.
"""

import os
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from wgan_jax.types import PyTree

# Packages that call operations on behalf of a network or a loss.
_CALLERS = tuple(f"{Path(str(m.__file__)).parent}{os.sep}" for m in (jax, flax, optax))
_STANDARD = sysconfig.get_path("stdlib")
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # of operations that are a call


@dataclass(frozen=True)  # a leaf of trees
class Origin:
    """An operation whose operands are finite, and whose result is not.

    Attributes:
        operation: name of the primitive, such as ``log``; ``input`` for an argument
            of the function.
        file: file of the line that calls it; empty if unknown.
        line: number of the line.
        function: name of the function with the line.
        value: ``nan``, ``inf`` or ``-inf``.
        in_gradient: whether the operation is part of a gradient, and the line that
            of the differentiated operation.
        order: number of operations before it.
    """

    operation: str
    file: str
    line: int
    function: str
    value: str
    in_gradient: bool
    order: int


def find_origins(function: Callable[..., PyTree], *args: Any) -> PyTree:
    """Runs a function operation by operation, and finds what is not finite first.

    Args:
        function: a function that JAX can trace.
        *args: its arguments, pytrees of arrays.

    Returns:
        The structure of the result, with the ``Origin`` of each array that is not
        finite, and None for the others.
    """
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    run = _Run()
    leaves = jax.tree.leaves(args)
    inputs = [run.marked(x, "input", None, []) for x in leaves]
    found = run.evaluate(closed.jaxpr, closed.consts, inputs)
    return jax.tree.unflatten(
        jax.tree.structure(shape), [origin for _, origin in found]
    )


_Marked = tuple[Any, Origin | None]


class _Run:
    """Evaluation of one function."""

    def __init__(self) -> None:
        self._count = 0

    def evaluate(
        self, jaxpr: Jaxpr, consts: Sequence[Any], inputs: Sequence[_Marked]
    ) -> list[_Marked]:
        known: dict[Any, _Marked] = {
            v: (x, None) for v, x in zip(jaxpr.constvars, consts, strict=True)
        }
        known |= dict(zip(jaxpr.invars, inputs, strict=True))

        def read(v: Any) -> _Marked:
            return (v.val, None) if isinstance(v, Literal) else known[v]

        for equation in jaxpr.eqns:
            found = self._equation(equation, [read(v) for v in equation.invars])
            known |= dict(zip(equation.outvars, found, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def marked(
        self, value: Any, name: str, info: Any, inputs: Sequence[_Marked]
    ) -> _Marked:
        """Returns a value with its origin, which may be that of an input."""
        bad = _not_finite(value)
        if not bad:
            return value, None
        before = [origin for _, origin in inputs if origin is not None]
        if before:
            return value, min(before, key=lambda origin: origin.order)
        return value, Origin(
            name,
            *_place(info),
            bad,
            info is not None and "transpose" in str(info.name_stack),
            self._count,
        )

    def _equation(self, equation: Any, inputs: list[_Marked]) -> list[_Marked]:
        params, name = equation.params, equation.primitive.name
        if name == "scan":
            return self._scan(equation, inputs)
        if name == "while":
            return self._while(params, inputs)
        if name == "cond":
            index, *operands = inputs
            branch = params["branches"][int(index[0])]
            return self.evaluate(branch.jaxpr, branch.consts, operands)
        for key in _INNER:
            inner = params.get(key)
            if isinstance(inner, ClosedJaxpr):
                return self.evaluate(inner.jaxpr, inner.consts, inputs)
            if isinstance(inner, Jaxpr):
                return self.evaluate(inner, (), inputs)
        self._count += 1
        bound = equation.primitive.get_bind_params(params)
        with equation.ctx.manager:
            result = equation.primitive.bind(*(x for x, _ in inputs), **bound)
        results = result if equation.primitive.multiple_results else [result]
        return [self.marked(x, name, equation.source_info, inputs) for x in results]

    def _scan(self, equation: Any, inputs: list[_Marked]) -> list[_Marked]:
        params = equation.params
        body = params["jaxpr"]
        # Releases of JAX differ in how they store these counts, but the body always
        # has an axis less than the rows and the stacked outputs.
        count = _like(equation.outvars, body.jaxpr.outvars)
        last = _like(equation.invars, body.jaxpr.invars)
        consts, carry = inputs[: last - count], inputs[last - count : last]
        rows = inputs[last:]
        steps: list[list[_Marked]] = []
        order = range(params["length"])
        for i in reversed(order) if params["reverse"] else order:
            part = [self.marked(x[i], "input", None, [(x, o)]) for x, o in rows]
            found = self.evaluate(body.jaxpr, body.consts, [*consts, *carry, *part])
            carry = found[:count]
            steps.append(found[count:])
        if params["reverse"]:
            steps.reverse()
        return carry + [_stacked(column) for column in zip(*steps, strict=True)]

    def _while(self, params: dict[str, Any], inputs: list[_Marked]) -> list[_Marked]:
        test, body = params["cond_jaxpr"], params["body_jaxpr"]
        a = params["cond_nconsts"]
        b = a + params["body_nconsts"]
        carry = inputs[b:]
        while self.evaluate(test.jaxpr, test.consts, [*inputs[:a], *carry])[0][0]:
            carry = self.evaluate(body.jaxpr, body.consts, [*inputs[a:b], *carry])
        return carry


def _like(outer: Sequence[Any], inner: Sequence[Any]) -> int:
    """Returns how many variables have as many axes as those of the body of a scan."""
    pairs = zip(outer, inner, strict=True)
    return sum(a.aval.ndim == b.aval.ndim for a, b in pairs)


def _stacked(column: Sequence[_Marked]) -> _Marked:
    origins = [origin for _, origin in column if origin is not None]
    first = min(origins, key=lambda origin: origin.order) if origins else None
    return jnp.stack([x for x, _ in column]), first


def _not_finite(value: Any) -> str:
    """Returns ``nan``, ``inf`` or ``-inf`` if an array has it, in this order."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
        return ""
    values = np.asarray(value)
    if np.isfinite(values).all():
        return ""
    if np.isnan(values).any():
        return "nan"
    return "-inf" if (values[np.isinf(values)] == -np.inf).all() else "inf"


def _place(info: Any) -> tuple[str, int, str]:
    """Returns the file, the line and the function that call an operation."""
    if info is None or info.traceback is None:
        return "", 0, ""
    for frame in info.traceback.frames:  # the innermost first
        name = frame.file_name
        standard = name.startswith(_STANDARD) and "site-packages" not in name
        if not standard and not name.startswith(_CALLERS):
            return name, frame.line_num, frame.function_name
    return "", 0, ""
