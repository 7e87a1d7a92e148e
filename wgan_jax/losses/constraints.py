"""Constraints: projections of the critic parameters after each update.

To add one, write a function ``(params, **options) -> params`` and add it to
``CONSTRAINTS`` at the end of this file.
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
    r"""Clips each parameter to a box around zero.

    .. math:: w \leftarrow \min(\max(w, -c), c)

    Args:
        params: pytree of floating-point arrays.
        bound: half side c of the box, > 0 (0.01 in the paper). Traced values
            are not checked.
        normalization: also clip the scales and offsets of normalization layers,
            as the authors' code does. If False, leaves named ``scale`` and the
            ``bias`` in the same layer are unchanged.

    Returns:
        Pytree with the same structure, shapes and dtypes.

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
    r"""Scales down each matrix whose largest singular value exceeds the bound.

    .. math:: W \leftarrow W \min(1, c / \sigma_1(W))

    A kernel of any rank is treated as the matrix ``[-1, O]`` that maps one
    patch to the O outputs. Sigma is exact, computed from the smaller Gram
    matrix. The cost per update is cubic in the side of that matrix.

    For a dense layer, sigma is the Lipschitz constant. For a convolution, it is the
    Lipschitz constant on one patch. Each input value lies in at most
    :math:`\lceil K/s \rceil^2` patches, hence :math:`\lVert W * x \rVert^2 =
    \sum_p \lVert W^T x_p \rVert^2 \le \sigma_1^2 \sum_p \lVert x_p \rVert^2 \le
    \sigma_1^2 \lceil K/s \rceil^2 \lVert x \rVert^2`. The Lipschitz constant of the
    layer is therefore at most :math:`\lceil K/s \rceil \sigma_1` for a square kernel
    of side K and stride s. A constant kernel comes close to this bound.

    Args:
        params: pytree of floating-point arrays. Arrays with two or more axes,
            including embeddings, are treated as matrices. Vectors and scalars
            are unchanged.
        bound: c > 0. Traced values are not checked.

    Returns:
        Pytree with the same structure, shapes and dtypes. Matrices within the
        bound are returned bit for bit.

    Raises:
        ValueError: if ``bound`` is not positive.

    Reference:
        Norm of the reshaped kernel: Miyato et al. 2018, arXiv:1802.05957,
        section 2.1. Yoshida, Miyato 2017, arXiv:1705.10941, penalize the norm
        that is projected here.
    """

    def project(matrix: Array) -> Array:
        sigma = largest_singular_value(matrix)
        outside = sigma > bound
        return jnp.where(outside, bound / jnp.where(outside, sigma, 1), 1) * matrix

    return _map_matrices(project, params)


def project_orthonormal(params: Params) -> Params:
    r"""Replaces each matrix by the nearest one with orthonormal columns.

    .. math:: W = U \Sigma V^T \;\mapsto\; U V^T

    which is the polar factor, the nearest such matrix in the Frobenius norm. A
    matrix with more columns than rows gets orthonormal rows. All singular
    values become 1, so a dense layer neither stretches nor (on the span of its
    columns) shrinks its input. The nearest matrix is unique if the rank is
    full. A zero matrix is unchanged.

    Args:
        params: pytree of floating-point arrays. Arrays with two or more axes,
            including embeddings, are treated as matrices, kernels as
            ``[-1, O]``. Vectors and scalars are unchanged. The Lipschitz
            constant of a convolution is then at most ceil(K/s), as for
            ``project_spectral``.

    Returns:
        Pytree with the same structure, shapes and dtypes.

    Reference:
        Fan, Hoffman 1955, "Some metric inequalities in the space of matrices",
        theorem 1. Brock et al. 2017, arXiv:1609.07093, penalize the distance to
        the set that critics are projected onto here.
    """

    def project(matrix: Array) -> Array:
        u, sigma, vt = jnp.linalg.svd(matrix, full_matrices=False)
        nearest = jnp.matmul(u, vt, precision=jax.lax.Precision.HIGHEST)
        # Zero has no unique nearest matrix, and R3GAN's blocks are initialized to it.
        return jnp.where(sigma[0] > 0, nearest, matrix)

    return _map_matrices(project, params)


def largest_singular_value(matrix: Array) -> Array:
    r"""Computes the spectral norm from the eigenvalues of the smaller Gram matrix.

    .. math:: \sigma_1(W) = \sqrt{\lambda_{\max}(W^T W)}
        = \sqrt{\lambda_{\max}(W W^T)}

    Args:
        matrix: float32 or float64 ``[M, N]``.

    Returns:
        Scalar >= 0 in the dtype of the matrix.
    """
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    gram = jnp.matmul(tall.T, tall, precision=jax.lax.Precision.HIGHEST)
    return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 0))


def _map_matrices(project: Callable[[Array], Array], params: Params) -> Params:
    def apply(w: Array) -> Array:
        if w.ndim < 2:
            return w
        # Matrix decompositions do not support half precision.
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
