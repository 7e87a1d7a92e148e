"""Code blocks of the README and of all pages, and the commands in them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "generated" not in path.parts
}
# A block that is not run has this line above it.
MARKER = r"<!-- not run: ([^\n]+) -->"
_BLOCK = re.compile(
    rf"(?:^ *{MARKER}\n)?"
    r"^( *)(`{3,})([^\n`]*)\n(.*?)^\2\3$\n*(?:^ *```text\n(.*?)^ *```$)?",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        page: path of its page.
        line: line of its code in the page.
        language: text after the fence, such as ``python``.
        code: content, without indentation.
        reason: why it is not run; None if it is.
        output: content of the block of text that follows; None if there is none.
    """

    page: str
    line: int
    language: str
    code: str
    reason: str | None
    output: str | None


def blocks_of(page):
    """Returns the blocks of a page."""
    text, found, start = PAGES[page], [], 0
    while match := _BLOCK.search(text, start):
        reason, indent, _, language, code, output = match.groups()
        line = text.count("\n", 0, match.start(5)) + 1
        code = re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        found.append(Block(page, line, language.strip(), code, reason, output))
        # The output is a block of its own, too.
        start = match.end(5) + len(indent) + len(match[3])
    return found


def all_blocks(language=None):
    """Returns the blocks of all pages, or those in one language."""
    found = [block for page in PAGES for block in blocks_of(page)]
    return [b for b in found if language is None or b.language == language]


def commands(code):
    """Yields the environment and the words of each command of a block."""
    joined, pending = code.replace("\\\n", " "), ""
    for line in joined.splitlines():
        pending = f"{pending} {line}"
        if pending.count('"') % 2:  # a text of several lines
            continue
        parts, pending = [pending] if '"' in pending else pending.split(" && "), ""
        for part in parts:
            words = shlex.split(part, comments=True)
            variables = {}
            while words and re.match(r"[A-Z_]+=", words[0]):
                name, _, value = words.pop(0).partition("=")
                variables[name] = value
            if words:
                yield variables, words


def label(block):
    """Returns the name of a block, for the names of tests."""
    return f"{block.page.removeprefix('docs/')}:{block.line}"
