"""A folder with a trained generator in several formats."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.errors import ExportError
from wgan_jax.export.card import model_card
from wgan_jax.export.graph import BATCH, Graph
from wgan_jax.export.jaxpr import trace
from wgan_jax.export.onnx import OPSET, to_onnx
from wgan_jax.export.page import page_files
from wgan_jax.export.priors import draw_text
from wgan_jax.export.pytorch import to_pytorch
from wgan_jax.export.stablehlo import PLATFORMS, to_stablehlo
from wgan_jax.io.files import atomic_write, write_text
from wgan_jax.io.weights import flatten, save_weights, unflatten
from wgan_jax.types import Array
from wgan_jax.zoo import Pretrained

WEIGHTS = "weights.safetensors"
FORMATS = ("stablehlo", "onnx", "pytorch")
DTYPES = ("float32", "uint8")


def export_generator(
    generator: Pretrained,
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    dtype: str = "float32",
    runtime: Mapping[str, bytes] | None = None,
) -> list[Path]:
    """Writes a generator to a folder.

    It has the weights as safetensors (which ``zoo.load`` reads again), the model
    card as ``README.md`` and ``card.json``, and for each format a file and an
    example that needs only that format's packages.

    Args:
        generator: a trained generator.
        folder: new or empty folder.
        formats: some of ``FORMATS``.
        dtype: dtype of the images of StableHLO programs: ``float32`` in
            [-1, 1], or ``uint8``. Those of other formats are float32.
        runtime: files of onnxruntime-web, from ``page.read_runtime``, to write a
            page for browsers to the folder ``page``; None for no page.

    Returns:
        The files.

    Raises:
        ExportError: if the folder is not empty, a package is missing, the network
            cannot be written in one of the formats, or the dtype is not that of its
            examples. Then nothing is written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ExportError(f"{folder} is not empty; use a new folder.")
    example = generator.card["data"]["example_shape"]
    if dtype == "uint8" and len(example) != 3:
        raise ExportError(
            "--dtype=uint8 needs a generator of images, but this one makes examples of "
            f"shape {tuple(example)}; use float32."
        )
    contents: dict[str, bytes | str] = {}
    if "stablehlo" in formats:
        contents["generator.stablehlo"] = to_stablehlo(generator, dtype=dtype)
        sampler = to_stablehlo(generator, from_seed=True, dtype=dtype)
        contents["sampler.stablehlo"] = sampler
        contents["example_jax.py"] = _example_jax(generator)
    if {"onnx", "pytorch"} & set(formats) or runtime is not None:
        graph = graph_of(generator)
        title = str(generator.card["title"])
        if "onnx" in formats or runtime is not None:
            onnx = to_onnx(graph, output="images", description=title)
        if "onnx" in formats:
            contents["generator.onnx"] = onnx
            contents["example_onnx.py"] = _example_onnx(generator)
        if runtime is not None:
            page = page_files(generator, onnx, runtime)
            contents |= {f"page/{name}": content for name, content in page.items()}
        if "pytorch" in formats:
            text = to_pytorch(
                graph, title=title, weights=WEIGHTS, prior=generator.gan.prior
            )
            contents["generator_torch.py"] = text
            contents["example_torch.py"] = _example_torch(generator)
    contents["card.json"] = json.dumps(generator.card, indent=1) + "\n"
    contents["example_wgan_jax.py"] = _example_own()
    variables = {"params": generator.params, **generator.model_state}
    weights = folder / WEIGHTS
    save_weights(weights, variables, metadata=generator.card)
    usage = _usage(generator, formats, dtype, has_page=runtime is not None)
    size = weights.stat().st_size
    contents["README.md"] = model_card(generator.card, usage=usage, size=size)
    for name, content in contents.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            with atomic_write(folder / name) as stream:
                stream.write(content)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def graph_of(generator: Pretrained) -> Graph:
    """Returns the operations of a generator.

    Args:
        generator: a trained generator.

    Raises:
        ExportError: if it has an operation that other formats lack.
    """
    gan = generator.gan
    variables = {"params": generator.params, **generator.model_state}
    arrays = {name: np.asarray(x) for name, x in flatten(variables).items()}

    def draw(weights: dict[str, Array], z: Array, labels: Array | None = None) -> Array:
        tree = unflatten(weights, variables)
        params = tree.pop("params")
        return gan.generate(params, tree, z, train=False, labels=labels)[0]

    inputs = {"latents": jax.ShapeDtypeStruct((BATCH, gan.latent_size), jnp.float32)}
    if gan.conditional is not None:
        inputs["labels"] = jax.ShapeDtypeStruct((BATCH,), jnp.int32)
    return trace(draw, arrays, inputs)


