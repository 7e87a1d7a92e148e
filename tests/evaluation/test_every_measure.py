"""Tests of every row of ``MEASURES`` and ``EXTRACTORS``."""

import dataclasses
import functools
import urllib.request

import jax.numpy as jnp
import numpy as np
import pytest
from table_rows import with_required

from wgan_jax.data import Source, load_source
from wgan_jax.evaluation import EXTRACTORS, MEASURES, Model, make_evaluator
from wgan_jax.metrics import Features, FunctionFeatures

COUNT = 40


class Everything(FunctionFeatures):
    """Gray levels as features, with class logits, and differentiable."""

    def __call__(self, images):
        values = np.asarray(images, np.float32).reshape(len(images), -1) / 127.5
        return Features(values[:, :16], values[:, :5])

    def from_levels(self, levels):
        return Features(levels.reshape(len(levels), -1)[:, :16] / 127.5)


def images_of(split, seed):
    random = np.random.RandomState(seed)
    images = random.randint(0, 256, (COUNT, 16, 16, 1)).astype(np.uint8)
    return Source(name="noise", split=split, images=images)


@functools.cache
def circumstances():
    """Returns evaluators, models and fakes that together support every measure."""
    images = Everything(None, "everything", "none", 16, classes=5)
    train, held_out = images_of("train", 0), images_of("test", 1)
    model = Model(
        generate_fn=lambda z: jnp.tanh(jnp.tile(z[:, None, :, None], (1, 16, 1, 1))),
        score_fn=lambda x, y: x.reshape(len(x), -1).mean(axis=1),
        latent_size=16,
    )
    points = load_source("gaussians25", size=COUNT)
    settings = {"count": COUNT, "batch_size": 8}
    of_images = make_evaluator(
        train, images, MEASURES, train=train, held_out=held_out, **settings
    )
    of_points = make_evaluator(points, EXTRACTORS["pixels"]((2,)), MEASURES, **settings)
    fakes = images_of("fake", 2).images, points.images + np.float32(0.01)
    return (of_images, model, fakes[0]), (of_points, None, fakes[1])


@pytest.mark.parametrize("name", MEASURES)
def test_measure_reports_the_metrics_of_its_row(name):
    row, needs = MEASURES[name], []
    assert row.reports
    assert set(row.reports.values()) <= {"lower", "higher", ""}
    for evaluator, model, fakes in circumstances():
        lacking = evaluator.lacking(has_model=model is not None)
        if name in lacking:
            needs.append(lacking[name])
            continue
        alone = dataclasses.replace(evaluator, measures={name: row}, memory={})
        results, again = (alone.evaluate(fakes, model=model)[0] for _ in range(2))
        assert {r.protocol.metric for r in results} == row.reports.keys()
        assert len(results) == len(row.reports)
        for result, same in zip(results, again, strict=True):
            assert np.isfinite(result.value)
            assert result == same  # its draws follow from the seed
        other = dataclasses.replace(alone, batch_size=COUNT, memory={})
        whole = other.evaluate(fakes, model=model)[0]
        for result, same in zip(results, whole, strict=True):
            assert same.value == pytest.approx(result.value, rel=1e-4, abs=1e-6)
        return
    pytest.skip(f"{name} needs {', or '.join(needs)}")


def test_shipped_measures_are_not_skipped():
    known = {"frechet", "kernel", "manifold", "sliced", "inception_score"}
    known |= {"similarity", "path_length", "held_out", "transport", "modes"}
    lacking = [e.lacking(has_model=m is not None) for e, m, _ in circumstances()]
    assert not known & lacking[0].keys() & lacking[1].keys()


def test_metric_names_are_unique():
    names = [name for row in MEASURES.values() for name in row.reports]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", EXTRACTORS)
@pytest.mark.parametrize("shape", [(16, 16, 1), (2,)])
def test_extractor_describes_itself_and_keeps_examples_apart(name, shape, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("a test fetches nothing")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    try:
        extractor = with_required(EXTRACTORS[name])(shape)
    except ValueError as error:
        if len(shape) == 3:
            pytest.skip(f"{name} is absent: {error}")
        refusal = str(error)
        assert name in refusal  # a network for images, which points are not
        assert str(shape) in refusal
        return
    for field in ("name", "weights", "resize", "quantisation"):
        assert isinstance(getattr(extractor, field), str)
    random = np.random.RandomState(0)
    if len(shape) == 3:
        examples = random.randint(0, 256, (4, *shape)).astype(np.uint8)
    else:
        examples = random.randn(4, *shape).astype(np.float32)
    whole, part = extractor(examples), extractor(examples[1:3])
    assert np.shape(whole.values) == (4, extractor.size)
    assert (whole.logits is None) == (extractor.classes == 0)
    scale = np.abs(whole.values).max()
    np.testing.assert_allclose(
        part.values, np.asarray(whole.values)[1:3], rtol=1e-3, atol=1e-4 * scale
    )
    if whole.logits is not None:
        assert np.shape(whole.logits) == (4, extractor.classes)
