"""Configs of the runs side by side."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wgan_jax.report.run import Run

ABSENT = "absent"


@dataclass(frozen=True)
class Field:
    """One field of the configs.

    Attributes:
        name: path of the field, such as ``penalty.weight``.
        values: value of each run as text, ``absent`` if it does not have it.
        changed: for each run, whether its value is not that of the first run.
    """

    name: str
    values: list[str]
    changed: list[bool]

    @property
    def differs(self) -> bool:
        """Whether the runs do not have the same value."""
        return any(self.changed)


def compare_configs(runs: Sequence[Run]) -> list[Field]:
    """Returns all fields of the configs, in their order.

    Args:
        runs: at least one.
    """
    configs = [run.config for run in runs]
    fields = []
    for name in dict.fromkeys(name for config in configs for name in config):
        values = [_text(c[name]) if name in c else ABSENT for c in configs]
        changed = [value != values[0] for value in values]
        fields.append(Field(name, values, changed))
    return fields


def _text(value: Any) -> str:
    """Returns a config value as it would be typed; an empty string as quotes."""
    return value if isinstance(value, str) and value else json.dumps(value)
