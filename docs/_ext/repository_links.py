"""Links from pages to files of the repository outside of ``docs``."""

import os
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
# Files of the repository that are pages of the site.
PAGES = {"CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\[([^\]\n]*)\]\(((?:\.\./)+)([^)#\s]+)(#[^)]*)?\)")


def resolve(text: str, page: str) -> str:
    """Returns Markdown in which links out of ``docs`` work on the site.

    A link to a file that is no page leads to the repository where its address is
    known, and is plain text elsewhere.

    Args:
        text: text of a page.
        page: name of the page without suffix, such as ``tutorials/first``.
    """
    folder = (DOCS / page).parent

    def replace(match: re.Match[str]) -> str:
        title, up, path, anchor = match.groups()
        target = (folder / up / path).resolve()
        if target.is_relative_to(DOCS) or not target.exists():
            return match[0]
        name = target.relative_to(DOCS.parent).as_posix()
        if name in PAGES:
            above = "../" * page.count("/")
            return f"[{title}]({above}{PAGES[name]}{anchor or ''})"
        repository = os.environ.get("GITHUB_REPOSITORY")
        if repository is None:
            return title
        return f"[{title}](https://github.com/{repository}/blob/main/{name})"

    return _LINK.sub(replace, text)


def _process(app: Any, page: str, content: list[str]) -> None:
    content[0] = resolve(content[0], page)


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension."""
    app.connect("source-read", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
