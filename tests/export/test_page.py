"""Tests of the page that draws in a browser."""

import base64
import functools
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from wgan_jax import zoo
from wgan_jax.errors import ExportError
from wgan_jax.export.bundle import export_generator
from wgan_jax.export.directions import principal_directions
from wgan_jax.export.page import VERSION, find_runtime, page_files, read_runtime
from wgan_jax.io.images import to_uint8
from wgan_jax.latents import PRIORS, latents
from wgan_jax.program.cli import main

PARTS = {
    "package.json": b'{"name": "onnxruntime-web", "version": "1.2.3"}',
    "dist/ort.wasm.min.js": b"script",
    "dist/ort-wasm-simd-threaded.mjs": b"module",
    "dist/ort-wasm-simd-threaded.wasm": b"binary",
}


@pytest.fixture
def package(tmp_path):
    """Returns the folder of a package with the files of onnxruntime-web."""
    folder = tmp_path / "package"
    (folder / "dist").mkdir(parents=True)
    for name, content in PARTS.items():
        (folder / name).write_bytes(content)
    return folder


def facts_of(text):
    """Returns what the script generator.js defines."""
    return json.loads(text.removeprefix("const GENERATOR = ").removesuffix(";\n"))


def test_the_package_is_read_from_its_archive_or_its_folder(package, tmp_path):
    path = tmp_path / "onnxruntime-web-1.2.3.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(package, "package")
    assert read_runtime(path) == read_runtime(package)
    assert read_runtime(path)["binary"] == b"binary"
    assert find_runtime(tmp_path) == path
    path.unlink()
    (tmp_path / "node_modules").mkdir()
    package.rename(tmp_path / "node_modules/onnxruntime-web")
    assert find_runtime(tmp_path) == tmp_path / "node_modules/onnxruntime-web"


@pytest.mark.parametrize("damage", ["missing", "lacks", "other", "json", "archive"])
def test_another_package_is_refused(package, tmp_path, damage):
    path = package
    if damage == "missing":
        path = tmp_path / "absent.tgz"
    elif damage == "lacks":
        (package / "dist/ort-wasm-simd-threaded.wasm").unlink()
    elif damage == "other":
        (package / "package.json").write_text('{"name": "onnxruntime-node"}')
    elif damage == "json":
        (package / "package.json").write_text("[")
    else:
        path = tmp_path / "damaged.tgz"
        path.write_bytes(b"not an archive")
    with pytest.raises(ExportError, match=re.escape(str(path))) as error:
        read_runtime(path)
    assert "npm pack onnxruntime-web@" in str(error.value)


def test_the_command_that_fetches_the_package_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["wgan-jax", "export", "--pretrained=digits", "--page"]) == 2
    assert "run `npm pack onnxruntime-web@" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path", [".ci/run", "docs/how-to/deploy.md", "docs/tutorials/own-pictures.md"]
)
def test_the_documented_package_is_the_tested_one(path):
    text = (Path(__file__).parents[2] / path).read_text()
    found = re.findall(r"onnxruntime-web@([\d.]+)", text)
    assert found
    assert set(found) == {VERSION}


def test_a_page_has_all_its_files_and_no_addresses(package):
    files = page_files(zoo.load("digits"), b"model", read_runtime(package))
    page = files["index.html"]
    linked = set(re.findall(r'(?:src|href)="([^"#:]+)"', page))
    assert linked == {*files} - {"index.html"}
    assert "default-src 'none';" in page
    own = [page, files["page.js"], files["page.css"]]
    assert not any("://" in text.replace("file://", "") for text in own)
    used = set(re.findall(r'\$\("([a-z-]+)"\)', files["page.js"]))
    assert used <= set(re.findall(r'id="([a-z-]+)"', page))
    binary = re.search('RUNTIME.binary = "(.*)"', files["runtime/binary.js"])[1]
    assert gzip.decompress(base64.b64decode(binary)) == b"binary"


