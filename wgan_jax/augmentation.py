"""Random image augmentations, drawn independently for each example.

``diff_augment`` is applied to every image the critic sees, real or generated.
``random_flip`` is applied to real images only. The draw for example i does not
depend on the batch size.

To add an augmentation, write a function ``(images, key) -> images`` and add it
to ``AUGMENTATIONS`` at the end of this file.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from wgan_jax.parallel.sharding import constrain_batch
from wgan_jax.types import Array, PRNGKey


def diff_augment(images: Array, key: PRNGKey, *, policy: str) -> Array:
    r"""Applies the augmentations of a policy in order.

    .. math:: T(x) = (T_n \circ \dots \circ T_1)(x)

    Args:
        images: floating-point ``[B, H, W, C]`` in [-1, 1].
        key: PRNG key; the i-th augmentation uses ``fold_in(key, i)``.
        policy: comma-separated names from ``AUGMENTATIONS``, in order of
            application (``"color,translation,cutout"`` in the paper).

    Returns:
        ``[B, H, W, C]`` in the dtype of ``images``. With ``color``, values may
        leave [-1, 1].

    Raises:
        ValueError: if the policy is empty or contains an unknown name (the
            message lists the choices), or if ``images`` is not a floating-point
            ``[B, H, W, C]`` array.

    Reference:
        Zhao, Liu, Lin, Zhu, Han 2020, arXiv:2006.10738, figure 4.
    """
    _check_images("diff_augment", images)
    for place, augment in enumerate(parse_policy(policy)):
        images = augment(images, jax.random.fold_in(key, place))
    return images


def parse_policy(policy: str) -> list[Callable[[Array, PRNGKey], Array]]:
    """Returns the augmentation functions named by a policy.

    Args:
        policy: comma-separated names from ``AUGMENTATIONS``.

    Returns:
        The functions ``(images, key) -> images``, in the order of the policy.

    Raises:
        ValueError: if a name is unknown; the message lists the choices.
    """
    names = [name.strip() for name in policy.split(",")]
    for name in names:
        if name not in AUGMENTATIONS:
            raise ValueError(
                f"the augmentation policy {policy!r} contains {name!r}; it must be one "
                f"or more of {', '.join(AUGMENTATIONS)}, separated by commas."
            )
    return [AUGMENTATIONS[name] for name in names]


def color(images: Array, key: PRNGKey) -> Array:
    r"""Randomly changes brightness, then saturation, then contrast of each image.

    .. math::
        x_1 = x + b, \quad x_2 = m_C + s\,(x_1 - m_C), \quad
        x_3 = m_{HWC} + c\,(x_2 - m_{HWC})

    where b ~ U[-0.5, 0.5), s ~ U[0, 2), c ~ U[0.5, 1.5), and m is the mean of
    the current image over the axes in its subscript. Saturation has no effect
    on single-channel images.

    Args:
        images: floating-point ``[B, H, W, C]``.
        key: PRNG key.

    Returns:
        ``[B, H, W, C]`` in the dtype of ``images``. The result is not clipped
        to [-1, 1], because clipped pixels would have zero gradient.

    Raises:
        ValueError: if ``images`` is not a floating-point ``[B, H, W, C]``
            array.

    Reference:
        Zhao et al. 2020, arXiv:2006.10738; ranges from
        ``DiffAugment_pytorch.py``.
    """
    _check_images("color", images)
    shape = (len(images), 1, 1, 1)
    brightness, saturation, contrast = (
        constrain_batch(jax.random.uniform(part, shape, images.dtype))
        for part in jax.random.split(key, 3)
    )
    images = images + (brightness - 0.5)
    grey = jnp.mean(images, axis=3, keepdims=True)
    images = grey + 2.0 * saturation * (images - grey)
    level = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return level + (0.5 + contrast) * (images - level)


def translation(images: Array, key: PRNGKey) -> Array:
    r"""Translates each image by whole pixels, up to an eighth of each side.

    .. math:: x'_{ij} = x_{i - u, j - v}, \quad
        u, v \sim U\{-m, \dots, m\}, \; m = \lfloor n / 8 + 1/2 \rfloor

    where n is the side along the axis. Vacated pixels are set to 0 (gray).

    Args:
        images: floating-point ``[B, H, W, C]``.
        key: PRNG key.

    Returns:
        ``[B, H, W, C]`` in the dtype of ``images``; linear in ``images``.

    Raises:
        ValueError: if ``images`` is not a floating-point ``[B, H, W, C]``
            array.

    Reference:
        Zhao et al. 2020, arXiv:2006.10738; ranges from
        ``DiffAugment_pytorch.py``.
    """
    _check_images("translation", images)
    for axis, part in zip((1, 2), jax.random.split(key), strict=True):
        reach = (images.shape[axis] + 4) // 8
        shape = (len(images), 1, 1, 1)
        shift = constrain_batch(jax.random.randint(part, shape, -reach, reach + 1))
        images = _shift(images, shift, axis=axis, reach=reach)
    return images


def _shift(images: Array, shift: Array, *, axis: int, reach: int) -> Array:
    """Shifts each image by its own ``shift [B, 1, 1, 1]``, at most ``reach`` pixels.

    The kept window starts at ``reach - shift`` in the padded axis. The axis is
    shifted to that start with one selection per binary digit of the offset.
    This is exact in every dtype and avoids a gather, whose gradient would be a
    scatter.
    """
    start = reach - shift
    digits = (2 * reach).bit_length()
    padding = [(0, 0)] * images.ndim
    padding[axis] = (reach, 2**digits - 1 - reach)
    images = jnp.pad(images, padding)
    for digit in reversed(range(digits)):
        step, size = 2**digit, images.shape[axis]
        near = jax.lax.slice_in_dim(images, 0, size - step, axis=axis)
        far = jax.lax.slice_in_dim(images, step, size, axis=axis)
        images = jnp.where((start >> digit) & 1 == 1, far, near)
    return images


def cutout(images: Array, key: PRNGKey) -> Array:
    r"""Sets a random rectangle of half of each side to 0 (gray) in each image.

    .. math:: x'_{ij} = x_{ij}\,(1 - [\,p \le i < p + h\,][\,q \le j < q + w\,])

    where h and w are half of the sides, rounded up. The center of the rectangle
    is uniform over the image, so part of the rectangle may lie outside.

    Args:
        images: floating-point ``[B, H, W, C]``.
        key: PRNG key.

    Returns:
        ``[B, H, W, C]`` in the dtype of ``images``; linear in ``images``.

    Raises:
        ValueError: if ``images`` is not a floating-point ``[B, H, W, C]``
            array.

    Reference:
        Zhao et al. 2020, arXiv:2006.10738; sizes from
        ``DiffAugment_pytorch.py``.
    """
    _check_images("cutout", images)
    rows, columns = (
        _stretch(part, len(images), side)
        for part, side in zip(jax.random.split(key), images.shape[1:3], strict=True)
    )
    covered = rows[:, :, None, None] & columns[:, None, :, None]
    return jnp.where(covered, jnp.zeros_like(images), images)


def _stretch(key: PRNGKey, count: int, side: int) -> Array:
    """Returns a ``[count, side]`` mask of the pixels covered by each random cut."""
    length = (side + 1) // 2
    # The center of an even length lies between two pixels, which adds one position.
    places = side + 1 - length % 2
    middle = constrain_batch(jax.random.randint(key, (count, 1), 0, places))
    distance = jnp.arange(side)[None, :] - (middle - length // 2)
    return (distance >= 0) & (distance < length)


def random_flip(images: Array, key: PRNGKey) -> Array:
    r"""Mirrors each image left to right with probability 1/2.

    .. math:: x'_{ij} = f\, x_{i, W - 1 - j} + (1 - f)\, x_{ij}, \quad
        f \sim \text{Bernoulli}(1/2)

    Args:
        images: ``[B, H, W, C]`` of any dtype.
        key: PRNG key.

    Returns:
        ``[B, H, W, C]`` in the dtype of ``images``. Applying the function twice
        with the same key restores the input.

    Raises:
        ValueError: if ``images`` is not ``[B, H, W, C]``.
    """
    _check_rank("random_flip", images)
    flipped = constrain_batch(jax.random.bernoulli(key, shape=(len(images), 1, 1, 1)))
    return jnp.where(flipped, images[:, :, ::-1], images)


def _check_rank(name: str, images: Array) -> None:
    if images.ndim != 4:
        raise ValueError(
            f"{name}: the images are {list(images.shape)}; they must be [B, H, W, C]."
        )


def _check_images(name: str, images: Array) -> None:
    _check_rank(name, images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"{name}: the images are {images.dtype}; they must be floating point in "
            "[-1, 1]. Use normalize_images to convert them."
        )


AUGMENTATIONS: dict[str, Callable[[Array, PRNGKey], Array]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
