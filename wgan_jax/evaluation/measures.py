"""Measures that can be named in a config; each reports one or more metrics.

To add one, write a function of a ``Comparison`` and add it to ``MEASURES`` at
the end of this file.
"""

from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.evaluation.sample import Circumstances, Comparison, Measure, Measured
from wgan_jax.io.images import on_white
from wgan_jax.metrics import (
    frechet_distance,
    inception_score,
    kernel_distance,
    manifold_scores,
    mean_and_covariance,
    mode_scores,
    no_moments,
    pair_similarity,
    perceptual_path_length,
    sliced_wasserstein_features,
    update_moments,
)
from wgan_jax.metrics.optimal_transport import exact_wasserstein
from wgan_jax.types import Array

_ROWS = 1_000  # rows of features converted to float64 at a time
_KERNEL_SUBSET = 1_000  # subset size in the papers
_TRANSPORT_LIMIT = 1_000  # points; the cost of the assignment is cubic
_PATHS = 1_000
_PROJECTIONS = 1_000
_PAIRS = 1_000
_PRECISION_K, _COVERAGE_K = 3, 5
_SMALLEST_SIDE = 16  # minimum image side for structural similarity


def _frechet(c: Comparison) -> Iterator[Measured]:
    moments: list[np.ndarray] = []
    for sample in (c.real, c.fake):
        total = no_moments(sample.values.shape[1])
        for start in range(0, len(sample.values), _ROWS):
            rows = sample.values[start : start + _ROWS]
            missing = min(_ROWS, len(sample.values)) - len(rows)
            padded = np.pad(rows, [(0, missing), (0, 0)])
            total = update_moments(total, padded, valid=len(rows))
        moments += mean_and_covariance(total)
    yield Measured("frechet_distance", frechet_distance(*moments))


def _kernel(c: Comparison) -> Iterator[Measured]:
    # At most half of the examples. Otherwise, the subsets would overlap so much that
    # their deviation would be misleading.
    half = min(len(c.real.values), len(c.fake.values)) // 2
    size = min(_KERNEL_SUBSET, max(half, 2))
    options = {"subsets": 100, "subset_size": size}
    found = kernel_distance(c.real.values, c.fake.values, seed=c.seed, **options)
    yield Measured("kernel_distance", found, options)


def _manifold(c: Comparison) -> Iterator[Measured]:
    found = manifold_scores(
        c.real.values, c.fake.values, precision_k=_PRECISION_K, coverage_k=_COVERAGE_K
    )
    for name, value in found._asdict().items():
        k = _PRECISION_K if name in ("precision", "recall") else _COVERAGE_K
        yield Measured(name, value, {"k": k})


def _sliced(c: Comparison) -> Iterator[Measured]:
    n = min(len(c.real.values), len(c.fake.values))
    values = c.real.values[:n], _some(c.fake.values, n, c.seed)
    real, fake = (jnp.asarray(x, jnp.float32) for x in values)
    key = jax.random.key(c.seed)
    found = sliced_wasserstein_features(real, fake, key, projections=_PROJECTIONS)
    options = {"projections": _PROJECTIONS, "order": 2}
    yield Measured("sliced_wasserstein", found, options, counts=(n, n))


def _score(c: Comparison) -> Iterator[Measured]:
    assert c.fake.logits is not None
    splits = min(10, len(c.fake.logits))
    found = inception_score(c.fake.logits, splits=splits, seed=c.seed)
    yield Measured("inception_score", found, {"splits": splits})


def _similarity(c: Comparison) -> Iterator[Measured]:
    # Also of the data: by itself, the value cannot distinguish diversity from noise.
    names = ("pair_similarity", "pair_similarity_of_data")
    for name, sample in zip(names, (c.fake, c.real), strict=True):
        found = pair_similarity(sample.examples, pairs=_PAIRS, seed=c.seed)
        yield Measured(name, found, {"pairs": _PAIRS}, features="MS-SSIM of pixels")


def _path_length(c: Comparison) -> Iterator[Measured]:
    model, from_levels = c.model, getattr(c.extractor, "from_levels", None)
    assert model is not None
    assert from_levels is not None

    def features_of(images: Array) -> Array:
        levels = (images + 1) * 127.5
        if levels.shape[3] == 1:
            levels = jnp.concatenate([levels] * 3, axis=3)
        elif levels.shape[3] == 4:
            levels = jnp.asarray(on_white(levels))
        return from_levels(levels).values

    found = perceptual_path_length(
        model.generate_fn,
        features_of,
        jax.random.key(c.seed),
        latent_size=model.latent_size,
        prior=model.prior,
        samples=_PATHS,
        batch_size=50,
    )
    yield Measured(
        "perceptual_path_length",
        found,
        {"paths": _PATHS, "trim": 0.01},
        counts=(0, _PATHS),
    )


