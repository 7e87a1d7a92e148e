"""Tests of exported generators: each format draws the images of ``sample``."""

import ast
import functools
import json
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from flax import linen as nn
from flax import nnx
from jax import export as jax_export
from safetensors.numpy import save_file
from small_networks import jit

from wgan_jax import zoo
from wgan_jax.errors import ArchiveError, ExportError
from wgan_jax.export.bundle import export_generator, graph_of
from wgan_jax.export.graph import BATCH
from wgan_jax.export.jaxpr import trace
from wgan_jax.export.onnx import to_onnx
from wgan_jax.export.pytorch import to_pytorch
from wgan_jax.io.images import to_uint8
from wgan_jax.io.weights import flatten, load_weights, unflatten
from wgan_jax.modules import apply
from wgan_jax.networks import GENERATORS, from_nnx, standard_operations
from wgan_jax.program.cli import main

Z = 7
NETWORKS = {
    "mlp": {"image_shape": (8, 8, 1), "width": 16},
    "dcgan": {"image_shape": (32, 32, 3), "width": 4},
    "dcgan by class": {"image_shape": (28, 28, 1), "width": 4, "classes": 3},
    "dcgan_gp": {"image_shape": (28, 28, 1), "width": 4},
    "dcgan_gp by class": {"image_shape": (32, 32, 3), "width": 4, "classes": 3},
    "sngan_cnn": {"image_shape": (32, 32, 3), "width": 4},
    "sngan_cnn by class": {"image_shape": (16, 16, 3), "width": 4, "classes": 3},
    "resnet": {"image_shape": (32, 32, 3), "width": 4},
    "resnet by class": {"image_shape": (32, 32, 3), "width": 4, "classes": 3},
    "resnet64": {"image_shape": (64, 64, 3), "width": 4},
    "resnet64 by class": {"image_shape": (64, 64, 3), "width": 2, "classes": 3},
    "r3gan": {"image_shape": (32, 32, 3), "width": 8},
    "r3gan by class": {"image_shape": (32, 32, 3), "width": 8, "classes": 3},
    "article": {"image_shape": (28, 28, 1)},
    "mlp of series": {"image_shape": (6, 3), "width": 16},
    "dcgan of 24x40": {"image_shape": (24, 40, 3), "width": 4},
    "dcgan_gp of 9x31": {"image_shape": (9, 31, 4), "width": 4},
    "resnet of 12x20": {"image_shape": (12, 20, 1), "width": 4},
}


class Linen(nn.Module):
    """Layers of flax, and operations that the built-in generators lack."""

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.gelu(nn.Dense(4 * 4 * 6)(latent), approximate=False).reshape(-1, 4, 4, 6)
        x = nn.LayerNorm()(nn.elu(nn.ConvTranspose(5, (4, 4), strides=(2, 2))(x)))
        x = nn.silu(nn.ConvTranspose(5, (3, 3), strides=(2, 2))(x))
        x = nn.softplus(nn.Conv(4, (3, 3), padding=((2, 1), (0, 1)))(x))
        x = jnp.concatenate([x[:, 1:, ::-1], jnp.flip(x, 1)[:, :16]], axis=-1)
        x = nn.Conv(3, (3, 3), strides=(2, 2), feature_group_count=1)(x)
        gate = jax.nn.sigmoid(jnp.mean(x, axis=(1, 2), keepdims=True))
        return jnp.tanh(x * gate + jnp.minimum(x, 0.2) - jnp.abs(x) ** 3)