def test_a_page_starts_with_the_first_samples(package):
    generator = zoo.load("fashion_mnist")
    files = page_files(generator, b"model", read_runtime(package), seed=3)
    facts = facts_of(files["generator.js"])
    images = generator.sample(jax.random.key(3), 24)
    labels = jnp.arange(24) % len(facts["classes"]) if facts["classes"] else None
    found = generator(jnp.array(facts["latents"], jnp.float32), labels)
    np.testing.assert_allclose(found, images, atol=1e-5)
    assert facts["shape"] == [28, 28, 1]
    assert facts["classes"] == generator.class_names
    assert gzip.decompress(base64.b64decode(facts["onnx"])) == b"model"
    assert "1.2.3" in facts["about"]


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
@pytest.mark.parametrize("prior", PRIORS)
def test_a_page_draws_from_the_prior(package, prior):
    digits = zoo.load("digits")
    generator = replace(digits, gan=replace(digits.gan, prior=prior))
    files = page_files(generator, b"model", read_runtime(package))
    facts = facts_of(files["generator.js"])
    assert facts["prior"] == prior
    first = latents(jax.random.key(0), jnp.arange(24), size=32, prior=prior)
    np.testing.assert_allclose(facts["latents"], first, rtol=1e-6)
    script = files["page.js"]
    part = script[script.index("// ---- latents") : script.index("function currentLat")]
    part = f"const GENERATOR = {{prior: '{prior}', latent_size: 32}};\n{part}"
    part += """
    const drawn = Array.from({ length: 2000 }, () => Array.from(randomLatent()));
    const ends = drawn.slice(0, 2).map((z) => Float32Array.from(z));
    const path = [0, 0.25, 1].map((t) => Array.from(between(...ends, t)));
    console.log(JSON.stringify([drawn, path]));
    """
    command = ["node", "-e", part]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    drawn, path = map(np.array, json.loads(told))
    z = latents(jax.random.key(0), jnp.arange(2000), size=32, prior=prior)
    np.testing.assert_allclose(np.mean(drawn**2), np.mean(z**2), rtol=0.03)
    np.testing.assert_allclose(np.mean(drawn**4), np.mean(z**4), rtol=0.08)
    first, last = (jnp.asarray(drawn[[k] * 3], jnp.float32) for k in (0, 1))
    expected = PRIORS[prior].path(first, last, jnp.array([[0.0], [0.25], [1.0]]))
    np.testing.assert_allclose(path, expected, atol=1e-5)


def test_points_have_no_page(package):
    card = {"data": {"example_shape": [2]}}
    with pytest.raises(ExportError, match=r"examples of shape \[2\]"):
        page_files(SimpleNamespace(card=card), b"", read_runtime(package))


def test_directions_of_a_linear_generator_are_its_singular_vectors():
    random = np.random.RandomState(0)
    rotation = np.linalg.qr(random.normal(size=(5, 5)))[0]
    weight = (rotation * [1.0, 2.0, 3.0, 4.0, 5.0]).T  # rows are the directions
    linear = FakeGenerator(lambda z: jnp.tanh(0.001 * z @ weight.T), 5)
    found = principal_directions(linear, jnp.zeros((2, 5)), count=3)
    expected = rotation.T[::-1][:3]
    np.testing.assert_allclose(np.abs(found @ expected.T), np.eye(3), atol=1e-3)
    assert (found[np.arange(3), np.abs(found).argmax(1)] > 0).all()


class FakeGenerator:
    """Unconditional generator of a function."""

    def __init__(self, draw, size):
        self.gan = SimpleNamespace(conditional=None)
        self.latent_size, self._draw = size, draw

    def __call__(self, z, labels=None):
        return self._draw(z)


# The rest runs in Chromium, with the package in the folder that the variable names.

