"""Collects the mistakes in a config, to report all of them at once."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from wgan_jax.errors import ConfigError

_R = TypeVar("_R")


class Problems:
    """Mistakes by the field that they are about.

    Attributes:
        messages: one sentence for each field.
    """

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}

    def add(self, field: str, message: str) -> None:
        """Records a mistake, unless one is known of the same field."""
        self.messages.setdefault(field, message)

    def attempt(
        self, function: Callable[..., _R], *args: Any, **kwargs: Any
    ) -> _R | None:
        """Calls a function and records its ConfigError.

        After an earlier mistake, an error that mentions a field known to be wrong is
        left out as a consequence of it, and so is any other exception.

        Args:
            function: a check, or what builds an object.
            *args: its arguments.
            **kwargs: its keyword arguments.

        Returns:
            What the function returns; None after an error.
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
        """Raises ConfigError for all mistakes, a line each, if there are any."""
        found = list(self.messages.values())
        if len(found) > 1:
            found.insert(0, f"{len(found)} mistakes in the config:")
        if found:
            raise ConfigError("\n  ".join(found))


def _mentions(line: str, fields: list[str], name: str) -> bool:
    """Whether a message is about a field, one of its group, or an option of it."""
    if fields:
        return any(f"{name}.".startswith(f"{field}.") for field in fields)
    return re.search(rf"\b{name.split('.')[-1]}\b", line) is not None
