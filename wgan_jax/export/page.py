"""A page that draws in a browser, by onnxruntime-web."""

import base64
import gzip
import json
import tarfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.errors import ExportError
from wgan_jax.export.directions import principal_directions
from wgan_jax.io.json_text import parse_json
from wgan_jax.latents import latents
from wgan_jax.zoo import Pretrained

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
FETCH = f"npm pack {PACKAGE}@{VERSION}"
_PARTS = {
    "script": "dist/ort.wasm.min.js",
    "module": "dist/ort-wasm-simd-threaded.mjs",
    "binary": "dist/ort-wasm-simd-threaded.wasm",
    "package": "package.json",
}
_STATIC = ("index.html", "page.css", "page.js")
_SAMPLES = 24  # small pictures, in rows of 4, 8 or 12
_DIRECTIONS = 8
_JACOBIANS = 32


def page_files(
    generator: Pretrained, onnx: bytes, runtime: Mapping[str, bytes], *, seed: int = 0
) -> dict[str, bytes | str]:
    """Returns the files of a page.

    It needs no network, and no server: all data are in scripts, which browsers
    load from ``file://`` addresses too. Its first pictures are those that the mode
    ``sample`` draws with the same seed.

    Args:
        generator: a trained generator of images.
        onnx: its ONNX file.
        runtime: what ``read_runtime`` returns.
        seed: seed of the first pictures.

    Returns:
        Contents by path in the folder of the page.

    Raises:
        ExportError: if the generator does not draw images.
    """
    shape = generator.card["data"]["example_shape"]
    if len(shape) != 3:
        raise ExportError(
            "--page needs a generator of images; this one makes examples of shape "
            f"{list(shape)}."
        )
    prior = generator.gan.prior
    z = latents(
        jax.random.key(seed),
        jnp.arange(_JACOBIANS),
        size=generator.latent_size,
        prior=prior,
    )
    directions = principal_directions(generator, z, count=_DIRECTIONS)
    card = generator.card
    version = parse_json(runtime["package"])["version"]
    facts = {
        "name": generator.name,
        "title": card["title"],
        "description": card["description"],
        "about": f"License of the generator: {card['license'].rstrip('.')}. Computed "
        f"in this browser by {PACKAGE} {version} (MIT license); nothing is sent.",
        "shape": shape,
        "latent_size": generator.latent_size,
        "prior": prior,
        "classes": _classes(generator),
        "latents": _rows(np.asarray(z[:_SAMPLES])),
        "directions": _rows(directions),
        "onnx": _packed(onnx),
    }
    parts = {name: _packed(runtime[name]) for name in ("module", "binary")}
    folder = resources.files("wgan_jax.export")
    return {
        **{name: (folder / name).read_text(encoding="utf-8") for name in _STATIC},
        "generator.js": f"const GENERATOR = {json.dumps(facts)};\n",
        "runtime/ort.wasm.min.js": runtime["script"],
        "runtime/module.js": "const RUNTIME = {};\n"
        f'RUNTIME.module = "{parts["module"]}";\n',
        "runtime/binary.js": f'RUNTIME.binary = "{parts["binary"]}";\n',
    }


def find_runtime(folder: Path) -> Path:
    """Returns the package onnxruntime-web in a folder.

    Args:
        folder: folder with the ``.tgz`` of ``npm pack``, or with
            ``node_modules``.

    Raises:
        ExportError: if it has neither; the message has the command that fetches
            the package.
    """
    installed = folder / "node_modules" / PACKAGE
    found = [*sorted(folder.glob(f"{PACKAGE}-*.tgz")), installed]
    if not found[0].exists():
        raise ExportError(
            f"--page needs the npm package {PACKAGE}: run `{FETCH}` in this folder, or "
            "use --page=PATH with its .tgz file or folder."
        )
    return found[0]


def read_runtime(path: Path) -> dict[str, bytes]:
    """Reads the files of the npm package onnxruntime-web that a page needs.

    Args:
        path: the ``.tgz`` file of the package, or its unpacked folder.

    Raises:
        ExportError: if it is another package, or lacks a file.
    """
    try:
        if path.is_dir():
            found = {name: (path / part).read_bytes() for name, part in _PARTS.items()}
        else:
            with tarfile.open(path) as archive:
                found = {
                    name: _member(archive, f"package/{part}")
                    for name, part in _PARTS.items()
                }
        about = parse_json(found["package"])
    except (OSError, EOFError, tarfile.TarError, KeyError, ValueError) as error:
        raise ExportError(
            f"--page: {path} cannot be read as the npm package {PACKAGE} ({error}); "
            f"`{FETCH}` fetches it."
        ) from error
    if not isinstance(about, dict) or about.get("name") != PACKAGE:
        raise ExportError(
            f"--page: {path} is not the npm package {PACKAGE}; `{FETCH}` fetches it."
        )
    return found


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise KeyError(f"{name} is not a file")
    return stream.read()


def _classes(generator: Pretrained) -> list[str]:
    """Returns the names of the classes, or their numbers; empty without classes."""
    conditional = generator.gan.conditional
    if conditional is None:
        return []
    return generator.class_names or [str(i) for i in range(conditional.classes)]


def _rows(values: np.ndarray) -> list[list[Any]]:
    """Returns numbers whose nearest float32 are those of the array."""
    return [[float(f"{x:.9g}") for x in row] for row in values]


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()
