"""Tables of metric names, generated from the table of the report."""

from wgan_jax.report.names import METRICS


def metrics_as_markdown() -> str:
    """Returns a table of metrics for each part as Markdown."""
    lines: list[str] = []
    for part, metrics in METRICS.items():
        lines += ["", f"## {part}", ""]
        lines += ["| metric | name in reports | meaning |", "|---|---|---|"]
        for name, (label, meaning, needs) in metrics.items():
            text = f"{meaning} ({needs})" if needs else meaning
            lines.append(f"| `{name}` | {label} | {text} |")
    return "\n".join([*lines, ""])
