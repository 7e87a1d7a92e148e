"""An evaluation as a whole: what it reports, with which protocol, of what it is."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wgan_jax.data import Source, load_source
from wgan_jax.evaluation import EXTRACTORS, MEASURES, Model, make_evaluator
from wgan_jax.metrics import (
    FunctionFeatures,
    Result,
    compare,
    frechet_distance,
    kernel_distance,
)

RANDOM = np.random.RandomState(0)
REALS = RANDOM.randint(0, 256, (120, 4, 4, 1)).astype(np.uint8)
FAKES = RANDOM.randint(0, 200, (90, 4, 4, 1)).astype(np.uint8)
SOURCE = Source(name="noise", split="train", images=REALS)
PIXELS = EXTRACTORS["pixels"]((4, 4, 1))


def evaluator_of(*measures, source=SOURCE, extractor=PIXELS, **changes):
    settings = {"count": 120, "batch_size": 32} | changes
    return make_evaluator(source, extractor, measures, **settings)


def by_name(results):
    return {result.protocol.metric: result for result in results}


def test_distances_are_those_of_the_functions_on_the_features():
    results, _ = evaluator_of("frechet", "kernel", seed=5).evaluate(FAKES)
    found = by_name(results)
    x, y = (a.reshape(len(a), -1) / 127.5 - 1 for a in (REALS, FAKES))
    moments = [
        f(z) for z in (x, y) for f in (lambda z: z.mean(0), lambda z: np.cov(z.T))
    ]
    assert found["frechet_distance"].value == pytest.approx(
        frechet_distance(*moments), rel=1e-5
    )
    order = np.random.RandomState(5).permutation(120)
    features = [a.astype(np.float32) for a in (x[order], y)]
    by_hand = kernel_distance(*features, subset_size=45, seed=5)
    assert found["kernel_distance"].value == pytest.approx(by_hand.mean, rel=1e-4)
    assert found["kernel_distance"].deviation == pytest.approx(
        by_hand.deviation, rel=1e-4
    )


def test_a_number_names_all_that_moves_it():
    results, _ = evaluator_of("kernel", count=100, seed=5).evaluate(FAKES)
    protocol = results[0].protocol
    assert (protocol.real_count, protocol.fake_count) == (100, 90)
    assert protocol.features == "pixels"
    assert protocol.split == "noise/train"
    assert protocol.quantisation == "uint8"
    assert protocol.seed == 5
    assert dict(protocol.options) == {"subsets": 100, "subset_size": 45}
    other, _ = evaluator_of("kernel", count=99, seed=5).evaluate(FAKES)
    with pytest.raises(ValueError, match="real_count is 100 in one and 99"):
        compare(results[0], other[0])


@pytest.mark.parametrize("batch_size", [1, 7, 90, 1000])
def test_the_batch_size_says_nothing(batch_size):
    measures = ("frechet", "manifold", "sliced")
    whole = by_name(evaluator_of(*measures).evaluate(FAKES)[0])
    parts = evaluator_of(*measures, batch_size=batch_size).evaluate(FAKES)[0]
    for result in parts:
        name = result.protocol.metric
        assert result.value == pytest.approx(whole[name].value, rel=1e-9)


def test_devices_say_nothing():
    script = Path(__file__).with_name("evaluation_devices.py")
    found = []
    for count in (1, 8):
        process = subprocess.run(
            [sys.executable, script, str(count)],
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert process.returncode == 0, process.stderr
        found.append(json.loads(process.stdout))
    assert found[0]["devices"] == 1
    assert found[1]["devices"] == 8
    assert found[0]["values"].keys() == found[1]["values"].keys()
    for name, value in found[0]["values"].items():
        assert found[1]["values"][name] == pytest.approx(value, rel=1e-5), name


def test_what_cannot_be_measured_is_left_out_and_named():
    everything = evaluator_of(*MEASURES)
    results, _ = everything.evaluate(FAKES)
    lacking = everything.lacking(has_model=False)
    found = set(by_name(results))
    assert found == {
        m for n in MEASURES if n not in lacking for m in MEASURES[n].reports
    }
    assert found >= {
        "frechet_distance",
        "kernel_distance",
        "precision",
        "recall",
        "density",
        "coverage",
        "sliced_wasserstein",
    }
    assert set(lacking) >= {
        "inception_score",
        "similarity",
        "path_length",
        "held_out",
        "transport",
        "modes",
    }
    assert lacking["similarity"] == "images with sides of at least 16"
    assert lacking["held_out"] == "a run's critic, not a file of examples"
    lacking = everything.lacking(has_model=True)
    assert lacking["held_out"] == "config.evaluation.held_out"
    assert "differentiable" in lacking["path_length"]


def test_the_held_out_gap_is_that_of_the_scores():
    darker = Source(name="noise", split="test", images=REALS[:50] // 2)
    evaluator = evaluator_of("held_out", train=SOURCE, held_out=darker)
    seen = []

    def score(examples, labels):
        seen.append(len(examples))
        return examples.reshape(len(examples), -1).mean(axis=1)

    model = Model(generate_fn=lambda z: z, score_fn=score, latent_size=2)
    found = by_name(evaluator.evaluate(FAKES, model=model)[0])
    order = np.random.RandomState(0).permutation(120)[:50]
    train, held, fake = REALS[order].mean(), (REALS[:50] // 2).mean(), FAKES[:50].mean()
    expected = {
        "critic_estimate_on_training_split": train - fake,
        "critic_estimate_on_held_out_split": held - fake,
        "critic_held_out_gap": train - held,
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-6)
    assert set(seen) == {32}  # one size to compile
    protocol = found["critic_held_out_gap"].protocol
    assert (protocol.real_count, protocol.fake_count) == (50, 50)
    assert dict(protocol.options) == {"held_out": "noise/test"}
    assert protocol.features == "the critic"
    assert protocol.split == "noise/train"
    held_out = found["critic_estimate_on_held_out_split"].protocol
    assert (held_out.split, held_out.real_count) == ("noise/test", 50)
    other = Source(name="noise", split="other", images=REALS[:60])
    evaluator = evaluator_of("held_out", source=other, train=SOURCE, held_out=darker)
    found = by_name(evaluator.evaluate(FAKES, model=model)[0])
    assert found["critic_held_out_gap"].protocol.split == "noise/train"
    evaluator.evaluate(FAKES)  # and without a model nothing is called


def test_path_length_of_a_linear_generator():
    class Levels(FunctionFeatures):
        def from_levels(self, levels):
            values = levels.reshape(len(levels), -1) / 127.5
            return type("F", (), {"values": values})

    extractor = Levels(lambda x: np.asarray(x).reshape(len(x), -1), "l", "none", 16)
    model = Model(
        generate_fn=lambda z: 0.1 * z.reshape(-1, 4, 4, 1),
        score_fn=lambda x, y: x,
        latent_size=16,
    )
    evaluator = evaluator_of("path_length", extractor=extractor)
    found = by_name(evaluator.evaluate(FAKES, model=model)[0])["perceptual_path_length"]
    # Levels over 127.5 are the images and 1, in 3 channels: of an arc z(t) the
    # squared speed is 3 * 0.01 * |z'|^2, here by differences in float64.
    a, b = np.random.RandomState(1).randn(2, 20_000, 16)
    t = np.random.RandomState(2).rand(20_000, 1)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    w = np.arccos((a * b).sum(axis=1) / lengths)[:, None]
    z = lambda t: (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w)
    speeds = 0.03 * np.square((z(t + 1e-5) - z(t - 1e-5)) / 2e-5).sum(axis=1)
    kept = np.sort(speeds)[200:-200]
    assert found.value == pytest.approx(kept.mean(), rel=0.05)
    assert dict(found.protocol.options) == {"paths": 1000, "trim": 0.01}


def test_points_are_held_against_exact_transport_and_known_modes():
    source = load_source("gaussians25", size=500)
    evaluator = evaluator_of(
        "transport",
        "modes",
        source=source,
        extractor=EXTRACTORS["pixels"]((2,)),
        count=500,
    )
    itself = source.images + np.float32(0.0)
    shifted = itself + np.array([0.3, 0.4], np.float32)
    found = by_name(evaluator.evaluate(shifted)[0])
    # A shift of a sample is the best plan between it and itself, in every order.
    for order in (1, 2):
        assert found[f"exact_wasserstein_{order}"].value == pytest.approx(0.5, rel=1e-5)
    assert found["modes_covered"].value == 0
    found = by_name(evaluator.evaluate(itself)[0])
    modes = evaluator
    assert found["exact_wasserstein_1"].value == pytest.approx(0, abs=1e-6)
    assert found["modes_covered"].value == 25
    assert found["high_quality_share"].value > 0.97
    in_order = itself[np.argsort(source.labels)]
    for fakes in (itself, in_order):  # a file may be sorted by class
        evaluator = evaluator_of(
            "transport", source=source, extractor=EXTRACTORS["pixels"]((2,)), count=50
        )
        found = by_name(evaluator.evaluate(fakes)[0])
        assert found["exact_wasserstein_1"].value < 0.5  # 1.5 for the first 50 in order
    one_mode = itself[source.labels == 3]
    assert by_name(modes.evaluate(one_mode)[0])["modes_covered"].value == 1


def test_examples_of_another_kind_are_refused():
    evaluator = evaluator_of("frechet")
    for fakes in (FAKES[:, :3], FAKES.astype(np.float32), FAKES[:1]):
        with pytest.raises(ValueError, match="like those of 'noise'"):
            evaluator.evaluate(fakes)


@pytest.mark.parametrize(
    ("measures", "changes", "sentence"),
    [
        (("frechet", "fid"), {}, f"each must be one of {', '.join(MEASURES)}"),
        ((), {}, "each must be one of"),
        (("frechet",), {"count": 9}, "at least 10"),
        (("frechet",), {"batch_size": 0}, "at least 10 and at least 1"),
        (("frechet",), {"seed": -1}, "seed is -1"),
    ],
)
def test_mistakes_are_sentences(measures, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluator_of(*measures, **changes)


def test_progress_is_told_in_order():
    told = []
    evaluator_of("frechet", "sliced").evaluate(
        FAKES, advance=lambda *what: told.append(what)
    )
    assert told[:4] == [("reference features", n, 120) for n in (32, 64, 96, 120)]
    assert told[4:7] == [("features", n, 90) for n in (32, 64, 90)]
    assert told[7:] == [
        ("measure frechet", 0, 2),
        ("measure sliced", 1, 2),
        ("measures", 2, 2),
    ]


def test_directions_are_said_of_every_number():
    for name, row in MEASURES.items():
        assert set(row.reports.values()) <= {"lower", "higher", ""}, name
    assert evaluator_of("frechet", "manifold").reports["coverage"] == "higher"
    assert isinstance(evaluator_of("frechet").evaluate(FAKES)[0][0], Result)