class OfNNX(nnx.Module):
    def __init__(self, *, rngs):
        self.hidden = nnx.Linear(Z, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.conv = nnx.ConvTranspose(8, 3, (4, 4), strides=(2, 2), rngs=rngs)

    def __call__(self, z):
        x = nnx.relu(self.norm(self.hidden(z)))
        return jnp.tanh(self.conv(x.reshape(-1, 1, 1, 8)))


OWN = {"linen": Linen(), "nnx": from_nnx(OfNNX)}


@functools.cache
def network(name):
    """Returns a network with random weights, and its graph and some examples."""
    options = NETWORKS.get(name, {})
    module = OWN.get(name) or GENERATORS[name.partition(" ")[0]](**options)
    key, classes = jax.random.key(0), options.get("classes", 0)
    inputs = {"latents": jax.random.normal(key, (5, Z))}
    if classes:
        inputs["labels"] = jnp.arange(5, dtype=jnp.int32) % classes
    variables = jit(partial(module.init, train=False))(key, *inputs.values())
    random = np.random.RandomState(0)
    variables = jax.tree.map(
        lambda x: np.float32(x + 0.02 * random.uniform(0.1, 1, np.shape(x))), variables
    )

    def draw(weights, *arguments):
        tree = dict(unflatten(weights, variables))
        params = tree.pop("params")
        return apply(module, params, tree, arguments, train=False, key=None)[0]

    weights = flatten(variables)
    shapes = {
        name: jax.ShapeDtypeStruct((BATCH, *x.shape[1:]), x.dtype)
        for name, x in inputs.items()
    }
    graph = trace(draw, weights, shapes)
    images = np.asarray(jit(draw)(weights, *inputs.values()))
    assert images.std() > 1e-3
    return graph, weights, inputs, images


@pytest.mark.parametrize("name", [*NETWORKS, *OWN])
def test_onnx_draws_the_same_images(name):
    graph, _, inputs, images = network(name)
    model = to_onnx(graph, output="images")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for count in (5, 2):  # of any batch size
        feed = {name: np.asarray(x)[:count] for name, x in inputs.items()}
        [found] = session.run(["images"], feed)
        np.testing.assert_allclose(found, images[:count], atol=1e-4)


@pytest.mark.parametrize("name", [*NETWORKS, *OWN])
def test_pytorch_draws_the_same_images(name, tmp_path):
    graph, weights, inputs, images = network(name)
    text = to_pytorch(graph, title=name, weights="w.safetensors")
    compile(text, "generator_torch.py", "exec")
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    save_file(
        {k: np.asarray(v) for k, v in weights.items()}, tmp_path / "w.safetensors"
    )
    (tmp_path / "g.py").write_text(text)
    scope = {"__file__": str(tmp_path / "g.py"), "__name__": "g"}
    exec(compile(text, "g.py", "exec"), scope)
    with torch.no_grad():
        found = scope["Generator"]()(
            *(torch.tensor(np.asarray(x)) for x in inputs.values())
        )
    np.testing.assert_allclose(found.numpy(), images, atol=1e-4)


@pytest.mark.parametrize("name", ["dcgan", "resnet", "mlp"])
def test_standard_operations_are_those_of_lax(name):
    options = NETWORKS[name]
    module = GENERATORS[name](**options)
    z = jnp.ones((2, Z))
    variables = module.init(jax.random.key(0), z, train=False)

    def primitives(jaxpr):
        for equation in jaxpr.eqns:
            yield equation.primitive.name
            for value in jax.tree.leaves(list(equation.params.values())):
                if hasattr(value, "jaxpr"):
                    yield from primitives(value.jaxpr)

    def draw(z):
        return module.apply(variables, z, train=False)

    assert any(p.startswith("wgan_jax") for p in primitives(jax.make_jaxpr(draw)(z)))
    with standard_operations():
        plain = jax.make_jaxpr(lambda z: draw(z))(z)
        images = jax.jit(lambda z: draw(z))(z)
    assert not any(p.startswith("wgan_jax") for p in primitives(plain))
    np.testing.assert_allclose(images, draw(z), atol=1e-5)
    assert any(
        p.startswith("wgan_jax")
        for p in primitives(jax.make_jaxpr(lambda z: draw(z))(z))
    )


@pytest.fixture(scope="module")
def generator():
    return zoo.load("digits")


@pytest.fixture(scope="module")
def folder(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "digits"
    export_generator(generator, folder)
    return folder


def test_the_folder_has_all_formats_with_an_example_each(folder):
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "card.json",
        "example_jax.py",
        "example_onnx.py",
        "example_torch.py",
        "example_wgan_jax.py",
        "generator.onnx",
        "generator.stablehlo",
        "generator_torch.py",
        "sampler.stablehlo",
        "weights.safetensors",
    }
    card = (folder / "README.md").read_text()
    for text in ("# Handwritten digits", "int32 `[B]` in 0 to 9", "kernel distance"):
        assert text in card
    assert json.loads((folder / "card.json").read_text())["step"] > 0


@pytest.mark.parametrize("name", ["jax", "onnx", "wgan_jax"])
def test_examples_run(name, folder, tmp_path):
    code = f"import runpy; runpy.run_path({str(folder / f'example_{name}.py')!r})"
    if name != "wgan_jax":
        code = f"import sys; sys.modules['wgan_jax'] = None; {code}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "(16, 8, 8, 1) float32\n"


def read(path):
    return jax_export.deserialize(bytearray(path.read_bytes()))


def test_stablehlo_draws_the_images_of_sample(folder, generator):
    expected = np.asarray(generator.sample(jax.random.key(3), 20))
    sampler = read(folder / "sampler.stablehlo")
    assert set(sampler.platforms) == {"cpu", "cuda", "tpu"}
    labels = jnp.arange(20, dtype=jnp.int32) % 10
    found = sampler.call(jnp.uint32(3), jnp.arange(20), labels)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    some = sampler.call(jnp.uint32(3), jnp.arange(4, 6), labels[4:6])
    np.testing.assert_allclose(some, expected[4:6], atol=1e-6)
    z = jax.random.normal(jax.random.key(1), (3, generator.latent_size))
    program = read(folder / "generator.stablehlo")
    np.testing.assert_allclose(
        program.call(z, labels[:3]), generator(z, labels[:3]), atol=1e-6
    )


def test_programs_return_gray_levels_if_asked(generator, tmp_path):
    export_generator(generator, tmp_path / "x", formats=["stablehlo"], dtype="uint8")
    labels = jnp.arange(20, dtype=jnp.int32) % 10
    program = read(tmp_path / "x" / "sampler.stablehlo")
    found = np.asarray(program.call(jnp.uint32(0), jnp.arange(20), labels))
    expected = to_uint8(np.asarray(generator.sample(jax.random.key(0), 20)))
    assert found.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert difference.mean() < 0.01
    assert not list((tmp_path / "x").glob("*onnx*"))


def test_an_exported_folder_is_loaded_and_exported_again(folder, generator, tmp_path):
    again = zoo.load(folder)
    key = jax.random.key(0)
    np.testing.assert_array_equal(again.sample(key, 8), generator.sample(key, 8))
    assert again.card == generator.card
    assert again.name == "digits"
    files = export_generator(zoo.load(folder / "weights.safetensors"), tmp_path / "b")
    ours, theirs = (
        load_weights(f / "weights.safetensors")[0] for f in (folder, tmp_path / "b")
    )
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert len(files) == 11


def test_weights_have_readable_names(folder):
    names = set(graph_of(zoo.load(folder)).weights)
    assert any(name.endswith(".kernel") for name in names)
    assert all(name.startswith(("params.", "batch_stats.")) for name in names)


def test_a_file_that_does_not_fit_its_config_is_an_error(folder, tmp_path):
    generator = zoo.load(folder)
    arrays = flatten({"params": generator.params, **generator.model_state})
    first = next(iter(arrays))
    for changed, message in (
        ({k: v for k, v in arrays.items() if k != first}, f"weight {first} is missing"),
        (arrays | {first: arrays[first][:1]}, f"weight {first} has the shape"),
        (arrays | {"params_more": arrays[first]}, "weight params_more is unknown"),
    ):
        path = tmp_path / "w.safetensors"
        header = {k: json.dumps(v) for k, v in generator.card.items()}
        save_file({k: np.asarray(v) for k, v in changed.items()}, path, header)
        with pytest.raises(
            ArchiveError, match=f"does not fit its config: the {message}"
        ):
            zoo.load(path)


class OtherLayouts(nn.Module):
    """Convolutions with channels first, and kernels in the layouts of others."""

    transposed: bool = False

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.Dense(3 * 4 * 5)(latent).reshape(-1, 3, 4, 5)
        normal = nn.initializers.normal(0.3)
        for index, layout in enumerate(
            [
                ("NCHW", "OIHW", "NCHW"),
                ("NCHW", "HWIO", "NHWC"),
                ("NHWC", "IOHW", "HWNC"),
            ]
        ):
            shape = {"O": 3, "I": 3, "H": 3, "W": 2}
            kernel = self.param(
                f"kernel_{index}", normal, tuple(shape[c] for c in layout[1])
            )
            x = jax.lax.conv_general_dilated(
                x,
                kernel,
                (1, 1),
                ((1, 2), (1, 0)),
                lhs_dilation=(2, 2) if self.transposed else (1, 1),
                dimension_numbers=layout,
            )
        scale = jnp.arange(1, 4) / jnp.where(jnp.arange(3) > 0, 2.0, jnp.inf)
        return jnp.tanh(x.transpose(2, 0, 1, 3)) * scale[None, None, None]


@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_of_any_layout_are_exported(transposed):
    module, z = OtherLayouts(transposed), jax.random.normal(jax.random.key(1), (4, Z))
    variables = module.init(jax.random.key(0), z, train=False)

    def draw(weights, z):
        return module.apply(unflatten(weights, variables), z, train=False)

    weights = {name: np.asarray(x) for name, x in flatten(variables).items()}
    shapes = {"latents": jax.ShapeDtypeStruct((BATCH, Z), jnp.float32)}
    graph = trace(draw, weights, shapes)
    session = onnxruntime.InferenceSession(
        to_onnx(graph, output="images"), providers=["CPUExecutionProvider"]
    )
    [found] = session.run(["images"], {"latents": np.asarray(z)})
    np.testing.assert_allclose(found, draw(weights, z), atol=1e-4)


def test_infinite_numbers_are_exported():
    def draw(weights, z):
        z = jnp.where(z > jnp.inf, -jnp.inf, jnp.maximum(z, -jnp.inf))
        return z * weights["a.b"][None]

    shapes = {"latents": jax.ShapeDtypeStruct((BATCH, Z), jnp.float32)}
    graph = trace(draw, {"a.b": np.ones(Z, np.float32)}, shapes)
    text = to_pytorch(graph, title="x", weights="w")
    names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    assert not {"inf", "nan"} & names
    assert text.count("float('-inf')") == 2
    session = onnxruntime.InferenceSession(
        to_onnx(graph, output="images"), providers=["CPUExecutionProvider"]
    )
    z = np.linspace(-1, 1, Z, dtype=np.float32)[None]
    np.testing.assert_array_equal(session.run(["images"], {"latents": z})[0], z)


def test_operations_that_other_formats_lack_are_named():
    shapes = {"latents": jax.ShapeDtypeStruct((BATCH, Z), jnp.float32)}
    with pytest.raises(ExportError, match=r"operation 'cumsum', .*as StableHLO\."):
        trace(lambda w, z: jnp.cumsum(z, 1), {}, shapes)
    with pytest.raises(ExportError, match="returns a constant"):
        trace(lambda w, z: w["a"] * 2, {"a": np.ones(3, np.float32)}, shapes)


SQUARE = {"a.w": np.linspace(-0.5, 0.6, Z * Z, dtype=np.float32).reshape(Z, Z)}


def scanned(w, z):
    def step(carry, x):
        i, y = carry
        y = jnp.tanh(y @ w["a.w"] + x)
        return (i + 1, y), (y * i, y.sum(1))

    xs = jnp.stack([z, z * 2, z * 3, z * 4])
    (_, y), (rows, sums) = jax.lax.scan(step, (1, z), xs, reverse=True)
    return jnp.concatenate([y, *rows, sums.T], axis=1)


LOOPS = {
    "fori_loop": lambda w, z: jax.lax.fori_loop(0, 3, lambda i, x: x @ w["a.w"], z),
    "counter": lambda w, z: jax.lax.fori_loop(2, 5, lambda i, x: x * i + i, z),
    "scan": scanned,
    "scan of rows of a weight": lambda w, z: jax.lax.scan(
        lambda c, row: (jnp.tanh(c * row[None]), None), z, w["a.w"]
    )[0],
    "remat": lambda w, z: jax.checkpoint(lambda x: jnp.tanh(x @ w["a.w"]))(z),
    "long loop over weights": lambda w, z: (
        z @ jax.lax.fori_loop(0, 200, lambda i, x: x @ w["a.w"] + 0.1, w["a.w"] * 0.1)
    ),
    "while loop over weights": lambda w, z: (
        z
        * jax.lax.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2), (0, w["a.w"][:1])
        )[1]
    ),
    "unused mean of the batch": lambda w, z: (z.mean(0), jnp.tanh(z))[1],
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_and_calls_are_exported_whole(name):
    draw, z = LOOPS[name], jax.random.normal(jax.random.key(2), (4, Z))
    shapes = {"latents": jax.ShapeDtypeStruct((BATCH, Z), jnp.float32)}
    graph = trace(draw, SQUARE, shapes)
    session = onnxruntime.InferenceSession(
        to_onnx(graph, output="images"), providers=["CPUExecutionProvider"]
    )
    [found] = session.run(["images"], {"latents": np.asarray(z)})
    np.testing.assert_allclose(found, draw(SQUARE, z), rtol=1e-4, atol=1e-5)


