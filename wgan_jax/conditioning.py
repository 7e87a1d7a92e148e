"""Settings of class-conditional generation."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from wgan_jax.parallel.sharding import constrain_batch
from wgan_jax.types import Array, PRNGKey

FAKE_LABELS = ("real", "uniform")


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

    classes: int
    fake_labels: str = "real"
    critic_weight: float = 0.0
    generator_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ValueError(
                f"Conditional: classes is {self.classes}, and must be at least 2."
            )
        if self.fake_labels not in FAKE_LABELS:
            raise ValueError(
                f"Conditional: fake_labels is {self.fake_labels!r}; choices: "
                f"{', '.join(FAKE_LABELS)}."
            )
        for name in ("critic_weight", "generator_weight"):
            weight = getattr(self, name)
            if not isinstance(weight, jax.core.Tracer) and not weight >= 0:
                raise ValueError(
                    f"Conditional: {name} is {weight}, and must be 0 or above."
                )

    def draw(self, key: PRNGKey, n: int) -> Array:
        """Uniform labels, int32 ``[n]``."""
        return constrain_batch(
            jax.random.randint(key, (n,), 0, self.classes, jnp.int32)
        )
