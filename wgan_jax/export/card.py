"""Model cards of trained generators, as Markdown."""

from collections.abc import Mapping
from typing import Any

_TABLE = "| metric | value | protocol |\n|---|---|---|\n"


def model_card(card: Mapping[str, Any], *, usage: str, size: int) -> str:
    """Returns a model card.

    Args:
        card: facts about the generator, as in ``Pretrained.card``.
        usage: section on how to use the files.
        size: bytes of the weights.
    """
    data, scores = card["data"], card["scores"]
    names = data.get("class_names") or []
    shape = " x ".join(map(str, data["example_shape"]))
    facts = {
        "images" if len(data["example_shape"]) == 3 else "one example": shape,
        "data": f"{data['name']}, {data['count']:,} examples of `{data['split']}`",
        "parameters": f"{card['parameters']:,}; {size:,} bytes",
        "iterations": f"{card['step']:,}",
        "training": card.get("training"),
        "command": f"`{card['command']}`",
        "license": card["license"],
    }
    rows = [f"| {name} | {text} |" for name, text in facts.items() if text]
    parts = [f"# {card['title']}", card["description"], usage]
    parts.append("\n".join(["| | |", "|---|---|", *rows]))
    if names and names != [str(i) for i in range(len(names))]:
        listed = ", ".join(f"{i} {name}" for i, name in enumerate(names))
        parts.append(f"Classes: {listed}.")
    if scores:
        parts.append(_TABLE + "\n".join(map(_score, scores)))
    parts.append(f"Intended use: {card['intended_use']}")
    parts.append(f"Limits: {card['limits']}")
    return "\n\n".join(parts) + "\n"


def _score(score: Mapping[str, Any]) -> str:
    return (
        f"| {score['metric'].replace('_', ' ')} | {score['value']:.3f} | "
        f"{score['fake_count']:,} samples, {score['real_count']:,} of "
        f"`{score['split']}`, {score['features']} |"
    )