def loop(count):
    return lambda z: jax.lax.fori_loop(0, count, lambda i, x: jnp.sin(x), z)


def endless(z):
    return jax.lax.while_loop(lambda x: x.max() > 0.1, lambda x: x / 2, z)


def of_two(z):
    return jax.lax.while_loop(
        lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, z)
    )[1]


def sum_of_squares(z):
    return jax.lax.reduce(z, 0.0, lambda a, b: a + b * b, (1,))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (loop(101), "operation 'scan'.*as StableHLO, or use a loop of 1 to 100 "),
        (loop(0), "operation 'scan'.*as StableHLO, or use a loop of 1 to 100 "),
        (endless, "operation 'while'.*as StableHLO, or write the loop in Python"),
        (of_two, "operation 'while'.*as StableHLO, or write the loop in Python"),
        (sum_of_squares, r"operation 'reduce'.*as StableHLO, or use jnp\.sum"),
        (lambda z: jax.lax.top_k(z, 2)[0], "operation 'top_k'.*as StableHLO"),
        (lambda z: jax.lax.map(jnp.sin, z), "loop over the examples.*jax\\.vmap"),
    ],
)
def test_loops_that_cannot_be_written_out_are_named(draw, message):
    shapes = {"latents": jax.ShapeDtypeStruct((BATCH, Z), jnp.float32)}
    with pytest.raises(ExportError, match=message):
        trace(lambda w, z: draw(z), {}, shapes)


