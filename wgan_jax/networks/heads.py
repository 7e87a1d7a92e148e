"""The last layer of a critic: scores from features, with or without classes."""

from typing import Annotated, Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.labels import Embedding, Initializer, check_labels
from wgan_jax.networks.layers import Dense, add_bias, layer_parameters
from wgan_jax.ranges import OneOf
from wgan_jax.types import Array

HEADS = ("projection", "auxiliary")
HeadName = Annotated[str, OneOf(("", *HEADS))]


class Head(nn.Module):
    r"""A linear score, and where there are classes one of two ways to use them.

    .. math:: s = w^T h + b, \qquad
        s_{\text{projection}} = w^T h + b + e_l^T h, \qquad
        p_{\text{auxiliary}}(l \mid h) = \mathrm{softmax}(A h + a)_l

    The projection head adds the product of features and an embedding of the
    label; the auxiliary one leaves the score alone and guesses the label.

    Attributes:
        classes: 0 for the score alone.
        kind: ``"projection"`` or ``"auxiliary"`` with classes; empty is the
            first.
        use_bias: whether the score has a bias.
        kernel_init: of all kernels.
        bias_init: of all biases.
        parametrization: of all kernels, a row of ``PARAMETRIZATIONS``.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.

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
        """``[B, F]`` and labels ``[B]`` to scores ``[B]`` and class logits.

        The logits are ``[B, classes]`` from an auxiliary head, which does not
        read the labels, and None from the others.
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
    """Scores of a critic's last features, sown on the way.

    Sows ``features`` and, of an auxiliary head, ``class_logits`` into the
    collection ``intermediates``, which costs nothing where nobody asks for it.

    Args:
        critic: the calling module, with the fields ``classes``, ``head``,
            ``parametrization``, ``dtype`` and ``param_dtype``.
        features: ``[B, F]`` floating.
        labels: ``[B]`` integers, or None.
        owner: the critic's name, for sentences.
        kernel_init: of the head's kernels.
        use_bias: whether the score has a bias.

    Returns:
        ``[B]``.

    Raises:
        ValueError: if head, classes and labels do not fit.
    """
    critic.sow("intermediates", "features", features)
    _check(owner, critic.classes, critic.head, labels)
    scores, logits = Head(
        classes=critic.classes,
        kind=critic.head,
        use_bias=use_bias,
        kernel_init=kernel_init,
        parametrization=critic.parametrization,
        dtype=critic.dtype,
        param_dtype=critic.param_dtype,
        name="output",
    )(features, labels)
    if logits is not None:
        critic.sow("intermediates", "class_logits", logits)
    return scores


def _check(owner: str, classes: int, head: str, labels: Array | None) -> None:
    if head not in ("", *HEADS):
        raise ValueError(
            f"{owner}: head is {head!r}, and must be one of {', '.join(HEADS)}."
        )
    if head and not classes:
        raise ValueError(
            f"{owner}: head is {head!r}, which needs classes; set classes to their "
            "number, or leave head empty."
        )
    if head != "auxiliary" or (labels is not None and not classes):
        check_labels(owner, classes, labels)
