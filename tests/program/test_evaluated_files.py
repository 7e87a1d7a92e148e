"""Tests of the record that ``wgan-jax evaluate --images`` writes."""

import json

import numpy as np
import pytest

from wgan_jax.program.cli import main


@pytest.fixture
def evaluate(tmp_path, monkeypatch, capsys):
    """Returns a function that evaluates ``x.npz`` and returns what is printed."""
    monkeypatch.chdir(tmp_path)
    images = np.random.RandomState(0).randint(256, size=(30, 8, 8, 1))
    np.savez("x.npz", images=images.astype(np.uint8))

    def run(*flags, code=0, count=40):
        fields = (
            f"evaluation.count={count}",
            "evaluation.measures=frechet",
            "evaluation.held_out=None",
        )
        arguments = ["evaluate", "--config=digits_wgan_gp", *flags]
        arguments += [f"--config.{field}" for field in fields]
        assert main(["wgan-jax", *arguments]) == code
        told = capsys.readouterr()
        if code:
            assert told.err.count("\n") == 1
        return told.err if code else told.out

    return run


def counts(path):
    results = json.loads(path.read_text())["results"]
    return {result["protocol"]["real_count"] for result in results}


def test_record_is_not_replaced(evaluate, tmp_path):
    path = tmp_path / "x.evaluation.json"
    evaluate("--images=x.npz")
    before = path.read_bytes()
    error = evaluate("--images=x.npz", count=20, code=2)
    line = "x.evaluation.json exists; use another --output, or remove it to evaluate"
    assert line in error
    assert path.read_bytes() == before
    assert "Written to other.json" in evaluate(
        "--images=x.npz", "--output=other.json", count=20
    )
    assert (counts(path), counts(tmp_path / "other.json")) == ({40}, {20})
    assert path.read_bytes() == before
    error = evaluate("--images=x.npz", "--output=other.json", code=2)
    assert "other.json exists; use another --output" in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--images=x.npz", "--output=no/y.json"],
            "is in a folder that does not exist",
        ),
        (["--output=y.json"], "--output needs --images in --mode=evaluate."),
    ],
)
def test_wrong_outputs_are_refused(evaluate, flags, message, tmp_path):
    assert message in evaluate(*flags, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
