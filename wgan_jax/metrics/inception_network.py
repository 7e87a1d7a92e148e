"""Network of FID: the Inception-v3 published with TensorFlow in December 2015.

It differs from the Inception-v3 of other libraries: average pooling excludes
the padding, the last block uses max pooling, and there are 1,008 classes. Layer
names are those of the file of ``pytorch-fid``. The batch normalization of each
convolution is folded into its kernel and bias.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.types import Array

_CLASSES = 1008
_EXACT = jax.lax.Precision.HIGHEST


class Unit(NamedTuple):
    """Convolution with bias and ReLU; ``name`` follows the name of the branch."""

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"


class Fork(NamedTuple):
    """Two parallel units with the same input."""

    units: tuple[Unit, Unit]


Chain = tuple[Unit | Fork, ...]


def _down(name: str, channels: int) -> Unit:
    return Unit(name, channels, (3, 3), 2, "VALID")


def _cross(name: str, channels: int) -> Fork:
    across = Unit(f"{name}a", channels, (1, 3)), Unit(f"{name}b", channels, (3, 1))
    return Fork(across)


def _block_a(pooled: int) -> tuple[str, tuple[Chain, ...]]:
    double = Unit("branch3x3dbl_1", 64), Unit("branch3x3dbl_2", 96, (3, 3))
    return "average", (
        (Unit("branch1x1", 64),),
        (Unit("branch5x5_1", 48), Unit("branch5x5_2", 64, (5, 5))),
        (*double, Unit("branch3x3dbl_3", 96, (3, 3))),
        (Unit("branch_pool", pooled),),
    )


def _block_c(inner: int) -> tuple[str, tuple[Chain, ...]]:
    wide, tall = (1, 7), (7, 1)
    double = tuple(
        Unit(f"branch7x7dbl_{i}", inner, (wide, tall)[i % 2 == 0]) for i in (2, 3, 4)
    )
    return "average", (
        (Unit("branch1x1", 192),),
        (
            Unit("branch7x7_1", inner),
            Unit("branch7x7_2", inner, wide),
            Unit("branch7x7_3", 192, tall),
        ),
        (Unit("branch7x7dbl_1", inner), *double, Unit("branch7x7dbl_5", 192, wide)),
        (Unit("branch_pool", 192),),
    )


def _block_e(pool: str) -> tuple[str, tuple[Chain, ...]]:
    double = Unit("branch3x3dbl_1", 448), Unit("branch3x3dbl_2", 384, (3, 3))
    return pool, (
        (Unit("branch1x1", 320),),
        (Unit("branch3x3_1", 384), _cross("branch3x3_2", 384)),
        (*double, _cross("branch3x3dbl_3", 384)),
        (Unit("branch_pool", 192),),
    )


# The pooling and the branches of each block. The last branch follows the pooling.
BLOCKS: dict[str, tuple[str, tuple[Chain, ...]]] = {
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": (
        "halve",
        (
            (_down("branch3x3", 384),),
            (
                Unit("branch3x3dbl_1", 64),
                Unit("branch3x3dbl_2", 96, (3, 3)),
                _down("branch3x3dbl_3", 96),
            ),
            (),
        ),
    ),
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": (
        "halve",
        (
            (Unit("branch3x3_1", 192), _down("branch3x3_2", 320)),
            (
                Unit("branch7x7x3_1", 192),
                Unit("branch7x7x3_2", 192, (1, 7)),
                Unit("branch7x7x3_3", 192, (7, 1)),
                _down("branch7x7x3_4", 192),
            ),
            (),
        ),
    ),
    "Mixed_7b": _block_e("average"),
    "Mixed_7c": _block_e("maximum"),
}


class InceptionV3(nn.Module):
    """Maps images in [-1, 1] to pooled features of four layers, and to class logits.

    It returns a dictionary from 64, 192, 768 and 2048 to the spatial means
    ``[B, size]``, and logits ``[B, 1008]`` without the bias, which the original
    inception score omits.
    """

    @nn.compact
    def __call__(self, x: Array) -> tuple[dict[int, Array], Array]:
        """Computes all outputs; the compiler removes the unused ones."""
        x = self._unit("", _down("Conv2d_1a_3x3", 32), x)
        x = self._unit("", Unit("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"), x)
        x = self._unit("", Unit("Conv2d_2b_3x3", 64, (3, 3)), x)
        x = _pool("halve", x)
        found = {64: _mean(x)}
        x = self._unit("", Unit("Conv2d_3b_1x1", 80), x)
        x = self._unit("", Unit("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"), x)
        x = _pool("halve", x)
        found[192] = _mean(x)
        for block, (pool, branches) in BLOCKS.items():
            inputs = [x] * (len(branches) - 1) + [_pool(pool, x)]
            x = jnp.concatenate(
                [
                    self._chain(f"{block}.", chain, y)
                    for chain, y in zip(branches, inputs, strict=True)
                ],
                axis=-1,
            )
            if block == "Mixed_6e":
                found[768] = _mean(x)
        found[2048] = _mean(x)
        classes = nn.Dense(_CLASSES, use_bias=False, precision=_EXACT, name="fc")
        return found, classes(found[2048])

    def _chain(self, prefix: str, chain: Chain, x: Array) -> Array:
        for step in chain:
            if isinstance(step, Fork):
                halves = [self._unit(prefix, unit, x) for unit in step.units]
                x = jnp.concatenate(halves, axis=-1)
            else:
                x = self._unit(prefix, step, x)
        return x

    def _unit(self, prefix: str, unit: Unit, x: Array) -> Array:
        convolution = nn.Conv(
            unit.channels,
            unit.kernel,
            strides=unit.stride,
            padding=unit.padding,
            precision=_EXACT,
            name=prefix + unit.name,
        )
        return nn.relu(convolution(x))


def _mean(x: Array) -> Array:
    return jnp.mean(x, axis=(1, 2))


def _pool(kind: str, x: Array) -> Array:
    """Pools over 3x3 windows, halving or preserving the size."""
    if kind == "halve":
        return nn.max_pool(x, (3, 3), (2, 2), "VALID")
    if kind == "maximum":
        return nn.max_pool(x, (3, 3), (1, 1), "SAME")
    sums = nn.avg_pool(x, (3, 3), (1, 1), "SAME") * 9
    # Computed with numpy: XLA would constant-fold a batch-sized pool of ones for
    # minutes.
    rows, columns = (_places(side) for side in x.shape[1:3])
    counts = np.outer(rows, columns).astype(np.float32)
    return sums / counts.reshape(1, *counts.shape, 1)


def _places(side: int) -> np.ndarray:
    """Counts how many of three neighbors in a row are inside the image."""
    at = np.arange(side)
    return 3 - (at == 0) - (at == side - 1)
