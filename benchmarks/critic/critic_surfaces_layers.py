"""What is inside a critic: its gradient norm layer by layer, and where its weights are.

The measurements of ``critic_surfaces.py`` on the deep critics.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from wgan_jax.networks.layers import Dense

# Of histograms: 0.1 is the middle of a bin, not between two.
EDGES = np.linspace(-0.255, 0.255, 52)
NEAR = 0.05  # of the bound: weights nearer to it than this are at its ends


def layer_slopes(critic, params, points):
    """Gradient norm of the score in what enters each dense layer, the points first.

    Args:
        critic: a Flax module of dense layers alone, one after the other.
        params: its parameters.
        points: ``[B, D]``.

    Returns:
        For each layer the root of the mean square over the points of the norm of
        the score's gradient with respect to the layer's input.
    """
    kernels = [w for w in jax.tree.leaves(params) if w.ndim == 2]
    # Layers are called in order, but their names sort otherwise: ask the module.
    widths = _inputs(critic, params, points)
    assert len(widths) == len(kernels)
    zeros = [jnp.zeros((len(points), width)) for width in widths]

    def summed(bumps):
        order = iter(bumps)
        return jnp.sum(_intercepted(critic, params, points, lambda x: x + next(order)))

    # In float64 on the host: gradient norms of 1e-20 have squares that float32 has not.
    found = [np.asarray(g, np.float64) for g in jax.jit(jax.grad(summed))(zeros)]
    return [float(np.sqrt(np.mean(np.sum(np.square(g), 1)))) for g in found]


def _inputs(critic, params, points):
    """Widths of what enters each dense layer, in the order of their calls."""
    widths = []

    def note(x):
        widths.append(x.shape[-1])
        return x

    jax.eval_shape(lambda x: _intercepted(critic, params, x, note), points)
    return widths


def _intercepted(critic, params, points, change):
    """Scores with every dense layer's input passed through a function."""

    def at_dense(call, args, kwargs, context):
        if isinstance(context.module, Dense) and context.method_name == "__call__":
            args = (change(args[0]), *args[1:])
        return call(*args, **kwargs)

    with nn.intercept_methods(at_dense):
        return critic.apply({"params": params}, points, train=False)


def weights(params):
    """All numbers of the kernels, without the biases, as one vector."""
    kernels = [w for w in jax.tree.leaves(params) if w.ndim == 2]
    return np.concatenate([np.asarray(w).ravel() for w in kernels])


def histogram(values, bound):
    """Parts of the weights in each of ``EDGES``, and near the bound if there is one."""
    counts, _ = np.histogram(values, EDGES)
    found = {"parts": np.round(counts / len(values), 6).tolist()}
    if bound is not None:
        found["at_ends"] = float(np.mean(np.abs(values) >= (1 - NEAR) * bound))
    return found
