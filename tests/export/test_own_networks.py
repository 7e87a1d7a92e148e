"""Runs of a user's own networks: resumed, sampled, and exported to every format."""

import ast
import json

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from jax import export
from own_pairs import PAIRS

from wgan_jax import zoo
from wgan_jax.export.bundle import graph_of
from wgan_jax.io.weights import load_weights
from wgan_jax.latents import latents
from wgan_jax.program.cli import main

COUNT = 9


def arguments(name, folder, iterations):
    generator, critic = PAIRS[name]
    fields = [f"generator.name={generator}", f"critic.name={critic}"]
    fields += [f"training.iterations={iterations}", "training.iterations_per_call=1"]
    fields += ["generator.width=6", "generator.latent_size=5", "training.n_critic=1"]
    fields += ["training.batch_size=8", "evaluation=None", f"samples.count={COUNT}"]
    fields += ["log.every=1", "checkpoint.every=2", "critic.width=4"]
    flags = [f"--config.{field}" for field in fields]
    return ["train", "--config=digits_wgan_gp", f"--workdir={folder}", *flags]


@pytest.fixture(scope="module", params=PAIRS)
def run(request, tmp_path_factory):
    """A run of four iterations, and its generator's exported folder."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    assert main(["wgan-jax", *arguments(request.param, folder, 4)]) == 0
    out = f"--output={folder / 'exported'}"
    assert main(["wgan-jax", "export", f"--workdir={folder}", out]) == 0
    return folder


@pytest.fixture(scope="module")
def images(run):
    """The images of ``sample``."""
    output = f"--output={run / 'drawn'}"
    flags = [f"--workdir={run}", output, "--format=npz"]
    assert main(["wgan-jax", "sample", *flags]) == 0
    [path] = (run / "drawn").rglob("*.npz")
    with np.load(path) as file:
        return file["images"]


def rows(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [
        {k: v for k, v in x.items() if not k.startswith(("time", "through"))}
        for x in found
    ]


def test_a_resumed_run_is_equal(run, tmp_path, capsys):
    again = tmp_path / "again"
    assert main(["wgan-jax", *arguments(run.name, again, 2)]) == 0
    assert main(["wgan-jax", *arguments(run.name, again, 4)]) == 0
    assert "Resuming from iteration 2" in capsys.readouterr().out
    assert [x["step"] for x in rows(run)] == [1, 2, 3, 4]
    assert [x["critic/loss"] for x in rows(again)] == [
        x["critic/loss"] for x in rows(run)
    ]
    out = f"--output={tmp_path / 'exported'}"
    export_it = ["export", f"--workdir={again}", out, "--formats=stablehlo"]
    assert main(["wgan-jax", *export_it]) == 0
    ours, theirs = (
        load_weights(folder / "exported" / "weights.safetensors")[0]
        for folder in (tmp_path, run)
    )
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def exact(run):
    """The images before they are rounded to gray levels."""
    generator = zoo.load(run / "exported")
    z = latents(jax.random.key(0), np.arange(COUNT), size=5)
    return np.asarray(z), np.asarray(generator(z))


def gray(x):
    return np.rint((np.clip(x, -1, 1) + 1) * 127.5).astype(np.uint8)


def test_the_exported_weights_draw_the_images_of_sample(run, images):
    _, expected = exact(run)
    assert expected.shape == (COUNT, 8, 8, 1)
    assert expected.std() > 0.01
    np.testing.assert_array_equal(gray(expected), images)


def test_stablehlo_draws_the_same_images(run):
    z, expected = exact(run)
    for name, inputs in (
        ("sampler", (jnp.uint32(0), jnp.arange(COUNT))),
        ("generator", (z,)),
    ):
        path = run / "exported" / f"{name}.stablehlo"
        found = export.deserialize(bytearray(path.read_bytes())).call(*inputs)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_onnx_draws_the_same_images(run):
    z, expected = exact(run)
    path = run / "exported" / "generator.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (COUNT, 2):
        [found] = session.run(["images"], {"latents": z[:count]})
        np.testing.assert_allclose(found, expected[:count], rtol=0, atol=1e-4)


def test_pytorch_draws_the_same_images(run):
    path = run / "exported" / "generator_torch.py"
    names = set(load_weights(run / "exported" / "weights.safetensors")[0])
    attributes = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    } - {"register_buffer"}
    # What the module reads, it has.
    assert attributes <= {name.replace(".", "_") for name in names}
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    scope = {"__file__": str(path), "__name__": "g"}
    exec(compile(path.read_text(), "g.py", "exec"), scope)
    z, expected = exact(run)
    with torch.no_grad():
        found = scope["Generator"]()(torch.tensor(z))
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-4)


NAMES = {
    "equinox": {
        "params.project.weight",
        "params.project.bias",
        "params.norm.weight",
        "params.norm.bias",
        "params.grow.weight",
        "params.grow.bias",
        "params.output.weight",
        "params.output.bias",
    },
    "functions": {
        "params.project",
        "params.shift",
        "params.kernel",
        "averages.mean",
    },
    "nnx": {
        "params.project.layer_instance.kernel",
        "params.project.layer_instance.bias",
        "params.norm.scale",
        "params.norm.bias",
        "params.output.kernel",
        "params.output.bias",
        "batch_stats.project.batch_stats.kernel.u",
        "batch_stats.project.batch_stats.kernel.sigma",
        "batch_stats.norm.mean",
        "batch_stats.norm.var",
    },
}


def test_weights_have_the_names_of_the_user(run):
    names = set(load_weights(run / "exported" / "weights.safetensors")[0])
    assert names == NAMES[run.name]
    assert names == set(graph_of(zoo.load(run / "exported")).weights)
