"""Nested mappings, such as configs."""

from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yields the names and values of nested mappings, with names like ``a.b.c``."""
    for name, value in tree.items():
        if isinstance(value, Mapping | ml_collections.ConfigDict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
