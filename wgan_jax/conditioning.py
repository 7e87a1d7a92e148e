"""Settings of class-conditional generation."""

from dataclasses import dataclass
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from annotated_types import Ge

from wgan_jax.parallel.sharding import constrain_batch
from wgan_jax.ranges import NotNegative, check_fields
from wgan_jax.types import Array, PRNGKey


@dataclass(frozen=True, kw_only=True)
class Conditional:
    """Settings of a class-conditional GAN.

    The generator is called as ``(latent, labels, train=)`` and the critic as
    ``(images, labels, train=)``. Labels are int32 in [0, classes). In the
    generator update, labels are drawn uniformly; with a paired objective, the
    labels of the real batch are used.

    Attributes:
        classes: number of classes, >= 2.
        fake_labels: labels of generated examples in the critic update:
            ``"real"`` uses the labels of the real batch, as in the WGAN-GP code
            and R3GAN; ``"uniform"`` draws them uniformly, as in SN-GAN. A
            penalty evaluated between real and fake examples requires
            ``"real"``.
        critic_weight: weight of the classification loss on real examples in the
            critic loss, >= 0. Set both weights to 0 for a critic without an
            auxiliary head.
        generator_weight: weight of the classification loss on generated
            examples in the generator loss, >= 0.

    Raises:
        ValueError: if a value is out of range.

    Reference:
        Auxiliary head: Odena, Olah, Shlens 2016, arXiv:1610.09585. Its weights
        for WGAN-GP: ``gan_cifar_resnet.py`` of Gulrajani et al. 2017,
        arXiv:1704.00028 (1 and 0.1, real examples only in the critic).
    """

    classes: Annotated[int, Ge(2)]
    fake_labels: Literal["real", "uniform"] = "real"
    critic_weight: NotNegative = 0.0
    generator_weight: NotNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def draw(self, key: PRNGKey, n: int) -> Array:
        """Draws uniform labels, int32 ``[n]``."""
        return constrain_batch(
            jax.random.randint(key, (n,), 0, self.classes, jnp.int32)
        )
