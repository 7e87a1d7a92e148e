"""API pages: signatures as written in the source, examples, links to papers."""

import ast
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import wgan_jax

DOCS = Path(__file__).parents[1]
EXAMPLES = DOCS / "examples"
STUBS = DOCS / "api/generated"
_ARXIV = re.compile(r"(?<![`/])arXiv:(\d{4}\.\d{4,5})")
_FLAG = re.compile(r"(?<![`\w])(--[a-z][\w.=-]*\w)")
_DOI = re.compile(r"(?<![`/])doi:(10\.[\w./()-]*\w)")


def listed_names() -> dict[str, str]:
    """Returns the objects with a page, each with the API page that lists it."""
    found = {}
    for page in sorted((DOCS / "api").glob("*.md")):
        for block in re.findall(
            r"\.\. autosummary::\n   :toctree:.*?\n\n(.*?)\n(?:\n|```)",
            page.read_text(),
            re.DOTALL,
        ):
            found |= dict.fromkeys(block.replace("~", "").split(), page.name)
    return found


def described_names() -> set[str]:
    """Returns the objects that an API page describes by itself, such as tables."""
    text = "\n".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    return set(re.findall(r"\.\. py:(?:data|type):: ([\w.]+)", text))


def example_of(name: str) -> str | None:
    """Returns the file of an object's example below ``examples``, if it has one.

    Args:
        name: full name, such as ``wgan_jax.losses.drift``.
    """
    file = name.removeprefix(f"{wgan_jax.__name__}.").replace(".", "/") + ".py"
    return file if (EXAMPLES / file).exists() else None


def written_signature(found: Any) -> str | None:
    """Returns the signature of a function or a class as it is in its source.

    It has the names of types, such as ``NotNegative``, instead of what they stand
    for.

    Args:
        found: a function, a method or a class.

    Returns:
        The text from "(" to ")"; None if it cannot be found.
    """
    if inspect.isclass(found):
        if getattr(found, "_is_protocol", False):
            return ""
        if "__init__" in vars(found) and "__init__" in (inspect.getsource(found)):
            return written_signature(vars(found)["__init__"])
        return _signature_of_fields(found)
    node = _node(inspect.unwrap(found))
    if not isinstance(node, ast.FunctionDef):
        return None
    static = any(getattr(d, "id", "") == "staticmethod" for d in node.decorator_list)
    arguments = node.args
    if arguments.args and arguments.args[0].arg in ("self", "cls") and not static:
        del arguments.args[0]
    return f"({ast.unparse(arguments)})"


def _signature_of_fields(found: type) -> str | None:
    """Returns the signature of a dataclass, a NamedTuple or a Flax module."""
    fields: dict[str, str] = {}
    for base in reversed(found.__mro__):
        node = _node(base) if base.__module__.startswith("wgan_jax") else None
        for line in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                fields[line.target.id] = ast.unparse(line)
    try:
        names = [n for n in inspect.signature(found).parameters if n != "parent"]
    except (TypeError, ValueError):
        return None
    known = [fields[name] for name in names if name in fields]
    return f"({', '.join(known)})" if known else None


def _node(found: Any) -> ast.stmt | None:
    try:
        source = textwrap.dedent(inspect.getsource(found))
    except (OSError, TypeError):
        return None
    return ast.parse(source).body[0]


def _process_signature(
    app: Any, what: str, name: str, found: Any, options: Any, text: Any, returns: Any
) -> tuple[str | None, str | None] | None:
    if what not in ("function", "method", "class", "exception"):
        return None
    written = written_signature(found)
    if written is None:
        return None
    node = None if inspect.isclass(found) else _node(inspect.unwrap(found))
    annotation = getattr(node, "returns", None)
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return written, annotation.value
    return written, ast.unparse(annotation) if annotation else None


def _process_docstring(
    app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]
) -> None:
    # Python writes a docstring for the constructor of a named tuple.
    kept = (line for line in lines if not line.startswith("Create new instance of"))
    lines[:] = [link_papers(line) for line in kept]


def link_papers(line: str) -> str:
    """Returns a line of reStructuredText with links to arXiv and to DOIs."""
    line = _ARXIV.sub(r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", line)
    return _DOI.sub(r"`doi:\1 <https://doi.org/\1>`__", line)


def flags_as_code(text: str) -> str:
    """Returns a line of reStructuredText with its flags as literals."""
    return _FLAG.sub(r"``\1``", text)


def _skip(
    app: Any, what: str, name: str, found: Any, skip: bool, options: Any
) -> bool | None:
    """Skips fields, which their class describes: of named tuples, and functions."""
    is_default = inspect.isfunction(found) and "." not in found.__qualname__
    is_field = type(found).__name__ == "_tuplegetter"
    return True if what == "class" and (is_field or is_default) else None


def _prepare(app: Any) -> None:
    """Removes the pages of objects that are no longer listed, and finds examples."""
    names = listed_names()
    examples = {name: file for name in names if (file := example_of(name))}
    app.config.autosummary_context = {"examples": examples}
    for path in STUBS.glob("*.rst"):
        if path.stem not in names:
            path.unlink()


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension."""
    app.connect("builder-inited", _prepare, priority=100)
    app.connect("autodoc-process-signature", _process_signature)
    app.connect("autodoc-process-docstring", _process_docstring)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
