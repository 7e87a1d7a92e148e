"""JSON from a file that may be damaged, or from elsewhere."""

import json
from typing import Any


def parse_json(text: str | bytes, **options: Any) -> Any:
    """Parses a text.

    Args:
        text: JSON.
        options: as of ``json.loads``.

    Returns:
        The value.

    Raises:
        ValueError: if it is not JSON, or is nested deeper than Python can read.
    """
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
