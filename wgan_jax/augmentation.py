"""Random image augmentations, drawn independently for each example.

``diff_augment`` is applied to every image the critic sees, real or generated.
``random_flip`` is applied to real images only. The draw for example i does not
depend on the batch size.

To add an augmentation, write a function ``(images, key) -> images`` and add it
to ``AUGMENTATIONS`` at the end of this file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp
from annotated_types import Ge, Le

from wgan_jax.parallel.sharding import constrain_batch
from wgan_jax.ranges import Count, Fraction, check_fields
from wgan_jax.schedules import cosine
from wgan_jax.types import Array, PRNGKey, PyTree


def diff_augment(
    images: Array,
    key: PRNGKey,
    *,
    policy: str,
    probability: float | Array | None = None,
) -> Array:
    r"""Applies the augmentations of a policy in order.

    .. math:: T(x) = (T_n \circ \dots \circ T_1)(x)

    With a probability p, each augmentation is applied to each image with
    probability p, independently. Below about 0.8, a generator cannot learn to
    produce augmented images.

    Args:
        images: floating-point ``[B, H, W, C]`` in [-1, 1].
        key: PRNG key; the i-th of n augmentations uses ``fold_in(key, i)``, and
            its probability ``fold_in(key, n + i)``.
        policy: comma-separated names from ``AUGMENTATIONS``, in order of
            application (``"color,translation,cutout"`` in the paper).
        probability: p, scalar in [0, 1]; None for always.

    Returns:
        ``[B, H, W, C]`` in the dtype of ``images``. With ``color``, values may
        leave [-1, 1].

    Raises:
        ValueError: if the policy is empty or contains an unknown name (the
            message lists the choices), or if ``images`` is not a floating-point
            ``[B, H, W, C]`` array.

    Reference:
        Zhao, Liu, Lin, Zhu, Han 2020, arXiv:2006.10738, figure 4; probability:
        Karras et al. 2020, arXiv:2006.06676, section 2.2.
    """
    _check_images("diff_augment", images)
    augmentations = parse_policy(policy)
    for place, augment in enumerate(augmentations):
        augmented = augment(images, jax.random.fold_in(key, place))
        if probability is not None:
            own = jax.random.fold_in(key, len(augmentations) + place)
            draws = constrain_batch(
                jax.random.uniform(own, (len(images), 1, 1, 1), jnp.float32)
            )
            augmented = jnp.where(draws < probability, augmented, images)
        images = augmented
    return images


@dataclass(frozen=True, kw_only=True)
class ScheduledProbability:
    r"""Augmentation probability that follows half a cosine.

    .. math:: p_t = p_T + \frac{p_0 - p_T}{2}
        \left(1 + \cos\left(\pi \min(1, t / T)\right)\right)

    Attributes:
        initial: :math:`p_0`, in [0, 1].
        final: :math:`p_T`, in [0, 1].
        iterations: T, length of the transition in generator updates.

    Raises:
        ValueError: if a value is out of range.

    Reference:
        Huang et al. 2024, arXiv:2501.05441 (0 to 0.55 in the authors' code).
    """

    initial: Fraction
    final: Fraction
    iterations: Count
    needs_scores: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)

    def init(self) -> PyTree:
        """Returns the state: none."""
        return ()

    def at(self, state: PyTree, iteration: Array) -> Array:
        """Returns p, a scalar float32, in an iteration (scalar int32)."""
        return cosine(
            iteration,
            iterations=self.iterations,
            initial=self.initial,
            final=self.final,
        )

    def update(self, state: PyTree, sign: Array | None, count: int) -> PyTree:
        """Returns the state after a critic update: unchanged."""
        return state


@dataclass(frozen=True, kw_only=True)
class AdaptiveProbability:
    r"""Augmentation probability adapted to the overfitting of the critic (ADA).

    .. math:: r = \mathbb{E}\left[\operatorname{sign} f(x)\right], \quad
        p \leftarrow \min\left(1, \max\left(0,
        p + \operatorname{sign}(r - r^*)\, k B / n\right)\right)

    r is the mean over k critic updates with B real examples each. It is 0 for a
    critic that cannot distinguish real from generated examples, and 1 if it
    recognizes all real ones, that is, if it has memorized them.

    Attributes:
        initial: p at the start, in [0, 1].
        target: r*, in [-1, 1].
        images: n, real examples after which p can go from 0 to 1.
        interval: k, critic updates between two adjustments.

    Raises:
        ValueError: if a value is out of range.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, section 3, equation 1.
    """

    initial: Fraction = 0.0
    target: Annotated[float, Ge(-1), Le(1)] = 0.6
    images: Count = 500_000
    interval: Count = 4
    needs_scores: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)

    def init(self) -> PyTree:
        """Returns the state: the probability, and a sum over critic updates."""
        zero = jnp.zeros((), jnp.float32)
        return {
            "probability": jnp.asarray(self.initial, jnp.float32),
            "sign_sum": zero,
            "updates": jnp.zeros((), jnp.int32),
        }

    def at(self, state: PyTree, iteration: Array) -> Array:
        """Returns p, a scalar float32, in an iteration (scalar int32)."""
        return state["probability"]

    def update(self, state: PyTree, sign: Array | None, count: int) -> PyTree:
        """Returns the state after a critic update.

        Args:
            state: state before the update.
            sign: scalar, mean sign of the scores of the real examples.
            count: number B of real examples.
        """
        assert sign is not None  # ensured by needs_scores
        total, updates = state["sign_sum"] + sign, state["updates"] + 1
        due = updates >= self.interval
        step = self.interval * count / self.images
        direction = jnp.sign(total / self.interval - self.target)
        moved = jnp.clip(state["probability"] + step * direction, 0.0, 1.0)
        return {
            "probability": jnp.where(due, moved, state["probability"]),
            "sign_sum": jnp.where(due, 0.0, total),
            "updates": jnp.where(due, 0, updates),
        }


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
        shift = constrain_batch(
            jax.random.randint(part, shape, -reach, reach + 1, jnp.int32)
        )
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
    middle = constrain_batch(jax.random.randint(key, (count, 1), 0, places, jnp.int32))
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
    # As float32, because jax_enable_x64 must not change what is drawn.
    half, shape = jnp.float32(0.5), (len(images), 1, 1, 1)
    flipped = constrain_batch(jax.random.bernoulli(key, half, shape))
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