def _labels(generator: Pretrained) -> int:
    """Returns the number of classes; 0 without."""
    conditional = generator.gan.conditional
    return 0 if conditional is None else conditional.classes


def _usage(
    generator: Pretrained, formats: Sequence[str], dtype: str, *, has_page: bool
) -> str:
    classes = _labels(generator)
    drawn = draw_text(generator.gan.prior, n=16, size=generator.latent_size)
    example = generator.card["data"]["example_shape"]
    shape = ", ".join(map(str, example))
    values = "float32 in [-1, 1]" if len(example) == 3 else "float32"
    also = f", and `labels` int32 `[B]` in 0 to {classes - 1}" if classes else ""
    kind = "gray levels, uint8" if dtype == "uint8" else values
    rows = [
        ("`weights.safetensors`", "weights by name; `example_wgan_jax.py` reads them")
    ]
    if "stablehlo" in formats:
        rows += [
            (
                "`generator.stablehlo`",
                f"for `jax.export`, on {', '.join(PLATFORMS)}; `example_jax.py` needs "
                f"jax and flatbuffers; images are {kind}",
            ),
            (
                "`sampler.stablehlo`",
                "the same with a seed (uint32) and the indices of the images "
                "(int32 `[B]`) instead of latents",
            ),
        ]
    if "onnx" in formats:
        rows.append(
            (
                "`generator.onnx`",
                f"operator set {OPSET}; `example_onnx.py` needs onnxruntime",
            )
        )
    if "pytorch" in formats:
        rows.append(
            (
                "`generator_torch.py`",
                "a PyTorch module that reads `weights.safetensors`; "
                "`example_torch.py` needs torch and safetensors",
            )
        )
    if has_page:
        about = "draws in a browser, from the disk or any server of files"
        rows.append(("`page/index.html`", about))
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    return (
        f"Input: `latents` float32 `[B, {generator.latent_size}]`, "
        f"{drawn.words}{also}. Output: `images` `[B, {shape}]`, {values} "
        f"unless stated otherwise.\n\n| file | use |\n|---|---|\n{table}"
    )


def _example_jax(generator: Pretrained) -> str:
    labels = f", jnp.arange(16) % {_labels(generator)}" if _labels(generator) else ""
    return f'''"""Draws 16 images. Needs: pip install jax flatbuffers"""

from pathlib import Path

import jax.numpy as jnp
from jax import export

program = Path(__file__).with_name("sampler.stablehlo").read_bytes()
sampler = export.deserialize(bytearray(program))
images = sampler.call(jnp.uint32(0), jnp.arange(16){labels})
print(images.shape, images.dtype)
'''


def _example_onnx(generator: Pretrained) -> str:
    classes = _labels(generator)
    drawn = draw_text(generator.gan.prior, n=16, size=generator.latent_size).numpy
    feed = '"latents": latents'
    more = ""
    if classes:
        more = f"labels = (np.arange(16) % {classes}).astype(np.int32)\n"
        feed += ', "labels": labels'
    return f'''"""Draws 16 images. Needs: pip install onnxruntime"""

from pathlib import Path

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(Path(__file__).with_name("generator.onnx"))
random = np.random.default_rng(0)
{drawn}latents = latents.astype(np.float32)
{more}[images] = session.run(["images"], {{{feed}}})
print(images.shape, images.dtype)
'''


def _example_torch(generator: Pretrained) -> str:
    labels = f", torch.arange(16) % {_labels(generator)}" if _labels(generator) else ""
    latents = draw_text(generator.gan.prior, n=16, size=generator.latent_size).torch
    return f'''"""Draws 16 images. Needs: pip install torch safetensors numpy"""

import torch
from generator_torch import Generator

generator = Generator()
with torch.no_grad():
    latents = {latents}
    images = generator(latents{labels})
print(tuple(images.shape), images.dtype)
'''


def _example_own() -> str:
    return '''"""Draws 16 images. Needs: pip install wgan-jax"""

from pathlib import Path

import jax

from wgan_jax import zoo

generator = zoo.load(Path(__file__).parent)
images = generator.sample(jax.random.key(0), 16)
print(images.shape, images.dtype)
'''
