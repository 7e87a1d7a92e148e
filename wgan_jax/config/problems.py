"""Collects the mistakes in a config, to report all of them at once."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from wgan_jax.errors import ConfigError

_R = TypeVar("_R")


class Problems:
    """Mistakes in a config, by field.

    Attributes:
        messages: one message per field.
    """

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}

    def add(self, field: str, message: str) -> None:
        """Records a mistake, unless the field already has one."""
        self.messages.setdefault(field, message)

    def attempt(
        self, function: Callable[..., _R], *args: Any, **kwargs: Any
    ) -> _R | None:
        """Calls a function and records its ConfigError.

        If there are earlier mistakes, errors that mention one of their fields,
        and all other exceptions, are ignored as consequences of them.

        Args:
            function: a check, or a function that builds an object.
            *args: arguments of the function.
            **kwargs: keyword arguments of the function.

        Returns:
            The result of the function; None after an error.
        """
        known = set(self.messages)
        try:
            return function(*args, **kwargs)
        except ConfigError as error:
            for line in map(str.strip, str(error).splitlines()):
                fields = re.findall(r"config\.([\w.]*\w)", line)
                if not any(_mentions(line, fields, name) for name in known):
                    self.add(fields[0] if fields else line, line)
        except Exception:
            if not known:
                raise
        return None

    def raise_all(self) -> None:
        """Raises ConfigError with one line per mistake, if there are any."""
        found = list(self.messages.values())
        if len(found) > 1:
            found.insert(0, f"{len(found)} mistakes in the config:")
        if found:
            raise ConfigError("\n  ".join(found))


def _mentions(line: str, fields: list[str], name: str) -> bool:
    """Returns whether a message mentions a field or a group that contains it."""
    if fields:
        return any(f"{name}.".startswith(f"{field}.") for field in fields)
    return re.search(rf"\b{name.split('.')[-1]}\b", line) is not None
