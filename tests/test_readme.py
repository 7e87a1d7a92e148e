"""Tests of the README: its snippets run, and CI runs its commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
METHODS = (ROOT / "docs/methods.md").read_text()
METRICS = (ROOT / "docs/metrics.md").read_text()
USAGE = (ROOT / "docs/usage.md").read_text()
SNIPPETS = [
    snippet
    for snippet in re.findall(
        r"```python\n(.*?)```", TEXT + USAGE + METHODS + METRICS, re.DOTALL
    )
    # Those that need a run are in tests/program/test_runs.py and test_watching.py.
    if not re.search("load_run|Callback", snippet)
]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda s: s.splitlines()[-1][:40])
def test_snippet_runs(snippet):
    scope = {"__name__": "snippet"}
    exec(compile(snippet, "README.md", "exec"), scope)
    metrics = scope["metrics"] if "metrics" in scope else {"": scope["distance"]}
    assert all(bool(abs(value) < 1e6) for value in metrics.values())


def test_number_of_snippets():
    assert len(SNIPPETS) == 8


def test_ci_runs_the_commands_of_the_readme():
    install, test = re.search(
        r"^(pip install -e '\.\[test\]') && (python -m pytest)$", TEXT, re.MULTILINE
    ).groups()
    script = (ROOT / ".ci/run").read_text()
    assert install.replace("install", "install --quiet") in script
    assert test in script


def test_named_configs_and_files_exist():
    for path in re.findall(r"\]\((docs/[^)#]+)", TEXT):
        assert (ROOT / path).exists(), path
    rows = re.findall(r"^\| `\w+`[^|]*\|.*$", USAGE, re.MULTILINE)
    names = re.findall(
        r"`((?:digits|gaussians|cifar|fashion|swiss)\w+)`", "".join(rows)
    )
    assert len(names) >= 14
    for name in names:
        assert (ROOT / f"configs/{name}.py").exists(), name


def test_every_config_is_in_the_docs():
    text = USAGE + METHODS
    for path in (ROOT / "configs").glob("*_*.py"):
        assert path.stem in text, path
