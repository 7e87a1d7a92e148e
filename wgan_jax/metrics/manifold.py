"""Precision, recall, density and coverage, from nearest neighbors.

Distances are float64 and computed for one block of rows at a time. Memory is
bounded by the samples and one block, not by all pairs.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from wgan_jax.metrics.distances import check_pair
from wgan_jax.types import Array

_BLOCK_BYTES = 2**27  # size of one block of distances


class ManifoldScores(NamedTuple):
    """Separate measures of quality and diversity of a generated sample.

    Attributes:
        precision: fraction of fakes inside a ball of the real sample.
        recall: fraction of reals inside a ball of the fake sample.
        density: number of balls of the real sample that contain a fake, divided
            by k; may exceed 1.
        coverage: fraction of reals whose own ball contains a fake.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold_scores(
    real: ArrayLike, fake: ArrayLike, *, precision_k: int = 3, coverage_k: int = 5
) -> ManifoldScores:
    r"""Computes precision, recall, density and coverage of features.

    Let :math:`r_k(a)` be the distance from a to its k-th neighbor in its own
    sample (excluding itself). For reals x and fakes y:

    .. math::
        \text{precision} &= \tfrac{1}{M} \textstyle\sum_j
            1[\exists i: \lVert x_i - y_j \rVert \le r_k(x_i)] \\
        \text{recall} &= \tfrac{1}{N} \textstyle\sum_i
            1[\exists j: \lVert x_i - y_j \rVert \le r_k(y_j)] \\
        \text{density} &= \tfrac{1}{k M} \textstyle\sum_{i,j}
            1[\lVert x_i - y_j \rVert < r_k(x_i)] \\
        \text{coverage} &= \tfrac{1}{N} \textstyle\sum_i
            1[\exists j: \lVert x_i - y_j \rVert < r_k(x_i)]

    Precision and density increase if fakes concentrate in the center of the
    reals, as features of noise and blur do. Use them together with a distance.

    As in the authors' implementations, balls are closed for the first two
    measures and open for the last two. This matters only for duplicate
    examples.

    Args:
        real: ``[N, D]``.
        fake: ``[M, D]``. Recall decreases with fewer fakes; compare only equal
            numbers of examples.
        precision_k: k of precision and recall, in 1 .. min(N, M) - 1.
        coverage_k: k of density and coverage, in 1 .. N - 1.

    Returns:
        The four values.

    Raises:
        ValueError: if shapes do not match or a sample has too few examples.

    Reference:
        Kynkäänniemi et al. 2019, arXiv:1904.06991, equations 1 and 2; Naeem et
        al. 2020, arXiv:2002.09797, equations 4 and 7.
    """
    reals, fakes = check_pair(real, fake)
    largest = max(precision_k, coverage_k)
    own = _nearest(reals, reals, largest + 1)[1]
    theirs = _nearest(fakes, fakes, precision_k + 1)[1][:, -1]
    closed, open_ = own[:, precision_k], own[:, coverage_k]
    recalled = inside = covered = 0
    precise = np.zeros(len(fakes), bool)
    origin = reals.mean(axis=0, dtype=np.float64)
    with jax.enable_x64(True):
        columns, radii = jnp.asarray(fakes - origin), jnp.asarray(theirs)
        for rows, *balls in _blocks(len(fakes), reals - origin, closed, open_):
            found = _look(rows, *balls, columns, radii)
            precise |= np.asarray(found[0])
            recalled, inside, covered = (
                total + int(more)
                for total, more in zip(
                    (recalled, inside, covered), found[1:], strict=True
                )
            )
    return ManifoldScores(
        precision=float(precise.mean()),
        recall=recalled / len(reals),
        density=inside / (coverage_k * len(fakes)),
        coverage=covered / len(reals),
    )


class Neighbours(NamedTuple):
    """Nearest neighbors in another sample.

    Attributes:
        indices: int ``[n, k]``, nearest first; ties are ordered by index.
        distances: float64 ``[n, k]``, Euclidean, ascending.
    """

    indices: np.ndarray
    distances: np.ndarray


