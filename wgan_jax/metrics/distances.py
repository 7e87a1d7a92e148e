"""Distances between two samples of features, and the inception score.

All of it is float64: on the host where it is cheap, on the device where it is not.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from wgan_jax.metrics.optimal_transport import sliced_wasserstein
from wgan_jax.types import Array, PRNGKey


class Estimate(NamedTuple):
    """A number from several parts of a sample.

    Attributes:
        mean: over the parts.
        deviation: standard deviation over the parts (divisor their count), which
            says how much the parts differ, not how sure the mean is.
    """

    mean: float
    deviation: float


def frechet_distance(
    mean_x: ArrayLike, cov_x: ArrayLike, mean_y: ArrayLike, cov_y: ArrayLike
) -> float:
    r"""Squared Wasserstein-2 distance of two Gaussians; on FID's features, FID.

    .. math:: d^2 = \lVert m_x - m_y \rVert^2 + \operatorname{tr} C_x
        + \operatorname{tr} C_y
        - 2 \operatorname{tr} (C_x^{1/2} C_y C_x^{1/2})^{1/2}

    The last trace is the sum of the singular values of :math:`F_x^T F_y` with any
    :math:`F F^T = C`: of Cholesky, or of symmetric eigenvalues where a covariance is
    singular (fewer examples than features) and its null space is cut off where
    rounding begins. Nothing complex appears, no multiple of the identity is added,
    and the order of the two does not matter.

    Args:
        mean_x: ``[D]``.
        cov_x: ``[D, D]``, symmetric without negative eigenvalues.
        mean_y: ``[D]``.
        cov_y: ``[D, D]``.

    Returns:
        The distance >= 0; exactly 0 where rounding would make it negative. With
        few examples it is biased upwards, the more the more features there are:
        compare equal counts only.

    Raises:
        ValueError: if shapes do not match or a number is not finite.

    Reference:
        Dowson, Landau 1982, "The Fréchet distance between multivariate normal
        distributions", equation 4; Heusel et al. 2017, arXiv:1706.08500,
        equation 6.
    """
    means = [np.asarray(mean, np.float64) for mean in (mean_x, mean_y)]
    covs = [np.asarray(cov, np.float64) for cov in (cov_x, cov_y)]
    size = means[0].size
    for mean, cov in zip(means, covs, strict=True):
        if mean.shape != (size,) or cov.shape != (size, size):
            raise ValueError(
                f"a mean {list(mean.shape)} and a covariance {list(cov.shape)} were "
                f"given; with the first mean all are [{size}] and [{size}, {size}]."
            )
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise ValueError("a mean or a covariance is not finite.")
    first, second = (_factor(cov) for cov in covs)
    shared = np.linalg.svd(first.T @ second, compute_uv=False).sum()
    apart = means[0] - means[1]
    spread = np.trace(covs[0]) + np.trace(covs[1]) - 2 * shared
    return float(max(apart @ apart + spread, 0.0))


def kernel_distance(
    x: ArrayLike,
    y: ArrayLike,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
) -> Estimate:
    r"""Unbiased squared discrepancy under a cubic kernel; on FID's features, KID.

    .. math:: \frac{1}{m (m - 1)} \sum_{i \ne j} \left[k(x_i, x_j)
        + k(y_i, y_j)\right] - \frac{2}{m^2} \sum_{i, j} k(x_i, y_j),
        \quad k(a, b) = \left(\frac{a \cdot b}{D} + 1\right)^3

    on random subsets of m examples, drawn without replacement. Its mean does not
    depend on m, so small samples may be compared with large ones; it is negative
    about half of the time for equal distributions.

    Args:
        x: ``[n, D]``.
        y: ``[n', D]``.
        subsets: how many pairs of subsets.
        subset_size: m, in 2 .. min(n, n').
        seed: of the draws, which are those of torch-fidelity with that seed.

    Returns:
        Mean and standard deviation over the subsets.

    Raises:
        ValueError: if the shapes or the subset size do not fit.

    Reference:
        Bińkowski, Sutherland, Arbel, Gretton 2018, arXiv:1801.01401, equation 4
        and section 4.
    """
    first, second = check_pair(x, y)
    fewest = min(len(first), len(second))
    if not 2 <= subset_size <= fewest or subsets < 1:
        raise ValueError(
            f"{subsets} subsets of {subset_size} were asked of samples of "
            f"{len(first)} and {len(second)}; at least one of 2 .. {fewest} can be had."
        )
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        parts = [
            z[random.choice(len(z), subset_size, replace=False)]
            for z in (first, second)
        ]
        with jax.enable_x64(True):
            values.append(float(_cubic_discrepancy(*parts)))
    return Estimate(float(np.mean(values)), float(np.std(values)))


def inception_score(
    logits: ArrayLike,
    *,
    splits: int = 10,
    seed: int = 2020,
    probabilities: bool = False,
) -> Estimate:
    r"""How surely each image has a class, and how many classes all have.

    .. math:: \exp\left(\mathbb{E}_x\, \operatorname{KL}\left(
        p(y|x) \,\Vert\, \mathbb{E}_x\, p(y|x)\right)\right)

    between 1 (all images alike, or all undecided) and the number of classes. The
    examples are shuffled first: generated by class, they would otherwise lie
    together and each split would see a few classes only.

    Args:
        logits: ``[n, classes]``, before the softmax; for FID's Inception without
            the bias, as in the graph of the original.
        splits: parts that are scored apart, in 1 .. n (10 in the paper).
        seed: of the shuffle, which is that of torch-fidelity with that seed.
        probabilities: what was given are probabilities; rows sum to 1.

    Returns:
        Mean and standard deviation over the splits. It falls with smaller
        splits: compare equal counts only.

    Raises:
        ValueError: if the shape or the number of splits does not fit, or
            probabilities are none.

    Reference:
        Salimans et al. 2016, arXiv:1606.03498, section 4.
    """
    rows = np.asarray(logits, np.float64)
    if rows.ndim != 2 or not 1 <= splits <= len(rows) or not np.isfinite(rows).all():
        raise ValueError(
            f"{splits} splits of {list(rows.shape)} were asked for; it takes finite "
            "[n, classes] and 1 .. n splits."
        )
    if not probabilities:
        rows = rows - rows.max(axis=1, keepdims=True)
        rows = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    elif rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > 1e-4:
        raise ValueError("probabilities must be >= 0 and each row must sum to 1.")
    rows = rows[np.random.RandomState(seed).permutation(len(rows))]
    ends = [i * len(rows) // splits for i in range(splits + 1)]
    scores = [_score(rows[start:end]) for start, end in itertools.pairwise(ends)]
    return Estimate(float(np.mean(scores)), float(np.std(scores)))


def sliced_wasserstein_features(
    x: Array, y: Array, key: PRNGKey, *, projections: int = 1000
) -> float:
    r"""Sliced Wasserstein distance of order 2 between two samples of features.

    It needs no covariance, sees more than two moments, and costs
    :math:`n D L`: far less than the Frechet distance for wide features.

    Args:
        x: ``[n, D]`` floating.
        y: ``[n, D]``: as many.
        key: PRNG key of the directions, consumed.
        projections: L, directions.

    Returns:
        The distance >= 0, not squared.

    Raises:
        ValueError: if the shapes do not fit.

    Reference:
        Bonneel, Rabin, Peyré, Pfister 2015, "Sliced and Radon Wasserstein
        barycenters of measures", definition 8.
    """
    check_pair(x, y)
    return float(sliced_wasserstein(x, y, key, projections=projections, p=2))


def check_pair(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both samples on the host, after a look at their shapes.

    Args:
        x: ``[n, D]``.
        y: ``[n', D]``.

    Returns:
        Both as numpy arrays of the dtype that they had.

    Raises:
        ValueError: if they are of another kind, or not finite.
    """
    first, second = np.asarray(x), np.asarray(y)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"samples {list(first.shape)} and {list(second.shape)} are no pair; "
            "both are [n, D] with one D."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("the samples are not all finite.")
    return first, second


def _factor(cov: np.ndarray) -> np.ndarray:
    """F ``[D, rank]`` with F F^T the covariance."""
    cov = (cov + cov.T) / 2
    noise = len(cov) * np.finfo(np.float64).eps
    spectrum = np.linalg.eigvalsh(cov)
    if spectrum[0] > noise * spectrum[-1]:
        return np.linalg.cholesky(cov)  # far cheaper than eigenvectors
    values, vectors = np.linalg.eigh(cov)
    kept = values > noise * np.abs(values).max(initial=0.0)
    return vectors[:, kept] * np.sqrt(values[kept])


def _score(probabilities: np.ndarray) -> float:
    marginal = probabilities.mean(axis=0, keepdims=True)
    safe = np.where(probabilities > 0, probabilities, 1.0)
    # Where the marginal is 0, so is every row, and 0 log 0 is 0.
    safe_marginal = np.where(marginal > 0, marginal, 1.0)
    terms = probabilities * (np.log(safe) - np.log(safe_marginal))
    return float(np.exp(terms.sum(axis=1).mean()))


@jax.jit
def _cubic_discrepancy(x: Array, y: Array) -> Array:
    x, y = x.astype(jnp.float64), y.astype(jnp.float64)
    count, size = x.shape

    def kernel(a: Array, b: Array) -> Array:
        return (jnp.dot(a, b.T, precision=jax.lax.Precision.HIGHEST) / size + 1) ** 3

    within = sum(jnp.sum(k) - jnp.trace(k) for k in (kernel(x, x), kernel(y, y))) / (
        count * (count - 1)
    )
    return within - 2 * jnp.mean(kernel(x, y))
