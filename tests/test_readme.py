"""Tests of the README: CI runs its commands, and what it names exists."""

import re
from pathlib import Path

import wgan_jax

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
METHODS = (ROOT / "docs/methods.md").read_text()
EXPERIMENTS = (ROOT / "docs/how-to/experiments.md").read_text()


def test_ci_runs_the_commands_of_the_readme():
    install, test = re.search(
        r"^(pip install -e '\.\[test\]') && (python -m pytest)$", TEXT, re.MULTILINE
    ).groups()
    script = (ROOT / ".ci/run").read_text()
    assert install.replace("install", "install --quiet") in script
    assert test in script


def test_named_configs_and_files_exist():
    for path in re.findall(r"\w\]\(((?!https?:)[^)#]+)", TEXT):
        assert (ROOT / path).exists(), path
    rows = re.findall(r"^\| `\w+`[^|]*\|.*$", EXPERIMENTS, re.MULTILINE)
    names = re.findall(
        r"`((?:digits|gaussians|cifar|fashion|swiss)\w+)`", "".join(rows)
    )
    assert len(names) >= 14
    for name in names:
        assert (ROOT / f"configs/{name}.py").exists(), name


def test_every_config_is_in_the_docs():
    text = EXPERIMENTS + METHODS
    for path in (ROOT / "configs").glob("*_*.py"):
        assert path.stem in text, path


def test_the_readme_has_two_screens():
    assert len(TEXT.splitlines()) <= 95


def test_claims_about_peers_are_links_to_a_fixed_commit():
    pages = TEXT + (ROOT / "docs/compared-with.md").read_text()
    links = re.findall(
        r"https://github\.com/[\w.-]+/[\w.-]+/(?:blob|tree)/(\w+)", pages
    )
    assert len(links) > 40
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in links)


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {wgan_jax.__version__}\n" in text
    assert "\ntitle: " in text
    assert "\nlicense: Apache-2.0\n" in text
