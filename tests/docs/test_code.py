"""Each code block of the pages is run, or says why not."""

import contextlib
import io
import re

import pytest
from blocks import PAGES, ROOT, all_blocks, label

# Markup and data; ``text`` is what a program prints.
OTHERS = re.compile(
    r"text|json|\{(eval-rst|toctree|container|figure|include|math|metric-names)\}.*"
)
# Pages whose Python is tested as a whole, by this file.
ELSEWHERE = {"docs/extending.md": "tests/test_extending.py"}
PYTHON = [
    block
    for block in all_blocks("python")
    if block.reason is None and block.page not in ELSEWHERE
]


def test_blocks_are_found():
    assert len(PYTHON) >= 20
    assert sum(block.output is not None for block in PYTHON) >= 1
    assert sum(block.reason is not None for block in all_blocks()) >= 20


@pytest.mark.parametrize("block", all_blocks(), ids=label)
def test_every_block_has_a_language_that_is_run_or_a_reason(block):
    assert (
        block.language in ("python", "bash")
        or OTHERS.fullmatch(block.language)
        or block.reason
    ), f"{block.page}, line {block.line}: ```{block.language}"


def test_every_marker_belongs_to_a_block():
    markers = sum(text.count("<!-- not run:") for text in PAGES.values())
    assert markers == sum(block.reason is not None for block in all_blocks())


def test_files_that_run_a_block_exist():
    reasons = [block.reason for block in all_blocks() if block.reason]
    named = re.findall(r"(?:tests|\.ci)/[\w/.]+\w", "\n".join(reasons))
    assert len(named) >= 5
    for path in (*named, *ELSEWHERE.values()):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("block", PYTHON, ids=label)
def test_python_runs_and_prints_what_it_says(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed, scope = io.StringIO(), {"__name__": "block"}
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (block.line - 1) + block.code, block.page, "exec"), scope)
    if block.output is not None:
        assert printed.getvalue() == block.output
    commented = re.findall(r"^print\(.*\)  # (.*)$", block.code, re.MULTILINE)
    for expected in commented:
        assert expected.split(", ")[0] in printed.getvalue()
    metrics = scope.get("metrics") or {}
    assert all(bool(abs(value) < 1e6) for value in metrics.values())
