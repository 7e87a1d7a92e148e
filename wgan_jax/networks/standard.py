"""Switch from this package's primitives to standard operations, for converters."""

import contextlib
import contextvars
from collections.abc import Iterator

_STANDARD = contextvars.ContextVar("standard operations", default=False)


@contextlib.contextmanager
def standard_operations() -> Iterator[None]:
    """Traces convolutions and products as operations of ``jax.lax`` alone.

    Programs that read a function's jaxpr, such as converters to other formats,
    do not know the primitives of ``networks.conv`` and ``networks.product``.
    Functions that are traced inside of this context have
    ``lax.conv_general_dilated`` and ``lax.dot_general`` in their place, with
    the same results up to rounding. Derivatives are then slower.

    A function that was compiled before is not traced again, so trace a new one.
    """
    token = _STANDARD.set(True)
    try:
        yield
    finally:
        _STANDARD.reset(token)


def uses_standard_operations() -> bool:
    """Returns whether ``standard_operations`` is active."""
    return _STANDARD.get()
