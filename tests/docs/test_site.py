"""Tests of the built site in a real browser, without network access."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from headless import needs_axe, needs_chromium
from site_browser import needs_mathjax, visit

ROOT = Path(__file__).parents[2]
VIEWS = {"phone": (390, False), "desk, dark": (1280, True)}
if os.environ.get("RELEASE"):
    VIEWS |= {"phone, dark": (390, True), "desk": (1280, False)}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    needs_chromium,
    needs_axe,
    needs_mathjax,
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Returns what is found on each page, by view."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed")
    pytest.importorskip("furo", reason="the theme furo is not installed")
    site = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-W", "-q", "--keep-going", "-b", "html"]
    subprocess.run([*build, "docs", str(site)], cwd=ROOT, check=True)
    paths = sorted(path.relative_to(site) for path in site.rglob("*.html"))
    names = [path.as_posix() for path in paths if "_static" not in path.parts]
    generated = [name for name in names if name.startswith("api/generated/")]
    assert len(generated) > 100
    written = [name for name in names if name not in generated]
    assert len(written) > 40
    # They have one template.
    chosen = generated if os.environ.get("RELEASE") else generated[::20]
    return {
        view: visit(site, [*written, *chosen], width=width, dark=dark)
        for view, (width, dark) in VIEWS.items()
    }


@pytest.fixture(scope="module", params=VIEWS)
def pages(request, found):
    return found[request.param]


def flawed(pages, key):
    return {name: page[key] for name, page in pages.items() if page[key]}


def test_each_page_was_seen_as_meant(found):
    for view, (_, dark) in VIEWS.items():
        assert {page.get("failed") for page in found[view].values()} == {None}
        assert {page["dark"] for page in found[view].values()} == {dark}
        assert all(page["parts"] > 20 for page in found[view].values())


def test_no_errors(pages):
    assert flawed(pages, "errors") == {}


def test_no_horizontal_scroll(pages):
    assert {n: p["wide"] for n, p in pages.items() if p["wide"] > 0} == {}


def test_axe_finds_nothing(pages):
    assert flawed(pages, "violations") == {}


def test_links_and_buttons_are_reachable_by_keyboard(pages):
    assert flawed(pages, "unreachable") == {}


def test_equations_are_rendered(pages):
    assert sum(page["formulas"] for page in pages.values()) > 20
    differ = {n for n, p in pages.items() if p["formulas"] != p["rendered"]}
    assert differ == set()
    assert flawed(pages, "mistakes") == {}
