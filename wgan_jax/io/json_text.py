"""JSON from a file that may be damaged, or from elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
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


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the records of a file as ``JsonLines`` writes it.

    Other lines are left out: an incomplete one, as a killed run or a full disk leaves
    it, and those without a step.

    Args:
        path: path of the file, which may be missing.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for raw in file:
            try:
                line = parse_json(raw)
            except ValueError:
                continue
            if not isinstance(line, dict):
                continue
            step = line.get("step")
            if isinstance(step, int) and abs(step) < 2**31:
                yield line
