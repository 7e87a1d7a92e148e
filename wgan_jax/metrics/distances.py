"""Distances between two samples of features, and the inception score.

All computations are in float64, on the host or, if expensive, on the device.
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
    """Value averaged over several parts of a sample.

    Attributes:
        mean: mean over the parts.
        deviation: standard deviation over the parts (divided by their number).
            It describes how much the parts differ, not the uncertainty of the
            mean.
    """

    mean: float
    deviation: float


def frechet_distance(
    mean_x: ArrayLike, cov_x: ArrayLike, mean_y: ArrayLike, cov_y: ArrayLike
) -> float:
    r"""Computes the squared Wasserstein-2 distance of two Gaussians (FID).

    .. math:: d^2 = \lVert m_x - m_y \rVert^2 + \operatorname{tr} C_x
        + \operatorname{tr} C_y
        - 2 \operatorname{tr} (C_x^{1/2} C_y C_x^{1/2})^{1/2}

    With the features of FID, this is FID. The last trace is the sum of the
    singular values of :math:`F_x^T F_y` for any :math:`F F^T = C`. F is the
    Cholesky factor. For a singular covariance (fewer examples than features), F
    comes from the symmetric eigendecomposition, truncated where eigenvalues are
    below rounding error. No complex numbers occur, no multiple of the identity
    is added, and the function is symmetric.

    Args:
        mean_x: ``[D]``.
        cov_x: ``[D, D]``, symmetric positive semidefinite.
        mean_y: ``[D]``.
        cov_y: ``[D, D]``.

    Returns:
        The distance >= 0; values made negative by rounding are set to 0. With
        few examples, it is biased upwards, more so with more features. Compare
        only equal numbers of examples.

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
                f"a mean {list(mean.shape)} and a covariance {list(cov.shape)} do not "
                f"match the first mean; they must be [{size}] and [{size}, {size}]."
            )
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise ValueError(
                "a mean or a covariance is not finite; all values must be finite."
            )
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
    r"""Computes the unbiased squared MMD with a cubic kernel (KID).

    .. math:: \frac{1}{m (m - 1)} \sum_{i \ne j} \left[k(x_i, x_j)
        + k(y_i, y_j)\right] - \frac{2}{m^2} \sum_{i, j} k(x_i, y_j),
        \quad k(a, b) = \left(\frac{a \cdot b}{D} + 1\right)^3

    With the features of FID, this is KID. It is evaluated on random subsets of
    m examples, drawn without replacement. Its expectation does not depend on m,
    so samples of different sizes can be compared. For equal distributions, it
    is negative about half of the time.

    Args:
        x: ``[n, D]``.
        y: ``[n', D]``.
        subsets: number of pairs of subsets.
        subset_size: m, in 2 .. min(n, n').
        seed: seed of the subsets, which equal those of torch-fidelity.

    Returns:
        Mean and standard deviation over the subsets.

    Raises:
        ValueError: if the shapes or the subset size are invalid.

    Reference:
        Bińkowski, Sutherland, Arbel, Gretton 2018, arXiv:1801.01401, equation 4
        and section 4.
    """
    first, second = check_pair(x, y)
    fewest = min(len(first), len(second))
    if not 2 <= subset_size <= fewest or subsets < 1:
        raise ValueError(
            f"subsets is {subsets} and subset_size is {subset_size}; they must be at "
            f"least 1 and in 2 to {fewest}."
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
    r"""Computes the inception score from class logits.

    .. math:: \exp\left(\mathbb{E}_x\, \operatorname{KL}\left(
        p(y|x) \,\Vert\, \mathbb{E}_x\, p(y|x)\right)\right)

    The score is between 1 (identical predictions for all images) and the number
    of classes (confident predictions, all classes equally frequent). The
    examples are shuffled first. Otherwise, samples generated by class would be
    grouped, and each split would contain only a few classes.

    Args:
        logits: ``[n, classes]``, before the softmax; for FID's Inception
            without the bias, as in the original graph.
        splits: number of parts that are scored separately, in 1 .. n (10 in the
            paper).
        seed: seed of the shuffle, which equals that of torch-fidelity.
        probabilities: the input contains probabilities; rows sum to 1.

    Returns:
        Mean and standard deviation over the splits. The score decreases with
        smaller splits. Compare only equal numbers of examples.

    Raises:
        ValueError: if the shape, the number of splits or the probabilities are
            invalid.

    Reference:
        Salimans et al. 2016, arXiv:1606.03498, section 4.
    """
    rows = np.asarray(logits, np.float64)
    if rows.ndim != 2 or not 1 <= splits <= len(rows) or not np.isfinite(rows).all():
        raise ValueError(
            f"splits is {splits} and logits are {list(rows.shape)}; splits must be in "
            "1 to n, and logits must be finite [n, classes]."
        )
    if not probabilities:
        rows = rows - rows.max(axis=1, keepdims=True)
        rows = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    elif rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > 1e-4:
        raise ValueError(
            "the probabilities must be at least 0, and each row must sum to 1."
        )
    rows = rows[np.random.RandomState(seed).permutation(len(rows))]
    ends = [i * len(rows) // splits for i in range(splits + 1)]
    scores = [_score(rows[start:end]) for start, end in itertools.pairwise(ends)]
    return Estimate(float(np.mean(scores)), float(np.std(scores)))


def sliced_wasserstein_features(
    x: Array, y: Array, key: PRNGKey, *, projections: int = 1000
) -> float:
    r"""Computes the sliced Wasserstein-2 distance between two feature samples.

    It needs no covariance and is sensitive to more than two moments. The cost
    is :math:`n D L`, far less than that of the Fréchet distance for many
    features.

    Args:
        x: floating-point ``[n, D]``.
        y: ``[n, D]``, the same shape.
        key: PRNG key of the directions, consumed.
        projections: number L of directions.

    Returns:
        The distance >= 0, not squared.

    Raises:
        ValueError: if the shapes do not match.

    Reference:
        Bonneel, Rabin, Peyré, Pfister 2015, "Sliced and Radon Wasserstein
        barycenters of measures", definition 8.
    """
    check_pair(x, y)
    return float(sliced_wasserstein(x, y, key, projections=projections, p=2))


def check_pair(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns both samples on the host, after checking them.

    Args:
        x: ``[n, D]``.
        y: ``[n', D]``.

    Returns:
        Both samples as numpy arrays of unchanged dtype.

    Raises:
        ValueError: if the shapes are invalid, or a value is not finite.
    """
    first, second = np.asarray(x), np.asarray(y)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"the samples are {list(first.shape)} and {list(second.shape)}; they must "
            "be [n, D] and [m, D]."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError(
            "the samples have values that are not finite; all must be finite."
        )
    return first, second


def _factor(cov: np.ndarray) -> np.ndarray:
    """Returns F ``[D, rank]`` with F F^T equal to the covariance."""
    cov = (cov + cov.T) / 2
    noise = len(cov) * np.finfo(np.float64).eps
    spectrum = np.linalg.eigvalsh(cov)
    if spectrum[0] > noise * spectrum[-1]:
        return np.linalg.cholesky(cov)  # much cheaper than an eigendecomposition
    values, vectors = np.linalg.eigh(cov)
    kept = values > noise * np.abs(values).max(initial=0.0)
    return vectors[:, kept] * np.sqrt(values[kept])


def _score(probabilities: np.ndarray) -> float:
    marginal = probabilities.mean(axis=0, keepdims=True)
    safe = np.where(probabilities > 0, probabilities, 1.0)
    # Where the marginal is 0, all rows are 0, and 0 log 0 is 0.
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