def row_of(z):
    """Returns an index of the batch for each example."""
    return (z[:, 0] > 0).astype(jnp.uint32)


@pytest.mark.parametrize(
    ("draw", "operation"),
    [
        (lambda z: z - z.mean(0, keepdims=True), "reduce_sum"),
        (lambda z: z - z.mean(), "reduce_sum"),
        (lambda z: z - z[:1], "slice"),
        (lambda z: z @ (z.T @ z), "dot_general"),
        (lambda z: jax.nn.relu(z @ z.T) @ z, "dot_general"),
        (lambda z: z[::-1], "rev"),
        (lambda z: jnp.roll(z, 1, 0), "slice"),
        (lambda z: jnp.concatenate([z, z])[::2], "concatenate"),
        (lambda z: z.reshape(-1), "reshape"),
        (lambda z: z.T.reshape(z.shape), "reshape"),
        (lambda z: z.at[row_of(z)].get(mode="promise_in_bounds"), "gather"),
        (lambda z: z / jnp.ones_like(z).sum(0, keepdims=True), "reduce_sum"),
    ],
)
def test_examples_that_depend_on_others_are_refused(draw, operation):
    shapes = {"latents": jax.ShapeDtypeStruct((BATCH, Z), jnp.float32)}
    message = f"combines the examples of a batch in the operation '{operation}'.* alone"
    with pytest.raises(ExportError, match=message):
        trace(lambda w, z: draw(z), {}, shapes)


