"""The examples of the API pages run and print what they say, and none is missing."""

import contextlib
import inspect
import io
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs/_ext"))

import api  # noqa: E402

import wgan_jax  # noqa: E402
from wgan_jax import data, evaluation, losses, metrics, networks, zoo  # noqa: E402

PACKAGES = {m.__name__: m for m in (wgan_jax, losses, networks, metrics)}
PACKAGES |= {m.__name__: m for m in (data, evaluation, zoo)}
# Functions without an example. The list gets shorter, never longer.
WITHOUT_EXAMPLE = {
    "wgan_jax.load_run",  # needs a run: tests/program/test_runs.py
    "wgan_jax.metrics.inception_weights",  # downloads 96 MB
}
EXAMPLES = sorted(api.EXAMPLES.rglob("*.py"))
LONGEST = 17  # lines, with imports


def public_names():
    """Returns the full names of all public objects, each where its page is."""
    found = {}
    for package, module in PACKAGES.items():
        own = getattr(module, "__all__", None) or ["Pretrained", "load", "names"]
        for name in own:
            short = f"{wgan_jax.__name__}.{name}"
            full = short if name in wgan_jax.__all__ else f"{package}.{name}"
            found[full] = getattr(module, name)
    return found


def name_of(path):
    parts = path.relative_to(api.EXAMPLES).with_suffix("").parts
    return ".".join([wgan_jax.__name__, *parts])


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_example_prints_what_it_says(path):
    text = path.read_text()
    expected = re.findall(r"^ *print\(.*\)  # (.*)$", text, re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, str(path), "exec"), {"__name__": "example"})
    assert expected
    assert " ".join(printed.getvalue().split()) == " ".join(" ".join(expected).split())


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_example_is_short_and_calls_its_function(path):
    text, name = path.read_text(), path.stem
    assert len(text.splitlines()) <= LONGEST
    assert re.search(rf"\b{name}\b[([]", text) or re.search(rf"\.{name}\(", text)


def test_every_public_function_has_an_example():
    functions = {
        name
        for name, found in public_names().items()
        if callable(found) and not inspect.isclass(found)
        if name not in api.described_names()
    }
    missing = {name for name in functions if api.example_of(name) is None}
    assert not missing - WITHOUT_EXAMPLE, sorted(missing - WITHOUT_EXAMPLE)
    assert not WITHOUT_EXAMPLE - missing, "these have an example now"


def test_every_example_is_on_a_page():
    assert {name_of(path) for path in EXAMPLES} <= set(api.listed_names())


def test_every_public_name_is_on_an_api_page():
    listed = set(api.listed_names()) | api.described_names()
    missing = set(public_names()) - listed
    assert not missing, sorted(missing)


def test_signatures_are_those_of_the_source():
    written = api.written_signature(losses.gradient_penalty)
    assert written == (
        "(critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey, *, "
        "target: NotNegative=1.0, one_sided: bool=False)"
    )
    assert api.written_signature(wgan_jax.Term).startswith("(function: Any")
    assert api.written_signature(networks.CRITICS["mlp"]).startswith("(width: int")


def test_papers_become_links():
    line = api.link_papers("Lim, Ye 2017, arXiv:1705.02894; doi:10.24432/C50P49.")
    assert line == (
        "Lim, Ye 2017, `arXiv:1705.02894 <https://arxiv.org/abs/1705.02894>`__; "
        "`doi:10.24432/C50P49 <https://doi.org/10.24432/C50P49>`__."
    )
