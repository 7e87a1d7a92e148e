"""The first operation that is not finite is found, in losses and their gradients."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.training.origins import find_origins


def line_of(function, text):
    """Returns the number of the line of a function that has a text."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def log_of_zero(x):
    shifted = x - 1.0
    return jnp.sum(jnp.log(shifted))


def overflow(x):
    return jnp.sum(jnp.exp(100 * x))


def root(x):
    return jnp.sum(jnp.sqrt(x - 1.0))


def scanned(x):
    def body(total, row):
        return total + jnp.log(row - 1.0), row / (row - 2.0)

    return jax.lax.scan(body, 0.0, x)


def looped(x):
    return jax.lax.while_loop(lambda y: y < jnp.inf, lambda y: y * y * 1e30, x[0])


def chosen(x):
    return jax.lax.cond(x[0] > 0, lambda: jnp.log(x - 1.0), lambda: x)


@jax.custom_vjp
def own(x):
    return jnp.log(x - 1.0)


own.defvjp(lambda x: (own(x), x), lambda x, g: (g / (x - 1.0),))


@pytest.mark.parametrize(
    ("function", "operation", "value", "text"),
    [
        (log_of_zero, "log", "-inf", "jnp.log"),
        (overflow, "exp", "inf", "jnp.exp"),
        (jax.jit(log_of_zero), "log", "-inf", "jnp.log"),
        (jax.checkpoint(log_of_zero), "log", "-inf", "jnp.log"),
        (scanned, "log", "-inf", "jnp.log"),
        (looped, "mul", "inf", "* 1e30"),
        (chosen, "log", "-inf", "jnp.log"),
        (own, "log", "-inf", "jnp.log"),
    ],
)
def test_operation_and_line_are_found(function, operation, value, text):
    x = jnp.array([1.0, 2.0, 3.0])
    found = jax.tree.leaves(find_origins(function, x))[0]
    assert (found.operation, found.value) == (operation, value)
    assert found.file == __file__
    assert found.line == line_of(inspect.unwrap(function), text)
    assert not found.in_gradient


def test_operations_of_a_gradient_have_the_line_of_the_function():
    found = find_origins(jax.grad(root), jnp.array([1.0, 2.0]))
    assert found.value == "inf"
    assert found.line == line_of(root, "jnp.sqrt")
    assert found.in_gradient or found.operation in ("div", "rsqrt")


def test_outputs_of_a_scan_have_their_own_origins():
    total, rows = find_origins(scanned, jnp.array([3.0, 2.0]))
    assert total is None
    assert (rows.operation, rows.value) == ("div", "inf")
    _, rows = find_origins(scanned, jnp.array([3.0, 4.0]))
    assert rows is None


def test_constants_of_a_scan_are_told_from_what_it_carries():
    def sums(x):
        a, b, c = x - 1.0, x + 1.0, x * 0.5  # three constants of the body

        def body(total, row):
            return total + jnp.sum(jnp.log(a) * b * c) * row, total

        return jax.lax.scan(body, 0.0, x)

    total, _ = find_origins(sums, jnp.array([1.0, 2.0]))
    assert (total.operation, total.value) == ("log", "-inf")
    np.testing.assert_equal(find_origins(sums, jnp.array([2.0, 3.0])), (None, None))


def test_values_that_are_not_selected_are_no_finding():
    def safe(x):
        return jnp.where(x > 1, jnp.log(x - 1), 0.0), jnp.log(x - 1)

    first, second = find_origins(safe, jnp.ones(2))
    assert first is None
    assert second.operation == "log"


def test_the_first_of_several_operations_is_named():
    def both(x):
        a = jnp.log(x - 1)
        b = jnp.exp(x * 1000)
        return a * 0 + b, b

    first, second = find_origins(both, jnp.ones(2))
    assert (first.operation, second.operation) == ("log", "exp")
    assert first.order < second.order


def test_arguments_that_are_not_finite_are_named():
    found = find_origins(jnp.square, jnp.array([1.0, np.nan]))
    assert (found.operation, found.value) == ("input", "nan")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.complex64])
@pytest.mark.parametrize(
    ("values", "name"),
    [([1, np.inf, -np.inf], "inf"), ([1, -np.inf], "-inf"), ([np.nan, np.inf], "nan")],
)
def test_the_value_is_named_in_every_dtype(dtype, values, name):
    assert find_origins(jnp.square, jnp.array(values, dtype)).value == name


def test_an_infinite_imaginary_part_is_inf():
    assert find_origins(jnp.conj, jnp.complex64(complex(1, -np.inf))).value == "inf"


def test_values_are_those_of_the_function():
    key = jax.random.key(3)

    def function(key, x):
        noise = jax.random.normal(key, (4,), jnp.bfloat16)
        return jnp.log(noise * 0 + x.astype(jnp.bfloat16))

    assert find_origins(function, key, jnp.float32(1.0)) is None
    assert find_origins(partial(function, key), jnp.float32(0.0)).operation == "log"