def _held_out(c: Comparison) -> Iterator[Measured]:
    """Compares scores of training examples and of held-out examples.

    A critic that overfits scores its training set above held-out examples:
    Gulrajani et al. 2017, arXiv:1704.00028, section 5.3.
    """
    assert c.train is not None
    assert c.held_out is not None
    limit = len(c.held_out[0])
    fakes = (c.fake.examples, c.fake_labels)
    train, held_out, fake = (
        _mean_score(c, *pair, limit=limit) for pair in (c.train, c.held_out, fakes)
    )
    counts = (min(len(c.train[0]), limit), min(len(c.fake.examples), limit))
    values = {
        "critic_estimate_on_training_split": train - fake,
        "critic_estimate_on_held_out_split": held_out - fake,
        "critic_held_out_gap": train - held_out,
    }
    options = {"held_out": c.held_out_split}
    for name, value in values.items():
        about = (name, value, options, "the critic")
        if name == "critic_estimate_on_held_out_split":
            yield Measured(*about, (limit, counts[1]), c.held_out_split)
        else:
            yield Measured(*about, counts, c.train_split)


def _mean_score(
    c: Comparison, examples: np.ndarray, labels: np.ndarray | None, *, limit: int
) -> float:
    assert c.model is not None
    total, count = 0.0, min(len(examples), limit)
    for start in range(0, count, c.batch_size):
        # The last batch is padded, so that only one batch size is compiled.
        rows = np.minimum(np.arange(start, start + c.batch_size), count - 1)
        given = None if labels is None else labels[rows]
        scores = np.asarray(c.model.score_fn(examples[rows], given), np.float64)
        total += scores[: count - start].sum()
    return total / count


def _some(fakes: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Returns n of the fakes at random: those of a file may be in any order."""
    if n == len(fakes):
        return fakes
    return fakes[np.random.RandomState(seed).permutation(len(fakes))[:n]]


def _transport(c: Comparison) -> Iterator[Measured]:
    n = min(len(c.real.examples), len(c.fake.examples), _TRANSPORT_LIMIT)
    real, fake = c.real.examples[:n], _some(c.fake.examples, n, c.seed)
    for order in (1, 2):
        found = exact_wasserstein(real, fake, p=order)
        yield Measured(f"exact_wasserstein_{order}", found, counts=(n, n))


def _modes(c: Comparison) -> Iterator[Measured]:
    assert c.modes is not None
    centres, deviation = c.modes
    found = mode_scores(c.fake.examples, centres, deviation=deviation)
    options = {"modes": len(centres), "radius": 3.0}
    yield Measured("modes_covered", float(found.covered), options)
    yield Measured("high_quality_share", found.high_quality, options)


def _lacks_logits(c: Circumstances) -> str:
    return "" if c.extractor.classes else "features with class logits"


def _lacks_images(c: Circumstances) -> str:
    fits = len(c.example_shape) == 3 and min(c.example_shape[:2]) >= _SMALLEST_SIDE
    return "" if fits else f"images with sides of at least {_SMALLEST_SIDE}"


def _lacks_path(c: Circumstances) -> str:
    if not c.has_model:
        return "a run's generator, not a file of examples"
    able = hasattr(c.extractor, "from_levels")
    return "" if able else "differentiable features (lite0, inception)"


def _lacks_held_out(c: Circumstances) -> str:
    if not c.has_model:
        return "a run's critic, not a file of examples"
    return "" if c.has_held_out else "config.evaluation.held_out"


def _lacks_points(c: Circumstances) -> str:
    return "values instead of images" if len(c.example_shape) == 3 else ""


def _lacks_modes(c: Circumstances) -> str:
    return "" if c.has_modes else "a dataset with known modes"


def ordered_metrics(measures: Iterable[Measure]) -> list[str]:
    """Returns the metrics of measures for which lower or higher is better.

    Args:
        measures: rows of ``MEASURES``.

    Returns:
        Names of the metrics, in the order of the measures.
    """
    reports = (measure.reports.items() for measure in measures)
    return [name for items in reports for name, better in items if better]


MEASURES: dict[str, Measure] = {
    "frechet": Measure(_frechet, {"frechet_distance": "lower"}),
    "kernel": Measure(_kernel, {"kernel_distance": "lower"}),
    "manifold": Measure(
        _manifold,
        dict.fromkeys(("precision", "recall", "density", "coverage"), "higher"),
    ),
    "sliced": Measure(_sliced, {"sliced_wasserstein": "lower"}),
    "inception_score": Measure(_score, {"inception_score": "higher"}, _lacks_logits),
    "similarity": Measure(
        _similarity,
        {"pair_similarity": "", "pair_similarity_of_data": ""},
        _lacks_images,
    ),
    "path_length": Measure(
        _path_length, {"perceptual_path_length": "lower"}, _lacks_path
    ),
    "held_out": Measure(
        _held_out,
        {
            "critic_estimate_on_training_split": "",
            "critic_estimate_on_held_out_split": "",
            "critic_held_out_gap": "lower",
        },
        _lacks_held_out,
    ),
    "transport": Measure(
        _transport,
        {"exact_wasserstein_1": "lower", "exact_wasserstein_2": "lower"},
        _lacks_points,
    ),
    "modes": Measure(
        _modes,
        {"modes_covered": "higher", "high_quality_share": "higher"},
        _lacks_modes,
    ),
}
