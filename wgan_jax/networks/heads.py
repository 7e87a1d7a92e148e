"""Last layer of a critic: scores from features, with optional class labels."""

from typing import Annotated, Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.labels import Embedding, Initializer, check_labels
from wgan_jax.networks.layers import (
    Dense,
    add_bias,
    layer_parameters,
    score_dtype,
)
from wgan_jax.ranges import OneOf
from wgan_jax.types import Array

HEADS = ("projection", "auxiliary")
HeadName = Annotated[str, OneOf(("", *HEADS))]


class Head(nn.Module):
    r"""Linear score, with one of two uses of class labels.

    .. math:: s = w^T h + b, \qquad
        s_{\text{projection}} = w^T h + b + e_l^T h, \qquad
        p_{\text{auxiliary}}(l \mid h) = \mathrm{softmax}(A h + a)_l

    The projection head adds the inner product of the features and a label
    embedding to the score. The auxiliary head leaves the score unchanged and
    predicts the label.

    Attributes:
        classes: number of classes; 0 for the score alone.
        kind: ``"projection"`` (also if empty) or ``"auxiliary"``; used only
            with classes.
        use_bias: whether the score has a bias.
        kernel_init: initializer of all kernels.
        bias_init: initializer of all biases.
        parametrization: of all kernels; a key of ``PARAMETRIZATIONS``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Miyato, Koyama 2018, arXiv:1802.05637, equation 3; Odena, Olah, Shlens
        2016, arXiv:1610.09585, section 3.
    """

    classes: int = 0
    kind: str = ""
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.glorot_uniform()
    bias_init: Initializer = nn.initializers.zeros_init()
    parametrization: str = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, features: Array, labels: Array | None
    ) -> tuple[Array, Array | None]:
        """Maps features ``[B, F]`` and labels ``[B]`` to scores and class logits.

        Scores are ``[B]``. Logits are ``[B, classes]`` for an auxiliary head,
        which ignores labels, and None otherwise.
        """
        x, kernel, bias = layer_parameters(self, features, (features.shape[-1], 1))
        scores = add_bias(jnp.dot(x, kernel), bias).reshape(-1)
        if not self.classes:
            return scores, None
        shared = {
            "kernel_init": self.kernel_init,
            "parametrization": self.parametrization,
            "dtype": self.dtype,
            "param_dtype": self.param_dtype,
        }
        if self.kind == "auxiliary":
            classify = Dense(self.classes, **shared, name="class_logits")
            return scores, classify(features)
        assert labels is not None
        embed = Embedding(self.classes, x.shape[-1], **shared, name="embedding")
        return scores + jnp.sum(embed(labels) * x, 1), None


def score(
    critic: Any,
    features: Array,
    labels: Array | None,
    *,
    owner: str,
    kernel_init: Initializer,
    use_bias: bool = True,
) -> Array:
    """Returns the scores of a critic's last features, and sows side outputs.

    It sows ``features`` and, with an auxiliary head, ``class_logits`` into the
    collection ``intermediates``. This costs nothing if the collection is not
    requested.

    Args:
        critic: the calling module, with the fields ``classes``, ``head``,
            ``parametrization``, ``dtype`` and ``param_dtype``.
        features: floating-point ``[B, F]``.
        labels: integer ``[B]``, or None.
        owner: name of the critic, for error messages.
        kernel_init: initializer of the kernels of the head.
        use_bias: whether the score has a bias.

    Returns:
        ``[B]``, at least float32.

    Raises:
        ValueError: if head, classes and labels are inconsistent.
    """
    critic.sow("intermediates", "features", features)
    _check(owner, critic.classes, critic.head, labels)
    scores, logits = Head(
        classes=critic.classes,
        kind=critic.head,
        use_bias=use_bias,
        kernel_init=kernel_init,
        parametrization=critic.parametrization,
        dtype=score_dtype(critic.dtype),
        param_dtype=critic.param_dtype,
        name="output",
    )(features, labels)
    if logits is not None:
        critic.sow("intermediates", "class_logits", logits)
    return scores


def _check(owner: str, classes: int, head: str, labels: Array | None) -> None:
    if head not in ("", *HEADS):
        raise ValueError(
            f"{owner}: head is {head!r}; it must be one of {', '.join(HEADS)}."
        )
    if head and not classes:
        raise ValueError(
            f"{owner}: head is {head!r}, which needs classes. Set classes to the "
            "number of classes, or leave head empty."
        )
    if head != "auxiliary" or (labels is not None and not classes):
        check_labels(owner, classes, labels)
