"""Tests of the recorded plans in ``docs/scaling.json`` and their tables."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from scaling import CONFIGS, bounded, rows

DOCS = Path(__file__).parents[2] / "docs"
FOUND = json.loads((DOCS / "scaling.json").read_text())


@pytest.mark.parametrize("name", FOUND)
def test_recorded_bound_is_the_longest_of_four_terms(name):
    plan = FOUND[name]
    (one,) = plan["iterations"]
    bound = one["bound"]
    each = 3e-6 if plan["topology"].startswith("h100") else 0.0
    assert bound["launches"] == pytest.approx(one["kernels"] * each)
    terms = {x: bound[x] for x in ("operations", "memory", "links", "launches")}
    assert terms[bound["binds"]] == max(terms.values())
    rate = 1 / max(terms.values())
    assert bound["iterations_per_second"] == pytest.approx(rate)
    images = plan["batch_size"] * one["updates"]
    assert one["images_per_second"] == pytest.approx(images * rate)


def test_bound_is_recomputed_from_recorded_counts():
    # 1,000 kernels at 3 us take 3 ms, longer than the other terms; 64 images.
    bound = {"operations": 1e-3, "memory": 5e-4, "links": 0.0}
    old = bound | {"binds": "operations", "iterations_per_second": 1000.0}
    one = {"kernels": 1000.0, "bound": old, "images_per_second": 64_000.0}
    found = bounded({"topology": "h100:1", "iterations": [one]})
    (new,) = found["iterations"]
    assert found["estimated"] == {"launch": 3e-6}
    assert new["bound"]["launches"] == pytest.approx(3e-3)
    assert new["bound"]["binds"] == "launches"
    assert new["images_per_second"] == pytest.approx(64 / 3e-3)
    (again,) = bounded(found)["iterations"]
    assert again["bound"] == new["bound"]
    assert again["images_per_second"] == pytest.approx(new["images_per_second"])
    (same,) = bounded({"topology": "v5e:1x1", "iterations": [one]})["iterations"]
    assert same["bound"] == old | {"launches": 0.0}


@pytest.mark.parametrize("way", ["fixed", "per device"])
@pytest.mark.parametrize("title", CONFIGS)
def test_tables_in_docs_match_the_file(title, way):
    page = (DOCS / "scaling.md").read_text()
    assert "\n".join(rows(FOUND, way, title)) in page