PACKAGES = os.environ.get("WGAN_JAX_ONNXRUNTIME_WEB")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
in_browser = pytest.mark.skipif(
    PACKAGES is None or BROWSER is None,
    reason="needs Chromium, and WGAN_JAX_ONNXRUNTIME_WEB with the npm package",
)
STEPS = """
const shown = [];
const drawn = async (name) => { await turn; shown.push([name, $("download").href]); };
const set = (id, value) => {
  const input = typeof id === "string" ? $(id) : id;
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
};
const type = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
async function probe() {
  await ready;
  await drawn("first");
  $("samples").children[3].click(); await drawn("fourth");
  const slider = $("directions").querySelectorAll("input")[1];
  set(slider, 2); await drawn("moved");
  type("r"); await drawn("reset");
  set("position", 0.25); await drawn("between");
  set("position", 1); await drawn("last");
  if (GENERATOR.classes.length) { set("class", 2); await drawn("class"); }
  type("n"); await drawn("new");
}
probe().catch((error) => shown.push(["error", `${error} ${$("status").textContent}`]))
  .then(() => JSON.stringify(shown))
  .then((body) => fetch("ADDRESS", { method: "POST", mode: "no-cors", body }));
"""


class Receiver(BaseHTTPRequestHandler):
    """Keeps the body of a request."""

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received = json.loads(content)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Prints nothing."""


def posted(page, folder):
    """Returns what a page posts, in Chromium."""
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.timeout, server.received = 60, None
        steps = STEPS.replace("ADDRESS", f"http://127.0.0.1:{server.server_port}")
        (page.parent / "probe.js").write_text(steps)
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu"]
        command += [f"--user-data-dir={folder}", page.as_uri()]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as browser:
            server.handle_request()
            browser.terminate()
        return server.received


@functools.cache
def pictures_in_browser(name, folder):
    """Returns what the page of a generator shows, step by step."""
    generator = zoo.load(name)
    runtime = read_runtime(find_runtime(Path(PACKAGES)))
    export_generator(generator, folder, formats=("onnx",), runtime=runtime)
    page = folder / "page/index.html"
    text = page.read_text().replace("</body>", "<script src=probe.js></script>")
    assert text.count("default-src 'none';") == 1  # which forbids the probe to post
    page.write_text(text.replace("default-src 'none';", "connect-src *;"))
    shown = {}
    for step, address in posted(page, folder / "profile"):
        assert step != "error", address
        content = base64.b64decode(address.partition(",")[2])
        with Image.open(io.BytesIO(content)) as picture:
            mode = "L" if generator.card["data"]["example_shape"][-1] == 1 else "RGB"
            shown[step] = np.atleast_3d(np.asarray(picture.convert(mode))).astype(int)
    return generator, facts_of((folder / "page/generator.js").read_text()), shown


@in_browser
@pytest.mark.parametrize("name", zoo.names())
def test_the_browser_draws_the_same_pictures(name, tmp_path):
    generator, facts, shown = pictures_in_browser(name, tmp_path / "export")
    z = jnp.array(facts["latents"], jnp.float32)
    classes = len(facts["classes"])

    def image(latent, label):
        labels = jnp.array([label]) if classes else None
        return to_uint8(np.asarray(generator(latent[None], labels)))[0].astype(int)

    label = 3 % classes if classes else 0
    between = np.sin([0.75 * angle(z[0], z[1]), 0.25 * angle(z[0], z[1])])
    between = between @ z[:2] / np.sin(angle(z[0], z[1]))
    expected = {
        "first": image(z[0], 0),
        "fourth": image(z[3], label),
        "moved": image(z[3] + 2 * jnp.array(facts["directions"][1]), label),
        "reset": image(z[3], label),
        "between": image(jnp.asarray(between, jnp.float32), label),
        "last": image(z[1], label),
    }
    if classes:
        expected["class"] = image(z[1], 2)
    for step, wanted in expected.items():
        assert np.abs(shown[step] - wanted).max() <= 2, step
    assert np.abs(shown["moved"] - shown["fourth"]).max() > 2
    assert np.abs(shown["new"] - shown["last"]).max() > 2


def angle(first, last):
    lengths = np.linalg.norm(first) * np.linalg.norm(last)
    return np.arccos(np.dot(first, last) / lengths)
