"""The server of docs/how-to/deploy.md answers with pictures."""

import io
import threading
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer

import pytest
from blocks import blocks_of
from PIL import Image

from wgan_jax.program.cli import main

PAGE = "docs/how-to/deploy.md"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    flags = ["--pretrained=digits", "--formats=onnx", f"--output={folder / 'exported'}"]
    assert main(["wgan-jax", "export", *flags]) == 0
    [block] = [b for b in blocks_of(PAGE) if b.code.startswith("# serve.py")]
    path = folder / "exported/serve.py"
    scope = {"__name__": "serve", "__file__": str(path)}
    exec(compile(block.code, str(path), "exec"), scope)
    scope["Handler"].log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), scope["Handler"]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def get(url):
    with urllib.request.urlopen(url, timeout=60) as response:
        assert response.headers["Content-Type"] == "image/png"
        return response.read()


def test_a_seed_is_a_picture(address):
    first = get(f"{address}/?seed=3&class=7")
    picture = Image.open(io.BytesIO(first))
    assert picture.size == (8, 8)
    low, high = picture.convert("L").getextrema()
    assert high - low > 100
    assert get(f"{address}/?seed=3&class=7") == first
    assert get(f"{address}/?seed=4") != first


@pytest.mark.parametrize("query", ["seed=x", "seed=-1"])
def test_other_queries_are_errors(address, query):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{address}/?{query}")
    assert error.value.code == 400
    error.value.close()
