"""Diversity of samples: pairwise similarity, path length and mode coverage."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from wgan_jax.latents import find_prior
from wgan_jax.metrics.distances import Estimate, check_pair
from wgan_jax.types import Array, GenerateFn, PRNGKey

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _WINDOW_DEVIATION = 11, 1.5
_STABILISERS = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def structural_similarity(x: Array | np.ndarray, y: Array | np.ndarray) -> Array:
    r"""Computes the multi-scale structural similarity (MS-SSIM) of image pairs.

    .. math:: \max\left(0, \overline{l_5 c_5}\right)^{w_5}
        \prod_{j=1}^{4} \max\left(0, \overline{c_j}\right)^{w_j},
        \quad l = \frac{2 \mu_x \mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1},
        \quad c = \frac{2 \sigma_{xy} + C_2}{\sigma_x^2 + \sigma_y^2 + C_2}

    The bars are means over positions. There are five scales, each half the size
    of the previous one. Channels are treated separately, and moments are taken
    under a Gaussian window of side 11 and standard deviation 1.5. If a scale is
    smaller than the window, the window and its standard deviation shrink to the
    size of the image. Images with sides below 176 pixels are therefore
    supported, but their values are not comparable with others.

    Args:
        x: gray levels in [0, 255], uint8 or floating-point ``[B, H, W, C]``,
            with sides of at least 16.
        y: images of the same shape.

    Returns:
        ``[B]`` in [0, 1], float32; 1 for equal images.

    Raises:
        ValueError: if shapes differ or images are too small.

    Reference:
        Wang, Simoncelli, Bovik 2003, "Multiscale structural similarity for
        image quality assessment", equation 7; as a measure of diversity: Odena,
        Olah, Shlens 2017, arXiv:1610.09585, section 4.2.
    """
    if x.shape != y.shape or x.ndim != 4 or min(x.shape[1:3]) < 16:
        raise ValueError(
            f"the images are {list(x.shape)} and {list(y.shape)}; they must be [B, H, "
            "W, C] of the same shape, with sides of at least 16."
        )
    return _structural_similarity(x, y)


def pair_similarity(
    images: ArrayLike, *, pairs: int = 1000, seed: int = 0, batch_size: int = 50
) -> Estimate:
    """Computes the mean MS-SSIM of random pairs; lower means more diverse.

    Compare it with the value of the real data, because noise is diverse as
    well.

    Args:
        images: uint8 ``[n, H, W, C]``, n at least 2. Pass images of a single
            class to measure diversity within a class.
        pairs: number of pairs of different images, drawn with replacement.
        seed: seed of the pairs.
        batch_size: pairs processed at a time.

    Returns:
        Mean and standard deviation over the pairs.

    Raises:
        ValueError: if there are fewer than 2 images or they are not uint8.
    """
    array = np.asarray(images)
    if array.dtype != np.uint8 or len(array) < 2:
        raise ValueError(
            f"the images are {array.dtype}{list(array.shape)}; they must be at least 2 "
            "uint8 images. Use to_uint8 to convert them."
        )
    random = np.random.RandomState(seed)
    first = random.randint(len(array), size=pairs)
    second = (first + random.randint(1, len(array), size=pairs)) % len(array)
    values: list[np.ndarray] = []
    for start in range(0, pairs, batch_size):
        rows = np.minimum(np.arange(start, start + batch_size), pairs - 1)
        block = structural_similarity(array[first[rows]], array[second[rows]])
        values.append(np.asarray(block)[: pairs - start])
    found = np.concatenate(values).astype(np.float64)
    return Estimate(float(found.mean()), float(found.std()))


def perceptual_path_length(
    generate_fn: GenerateFn,
    feature_fn: Callable[[Array], Array],
    key: PRNGKey,
    *,
    latent_size: int,
    prior: str = "normal",
    samples: int = 10_000,
    batch_size: int = 100,
    trim: float = 0.01,
) -> Estimate:
    r"""Computes the mean squared speed of features along paths between latents.

    .. math:: \mathbb{E} \left\lVert \frac{d}{dt}\,
        h\big(G(\operatorname{slerp}(z_1, z_2; t))\big) \right\rVert_2^2,
        \quad t \sim U[0, 1]

    This is the limit of small steps in the papers, computed by forward-mode
    differentiation. It needs no step size and does not amplify rounding errors.
    ``feature_fn`` must not round: use ``from_levels`` of the extractors and not
    their call.

    Args:
        generate_fn: maps latents ``[B, Z]`` to images.
        feature_fn: maps images to features ``[B, D]``, independently per
            example.
        key: PRNG key, consumed.
        latent_size: Z, at least 2.
        prior: distribution of the latents, a key of ``latents.PRIORS``, which
            also determines the paths: lines if it is uniform.
        samples: number of paths.
        batch_size: paths processed at a time; must divide ``samples``.
        trim: fraction of the lengths excluded at each end, in [0, 0.5).

    Returns:
        Mean and standard deviation over the paths.

    Raises:
        ValueError: if the batch size does not divide the number of samples, or
            ``trim`` is out of range.

    Reference:
        Karras, Laine, Aila 2019, arXiv:1812.04948, section 4.1, with features
        of one layer instead of LPIPS.
    """
    if samples < 1 or samples % batch_size or not 0 <= trim < 0.5:
        raise ValueError(
            f"samples is {samples}, batch_size is {batch_size} and trim is {trim}; "
            "batch_size must divide samples, and trim must be in [0, 0.5)."
        )

    drawn_from = find_prior(prior)

    @jax.jit
    def speeds(batch_key: PRNGKey) -> Array:
        ends = drawn_from.draw(batch_key, (2, batch_size, latent_size), None)
        t = jax.random.uniform(
            jax.random.fold_in(batch_key, 1), (batch_size, 1), jnp.float32
        )
        path = partial(drawn_from.path, ends[0], ends[1])
        latents, direction = jax.jvp(path, (t,), (jnp.ones_like(t),))
        _, velocity = jax.jvp(
            lambda z: feature_fn(generate_fn(z)), (latents,), (direction,)
        )
        return jnp.sum(jnp.square(velocity.astype(jnp.float32)), axis=1)

    keys = jax.random.split(key, samples // batch_size)
    found = np.sort(np.concatenate([np.asarray(speeds(k)) for k in keys]))
    cut = int(trim * samples)
    kept = found[cut : samples - cut].astype(np.float64)
    return Estimate(float(kept.mean()), float(kept.std()))


class ModeScores(NamedTuple):
    """Coverage of the modes of a mixture by a sample.

    Attributes:
        covered: number of modes with at least one high-quality example.
        high_quality: fraction of examples close to their nearest mode.
        counts: int ``[modes]``, number of high-quality examples per mode.
    """

    covered: int
    high_quality: float
    counts: np.ndarray


def mode_scores(
    points: ArrayLike, modes: ArrayLike, *, deviation: float, radius: float = 3.0
) -> ModeScores:
    """Counts the modes of a Gaussian mixture that a sample covers.

    An example is of high quality if it is within ``radius`` standard deviations
    of the nearest mode. In the plane, with radius 3, this holds for 98.9 % of
    the mixture itself.

    Args:
        points: ``[n, D]``, n at least 1.
        modes: ``[modes, D]``, the centers.
        deviation: standard deviation of each Gaussian, in the units of the
            points.
        radius: radius in standard deviations.

    Returns:
        Number of covered modes, fraction of high quality, and counts.

    Raises:
        ValueError: if the shapes do not match, or there are no points.

    Reference:
        Srivastava et al. 2017, arXiv:1705.07761, section 4.1 (VEEGAN).
    """
    examples, centres = check_pair(points, modes)
    if not len(examples):
        raise ValueError("there are no points; at least 1 is needed.")
    apart = np.linalg.norm(examples[:, None] - centres[None], axis=2)
    near = apart.min(axis=1) <= radius * deviation
    counts = np.bincount(apart.argmin(axis=1)[near], minlength=len(centres))
    return ModeScores(int((counts > 0).sum()), float(near.mean()), counts)


@jax.jit
def _structural_similarity(x: Array, y: Array) -> Array:
    count, channels = x.shape[0], x.shape[3]
    # Each channel is treated as a separate image.
    planes = [jnp.moveaxis(z.astype(jnp.float32), 3, 1) for z in (x, y)]
    x, y = (z.reshape(-1, *z.shape[2:], 1) for z in planes)
    value = jnp.ones(x.shape[0])
    *finer, coarsest = _SCALE_WEIGHTS
    for weight in finer:
        value *= jnp.maximum(_similarity(x, y)[1], 0.0) ** weight
        x, y = (nn.avg_pool(z, (2, 2), (2, 2)) for z in (x, y))
    value *= jnp.maximum(_similarity(x, y)[0], 0.0) ** coarsest
    return jnp.mean(value.reshape(count, channels), axis=1)


def _similarity(x: Array, y: Array) -> tuple[Array, Array]:
    """Returns spatial means ``[B]`` of luminance times contrast, and of contrast."""
    middle = 127.5  # centering reduces cancellation in the variances
    x, y = x - middle, y - middle
    mean_x, mean_y, xx, yy, xy = (_blur(z) for z in (x, y, x * x, y * y, x * y))
    first, second = _STABILISERS
    spread = xx - mean_x**2 + yy - mean_y**2
    contrast = (2 * (xy - mean_x * mean_y) + second) / (spread + second)
    mean_x, mean_y = mean_x + middle, mean_y + middle
    luminance = (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
    return (
        jnp.mean(luminance * contrast, axis=(1, 2, 3)),
        jnp.mean(contrast, axis=(1, 2, 3)),
    )


def _blur(x: Array) -> Array:
    """Computes means under the window, at all positions where it fits."""
    side = min(_WINDOW, *x.shape[1:3])
    at = np.arange(side) - (side - 1) / 2
    window = np.exp(-0.5 * (at * _WINDOW / (side * _WINDOW_DEVIATION)) ** 2)
    for axis in (1, 2):
        shape = [1, 1, 1, 1]
        shape[axis - 1] = side
        x = jax.lax.conv_general_dilated(
            x,
            jnp.asarray((window / window.sum()).reshape(shape), x.dtype),
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,
        )
    return x