def test_the_size_of_the_batch_is_not_exported_as_a_number():
    shapes = {"latents": jax.ShapeDtypeStruct((BATCH, Z), jnp.float32)}
    with pytest.raises(ExportError, match="computes with the size of its batch"):
        trace(lambda w, z: z / z.shape[0], {}, shapes)


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [("onnx", "onnx", "needs the package onnx"), ("stablehlo", "flatbuffers", "needs")],
)
def test_a_missing_package_is_named(
    name, part, message, generator, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, part, None)
    if name == "stablehlo":
        monkeypatch.setattr(
            jax_export.Exported,
            "serialize",
            lambda self, *a: (_ for _ in ()).throw(ImportError("flatbuffers")),
        )
    with pytest.raises(ExportError, match=message):
        export_generator(generator, tmp_path / "x", formats=[name])
    assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on the digits."""
    folder = tmp_path_factory.mktemp("runs") / "a run"
    small = ["training.iterations=4", "generator.width=16", "critic.width=16"]
    small += ["evaluation=None", "samples.count=4", "checkpoint.every=2"]
    arguments = [f"--workdir={folder}", *(f"--config.{f}" for f in small)]
    assert main(["wgan-jax", "train", "--config=digits_wgan_gp", *arguments]) == 0
    return folder


def test_a_run_is_exported(run, tmp_path, capsys):
    texts = {"title": "My digits", "license": "CC0", "limits": "few", "class_names": []}
    (tmp_path / "card.json").write_text(json.dumps(texts))
    arguments = [f"--workdir={run}", f"--card={tmp_path / 'card.json'}"]
    assert main(["wgan-jax", "export", *arguments]) == 0
    folder = run / "export" / "step_00000004_ema"
    assert str(folder) in capsys.readouterr().out
    assert "# My digits" in (folder / "README.md").read_text()
    card = json.loads((folder / "card.json").read_text())
    assert card["exported_with"].startswith("wgan-jax export ")
    assert card["command"].startswith("wgan-jax train ")
    assert (
        main(["wgan-jax", "sample", f"--workdir={run}", "--config.samples.count=9"])
        == 0
    )
    [drawn] = (run / "samples").glob("sample_00000004*.npz")
    exported = zoo.load(folder)
    found = to_uint8(np.asarray(exported.sample(jax.random.key(0), 9)))
    with np.load(drawn) as file:
        np.testing.assert_array_equal(found, file["images"])
        sampler = read(folder / "sampler.stablehlo")
        images = sampler.call(jnp.uint32(0), jnp.arange(9))
        np.testing.assert_allclose(
            images, exported.sample(jax.random.key(0), 9), atol=1e-6
        )
    assert main(["wgan-jax", "export", *arguments]) == 2
    assert "is not empty; use a new folder." in capsys.readouterr().err


def test_live_weights_and_earlier_checkpoints_are_exported(run, tmp_path):
    found = {}
    for weights in ("live", "ema"):
        out = tmp_path / weights
        arguments = [f"--workdir={run}", f"--output={out}", f"--weights={weights}"]
        arguments += ["--checkpoint=2", "--formats=pytorch"]
        assert main(["wgan-jax", "export", *arguments]) == 0
        found[weights] = zoo.load(out)
        assert found[weights].card["step"] == 2
        assert found[weights].card["weights"] == weights
    live, ema = (jax.tree.leaves(found[w].params) for w in ("live", "ema"))
    assert not all(np.array_equal(a, b) for a, b in zip(live, ema, strict=True))


def test_samples_of_an_exported_folder_are_drawn_from_the_command_line(run, tmp_path):
    out = tmp_path / "mine"
    arguments = [f"--workdir={run}", f"--output={out}", "--formats=pytorch"]
    assert main(["wgan-jax", "export", *arguments]) == 0
    arguments = [f"--pretrained={out}", f"--workdir={tmp_path / 'drawn'}"]
    assert main(["wgan-jax", "sample", *arguments]) == 0
    assert (tmp_path / "drawn" / "mine_seed0_4.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--formats=onnx,tflite"], "--formats has 'tflite'; choices: onnx"),
        (["--dtype=int8"], "--dtype is 'int8'; choices: float32, uint8."),
        (["--weights=best"], "--weights is 'best'; choices: ema, live."),
        (["--checkpoint=last"], "--checkpoint=last is not valid"),
        (["--card=missing.json"], "missing.json cannot be read as JSON"),
        (["--images=x.npz"], "--images is not read by --mode=export"),
        (["--pretrained=digits"], "--workdir and --pretrained cannot be combined"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, run, capsys, tmp_path):
    out = tmp_path / "out"
    given = [f"--workdir={run}", f"--output={out}", *arguments]
    assert main(["wgan-jax", "export", *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_unknown_generators_are_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["wgan-jax", "export", "--pretrained=digit"]) == 2
    assert "Or use a folder written by wgan-jax export." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_wrong_cards_are_named(run, capsys, tmp_path):
    path = tmp_path / "card.json"
    for content, message in (('{"price": 3}', "it has 'price'"), ("{", "as JSON")):
        path.write_text(content)
        arguments = [f"--workdir={run}", f"--card={path}", "--output=x"]
        assert main(["wgan-jax", "export", *arguments]) == 2
        assert message in capsys.readouterr().err
