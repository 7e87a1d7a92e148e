"""What a layer does to its kernel: against singular values and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from small_networks import apply, having, init, jit, labels, small_critic

from wgan_jax.networks import (
    CRITICS,
    PARAMETRIZATIONS,
    Conv,
    ConvMeanPool,
    ConvTranspose,
    Dense,
    Embedding,
    UpsampleConv,
)
from wgan_jax.networks.parametrization import parametrize


class Probe(nn.Module):
    """Returns the kernel that a layer would use."""

    name_of: str = "spectral"
    shape: tuple[int, ...] = (3, 3, 4, 6)
    axis: int = -1
    kernel_init: object = nn.initializers.normal(1.0)
    param_dtype: object = jnp.float32

    @nn.compact
    def __call__(self):
        kernel = self.param("kernel", self.kernel_init, self.shape, self.param_dtype)
        return parametrize(self, kernel, name=self.name_of, axis=self.axis)


def matrix(kernel, axis=-1):
    return np.moveaxis(np.asarray(kernel), axis, -1).reshape(-1, kernel.shape[axis])


def largest(kernel, axis=-1):
    return np.linalg.svd(matrix(kernel, axis), compute_uv=False)[0]


def trained(module, variables, *inputs, steps, **options):
    """Variables after so many training forwards."""

    def forward(_, vectors):
        full = {**variables, "spectral": vectors}
        moving = {**options, "mutable": ["spectral"]}
        return dict(module.apply(full, *inputs, **moving)[1]["spectral"])

    vectors = jit(lambda v: jax.lax.fori_loop(0, steps, forward, v))(
        dict(variables["spectral"])
    )
    return {**variables, "spectral": vectors}


@pytest.mark.parametrize("axis", [-1, -2, 0])
@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (5, 1), (10, 8)])
def test_sigma_becomes_the_largest_singular_value(shape, axis, key):
    module = Probe(shape=shape, axis=axis)
    variables = trained(module, module.init(key), steps=300)
    kernel = variables["params"]["kernel"]
    expected = kernel / largest(kernel, axis)
    np.testing.assert_allclose(module.apply(variables), expected, rtol=1e-4)


def test_it_starts_near_even_for_a_random_kernel(key):
    module = Probe(shape=(3, 3, 64, 64))
    kernel = module.apply(module.init(key))
    assert 1 - 1e-5 < largest(kernel) < 1.1


def test_one_step_of_the_power_iteration_by_hand(key):
    module = Probe()
    variables = module.init(key)
    w, u = matrix(variables["params"]["kernel"]), variables["spectral"]["u"]
    v = w @ np.asarray(u)
    v /= np.linalg.norm(v)
    new = w.T @ v
    sigma = np.linalg.norm(new)
    kernel, updates = module.apply(variables, mutable=["spectral"])
    np.testing.assert_allclose(updates["spectral"]["u"], new / sigma, rtol=1e-4)
    np.testing.assert_allclose(matrix(kernel), w / sigma, rtol=1e-5)


def test_evaluation_sees_the_fresh_vector_and_keeps_the_stored_one(key):
    module = Probe()
    variables = module.init(key)
    fixed, same = module.apply(variables, mutable=["intermediates"])
    moving, updates = module.apply(variables, mutable=["spectral"])
    np.testing.assert_array_equal(fixed, moving)
    assert "spectral" not in same
    assert np.any(updates["spectral"]["u"] != variables["spectral"]["u"])


def test_gradient_flows_through_sigma(key):
    with jax.enable_x64(True):
        module = Probe(shape=(5, 4), param_dtype=jnp.float64)
        variables = trained(module, module.init(key), steps=300)
        weight = jnp.asarray(np.random.default_rng(0).standard_normal((5, 4)))

        def ours(w):
            return jnp.sum(
                weight * module.apply({**variables, "params": {"kernel": w}})
            )

        def exact(w):
            return jnp.sum(weight * w / jnp.linalg.svd(w, compute_uv=False)[0])

        w = variables["params"]["kernel"]
        np.testing.assert_allclose(jax.grad(ours)(w), jax.grad(exact)(w), rtol=1e-7)


def test_a_zero_kernel_stays_zero_and_keeps_its_vector(key):
    module = Probe(kernel_init=nn.initializers.zeros_init())
    variables = module.init(key)
    kernel, updates = module.apply(variables, mutable=["spectral"])
    assert not np.any(kernel)
    u = variables["spectral"]["u"]
    np.testing.assert_array_equal(updates["spectral"]["u"], u)
    assert float(jnp.linalg.norm(u)) > 0
    slope = jax.grad(lambda p: jnp.sum(module.apply({**variables, "params": p})))
    assert np.all(np.isfinite(slope(variables["params"])["kernel"]))


LAYERS = [
    (Conv, {"kernel_size": (3, 2)}, (2, 4, 4, 3), -1),
    (ConvTranspose, {"kernel_size": (4, 4), "strides": 2}, (2, 4, 4, 3), -2),
    (ConvMeanPool, {"kernel_size": (3, 3)}, (2, 4, 4, 3), -1),
    (UpsampleConv, {"kernel_size": (3, 3)}, (2, 4, 4, 3), -1),
    (Dense, {}, (2, 7), -1),
]


@pytest.mark.parametrize(("layer", "fields", "shape", "axis"), LAYERS)
def test_each_layer_is_the_plain_one_on_another_kernel(layer, fields, shape, axis, key):
    x = jax.random.normal(key, shape)
    plain = layer(5, **fields)
    spectral = layer(5, **fields, parametrization="spectral")
    variables = trained(spectral, jit(spectral.init)(key, x), x, steps=100)
    params = variables["params"]
    assert params.keys() == plain.init(key, x)["params"].keys()
    kernel = params["kernel"] / largest(params["kernel"], axis)
    expected = plain.apply({"params": {**params, "kernel": kernel}}, x)
    actual = spectral.apply(variables, x)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5)

    normed = layer(5, **fields, parametrization="weight_norm")
    params = jit(normed.init)(key, x)["params"]
    columns = np.linalg.norm(matrix(params["kernel"], axis), axis=0)
    np.testing.assert_allclose(params["gain"], columns, rtol=1e-5)
    same = {k: v for k, v in params.items() if k != "gain"}
    actual = normed.apply({"params": params}, x)
    np.testing.assert_allclose(
        actual, plain.apply({"params": same}, x), rtol=1e-4, atol=1e-6
    )
    twice = normed.apply({"params": {**params, "gain": 2 * params["gain"]}}, x)
    np.testing.assert_allclose(twice, 2 * actual, rtol=1e-4, atol=1e-6)


def test_an_embedding_is_divided_by_the_norm_of_its_table(key):
    layer, y = Embedding(4, 6, parametrization="spectral"), labels(3, 0, 3)
    variables = trained(layer, layer.init(key, y), y, steps=100)
    table = np.asarray(variables["params"]["kernel"])
    expected = (table / largest(table))[[3, 0, 3]]
    np.testing.assert_allclose(layer.apply(variables, y), expected, rtol=1e-4)


def test_the_arithmetic_is_float32_in_a_bfloat16_layer(key):
    x = jnp.ones((2, 7), jnp.bfloat16)
    layer = Dense(
        5, parametrization="spectral", dtype=jnp.bfloat16, param_dtype=jnp.bfloat16
    )
    variables = layer.init(key, x)
    assert variables["spectral"]["u"].dtype == jnp.float32
    assert layer.apply(variables, x).dtype == jnp.bfloat16
    np.testing.assert_allclose(
        float(jnp.linalg.norm(variables["spectral"]["u"])), 1, rtol=1e-6
    )


def test_weight_norm_by_hand_and_its_gradient_across_the_direction(key):
    module = Probe(name_of="weight_norm", shape=(5, 4))
    params = module.init(key)["params"]
    v, gain = np.asarray(params["kernel"]), np.arange(4.0, dtype="float32")
    params = {"kernel": v, "gain": gain}
    expected = gain * v / np.linalg.norm(v, axis=0)
    np.testing.assert_allclose(module.apply({"params": params}), expected, rtol=1e-5)
    weight = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    loss = lambda v: jnp.sum(weight * module.apply({"params": {**params, "kernel": v}}))
    slope = np.asarray(jax.grad(loss)(v))
    np.testing.assert_allclose(np.sum(slope * v, 0), np.zeros(4), atol=1e-5)
    assert np.abs(slope[:, 1:]).max() > 0.1


def test_weight_norm_of_zero_channels_is_zero_and_finite(key):
    module = Probe(name_of="weight_norm", kernel_init=nn.initializers.zeros_init())
    params = module.init(key)["params"]
    assert not np.any(module.apply({"params": params}))
    slope = jax.grad(lambda p: jnp.sum(module.apply({"params": p})))(params)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope))


def kernels(tree):
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {str(path[:-1]): leaf for path, leaf in found if path[-1].key == "kernel"}


@pytest.mark.parametrize("case", having("parametrization"), ids=str)
def test_every_kernel_of_a_critic_is_bounded_in_training(case, key):
    critic, images = small_critic(case, key, parametrization="spectral")
    inputs = (images,)
    if hasattr(critic, "head"):
        critic = critic.clone(classes=3, head="projection")
        inputs = (images, labels(0, 1, 2, 0, 1, 2))
    variables = init(critic, key, *inputs)
    variables = trained(critic, variables, *inputs, steps=60, train=True)
    vectors = jax.tree_util.tree_leaves_with_path(variables["spectral"])
    vectors = {str(path[:-1]): np.asarray(u) for path, u in vectors}
    found = kernels(variables["params"])
    assert found.keys() == vectors.keys()
    for path, kernel in found.items():
        w = matrix(kernel)
        v = w @ vectors[path]
        sigma = np.linalg.norm(w.T @ (v / np.linalg.norm(v)))
        assert 1 - 1e-4 < largest(kernel) / sigma < 1.02, path


@pytest.mark.parametrize("case", having("parametrization"), ids=str)
def test_weight_norm_leaves_a_critic_as_it_starts(case, key):
    critic, images = small_critic(case, key)
    normed = critic.clone(parametrization="weight_norm")
    variables = init(normed, key, images)
    a = apply(normed, variables, images, train=False)
    b = apply(critic, init(critic, key, images), images, train=False)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

    def penalty(params):
        full = {**variables, "params": params}
        score = lambda x: jnp.sum(normed.apply(full, x, train=False))
        return jnp.sum(jnp.square(jax.grad(score)(images)))

    slopes = jit(jax.grad(penalty))(variables["params"])
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(slopes))


def test_an_unknown_name_is_refused(key):
    critic = CRITICS["mlp"](parametrization="spectral_norm")
    with pytest.raises(ValueError, match=f"one of {', '.join(PARAMETRIZATIONS)}"):
        critic.init(key, jnp.zeros((2, 2)), train=False)


def test_seeds_by_vmap_are_seeds_apart(key):
    critic = CRITICS["mlp"](width=4, layers=1, parametrization="spectral")
    images = jnp.ones((3, 2))
    keys = jax.random.split(key, 2)
    step = lambda k: critic.apply(
        critic.init(k, images, train=False), images, train=True, mutable=["spectral"]
    )
    together, apart = jit(lambda ks: (jax.vmap(step)(ks), [step(k) for k in ks]))(keys)
    jax.tree.map(
        lambda a, *b: np.testing.assert_allclose(a, jnp.stack(b), rtol=1e-5),
        together,
        *apart,
    )


def test_a_penalty_on_a_spectral_critic_has_finite_derivatives(key):
    critic = CRITICS["dcgan_gp"](width=4, parametrization="spectral")
    images = jax.random.uniform(key, (3, 8, 8, 1), minval=-1.0)
    variables = init(critic, key, images)

    def penalty(params):
        full = {**variables, "params": params}
        score = lambda x: jnp.sum(critic.apply(full, x, train=False))
        return jnp.sum(jnp.square(jax.grad(score)(images)))

    zero = jax.tree.map(jnp.zeros_like, variables["params"])
    derivative = jit(jax.grad(penalty))
    for params in (variables["params"], zero):
        slopes = jax.tree.leaves(derivative(params))
        assert all(bool(jnp.all(jnp.isfinite(g))) for g in slopes)


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("shape", "axis"), [((3, 3, 4, 6), -1), ((4, 4, 5, 2), -2)])
def test_every_parametrization_keeps_shape_and_dtype(name, dtype, shape, axis, key):
    """With finite derivatives at a zero kernel too, which is where blocks start."""
    for start in (nn.initializers.normal(1.0), nn.initializers.zeros_init()):
        module = Probe(name, shape, axis, start, dtype)
        variables = jit(module.init)(key)

        def total(kernel, module=module, variables=variables):
            params = {**variables["params"], "kernel": kernel}
            found = module.apply({**variables, "params": params})
            return jnp.sum(found.astype("float32") ** 2), found

        first = variables["params"]["kernel"]
        (_, found), slope = jit(jax.value_and_grad(total, has_aux=True))(first)
        assert (found.shape, found.dtype) == (shape, dtype)
        assert bool(jnp.all(jnp.isfinite(found)))
        assert bool(jnp.all(jnp.isfinite(slope)))


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize(("layer", "fields", "shape", "axis"), LAYERS)
def test_every_layer_applies_every_parametrization(
    name, layer, fields, shape, axis, key
):
    """A layer computes with what ``parametrize`` makes of its own kernel."""
    x = jax.random.normal(key, shape)
    module = layer(5, **fields, parametrization=name)
    variables = jit(module.init)(key, x)
    own = variables["params"]
    probe = Probe(name, own["kernel"].shape, axis)
    inner = {**variables, "params": {k: v for k, v in own.items() if k != "bias"}}
    kernel = probe.apply(inner)
    plain = {"params": {"kernel": kernel, "bias": own["bias"]}}
    expected = layer(5, **fields).apply(plain, x)
    np.testing.assert_allclose(
        module.apply(variables, x), expected, rtol=1e-4, atol=1e-5
    )
