import jax
import jax.numpy as jnp
import numpy as np
import pytest
from table_rows import options, with_required

from wgan_jax.losses import (
    CONSTRAINTS,
    clip_weights,
    project_orthonormal,
    project_spectral,
)
from wgan_jax.losses.constraints import largest_singular_value

# A dense layer either way round, a kernel [K, K, I, O], an embedding.
SHAPES = {"tall": (7, 4), "wide": (3, 8), "kernel": (3, 3, 2, 5), "one": (6, 1)}


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(0)
    arrays = {k: rng.standard_normal(s, np.float32) for k, s in SHAPES.items()}
    return {"layer": jax.tree.map(jnp.asarray, arrays), "bias": jnp.arange(3.0)}


BOUNDED = [name for name, row in CONSTRAINTS.items() if "bound" in options(row)]


def as_matrix(w):
    return np.asarray(w, np.float64).reshape(-1, w.shape[-1])


def test_clip_moves_only_what_is_outside():
    params = {"a": jnp.array([-3.0, -0.01, 0.0, 0.02]), "b": (jnp.array([[0.5]]),)}
    clipped = clip_weights(params, bound=0.01)
    np.testing.assert_array_equal(
        clipped["a"], jnp.array([-0.01, -0.01, 0.0, 0.01], jnp.float32)
    )
    np.testing.assert_array_equal(clipped["b"][0], jnp.array([[0.01]], jnp.float32))


def test_clip_can_leave_normalisation_layers_alone():
    two = jnp.full(2, 2.0)
    params = {
        "Dense_0": {"kernel": jnp.ones((2, 2)), "bias": two},
        "deep": {"LayerNorm_0": {"scale": two, "bias": two, "other": two}},
    }
    assert all(float(w.max()) == 0.5 for w in leaves(clip_weights(params, bound=0.5)))
    spared = clip_weights(params, bound=0.5, normalization=False)
    assert jax.tree.structure(spared) == jax.tree.structure(params)
    norm = spared["deep"]["LayerNorm_0"]
    assert [float(norm[k][0]) for k in ("scale", "bias", "other")] == [2.0, 2.0, 0.5]
    assert all(float(w.max()) == 0.5 for w in leaves(spared["Dense_0"]))


def leaves(tree):
    return jax.tree.leaves(tree)


def test_which_constraints_have_a_bound():
    assert {"clip_weights", "project_spectral"} <= {*BOUNDED}


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_bound_must_be_positive(name, bound):
    with pytest.raises(ValueError, match="must be above 0"):
        CONSTRAINTS[name]({"a": jnp.ones(2)}, bound=bound)


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_can_be_swept(name, params):
    constraint = CONSTRAINTS[name]
    bounds = jnp.array([0.1, 1.0, 100.0])
    swept = jax.jit(jax.vmap(lambda b: constraint(params, bound=b)))(bounds)
    for i, bound in enumerate(bounds):
        apart = constraint(params, bound=float(bound))
        for w, one in zip(leaves(swept), leaves(apart), strict=True):
            np.testing.assert_allclose(w[i], one, rtol=2e-6)


@pytest.mark.parametrize("bound", [1.0, 0.3])
def test_spectral_projection_bounds_the_singular_values(params, bound):
    projected = project_spectral(params, bound=bound)
    for name in SHAPES:
        before, after = (as_matrix(p["layer"][name]) for p in (params, projected))
        largest = np.linalg.svd(before)[1][0]
        assert largest > bound
        np.testing.assert_allclose(after, before * bound / largest, rtol=3e-6)
    np.testing.assert_array_equal(projected["bias"], params["bias"])


def test_spectral_projection_leaves_alone_what_is_inside(params):
    inside = project_spectral(params, bound=50.0)
    for w, before in zip(leaves(inside), leaves(params), strict=True):
        np.testing.assert_array_equal(w, before)
    zero = project_spectral({"w": jnp.zeros((3, 2))})["w"]
    np.testing.assert_array_equal(zero, np.zeros((3, 2)))


@pytest.mark.parametrize(("stride", "kernel"), [(1, 3), (2, 4)])
def test_convolution_is_bounded_by_kernel_norm_times_side_over_stride(stride, kernel):
    # Norm of the whole layer from its matrix; the constant kernel comes close.
    rng = np.random.default_rng(1)
    shape = (kernel, kernel, 1, 2)
    for w, reach in ((np.ones(shape), 0.9), (rng.standard_normal(shape), 0.0)):
        w = project_spectral({"w": jnp.asarray(w, jnp.float32)})["w"]
        layer = lambda x, w=w: jax.lax.conv_general_dilated(
            x[None],
            w,
            (stride,) * 2,
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        matrix = np.asarray(jax.jacobian(layer)(jnp.zeros((12, 12, 1))))
        norm = np.linalg.norm(matrix.reshape(-1, 144), 2)
        assert reach * kernel / stride < norm <= kernel / stride * (1 + 1e-5)


@pytest.mark.parametrize("shape", [(3, 40), (40, 3)])
def test_the_norm_comes_from_the_smaller_gram_matrix(shape):
    program = str(jax.make_jaxpr(largest_singular_value)(jnp.ones(shape)))
    assert "f32[3,3]" in program
    assert "f32[40,40]" not in program


def test_orthonormal_projection_is_the_polar_factor(params):
    projected = project_orthonormal(params)
    for name in SHAPES:
        w, q = (as_matrix(p["layer"][name]) for p in (params, projected))
        w, q = (w, q) if w.shape[0] >= w.shape[1] else (w.T, q.T)
        np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=2e-6)
        # W = Q P with P = (W^T W)^(1/2), symmetric and positive.
        values, vectors = np.linalg.eigh(w.T @ w)
        inverse_root = vectors / np.sqrt(values) @ vectors.T
        np.testing.assert_allclose(q, w @ inverse_root, atol=5e-6)
    np.testing.assert_array_equal(projected["bias"], params["bias"])
    again = project_orthonormal(projected)
    for w, before in zip(leaves(again), leaves(projected), strict=True):
        np.testing.assert_allclose(w, before, atol=2e-6)
    small = {"layer": jax.tree.map(lambda w: 1e-3 * w, params["layer"])}
    for name, w in project_orthonormal(small)["layer"].items():
        np.testing.assert_allclose(w, projected["layer"][name], atol=5e-6)


def test_orthonormal_projection_keeps_zero():
    np.testing.assert_array_equal(project_orthonormal(jnp.zeros((3, 2))), 0)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_shapes_and_dtypes_are_kept(name, params):
    half = jax.tree.map(lambda w: w.astype(jnp.bfloat16), params)
    bounds = {"bound": 0.5} if name in BOUNDED else {}
    constraint = with_required(CONSTRAINTS[name])
    after = jax.jit(lambda p: constraint(p, **bounds))(half)
    assert jax.tree.structure(after) == jax.tree.structure(half)
    for w, before in zip(leaves(after), leaves(half), strict=True):
        assert (w.shape, w.dtype) == (before.shape, before.dtype)
        assert bool(jnp.isfinite(w).all())
