"""Constraints: projections of the critic's parameters after each update.

To add one, write ``(params, **options) -> params`` and one row of
``CONSTRAINTS`` at the foot of this file.
"""

from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from annotated_types import Gt

from wgan_jax.ranges import checked
from wgan_jax.types import Array, Params


@checked
def clip_weights(
    params: Params,
    *,
    bound: Annotated[float | Array, Gt(0)],
    normalization: bool = True,
) -> Params:
    r"""Each parameter moved into a box around zero.

    .. math:: w \leftarrow \min(\max(w, -c), c)

    Args:
        params: pytree of floating arrays.
        bound: half side c of the box, > 0 (0.01 in the paper). A traced value
            is taken as it is.
        normalization: clip the scales and offsets of normalization layers too,
            as the authors' code does. If False, a leaf called ``scale`` and the
            ``bias`` beside it stay as they are.

    Returns:
        Pytree of the same structure, shapes and dtypes.

    Raises:
        ValueError: if ``bound`` is not positive.

    Reference:
        Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, line 7.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    spared = set() if normalization else _normalization_layers(leaves)

    def clip(path: tuple[Any, ...], w: Array) -> Array:
        if path[:-1] in spared and _name(path) in ("scale", "bias"):
            return w
        w = jnp.asarray(w)
        return jnp.clip(w, -bound, bound).astype(w.dtype)

    return jax.tree.unflatten(structure, [clip(path, w) for path, w in leaves])


@checked
def project_spectral(
    params: Params, *, bound: Annotated[float | Array, Gt(0)] = 1.0
) -> Params:
    r"""Each matrix scaled down until its largest singular value is in bounds.

    .. math:: W \leftarrow W \min(1, c / \sigma_1(W))

    A kernel of any rank counts as the matrix ``[-1, O]`` that maps one patch
    to the O outputs, and sigma is exact, from the smaller Gram matrix: the cost
    is cubic in its side, at each update.

    For a dense layer sigma is the Lipschitz constant. For a convolution it is
    that of one patch: each number of the input lies in at most
    :math:`\lceil K/s \rceil^2` patches, hence :math:`\lVert W * x \rVert^2 =
    \sum_p \lVert W^T x_p \rVert^2 \le \sigma_1^2 \sum_p \lVert x_p \rVert^2 \le
    \sigma_1^2 \lceil K/s \rceil^2 \lVert x \rVert^2`, and the layer's
    constant is at most :math:`\lceil K/s \rceil \sigma_1` for a square kernel
    of side K and stride s. A constant kernel comes close to that.

    Args:
        params: pytree of floating arrays. Arrays of two and more axes are
            matrices, embeddings too; vectors and scalars stay as they are.
        bound: c > 0. A traced value is taken as it is.

    Returns:
        Pytree of the same structure, shapes and dtypes; a matrix inside the
        bound is the same to the last bit.

    Raises:
        ValueError: if ``bound`` is not positive.

    Reference:
        Miyato et al. 2018, arXiv:1802.05957, section 2.1, for the norm of the
        reshaped kernel; as a projection after each update, Yoshida, Miyato
        2017, arXiv:1705.10941, penalize what is scaled down here.
    """

    def project(matrix: Array) -> Array:
        sigma = largest_singular_value(matrix)
        outside = sigma > bound
        return jnp.where(outside, bound / jnp.where(outside, sigma, 1), 1) * matrix

    return _map_matrices(project, params)


def project_orthonormal(params: Params) -> Params:
    r"""Each matrix replaced by the nearest one with orthonormal columns.

    .. math:: W = U \Sigma V^T \;\mapsto\; U V^T

    the polar factor, the nearest in the Frobenius norm. A matrix with more
    columns than rows gets orthonormal rows. All singular values become 1, so a
    dense layer neither stretches nor (on the span of its columns) shrinks. The
    nearest one is unique for a matrix of full rank; a zero matrix stays.

    Args:
        params: pytree of floating arrays. Arrays of two and more axes are
            matrices, embeddings too, kernels as ``[-1, O]``; vectors and
            scalars stay as they are. A convolution's layer constant is then at
            most ceil(K/s), as for ``project_spectral``.

    Returns:
        Pytree of the same structure, shapes and dtypes.

    Reference:
        Fan, Hoffman 1955, "Some metric inequalities in the space of matrices",
        theorem 1; for critics, Brock et al. 2017, arXiv:1609.07093,
        penalize the distance that is made zero here.
    """

    def project(matrix: Array) -> Array:
        u, sigma, vt = jnp.linalg.svd(matrix, full_matrices=False)
        nearest = jnp.matmul(u, vt, precision=jax.lax.Precision.HIGHEST)
        # Zero has no nearest one; R3GAN's blocks start there.
        return jnp.where(sigma[0] > 0, nearest, matrix)

    return _map_matrices(project, params)


def largest_singular_value(matrix: Array) -> Array:
    r"""Spectral norm, from the eigenvalues of the smaller Gram matrix.

    .. math:: \sigma_1(W) = \sqrt{\lambda_{\max}(W^T W)}
        = \sqrt{\lambda_{\max}(W W^T)}

    Args:
        matrix: ``[M, N]``, float32 or float64.

    Returns:
        Scalar >= 0 of the matrix' dtype.
    """
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    gram = jnp.matmul(tall.T, tall, precision=jax.lax.Precision.HIGHEST)
    return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 0))


def _map_matrices(project: Callable[[Array], Array], params: Params) -> Params:
    def apply(w: Array) -> Array:
        if w.ndim < 2:
            return w
        # Decompositions know no half precision.
        wide = w.astype(jnp.promote_types(w.dtype, jnp.float32))
        projected = project(wide.reshape(-1, w.shape[-1]))
        return projected.reshape(w.shape).astype(w.dtype)

    return jax.tree.map(apply, params)


def _normalization_layers(leaves: list[tuple[Any, Any]]) -> set[tuple[Any, ...]]:
    return {path[:-1] for path, _ in leaves if _name(path) == "scale"}


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path[-1:], simple=True)


CONSTRAINTS: dict[str, Callable[..., Any]] = {
    "clip_weights": clip_weights,
    "project_spectral": project_spectral,
    "project_orthonormal": project_orthonormal,
}