def nearest_neighbours(x: ArrayLike, y: ArrayLike, *, k: int) -> Neighbours:
    """Finds the k nearest examples of one sample for each example of another.

    With x generated and y the training set, it reveals memorized examples. If x
    and y are the same sample, each example is its own first neighbor.

    Args:
        x: ``[n, D]``, features or pixels.
        y: ``[n', D]``.
        k: number of neighbors, in 1 .. n'.

    Returns:
        Indices into y, and distances.

    Raises:
        ValueError: if shapes do not match or k is out of range.
    """
    indices, squares = _nearest(*check_pair(x, y), k)
    return Neighbours(indices, np.sqrt(squares))


def _nearest(x: np.ndarray, y: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns indices and squared distances ``[n, k]`` of the nearest examples.

    Squared distances are compared. Taking the square root and squaring again
    would move examples on the boundary of a ball.
    """
    if not 1 <= k <= len(y):
        raise ValueError(
            f"k is {k}; it must be in 1 to {len(y)}, the number of examples (an "
            "example counts as its own neighbor)."
        )
    # Centering reduces cancellation in the squared distances.
    origin = y.mean(axis=0, dtype=np.float64)
    indices, squares = np.zeros((0, k), int), np.zeros((0, k))
    with jax.enable_x64(True):
        columns = jnp.asarray(y - origin)
        for (rows,) in _blocks(len(y), x - origin):
            block = _nearest_in_block(rows, columns, k)
            indices = np.concatenate([indices, block[0]])
            squares = np.concatenate([squares, block[1]])
    return indices[: len(x)], squares[: len(x)]


def _blocks(columns: int, *arrays: np.ndarray) -> Iterator[list[Array]]:
    """Yields the rows of the arrays in equal blocks, the last one padded with -1."""
    count = len(arrays[0])
    rows = max(1, min(count, _BLOCK_BYTES // (8 * columns)))
    for start in range(0, count, rows):
        parts = [array[start : start + rows] for array in arrays]
        missing = rows - len(parts[0])
        yield [
            jnp.asarray(
                np.pad(p, [(0, missing)] + [(0, 0)] * (p.ndim - 1), constant_values=-1)
            )
            for p in parts
        ]


def _squares(rows: Array, columns: Array) -> Array:
    """Computes squared distances of all pairs; 0 if they are not above rounding."""
    products = jnp.dot(rows, columns.T, precision=jax.lax.Precision.HIGHEST)
    lengths = [jnp.sum(z * z, axis=1) for z in (rows, columns)]
    total = lengths[0][:, None] + lengths[1][None]
    # Copies must have the same distance of 0 around every origin.
    rounding = 16 * rows.shape[1] ** 0.5 * jnp.finfo(total.dtype).eps * total
    squares = total - 2 * products
    return jnp.where(squares > rounding, squares, 0.0)


@partial(jax.jit, static_argnums=2)
def _nearest_in_block(rows: Array, columns: Array, k: int) -> tuple[Array, Array]:
    def take(squares: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        least = jnp.argmin(squares, axis=1)
        taken = jnp.arange(squares.shape[1])[None] == least[:, None]
        return jnp.where(taken, jnp.inf, squares), (least, jnp.min(squares, axis=1))

    # k passes, because sorting float64 takes many times as long on CPUs.
    _, (indices, squares) = jax.lax.scan(take, _squares(rows, columns), length=k)
    return indices.T, squares.T


@jax.jit
def _look(
    rows: Array, closed: Array, open_: Array, columns: Array, radii: Array
) -> tuple[Array, Array, Array, Array]:
    """Tests which points are in which balls, for a block of reals; padding is -1."""
    squares = _squares(rows, columns)
    within = squares < open_[:, None]
    recalled = jnp.any(squares <= radii[None], axis=1) & (closed >= 0)
    return (
        jnp.any(squares <= closed[:, None], axis=0),
        jnp.sum(recalled),
        jnp.sum(within),
        jnp.sum(jnp.any(within, axis=1)),
    )
