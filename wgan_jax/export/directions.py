"""Directions of the latent that change the images most."""

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.sampling import sample_labels
from wgan_jax.types import Array
from wgan_jax.zoo import Pretrained


def principal_directions(
    generator: Pretrained, latents: Array, *, count: int
) -> np.ndarray:
    r"""Returns directions of the latent by their effect on the images.

    .. math:: M = \frac{1}{n} \sum_i J(z_i)^T J(z_i)

    where :math:`J` is the Jacobian of the images with respect to the latent. A
    step :math:`\epsilon v` changes the pixels by :math:`\epsilon^2 v^T M v` in
    the sum of squares, to first order; the directions are the eigenvectors of
    the largest eigenvalues.

    Args:
        generator: a trained generator.
        latents: floating-point ``[n, Z]``, where the Jacobian is computed; those
            of a conditional generator have all classes in turn.
        count: number of directions, at least 1.

    Returns:
        float32 ``[min(count, Z), Z]``, orthonormal. The entry of the largest
        magnitude of each is positive.
    """
    labels = sample_labels(generator.gan, len(latents), None)

    @jax.jit
    def moment(latent: Array, label: Array | None) -> Array:
        def draw(z: Array) -> Array:
            return generator(z[None], None if label is None else label[None]).ravel()

        jacobian = jax.jacfwd(draw)(latent)
        return jacobian.T @ jacobian

    total = np.zeros((generator.latent_size,) * 2)
    for i, latent in enumerate(jnp.asarray(latents)):
        total += np.asarray(moment(latent, None if labels is None else labels[i]))
    _, vectors = np.linalg.eigh(total / len(latents))
    found = vectors.T[::-1][:count]
    largest = np.abs(found).argmax(1)[:, None]
    return (found * np.sign(np.take_along_axis(found, largest, 1))).astype(np.float32)
