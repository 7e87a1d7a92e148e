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
    """What makes a GAN class-conditional.

    The generator is called as ``(latent, labels, train=)``, the critic as
    ``(images, labels, train=)``; labels are int32 in [0, classes). In the
    generator's update labels are drawn uniformly, or with a paired objective
    are those of the real examples.

    Attributes:
        classes: how many, >= 2.
        fake_labels: labels of generated examples in the critic's update:
            ``"real"``, those of the real batch, as the WGAN-GP code and R3GAN
            do; ``"uniform"``, drawn, as SN-GAN does. A penalty on points
            between a real and a fake example needs the first.
        critic_weight: of the class loss of real examples in the critic's loss,
            >= 0; both weights 0 for a critic without auxiliary head.
        generator_weight: of the class loss of generated ones in the
            generator's loss, >= 0.

    Raises:
        ValueError: if a value is outside its range.

    Reference:
        Auxiliary head: Odena, Olah, Shlens 2016, arXiv:1610.09585; its weights
        for WGAN-GP: Gulrajani et al. 2017, arXiv:1704.00028, their
        ``gan_cifar_resnet.py`` (1 and 0.1, real examples only in the critic).
    """

    classes: Annotated[int, Ge(2)]
    fake_labels: Literal["real", "uniform"] = "real"
    critic_weight: NotNegative = 0.0
    generator_weight: NotNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def draw(self, key: PRNGKey, n: int) -> Array:
        """Uniform labels, int32 ``[n]``."""
        return constrain_batch(
            jax.random.randint(key, (n,), 0, self.classes, jnp.int32)
        )
