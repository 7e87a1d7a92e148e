"""Random image augmentation with a separate draw for each example.

What the critic sees of data and of generated images alike passes through
``diff_augment``; ``random_flip`` is for data alone. Example i of a batch is
changed by the same draw in a batch of any size.

To add an augmentation, write ``(images, key) -> images`` and one row of
``AUGMENTATIONS`` at the foot of this file.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from wgan_jax.parallel.sharding import constrain_batch
from wgan_jax.types import Array, PRNGKey


def diff_augment(images: Array, key: PRNGKey, *, policy: str) -> Array:
    r"""The augmentations of a policy, one after another.

    .. math:: T(x) = (T_n \circ \dots \circ T_1)(x)

    Args:
        images: ``[B, H, W, C]`` floating in [-1, 1].
        key: typed key; each place in the policy folds in its own number.
        policy: names of ``AUGMENTATIONS`` separated by commas, in the order of
            application (``"color,translation,cutout"`` in the paper).

    Returns:
        ``[B, H, W, C]`` of the images' dtype; with ``color`` it may leave [-1, 1].

    Raises:
        ValueError: for an unknown name or an empty policy, listing the choices,
            and for images that are not ``[B, H, W, C]`` floating.

    Reference:
        Zhao, Liu, Lin, Zhu, Han 2020, arXiv:2006.10738, figure 4.
    """
    _check_images("diff_augment", images)
    for place, augment in enumerate(parse_policy(policy)):
        images = augment(images, jax.random.fold_in(key, place))
    return images


def parse_policy(policy: str) -> list[Callable[[Array, PRNGKey], Array]]:
    """The functions that a policy names.

    Args:
        policy: names of ``AUGMENTATIONS``, separated by commas.

    Returns:
        The functions ``(images, key) -> images``, in that order.

    Raises:
        ValueError: for a name that is none of them, listing them.
    """
    names = [name.strip() for name in policy.split(",")]
    for name in names:
        if name not in AUGMENTATIONS:
            raise ValueError(
                f"the augmentation policy {policy!r} names {name!r}; it must be one "
                f"or more of {', '.join(AUGMENTATIONS)}, separated by commas."
            )
    return [AUGMENTATIONS[name] for name in names]


def color(images: Array, key: PRNGKey) -> Array:
    r"""Brightness, then saturation, then contrast of each image.

    .. math::
        x_1 = x + b, \quad x_2 = m_C + s\,(x_1 - m_C), \quad
        x_3 = m_{HWC} + c\,(x_2 - m_{HWC})

    with b in U[-0.5, 0.5), s in U[0, 2), c in U[0.5, 1.5), and m the mean over
    the axes named, of the image before the step. An image of one channel has no
    saturation to change.

    Args:
        images: ``[B, H, W, C]`` floating.
        key: typed key.

    Returns:
        ``[B, H, W, C]`` of the images' dtype, not clipped to [-1, 1]: a clipped
        pixel would have no gradient.

    Raises:
        ValueError: for images that are not ``[B, H, W, C]`` floating.

    Reference:
        Zhao et al. 2020, arXiv:2006.10738; ranges of their ``DiffAugment_pytorch.py``.
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
    r"""Each image moved by whole pixels, up to an eighth of each side.

    .. math:: x'_{ij} = x_{i - u, j - v}, \quad
        u, v \sim U\{-m, \dots, m\}, \; m = \lfloor n / 8 + 1/2 \rfloor

    with n the side along the axis. What comes in at the edge is 0, which is gray.

    Args:
        images: ``[B, H, W, C]`` floating.
        key: typed key.

    Returns:
        ``[B, H, W, C]`` of the images' dtype, linear in the images.

    Raises:
        ValueError: for images that are not ``[B, H, W, C]`` floating.

    Reference:
        Zhao et al. 2020, arXiv:2006.10738; ranges of their ``DiffAugment_pytorch.py``.
    """
    _check_images("translation", images)
    for axis, part in zip((1, 2), jax.random.split(key), strict=True):
        reach = (images.shape[axis] + 4) // 8
        shape = (len(images), 1, 1, 1)
        shift = constrain_batch(jax.random.randint(part, shape, -reach, reach + 1))
        images = _shift(images, shift, axis=axis, reach=reach)
    return images


def _shift(images: Array, shift: Array, *, axis: int, reach: int) -> Array:
    """Moves each image by its own ``shift [B, 1, 1, 1]``, at most ``reach``.

    The window that is kept starts ``reach - shift`` into the padded axis. It is
    brought to the front by one selection for each binary digit of that number:
    exact in any dtype, without a gather, whose gradient would be a scatter.
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
    r"""A rectangle of half of each side set to 0, which is gray, in each image.

    .. math:: x'_{ij} = x_{ij}\,(1 - [\,p \le i < p + h\,][\,q \le j < q + w\,])

    with h, w half of the sides, rounded up. The middle of the rectangle is
    uniform over the image, so a part of it may lie outside.

    Args:
        images: ``[B, H, W, C]`` floating.
        key: typed key.

    Returns:
        ``[B, H, W, C]`` of the images' dtype, linear in the images.

    Raises:
        ValueError: for images that are not ``[B, H, W, C]`` floating.

    Reference:
        Zhao et al. 2020, arXiv:2006.10738; sizes of their ``DiffAugment_pytorch.py``.
    """
    _check_images("cutout", images)
    rows, columns = (
        _stretch(part, len(images), side)
        for part, side in zip(jax.random.split(key), images.shape[1:3], strict=True)
    )
    covered = rows[:, :, None, None] & columns[:, None, :, None]
    return jnp.where(covered, jnp.zeros_like(images), images)


def _stretch(key: PRNGKey, count: int, side: int) -> Array:
    """Which of ``side`` pixels each of ``count`` cuts covers, ``[count, side]``."""
    length = (side + 1) // 2
    # An even length has its middle between two pixels: one more place for it.
    places = side + 1 - length % 2
    middle = constrain_batch(jax.random.randint(key, (count, 1), 0, places))
    distance = jnp.arange(side)[None, :] - (middle - length // 2)
    return (distance >= 0) & (distance < length)


def random_flip(images: Array, key: PRNGKey) -> Array:
    r"""Each image mirrored left to right with probability 1/2.

    .. math:: x'_{ij} = f\, x_{i, W - 1 - j} + (1 - f)\, x_{ij}, \quad
        f \sim \text{Bernoulli}(1/2)

    Args:
        images: ``[B, H, W, C]``, of any dtype.
        key: typed key.

    Returns:
        ``[B, H, W, C]`` of the images' dtype. The same key twice gives the
        images back.

    Raises:
        ValueError: for images that are not ``[B, H, W, C]``.
    """
    _check_rank("random_flip", images)
    flipped = constrain_batch(jax.random.bernoulli(key, shape=(len(images), 1, 1, 1)))
    return jnp.where(flipped, images[:, :, ::-1], images)


def _check_rank(name: str, images: Array) -> None:
    if images.ndim != 4:
        raise ValueError(
            f"{name} was given an array {list(images.shape)}; it takes images "
            "[B, H, W, C]."
        )


def _check_images(name: str, images: Array) -> None:
    _check_rank(name, images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"{name} was given images of {images.dtype}; it takes floating ones in "
            "[-1, 1] (normalize_images makes them)."
        )


AUGMENTATIONS: dict[str, Callable[[Array, PRNGKey], Array]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
