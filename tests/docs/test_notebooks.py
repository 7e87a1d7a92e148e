"""The notebooks run at small size, say what is true, and are stored with outputs."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 500_000  # bytes of a notebook
# The folders of a machine in which a notebook may have run.
PLACES = re.compile(r"/(?:home|root|tmp|Users|var|opt|usr|work|mnt)/|[A-Z]:\\\\")
NOISE = re.compile(r"WARNING|Warning:|pip install|pypi|Requirement already", re.I)


def run(name, sizes, names, folder):
    """Runs a notebook in a folder and returns some of its variables."""
    runner = Path(__file__).with_name("run_notebook.py")
    command = [sys.executable, runner, FOLDER / f"{name}.ipynb", json.dumps(sizes)]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [*map(str, command), *names],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def cells(path, kind):
    return [
        cell
        for cell in json.loads(path.read_text())["cells"]
        if cell["cell_type"] == kind
    ]


def printed(path):
    """Returns all text that a notebook prints."""
    return "".join(
        "".join(output.get("text", ()))
        for cell in cells(path, "code")
        for output in cell["outputs"]
    )


def test_both_implementations_agree(tmp_path):
    found = run(
        "wasserstein-gan-in-one-page",
        {"critic_updates": 200, "iterations": 10, "exact_points": 300},
        ["distance", "estimate", "corrected", "differences", "plain_estimates"],
        tmp_path,
    )
    assert found["differences"].keys() == {"1", "10"}
    assert max(found["differences"].values()) < 1e-6
    assert found["plain_estimates"][0] != found["plain_estimates"][-1]
    assert found["estimate"] > found["distance"]
    assert found["corrected"] == pytest.approx(found["distance"], rel=0.05)


def test_corrected_estimates_are_distances(tmp_path):
    found = run(
        "is-the-estimate-a-distance",
        {"critic_updates": 400, "exact_points": 200},
        ["exact", "estimates", "corrected"],
        tmp_path,
    )
    exact = np.array(found["exact"])
    moves = slice(0, 4)  # the blobs, which are learned within few updates
    ratios = {k: np.array(v) / exact for k, v in found["estimates"].items()}
    assert (ratios["GP 0.1"][moves] > 3).all()
    assert (np.diff(ratios["GP 0.1"][moves]) > 0).all()
    assert (ratios["R1 1"][2:4] > 20).all()
    assert np.ptp(ratios["clipping"]) > 1
    for name in ("GP 0.1", "GP 1", "GP 10", "LP 10"):
        ratio = np.array(found["corrected"][name]) / exact
        assert ratio[moves] == pytest.approx(1, abs=0.1), name


def test_own_parts_are_trained(tmp_path):
    found = run(
        "your-own-critic-loss-and-data",
        {"iterations": 30},
        ["history", "generated", "found", "message"],
        tmp_path,
    )
    assert "scores of shape (2, 1)" in found["message"]
    assert all(len(values) == 30 for values in found["history"].values())
    assert np.array(found["generated"]).shape == (2000, 64)
    best, explained = map(np.array, found["found"]["data"])
    assert np.mean(explained) > 0.99
    assert np.quantile(best, [0.05, 0.95]) == pytest.approx([2.15, 4.85], abs=0.15)
    # An untrained generator draws no oscillations.
    assert np.mean(found["found"]["generated"][1]) < 0.9


def test_pictures_become_a_page(tmp_path):
    from test_tutorials import browser_package

    browser_package(tmp_path / "onnxruntime-web-1.30.0.tgz")
    found = run(
        "from-a-folder-of-pictures-to-a-web-page",
        {"iterations": 10, "batch_size": 8, "width": 4},
        ["accuracy"],
        tmp_path,
    )
    assert 0 <= found["accuracy"] <= 1
    assert len(list((tmp_path / "digits").rglob("*.png"))) == 1500
    text = "".join("".join(c["source"]) for c in cells(notebook("from"), "markdown"))
    named = re.findall(r"`((?:runs|exported)/[\w./]+)`", text)
    assert len(named) >= 4
    for path in named:
        assert (tmp_path / path).exists(), path


def test_replica_equals_its_run(tmp_path):
    found = run(
        "sweeps-and-seeds",
        {"iterations": 3, "learning_rates": [1e-3, 1e-2, 1e-1], "seeds": [0, 1]},
        ["replica_difference", "curves", "final"],
        tmp_path,
    )
    assert found["replica_difference"] < 1e-5
    curves = np.array(found["curves"])
    assert curves.shape == (3, 2, 3)
    # Each seed and each learning rate is a run of its own.
    assert len(np.unique(curves[:, :, -1])) == 6
    assert np.array(found["final"]).shape == (3, 2)


def notebook(start):
    (found,) = FOLDER.glob(f"{start}*.ipynb")
    return found


def test_there_are_five_notebooks_and_the_page_has_them():
    text = (FOLDER / "index.md").read_text()
    assert len(NOTEBOOKS) == 5
    for path in NOTEBOOKS:
        assert f"]({path.name})" in text, path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebook_is_complete(path):
    assert path.stat().st_size < LARGEST
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert all(output["output_type"] != "error" for output in outputs)
    assert all(output.get("name") != "stderr" for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", ())]
    assert pictures
    for cell in code:
        text = "".join(cell["source"])
        # A cell that only defines something has no output.
        shows = re.search(r"^(?:    )*(?:print|plt\.show|show|plot_\w+)\(", text, re.M)
        defines = re.search(r"^(?:def|class) ", text, re.M)
        assert cell["outputs"] or defines or not shows, text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_have_no_paths_and_no_noise(path):
    content = json.loads(path.read_text())
    assert set(content["metadata"]) == {"kernelspec", "language_info"}
    for cell in content["cells"]:
        text = "".join(cell["source"])
        for output in cell.get("outputs", ()):
            text += "".join(output.get("text", ()))
            text += json.dumps({**output.get("data", {}), "image/png": ""})
        assert not PLACES.search(text), PLACES.search(text)[0]
    assert not NOISE.search(printed(path)), NOISE.search(printed(path))[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_cell_of_code_follows_text(path):
    kinds = [c["cell_type"] for c in json.loads(path.read_text())["cells"]]
    assert kinds[0] == "markdown"
    assert ("code", "code") not in itertools.pairwise(kinds)
    assert kinds[-1] == "markdown", "the last result is discussed"
    assert "".join(cells(path, "markdown")[0]["source"]).startswith("# ")
