"""Gradient norms per layer and distribution of the weights of a critic.

These are the measurements of ``critic_surfaces.py`` on the deep critics.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from wgan_jax.networks.layers import Dense

# Edges of histograms, chosen so that 0.1 is the center of a bin.
EDGES = np.linspace(-0.255, 0.255, 52)
NEAR = 0.05  # weights within this fraction of the bound count as at the bound


def layer_gradient_norms(critic, params, points):
    """Computes gradient norms of the score at the input of each dense layer.

    Args:
        critic: a sequential Flax module of dense layers only.
        params: its parameters.
        points: ``[B, D]``.

    Returns:
        For each layer, the root mean square over the points of the norm of the
        score's gradient with respect to the input of the layer. The first
        layer's input are the points.
    """
    kernels = [w for w in jax.tree.leaves(params) if w.ndim == 2]
    # Layers are called in order, but their names sort differently.
    widths = _inputs(critic, params, points)
    assert len(widths) == len(kernels)
    zeros = [jnp.zeros((len(points), width)) for width in widths]

    def summed(bumps):
        order = iter(bumps)
        return jnp.sum(_intercepted(critic, params, points, lambda x: x + next(order)))

    # In float64 on the host, because squares of gradient norms of 1e-20 underflow in
    # float32.
    found = [np.asarray(g, np.float64) for g in jax.jit(jax.grad(summed))(zeros)]
    return [float(np.sqrt(np.mean(np.sum(np.square(g), 1)))) for g in found]


def _inputs(critic, params, points):
    """Returns the input widths of the dense layers, in call order."""
    widths = []

    def note(x):
        widths.append(x.shape[-1])
        return x

    jax.eval_shape(lambda x: _intercepted(critic, params, x, note), points)
    return widths


def _intercepted(critic, params, points, change):
    """Returns scores with every dense layer's input passed through a function."""

    def at_dense(call, args, kwargs, context):
        if isinstance(context.module, Dense) and context.method_name == "__call__":
            args = (change(args[0]), *args[1:])
        return call(*args, **kwargs)

    with nn.intercept_methods(at_dense):
        return critic.apply({"params": params}, points, train=False)


def weights(params):
    """Returns all kernel values, without biases, as one vector."""
    kernels = [w for w in jax.tree.leaves(params) if w.ndim == 2]
    return np.concatenate([np.asarray(w).ravel() for w in kernels])


def histogram(values, bound):
    """Returns the fraction of weights in each bin, and near the bound if given."""
    counts, _ = np.histogram(values, EDGES)
    found = {"parts": np.round(counts / len(values), 6).tolist()}
    if bound is not None:
        found["at_ends"] = float(np.mean(np.abs(values) >= (1 - NEAR) * bound))
    return found
