"""Parameters of the published networks, as counted by others or by hand."""

import jax.numpy as jnp
import pytest
from small_networks import count, labels

from wgan_jax.networks import CRITICS, GENERATORS

PUBLISHED = [
    ("mlp", 2, (2,), {}, 527_874, 527_361),
    ("dcgan", 100, (64, 64, 3), {"width": 64}, 3_576_704, 2_765_568),
    ("dcgan_gp", 128, (32, 32, 3), {"width": 128}, 5_179_907, 4_114_689),
    ("resnet", 128, (32, 32, 3), {"width": 128}, 1_204_483, 1_053_825),
]


@pytest.mark.parametrize(
    ("name", "latent", "shape", "fields", "of_generator", "of_critic"), PUBLISHED
)
def test_pairs(name, latent, shape, fields, of_generator, of_critic):
    generator = GENERATORS[name](image_shape=shape, **fields)
    assert count(generator, jnp.zeros((2, latent))) == of_generator
    assert count(CRITICS[name](**fields), jnp.zeros((2, *shape))) == of_critic


def test_digits_pair():
    generator = GENERATORS["dcgan_gp"](
        image_shape=(28, 28, 1), width=64, batch_norm=False
    )
    assert count(generator, jnp.zeros((2, 128))) == 1_554_177
    images = jnp.zeros((2, 28, 28, 1))
    assert count(CRITICS["dcgan_gp"](width=64), images) == 1_030_145


def test_residual_pair_by_class():
    latent, images, classes = jnp.zeros((2, 128)), jnp.zeros((2, 32, 32, 3)), 10
    generator = GENERATORS["resnet"](classes=classes)
    assert count(generator, latent, labels(0, 1)) == 1_218_307
    auxiliary = CRITICS["resnet"](classes=classes, head="auxiliary")
    assert count(auxiliary, images) == 1_053_825 + 1_290


def test_spectral_pair():
    latent, images = jnp.zeros((2, 128)), jnp.zeros((2, 32, 32, 3))
    assert count(GENERATORS["resnet"](width=256), latent) == 4_276_739
    fields = {"parametrization": "spectral", "pool": "sum", "output_bias": False}
    assert count(CRITICS["resnet"](**fields), images) == 1_053_824
    projection = CRITICS["resnet"](classes=10, head="projection", **fields)
    assert count(projection, images, labels(0, 1)) == 1_053_824 + 1_280


def conv(k, inputs, outputs, bias=True):
    return k * k * inputs * outputs + (outputs if bias else 0)


def test_sixty_four_pixel_pair():
    def up(i, o):
        norms = 2 * i + 2 * o
        return norms + conv(3, i, o, bias=False) + conv(3, o, o) + conv(1, i, o)

    def down(i, o):
        norms = 2 * i + 2 * i
        return norms + conv(3, i, i, bias=False) + conv(3, i, o) + conv(1, i, o)

    generator = 128 * 16 * 512 + 16 * 512
    generator += up(512, 512) + up(512, 256) + up(256, 128) + up(128, 64)
    generator += 2 * 64 + conv(3, 64, 3)
    critic = conv(3, 3, 64)
    critic += down(64, 128) + down(128, 256) + down(256, 512) + down(512, 512)
    critic += 16 * 512 + 1
    assert (generator, critic) == (8_540_483, 7_491_841)
    assert count(GENERATORS["resnet64"](), jnp.zeros((2, 128))) == generator
    assert count(CRITICS["resnet64"](), jnp.zeros((2, 64, 64, 3))) == critic


def test_spectral_convolutional_pair():
    generator = 128 * 16 * 512 + 16 * 512 + 2 * 512
    for i, o in ((512, 256), (256, 128), (128, 64)):
        generator += conv(4, i, o) + 2 * o
    generator += conv(3, 64, 3)
    channels = [3, 64, 128, 128, 256, 256, 512, 512]
    critic = 16 * 512 + 1
    for k, i, o in zip((3, 4) * 4, channels[:-1], channels[1:], strict=False):
        critic += conv(k, i, o)
    assert count(GENERATORS["sngan_cnn"](), jnp.zeros((2, 128))) == generator
    assert count(CRITICS["sngan_cnn"](), jnp.zeros((2, 32, 32, 3))) == critic


def test_modern_pair():
    width, groups, wide, embedding, classes = 768, 96, 1536, 64, 10
    block = conv(1, width, wide) + 9 * (wide // groups) * wide + wide
    block += conv(1, wide, width, bias=False)
    trunk = 8 * block + 16 * width + 3 * width
    fields = {"width": width, "cardinality": groups}
    generator = GENERATORS["r3gan"](**fields)
    latent, images = jnp.zeros((2, 64)), jnp.zeros((2, 32, 32, 3))
    assert count(generator, latent) == trunk + 64 * width
    assert count(CRITICS["r3gan"](**fields), images) == trunk + width
    by_class = labels(0, 1)
    fields["classes"] = classes
    generator, critic = GENERATORS["r3gan"](**fields), CRITICS["r3gan"](**fields)
    expected = trunk + (64 + embedding) * width + classes * embedding
    assert count(generator, latent, by_class) == expected
    expected = trunk + width * width + classes * width
    assert count(critic, images, by_class) == expected


def test_article_pair():
    # Two affine maps of 100 latents to 32 sides x 3 channels; a 5x5 convolution
    # of stride 2 to 64 channels of 16x16, and a weight for each of its pixels.
    generator = GENERATORS["article"](image_shape=(32, 32, 3))
    assert count(generator, jnp.zeros((2, 100))) == 2 * (100 + 1) * 96
    critic = CRITICS["article"](width=64)
    expected = conv(5, 3, 64) + 16 * 16 * 64 + 1
    assert count(critic, jnp.zeros((2, 32, 32, 3))) == expected
