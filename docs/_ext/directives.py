"""Directives that put generated text into a page, such as ``.. config-fields::``."""

from collections.abc import Callable
from typing import Any

from commands import flags_as_rst, modes_as_rst
from config_reference import fields_as_rst, rows_as_rst
from docutils import nodes
from metric_names import metrics_as_markdown
from sphinx.util.docutils import SphinxDirective

GENERATED: dict[str, Callable[[], str]] = {
    "command-flags": flags_as_rst,
    "command-modes": modes_as_rst,
    "config-fields": fields_as_rst,
    "config-rows": rows_as_rst,
    "metric-names": metrics_as_markdown,
}


class Generated(SphinxDirective):
    """Directive whose content is the result of a function."""

    def run(self) -> list[nodes.Node]:
        """Returns the content."""
        # The sources are the package, so the page is read in each build.
        self.env.note_reread()
        text = GENERATED[self.name]()
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension."""
    for name in GENERATED:
        app.add_directive(name, Generated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
